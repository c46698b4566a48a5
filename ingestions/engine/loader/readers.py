"""Files of one shape to a :class:`RawFrame`. Text stays text here; nothing is guessed and nothing is cast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyspark.sql.connect.functions as F

from ingestions.engine.config import IngestionConfig
from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Converter, Expression, any_of, exact_numbers, total
from ingestions.engine.loader.folders import Folders, Weigh
from ingestions.engine.loader.matching import OURS, Rules, distinct, match
from ingestions.engine.loader.paths import READ_OPTIONS, folder_path, source_file, spark_path
from ingestions.engine.loader.rows import PAIRS, Filled, RawFrame, as_text, is_given
from ingestions.engine.loader.sql import identifier
from ingestions.engine.loader.versions import Versions
from ingestions.engine.schema import types
from ingestions.engine.sources.base import SparkAccess


class Readers:
    """Reads through one session, with one source's access."""

    def __init__(
        self, spark: Any, config: IngestionConfig, access: SparkAccess, rules: Rules, weigh: Weigh | None = None
    ) -> None:
        self.spark = spark
        self.access = access
        self.rules = rules
        self.folders = Folders(weigh)
        self.versions = Versions(access)
        self.null_value = config.format.options.null_value

    def raw_frame(
        self, shape: Shape, addresses: Sequence[str], columns: Sequence[Column], converter: Converter
    ) -> RawFrame:
        """Files of one shape against the table's columns."""
        match shape.format:
            case "csv":
                return self._csv(shape, addresses, columns)
            case "json":
                return self._json(shape, addresses, columns, converter)
            case _:
                return self._parquet(addresses, columns)

    def load(self, format_: str, addresses: Sequence[str], **options: Any) -> Any:
        """The files' rows as Spark reads them, with its metadata. A ``schema`` is given for CSV, and no other format
        whose columns depend on the files is read by folders."""
        schema = options.pop("schema", None)
        reader = self.spark.read.format(format_).options(**READ_OPTIONS, **options)
        if schema is not None:
            reader = reader.schema(schema)
        addresses = list(dict.fromkeys(addresses))
        paths = [spark_path(address, self.access) for address in addresses]  # it refuses names that Spark cannot read
        fixed = schema is not None or format_ in ("text", "binaryFile")
        if not fixed or not (folders := self.folders.of(addresses)):
            return reader.load(paths)
        df = reader.load([folder_path(folder, self.access) for folder in folders])
        return df.where(self.address().isin(addresses))

    def address(self) -> Expression:
        return source_file(F.col("_metadata.file_path"), self.access)

    def _file_columns(self) -> list[Expression]:
        return [
            self.versions.checked(self.address()).alias("source_file"),
            F.col("_metadata.file_modification_time").alias("modified_at"),
        ]

    def _file_columns_by_name(self) -> list[Expression]:
        """Where the file has a column of its own called ``_metadata``, which hides Spark's: when it was written cannot
        be read then."""
        return [
            source_file(F.input_file_name(), self.access).alias("source_file"),
            F.lit(None).cast("timestamp").alias("modified_at"),
        ]

    # csv

    def csv_texts(self, shape: Shape, addresses: Sequence[str]) -> Any:
        """Columns ``c0`` … ``c<n>`` by the header's position, ``corrupt``, ``source_file``, ``modified_at``."""
        count = len(shape.columns)
        schema = ", ".join([*(f"c{at} string" for at in range(count)), "corrupt string"])
        df = self.load("csv", addresses, schema=schema, **_csv_options(shape))
        texts = [self._null(_without_mark(F.col("c0")) if at == 0 else F.col(f"c{at}")) for at in range(count)]
        return df.select(*(text.alias(f"c{at}") for at, text in enumerate(texts)), "corrupt", *self._file_columns())

    def _null(self, text: Expression) -> Expression:
        return text if self.null_value is None else F.when(text != self.null_value, text)

    def _csv(self, shape: Shape, addresses: Sequence[str], columns: Sequence[Column]) -> RawFrame:
        names = [column.name for column in shape.columns]
        found = match(names, columns, self.rules)
        keys = distinct(names)
        kept = [at for at, name in enumerate(names) if self.rules.target(name) is not None]
        rest = [(keys[at], F.col(f"c{at}")) for at in kept if at not in found]
        given = total([is_given(F.col(f"c{at}"), None).cast("int") for at in kept])
        df = self.csv_texts(shape, addresses).select(
            "source_file",
            "modified_at",
            "corrupt",
            (given + F.col("corrupt").isNotNull().cast("int")).alias("given"),
            _leftover(rest).alias("extra"),
            *(f"c{at}" for at in found),
        )
        return RawFrame(df, tuple(Filled(column, f"c{at}") for at, column in found.items()))

    # parquet

    def _parquet(self, addresses: Sequence[str], columns: Sequence[Column]) -> RawFrame:
        df = self.load("parquet", addresses)
        fields = types.from_json(df.schema.jsonValue())
        assert isinstance(fields, types.Struct)
        names = [field.name for field in fields.fields]
        found = match(names, columns, self.rules)
        kept = [at for at, name in enumerate(names) if self.rules.target(name) is not None]
        source = [F.col(identifier(name)).alias(f"c{at}") for at, name in enumerate(names)]
        kinds = [field.type for field in fields.fields]
        hidden = any(name.lower() == "_metadata" for name in names)
        df = df.select(*source, *(self._file_columns_by_name() if hidden else self._file_columns()))
        keys = distinct(names)
        rest = [(keys[at], as_text(F.col(f"c{at}"), kinds[at])) for at in kept if at not in found]
        given = total([is_given(F.col(f"c{at}"), kinds[at]).cast("int") for at in kept])
        df = df.select(
            "source_file",
            "modified_at",
            F.lit(None).cast("string").alias("corrupt"),
            given.alias("given"),
            _leftover(rest).alias("extra"),
            *(f"c{at}" for at in found),
        )
        return RawFrame(df, tuple(Filled(column, f"c{at}", kinds[at]) for at, column in found.items()))

    # json

    def json_texts(self, shape: Shape, addresses: Sequence[str], converter: Converter) -> Any:
        """One row a record: ``value`` is its text, an object unless it is malformed."""
        encoding = shape.option("encoding", "UTF-8").upper()
        multiline = shape.option("multiline") == "true"
        if encoding in ("UTF-8", "UTF8", "US-ASCII", "ASCII"):
            df = self.load("text", addresses, wholetext=multiline)
            value = F.col("value")
        elif encoding.startswith(("UTF-16", "UTF-32")):  # their line ends are no single bytes
            df = self.load("binaryFile", addresses)
            value = F.decode(F.col("content"), encoding)
        else:
            df = self.load("text", addresses, wholetext=multiline)
            value = F.decode(F.col("value").cast("binary"), encoding)
        if multiline:
            value = F.explode(converter.documents(_trimmed(value)))
        elif encoding.startswith(("UTF-16", "UTF-32")):
            value = F.explode(F.split(value, "\r\n|\n|\r"))
        df = df.select(value.alias("value"), *self._file_columns())
        return df.select(_trimmed(F.col("value")).alias("value"), "source_file", "modified_at").where(
            F.length("value") > 0
        )

    def _json(
        self, shape: Shape, addresses: Sequence[str], columns: Sequence[Column], converter: Converter
    ) -> RawFrame:
        targets = [column for column in columns if column.name not in OURS]
        keys = [self.rules.source(column.name) for column in targets]
        records = JsonRecords(converter, keys, [types.parse(column.type) for column in targets], self.rules.dropped)
        df = records.frame(self.json_texts(shape, addresses, converter))
        return RawFrame(df, tuple(Filled(column, f"c{at}") for at, column in enumerate(targets)))


