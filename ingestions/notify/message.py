"""What an alert says, to a person who is woken by it and to a program: facts in, texts out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from autoloader.lib.words import plural

TITLES = {
    "failed": "failed",
    "still_failing": "still failing",
    "recovered": "recovered",
    "files_set_aside": "files set aside",
    "test": "test alert",
}


@dataclass(frozen=True)
class Facts:
    """What was known when it happened; instants are ISO texts in UTC. ``run`` is empty for a test."""

    ingestion: dict[str, str]  # id, name, table, status
    run: dict[str, Any]  # id, status, trigger, ended_at, error_code, error_message, error_hint, retry_at, counts
    failing_since: str = ""
    failed_runs: int = 0
    next_run_at: str = ""
    aside_runs: int = 0
    aside_files: int = 0
    held_files: int = 0
    #: the table had been dropped: what a run says of rows that are gone; else empty.
    lost: str = ""


@dataclass(frozen=True)
class Standing:
    """How the ledger stands when the text is written: files that wait, and files that are set aside."""

    waiting: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Said:
    """``subject`` holds no number, so that mail programs put what belongs together under one line."""

    subject: str
    text: str
    document: dict[str, Any]


def say(kind: str, facts: Facts, standing: Standing, *, at: datetime, incident: str, base_url: str) -> Said:
    """Subject, text and the webhook's JSON of an alert that came up ``at``."""
    subject = f"[Autoloader] {one_line(facts.ingestion['name'])[:200]}: {TITLES[kind]}"
    page = f"{base_url}/ingestions/{facts.ingestion['id']}/"
    run_page = f"{base_url}/runs/{facts.run['id']}/" if facts.run else ""
    parts = [_opening(kind, facts, at), *_BODIES[kind](facts, standing), _links(page, run_page), _foot(kind)]
    text = "\n\n".join(part for part in parts if part) + "\n"
    document = {
        "kind": kind,
        "incident_id": incident,
        "occurred_at": _iso(at),
        "title": subject,
        "text": text,
        "ingestion": {**facts.ingestion, "url": page},
        "run": {**facts.run, "url": run_page} if facts.run else None,
        "failing_since": facts.failing_since or None,
        "failing_seconds": round(_seconds(facts, at)) if facts.failing_since else None,
        "failed_runs": facts.failed_runs,
        "rows_lost": bool(facts.lost),
        "files_waiting": standing.waiting,
        "files_set_aside": standing.failed,
        "files_held": facts.held_files,
    }
    return Said(subject, text, document)


def one_line(text: str) -> str:
    """Without what would break a header or a line."""
    return " ".join(text.split())


# ---- the parts


def _opening(kind: str, facts: Facts, at: datetime) -> str:
    name, table, runs = facts.ingestion["name"], facts.ingestion["table"], facts.failed_runs
    if kind == "failed":
        return f"A run of {name} failed on {_when(at)}. It loads into {table}."
    if kind == "still_failing":
        since = f"{_span(_seconds(facts, at))}, since {_clock(facts.failing_since)}"
        return f"{name} has been failing for {since}: {plural(runs, 'run')} in a row. It loads into {table}."
    if kind == "recovered":
        since = f"{_span(_seconds(facts, at))} and {plural(runs, 'failed run')}"
        return f"{name} loads again: a run succeeded on {_when(at)}, after {since}. It loads into {table}."
    if kind == "files_set_aside":
        in_runs = "a run" if facts.aside_runs == 1 else plural(facts.aside_runs, "run")
        return f"{name} went on, but {in_runs} up to {_when(at)} left files out. It loads into {table}."
    return f"This is a test of the alerts of {name}, which loads into {table}. Nothing happened, nothing is to be done."


def _failing(facts: Facts, standing: Standing) -> Iterator[str]:
    run = facts.run
    yield f"WHAT FAILED\n{run['error_message'] or 'The run says no more.'}"
    yield f"WHAT TO DO\n{run['error_hint'] or 'Open the run: it names what failed. Mend that, then press “Run again”.'}"
    yield "DATA\n" + "\n".join(_data(facts, standing))
    yield f"WHAT HAPPENS BY ITSELF\n{_next(facts)}"


