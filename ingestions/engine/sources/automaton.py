"""Patterns as automata: matching a name costs its length, whatever the pattern. A pattern comes from people, and
Python's own regular expressions take years for some of them; so nothing here ever goes back over a name.

An automaton is built without decisions (several next states a character) and decided while names are matched, each set
of states once: after the first names every character is one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Test = Callable[[str], bool]
States = frozenset[int]

#: decided steps that are kept; a pattern that needs more is decided anew, which costs time and no memory.
KEPT_STEPS = 50_000


def any_character(char: str) -> bool:
    return True


def within_folder(char: str) -> bool:
    return char != "/"


def exactly(wanted: str) -> Test:
    return lambda char: char == wanted


@dataclass
class Automaton:
    """Built front to back: each method adds what has to come next. ``at`` is the state reached so far."""

    at: int = 0
    _steps: list[list[tuple[Test, int]]] = field(default_factory=lambda: [[]])
    _free: list[list[int]] = field(default_factory=lambda: [[]])
    _decided: dict[States, dict[str, States]] = field(default_factory=dict)
    _kept: int = 0

    # ---- building

    def state(self) -> int:
        self._steps.append([])
        self._free.append([])
        return len(self._steps) - 1

    def join(self, start: int, end: int) -> None:
        """``end`` may follow ``start`` without a character."""
        self._free[start].append(end)

    def one(self, test: Test) -> None:
        """One character that passes."""
        after = self.state()
        self._steps[self.at].append((test, after))
        self.at = after

    def text(self, text: str) -> None:
        for char in text:
            self.one(exactly(char))

    def many(self, test: Test) -> None:
        """Any number of characters that pass."""
        loop = self.state()
        self.join(self.at, loop)
        self._steps[loop].append((test, loop))
        self.at = loop

    def folders(self) -> None:
        """Any number of folders, each with its ``/``; none as well."""
        before = self.at
        self.many(any_character)
        self.text("/")
        self.join(before, self.at)

    # ---- matching

    def matches(self, name: str) -> bool:
        """Whether the whole name is what was built."""
        states = self._closure({0})
        for char in name:
            row = self._decided.get(states)
            found = row.get(char) if row is not None else None
            states = found if found is not None else self._decide(states, char)
            if not states:
                return False
        return self.at in states

    def _decide(self, states: States, char: str) -> States:
        after = self._closure({end for state in states for test, end in self._steps[state] if test(char)})
        if self._kept >= KEPT_STEPS:
            self._decided.clear()
            self._kept = 0
        self._decided.setdefault(states, {})[char] = after
        self._kept += 1
        return after

    def _closure(self, states: set[int]) -> States:
        todo = list(states)
        while todo:
            for end in self._free[todo.pop()]:
                if end not in states:
                    states.add(end)
                    todo.append(end)
        return frozenset(states)
