"""The columns of a batch's table: made, or changed as the policy says, before rows of the batch are published."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from autoloader.lib.errors import AutoloaderError, FatalError, SchemaStop
from autoloader.lib.words import plural
from ingestions.engine.context import Context
from ingestions.engine.ledger import Asked, BatchState, Entry, NewSchema
from ingestions.engine.loader.base import TableLoader, TableState
from ingestions.engine.schema import types
from ingestions.engine.schema.diff import Kind
from ingestions.engine.schema.policy import Finding, Mode, Policy, Question, Verdict, questions

logger = logging.getLogger(__name__)

#: files that a message names.
NAMED = 20
HEADERS, ROWS = "new columns in the files", "new fields in the files"


@dataclass
class Evolution:
    """``batch`` loses the files that wait for a person; ``ddl`` is what ran."""

    context: Context
    loader: TableLoader
    batch: BatchState
    ddl: list[str] = field(default_factory=list)
    #: whether this batch has made the table: then whatever its files have is a column of it, also what the sample that
    #: gave the types did not show.
    makes_table: bool = False
    policy: Policy = field(init=False)

    def __post_init__(self) -> None:
        self.policy = self._policy()

    def _policy(self) -> Policy:
        schema = self.context.config.format.schema_
        mode = Mode.of(schema.evolution_mode, schema.evolution_enabled)
        takes_all = self.makes_table and schema.inference == "auto"
        if mode is Mode.REVIEW:
            return Policy(mode, self.context.store.decisions(), asks_nobody=takes_all)
        return Policy(Mode.ADD if takes_all and mode is not Mode.WIDEN else mode)

    # ---- before anything is staged

    def prepare(self, batch: BatchState) -> BatchState:
        """Creates the table, or settles what the files' headers show; the batch without the files that have to wait."""
        self.batch = batch
        table = self.loader.state(counted=False)
        if table is None:
            self._create()
            return self.batch
        if not self.context.store.schema_known():
            self._take_over(table)
        self.loader.follow(self.policy)
        findings = self._typed(self.loader.headers(self.batch.entries, table))
        self.settle(findings, HEADERS)
        return self.batch

    def _typed(self, findings: Sequence[Finding]) -> list[Finding]:
        """Those that are acted on, with types. A new column's are asked of the files' values."""
        kept = [each for each in findings if self.policy.acts_on(each.change.kind, nested=len(each.change.path) > 1)]
        unsettled = [each for each in kept if self.policy.verdict(each.change) is not Verdict.RESCUE]
        new = [each for each in unsettled if each.change.kind is Kind.ADDED and len(each.change.path) == 1]
        if not new:
            return unsettled
        wanted = {address for each in new for address in each.files}
        entries = [entry for entry in self.batch.entries if entry.file.address in wanted]
        inferred = self.loader.infer(entries, [each.change.path[0] for each in new])
        by_name = {column.name.lower(): types.parse(column.type) for column in inferred}
        found = []
        for each in unsettled:
            type_ = by_name.get(each.change.key[0]) if each in new else each.change.type
            if type_ is not None:
                found.append(replace(each, change=replace(each.change, type=type_)))
        return found

    def _create(self) -> None:
        if self.context.config.destination.write_mode != "overwrite":
            self.context.store.table_missing()
        columns = self.loader.infer(self.batch.entries)
        rejected = self.policy.decisions.rejected
        self._changed(self.loader.create([each for each in columns if (each.name.lower(),) not in rejected]), "")
        self.context.store.table_created()
        self._keep(self.loader.state(counted=False), self.ddl, "table created")
        self.makes_table = True
        self.policy = self._policy()
        self.loader.follow(self.policy)

    def _take_over(self, table: TableState) -> None:
        """The first batch into a table that is there already: it has to fit, and gets our columns. One that this
        ingestion made before a crash fits by itself."""
        if self.loader.made_here():
            self.context.store.table_created()
            self._keep(table, (), "table created")
            return
        self.loader.check_existing(self.batch.entries, table)
        ddl = self.loader.add_columns(())
        self._changed(ddl, "")
        self._keep(self.loader.state(), ddl, "first batch into a table that was there")

    # ---- what was found

    def settle(self, findings: Iterable[Finding], note: str) -> bool:
        """Does what the policy says of each; whether the table or the batch is another one now. SchemaStop where the
        run may not go on."""
        by_verdict: dict[Verdict, list[Finding]] = {}
        for finding in findings:
            agreed = replace(finding, change=self.policy.decisions.settled(finding.change))
            by_verdict.setdefault(self.policy.verdict(finding.change), []).append(agreed)
        if stopped := by_verdict.get(Verdict.STOP):
            raise self._stop(stopped)
        applied = self._apply(by_verdict.get(Verdict.APPLY, []), note)
        return self._ask(by_verdict.get(Verdict.ASK, [])) or applied

    def _apply(self, findings: Sequence[Finding], note: str) -> bool:
        if not findings:
            return False
        changes = [each.change for each in findings]
        ddl = self.loader.alter(changes)
        self._changed(ddl, note)
        approved = frozenset(each.key for each in changes if each.key in self.policy.decisions.approved)
        if approved:
            note += ", approved"
        files = [address for each in findings for address in each.files]
        self._keep(self.loader.state(counted=False), ddl, note, files, approved)
        return bool(ddl)

    def _ask(self, findings: Sequence[Finding]) -> bool:
        """The files wait, those of an overwrite all of them: it replaces the table as a whole."""
        if not findings:
            return False
        whole = self.context.config.destination.write_mode == "overwrite"
        entries = self.batch.entries
        table = self._table()
        asked = []
        waiting: set[int] = set()
        for question in questions(findings, self.policy.decisions):
            ids = tuple(each.id for each in entries if whole or each.file.address in question.files)
            asked.append(Asked(question, self._answer(question, table), ids))
            waiting.update(ids)
        self.context.store.ask(self.batch, asked)
        self.policy = self._policy()
        self.loader.follow(self.policy)
        self.batch = replace(self.batch, entries=tuple(each for each in entries if each.id not in waiting))
        logger.info("files wait for a decision", extra={"files": len(waiting), "questions": len(asked)})
        return True

    def _answer(self, question: Question, table: TableState) -> tuple[str, ...]:
        return self.loader.altering(question.changes, table) if question.changes else ()

    def _stop(self, findings: Sequence[Finding]) -> SchemaStop:
        name = self.context.config.destination.key
        changes = [each.change for each in findings]
        files = list(dict.fromkeys(address for each in findings for address in each.files))
        wanted = ", ".join(str(change) for change in changes[:NAMED]) + _more(len(changes) - NAMED)
        ddl = "; ".join(self.loader.altering(changes, self._table()))
        return SchemaStop(
            "new_columns",
            f"Files bring columns that {name} has not: {wanted}. They are in "
            f"{plural(len(files), 'file')}: {', '.join(files[:NAMED])}{_more(len(files) - NAMED)}. "
            f"Nothing of this run was published. Taking them up would be: {ddl}",
            "Run this statement on the cluster, or set the evolution mode to addNewColumns (or to rescue), then run "
            "again; all files wait.",
        )

    # ---- what is left out

    def dropped(self, entries: Sequence[Entry]) -> dict[str, dict[str, int]]:
        """Address → name → values that are left out; nothing unless the mode is ``none``."""
        found: dict[str, dict[str, int]] = {}
        if self.policy.drops:
            for (address, name), count in self.loader.dropped(entries).items():
                found.setdefault(address, {})[name] = count
        return found

    def dropped_if_known(self, entries: Sequence[Entry]) -> dict[str, dict[str, int]]:
        """The same of a batch that is published already: its files may be gone."""
        try:
            return self.dropped(entries)
        except AutoloaderError as error:
            logger.warning("what was left out is not known", extra={"reason": error.message})
            return {}

    # ---- telling

    def _table(self) -> TableState:
        return self._there(self.loader.state(counted=False))

    def _there(self, table: TableState | None) -> TableState:
        if table is None:
            name = self.context.config.destination.key
            raise FatalError("table_vanished", f"The table {name} is not there any more.", "Run again to make it anew.")
        return table

    def _changed(self, ddl: Sequence[str], note: str) -> None:
        self.ddl += ddl
        if ddl and note:
            logger.info("table altered", extra={"why": note, "statements": len(ddl)})

    def _keep(
        self,
        table: TableState | None,
        ddl: Sequence[str],
        note: str,
        files: Sequence[str] = (),
        applied: frozenset[tuple[str, ...]] = frozenset(),
    ) -> None:
        """A version of the schema, with the files that asked for it."""
        columns = tuple((column.name, column.type) for column in self._there(table).own_columns)
        asking = tuple(dict.fromkeys(files)) or tuple(entry.file.address for entry in self.batch.entries)
        self.context.store.schema_changed(NewSchema(columns, tuple(ddl), asking[:NAMED], note, applied))


def _more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""
