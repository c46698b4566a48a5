"""Files of several formats in one folder, each read as what it is."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from autoloader.lib.errors import FileError
from tests.engine.avro import avro_file, text, whole
from tests.engine.loader.feed import Feed

NewFeed = Callable[..., Feed]


def written(module: object) -> bytes:
    sink = io.BytesIO()
    table = pa.table({"id": pa.array([1], pa.int64()), "name": pa.array(["Ann"])})
    module.write_table(table, sink)  # type: ignore[attr-defined]
    return sink.getvalue()


FILES: dict[str, tuple[str, bytes]] = {
    "a": ("csv", b"id;name\n1;Ann\n"),
    "b.csv": ("json", b'{"id": 1, "name": "Ann"}\n'),
    "c": ("json", b'[\n {"id": 1,\n "name": "Ann"}]'),
    "d.json": ("xml", b"<o><r><id>1</id><name>Ann</name></r></o>"),
    "e.txt": ("parquet", written(pq)),
    "f": ("orc", written(orc)),
    "g.parquet": ("avro", avro_file([{"name": "id", "type": "long"}, {"name": "name", "type": "string"}],
                                    [whole(1) + text("Ann")])),
    "h.parquet": ("csv", gzip.compress("id,name\r\n1,Ann".encode("utf-16"))),
}  # fmt: skip


@pytest.mark.spark
def test_each_file_is_read_as_what_it_is(feed: NewFeed) -> None:
    rows = feed("auto")
    entries = [rows.sniffed(name, data) for name, (_, data) in FILES.items()]
    assert [entry.shape.format for entry in entries if entry.shape] == [format_ for format_, _ in FILES.values()]
    loaded = rows.load(*entries)
    assert rows.types() == {"id": "bigint", "name": "string"}
    assert [(row["id"], row["name"], row["_rescued_data"]) for row in loaded.rows] == [(1, "Ann", None)] * len(FILES)
    assert len({row["_source_file"] for row in loaded.rows}) == len(FILES)


@pytest.mark.spark
@pytest.mark.parametrize("data", [b"<html><body>no</body></html>", b"\x00\x01\x02", b"%PDF-1.7"])
def test_what_is_no_data_is_refused(feed: NewFeed, data: bytes) -> None:
    with pytest.raises(FileError):
        feed("auto").sniffed("a", data)