class JsonRecords:
    """Objects to one text column a key. Nearly every record has known keys and harmless numbers only; what costs more
    is done for the others alone."""

    def __init__(
        self, converter: Converter, keys: Sequence[str], kinds: Sequence[types.Type], dropped: frozenset[str]
    ) -> None:
        self.converter = converter
        self.keys = list(keys)
        self.kinds = list(kinds)
        self.dropped = dropped

    def frame(self, df: Any) -> Any:
        value, found = F.col("value"), F.col("found")
        df = df.select("*", self._objects(value).alias("found"))
        known = total([found[key].isNotNull().cast("int") for key in self.keys])
        df = df.select("*", known.alias("known"), self._delicate().alias("delicate"))
        strange = (F.col("known") != F.size(found)) & (F.col("known") != F.size(_values(found)))
        df = df.select("source_file", "modified_at", "value", "found", strange.alias("strange"), "delicate")
        exact = self._objects(exact_numbers(value))
        sure = F.when(F.col("strange"), F.map_filter(exact, lambda _key, text: text.isNotNull())).otherwise(
            F.when(F.col("delicate"), exact).otherwise(found)
        )
        df = df.select("source_file", "modified_at", "value", "strange", sure.alias("found"))
        df = df.select("*", F.when(F.col("strange"), self._others()).alias("others"))
        df = df.select("*", F.when(F.col("strange"), self._adopting()).alias("open"))
        df = df.select("*", F.when(F.size("open") > 0, self._taken()).alias("taken"))
        return self._columns(df)

    def _objects(self, text: Expression) -> Expression:
        found = self.converter.objects(text)
        if not self.dropped:
            return found
        return F.map_filter(found, lambda key, _text: ~key.isin(*self.dropped))

    def _delicate(self) -> Expression:
        """Whether a number's text may not be the file's own: it came through a double, and is not in the line."""
        suspects = []
        for key, kind in zip(self.keys, self.kinds, strict=True):
            text = F.col("found")[key]
            pattern = r"^-?[0-9]+\.[0-9]+(?:E-?[0-9]+)?$|^\"-?Infinity\"$"
            if types.is_nested(kind):
                pattern = r"[0-9.]{16}|[0-9]E|\"-?Infinity\""
            long = (F.length(text) > 15) | F.contains(text, F.lit("E")) | F.startswith(text, F.lit('"'))
            suspects.append(F.coalesce(long & text.rlike(pattern) & ~_verbatim(text), F.lit(False)))
        return any_of(suspects)

    def _others(self) -> Expression:
        """Entries that are not the first with a key of the table."""
        found = F.col("found")
        names = F.array(*map(F.lit, self.keys)).cast("array<string>")
        return F.filter(
            F.map_entries(found),
            lambda each, at: (
                (F.length(each["value"]) > 0)
                & ~(F.array_contains(names, each["key"]) & (F.array_position(F.map_keys(found), each["key"]) == at + 1))
            ),
        )

    def _adopting(self) -> Expression:
        """Lower-case names of columns without a value that one of the others fills, but for upper and lower case."""
        free = [F.when(F.col("found")[key].isNull(), F.lower(F.lit(key))) for key in self.keys]
        lowered = F.transform(F.col("others"), lambda each: F.lower(each["key"]))
        return F.array_intersect(F.array(*free).cast("array<string>"), lowered)

    def _taken(self) -> Expression:
        """The text of each of these columns, in one map: an expression a column makes the plan of each batch longer."""
        pairs = F.transform("open", lambda lower: F.struct(lower, _first_called(F.col("others"), lower)))
        return F.map_from_entries(pairs)

    def _columns(self, df: Any) -> Any:
        found, others, adopted = F.col("found"), F.col("others"), F.col("open")
        adopts = F.size(adopted) > 0
        texts = [
            F.coalesce(found[key], F.element_at("taken", F.lower(F.lit(key)))).alias(f"c{at}")
            for at, key in enumerate(self.keys)
        ]
        lowered = F.transform(others, lambda each: F.lower(each["key"]))
        left = F.filter(
            others,
            lambda each, at: (
                ~(
                    F.array_contains(adopted, F.lower(each["key"]))
                    & (F.array_position(lowered, F.lower(each["key"])) == at + 1)
                )
            ),
        )
        keys = F.map_keys(found)
        twice = F.col("strange") & (F.size(F.array_distinct(keys)) != F.size(keys))
        df = df.select("*", *texts)
        filled = total([is_given(F.col(f"c{at}"), None).cast("int") for at in range(len(self.keys))])
        given = F.when(filled == F.size(found), filled).otherwise(
            F.size(F.filter(F.map_values(found), lambda text: F.length(text) > 0))
        )
        return df.select(
            "source_file",
            "modified_at",
            F.when(found.isNull() | twice, F.col("value")).alias("corrupt"),
            F.when(found.isNull(), F.lit(1)).otherwise(given).alias("given"),
            F.when(F.col("strange"), F.when(adopts, left).otherwise(others)).cast(PAIRS).alias("extra"),
            *(f"c{at}" for at in range(len(self.keys))),
        )


