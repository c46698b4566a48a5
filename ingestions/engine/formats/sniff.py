"""What the first bytes of a file tell about how to read it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoloader.lib.errors import ConfigError, FileError
from ingestions.engine import config
from ingestions.engine.formats import avro_head, damage, json_head, orc_head, parquet_head, xml_head
from ingestions.engine.formats import delimiter as given_delimiter
from ingestions.engine.formats.csv_head import (
    Incomplete,
    Unreadable,
    detect_delimiter,
    first_record,
    has_header,
    line_end,
    one_line,
)
from ingestions.engine.formats.detect import detect
from ingestions.engine.formats.encodings import java_name
from ingestions.engine.formats.head import STEPS, Head, Named, Readable, empty, read_head
from ingestions.engine.formats.names import column_names
from ingestions.engine.formats.shape import Shape, ShapeColumn, check_count

#: what one value of a row may hold; Java's arrays end at twice as much.
MAX_BINARY_BYTES = 1024**3
#: the option of a shape that says that the file holds a header and nothing else.
NO_ROWS = "no_rows"
_MARKUP = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml|error|!--)", re.IGNORECASE)


def sniff(source: Readable, file: Named, format_: config.Format) -> Shape:
    """Reads the first 64 KiB (up to 1 MiB where a header needs it; the footer of a Parquet or ORC file) and tells how
    the file is read. Raises FileError with the file's address: ``empty_file``, ``compression_mismatch``,
    ``<codec>_damaged``, ``encoding_mismatch``, ``not_text``, ``looks_like_html``, ``looks_like_json``,
    ``merge_conflict``, ``header_unreadable``, ``too_many_columns``, ``not_json``, ``json_cut``, ``not_xml``,
    ``row_tag_missing``, ``not_parquet``, ``not_avro``, ``not_orc``, ``<format>_type``, ``ambiguous_columns``,
    ``file_too_large``, ``file_gone``.

    With the type ``auto`` each file is what it looks like.
    """
    type_ = detect(source, file, format_.options) if format_.type == "auto" else format_.type
    match type_:
        case "csv":
            return _csv(source, file, format_.options)
        case "json":
            return _json(source, file, format_.options)
        case "xml":
            return _xml(source, file, format_.options)
        case "text":
            return _text(source, file, format_.options)
        case "avro":
            return avro_head.read_shape(source, file)
        case "orc":
            return orc_head.read_shape(source, file)
        case "binary":
            return _binary(file)
        case _:
            return Shape("parquet", parquet_head.read_columns(source, file))


def _csv(source: Readable, file: Named, options: config.FormatOptions) -> Shape:
    for step in range(len(STEPS)):
        head = read_head(source, file, options, step)
        _check_text(file.address, head)
        between = given_delimiter(options) or detect_delimiter(head.text, head.complete, options)
        try:
            record = first_record(head.text, head.complete, between, options)
        except Incomplete:
            continue
        except Unreadable as error:
            raise _no_header(file.address, str(error)) from None
        if not record:
            raise empty(file.address)
        _check_not_json(file.address, head)
        damage.check_conflict(file.address, head.text)
        check_count(file.address, len(record))
        return _csv_shape(file.address, record, between, head, options)
    raise _no_header(file.address, f"it does not end within {STEPS[-1]:,} bytes")


def _csv_shape(address: str, record: list[str], between: str, head: Head, options: config.FormatOptions) -> Shape:
    header = options.header
    if header is None:
        header = has_header(head.text, head.complete, between, options)
    names = column_names(record if header else [""] * len(record))
    resolved = {
        "delimiter": between,
        "escape": options.escape or options.quote,
        "header": str(header).lower(),
        "line_end": line_end(head.text, between, options),
        "multiline": str(options.multiline is not False).lower(),
        "quote": options.quote,
        **({"skip_lines": str(options.skip_lines)} if options.skip_lines else {}),
        **({"comment": options.comment} if options.comment else {}),
        **({NO_ROWS: "true"} if header and head.complete and one_line(head.text) else {}),
        **head.options(address),
    }
    return _shape("csv", resolved, names)


def _shape(format_: str, options: Mapping[str, str], names: Sequence[str] = ()) -> Shape:
    return Shape(format_, tuple(map(ShapeColumn, names)), tuple(sorted(options.items())))


def _no_header(address: str, why: str) -> FileError:
    return FileError(
        "header_unreadable",
        f"The first record of {address} cannot be read: {why}.",
        "Check delimiter and quote in the format's options, and that the file is CSV.",
        path=address,
    )


def _json(source: Readable, file: Named, options: config.FormatOptions) -> Shape:
    head = _first_text(source, file, options)
    _check_text(file.address, head)
    try:
        document = json_head.is_document(head.text, head.complete)
    except json_head.NotJson:
        raise FileError(
            "not_json",
            f"{file.address} does not begin like JSON records do, with {{ or [.",
            "Choose the format that fits, or leave the file out with a pattern.",
            path=file.address,
        ) from None
    except json_head.Concatenated:
        raise FileError(
            "json_concatenated",
            f"{file.address} holds several JSON documents over several lines each.",
            "Write one document a line, or all of them as one array.",
            path=file.address,
        ) from None
    if options.multiline is not None:
        document = options.multiline
    damage.check_conflict(file.address, head.text)
    if head.complete:
        damage.check_cut(file.address, head.text, document=document)
    path = {"records_path": options.records_path.strip()} if options.records_path else {}
    shape = _shape("json", {"multiline": str(document).lower(), **path, **head.options(file.address)})
    return shape if document else replace(shape, sample=json_head.first_line(head.text))


def _first_text(source: Readable, file: Named, options: config.FormatOptions) -> Head:
    """As little of the beginning as holds anything but white space."""
    for step in range(len(STEPS)):
        head = read_head(source, file, options, step)
        if head.text.strip() or head.complete:
            break
    if not head.text.strip():
        raise empty(file.address)
    return head


def _xml(source: Readable, file: Named, options: config.FormatOptions) -> Shape:
    head = _first_text(source, file, options)
    said = xml_head.declared(head.text)
    if said and not options.encoding and not head.encoding.startswith("UTF-16"):
        options = options.model_copy(update={"encoding": _declared(file.address, said)})
    for step in range(len(STEPS)):
        head = read_head(source, file, options, step)
        try:
            seen = xml_head.outline(head.text)
        except xml_head.NotXml:
            raise _not_xml(file.address) from None
        if head.complete or (seen.below and options.row_tag in (None, *seen.seen)):
            break
    if seen.root.lower() == "html":
        raise _markup(file.address, "HTML")
    if options.row_tag and options.row_tag not in seen.seen:
        raise FileError(
            "row_tag_missing",
            f"{file.address} has no element <{options.row_tag}>"
            f"{'' if head.complete else f' in its first {STEPS[-1]:,} bytes'}, so it would have no rows. It has: "
            f"{', '.join(sorted(seen.seen)[:10])}.",
            "Correct the row tag in the format's options, or leave the file out with a pattern.",
            path=file.address,
        )
    tag = options.row_tag or seen.row_tag
    odd = {"mixed": seen.mixed, "hidden": xml_head.hides_rows(head.text, tag)}
    told = {name: "true" for name, is_so in odd.items() if is_so}
    return _shape("xml", {"row_tag": tag, **told, **head.options(file.address)})


def _declared(address: str, encoding: str) -> str:
    try:
        return java_name(encoding)
    except ConfigError:
        raise FileError(
            "encoding_mismatch",
            f"{address} says that it is in the encoding {encoding[:40]!r}, which is not known.",
            "Set the encoding of the format's options.",
            path=address,
        ) from None


def _not_xml(address: str) -> FileError:
    return FileError(
        "not_xml",
        f"{address} does not begin like an XML document does, with an element.",
        "Choose the format that fits, or leave the file out with a pattern.",
        path=address,
    )


def _text(source: Readable, file: Named, options: config.FormatOptions) -> Shape:
    head = read_head(source, file, options, 0)
    whole = str(bool(options.multiline)).lower()
    return _shape("text", {"multiline": whole, **head.options(file.address)}, ["value"])


def _binary(file: Named) -> Shape:
    if file.size_bytes > MAX_BINARY_BYTES:
        raise FileError(
            "file_too_large",
            f"{file.address} has {file.size_bytes:,} bytes; a row holds at most {MAX_BINARY_BYTES:,}.",
            "Leave it out with a pattern or with source.max_bytes.",
            path=file.address,
        )
    return Shape("binary", (ShapeColumn("content", "binary"), ShapeColumn("length", "bigint")))


def _check_text(address: str, head: Head) -> None:
    if _MARKUP.match(head.text):
        raise _markup(address, "HTML or XML")
    if head.complete and not head.text.strip():
        raise empty(address)


def _markup(address: str, what: str) -> FileError:
    return FileError(
        "looks_like_html",
        f"{address} holds {what}, such as the error page of a download, in place of data.",
        "Fetch the file again, or leave it out with a pattern.",
        path=address,
    )


def _check_not_json(address: str, head: Head) -> None:
    """A header may begin with a brace; a first line that is a whole JSON value is no header."""
    line = head.text.lstrip().partition("\n")[0].strip()
    if line[:1] in ("{", "[") and json_head.is_value(line):
        raise FileError(
            "looks_like_json",
            f"{address} holds JSON, not CSV.",
            "Choose the format json, or leave the file out with a pattern.",
            path=address,
        )
