"""``manage.py ledger``: verify and show what became of each file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import NotFoundError
from ingestions.engine.ledger import State
from ingestions.management.cli import CliCommand, acting_user, find
from ingestions.models import Ingestion, LedgerEntry
from ingestions.services import present
from ingestions.services.files import file_retry, file_skip
from ingestions.services.ledger import Verification, ledger_verify


class Command(CliCommand):
    help = "Proves that the ledger and the tables agree, and shows what became of each file."

    def add_verbs(self, verbs: AddVerb) -> None:
        verify = self.verb(verbs, "verify", "compare rows per file in the ledger with the table; 1 where they differ")
        verify.add_argument("ingestion", nargs="?", help="id or name (default: all)")
        for name, text in (
            ("skip", "do not load a file that waits or has failed"),
            ("retry", "let a file that failed or was skipped wait for the next run"),
        ):
            self.verb(verbs, name, text).add_argument("file", type=int, help="its id (see ledger show)")
        show = self.verb(verbs, "show", "files with their state and reason")
        show.add_argument("ingestion", help="id or name")
        show.add_argument("--state", type=str.upper, choices=[state.value for state in State])
        show.add_argument("--limit", type=int, default=1000)

    def do_verify(self, **options: Any) -> Exit:
        rows = Ingestion.objects.visible_to(acting_user(options["user"]))
        chosen = [find(rows, options["ingestion"], "ingestion")] if options["ingestion"] else list(rows)
        results = [(row, ledger_verify(ingestion=row)) for row in chosen]
        if options["json"]:
            told = [{"ingestion_id": str(row.pk), **result.to_json()} for row, result in results]
            self.out(told[0] if options["ingestion"] else told)
        else:
            for row, result in results:
                self._tell(row, result)
        return Exit.OK if all(result.ok for _, result in results) else Exit.FAILED

    def _tell(self, row: Ingestion, result: Verification) -> None:
        verdict = "agree" if result.ok else "DIFFER"
        self.stdout.write(
            f"{row.name}: ledger and table {verdict}: {result.files} files, {result.rows_ledger} rows in the ledger, "
            f"{result.rows_table} in {row.destination_key}"
            + (f"; {result.foreign_rows} rows of others" if result.foreign_rows else "")
        )
        for each in result.differences:
            self.stdout.write(
                f"  {each['path']}: {each['rows_ledger']} in the ledger, {each['rows_table']} in the table"
            )
        for batch in result.orphan_batches:
            self.stdout.write(
                f"  batch {batch} is in the table, and the ledger has no outcome of it; run the ingestion"
            )

    def do_skip(self, **options: Any) -> Exit:
        return self._decided(options, lambda file, user: file_skip(file=file, user=user))

    def do_retry(self, **options: Any) -> Exit:
        return self._decided(options, lambda file, _: file_retry(file=file))

    def _decided(self, options: dict[str, Any], decide: Callable[[LedgerEntry, Any], LedgerEntry]) -> Exit:
        user = acting_user(options["user"])
        rows = LedgerEntry.objects.visible_to(user).select_related("ingestion")
        file = rows.filter(pk=options["file"]).first()
        if file is None:
            raise NotFoundError(
                "not_found", f"There is no file {options['file']}.", "See `manage.py ledger show NAME`."
            )
        file = decide(file, user)
        if options["json"]:
            self.out(present.file(file))
        else:
            self.stdout.write(f"{file.address} is {file.state} now.")
        return Exit.OK

    def do_show(self, **options: Any) -> Exit:
        ingestion = find(Ingestion.objects.visible_to(acting_user(options["user"])), options["ingestion"], "ingestion")
        rows = ingestion.files.filter(destination_key=ingestion.destination_key)
        if options["state"]:
            rows = rows.filter(state=options["state"])
        rows = rows.order_by("id")[: max(1, options["limit"])]
        if options["json"]:
            self.out([present.file(row) for row in rows])
            return Exit.OK
        self.table(
            ("id", "state", "rows", "snapshot", "file", "reason"),
            ((row.pk, row.state, row.rows, str(row.snapshot_id or ""), row.address, row.reason) for row in rows),
            "No file yet. Run the ingestion.",
        )
        return Exit.OK
