"""What becomes of a difference between files and table: mode × kind of change → verdict. A table, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ingestions.engine.schema.diff import Change, Kind, Path
from ingestions.engine.schema.types import Type, promote


class Mode(StrEnum):
    """Auto Loader's words, and ``review``."""

    ADD = "addNewColumns"
    WIDEN = "addNewColumnsWithTypeWidening"
    RESCUE = "rescue"
    FAIL = "failOnNewColumns"
    NONE = "none"
    REVIEW = "review"

    @classmethod
    def of(cls, mode: str, enabled: bool) -> Mode:
        """``evolution_enabled: false`` is ``none``."""
        return cls(mode) if enabled else cls.NONE


class Verdict(StrEnum):
    APPLY = "apply"  # the table is altered, then the rows are written
    RESCUE = "rescue"  # values without a place stand in _rescued_data
    STOP = "stop"  # nothing of the run is published
    ASK = "ask"  # the files wait until a person decides
    DROP = "drop"  # the values are counted and left out
    NOTHING = "nothing"  # nothing has to be done


_ADDED: Mapping[Mode, Verdict] = {
    Mode.ADD: Verdict.APPLY,
    Mode.WIDEN: Verdict.APPLY,
    Mode.RESCUE: Verdict.RESCUE,
    Mode.FAIL: Verdict.STOP,
    Mode.NONE: Verdict.DROP,
    Mode.REVIEW: Verdict.ASK,
}
_WIDENED: Mapping[Mode, Verdict] = {Mode.WIDEN: Verdict.APPLY, Mode.REVIEW: Verdict.ASK}


@dataclass(frozen=True, slots=True)
class Decisions:
    """What people said of earlier changes, by :attr:`Change.key`. ``approved``: the type that was agreed to;
    ``pending``: the number of the question that a file joins."""

    approved: Mapping[Path, Type | None] = field(default_factory=dict)
    rejected: frozenset[Path] = frozenset()
    pending: Mapping[Path, int] = field(default_factory=dict)

    def settled(self, change: Change) -> Change:
        """The change as it was agreed to, whatever these files would ask for."""
        agreed = self.approved.get(change.key)
        return replace(change, type=agreed) if agreed is not None else change


def by_kind(mode: Mode, kind: Kind, *, nested: bool = False) -> Verdict:
    """``nested``: the field stands inside a column. Such a value is never dropped: its column's text is rescued."""
    if kind is Kind.ADDED:
        return Verdict.RESCUE if nested and mode is Mode.NONE else _ADDED[mode]
    if kind is Kind.WIDENED:
        return _WIDENED.get(mode, Verdict.RESCUE)
    return Verdict.RESCUE if kind is Kind.CLASH else Verdict.NOTHING


#: verdicts for which something has to be done before rows can be published.
ACTED_ON = frozenset({Verdict.APPLY, Verdict.STOP, Verdict.ASK})


@dataclass(frozen=True, slots=True)
class Policy:
    """The mode, and what people have decided. ``asks_nobody``: what is not rejected counts as approved, as for a batch
    that makes the table."""

    mode: Mode
    decisions: Decisions = field(default_factory=Decisions)
    asks_nobody: bool = False

    def verdict(self, change: Change) -> Verdict:
        """A person's word goes before the mode's ``ask``."""
        found = by_kind(self.mode, change.kind, nested=len(change.path) > 1)
        if found is not Verdict.ASK:
            return found
        if any(change.key[:end] in self.decisions.rejected for end in range(1, len(change.key) + 1)):
            return Verdict.RESCUE
        return Verdict.APPLY if self.asks_nobody or change.key in self.decisions.approved else Verdict.ASK

    def acts_on(self, kind: Kind, *, nested: bool = False) -> bool:
        """Whether changes of this kind are worth looking for."""
        return by_kind(self.mode, kind, nested=nested) in ACTED_ON

    @property
    def drops(self) -> bool:
        """Whether values of columns that the table has not are left out."""
        return self.mode is Mode.NONE

    @property
    def names_files(self) -> bool:
        """Whether it matters which files bring a change, each of them."""
        return self.mode in (Mode.REVIEW, Mode.FAIL)


@dataclass(frozen=True, slots=True)
class Finding:
    """A change, and the addresses of the files that bring it: all of them where that matters, else the first."""

    change: Change
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Changes that a person has to decide about. ``number``: of the question that is asked already, else ``None``."""

    number: int | None
    changes: tuple[Change, ...]
    files: frozenset[str]


def questions(findings: Sequence[Finding], decisions: Decisions) -> tuple[Question, ...]:
    """Files join the questions that are asked already; of the other changes those that come with the same files make
    one."""
    joined: dict[int, set[str]] = {}
    fresh: dict[frozenset[str], list[Change]] = {}
    for finding in findings:
        number = decisions.pending.get(finding.change.key)
        if number is not None:
            joined.setdefault(number, set()).update(finding.files)
        else:
            fresh.setdefault(frozenset(finding.files), []).append(finding.change)
    return (
        *(Question(number, (), frozenset(files)) for number, files in sorted(joined.items())),
        *(Question(None, tuple(changes), files) for files, changes in fresh.items()),
    )


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding a field, with the files of all and a type for all."""
    found: dict[Path, Finding] = {}
    for finding in findings:
        known = found.get(finding.change.key)
        found[finding.change.key] = finding if known is None else _joined(known, finding)
    return tuple(found.values())


def _joined(one: Finding, other: Finding) -> Finding:
    type_ = one.change.type
    if type_ is not None and other.change.type is not None:
        type_ = promote(type_, other.change.type)
    return Finding(replace(one.change, type=type_), tuple(dict.fromkeys((*one.files, *other.files))))
