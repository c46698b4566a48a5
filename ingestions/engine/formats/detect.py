"""Which format a file has, where nobody said: from its first bytes, whatever it is called."""

from __future__ import annotations

import re

from ingestions.engine import config
from ingestions.engine.formats import json_head
from ingestions.engine.formats.head import Named, Readable, read_head

#: what files begin with that say what they are.
_MAGIC = {b"PAR1": "parquet", b"Obj\x01": "avro", b"ORC": "orc"}
_WEB_PAGE = re.compile(r"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


def detect(source: Readable, file: Named, options: config.FormatOptions) -> str:
    """``parquet``, ``avro``, ``orc``, ``xml``, ``json``, else ``csv``, whose reader refuses what is none. A text whose
    lines are rows cannot be told from a CSV of one column. Raises FileError like :func:`read_head`."""
    start = source.read_range(file.address, 0, 4)
    for magic, format_ in _MAGIC.items():
        if start.startswith(magic):
            return format_
    head = read_head(source, file, options, 0)
    text = head.text.lstrip()
    if text.startswith("<"):
        return "csv" if _WEB_PAGE.match(text) else "xml"
    return "json" if _is_json(text, head.complete) else "csv"


def _is_json(text: str, complete: bool) -> bool:
    """A header may begin with a bracket; records of JSON are values, line by line or over lines."""
    try:
        if json_head.is_document(text, complete):
            return True
    except json_head.Concatenated:
        return True
    except json_head.NotJson:
        return False
    line = text.partition("\n")[0].strip()
    return json_head.is_value(line) or (not complete and "\n" not in text and text.startswith('{"'))
