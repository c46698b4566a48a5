"""All feeds of the corpus. A new case is one entry of one of them, or a feed of its own where its files would disturb
the types of the others or need other options."""

from __future__ import annotations

from tests.corpus import csv_options, csv_values, json_files, names, other_formats, parquet_files
from tests.corpus.case import Feed
from tests.corpus.csv_dialects import DIALECTS

FEEDS: tuple[Feed, ...] = (
    DIALECTS,
    csv_values.TYPED,
    csv_values.IN_BERLIN,
    csv_values.GUESSED,
    *csv_options.FEEDS,
    *json_files.FEEDS,
    *parquet_files.FEEDS,
    *other_formats.FEEDS,
    names.NAMES,
)
