"""Every object in a source, counted by what the ledger knows of it: streamed, in constant memory."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Q
from django.utils import timezone

from autoloader.lib.bounded import Bounded
from autoloader.lib.errors import AutoloaderError, DeadlineError, RunStopped
from autoloader.lib.words import plural
from ingestions.engine.abandon import pages
from ingestions.engine.discovery import PAGE
from ingestions.engine.judge import Judge
from ingestions.engine.ledger import Cause, Known, State
from ingestions.engine.sources.base import RemoteFile
from ingestions.engine.sources.location import Location, locate
from ingestions.models import Census, Ingestion, LedgerEntry
from ingestions.services import recording
from ingestions.services.source import source_of

#: a count that has given no sign of life for so long is given up on.
LOST = timedelta(seconds=30)
#: a count that has ended so short a while ago is shown again.
FRESH = timedelta(seconds=15)
TELL_SECONDS = 1.0
EXAMPLES = 5
#: counts that a process does at once, and how long somebody waits for one before the progress is shown.
COUNTS = Bounded(what="a count of a source", slots=2, deadline_seconds=10)

#: what a state and a rule mean to people; a rule's word counts.
WORDS: dict[str, str] = {
    State.DISCOVERED: "waiting for a run",
    State.CLAIMED: "being loaded",
    State.LOADED: "loaded",
    State.SKIPPED: "skipped: a person, a duplicate, or replaced before it was loaded",
    State.QUARANTINED: "all rows in quarantine",
    State.FAILED: "cannot be read",
    State.SUPERSEDED: "superseded",
    Cause.EXCLUDED: "excluded by the pattern",
    Cause.HIDDEN: "hidden names",
    Cause.UNREADABLE: "names that Spark cannot open",
    Cause.TEMPORARY: "temporary names",
    Cause.EMPTY: "empty files",
    Cause.TOO_SMALL: "too small",
    Cause.TOO_LARGE: "too large",
    Cause.TOO_OLD: "modified too early",
    Cause.TOO_NEW: "modified too late",
    Cause.BEFORE_START: "from before the start",
    Cause.OVERWRITTEN: "later versions of loaded files",
    Cause.SETTLING: "still fresh",
    Cause.UNSTABLE: "seen once, to be looked at again",
    Cause.UNMARKED: "waiting for their folder's marker",
}


@dataclass
class Counted:
    """What was counted. ``by``: (state, cause) → [objects, bytes] of objects that the ledger has in this version."""

    by: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    objects: int = 0
    bytes: int = 0
    not_meant: int = 0
    unnamable: int = 0
    left_out: int = 0
    undiscovered: int = 0
    new_versions: int = 0
    examples: list[str] = field(default_factory=list)
    #: newest state → addresses in the ledger that the listing has shown.
    matched: Counter[str] = field(default_factory=Counter)
    gone: dict[str, int] = field(default_factory=dict)
    #: files that the ledger has from other folders, where the source's path was changed.
    elsewhere: int = 0
    moved: bool = False

    def to_json(self) -> dict[str, Any]:
        groups: list[dict[str, Any]] = [
            {"state": state, "cause": cause, "words": WORDS[cause or state], "objects": objects, "bytes": size}
            for (state, cause), (objects, size) in sorted(self.by.items(), key=lambda each: -each[1][0])
        ]
        others = self.undiscovered + self.not_meant + self.unnamable + self.left_out
        in_all = self.objects + self.left_out
        return {
            "objects": in_all,
            "bytes": self.bytes,
            "groups": groups,
            "not_discovered": self.undiscovered,
            "not_discovered_versions": self.new_versions,
            "not_discovered_examples": self.examples,
            "not_matched": self.not_meant,
            "unusable_names": self.unnamable,
            "left_out": self.left_out,
            "gone": self.gone,
            "elsewhere": self.elsewhere,
            "adds_up": not self.moved and sum(group["objects"] for group in groups) + others == in_all,
            "verdict": self._verdict(in_all),
        }

    def _verdict(self, in_all: int) -> str:
        if self.moved:
            return "The ledger or the source changed while they were counted: count again when no run is active."
        told = []
        if self.undiscovered:
            of_them = f" ({self.new_versions:,} of them new versions of known files)" if self.new_versions else ""
            told.append(
                f"{plural(self.undiscovered, 'object')} not discovered yet{of_them}; a whole listing finds them."
            )
        waiting = sum(n for (state, _), (n, _) in self.by.items() if state in (State.DISCOVERED, State.CLAIMED))
        if waiting:
            told.append(f"{plural(waiting, 'file')} discovered and not loaded yet.")
        if failed := self.by.get((State.FAILED, ""), [0])[0]:
            told.append(f"{plural(failed, 'file')} that cannot be read.")
        if lost := sum(self.gone.values()):
            told.append(f"{plural(lost, 'file')} known to the ledger and gone from the source.")
        found = "Each" if in_all else "None: the source is empty; each"
        return " ".join(told) or f"{found} of {plural(in_all, 'object')} has its state and its reason."


def census_take(
    *,
    ingestion: Ingestion,
    tell: Callable[[int], None] = lambda listed: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Lists the whole source beside the ledger. ``tell`` hears once a second how many objects were counted. Errors are
    the source's; RunStopped where ``should_stop`` says so.
    """
    config = ingestion.configuration()
    location = locate(config.source)
    source = source_of(ingestion, config)
    ledger = LedgerEntry.objects.filter(ingestion=ingestion, destination_key=ingestion.destination_key)
    until = ledger.aggregate(last=Max("pk"))["last"] or 0
    ledger = ledger.filter(pk__lte=until)
    judge = Judge(config.source, location, "append", timezone.now())
    counted = Counted()
    told = time.monotonic()
    try:
        for objects in pages(source.list(), PAGE, should_stop):
            _count(counted, objects, recording.known(ledger, [file.address for file in objects if _named(file)]), judge)
            if time.monotonic() - told >= TELL_SECONDS:
                tell(counted.objects)
                told = time.monotonic()
        counted.left_out = source.left_out
    finally:
        source.close()
    _count_gone(counted, ingestion, until, location)
    return counted.to_json()


