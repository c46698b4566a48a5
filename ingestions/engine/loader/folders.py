"""Files by their folders. In object storage each path of a list costs Spark three requests before it is opened, and a
folder costs one for a thousand objects: so where a batch is a good part of what lies in its folders, these are listed
and the batch's files are picked out of them. What was picked is the caller's to check: a file that has gone is silently
no part of a folder, and an error in a list of paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ingestions.engine.loader.paths import left_out

#: ``(folder, limit)`` → what listing the folder costs, in objects, as far as ``limit``; ``None``: not known, or nothing
#: is gained by it.
Weigh = Callable[[str, int], "int | None"]

#: files of a batch below which a list of paths is as good.
FEWEST = 40
#: objects that may be listed for each file that is wanted, and those that take no time in any case.
CROWD, FEW = 10, 1000
#: folders that are listed one by one; of more than these, what they have in common is listed.
MOST_FOLDERS = 8


class Folders:
    """Remembers what it has found out, for the batches of one run."""

    def __init__(self, weigh: Weigh | None) -> None:
        self._weigh = weigh
        #: whether files were read by their folders: then silence of a file has to be looked into.
        self.used = False
        self._weights: dict[str, tuple[int, int]] = {}  # folder → limit, weight as far as that

    def of(self, addresses: Sequence[str]) -> list[str]:
        """Folders, each with a closing slash and none inside another, whose listing has all of these files and few
        others; ``[]`` where a list of paths is better or safer."""
        if self._weigh is None or len(addresses) < FEWEST:
            return []
        folders = _tops({address.rpartition("/")[0] + "/" for address in addresses})
        if len(folders) > MOST_FOLDERS:
            folders = [_common(folders)]
        if any(_hidden(address, folders) for address in addresses):
            return []
        room = max(CROWD * len(addresses), FEW)
        for folder in folders:
            weight = self._weight(folder, room)
            if weight is None or weight > room:
                return []
            room -= weight
        self.used = True
        return folders

    @contextmanager
    def left_aside(self) -> Iterator[None]:
        """Inside, files are read by their paths."""
        kept, self._weigh = self._weigh, None
        try:
            yield
        finally:
            self._weigh = kept

    def distrust(self) -> None:
        """From now on, files are read by their paths."""
        self._weigh = None

    def _weight(self, folder: str, limit: int) -> int | None:
        if not folder.rstrip("/").partition("://")[2]:  # not even a bucket in common
            return None
        known = self._weights.get(folder)
        if known is not None and (known[1] <= known[0] or limit <= known[0]):
            return known[1]
        weight = self._weigh(folder, limit) if self._weigh else None
        if weight is not None:
            self._weights[folder] = limit, weight
        return weight


def _tops(folders: set[str]) -> list[str]:
    tops: list[str] = []
    for folder in sorted(folders):  # a folder comes right before what lies in it, or others with its name as a start
        if not any(folder.startswith(top) for top in tops[-1:]):
            tops.append(folder)
    return tops


def _common(folders: Sequence[str]) -> str:
    first, last = min(folders), max(folders)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[:same].rpartition("/")[0] + "/"


def _hidden(address: str, folders: Sequence[str]) -> bool:
    """Whether Spark, on its way from the folder to the file, passes a name that it leaves out."""
    folder = next(each for each in folders if address.startswith(each))
    return any(left_out(part) for part in address.removeprefix(folder).split("/"))
