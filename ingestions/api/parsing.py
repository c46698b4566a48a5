"""Bodies and parameters, made safe for what lies below before anything looks at them."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, NoReturn

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic import AfterValidator, StringConstraints

from ingestions.api.problems import BadBody


class StrictParser(Parser):
    """JSON as RFC 8259 has it, with text that any database can keep. Raises :class:`BadBody`."""

    def parse_body(self, request: HttpRequest) -> Any:
        try:
            document = json.loads(request.body, parse_constant=_refuse, parse_float=_finite)
            if b"\\u" in request.body:
                _check_text(document)
        except RecursionError:
            raise BadBody("malformed_json", "The body is nested too deeply.", "Send a flatter document.") from None
        except ValueError:
            raise BadBody(
                "malformed_json", "The body is not valid JSON.", "Send one JSON object, encoded as UTF-8."
            ) from None
        return document


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity: no JSON, though Python reads them


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)  # 1e999


def _check_text(document: Any) -> None:
    """Escapes can smuggle in what UTF-8 text cannot hold and PostgreSQL refuses: half surrogates and NUL."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadBody("malformed_json", "A text of the body has half of a surrogate pair.", "Correct it.") from None
    if "\\u0000" in text.replace("\\\\", ""):
        raise BadBody("malformed_json", "A text of the body has a NUL character.", "Take it out.")


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("NUL characters are not possible")
    return text


#: what to look for; no wildcards.
SearchText = Annotated[str, StringConstraints(max_length=200), AfterValidator(_no_nul)]
#: any text of a person, kept in the database.
Text = Annotated[str, AfterValidator(_no_nul)]