def _named(file: RemoteFile) -> bool:
    return "\x00" not in file.address


def _count(counted: Counted, objects: Sequence[RemoteFile], known: Mapping[str, Sequence[Known]], judge: Judge) -> None:
    for file in objects:
        counted.objects += 1
        counted.bytes += file.size_bytes
        rows = known.get(file.address, ())
        if rows:
            counted.matched[rows[-1].state] += 1
        row = next((each for each in rows if each.version == file.version), None)
        if row is not None:
            group = counted.by.setdefault((row.state.value, row.cause), [0, 0])
            group[0] += 1
            group[1] += file.size_bytes
        elif not _named(file):
            counted.unnamable += 1
        elif not judge.means(file):
            counted.not_meant += 1
        else:
            counted.undiscovered += 1
            counted.new_versions += bool(rows)
            if len(counted.examples) < EXAMPLES:
                counted.examples.append(file.address)


def _count_gone(counted: Counted, ingestion: Ingestion, until: int, location: Location) -> None:
    """Addresses of the ledger less those that the listing has shown, by the state of their newest version."""
    rows = LedgerEntry.objects.filter(
        ingestion=ingestion, destination_key=ingestion.destination_key, pk__lte=until
    ).newest()
    here = Q(address__startswith=location.base) | Q(address=location.base.rstrip("/"))
    totals = dict(rows.filter(here).order_by().values_list("state").annotate(files=Count("pk")))
    for state in {*totals, *counted.matched}:
        gone = totals.get(state, 0) - counted.matched[state]
        counted.moved |= gone < 0
        if gone > 0:
            counted.gone[state] = gone
    counted.elsewhere = rows.exclude(here).count()


# ---- in the background, with its progress where every process sees it


def census(*, ingestion: Ingestion, anew: bool = False) -> Census:
    """The count that has just ended, or the one in hand; a new one is begun where there is neither, or where ``anew``
    asks for it. It is waited for a while, then its progress is given back, and it goes on. ``Busy`` (503) where this
    process counts too many sources already.
    """
    row = Census.objects.filter(ingestion=ingestion).first()
    now = timezone.now()
    if row is not None and row.status == Census.Status.COUNTING and now - row.updated_at < LOST:
        return row
    if row is not None and row.status == Census.Status.DONE and not anew and now - row.updated_at < FRESH:
        return row
    token = secrets.token_hex(16)

    def work() -> None:
        try:
            _take(ingestion, token)
        finally:
            connection.close()

    begun = {"status": Census.Status.COUNTING, "token": token, "listed": 0, "result": None, "error": ""}
    Census.objects.update_or_create(ingestion=ingestion, defaults={**begun, "started_at": now, "updated_at": now})
    try:
        COUNTS.call(work)
    except DeadlineError:
        pass  # it goes on
    except AutoloaderError:
        Census.objects.filter(ingestion=ingestion, token=token, status=Census.Status.COUNTING).delete()
        raise
    return Census.objects.get(ingestion=ingestion)


def _take(ingestion: Ingestion, token: str) -> None:
    mine = Census.objects.filter(ingestion=ingestion, token=token)
    given_up = False

    def tell(listed: int) -> None:
        nonlocal given_up
        given_up = not mine.update(listed=listed, updated_at=timezone.now())

    try:
        result = census_take(ingestion=ingestion, tell=tell, should_stop=lambda: given_up)
    except RunStopped:
        return  # somebody else counts by now
    except AutoloaderError as error:
        mine.update(status=Census.Status.FAILED, error=str(error), updated_at=timezone.now())
    else:
        mine.update(status=Census.Status.DONE, result=result, listed=result["objects"], updated_at=timezone.now())


def seconds(row: Census, now: datetime) -> float:
    """What the count has taken, so far or in all."""
    end = now if row.status == Census.Status.COUNTING else row.updated_at
    return round((end - row.started_at).total_seconds(), 1)
