"""A database that does not answer: gone, restarting, locked by somebody, without room. It may pass by itself."""

from __future__ import annotations

from django.db import Error, InterfaceError, OperationalError

from autoloader.lib.errors import TransientError

#: anything that a database says; not all of it is Django's ``DatabaseError``.
DatabaseFault = Error
#: what says nothing about the statement: the same one may succeed later.
AWAY = (OperationalError, InterfaceError)


def database_away(error: Exception) -> TransientError:
    """The product's error for one of :data:`AWAY`."""
    reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    return TransientError(
        "database_away", f"The database did not answer: {reason}", "Look at its log, its disk, and who holds it."
    )
