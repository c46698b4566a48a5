"""The errors of the product. The class decides about retry and severity, never the message's text.

Each SDK's error is translated once, in the module that is the SDK's only importer.
"""

from __future__ import annotations


class AutoloaderError(Exception):
    """What happened, to what (``message``), a stable ``code`` for programs and a ``hint`` that says what to do next.

    ``field`` names the configuration field at fault (dotted, ``source.path``) where there is one.
    No part of it may hold a secret: it is shown on pages, in answers and in logs.
    """

    #: HTTP status of the REST answer; a class attribute, so that a face needs no table of its own.
    status = 500
    #: whether the same step may succeed later with nothing changed.
    retryable = False

    def __init__(self, code: str, message: str, hint: str = "", *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigError(AutoloaderError):
    """The configuration or the request is wrong; nothing was changed."""

    status = 400


class NotFoundError(ConfigError):
    """No such object, or one that this person may not see."""

    status = 404


class ConflictError(ConfigError):
    """The object's state does not allow it now, for example a run that is already active."""

    status = 409


class AccessError(AutoloaderError):
    """The storage or the cluster refused: wrong key, missing right, no such bucket."""

    status = 502


class DataStop(AutoloaderError):
    """The files hold what the configuration gives no rule for: nothing is published until a person decides."""

    status = 409


class SchemaStop(DataStop):
    """The files' shape changed in a way that the configuration says must stop the run."""


class FileError(AutoloaderError):
    """This file only: it is set aside with the reason and the run goes on. ``path`` is its ledger address."""

    status = 400

    def __init__(self, code: str, message: str, hint: str = "", *, path: str = "", field: str | None = None) -> None:
        super().__init__(code, message, hint, field=field)
        self.path = path


class TransientError(AutoloaderError):
    """It may pass by itself (network, throttling, a sleeping cluster): retried with back-off."""

    status = 503
    retryable = True


class DeadlineError(TransientError):
    """The cluster or the storage did not answer in time."""

    status = 504


class StaleSession(TransientError):
    """What a Spark session remembers is not so any more: it is closed, and the work starts again in a new one."""


class FatalError(AutoloaderError):
    """A fault of the table, the catalog or the cluster that repeating will not mend."""

    status = 502


class LeaseLost(AutoloaderError):
    """Another worker has taken this run over; this one stops at once and touches nothing more."""

    status = 409


class RunStopped(AutoloaderError):
    """The run was asked to stop, and the step in hand was given up. Nothing half of it will ever be seen."""

    status = 409

    def __init__(self, what: str = "the step in hand") -> None:
        super().__init__("run_stopped", f"The run was asked to stop; {what} was given up.", "Start a new run.")


class ValueLost(FatalError):
    """The audit found a source value that is neither in its column nor in ``_rescued_data``. Nothing was published."""
