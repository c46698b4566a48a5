"""YAML texts in forms: read, checked, and what is wrong told by field and line. What was typed is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpRequest

from autoloader.lib.errors import AutoloaderError, ConfigError
from ingestions.services.feed_text import FeedDocument, read_documents

CALLED = "the text"
_LINE = re.compile(r"\bline (\d+)")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. ``field`` is dotted, or empty; ``line`` counts from 1, ``None`` where none is known."""

    message: str
    field: str = ""
    line: int | None = None


def posted_text(request: HttpRequest) -> str:
    """As it was typed; browsers send every line break as two characters."""
    return request.POST.get("text", "").replace("\r\n", "\n")


def one_document(text: str) -> FeedDocument:
    """The only document of the text. ConfigError where there is none, or another."""
    documents = read_documents(text.encode("utf-8", "surrogatepass"), CALLED, None)
    if len(documents) > 1:
        raise ConfigError(
            "several_documents",
            f"The text holds {len(documents)} documents, and one ingestion is wanted here.",
            "Import makes several at once.",
        )
    return documents[0]


def faults(error: AutoloaderError, document: FeedDocument | None = None) -> list[Fault]:
    """Each fault that the error tells of, with its line where ``document`` or the message itself knows it."""
    told = getattr(error, "errors", None) or [{"loc": error.field or "", "msg": str(error)}]
    return [Fault(each["msg"], each["loc"], _line(each["loc"], each["msg"], document)) for each in told]


def _line(field: str, message: str, document: FeedDocument | None) -> int | None:
    if document is not None and field:
        return document.line(field)
    named = _LINE.search(message)
    return int(named[1]) if named else None
