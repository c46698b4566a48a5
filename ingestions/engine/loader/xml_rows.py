"""XML files to rows. An element is a value, a struct of its attributes (``_id``), its elements and its own text
(``_VALUE``), or an array of these; what it is differs from row to row, so the files and the table are asked together.

Everything is read as text first: Spark itself would make a number of ``007``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import FileError
from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Converter, Expression, all_of, total
from ingestions.engine.loader.matching import OURS, distinct, match
from ingestions.engine.loader.paths import READ_OPTIONS, spark_path
from ingestions.engine.loader.rows import Filled, RawFrame, as_text, is_given, leftover
from ingestions.engine.loader.sql import identifier
from ingestions.engine.loader.typed_rows import fields_of
from ingestions.engine.schema import types

if TYPE_CHECKING:
    from ingestions.engine.loader.readers import Readers

#: where Spark puts the text of an element that has attributes or elements too.
OWN_TEXT = "_VALUE"
_MARK = "\x1f"  # between the names of a path; no XML holds it


def frame(
    readers: Readers, shape: Shape, addresses: Sequence[str], columns: Sequence[Column], converter: Converter
) -> RawFrame:
    table = {
        readers.rules.source(column.name): _texts(types.parse(column.type))
        for column in columns
        if column.name not in OURS
    }
    fields = [
        types.Field(field.name, merged(field.type, table[field.name]) if field.name in table else field.type)
        for field in shapes(readers, shape, addresses, converter)
    ]
    names = [field.name for field in fields]
    found = match(names, columns, readers.rules)
    kept = [at for at, name in enumerate(names) if readers.rules.target(name) is not None]
    keys = distinct(names)
    kinds = [field.type for field in fields]
    values = [F.col(f"c{at}") for at in range(len(fields))]
    for at, column in found.items():
        if types.is_nested(kinds[at]) and not types.is_nested(types.parse(column.type)):
            values[at], kinds[at] = _flat(values[at], kinds[at]), types.STRING
    df = texts(readers, shape, addresses, fields, converter)
    df = df.select("source_file", "modified_at", "corrupt", *(value.alias(f"c{at}") for at, value in enumerate(values)))
    rest = [(keys[at], as_text(F.col(f"c{at}"), kinds[at])) for at in kept if at not in found]
    given = total([is_given(F.col(f"c{at}"), kinds[at]).cast("int") for at in kept])
    df = df.select(
        "source_file",
        "modified_at",
        "corrupt",
        (given + F.col("corrupt").isNotNull().cast("int")).alias("given"),
        leftover(rest).alias("extra"),
        *(f"c{at}" for at in found),
    )
    return RawFrame(df, tuple(Filled(column, f"c{at}", kinds[at]) for at, column in found.items()))


def _flat(value: Expression, type_: types.Type) -> Expression:
    """For a column of one value: the text alone where a row has no more than that, though others of the batch have;
    else all of it as JSON."""
    if isinstance(type_, types.Array):
        alone = F.when(F.size(value) == 1, _flat(F.get(value, F.lit(0)), type_.element))
    elif isinstance(type_, types.Struct):
        others = [value[field.name].isNull() for field in type_.fields if field.name != OWN_TEXT]
        own = [field.type for field in type_.fields if field.name == OWN_TEXT]
        alone = F.when(all_of(others), _flat(value[OWN_TEXT], own[0])) if own else F.lit(None).cast("string")
    else:
        return value
    return F.coalesce(alone, F.nullif(F.to_json(value), F.lit("{}")))  # an empty element has nothing in it


def shapes(readers: Readers, shape: Shape, addresses: Sequence[str], converter: Converter) -> tuple[types.Field, ...]:
    """What the rows of all of these files have, with texts at the leaves: a pass over the files."""
    df = _load(readers, shape, addresses, converter, None)
    return tuple(field for field in fields_of(df.schema.jsonValue()) if field.name != _corrupt(converter))


def texts(
    readers: Readers, shape: Shape, addresses: Sequence[str], fields: Sequence[types.Field], converter: Converter
) -> Any:
    """Columns ``c0`` … ``c<n>`` for ``fields``, ``corrupt``, ``source_file``, ``modified_at``."""
    corrupt = types.Field(_corrupt(converter), types.STRING)
    schema = ", ".join(f"{types.quoted(field.name)} {field.type}" for field in (*fields, corrupt))
    df = _load(readers, shape, addresses, converter, schema)
    values = [F.col(identifier(field.name)) for field in fields]
    plain = [
        readers.null(value) if field.type == types.STRING else value
        for value, field in zip(values, fields, strict=True)
    ]
    df = df.select(
        *(value.alias(f"c{at}") for at, value in enumerate(plain)),
        F.col(corrupt.name).alias("corrupt"),
        *(readers.file_columns_by_name() if readers.old else readers.file_columns(shape, addresses)),
    )
    return df.where(F.col("source_file").isin(list(addresses))) if readers.old else df


def _load(readers: Readers, shape: Shape, addresses: Sequence[str], converter: Converter, schema: str | None) -> Any:
    readers.need("xml")
    encoding = shape.option("encoding", "UTF-8")
    options: dict[str, Any] = {
        "rowTag": shape.option("row_tag"),
        "inferSchema": "false",
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": _corrupt(converter),
        "nullValue": converter.end,  # a word that no file has: else the text “null” would be none
        "ignoreSurroundingSpaces": "true",
        "encoding": encoding,
        "charset": encoding,
    }
    if readers.old:
        return _load_old(readers, shape, addresses, schema, options)
    given = {} if schema is None else {"schema": schema}
    return readers.load_shape("xml", shape, addresses, **given, **options)


def _load_old(
    readers: Readers, shape: Shape, addresses: Sequence[str], schema: str | None, options: Mapping[str, Any]
) -> Any:
    """spark-xml on Spark 3.5 takes one text of paths with commas between them, reads no text beside elements, and takes
    for a row whatever stands between a row's tags."""
    for option, code, why in (
        ("mixed", "xml_mixed_text", "has text beside elements, which Spark 3.5 does not read"),
        ("hidden", "xml_hidden_rows", "has rows inside of a comment or CDATA, which Spark 3.5 would read"),
        ("read_as", "compression_mismatch", "is compressed otherwise than its name says, which Spark 3.5 cannot read"),
    ):
        if option in dict(shape.options):
            raise FileError(code, f"{addresses[0]} {why}.", "Use a cluster with Spark 4, or leave the file out.",
                            path=addresses[0])  # fmt: skip
    reader = readers.spark.read.format("xml").options(**READ_OPTIONS, **options)
    if schema is not None:
        reader = reader.schema(schema)
    # the pattern may mean a neighbour's name too; rows are kept by their file's address
    return reader.load(",".join(spark_path(address, readers.access).replace(",", "?") for address in addresses))


