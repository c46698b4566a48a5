"""CSV files whose batch takes seconds, and such that are gone through in no time."""

from __future__ import annotations

from pathlib import Path


def write_large(folder: Path, *, files: int, rows: int) -> int:
    """So many ``rows`` in all, in ``files`` of equal size; a file has whole thousands of them. How many rows."""
    block = "".join(f"{number},{'x' * 60},{number * 3.5},2026-01-01 10:00:00\n" for number in range(1000))
    for number in range(files):
        with (folder / f"large-{number}.csv").open("w") as file:
            file.write("id,name,amount,at\n")
            for _ in range(rows // 1000 // files):
                file.write(block)
    return rows


def write_small(folder: Path, count: int) -> int:
    """Files of one row. How many rows."""
    for number in range(count):
        (folder / f"{number:03}.csv").write_text(f"id,name\n{number},x\n")
    return count
