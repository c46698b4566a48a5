"""Goes through the rounds: files arrive, runs are started, something dies, all runs end, everything is compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.contrib.auth import get_user_model
from django.db import connection

from autoloader.lib.processes import started_at
from clusters.models import Cluster
from ingestions.models import Ingestion
from ingestions.services.ingestions import ingestion_create
from ingestions.services.runs import run_start
from tests.chaos.checks import Verdict, check
from tests.chaos.faults import Faults
from tests.chaos.feeds import File, all_feeds
from tests.chaos.plan import Plan, Round
from tests.chaos.site import Site
from tests.chaos.tables import Tables

LOOK_SECONDS = 0.1
#: all runs of a round have to have ended after this.
ROUND_SECONDS = 240.0
_OVER = object()


class RoundFailed(Exception):
    """What was found; the site is as it was then."""


@dataclass
class Summary:
    kills: int = 0
    rounds: int = 0
    runs: int = 0
    incremental: int = 0
    takeovers: list[float] = field(default_factory=list)
    last: Verdict = field(default_factory=Verdict)

    def text(self, seconds: float) -> str:
        times = sorted(self.takeovers)
        middle = f"{statistics.median(times):.1f} s, longest {times[-1]:.1f} s" if times else "none"
        return (
            f"{self.kills} kills in {self.rounds} rounds and {seconds:.0f} s: {self.last.rows} rows in the tables, "
            f"lost {self.last.lost}, doubled {self.last.doubled}; {self.runs} runs ended, {self.incremental} of them "
            f"by an incremental listing; takeover median {middle}"
        )


class Driver:
    def __init__(self, site: Site, seed: int, say: Callable[[str], None]) -> None:
        self.site = site
        self.say = say
        self.feeds = all_feeds()
        self.tables = Tables(site.spark.url)
        self.faults = Faults(site, self.feeds, self.tables, self._taken)
        self.ingestions = self._create()
        self.plan = Plan(seed, self.feeds, self.ingestions)
        self.summary = Summary()
        self._target = ""
        self._takeover: float | None = None

    def _create(self) -> dict[str, str]:
        """Name → id of the ingestions."""
        owner = get_user_model().objects.create_superuser("admin", password="x")
        Cluster.objects.create(
            name="chaos", url=self.site.spark.url, is_embedded=True, price_dbu_hour=0.4, price_storage_gb_month=0.02,
            default_catalog="local",
        )  # fmt: skip
        made = {}
        for feed in self.feeds.values():
            row, _ = ingestion_create(owner=owner, config=feed.config(self.site.source(feed)))
            made[feed.name] = str(row.pk)
        return made

    def go(self, kills: int) -> None:
        """Rounds until so many faults have happened. Raises :class:`RoundFailed`."""
        number = 0
        while self.summary.kills < kills:
            number += 1
            self._round(self.plan.round(number))

    def _round(self, plan: Round) -> None:
        began = time.monotonic()
        self.site.keep()
        self._put(plan.files)
        self._aim(plan.fault.target)
        faults = self.faults.steps(plan.fault)
        next(faults)
        self._start(plan.feeds)
        hit = self._until_over(plan, faults, time.monotonic())
        self._start(list(dict.fromkeys(file.feed for file in plan.late)))
        self._wait("the runs for late files end", self._all_ended)
        self._wait("every process is done", self._nobody_busy)
        took = time.monotonic() - began
        self.summary.rounds += 1
        self.summary.kills += hit
        verdict = self.summary.last = self._check()
        told = f"{plan.number:>4}  {plan.fault}{'' if hit else ' (not reached)'}: ended after {took:.1f} s"
        if self._takeover is not None:
            self.summary.takeovers.append(self._takeover)
            told += f", taken over after {self._takeover:.1f} s"
        self.say(f"{told}, {verdict.rows} rows{'' if not verdict.faults else '  WRONG'}")
        if verdict.faults:
            raise RoundFailed("\n".join(verdict.faults))

    def _aim(self, feed: str) -> None:
        self._target, self._takeover = self.ingestions[feed], None

    def _put(self, files: tuple[File, ...]) -> None:
        for file in files:
            self.site.put(self.feeds[file.feed], file)
        for name in dict.fromkeys(file.feed for file in files):
            self.feeds[name].arrived([file for file in files if file.feed == name])

    def _until_over(self, plan: Round, faults: Iterator[None], began: float) -> bool:
        """Until the runs have ended and what was stopped is there again; whether the fault has happened."""
        late, over = plan.late, False
        while True:
            self.site.keep()
            if late and time.monotonic() - began >= plan.late_after:
                self._put(late)
                late = ()
            over = over or next(faults, _OVER) is _OVER
            self._watch()
            if not late and self._all_ended():
                if over:
                    return True
                if self.faults.hit is None and self.faults.disarm():
                    return False
            if time.monotonic() - began > ROUND_SECONDS:
                raise RoundFailed(f"{plan.fault}: not over after {ROUND_SECONDS:.0f} s: {self._active()}")
            time.sleep(LOOK_SECONDS)

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        limit = time.monotonic() + ROUND_SECONDS
        while not done():
            self.site.keep()
            if time.monotonic() > limit:
                raise RoundFailed(f"not within {ROUND_SECONDS:.0f} s: {what}: {self._active()}")
            time.sleep(LOOK_SECONDS)

    # ---- runs

    def _start(self, names: list[str]) -> None:
        for name in names:
            run_start(ingestion=Ingestion.objects.get(pk=self.ingestions[name]))
            self.summary.runs += 1
        connection.close()  # the next one may find another server

    def _active(self) -> list[tuple[Any, ...]]:
        try:
            return self.site.ask("SELECT id, status, phase, lease_holder FROM ingestions_run WHERE ended_at IS NULL")
        except psycopg.OperationalError as away:
            return [(str(away),)]

    def _all_ended(self) -> bool:
        return not self._active()

    def _nobody_busy(self) -> bool:
        """The signs of processes that have ended at work are taken away: their numbers are given to others."""
        signs = list(self.site.signs.glob("busy *"))
        for sign in signs:
            if started_at(int(sign.name.split()[1])) is None:
                sign.unlink(missing_ok=True)
        return not any(sign.exists() for sign in signs)

    def _stands(self) -> tuple[int, bool]:
        """Takeovers of the target's newest run, and whether it has ended."""
        sql = (
            "SELECT takeovers, ended_at IS NOT NULL FROM ingestions_run WHERE ingestion_id = %s ORDER BY queued_at DESC"
        )
        try:
            takeovers, ended = self.site.ask(sql, self._target)[0]
        except psycopg.OperationalError:
            return 0, False
        return takeovers, ended

    def _taken(self) -> bool:
        takeovers, ended = self._stands()
        return takeovers > 0 or ended

    def _watch(self) -> None:
        hit = self.faults.hit
        if hit is not None and self._takeover is None and self._stands()[0]:
            self._takeover = time.time() - hit.at

    # ---- the verdict

    def _check(self) -> Verdict:
        verdict = check(self.site, self.feeds, self.tables, self.faults.foreign)
        connection.close()
        sql = "SELECT status, error_code, error_message FROM ingestions_run WHERE status <> 'success'"
        mode = "SELECT count(*) FROM ingestions_run WHERE listing_mode = 'incremental'"
        self.summary.incremental = self.site.ask(mode)[0][0]
        verdict.faults += [f"a run ended as {status}: {code} {text}" for status, code, text in self.site.ask(sql)]
        return verdict