def _recovered(facts: Facts, standing: Standing) -> Iterator[str]:
    run = facts.run
    loaded = f"The run loaded {plural(run['files_loaded'], 'file')} with {plural(run['rows'], 'row')}."
    yield "DATA\n" + "\n".join([loaded, *_data(facts, standing)])


def _set_aside(facts: Facts, standing: Standing) -> Iterator[str]:
    lines = []
    if facts.aside_files:
        lines.append(f"{plural(facts.aside_files, 'file')} could not be loaded; each has its reason on the run's page.")
    if facts.held_files:
        lines.append(f"{_wait(facts.held_files, 'file')} for your decision about the table's columns.")
    yield "WHAT WAS LEFT OUT\n" + "\n".join(lines)
    yield (
        "WHAT TO DO\nDeliver corrected files, which load by themselves, or change the format and press “Retry”; decide "
        "about columns on the page Schema."
    )
    yield "DATA\n" + "\n".join(_data(facts, standing))


def _test(facts: Facts, standing: Standing) -> Iterator[str]:
    yield "Alerts come when an unattended run fails, while it keeps failing, when it recovers, and for files set aside."


_BODIES = {
    "failed": _failing,
    "still_failing": _failing,
    "recovered": _recovered,
    "files_set_aside": _set_aside,
    "test": _test,
}


def _data(facts: Facts, standing: Standing) -> Iterator[str]:
    """Whether anything is lost, and what is not in the table yet."""
    if facts.lost:
        yield facts.lost
    else:
        yield "No row was lost, and none was loaded twice: a batch is published whole or not at all."
    run = facts.run
    if run["status"] == "failed" and run["files_loaded"]:
        done = f"{plural(run['files_loaded'], 'file')} with {plural(run['rows'], 'row')}"
        yield f"The run had loaded {done} before it failed; these stay in the table."
    yield f"{_wait(standing.waiting, 'known file')} for the next run, which also finds what has arrived since."
    if standing.failed:
        yield f"{_wait(standing.failed, 'file')} to be corrected or retried; the page Files says why."


def _wait(count: int, what: str) -> str:
    """``1 file waits``, ``2 files wait``, ``No file waits``."""
    return f"{plural(count, what) if count else f'No {what}'} {'wait' if count > 1 else 'waits'}"


def _next(facts: Facts) -> str:
    if facts.ingestion["status"] == "paused":
        return "Nothing: the ingestion is paused."
    if retry_at := facts.run.get("retry_at"):
        return f"The run is tried again on {_clock(retry_at)}. You are told when it recovers."
    if facts.next_run_at:
        return f"The next run starts on {_clock(facts.next_run_at)}. You are told when it recovers."
    return "The next run of its schedule tries again, where it has one. You are told when it recovers."


def _foot(kind: str) -> str:
    who = "Who gets this stands in the ingestion's settings (quality.alert_recipients)."
    if kind not in ("failed", "still_failing"):
        return who
    return f"While it fails you are reminded after an hour and then once a day; pause it to stop that. {who}"


def _links(page: str, run_page: str) -> str:
    return "\n".join(([f"Run: {run_page}"] if run_page else []) + [f"Ingestion: {page}"])


# ---- instants


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _when(at: datetime) -> str:
    return f"{at.day} {at:%b %Y at %H:%M} UTC"


def _clock(iso: str) -> str:
    return _when(datetime.fromisoformat(iso)) if iso else "–"


def _seconds(facts: Facts, at: datetime) -> float:
    return max(0.0, (at - datetime.fromisoformat(facts.failing_since)).total_seconds()) if facts.failing_since else 0.0


def _span(seconds: float) -> str:
    """Its two largest units: ``2 h 5 min``."""
    whole, parts = round(seconds), []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, whole = divmod(whole, length)
        if amount:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"
