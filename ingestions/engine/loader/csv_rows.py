"""CSV files of one shape to rows of texts, each by the header's position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader import line_ends, plain_rows
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Expression, total
from ingestions.engine.loader.matching import distinct, match
from ingestions.engine.loader.rows import Filled, RawFrame, is_given, leftover

if TYPE_CHECKING:
    from ingestions.engine.loader.readers import Readers


def frame(readers: Readers, shape: Shape, addresses: Sequence[str], columns: Sequence[Column]) -> RawFrame:
    names = [column.name for column in shape.columns]
    found = match(names, columns, readers.rules)
    keys = distinct(names)
    kept = [at for at, name in enumerate(names) if readers.rules.target(name) is not None]
    rest = [(keys[at], F.col(f"c{at}")) for at in kept if at not in found]
    given = total([is_given(F.col(f"c{at}"), None).cast("int") for at in kept])
    df = texts(readers, shape, addresses).select(
        "source_file",
        "modified_at",
        "corrupt",
        (given + F.col("corrupt").isNotNull().cast("int")).alias("given"),
        leftover(rest).alias("extra"),
        *(f"c{at}" for at in found),
    )
    return RawFrame(df, tuple(Filled(column, f"c{at}") for at, column in found.items()))


def texts(readers: Readers, shape: Shape, addresses: Sequence[str]) -> Any:
    """Columns ``c0`` … ``c<n>`` by the header's position, ``corrupt``, ``source_file``, ``modified_at``."""
    count = len(shape.columns)
    schema = ", ".join([*(f"c{at} string" for at in range(count)), "corrupt string"])
    values = [F.col(f"c{at}") for at in range(count)]
    if shape.option("skip_lines"):
        df = _below(readers, shape, addresses, schema)
    else:
        df = readers.load_shape("csv", shape, addresses, schema=schema, **_options(shape))
        if shape.option("line_end") == line_ends.LINE_FEED:
            df = line_ends.without_blank_lines(df, count)
            values = [line_ends.without_return(at, last=at == count - 1) for at in range(count)]
        df = df.select("*", *readers.file_columns(shape, addresses))
    values = [readers.null(_without_mark(value) if at == 0 else value) for at, value in enumerate(values)]
    named = [value.alias(f"c{at}") for at, value in enumerate(values)]
    return df.select(*named, "corrupt", "source_file", "modified_at")


def _below(readers: Readers, shape: Shape, addresses: Sequence[str], schema: str) -> Any:
    """The rows below so many lines, which Spark's own reader cannot pass over: it takes whole files, cut into records
    here. A file has to fit into a task's memory."""
    skipped = int(shape.option("skip_lines"))
    df = plain_rows.texts(readers, shape, addresses, whole=True)
    text = F.regexp_replace(F.col("value"), rf"\A(?:[^\r\n]*(?:\r\n|\n|\r)){{0,{skipped}}}", "")
    records = F.regexp_extract_all(text, F.lit(_record(shape)), F.lit(1))
    wanted = F.filter(records, lambda each: _is_record(each, shape))
    if shape.option("header", "true") == "true":
        wanted = F.slice(wanted, F.lit(2), F.size(wanted))
    df = df.select(F.explode(wanted).alias("record"), "source_file", "modified_at")
    options = {**_options(shape), "header": "false", "multiLine": "true"}
    options.pop("lineSep", None)  # a record is parted from the next one already
    parsed = F.from_csv(F.col("record"), F.lit(schema), options)
    return df.select(parsed.alias("row"), "source_file", "modified_at").select("row.*", "source_file", "modified_at")


def _record(shape: Shape) -> str:
    """A record and the end of its line. Line breaks inside of quotes are none, unless each line is a row."""
    quote, escape = shape.option("quote"), shape.option("escape")
    end = r"(?:\r\n|\n|\r|\z)"
    if not quote or shape.option("multiline") != "true":
        return rf"([^\r\n]*+){end}"
    comment = shape.option("comment")
    q = _literal(quote)
    inside = rf"[^{q}]|{q}{q}" if escape in ("", quote) else rf"[^{q}{_literal(escape)}]|{_literal(escape)}.|{q}{q}"
    quoted = rf"{q}(?:{inside})*+{q}"
    plain = rf"(?:{quoted}|[^{q}\r\n]|{q})*+"
    remark = rf"{_literal(comment)}[^\r\n]*+|" if comment else ""
    return rf"(?s)({remark}{plain}){end}"


def _literal(char: str) -> str:
    """One character as a pattern has it, inside of brackets and outside."""
    return rf"\x{{{ord(char):x}}}"


def _is_record(record: Expression, shape: Shape) -> Expression:
    comment = shape.option("comment")
    given = F.length(F.trim(record)) > 0
    return given & ~F.startswith(record, F.lit(comment)) if comment else given


def _without_mark(text: Expression) -> Expression:
    mark = F.lit("\ufeff")
    return F.when(F.startswith(text, mark), F.substring(text, 2, 2**31 - 1)).otherwise(text)


def _options(shape: Shape) -> dict[str, Any]:
    encoding = shape.option("encoding", "UTF-8")
    wide = encoding.upper().startswith(("UTF-16", "UTF-32"))  # their line ends are no single bytes
    comment = shape.option("comment")
    multiline = "true" if wide else shape.option("multiline", "false")
    line_end = shape.option("line_end") if multiline == "true" else ""  # else each line is a row, however it ends
    return {
        **({"lineSep": line_end} if line_end else {}),
        "header": shape.option("header", "true"),
        "enforceSchema": "true",
        "sep": shape.option("delimiter", ","),
        "quote": shape.option("quote", '"'),
        "escape": shape.option("escape", '"'),
        "encoding": encoding,
        "multiLine": multiline,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": "corrupt",
        "columnPruning": "false",
        "maxColumns": str(max(20_480, len(shape.columns) + 512)),
        "ignoreLeadingWhiteSpace": "false",
        "ignoreTrailingWhiteSpace": "false",
        "inferSchema": "false",
        **({"comment": comment} if comment else {}),
    }
