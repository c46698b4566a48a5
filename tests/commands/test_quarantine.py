"""``manage.py quarantine``: files with malformed rows, from the shell."""

from __future__ import annotations

from ingestions.models import Ingestion, LedgerEntry
from tests.cast import make_run
from tests.commands.support import manage


def test_files_with_malformed_rows_are_listed(feed: Ingestion) -> None:
    assert "No file" in manage("quarantine", "list").out
    run, other = make_run(feed, files=1), make_run(feed, files=1)
    for each, changes in ((run, {"quarantined_rows": 2, "dropped_rows": 0}), (other, {"dropped_rows": 4})):
        LedgerEntry.objects.filter(run=each).update(read_rows=104, **changes)
    entry = LedgerEntry.objects.get(run=run)
    LedgerEntry.objects.filter(pk=entry.pk).update(quarantine_batch=entry.batch_id)
    assert "__quarantine" in manage("quarantine", "list", "Orders").out
    assert [row["dropped_rows"] for row in manage("quarantine", "list", "--json").json()] == [4, 0]
    (row,) = manage("quarantine", "list", "--run", run.pk, "--json").json()
    assert (row["file_id"], row["quarantined_rows"]) == (entry.pk, 2)
    assert str(entry.batch_id) in row["query"]
    assert manage("quarantine", "list", "--file", entry.pk, "--json").json() == [row]
    assert manage("quarantine", "list", "Nobody").code == 2
