"""The files of a batch that cannot be read, found together: a batch with fifty of them costs no fifty attempts.

An attempt that fails names one file. The first such file is set aside and the batch is tried again, as mostly it is the
only one. With the second the files that are left are read through, a few at a time and without writing anything: each
bad one costs a small job that ends where it is met.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from autoloader.lib.chunks import chunks
from autoloader.lib.errors import AccessError, FileError
from ingestions.engine.context import Context
from ingestions.engine.ledger import REPLACED, Entry, NewEntry, State
from ingestions.engine.loader.base import CHANGED, DENIED, MISENCODED, TableLoader, Unnamed

logger = logging.getLogger(__name__)

#: files that are read through in one job. More make fewer jobs, and each bad one spoils the reading of the others.
TOGETHER = 32
#: times that a batch may be staged again for a suspicion about one of its files.
MOST_SUSPICIONS = 20


@dataclass(frozen=True, slots=True)
class Aside:
    """What becomes of a file that is left out of its batch. ``later``: the version that took its place meanwhile."""

    entry: Entry
    state: State
    error: FileError
    later: NewEntry | None = None


@dataclass
class BadFiles:
    """Of one batch. ``failures``: attempts that a bad file has cost so far."""

    context: Context
    loader: TableLoader
    failures: int = field(default=0)
    suspicions: int = field(default=0)

    def found(self, error: FileError, entries: Sequence[Entry]) -> list[Aside]:
        """The files to leave out after an attempt that ended with ``error``; ``[]`` where it may be tried again as it
        is, because a suspicion came to nothing. Raises ``error`` where it names no file of the batch, AccessError where
        all of several files are refused.
        """
        named = next((entry for entry in entries if entry.file.address == error.path), None)
        if named is None:
            raise error
        if error.code in (MISENCODED, CHANGED):
            self.suspicions += 1
            if self.suspicions > MOST_SUSPICIONS:
                raise error
            return self._misencoded(entries) if error.code == MISENCODED else self._changed(entries)
        self.failures += 1
        errors = {named.id: self._judged(error)}
        others = [entry for entry in entries if entry is not named]
        denied = _denied(errors[named.id])
        if denied:
            errors |= {entry.id: refused for entry in others if (refused := self._refused(entry.file.address))}
        if self.failures > 1 or (denied and len(errors) == 1):  # the cluster may be refused what we are not
            errors |= self._read_through([entry for entry in others if entry.id not in errors])
        _refuse_all(entries, errors)
        return [Aside(entry, State.FAILED, errors[entry.id]) for entry in entries if entry.id in errors]

    def unnamed(self, error: Unnamed, entries: Sequence[Entry]) -> list[Aside]:
        """The same after an error that names no file. Raises it where reading finds no bad file, or only such."""
        self.failures += 1
        errors = self._read_through(entries)
        if not errors or (len(entries) > 1 and len(errors) == len(entries)):
            raise error
        return [Aside(entry, State.FAILED, errors[entry.id]) for entry in entries if entry.id in errors]

    def _judged(self, error: FileError) -> FileError:
        """Spark says only that it could not read a file; that it is refused, or has gone, is what the store says."""
        return (self._refused(error.path) or error) if error.code == "file_unreadable" else error

    def _refused(self, address: str) -> FileError | None:
        try:
            self.context.source.read_range(address, 0, 1)
        except AccessError as refused:
            return FileError(DENIED, refused.message, refused.hint, path=address)
        except FileError as gone:
            return gone
        return None

    # ---- suspicions

    def _misencoded(self, entries: Sequence[Entry]) -> list[Aside]:
        """A character that stands for unreadable bytes may also be in the file itself: its bytes tell."""
        faults = self.loader.misencoded(entries)
        return [
            Aside(entry, State.FAILED, faults[entry.file.address]) for entry in entries if entry.file.address in faults
        ]

    def _changed(self, entries: Sequence[Entry]) -> list[Aside]:
        """The store says which version there is now. Where all are those of the ledger, the cluster sees other times
        or sizes than the store tells, and they are compared no more."""
        aside = []
        for entry in entries:
            now = self.context.source.stat(entry.file.address)
            if now is None:
                gone = FileError(
                    "file_gone",
                    f"The file was listed, but is not there any more: {entry.file.address}.",
                    "Put it back and retry it, or skip it in the ledger.",
                    path=entry.file.address,
                )
                aside.append(Aside(entry, State.FAILED, gone))
            elif now.version != entry.file.version:
                replaced = FileError(CHANGED, REPLACED, "", path=entry.file.address)
                aside.append(Aside(entry, State.SKIPPED, replaced, NewEntry(now, State.DISCOVERED)))
        if not aside:
            self.loader.compare_less()
        return aside

    # ---- reading through

    def _read_through(self, entries: Sequence[Entry]) -> dict[int, FileError]:
        """Entry id → what is wrong with it."""
        found: dict[int, FileError] = {}
        for number, part in enumerate(chunks(entries, TOGETHER)):
            bad = unreadable(self.loader.read_through, part)
            found |= {id_: self._judged(error) for id_, error in bad.items()}
            if number == 0:  # where the first ones are all refused, so are the others
                _refuse_all(part, found)
        logger.info("files read through", extra={"files": len(entries), "bad": len(found)})
        return found


def unreadable(read: Callable[[Sequence[Entry]], None], entries: Sequence[Entry]) -> dict[int, FileError]:
    """Entry id → what is wrong with it, for files that ``read`` (a loader's ``read_through``) cannot read: each failing
    look names one bad file, or is repeated with the halves."""
    found: dict[int, FileError] = {}
    left = list(entries)
    while left:
        try:
            read(left)
        except FileError as error:
            bad = next((entry for entry in left if entry.file.address == error.path), None)
            if bad is None:
                raise
            if error.code not in (CHANGED, MISENCODED):  # suspicions, which the next attempt meets again
                found[bad.id] = error
            left.remove(bad)
        except Unnamed as error:
            if len(left) == 1:
                return found | {left[0].id: _alone(left[0].file.address, error)}
            middle = len(left) // 2
            return found | unreadable(read, left[:middle]) | unreadable(read, left[middle:])
        else:
            break
    return found


def _alone(address: str, error: Unnamed) -> FileError:
    """Read by itself the file fails, so it is at fault, whatever Spark says: 3.5 lets errors of the parsers and of what
    unpacks files through as they are."""
    code = "file_unreadable" if error.code == "spark_error" else error.code
    return FileError(code, f"{address}: {error.message}", error.hint, path=address)


def _refuse_all(entries: Sequence[Entry], errors: Mapping[int, FileError]) -> None:
    """Raises AccessError where all of several files are refused: that is no file's fault."""
    if len(entries) > 1 and all(_denied(errors.get(entry.id)) for entry in entries):
        error = errors[entries[0].id]
        raise AccessError(error.code, error.message, error.hint)


def _denied(error: FileError | None) -> bool:
    return error is not None and error.code == DENIED
