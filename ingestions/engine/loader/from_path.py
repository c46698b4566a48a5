"""Columns out of the address of a file, put beside those that its rows have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pyspark.sql.connect.functions as F

from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Expression
from ingestions.engine.loader.matching import Rules, match
from ingestions.engine.loader.rows import Filled, RawFrame, is_given
from ingestions.engine.schema import types
from ingestions.engine.schema.path_columns import NULL, PathColumns

_WHOLE = frozenset({"int", "bigint"})


def with_path(
    raw: RawFrame, addresses: Sequence[str], columns: Sequence[Column], paths: PathColumns, rules: Rules
) -> RawFrame:
    """A row's own value goes before that of its address, and a typed column of a file as a whole."""
    names = list(dict.fromkeys(name for address in addresses for name in paths.values(address)))
    filled = {each.column.name: each for each in raw.filled}
    given, changed = F.col("given"), {}
    added: list[Filled] = []
    for at, column in match(names, columns, rules).items():
        text = text_of(paths, names[at], types.parse(column.type))
        own = filled.get(column.name)
        if own is None:
            added.append(Filled(column, f"path{at}"))
            changed[f"path{at}"] = text
            given = given + is_given(text, None).cast("int")
        elif own.type is None:
            has_one = is_given(F.col(own.name), None)
            changed[own.name] = F.when(has_one, F.col(own.name)).otherwise(text)
            given = given + (~has_one & is_given(text, None)).cast("int")
    if not changed:
        return raw
    return replace(raw, df=raw.df.withColumns({**changed, "given": given}), filled=(*raw.filled, *added))


def text_of(paths: PathColumns, name: str, type_: types.Type) -> Expression:
    """What the address says, null where it says nothing. Numbers may have zeros before them: ``month=01``."""
    raw = F.regexp_extract(F.col("source_file"), paths.expression(name), 1)
    text = F.when((raw != "") & (raw != NULL), _unescaped(raw) if paths.pattern is None else raw)
    return F.regexp_replace(text, r"^(-?)0+(?=[0-9])", "$1") if str(type_) in _WHOLE else text


def _unescaped(text: Expression) -> Expression:
    """``%3A`` as it is meant; a ``%`` that begins nothing, and a ``+``, stand for themselves."""
    safe = F.regexp_replace(F.regexp_replace(text, r"%(?![0-9A-Fa-f]{2})", "%25"), re.escape("+"), "%2B")
    return F.when(F.contains(text, F.lit("%")), F.url_decode(safe)).otherwise(text)