def _corrupt(converter: Converter) -> str:
    """A column for malformed rows that no element of any file is called."""
    return f"c{converter.end}"


# ---- what an element may be


def merged(one: types.Type, other: types.Type) -> types.Type:
    """What can hold both: an element that comes once and often is an array; one with attributes and without, a struct
    whose text is a value of its own."""
    if isinstance(one, types.Array) or isinstance(other, types.Array):
        inner = [each.element if isinstance(each, types.Array) else each for each in (one, other)]
        return types.Array(merged(*inner))
    if isinstance(one, types.Struct) or isinstance(other, types.Struct):
        return _both(_struct(one), _struct(other))
    return types.STRING


def _struct(type_: types.Type) -> types.Struct:
    return type_ if isinstance(type_, types.Struct) else types.Struct((types.Field(OWN_TEXT, types.STRING),))


def _both(one: types.Struct, other: types.Struct) -> types.Struct:
    fields = {field.name: field.type for field in one.fields}
    for field in other.fields:
        fields[field.name] = merged(fields[field.name], field.type) if field.name in fields else field.type
    return types.Struct(tuple(types.Field(name, type_) for name, type_ in fields.items()))


def _texts(type_: types.Type) -> types.Type:
    """The same with texts at the leaves; XML has no maps."""
    if isinstance(type_, types.Array):
        return types.Array(_texts(type_.element))
    if isinstance(type_, types.Struct):
        return types.Struct(tuple(types.Field(field.name, _texts(field.type)) for field in type_.fields))
    return types.STRING


# ---- types of what stands in the leaves


def leaves(value: Expression, type_: types.Type, path: tuple[str, ...]) -> Iterator[tuple[str, Expression]]:
    """Path → array of the texts at that place of a row. Deeper than a conversion from text can go, nothing."""
    yield from _leaves(value, type_, path, types.MAX_DEPTH, many=False)


def _leaves(
    value: Expression, type_: types.Type, path: tuple[str, ...], levels: int, *, many: bool
) -> Iterator[tuple[str, Expression]]:
    if not types.is_nested(type_):
        yield _MARK.join(path), value if many else F.array(value)
    elif levels and isinstance(type_, types.Struct):
        for field in type_.fields:
            yield from _leaves(value[field.name], field.type, (*path, field.name), levels - 1, many=many)
    elif levels and isinstance(type_, types.Array):
        yield from _leaves(F.flatten(value) if many else value, type_.element, path, levels - 1, many=True)


def typed(type_: types.Type, path: tuple[str, ...], found: Mapping[str, types.Type]) -> types.Type:
    """The type with those of its leaves, ``found`` by their paths."""
    if isinstance(type_, types.Array):
        return types.Array(typed(type_.element, path, found))
    if isinstance(type_, types.Struct):
        return types.Struct(
            tuple(types.Field(field.name, typed(field.type, (*path, field.name), found)) for field in type_.fields)
        )
    return found.get(_MARK.join(path), types.STRING)
