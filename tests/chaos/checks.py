"""After a round: the tables against the feeds, the ledger against the tables, and nothing left lying about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.feeds import Feed, Line, Row, line
from tests.chaos.site import Site
from tests.chaos.tables import Tables

#: what has to be empty: what it means, and the rows that are there nevertheless.
_LEFT = {
    "runs without an end": "SELECT id, status, phase FROM ingestions_run WHERE ended_at IS NULL",
    "leases of runs": "SELECT id, lease_holder FROM ingestions_run"
    " WHERE lease_token <> '' OR lease_expires_at IS NOT NULL",
    "leases of tables": "SELECT destination_key, expires_at FROM ingestions_tablelease WHERE expires_at > now()",
    "open batches": "SELECT id, number FROM ingestions_batch WHERE state = 'open'",
    "open attempts": "SELECT branch FROM ingestions_attempt WHERE state = 'open'",
    "branches not swept": "SELECT branch, state FROM ingestions_attempt WHERE swept_at IS NULL",
    "files that wait or failed": "SELECT address, state, reason FROM ingestions_ledgerentry"
    " WHERE state IN ('DISCOVERED', 'CLAIMED', 'FAILED', 'QUARANTINED')",
}  # fmt: skip


@dataclass
class Verdict:
    """``rows``: in all tables. ``lost`` and ``doubled`` (or never there) count rows."""

    rows: int = 0
    lost: int = 0
    doubled: int = 0
    faults: list[str] = field(default_factory=list)

    def compare(self, what: str, wanted: Counter[Any], found: Counter[Any]) -> None:
        lost, more = wanted - found, found - wanted
        self.lost += lost.total()
        self.doubled += more.total()
        if lost or more:
            self.faults.append(
                f"{what}: {lost.total()} rows are missing, such as {_some(lost)}; "
                f"{more.total()} are too many, such as {_some(more)}"
            )


def _some(rows: Counter[Any]) -> str:
    return "; ".join(str(row) for row in list(rows)[:3]) or "none"


def check(site: Site, feeds: dict[str, Feed], tables: Tables, foreign: dict[str, list[Row]]) -> Verdict:
    verdict = Verdict()
    there = tables.names()
    prefixes = {site.prefix(feed): feed.name for feed in feeds.values()}
    met: set[str] = set()
    for name in dict.fromkeys(feed.table for feed in feeds.values()):
        own = [feed for feed in feeds.values() if feed.table == name]
        if name not in there:
            if any(feed.files for feed in own):
                verdict.faults.append(f"{name}: there is no such table")
            continue
        wanted: Counter[Line] = Counter(line("", row) for row in foreign.get(name, ()))
        for feed in own:
            wanted += feed.expected()
        found = tables.lines(name, prefixes)
        verdict.rows += found.total()
        verdict.compare(name, wanted, found)
        bad = sum((feed.malformed() for feed in own), Counter())
        verdict.compare(f"{name}, quarantine", bad, tables.quarantined(name, prefixes))
        met |= {name, f"{name}__quarantine"} & set(there)
    verdict.faults += [f"a table that should not be there: {name}" for name in there if name not in met]
    for name in sorted(met):
        if (branches := tables.branches(name)) != ["main"]:
            verdict.faults.append(f"{name} has the branches {', '.join(branches)}")
    for what, sql in _LEFT.items():
        if rows := site.ask(sql):
            verdict.faults.append(f"{what}: {rows[:3]}")
    verdict.faults += _verified()
    return verdict


def _verified() -> list[str]:
    from ingestions.models import Ingestion
    from ingestions.services.ledger import ledger_verify

    found = [(row.name, ledger_verify(ingestion=row)) for row in Ingestion.objects.all()]
    return [f"ledger verify {name}: {result.to_json()}" for name, result in found if not result.ok]
