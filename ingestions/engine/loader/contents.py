"""What files hold, as one word each: to tell those apart that have the same size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyspark.sql.connect.functions as F

from ingestions.engine.ledger import Twin

if TYPE_CHECKING:
    from ingestions.engine.loader.readers import Readers


def hashes(readers: Readers, files: Sequence[Twin]) -> dict[int, str]:
    """Id → SHA-256, for those that are still the version that is meant."""
    same = readers.versions.same([each.file for each in files])
    rows = readers.load("binaryFile", [each.file.address for each in files]).where(same)
    found = rows.select(readers.address().alias("file"), F.sha2(F.col("content"), 256).alias("hash")).collect()
    by_address = {row["file"]: row["hash"] for row in found}
    # two versions of one address may be asked for; only one of them can be there
    ids: dict[str, list[Twin]] = {}
    for each in files:
        ids.setdefault(each.file.address, []).append(each)
    return {group[-1].id: by_address[address] for address, group in ids.items() if address in by_address}
