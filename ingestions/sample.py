"""The bundled sample: sixty days of a shop's order lines, as CSV files with what such exports have.

One file a day. Every third is gzipped, some begin with a byte-order mark, addresses hold commas and notes line breaks,
two columns come in the second month, and in its middle the export changes the order of its columns once. A few
quantities are words. The same bytes come out on every machine: the generator has its own random numbers.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TypeVar

FIRST_DAY = date(2025, 3, 1)
DAYS = 60
#: the day (counted from 0) from which the columns of the second month are there.
NEW_COLUMNS_FROM = 31
#: the day from which the columns stand in another order.
REORDERED_FROM = 45

Item = TypeVar("Item")

_FIRST_COLUMNS = (
    "order_id",
    "line",
    "ordered_at",
    "customer",
    "address",
    "postcode",
    "city",
    "country",
    "sku",
    "product",
    "quantity",
    "unit_price",
    "currency",
    "coupon",
    "note",
)
_LATER_COLUMNS = (*_FIRST_COLUMNS, "delivery_method", "gift_wrap")
_REORDERED_COLUMNS = (
    "ordered_at",
    "order_id",
    "line",
    "sku",
    "product",
    "quantity",
    "currency",
    "unit_price",
    "coupon",
    "delivery_method",
    "gift_wrap",
    "customer",
    "country",
    "city",
    "postcode",
    "address",
    "note",
)

_CUSTOMERS = (
    "Anna Müller", "Jürgen Groß", "Zoë van den Berg", "Łukasz Wójcik", "Siobhán O’Neill", "José Núñez", "Chloé Lefèvre",
    "Mette Sørensen", "Bjørn Ødegård", "Ian Smith", "Priya Sharma", "Marta Kowalska", "Café Zentral, Inh. K. Bauer",
    "Émile Girard", "Nora Äkerlund", "Tom \"Tommy\" Baker", "Sofia Rossi", "Dimitris Παπαδόπουλος", "陳大文",
    "Lea 🌻 Vogel",
)  # fmt: skip
_PLACES = (
    ("Prager Straße 12", "01067", "Dresden", "DE"),
    ("Sendlinger Str. 8, Rückgebäude", "80331", "München", "DE"),
    ("Prinsengracht 263, 2 hoog", "1016 GV", "Amsterdam", "NL"),
    ("ul. Floriańska 15/4", "31-019", "Kraków", "PL"),
    ("12 St Andrew Street, Flat 3", "D02 X285", "Dublin", "IE"),
    ("Calle de la Cruz, 7, 3º izq.", "28012", "Madrid", "ES"),
    ("9 rue de l’Église\nBâtiment B", "67000", "Strasbourg", "FR"),
    ("Nørrebrogade 44, 1. tv", "2200", "København", "DK"),
    ("Karl Johans gate 5", "0154", "Oslo", "NO"),
    ("Via Garibaldi, 21", "16124", "Genova", "IT"),
)
_PRODUCTS = (
    ("TEA-0101", "Assam, loose, 250 g", 890),
    ("TEA-0107", "Sencha “Yabukita”, 100 g", 1250),
    ("TEA-0114", "Earl Grey, 20 bags", 420),
    ("COF-0203", "Espresso beans, 1 kg", 2190),
    ("COF-0208", "Filter coffee, ground, 500 g", 1180),
    ("CUP-0301", "Cup, 0,2 l, blue", 1495),
    ("CUP-0302", "Cup, 0,2 l, white", 1495),
    ("POT-0310", "Teapot with strainer, 1.2 l", 3900),
    ("HON-0402", "Linden honey, 500 g", 750),
    ("BIS-0511", "Shortbread, 12 pcs", 560),
    ("FIL-0601", "Paper filters no. 4, 100 pcs", 340),
    ("GIF-0900", "Gift box 🎁", 495),
)
_CURRENCIES = {"PL": "PLN", "DK": "DKK", "NO": "NOK"}
_COUPONS = ("", "", "", "", "", "", "", "SPRING10", "WELCOME", "FREESHIP")
_NOTES = (
    "", "", "", "", "", "", "", "", "", "",
    "Please ring twice",
    "Leave with the neighbour,\nMrs. Böhm, ground floor",
    "Invoice to: Café Zentral, dept. 3",
    "It is a present; no prices, please 🙏",
    "She said \"after 6 pm\"",
)  # fmt: skip
_DELIVERIES = ("standard", "standard", "standard", "express", "pick-up")
_WORDS = ("two", "n/a", "a dozen", "1 box")


@dataclass(frozen=True)
class SampleFile:
    """One day's file: its ``name``, its header and its rows as they stand in it (column to text, empty for nothing)."""

    day: date
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    has_bom: bool
    is_gzipped: bool

    @property
    def name(self) -> str:
        return f"orders-{self.day.isoformat()}.csv{'.gz' if self.is_gzipped else ''}"

    @property
    def modified_at(self) -> datetime:
        """When the shop's export wrote it: the night after."""
        return datetime.combine(self.day + timedelta(days=1), time(2, 15), tzinfo=UTC)

    def content(self) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        data = text.getvalue().encode("utf-8-sig" if self.has_bom else "utf-8")
        return gzip.compress(data, 9, mtime=0) if self.is_gzipped else data


