"""Files whose content is loaded already, under another name or another version: found by their size and the store's
checksum, else by a hash that the cluster reckons over files of one size. Nothing is read where sizes differ.

A file is skipped only for one that *is* loaded. Of several that wait, the first is loaded and the others wait for what
becomes of it: if it cannot be read, the next one takes its turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoloader.lib.chunks import chunks
from autoloader.lib.errors import FileError
from ingestions.engine.context import Context
from ingestions.engine.first_bytes import Opening
from ingestions.engine.ledger import Entry, Twin
from ingestions.engine.loader.base import TableLoader, Unnamed

#: an ETag that is the MD5 of what was put in one piece; of several pieces it also says how many.
_ETAG = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
#: bytes above which a file is not read to tell whether it is a duplicate: a task holds the whole of it.
LARGEST = 512 * 1024**2
#: files that are hashed in one job.
TOGETHER = 500


@dataclass
class Duplicates:
    """Of one run."""

    context: Context
    opening: Opening

    def without(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries to plan with. Duplicates of what is loaded are skipped; those of each other wait."""
        if not self.context.config.format.dedupe_content or not entries:
            return list(entries)
        twins = self.context.store.twins(entries)
        contents = self._contents(entries, twins)
        loaded: dict[tuple[int, str], Twin] = {}
        for twin in twins:
            if content := contents.get(twin.id):
                loaded.setdefault((twin.file.size_bytes, content), twin)
        kept: list[Entry] = []
        first: set[tuple[int, str]] = set()
        for entry in sorted(entries, key=lambda each: each.id):
            key = (entry.file.size_bytes, contents.get(entry.id, ""))
            if key[1] and key in loaded:
                self.context.store.duplicate(entry.id, loaded[key])
            elif not key[1] or key not in first:
                first.add(key)
                kept.append(entry)
        return kept

    def _contents(self, entries: Sequence[Entry], twins: Sequence[Twin]) -> dict[int, str]:
        """Entry id → what its content is known by, for files that are not alone with their size."""
        by_size: dict[int, list[Twin]] = {}
        for each in (*twins, *(Twin(entry.id, entry.file, entry.checksum) for entry in entries)):
            by_size.setdefault(each.file.size_bytes, []).append(each)
        found: dict[int, str] = {}
        unknown: list[Twin] = []
        for size, group in by_size.items():
            if len(group) < 2 or not size:
                continue
            if all(_is_md5(each) for each in group) or _equal_etags(group):
                found |= {each.id: each.file.version for each in group}
                continue
            found |= {each.id: each.checksum for each in group if each.checksum}
            unknown += [each for each in group if not each.checksum and size <= LARGEST]
        return found | self._hashed(unknown)

    def _hashed(self, files: Sequence[Twin]) -> dict[int, str]:
        if not files:
            return {}
        self.context.store.phase(f"comparing the content of {len(files):,} files of equal size")
        found: dict[int, str] = {}
        for part in chunks(files, TOGETHER):
            hashes = _readable(self.opening.get(), part)
            found |= {each.id: hashes[each.id] for each in part if each.id in hashes}
        self.context.store.set_checksums(found)
        return found


def _readable(loader: TableLoader, files: Sequence[Twin]) -> Mapping[int, str]:
    """Hashes of the files that can be read. What is wrong with the others is found out when they are loaded."""
    left = {each.file.address: each for each in files}
    while left:
        try:
            return loader.hashes(list(left.values()))
        except FileError as error:
            if left.pop(error.path, None) is None:
                return {}
        except Unnamed:
            return {}
    return {}


def _is_md5(file: Twin) -> bool:
    found = _ETAG.fullmatch(file.file.version)
    return found is not None and found[1] is None


def _equal_etags(files: Sequence[Twin]) -> bool:
    """Content put in the same pieces has equal ETags; other pieces say nothing."""
    return len({each.file.version for each in files}) == 1 and _ETAG.fullmatch(files[0].file.version) is not None
