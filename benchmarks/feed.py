"""The files that the benchmarks load: JSON, one object a line, of the columns in ``benchmarks.by_hand.SCHEMA``."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def content(number: int, rows: int) -> bytes:
    lines = (
        json.dumps(
            {
                "id": number * rows + row,
                "name": f"customer {row} of {number}",
                "amount": round(row * 1.37 + number, 2),
                "at": f"2026-01-{row % 28 + 1:02d}T{row % 24:02d}:30:00Z",
                "active": row % 3 == 0,
            }
        )
        for row in range(rows)
    )
    return "".join(f"{line}\n" for line in lines).encode()


def put(client: Any, bucket: str, prefix: str, *, files: int, rows: int, first: int = 0) -> None:
    """Writes ``files`` objects ``<prefix>f<number>.json``."""

    def one(number: int) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}f{number:06d}.json", Body=content(number, rows))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(first, first + files)))