def _first_called(entries: Expression, lower: Expression) -> Expression:
    return F.get(F.filter(entries, lambda each: F.lower(each["key"]) == lower), F.lit(0))["value"]


def _values(found: Expression) -> Expression:
    return F.filter(F.map_values(found), lambda each: each.isNotNull())


def _verbatim(text: Expression) -> Expression:
    """The text stands in the line as it is, with the end of a JSON value after it."""
    return any_of([F.contains(F.col("value"), F.concat(text, F.lit(end))) for end in (",", "}", "]")])


def _leftover(rest: list[tuple[str, Expression]]) -> Expression:
    """Values that no column takes, as entries; null where all of them are empty."""
    if not rest:
        return F.lit(None).cast(PAIRS)
    entries = F.array(*(F.struct(F.lit(key).alias("key"), text.alias("value")) for key, text in rest))
    some = any_of([is_given(text, None) for _, text in rest])
    return F.when(some, F.filter(entries, lambda each: F.length(each["value"]) > 0)).cast(PAIRS)


def _trimmed(text: Expression) -> Expression:
    return F.btrim(text, F.lit(" \t\r\n\ufeff"))


def _without_mark(text: Expression) -> Expression:
    mark = F.lit("\ufeff")
    return F.when(F.startswith(text, mark), F.substring(text, 2, 2**31 - 1)).otherwise(text)


def _csv_options(shape: Shape) -> dict[str, Any]:
    encoding = shape.option("encoding", "UTF-8")
    wide = encoding.upper().startswith(("UTF-16", "UTF-32"))  # their line ends are no single bytes
    return {
        "header": shape.option("header", "true"),
        "enforceSchema": "true",
        "sep": shape.option("delimiter", ","),
        "quote": shape.option("quote", '"'),
        "escape": shape.option("escape", '"'),
        "encoding": encoding,
        "multiLine": "true" if wide else shape.option("multiline", "false"),
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": "corrupt",
        "columnPruning": "false",
        "maxColumns": str(max(20_480, len(shape.columns) + 512)),
        "ignoreLeadingWhiteSpace": "false",
        "ignoreTrailingWhiteSpace": "false",
        "inferSchema": "false",
    }