class _Numbers:
    """SplitMix64: a sequence of 64-bit numbers from a seed, the same with every Python."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, limit: int) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return (mixed ^ (mixed >> 31)) % limit

    def one_of(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]


def sample_files() -> Iterator[SampleFile]:
    """The files in the order of their days."""
    for number in range(DAYS):
        day = FIRST_DAY + timedelta(days=number)
        columns = _columns(number)
        numbers = _Numbers(20250301 + number)
        rows = tuple(_day(numbers, number, day, columns))
        yield SampleFile(day, columns, rows, has_bom=number % 7 == 4, is_gzipped=number % 3 == 2)


def write_sample(folder: Path) -> list[Path]:
    """Writes the files that are not there yet, each at once under its final name. Returns all paths, sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in sample_files():
        path = folder / file.name
        paths.append(path)
        if path.exists():
            continue
        part = folder / f".{file.name}.part"
        part.write_bytes(file.content())
        moment = file.modified_at.timestamp()
        os.utime(part, (moment, moment))
        part.replace(path)
    return sorted(paths)


def expected_rows() -> dict[str, list[dict[str, str]]]:
    """Each file's rows by its name, from the generator's own data and not by reading the files."""
    return {file.name: [dict(row) for row in file.rows] for file in sample_files()}


def _columns(number: int) -> tuple[str, ...]:
    if number < NEW_COLUMNS_FROM:
        return _FIRST_COLUMNS
    return _LATER_COLUMNS if number < REORDERED_FROM else _REORDERED_COLUMNS


def _day(numbers: _Numbers, number: int, day: date, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    orders = 38 + numbers.below(24) + (18 if day.weekday() >= 5 else 0)
    seconds = sorted(6 * 3600 + numbers.below(17 * 3600) for _ in range(orders))
    for count, second in enumerate(seconds):
        yield from _order(numbers, f"{day:%y%m%d}-{count + 1:04d}", day, second, columns, odd=count == number)


def _order(
    numbers: _Numbers, order_id: str, day: date, second: int, columns: tuple[str, ...], *, odd: bool
) -> Iterator[dict[str, str]]:
    """The lines of one order. Of an ``odd`` one the first quantity is a word now and then, as people type them."""
    address, postcode, city, country = numbers.one_of(_PLACES)
    moment = datetime.combine(day, time(), tzinfo=UTC) + timedelta(seconds=second)
    order = {
        "order_id": order_id,
        "ordered_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "customer": numbers.one_of(_CUSTOMERS),
        "address": address,
        "postcode": postcode,
        "city": city,
        "country": country,
        "currency": _CURRENCIES.get(country, "EUR"),
        "coupon": numbers.one_of(_COUPONS),
        "note": numbers.one_of(_NOTES),
        "delivery_method": numbers.one_of(_DELIVERIES),
        "gift_wrap": "true" if numbers.below(9) == 0 else "false",
    }
    for line in range(1, 2 + numbers.below(3)):
        sku, product, cents = numbers.one_of(_PRODUCTS)
        quantity = str(1 + numbers.below(4))
        if odd and line == 1 and day.day % 9 == 0:
            quantity = numbers.one_of(_WORDS)
        price = f"{cents // 100}.{cents % 100:02d}"
        row = {**order, "line": str(line), "sku": sku, "product": product, "quantity": quantity, "unit_price": price}
        yield {column: row[column] for column in columns}
