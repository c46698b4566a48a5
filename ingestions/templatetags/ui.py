"""How pages write numbers, sizes, times and states. One place, so that the same thing always looks the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from autoloader.lib.words import plural
from clusters.models import Cluster
from ingestions.engine import recipients
from ingestions.models import AlertDelivery, Batch, Ingestion, Run, SchemaChange
from ingestions.services import present, status
from ingestions.services.status import Badge

register = template.Library()
register.filter("plural", plural)
register.filter("recipient", recipients.shown)
#: a space that keeps number and unit on one line.
NARROW = "\u00a0"
NOTHING = "–"
BAR_WIDTH = 140


@register.filter
def number(value: float | None) -> str:
    """``12408`` → ``12,408``."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


@register.filter
def size(value: int | None) -> str:
    """Bytes in steps of 1,000: ``86.1 GB``."""
    if value is None:
        return NOTHING
    amount = float(value)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    text = f"{amount:,.0f}" if unit == "B" or amount >= 99.95 else f"{amount:.1f}"
    return f"{text}{NARROW}{unit}"


@register.filter
def span(seconds: float | None) -> str:
    """A length of time, its two largest units: ``2 h 5 min``."""
    if seconds is None:
        return NOTHING
    if 0 < seconds < 10:
        return f"{seconds:.1f}{NARROW}s"
    whole = round(seconds)
    parts = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, whole = divmod(whole, length)
        if amount:
            parts.append(f"{amount}{NARROW}{unit}")
        elif parts:
            break
    return NARROW.join(parts[:2]) or f"0{NARROW}s"


@register.filter
def when(at: datetime | None, detail: str = "minutes") -> SafeString | str:
    """An instant: in UTC as the server writes it; the browser's script shows it in the reader's own zone. ``detail``
    may be ``seconds``."""
    if at is None:
        return NOTHING
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-local="{}" title="{}">{}</time>',
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        detail,
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{utc.day} {utc:%b %Y}, {utc:{'%H:%M:%S' if detail == 'seconds' else '%H:%M'}} UTC",
    )


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """How long since, in its largest unit; the script keeps it up to date."""
    if at is None:
        return NOTHING
    utc = at.astimezone(UTC)
    seconds = max((timezone.now() - at).total_seconds(), 0)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            text = f"{int(seconds // length)}{NARROW}{unit} ago"
            break
    else:
        text = f"{int(seconds)}{NARROW}s ago"
    return format_html(
        '<time datetime="{}" data-ago title="{}">{}</time>',
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        text,
    )


@register.filter
def badge(thing: Any) -> SafeString:
    """State as dot and word: of a badge, a run, a cluster, or a file's state."""
    if isinstance(thing, Badge):
        found = thing
    elif isinstance(thing, Run):
        found = status.run_badge(thing)
    elif isinstance(thing, Cluster):
        found = status.cluster_badge(thing)
    elif isinstance(thing, SchemaChange):
        found = status.CHANGE[thing.status]
    elif isinstance(thing, AlertDelivery):
        found = status.DELIVERY[thing.state]
    else:
        found = status.FILE[thing]
    return format_html('<span class="badge {}">{}</span>', found.tone, found.label)


@register.filter
def share(value: float | None) -> str:
    """``0.125`` → ``12.5 %``; what is more than nothing never looks like nothing."""
    if value is None:
        return NOTHING
    percent = value * 100
    if 0 < percent < 0.1:
        return f"< 0.1{NARROW}%"
    text = f"{percent:.1f}".removesuffix(".0")
    return f"{text}{NARROW}%"


@register.filter
def money(value: float | None, currency: str = "") -> str:
    """``1234.5`` → ``1,234.50 EUR``; two figures that say something where it is less than a cent."""
    if value is None:
        return NOTHING
    text = f"{value:,.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:.2g}"
    if "e" in text:
        text = "< 0.0001"
    return f"{text} {currency}".strip()  # where it is narrow, the currency goes below the figure in one piece


@register.filter
def at(found: Mapping[str, Any], key: str) -> Any:
    return found.get(key)


@register.filter
def amount(value: float) -> str:
    """A factor as it is, up to six places: ``0.000004``, ``12,408``, ``0.4``."""
    return f"{value:,.6f}".rstrip("0").rstrip(".")


@register.filter
def minutes(value: float) -> str:
    return span(value * 60)


@register.filter
def words(name: str) -> str:
    """``price_dbu_hour`` → ``Price dbu hour``: names of factors and steps."""
    return name.replace("_", " ").capitalize().replace("Dbu", "DBU").replace("dbu", "DBU")


@register.simple_tag
def icon(name: str) -> SafeString:
    """One of ``static/img/icons.svg``; it says nothing that the text beside it does not say."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("img/icons.svg"), name
    )


@register.inclusion_tag("components/history.html")
def history(runs: Sequence[Run]) -> dict[str, Any]:
    """The runs as bars, as high as their rows compare, each leading to its run."""
    most = max((run.rows_done for run in runs), default=0)
    bars = []
    for place, run in enumerate(runs):
        height = 4 + round(16 * (run.rows_done / most) ** 0.5) if most else 4
        bars.append({"run": run, "x": place * 6, "y": 22 - height, "height": height, "badge": status.run_badge(run)})
    return {"bars": bars, "width": max(len(bars) * 6, 1)}


@register.inclusion_tag("components/progress.html")
def progress(run: Run) -> dict[str, Any]:
    """How far an active run is: files done of those found, bytes, rows, rate and the time left."""
    return {"run": run, "facts": present.progress(run), "seconds": present.duration_seconds(run)}


@register.inclusion_tag("components/timebar.html")
def timebar(batch: Batch, run: Run) -> dict[str, Any]:
    """When in the course of its run the batch was worked on, as a bar on a line."""
    now = timezone.now()
    start, end = run.started_at or run.queued_at, run.ended_at or now
    whole = max((end - start).total_seconds(), 0.001)
    began = min(max((batch.created_at - start).total_seconds(), 0), whole)
    took = max(((batch.ended_at or end) - batch.created_at).total_seconds(), 0)
    x = round(BAR_WIDTH * began / whole, 1)
    width = min(max(round(BAR_WIDTH * took / whole, 1), 3), BAR_WIDTH)
    tone = {Batch.State.LOADED: "ok", Batch.State.OPEN: "run"}.get(Batch.State(batch.state), "off")
    return {"x": min(x, BAR_WIDTH - width), "width": width, "tone": tone, "whole": BAR_WIDTH, "seconds": took,
            "began": began}  # fmt: skip


@register.filter
def source_pattern(ingestion: Ingestion) -> str:
    """Path and pattern as one line: ``s3://bucket/orders/*.csv``."""
    source = ingestion.config["source"]
    path, pattern = source["path"], source.get("file_pattern")
    return f"{path.rstrip('/')}/{pattern}" if pattern else path


@register.filter
def took(run: Run) -> float:
    """Seconds that the run has taken, or takes so far."""
    return present.duration_seconds(run)


@register.filter
def run_label(value: str) -> str:
    return status.RUN[value].label


@register.filter
def file_label(value: str) -> str:
    return status.FILE[value].label
