"""How pages write numbers, sizes and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from ingestions.models import Ingestion
from ingestions.templatetags import ui
from tests.cast import make_run


@pytest.mark.parametrize(
    ("bytes_", "shown"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (86_100_000_000, "86.1 GB"),
        (99_960_000, "100 MB"),
        (5 * 10**15, "5,000 TB"),
    ],
)
def test_sizes(bytes_: int | None, shown: str) -> None:
    assert ui.size(bytes_).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0, "0 s"),
        (2.34, "2.3 s"),
        (59.6, "1 min"),
        (3725, "1 h 2 min"),
        (3601, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_spans(seconds: float | None, shown: str) -> None:
    assert ui.span(seconds).replace("\u00a0", " ") == shown


def test_numbers() -> None:
    assert (ui.number(12408), ui.number(1234.56), ui.number(None)) == ("12,408", "1,234.6", "–")


def test_instants_are_written_in_utc_for_the_script_to_turn() -> None:
    at = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert 'datetime="2026-03-29T01:30:00Z"' in ui.when(at)
    assert "29 Mar 2026, 01:30 UTC" in ui.when(at)
    assert "01:30:00 UTC" in ui.when(at, "seconds")
    assert "2\u00a0h ago" in ui.ago(timezone.now() - timedelta(hours=2, minutes=5))
    assert "0\u00a0s ago" in ui.ago(timezone.now() + timedelta(minutes=5))  # a clock that is ahead
    assert ui.when(None) == ui.ago(None) == "–"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0 %"), (0.0004, "< 0.1 %"), (0.125, "12.5 %"), (2 / 3, "66.7 %"), (1, "100 %")],
)
def test_shares(value: float | None, shown: str) -> None:
    assert ui.share(value).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0.00 EUR"), (1234.5, "1,234.50 EUR"), (0.0123, "0.012 EUR"), (3e-7, "< 0.0001 EUR")],
)
def test_money(value: float | None, shown: str) -> None:
    assert ui.money(value, "EUR").replace("\u00a0", " ") == shown


@pytest.mark.parametrize(("value", "shown"), [(0.000004, "0.000004"), (12408.0, "12,408"), (0.4, "0.4"), (0.0, "0")])
def test_amounts(value: float, shown: str) -> None:
    assert ui.amount(value) == shown


def test_bars_of_batches_stay_within_their_run(ingestion: Ingestion) -> None:
    run = make_run(ingestion, files=1)
    batch = run.batches.get()
    assert run.started_at is not None
    assert run.ended_at is not None
    for before, after in ((-3600, 3600), (-3600, -1800), (20, 40), (2, 5)):
        batch.created_at = run.started_at + timedelta(seconds=before)
        batch.ended_at = run.started_at + timedelta(seconds=after)
        bar = ui.timebar(batch, run)
        assert 0 <= bar["x"] <= bar["x"] + bar["width"] <= ui.BAR_WIDTH
    assert (bar["seconds"], round(bar["x"] / ui.BAR_WIDTH, 1), round(bar["width"] / ui.BAR_WIDTH, 1)) == (3, 0.2, 0.3)
