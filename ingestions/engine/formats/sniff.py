"""What the first bytes of a file tell about how to read it."""

from __future__ import annotations

import re

from autoloader.lib.errors import FileError
from ingestions.engine import config
from ingestions.engine.formats import damage, json_head, parquet_head
from ingestions.engine.formats import delimiter as given_delimiter
from ingestions.engine.formats.csv_head import Incomplete, Unreadable, detect_delimiter, first_record, one_line
from ingestions.engine.formats.encodings import UTF_8, java_name
from ingestions.engine.formats.head import STEPS, Head, Named, Readable, empty, read_head
from ingestions.engine.formats.names import column_names
from ingestions.engine.formats.shape import Shape, ShapeColumn, check_count

_MARKUP = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml|error|!--)", re.IGNORECASE)


def sniff(source: Readable, file: Named, format_: config.Format) -> Shape:
    """Reads the first 64 KiB (up to 1 MiB where a header needs it; the footer of a Parquet file) and tells how the file
    is read. Raises FileError with the file's address: ``empty_file``, ``compression_mismatch``, ``gzip_damaged``,
    ``encoding_mismatch``, ``not_text``, ``looks_like_html``, ``looks_like_json``, ``header_unreadable``,
    ``too_many_columns``, ``no_rows``, ``merge_conflict``, ``json_cut``,
    ``not_json``, ``not_parquet``, ``parquet_type``, ``ambiguous_columns``, ``file_gone``.
    """
    match format_.type:
        case "csv":
            return _csv(source, file, format_.options)
        case "json":
            return _json(source, file, format_.options)
        case _:
            return Shape("parquet", parquet_head.read_columns(source, file))


def _csv(source: Readable, file: Named, options: config.FormatOptions) -> Shape:
    encoding = java_name(options.encoding) if options.encoding else UTF_8
    for step in range(len(STEPS)):
        head = read_head(source, file, encoding, step)
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
        if options.header and head.complete and one_line(head.text):
            raise _no_rows(file.address)
        check_count(file.address, len(record))
        return _csv_shape(record, between, encoding, options)
    raise _no_header(file.address, f"it does not end within {STEPS[-1]:,} bytes")


def _csv_shape(record: list[str], between: str, encoding: str, options: config.FormatOptions) -> Shape:
    names = column_names(record if options.header else [""] * len(record))
    resolved = {
        "delimiter": between,
        "encoding": encoding,
        "escape": options.escape or options.quote,
        "header": str(options.header).lower(),
        "multiline": str(options.multiline is not False).lower(),
        "quote": options.quote,
    }
    return Shape("csv", tuple(map(ShapeColumn, names)), tuple(resolved.items()))


def _no_rows(address: str) -> FileError:
    return FileError(
        "no_rows", f"{address} holds a header and no row.", "Nothing to do; a new version is loaded.", path=address
    )


def _no_header(address: str, why: str) -> FileError:
    return FileError(
        "header_unreadable",
        f"The first record of {address} cannot be read: {why}.",
        "Check delimiter and quote in the format's options, and that the file is CSV.",
        path=address,
    )


def _json(source: Readable, file: Named, options: config.FormatOptions) -> Shape:
    encoding = java_name(options.encoding) if options.encoding else UTF_8
    for step in range(len(STEPS)):
        head = read_head(source, file, encoding, step)
        _check_text(file.address, head)
        if head.text.strip() or head.complete:
            break
    if not head.text.strip():
        raise empty(file.address)
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
    return Shape("json", (), (("encoding", encoding), ("multiline", str(document).lower())))


def _check_text(address: str, head: Head) -> None:
    if _MARKUP.match(head.text):
        raise FileError(
            "looks_like_html",
            f"{address} holds HTML or XML, such as the error page of a download, in place of data.",
            "Fetch the file again, or leave it out with a pattern.",
            path=address,
        )
    if head.complete and not head.text.strip():
        raise empty(address)


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
