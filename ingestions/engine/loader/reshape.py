"""Typed values of files (Parquet) in the form that a table has them, field by field and without a detour over text,
which would cut a moment's fraction and take base64 for bytes."""

from __future__ import annotations

from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.loader.convert import Expression
from ingestions.engine.schema.types import MAX_DEPTH, Array, Atomic, Map, Struct, Type, depth, is_nested, widens

#: how moments stand in JSON: with every digit that they have.
JSON_OPTIONS = {
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


def contained(source: Type, target: Type) -> bool:
    """Whether each value of ``source`` is, field by field, a value of ``target``; fields that only the table has are
    null."""
    if widens(source, target):
        return True
    if isinstance(source, Struct) and isinstance(target, Struct):
        there = {field.name: field.type for field in target.fields}
        return all(field.name in there and contained(field.type, there[field.name]) for field in source.fields)
    if isinstance(source, Array) and isinstance(target, Array):
        return contained(source.element, target.element)
    if isinstance(source, Map) and isinstance(target, Map):
        return source.key == target.key and contained(source.value, target.value)
    return False


def reshaped(value: Expression, source: Type, target: Type) -> Expression:
    """For types of which :func:`contained` holds."""
    if source == target:
        return value
    if isinstance(source, Struct) and isinstance(target, Struct):
        return F.when(value.isNotNull(), F.struct(*_fields(value, source, target)))
    if isinstance(source, Array) and isinstance(target, Array):
        inner, wanted = source.element, target.element
        return F.transform(value, lambda each: reshaped(each, inner, wanted))
    if isinstance(source, Map) and isinstance(target, Map):
        inner, wanted = source.value, target.value
        return F.transform_values(value, lambda _key, each: reshaped(each, inner, wanted))
    return value.cast(str(target))


def _fields(value: Expression, source: Struct, target: Struct) -> list[Any]:
    there = {field.name: field.type for field in source.fields}
    return [
        (
            reshaped(value[field.name], there[field.name], field.type)
            if field.name in there
            else F.lit(None).cast(str(field.type))
        ).alias(field.name)
        for field in target.fields
    ]


def holds_bytes(type_: Type) -> bool:
    """Whether JSON could not tell the value: bytes are base64 there, and so is some text."""
    if isinstance(type_, Struct):
        return any(holds_bytes(field.type) for field in type_.fields)
    if isinstance(type_, Map):
        return holds_bytes(type_.value) or holds_bytes(type_.key)
    return holds_bytes(type_.element) if isinstance(type_, Array) else type_ == Atomic("binary")


def only_text(source: Type | None, target: Type) -> bool:
    """Whether a typed value that is not :func:`contained` can be rescued only, not converted by way of its JSON."""
    return source is not None and is_nested(source) and (holds_bytes(source) or depth(target) > MAX_DEPTH)
