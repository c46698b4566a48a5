"""Which of the waiting files make the next batch, and what their first bytes tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from autoloader.lib.errors import AccessError, FileError
from ingestions.engine import config
from ingestions.engine.formats.shape import Shape
from ingestions.engine.formats.sniff import NO_ROWS, sniff
from ingestions.engine.ledger import Entry, Waiting
from ingestions.engine.sources.base import Source

#: different shapes in a batch; each is read by a reader of its own.
MAX_SHAPES = 8
#: batches ahead that are made even; of a longer queue nobody sees its end.
BATCHES_AHEAD = 10


def plan_batch(pending: Iterable[Entry], limits: config.Limits, waiting: Waiting | None = None) -> list[Entry]:
    """The oldest files (by id) up to ``files_per_batch`` and ``bytes_per_batch``, of at most eight shapes; files of
    further shapes wait. At least one file, however large; ``[]`` only where nothing is pending.

    ``waiting`` is all that is pending, these included: what does not fit into one batch makes even ones, so that the
    last of them is no crumb and none of them is larger than it has to be.
    """
    files, size_aimed = _shares(limits, waiting)
    chosen: list[Entry] = []
    shapes: set[str] = set()
    size = 0
    for entry in sorted(pending, key=lambda entry: entry.id):
        if len(chosen) >= files:
            break
        key = entry.shape.key if entry.shape else ""
        if key not in shapes and len(shapes) >= MAX_SHAPES:
            continue
        after = size + entry.file.size_bytes
        if chosen and (after > limits.bytes_per_batch or after - size_aimed > size_aimed - size):
            break
        chosen.append(entry)
        shapes.add(key)
        size = after
    return chosen


def _shares(limits: config.Limits, waiting: Waiting | None) -> tuple[int, int]:
    """Files, and about how many bytes, of the next batch. Only the limit that asks for more batches makes shares: an
    even number of files says nothing where one of them is as large as all the others."""
    if waiting is None or not waiting.files:
        return limits.files_per_batch, limits.bytes_per_batch
    by_files = -(-waiting.files // limits.files_per_batch)
    by_bytes = -(-waiting.bytes // limits.bytes_per_batch)
    if by_files >= by_bytes:
        return -(-waiting.files // by_files), limits.bytes_per_batch
    return limits.files_per_batch, -(-waiting.bytes // by_bytes)


def sniff_all(
    source: Source, entries: Sequence[Entry], format_: config.Format, threads: int = 16
) -> dict[int, Shape | FileError]:
    """Entry id → shape, or why the file cannot be read. A storage that refuses some files is these files' fault; one
    that refuses all of them is an AccessError. TransientError and ConfigError end the whole step.
    """

    def verdict(entry: Entry) -> Shape | FileError | AccessError:
        try:
            shape = sniff(source, entry.file, format_)
            return _no_rows(entry.file.address) if shape.option(NO_ROWS) else shape
        except (FileError, AccessError) as error:
            return error

    if not entries:
        return {}
    pool = ThreadPoolExecutor(max_workers=min(threads, len(entries)), thread_name_prefix="sniff")
    try:
        verdicts = list(pool.map(verdict, entries))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    refusals = [found for found in verdicts if isinstance(found, AccessError)]
    if len(refusals) == len(entries):
        raise refusals[0]
    return {
        entry.id: FileError(found.code, found.message, found.hint, path=entry.file.address)
        if isinstance(found, AccessError)
        else found
        for entry, found in zip(entries, verdicts, strict=True)
    }


def _no_rows(address: str) -> FileError:
    return FileError(
        "no_rows", f"{address} holds a header and no row.", "Nothing to do; a new version is loaded.", path=address
    )


def in_parts(entries: Sequence[Entry], limits: config.Limits) -> Iterator[list[Entry]]:
    """All the files of a batch that may not be divided, in parts within the limits, for reading one after the other."""
    left = list(entries)
    while left:
        part = plan_batch(left, limits)
        yield part
        taken = {entry.id for entry in part}
        left = [entry for entry in left if entry.id not in taken]
