"""One batch, from its branch to its publication: branch first, look, stage, audit, publish.

Each attempt has a branch of its own and can end anywhere; the next one starts by looking what the last one achieved.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum

from autoloader.lib.errors import AutoloaderError, DataStop, FatalError, FileError, LeaseLost, TransientError
from autoloader.lib.words import plural
from ingestions.engine import earlier
from ingestions.engine.bad_files import Aside, BadFiles
from ingestions.engine.bad_rows import BadRows
from ingestions.engine.context import Context
from ingestions.engine.evolve import ROWS, Evolution
from ingestions.engine.ledger import AttemptState, BatchOutcome, BatchState, Earlier, FileOutcome
from ingestions.engine.loader.base import Audit, FileCount, LostRace, Plan, Staged, TableLoader, Unnamed

logger = logging.getLogger(__name__)

#: publishes lost to a foreign writer after which the run fails and says so.
MAX_LOST_RACES = 5
#: times a batch may be staged again because of what its own files brought (each changes the table or the batch).
MAX_EVOLUTIONS = 20


class _Verdict(Enum):
    """How an attempt ended that raised nothing."""

    LOADED = "published"
    UNCERTAIN = "given up: some of its files have to be read with care"
    EVOLVED = "given up: the files brought what the table had not"
    FILES_LEFT_OUT = "given up: files are left out for their malformed rows"
    ROWS_LEFT_OUT = "given up: its malformed rows are kept out of the table"
    CANCELLED = "given up: the run was cancelled"


class BatchLoad:
    """One batch, from its branch to its publication."""

    def __init__(self, context: Context, loader: TableLoader, batch: BatchState) -> None:
        self.context = context
        self.store = context.store
        self.loader = loader
        self.batch = batch
        self.started = context.monotonic()
        self.bad_files = BadFiles(context, loader)
        self.bad_rows = BadRows(context, loader)
        #: earlier versions of its files that it takes the place of.
        self.earlier: Sequence[Earlier] = ()
        self.evolution = Evolution(context, loader, batch)
        #: files that were read quickly, and have rows that may not be wholly in their columns.
        self.careful = frozenset[str]() if loader.quick else None
        #: address → name → values that are left out of the table.
        self.dropped: dict[str, dict[str, int]] = {}
        #: set when the publish is about to be asked for; from then on only the table can tell how it ended.
        self.publishing = False
        #: whether it is known that no earlier attempt has published the batch; only then may its files wait again.
        self.settled = not batch.attempts

    def run(self) -> bool:
        """``False`` where the run was cancelled and the batch given back."""
        self._settle_dead_attempts()
        lost = evolved = 0
        while self.batch.entries:
            try:
                verdict = self._prepare_and_try()
            except LostRace as race:
                lost += 1
                self._lost(lost, race)
                continue
            except (FileError, Unnamed) as error:
                self._set_aside(error)
                continue
            except TransientError:
                raise  # how the attempt stands is not known: the batch stays open and is looked at again
            except AutoloaderError as error:
                if not self.publishing and self.settled:
                    self._give_back(error.code)
                raise
            if verdict is _Verdict.LOADED:
                return True
            if verdict is _Verdict.CANCELLED:
                self._give_back("the run was cancelled")
                return False
            evolved += verdict is _Verdict.EVOLVED
            if evolved > MAX_EVOLUTIONS:
                raise FatalError(
                    "schema_never_settles",
                    f"Batch {self.batch.number} brought new columns {evolved} times.",
                    "Set the evolution mode to rescue, or give the schema by hand.",
                )
        self.store.release(self.batch, [])  # every file was set aside
        return True

    def _lost(self, times: int, race: LostRace) -> None:
        self.publishing = False
        logger.info("publish lost to another writer", extra={"lost": times})
        if times >= MAX_LOST_RACES:
            self._give_back("lost to another writer")
            raise FatalError(
                "foreign_writer",
                f"{times} publishes in a row were lost to another writer of "
                f"{self.context.config.destination.key}. {race.message}",
                "Stop the other writer or give it other hours, then run again; nothing is lost, the files wait.",
            ) from None

    def _settle_dead_attempts(self) -> None:
        for attempt in self.batch.attempts:
            if attempt.open:
                self.context.interrupt(attempt)
                self.store.end_attempt(self.batch, attempt, "its worker was gone")

    def _prepare_and_try(self) -> _Verdict:
        """One attempt. It stays open where its end is not known: whoever comes next interrupts and settles it."""
        self._check_whole()
        self.earlier = earlier.replaced(self.context, self.batch.entries)
        self._phase("comparing columns")
        self._rest(self.evolution.prepare(self.batch))
        if not self.batch.entries:
            return _Verdict.EVOLVED
        attempt = self.store.begin_attempt(self.batch, session_id=self.loader.session_id)
        try:
            return self._try(attempt)
        except LeaseLost:
            self._leave_nothing(attempt)
            raise

    def _try(self, attempt: AttemptState) -> _Verdict:
        try:
            verdict = self._attempt(attempt)
        except LostRace as error:
            self.store.end_attempt(self.batch, attempt, error.message)
            raise
        except TransientError:
            raise
        except AutoloaderError as error:
            if not self.publishing:
                self.store.end_attempt(self.batch, attempt, error.message)
            raise
        self.store.end_attempt(self.batch, attempt, verdict.value)
        self._drop(attempt.branch)
        return verdict

    def _leave_nothing(self, attempt: AttemptState) -> None:
        """Whoever took over has dropped the branch, and will not look again: what was made since is ours to drop. What
        may be published stays until its outcome is written down, which is theirs to do."""
        if self.publishing:
            return
        try:
            self.loader.drop_branch(attempt.branch)
        except AutoloaderError as error:
            logger.warning("branch not dropped", extra={"branch": attempt.branch, "reason": error.message})

    def _attempt(self, attempt: AttemptState) -> _Verdict:
        """Branch first, then look whether the batch is there already, then stage, audit, publish.

        The first attempt at a batch that was begun just now need not look: writing down the base has proved, with the
        branch made, that nobody has taken over the run, and so that nobody else has begun an attempt. The loader looks
        once more before it publishes, where that costs nothing.
        """
        base = self.loader.open_branch(attempt.branch)
        self.store.attempt_based(self.batch, attempt, base)
        attempt = replace(attempt, base_snapshot_id=base)
        first = self.batch.new and attempt.number == 1
        found = None if first else self.loader.find_batch(attempt.branch, self.batch.id)
        if found is not None:
            self.dropped = self.evolution.dropped_if_known(self.batch.entries)
            left = self.loader.rows_left(earlier.in_table(self.earlier))
            through = next((each for each in self.batch.attempts if each.branch == found.attempt), None)
            audit = self.loader.adopted(self.batch.id, found, through)
            self._loaded(attempt, audit, Staged(found.snapshot_id), left, adopted=True)
            return _Verdict.LOADED
        self.settled = True
        if self.store.cancel_requested():
            return _Verdict.CANCELLED
        self._phase("writing rows")
        plan = Plan(bool(self.bad_rows.separated), earlier.in_table(self.earlier), self.careful)
        staged = self.loader.stage(self.batch.entries, batch_id=self.batch.id, attempt=attempt, plan=plan)
        audit = Audit({})
        if staged.snapshot_id is not None:
            self._phase("auditing rows")
            audit = self.loader.audit(staged, attempt, self.batch.entries)
            self._check(audit, staged)
            if audit.uncertain:
                return self._with_care(audit.uncertain)
            if audit.findings and self.evolution.settle(audit.findings, ROWS):
                self._rest(self.evolution.batch)
                return _Verdict.EVOLVED
            self.dropped = self.evolution.dropped(self.batch.entries)
            if (verdict := self._separate(audit, staged, attempt)) is not None:
                return verdict
        self.bad_rows.check(audit, self.batch.entries)
        if self.store.cancel_requested():
            return _Verdict.CANCELLED
        self._phase("publishing rows")
        self.store.fence()
        self.batch = self.bad_rows.settle(self.batch, earlier.in_quarantine(self.batch, self.earlier))
        self.publishing = True
        self.loader.publish(attempt, staged)
        self._loaded(attempt, audit, staged, {})
        return _Verdict.LOADED

    def _with_care(self, files: frozenset[str]) -> _Verdict:
        """The second time all files are read with care; where many have to be, those of the next batches too."""
        self.careful = None if self.careful is None or self.careful else files
        if len(files) * 2 > len(self.batch.entries):
            self.loader.quick = False
        logger.info("files to be read with care", extra={"files": len(files)})
        return _Verdict.UNCERTAIN

    def _separate(self, audit: Audit, staged: Staged, attempt: AttemptState) -> _Verdict | None:
        """What has to be staged anew because of malformed rows; ``None`` where nothing has."""
        if found := self.bad_rows.too_bad(audit, staged, attempt, self.batch.entries):
            self._leave_out(found)
            return _Verdict.FILES_LEFT_OUT
        if self.bad_rows.separate(self.batch, audit, staged, attempt, earlier.in_quarantine(self.batch, self.earlier)):
            self.batch = replace(self.batch, separated=True)
            return _Verdict.ROWS_LEFT_OUT
        return None

    def _phase(self, step: str) -> None:
        """At most 60 characters: what is done, and to how much."""
        size = sum(entry.file.size_bytes for entry in self.batch.entries)
        files = plural(len(self.batch.entries), "file")
        self.store.phase(f"batch {self.batch.number}: {step} of {files}, {_size(size)}")

    def _check(self, audit: Audit, staged: Staged) -> None:
        """The staged rows are those of the batch's files and no others, and the snapshot agrees with their count."""
        strangers = sorted(set(audit.files) - {entry.file.address for entry in self.batch.entries})
        if strangers or audit.rows != staged.added_records:
            raise FatalError(
                "audit_disagrees",
                f"Batch {self.batch.number} was staged with {audit.rows} rows by file and {staged.added_records} by "
                f"snapshot; files that are not in it: {', '.join(strangers[:3]) or 'none'}. Nothing was published.",
                "Run again; if it repeats, report it with the run's log.",
            )

    def _loaded(
        self,
        attempt: AttemptState,
        audit: Audit,
        staged: Staged,
        left: Mapping[tuple[str, str], int],
        *,
        adopted: bool = False,
    ) -> None:
        """``left``: rows of earlier versions that are still there."""
        none, counts = FileCount(0, 0), audit.files
        detail = {**audit.detail, "adopted": True} if adopted else dict(audit.detail)
        if self.dropped:
            detail["dropped"] = _by_name(self.dropped.values())
        if staged.own:
            detail["own_snapshots"] = [str(id_) for id_ in staged.own]
        files = tuple(
            FileOutcome(
                entry.id,
                counts.get(entry.file.address, none).rows,
                counts.get(entry.file.address, none).rescued_rows,
                sum(self.dropped.get(entry.file.address, {}).values()),
            )
            for entry in self.batch.entries
        )
        seconds = round(self.context.monotonic() - self.started, 3)
        outcome = BatchOutcome(
            staged.snapshot_id,
            files,
            staged.added_bytes,
            tuple(self.evolution.ddl),
            seconds,
            detail,
            audit.left,
            {each.id: left.get((each.batch_id, each.address), 0) for each in self.earlier},
        )
        self.store.batch_loaded(self.batch, attempt, outcome)
        logger.info(
            "batch loaded",
            extra={
                "files": len(files),
                "rows": sum(file.rows for file in files),
                "snapshot": staged.snapshot_id,
                "seconds": seconds,
            },
        )

    def _check_whole(self) -> None:
        """What replaces a table has to be whole: a file that cannot be read would take its old rows along."""
        if self.context.config.destination.write_mode != "overwrite":
            return
        missing = self.store.unreadable()
        if missing:
            raise DataStop(
                "overwrite_incomplete",
                f"{len(missing)} of the files that are to replace {self.context.config.destination.key} cannot be "
                f"read: {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}. The table is as it was.",
                "Correct or remove these files, retry or skip them, then run again; the others wait.",
            )

    # ---- giving up

    def _set_aside(self, error: FileError | Unnamed) -> None:
        """The files at fault only: the batch goes on without them."""
        try:
            if isinstance(error, Unnamed):
                found = self.bad_files.unnamed(error, self.batch.entries)
            else:
                found = self.bad_files.found(error, self.batch.entries)
        except TransientError:
            raise
        except AutoloaderError as refused:
            if self.settled:
                self._give_back(refused.code)
            if isinstance(refused, FileError):
                raise FatalError(refused.code, refused.message, refused.hint) from refused
            raise
        self._leave_out(found)

    def _leave_out(self, found: Sequence[Aside]) -> None:
        for aside in found:
            logger.warning("file set aside", extra={"file": aside.entry.file.address, "code": aside.error.code})
            self.store.set_aside(aside.entry.id, aside.state, aside.error)
            if aside.later is not None:
                self.store.record([aside.later])
        gone = {aside.entry.id for aside in found}
        left = tuple(entry for entry in self.batch.entries if entry.id not in gone)
        self._rest(replace(self.batch, entries=left))

    def _rest(self, batch: BatchState) -> None:
        """Goes on with what is left of the batch; of other files other rows are malformed."""
        if len(batch.entries) != len(self.batch.entries):
            self.bad_rows.start_again()
        self.batch = batch

    def _give_back(self, why: str) -> None:
        """The batch's files wait again. Its branches go first: what has no branch can never be published."""
        for branch in self.store.stale_branches():
            self._drop(branch)
        self.store.release(self.batch, [entry.id for entry in self.batch.entries])
        logger.info("batch given back", extra={"reason": why})

    def _drop(self, branch: str) -> None:
        self.loader.drop_branch(branch)
        self.store.branch_swept(branch)


def _by_name(files: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for names in files:
        total.update(names)
    return dict(total.most_common(100))


def _size(count: float) -> str:
    """Bytes in the unit that a person reads: 4.2 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
