from __future__ import annotations

from django.test import Client

from ingestions.engine.ledger import State
from ingestions.models import Batch, Ingestion, LedgerEntry, Run
from tests.cast import make_file, make_run
from tests.web.test_ingestions import text


def test_a_run_and_a_file_show_their_malformed_rows_and_where_these_are(browser: Client, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=1)
    file = LedgerEntry.objects.get(run=run)
    LedgerEntry.objects.filter(pk=file.pk).update(
        read_rows=1103, quarantined_rows=1003, dropped_rows=0, quarantine_batch=file.batch_id
    )
    Run.objects.filter(pk=run.pk).update(rows_quarantined=1003)
    Batch.objects.filter(run=run).update(quarantined_rows=1003)
    assert "1,003 more in quarantine" in text(browser, f"/runs/{run.pk}/")
    assert "1,003 in quarantine" in text(browser, f"/ingestions/{ingestion.pk}/files/")
    page = text(browser, f"/files/{file.pk}/")
    assert "1,003 in quarantine" in page
    assert "1,103 rows read" in page
    assert "`orders__quarantine`" in page
    assert str(file.batch_id) in page


def test_dropped_rows_and_duplicates_are_told(browser: Client, ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=1)
    file = LedgerEntry.objects.get(run=run)
    LedgerEntry.objects.filter(pk=file.pk).update(read_rows=107, quarantined_rows=0, dropped_rows=7)
    Run.objects.filter(pk=run.pk).update(rows_dropped=7)
    assert "7 more dropped" in text(browser, f"/runs/{run.pk}/")
    assert "7 dropped" in text(browser, f"/files/{file.pk}/")
    other = make_file(ingestion, number=5, state=State.SKIPPED, duplicate_of=file)
    page = text(browser, f"/files/{other.pk}/")
    assert "Same content as" in page
    assert f"/files/{file.pk}/" in page
