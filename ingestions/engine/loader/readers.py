"""Files of one shape to a :class:`RawFrame`. Text stays text here; nothing is guessed and nothing is cast."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyspark.sql.connect.functions as F

from autoloader.lib.errors import ConfigError, FileError
from autoloader.lib.spark_formats import NOWHERE, is_missing, lacking
from ingestions.engine.config import IngestionConfig
from ingestions.engine.formats.options import null_texts, records_path
from ingestions.engine.formats.shape import Shape
from ingestions.engine.loader import csv_rows, plain_rows, typed_rows, xml_rows
from ingestions.engine.loader.base import Column
from ingestions.engine.loader.convert import Converter, Expression, any_of, total
from ingestions.engine.loader.folders import Folders, Weigh
from ingestions.engine.loader.matching import OURS, Rules
from ingestions.engine.loader.paths import READ_OPTIONS, folder_path, link_options, link_path, source_file, spark_path
from ingestions.engine.loader.rows import NO_RECORDS, PAIRS, Filled, RawFrame, is_given
from ingestions.engine.loader.versions import Versions
from ingestions.engine.schema import types
from ingestions.engine.sources.base import SparkAccess

#: what Spark makes of a number with a point or an exponent when it gives its text.
_CAME_THROUGH = r"^-?[0-9]+\.[0-9]+(?:E-?[0-9]+)?$|^\"-?Infinity\"$"


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
        self.options = config.format.options
        self.nulls = null_texts(self.options)
        self._there: set[str] = set()  # formats that this cluster is known to have

    def raw_frame(
        self, shape: Shape, addresses: Sequence[str], columns: Sequence[Column], converter: Converter
    ) -> RawFrame:
        """Files of one shape against the table's columns."""
        match shape.format:
            case "csv":
                return csv_rows.frame(self, shape, addresses, columns)
            case "json":
                return self._json(shape, addresses, columns, converter)
            case "xml":
                return xml_rows.frame(self, shape, addresses, columns, converter)
            case "text":
                return plain_rows.frame(self, shape, addresses, columns)
            case _:
                return typed_rows.frame(self, shape, addresses, columns)

    @cached_property
    def version(self) -> str:
        """Spark's, as the cluster says it."""
        return str(self.spark.version)

    @property
    def old(self) -> bool:
        """Whether the cluster runs Spark 3, whose XML reader is another one."""
        return self.version.startswith("3.")

    @cached_property
    def machine_zone(self) -> str:
        """The zone of the machine that Spark runs on, which is not the session's."""
        return str(self.spark.sql("SELECT reflect('java.time.ZoneId', 'systemDefault') AS zone").collect()[0]["zone"])

    def load_shape(self, format_: str, shape: Shape, addresses: Sequence[str], **options: Any) -> Any:
        """:meth:`load` for files of text, which may be compressed and have names that do not say so."""
        if shape.option("codec") == "zstd":
            self._need_zstd(addresses)
        if "read_as" not in dict(shape.options):
            return self.load(format_, addresses, **options)
        for address in addresses:
            spark_path(address, self.access)  # it refuses names that Spark cannot read
        ending = shape.option("read_as")
        schema = options.pop("schema", None)
        reader = self.spark.read.format(format_).options(**READ_OPTIONS, **options)
        reader = reader.options(**link_options(addresses, ending, self.access))
        if schema is not None:
            reader = reader.schema(schema)
        return reader.load([link_path(address, ending) for address in dict.fromkeys(addresses)])

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
        return df.where(source_file(F.col("_metadata.file_path"), self.access, addresses).isin(addresses))

    def need(self, format_: str) -> None:
        """Raises ConfigError where the cluster has no reader for the format, with the jar to add."""
        if format_ in self._there:
            return
        try:
            _ = self.spark.read.format(format_).schema("a int").option("rowTag", "r").load(NOWHERE).schema
        except Exception as error:
            if is_missing(error):
                message, hint = lacking(format_, self.version)
                raise ConfigError("format_not_on_cluster", message, hint, field="format.type") from None
        self._there.add(format_)

    def _need_zstd(self, addresses: Sequence[str]) -> None:
        """Hadoop unpacks Zstandard by a library of the machine's own, which many clusters have not."""
        if "zstd" in self._there:
            return
        asked = "SELECT reflect('org.apache.hadoop.io.compress.ZStandardCodec', 'isNativeCodeLoaded') AS there"
        if self.spark.sql(asked).collect()[0]["there"] != "true":
            raise FileError(
                "compression_not_available",
                f"{addresses[0]} is compressed with zstd, and the cluster's Hadoop was built without it.",
                "Compress the files with gzip or bzip2, or run a Hadoop with its native zstd library.",
                path=addresses[0],
            )
        self._there.add("zstd")

    def address(self, shape: Shape | None = None, addresses: Sequence[str] | None = None) -> Expression:
        """The ledger's address of the file that a row comes from; shorter where it is known which ``addresses`` of one
        ``shape`` are read."""
        linked = shape is None or "read_as" in dict(shape.options)
        return source_file(F.col("_metadata.file_path"), self.access, None if linked else addresses)

    def file_columns(self, shape: Shape, addresses: Sequence[str]) -> list[Expression]:
        return [
            self.versions.checked(self.address(shape, addresses)).alias("source_file"),
            F.col("_metadata.file_modification_time").alias("modified_at"),
        ]

    def file_columns_by_name(self) -> list[Expression]:
        """Where the file has a column of its own called ``_metadata``, which hides Spark's: when it was written cannot
        be read then."""
        return [
            source_file(F.input_file_name(), self.access).alias("source_file"),
            F.lit(None).cast("timestamp").alias("modified_at"),
        ]

    def null(self, text: Expression) -> Expression:
        """The text, or null where it is one that means no value."""
        if not self.nulls:
            return text
        same = text == self.nulls[0] if len(self.nulls) == 1 else text.isin(*self.nulls)
        return F.when(~same, text)

    # json

    def json_texts(self, shape: Shape, addresses: Sequence[str], converter: Converter) -> Any:
        """One row a record: ``value`` is its text, an object unless it is malformed."""
        multiline, path = shape.option("multiline") == "true", records_path(self.options)
        df = plain_rows.texts(self, shape, addresses, whole=multiline)
        value = _trimmed(F.col("value"))
        missing = F.raise_error(F.concat(F.lit(f"{NO_RECORDS} "), F.col("source_file")))
        if path:
            malformed = F.when(F.lit(not multiline) & converter.objects(value).isNull(), F.array(value))
            value = F.explode(F.coalesce(converter.records(value, path), malformed, missing))
        elif multiline:
            value = F.explode(converter.documents(value))
        df = df.select(value.alias("value"), "source_file", "modified_at")
        return df.select(_trimmed(F.col("value")).alias("value"), "source_file", "modified_at").where(
            F.octet_length("value") > 0
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
        df = df.select("*", self._kept(self.converter.objects(value)).alias("found"))
        known = total([found[key].isNotNull().cast("int") for key in self.keys])
        df = df.select("*", known.alias("known"), self._delicate().alias("delicate"))
        strange = (F.col("known") != F.size(found)) & (F.col("known") != F.size(_values(found)))
        df = df.select("source_file", "modified_at", "value", "found", strange.alias("strange"), "delicate")
        exact = self._kept(self.converter.objects_as_written(value))
        sure = F.when(F.col("strange"), F.map_filter(exact, lambda _key, text: text.isNotNull())).otherwise(
            F.when(F.col("delicate"), exact).otherwise(found)
        )
        df = df.select("source_file", "modified_at", "value", "strange", sure.alias("found"))
        df = df.select("*", F.when(F.col("strange"), self._others()).alias("others"))
        df = df.select("*", F.when(F.col("strange"), self._adopting()).alias("open"))
        df = df.select("*", F.when(F.size("open") > 0, self._taken()).alias("taken"))
        return self._columns(df)

    def _kept(self, found: Expression) -> Expression:
        if not self.dropped:
            return found
        return F.map_filter(found, lambda key, _text: ~key.isin(*self.dropped))

    def _delicate(self) -> Expression:
        """Whether a number's text may not be the file's own: it came through a double, and is not in the line."""
        return any_of(
            [
                came_through_a_double(F.col("value"), key, F.col("found")[key], kind)
                for key, kind in zip(self.keys, self.kinds, strict=True)
            ]
        )

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


def came_through_a_double(line: Expression, key: str, text: Expression, kind: types.Type) -> Expression:
    """Whether a text that the parser made of a number may not be the file's own: it looks like one that was a double in
    between, and does not stand in the line as the value of this key."""
    quick = F.contains(text, F.lit(".")) | F.contains(text, F.lit('Infinity"'))
    if kind == types.STRING:  # most of them begin with a letter
        quick = (text < F.lit(":")) & quick
    pattern = r"[0-9]\.[0-9]|\"-?Infinity\"" if types.is_nested(kind) else _CAME_THROUGH
    return F.coalesce(quick & text.rlike(pattern) & ~_verbatim(line, key, text), F.lit(False))


def _first_called(entries: Expression, lower: Expression) -> Expression:
    return F.get(F.filter(entries, lambda each: F.lower(each["key"]) == lower), F.lit(0))["value"]


def _values(found: Expression) -> Expression:
    return F.filter(F.map_values(found), lambda each: each.isNotNull())


def _verbatim(line: Expression, key: str, text: Expression) -> Expression:
    """The text stands in the line as the value of this key. Other ways to write it cost a second look, no more."""
    name = json.dumps(key, ensure_ascii=False)
    written = [F.concat(F.lit(name + between), text, F.lit(end)) for end in (",", "}") for between in (": ", ":")]
    return any_of([F.contains(line, each) for each in written])


def _trimmed(text: Expression) -> Expression:
    bare = F.startswith(text, F.lit("{")) & F.endswith(text, F.lit("}"))  # trimming looks at each character
    return F.when(bare, text).otherwise(F.btrim(text, F.lit(" \t\r\n\ufeff")))
