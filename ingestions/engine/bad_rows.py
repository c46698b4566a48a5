"""Malformed rows of a batch, by the policy of its configuration: kept in ``_rescued_data``, put into the quarantine
table, dropped and counted, or too many for their file.

A batch is staged with all of its rows first, so that one without malformed rows costs nothing more. Where there are
some that may not stay, the attempt is given up, they are put where they belong, and the batch is staged without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoloader.lib.errors import FatalError, FileError
from ingestions.engine.bad_files import Aside
from ingestions.engine.context import Context
from ingestions.engine.formats import damage, packing
from ingestions.engine.ledger import AttemptState, BatchState, Entry, Separated, State
from ingestions.engine.loader.base import Audit, BadRow, FileCount, Staged, TableLoader
from ingestions.engine.rows_limit import RowsLimit

#: bytes at a file's end that are looked at for a record that was not written to its end.
_TAIL = 64 * 1024
#: characters of a malformed row that a message shows.
_SHOWN = 80


@dataclass
class BadRows:
    """Of one batch. ``separated``: what each file's malformed rows are, once they are kept out of the table."""

    context: Context
    loader: TableLoader
    separated: dict[int, Separated] = field(default_factory=dict)

    def __post_init__(self) -> None:
        format_ = self.context.config.format
        self.policy = format_.bad_rows
        self.limit = RowsLimit.of(format_)

    # ---- files that are left out

    def too_bad(self, audit: Audit, staged: Staged, attempt: AttemptState, entries: Sequence[Entry]) -> list[Aside]:
        """Files whose malformed rows say that something is wrong with the whole of them, or are too many."""
        bad = {entry: audit.files[entry.file.address] for entry in _malformed(audit, entries)}
        if not bad:
            return []
        faults: dict[int, FileError] = {}
        beyond = [entry for entry, count in bad.items() if self.limit.exceeded(count.malformed, count.rows)]
        told = [entry for entry, count in bad.items() if count.conflict or entry in beyond]
        firsts = self.loader.first_bad(staged, attempt, told) if told else {}
        for entry, count in bad.items():
            address, first = entry.file.address, firsts.get(entry.file.address)
            if count.conflict:
                faults[entry.id] = damage.conflict(address, first.line if first else None)
            elif self._is_cut(entry):
                faults[entry.id] = damage.cut(address, None)
            elif entry in beyond:
                faults[entry.id] = self._too_many(address, count, first)
        return [Aside(entry, State.FAILED, faults[entry.id]) for entry in bad if entry.id in faults]

    def _is_cut(self, entry: Entry) -> bool:
        """Of a plain JSON file: whether it ends in the middle of a record."""
        shape, address = entry.shape, entry.file.address
        if shape is None or shape.format != "json" or packing.named(shape.option("read_as", address)):
            return False
        if not shape.option("encoding", "UTF-8").upper().startswith("UTF-8"):
            return False
        end = self.context.source.read_range(address, -min(_TAIL, entry.file.size_bytes), _TAIL)
        text = end.decode("utf-8", "replace")
        if shape.option("multiline") == "true":
            return not text.rstrip().endswith(("}", "]"))
        last = damage.last_line(text)
        return last != text and damage.is_cut(last)

    def _too_many(self, address: str, count: FileCount, first: BadRow | None) -> FileError:
        where = f"; the first is {first.raw[:_SHOWN]!r}" if first else ""
        if first and first.line:
            where += f" in line {first.line:,}"
        rows = "1 of its rows is" if count.malformed == 1 else f"{count.malformed:,} of its {count.rows:,} rows are"
        return FileError(
            "bad_rows_exceeded",
            f"{address}: {rows} malformed, and {self.limit} may be (format.bad_rows_limit){where}.",
            "Correct the file, or raise the limit, then retry it.",
            path=address,
        )

    # ---- rows that are kept out

    def separate(
        self,
        batch: BatchState,
        audit: Audit,
        staged: Staged,
        attempt: AttemptState,
        replaced: frozenset[tuple[str, str]],
    ) -> bool:
        """Puts the malformed rows of a staged batch where the policy wants them; ``False`` where they stay. They are
        noted first: whoever goes on after a crash knows that some may stand in the quarantine table."""
        if self.policy not in ("quarantine", "drop") or self.separated:
            return False
        bad = _malformed(audit, batch.entries)
        if not bad:
            return False
        counts = {entry: audit.files[entry.file.address] for entry in bad}
        found = [self._separated(entry, count) for entry, count in counts.items()]
        self.context.store.separate(batch, found)
        if self.policy == "quarantine":
            there = self.loader.quarantine(staged, attempt, bad, replaced)
            wanted = {entry.file.address: count.malformed for entry, count in counts.items()}
            if there != wanted:
                raise FatalError(
                    "quarantine_disagrees",
                    f"Batch {batch.number} has {sum(wanted.values()):,} malformed rows, and {sum(there.values()):,} "
                    "came into the quarantine table.",
                    "Nothing was published. Run again; if it repeats, report it with the run's log.",
                )
        self.separated = {each.entry_id: each for each in found}
        return True

    def _separated(self, entry: Entry, count: FileCount) -> Separated:
        if self.policy == "drop":
            return Separated(entry.id, count.rows, dropped=count.malformed)
        return Separated(entry.id, count.rows, quarantined=count.malformed)

    def check(self, audit: Audit, entries: Sequence[Entry]) -> None:
        """Rows read are rows staged and rows kept out. Raises FatalError for a file where they are not."""
        for entry in entries:
            apart = self.separated.get(entry.id)
            if apart is None:
                continue
            count = audit.files.get(entry.file.address, FileCount(0, 0))
            if count.rows + apart.quarantined + apart.dropped != apart.read or count.malformed:
                raise FatalError(
                    "bad_rows_disagree",
                    f"{entry.file.address} has {apart.read} rows, of which {count.rows} were staged and "
                    f"{apart.quarantined + apart.dropped} kept out.",
                    "Nothing was published. Run again; if it repeats, report it with the run's log.",
                )

    def settle(self, batch: BatchState, replaced: frozenset[tuple[str, str]]) -> BatchState:
        """Right before the publication: what was put into the quarantine table and does not belong there is taken out.
        The batch as it stands then."""
        if self.separated:
            if self.policy == "drop" and replaced:
                self.loader.unquarantine((), replaced)
            return batch
        if batch.separated or replaced:
            self.loader.unquarantine([batch.id] if batch.separated else [], replaced)
        if batch.separated:
            self.context.store.separate(batch, [])
            return replace(batch, separated=False)
        return batch

    def start_again(self) -> None:
        """The batch has other files now: what was separated is looked for once more."""
        self.separated = {}


def _malformed(audit: Audit, entries: Sequence[Entry]) -> list[Entry]:
    files: Mapping[str, FileCount] = audit.files
    return [entry for entry in entries if (count := files.get(entry.file.address)) is not None and count.malformed]
