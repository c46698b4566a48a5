"""What the pages of one ingestion have in common: its name, its state, its verbs and its tabs."""

from __future__ import annotations

from typing import Any

from ingestions.models import Ingestion
from ingestions.services import overview
from ingestions.services.lifecycle import verbs

#: what a button says.
LABELS = {"activate": "Activate", "pause": "Pause", "resume": "Resume"}


def head(ingestion: Ingestion, tab: str = "") -> dict[str, Any]:
    """Context of ``ingestions/head.html``; ``tab`` is the one that is open."""
    return {
        "ingestion": ingestion,
        "row": overview.row(ingestion),
        "tab": tab,
        "verbs": [(f"web:ingestion_{verb}", LABELS[verb]) for verb in verbs(ingestion)],
    }
