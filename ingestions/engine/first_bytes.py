"""What the first bytes of new files tell. For a table that is to be made, the cluster is asked for the types of its
columns as soon as enough files for that are known, while the others are read: both take about as long.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import replace
from types import TracebackType
from typing import TypeAlias

from autoloader.lib.errors import FileError
from ingestions.engine.abandon import unless_stopped
from ingestions.engine.context import Context
from ingestions.engine.formats.shape import Shape
from ingestions.engine.ledger import Entry, State
from ingestions.engine.loader.base import TableLoader
from ingestions.engine.planner import sniff_all

logger = logging.getLogger(__name__)

#: errors of a file that mean: there is nothing in it, on purpose or not; skipped with the reason, no failure.
EMPTY_CODES = frozenset({"empty_file", "no_rows"})
#: fewer further files than this are read before a question to the cluster is answered.
WORTH_ASKING_AHEAD = 100
Verdicts: TypeAlias = Mapping[int, Shape | FileError]


class Opening:
    """The loader of a slice: opened by the first who needs it, since a cluster may have to be woken for it, and closed
    with the slice."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stack = ExitStack()
        #: where it is open.
        self.loader: TableLoader | None = None

    def __enter__(self) -> Opening:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loader = None
        self._stack.__exit__(kind, error, trace)

    def get(self) -> TableLoader:
        if self.loader is None:
            self.loader = self._stack.enter_context(self._context.open_loader())
        return self.loader


def with_shapes(context: Context, opening: Opening, entries: Sequence[Entry]) -> list[Entry]:
    """The entries whose first bytes could be read, with their shapes; the others are set aside with the reason."""
    unknown = [entry for entry in entries if entry.shape is None]
    if not unknown:
        return list(entries)
    context.store.phase(f"reading the first bytes of {len(unknown):,} new files")
    verdicts = _read(context, opening, unknown)
    shapes = {id_: verdict for id_, verdict in verdicts.items() if not isinstance(verdict, FileError)}
    context.store.set_shapes(shapes)
    for id_, verdict in verdicts.items():
        if isinstance(verdict, FileError):
            state = State.SKIPPED if verdict.code in EMPTY_CODES else State.FAILED
            context.store.set_aside(id_, state, verdict)
    return _shaped(entries, shapes)


def _shaped(entries: Sequence[Entry], verdicts: Verdicts) -> list[Entry]:
    shaped = ((entry, entry.shape or verdicts.get(entry.id)) for entry in entries)
    return [replace(entry, shape=shape) for entry, shape in shaped if isinstance(shape, Shape)]


def _read(context: Context, opening: Opening, entries: Sequence[Entry]) -> Verdicts:
    enough = context.config.format.schema_.sample_files
    if len(entries) < enough + WORTH_ASKING_AHEAD or context.store.schema_known():
        return _sniffed(context, entries)
    first = _sniffed(context, entries[:enough])
    readable = _shaped(entries[:enough], first)
    if not readable:
        return {**first, **_sniffed(context, entries[enough:])}
    loader = opening.get()
    with ThreadPoolExecutor(1, thread_name_prefix="foresee") as pool:
        pool.submit(copy_context().run, _foresee, loader, readable)
        return {**first, **_sniffed(context, entries[enough:])}


def _sniffed(context: Context, entries: Sequence[Entry]) -> Verdicts:
    return unless_stopped(
        lambda: sniff_all(context.source, entries, context.config.format),
        lambda: context.should_stop() or context.store.cancel_requested(),
    )


def _foresee(loader: TableLoader, entries: Sequence[Entry]) -> None:
    try:
        loader.foresee(entries)
    except Exception as error:  # whatever it is: what needs the answer asks again, and is the one to judge
        logger.info("types not foreseen", extra={"reason": type(error).__name__})
