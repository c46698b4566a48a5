"""Events of a shop as real systems write them: the same rows as JSON lines, as CSV and as Parquet.

A JSON line has about 590 bytes. Everything comes out of generators with fixed seeds, so each call makes the same files.
"""

from __future__ import annotations

import csv
import io
import json
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: as Spark writes it; the order is that of the files' columns.
SCHEMA = (
    "id bigint, request string, at timestamp, received timestamp, event string, "
    "customer_id bigint, name string, email string, country string, city string, session string, "
    "product string, url string, agent string, quantity bigint, price double, total double, "
    "discount double, currency string, newcomer boolean, consent boolean, note string"
)
KINDS = ("json", "csv", "parquet")
_ARROW = {
    "bigint": pa.int64(),
    "string": pa.string(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_TYPES = dict(column.split() for column in SCHEMA.split(", "))
_START = datetime(2026, 1, 1, tzinfo=UTC)
_EVENTS = ("order_placed", "item_added", "item_removed", "payment_confirmed", "order_shipped", "page_viewed")
_FIRST = ("Anna", "Jürgen", "Marie", "Łukasz", "Sofía", "John", "Zoë", "Mehmet", "Ingrid", "Paolo")
_LAST = ("Müller", "Nowak", "García", "Smith", "O'Brien", "Rossi", "Lindström", "Yılmaz", "Dubois", "van den Berg")
_PLACES = (("DE", "Köln"), ("DE", "Berlin"), ("FR", "Lyon"), ("PL", "Kraków"), ("ES", "Sevilla"), ("GB", "Leeds"))
_THINGS = ("walking-boots", "rain-jacket", "camping-stove", "head-torch", "sleeping-bag", "trekking-poles")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Firefox/132.0",
    "ShopApp/7.4.1 (iPhone; iOS 18.1)",
)
_NOTES = (
    "Please ring twice",
    'The parcel shop "Am Markt", please',
    "Lieferung bitte an die Tür, nicht in den Flur",
    "gift, no invoice in the box",
)


def files(number: int, rows: int) -> dict[str, bytes]:
    """The ``number``-th file of so many rows, by format. The first row has a value in each column."""
    columns = _columns(number, rows)
    instants = {name: columns[name] for name, kind in _TYPES.items() if kind == "timestamp"}
    told = {name: [_iso(micros) for micros in each] for name, each in instants.items()}
    texts = [dict(zip(columns, row, strict=True)) for row in zip(*{**columns, **told}.values(), strict=True)]
    return {"json": _json(texts), "csv": _csv(texts), "parquet": _parquet(columns)}


def _columns(number: int, rows: int) -> dict[str, list[Any]]:
    """Column → values; timestamps are microseconds since 1970."""
    draw = random.Random(number)
    customers = [draw.randrange(1, 200_000) for _ in range(rows)]
    names = [f"{_FIRST[customer % 10]} {_LAST[customer // 10 % 10]}" for customer in customers]
    places = [_PLACES[customer % len(_PLACES)] for customer in customers]
    things = draw.choices(_THINGS, k=rows)
    codes = [f"{thing[:2].upper()}-{draw.randrange(10_000, 99_999)}" for thing in things]
    milliseconds = [((number * rows + row) * 250 + draw.randrange(250)) for row in range(rows)]
    begin = int(_START.timestamp() * 1000)
    quantities = draw.choices((1, 1, 1, 2, 3, 10), k=rows)
    prices = [draw.randrange(199, 49_999) / 100 for _ in range(rows)]
    return {
        "id": [10_000_000_000 + number * rows + row for row in range(rows)],
        "request": [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(rows)],
        "at": [(begin + each) * 1000 for each in milliseconds],
        "received": [(begin + each + draw.randrange(20, 900)) * 1000 for each in milliseconds],
        "event": draw.choices(_EVENTS, k=rows),
        "customer_id": customers,
        "name": names,
        "email": [f"c{customer}@mail.example" for customer in customers],
        "country": [country for country, _ in places],
        "city": [city for _, city in places],
        "session": [f"{draw.getrandbits(64):016x}" for _ in range(rows)],
        "product": codes,
        "url": [f"https://shop.example/p/{code}" for code in codes],
        "agent": draw.choices(_AGENTS, k=rows),
        "quantity": quantities,
        "price": prices,
        "total": [round(price * quantity, 2) for price, quantity in zip(prices, quantities, strict=True)],
        "discount": _sometimes(draw, [each / 100 for each in range(50, 2000, 25)], rows, empty=0.6),
        "currency": ["GBP" if country == "GB" else "EUR" for country, _ in places],
        "newcomer": [customer % 5 == 0 for customer in customers],
        "consent": [customer % 3 != 0 for customer in customers],
        "note": _sometimes(draw, _NOTES, rows, empty=0.7),
    }


def _sometimes(draw: random.Random, values: Sequence[Any], rows: int, *, empty: float) -> list[Any]:
    return [None if row and draw.random() < empty else draw.choice(values) for row in range(rows)]


def _iso(micros: int) -> str:
    """As ``2026-01-01T00:00:00.250Z``."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(_TYPES), lineterminator="\n")
    writer.writeheader()
    flags = [name for name, kind in _TYPES.items() if kind == "boolean"]
    # Python would write True, which is no other system's spelling
    writer.writerows({**row, **{name: "true" if row[name] else "false" for name in flags}} for row in rows)
    return text.getvalue().encode()


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in _TYPES.items()])
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pydict(columns, schema), written)
    return written.getvalue()
