"""What do these files have that the table has not? Asked of their first bytes, and of the rows once they are staged:
``_rescued_data`` names each value that found no place. Where nothing was rescued, nothing more is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.functions as F

from ingestions.engine.ledger import Entry
from ingestions.engine.loader.base import RESCUED_DATA, SOURCE_FILE, fields_of
from ingestions.engine.loader.frames import union
from ingestions.engine.loader.matching import Rules, is_reserved, match, unmatched
from ingestions.engine.loader.rows import CORRUPT_RECORD, FILE_PATH, rescue_key
from ingestions.engine.schema import types
from ingestions.engine.schema.diff import Change, Kind, can_grow, diff, promotable
from ingestions.engine.schema.policy import ACTED_ON, Finding, Policy, merged

if TYPE_CHECKING:
    from ingestions.engine.loader.evolving import EvolvingTable

#: so many new names a batch are looked at; a feed whose keys are data would ask for a column each.
MAX_UNKNOWN = 1000
#: files of a name that are looked at for its type.
FILES_LOOKED_AT = 32
_MAP = "map<string,string>"


@dataclass(frozen=True, slots=True)
class Rescued:
    """A key of ``_rescued_data``. ``files``: all that have it where the policy names them, else the first."""

    rows: int
    files: tuple[str, ...]


# ---- first bytes


def in_headers(
    entries: Sequence[Entry], table: Sequence[types.Field], rules: Rules, paths: Mapping[str, Iterable[str]]
) -> tuple[Finding, ...]:
    """Names, and types where the format tells them. ``paths``: names of columns that an address has of its own."""
    return merged(_in_headers(entries, table, rules, paths))


def _in_headers(
    entries: Sequence[Entry], table: Sequence[types.Field], rules: Rules, paths: Mapping[str, Iterable[str]]
) -> Iterator[Finding]:
    by_columns: dict[Any, list[str]] = {}
    names: dict[str, list[str]] = {}
    for entry in entries:
        by_columns.setdefault(entry.shape.columns if entry.shape else (), []).append(entry.file.address)
        for name in paths.get(entry.file.address, ()):
            names.setdefault(name, []).append(entry.file.address)
    for columns, files in by_columns.items():
        typed = [
            types.Field(target, types.storable(types.parse(each.type)))
            for each in columns
            if each.type is not None and (target := rules.target(each.name)) and not is_reserved(target)
        ]
        for change in diff(table, typed, None):
            if change.kind in (Kind.ADDED, Kind.WIDENED):
                yield Finding(change, tuple(files))
        for name in unmatched([each.name for each in columns if each.type is None], table, rules):
            yield Finding(Change(Kind.ADDED, (name,)), tuple(files))
    for name, files in names.items():
        for new in unmatched([name], table, rules):
            yield Finding(Change(Kind.ADDED, (new,)), tuple(files))


# ---- staged rows


def rescued_keys(loader: EvolvingTable, added: Any) -> dict[str, Rescued]:
    """Names in ``_rescued_data`` that the table has not, or whose column could be changed so that it takes them."""
    columns = loader.columns()
    known = {column.name.lower() for column in columns}
    growing = _growing(fields_of(columns), loader.policy)
    keys = added.where(F.col(RESCUED_DATA).isNotNull()).select(
        F.explode(F.json_object_keys(F.col(RESCUED_DATA))).alias("key"), F.col(SOURCE_FILE).alias("file")
    )
    wanted = ~F.lower("key").isin(*known, CORRUPT_RECORD, FILE_PATH)
    if growing:
        wanted |= F.col("key").isin(*growing)
    files = F.array_sort(F.collect_set("file")) if loader.policy.names_files else F.array(F.min("file"))
    rows = (
        keys.where(wanted)
        .groupBy("key")
        .agg(F.count(F.lit(1)).alias("rows"), files.alias("files"))
        .orderBy(F.desc("rows"), "key")
        .limit(MAX_UNKNOWN + len(growing))
        .collect()
    )
    return {row["key"]: Rescued(row["rows"], tuple(row["files"])) for row in rows if not is_reserved(row["key"])}


def _growing(fields: Iterable[types.Field], policy: Policy) -> dict[str, types.Field]:
    """Columns that could be changed so that they take what was rescued, by their key."""
    nested, wider = policy.acts_on(Kind.ADDED, nested=True), policy.acts_on(Kind.WIDENED)
    return {
        rescue_key(field.name): field
        for field in fields
        if (nested and can_grow(field.type)) or ((wider and _may_widen(field.type)) and not is_reserved(field.name))
    }


def _may_widen(type_: types.Type) -> bool:
    if isinstance(type_, types.Struct):
        return any(_may_widen(field.type) for field in type_.fields)
    if isinstance(type_, types.Array):
        return _may_widen(type_.element)
    return _may_widen(type_.value) if isinstance(type_, types.Map) else promotable(type_)


def in_rows(
    loader: EvolvingTable, added: Any, keys: Mapping[str, Rescued], entries: Sequence[Entry]
) -> tuple[Finding, ...]:
    """What the policy acts on of the keys that :func:`rescued_keys` has found, with types."""
    columns = loader.columns()
    growing = _growing(fields_of(columns), loader.policy)
    found = [*_names(loader, keys, entries), *_nested(loader, growing, keys, entries)]
    plain = {key: field.type for key, field in growing.items() if key in keys and not types.is_nested(field.type)}
    if plain:
        found += [
            Finding(Change(Kind.WIDENED, (growing[key].name,), plain[key], wider), keys[key].files)
            for key, wider in _wider(loader, added, plain).items()
        ]
    return tuple(finding for finding in found if loader.policy.verdict(finding.change) in ACTED_ON)


def _names(loader: EvolvingTable, keys: Mapping[str, Rescued], entries: Sequence[Entry]) -> Iterator[Finding]:
    """Columns that the table has not, with types as far as the files really have them."""
    columns = loader.columns()
    files: dict[str, dict[str, None]] = {}
    for key, rescued in keys.items():
        for name in unmatched([key], columns, loader.rules):
            if loader.policy.verdict(Change(Kind.ADDED, (name,))) in ACTED_ON:
                files.setdefault(name.lower(), {}).update(dict.fromkeys(rescued.files))
    if not files:
        return
    for column in loader.infer(_of(entries, files.values()), list(files)):
        addresses = tuple(files[column.name.lower()])
        yield Finding(Change(Kind.ADDED, (column.name,), None, types.parse(column.type)), addresses)


def _nested(
    loader: EvolvingTable, growing: Mapping[str, types.Field], keys: Mapping[str, Rescued], entries: Sequence[Entry]
) -> Iterator[Finding]:
    """Fields inside of columns: what the files' types have more than the table's."""
    asked = {key: field for key, field in growing.items() if key in keys and types.is_nested(field.type)}
    if not asked:
        return
    files = [dict.fromkeys(keys[key].files) for key in asked]
    inferred = loader.infer(_of(entries, files), [field.name for field in asked.values()])
    by_name = {field.name.lower(): field for field in fields_of(inferred)}
    for key, field in asked.items():
        seen = by_name.get(field.name.lower())
        for change in diff([field], [seen]) if seen is not None else ():
            if change.kind in (Kind.ADDED, Kind.WIDENED):
                yield Finding(change, keys[key].files)


def _of(entries: Sequence[Entry], files: Iterable[Iterable[str]]) -> list[Entry]:
    """The entries of some of these files: the first ones of each name."""
    wanted: dict[str, None] = {}
    for each in files:
        wanted.update(dict.fromkeys(list(each)[:FILES_LOOKED_AT]))
    return [entry for entry in entries if entry.file.address in wanted]


def _wider(loader: EvolvingTable, added: Any, columns: Mapping[str, types.Type]) -> dict[str, types.Type]:
    """Key → the type that takes at least one of the values that its column could not."""
    pairs = added.where(F.col(RESCUED_DATA).isNotNull()).select(F.explode(F.from_json(F.col(RESCUED_DATA), _MAP)))
    wanted = pairs.where(F.col("key").isin(*columns))
    scales = sorted({type_.scale for type_ in columns.values() if isinstance(type_, types.Decimal)})
    fits = {
        "bigint": F.count(loader.converter.scalar(F.col("value"), types.BIGINT)),
        "double": F.count(loader.converter.scalar(F.col("value"), types.DOUBLE)),
        **{f"d{scale}": F.max(_whole_digits(loader, scale)) for scale in scales},
    }
    rows = wanted.groupBy("key").agg(*(count.alias(name) for name, count in fits.items())).collect()
    found: dict[str, types.Type] = {}
    for row in rows:
        type_ = columns[row["key"]]
        if isinstance(type_, types.Decimal):
            precision = (row[f"d{type_.scale}"] or 0) + type_.scale
            if type_.precision < precision <= types.MAX_PRECISION:
                found[row["key"]] = types.Decimal(precision, type_.scale)
        elif row["bigint" if str(type_) == "int" else "double"]:
            found[row["key"]] = types.BIGINT if str(type_) == "int" else types.DOUBLE
    return found


def _whole_digits(loader: EvolvingTable, scale: int) -> Any:
    """Digits before the point of a value that a decimal of this scale can hold; null for others."""
    value = loader.converter.scalar(F.col("value"), types.Decimal(types.MAX_PRECISION, scale))
    return F.when(value.isNotNull(), F.length(F.regexp_extract(value.cast("string"), r"^-?0*([0-9]*)", 1)))


# ---- what is left out


def dropped(loader: EvolvingTable, entries: Sequence[Entry]) -> dict[tuple[str, str], int]:
    """Values without a column, per (address, name). A header tells that there are none without reading the file."""
    columns = loader.columns()

    def may_have(entry: Entry) -> bool:
        names = [each.name for each in entry.shape.columns] if entry.shape else []
        found = match(names, columns, loader.rules)
        left = [name for at, name in enumerate(names) if at not in found and loader.rules.target(name) is not None]
        return bool(left) or not names

    asked = [entry for entry in entries if may_have(entry)]
    if not asked:
        return {}
    extra = [
        raw.df.select("source_file", F.explode("extra").alias("each")) for raw in loader.raw_frames(asked, columns)
    ]
    counted = union(extra).groupBy("source_file", F.col("each.key").alias("key")).agg(F.count(F.lit(1)).alias("values"))
    return {(row["source_file"], row["key"]): row["values"] for row in counted.limit(100_000).collect()}
