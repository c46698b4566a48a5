"""Mode × change → verdict, and what people said."""

from __future__ import annotations

import pytest

from ingestions.engine.schema import types
from ingestions.engine.schema.diff import Change, Kind
from ingestions.engine.schema.policy import Decisions, Finding, Mode, Policy, Verdict, merged, questions

COLUMN = Change(Kind.ADDED, ("b",), None, types.BIGINT)
INSIDE = Change(Kind.ADDED, ("a", "b"), None, types.BIGINT)
WIDER = Change(Kind.WIDENED, ("n",), types.parse("int"), types.BIGINT)
CLASH = Change(Kind.CLASH, ("n",), types.parse("int"), types.STRING)
GONE = Change(Kind.REMOVED, ("n",), types.parse("int"))
CASE = Change(Kind.CASE, ("n",), types.parse("int"), types.parse("int"))

TABLE = {
    #                COLUMN    INSIDE    WIDER     CLASH
    Mode.ADD:    ("apply", "apply", "rescue", "rescue"),
    Mode.WIDEN:  ("apply", "apply", "apply", "rescue"),
    Mode.RESCUE: ("rescue", "rescue", "rescue", "rescue"),
    Mode.FAIL:   ("stop", "stop", "rescue", "rescue"),
    Mode.NONE:   ("drop", "rescue", "rescue", "rescue"),
    Mode.REVIEW: ("ask", "ask", "ask", "rescue"),
}  # fmt: skip


@pytest.mark.parametrize("mode", Mode)
def test_each_mode_has_a_verdict_for_each_change(mode: Mode) -> None:
    policy = Policy(mode)
    assert tuple(policy.verdict(change) for change in (COLUMN, INSIDE, WIDER, CLASH)) == TABLE[mode]
    assert [policy.verdict(change) for change in (GONE, CASE)] == [Verdict.NOTHING] * 2


def test_only_none_drops_and_only_whole_columns() -> None:
    assert [mode for mode in Mode if Policy(mode).drops] == [Mode.NONE]
    assert Policy(Mode.of("addNewColumns", False)).drops


def test_a_decision_goes_before_the_question() -> None:
    policy = Policy(Mode.REVIEW, Decisions(approved={("b",): types.STRING}, rejected=frozenset({("a",)})))
    assert policy.verdict(COLUMN) is Verdict.APPLY
    assert policy.verdict(INSIDE) is Verdict.RESCUE  # its column was rejected as a whole
    assert policy.verdict(WIDER) is Verdict.ASK
    assert str(policy.decisions.settled(COLUMN)) == "b string"
    assert policy.decisions.settled(INSIDE) is INSIDE


def test_a_batch_that_makes_the_table_asks_nobody_and_keeps_to_what_was_rejected() -> None:
    policy = Policy(Mode.REVIEW, Decisions(rejected=frozenset({("b",)})), asks_nobody=True)
    assert [policy.verdict(change) for change in (COLUMN, INSIDE, CLASH)] == ["rescue", "apply", "rescue"]


def test_a_decision_changes_nothing_in_another_mode() -> None:
    assert Policy(Mode.ADD, Decisions(rejected=frozenset({("b",)}))).verdict(COLUMN) is Verdict.APPLY


def test_files_join_a_question_and_changes_of_the_same_files_are_one() -> None:
    c, d, e = (Change(Kind.ADDED, (name,), None, types.STRING) for name in "cde")
    found = [Finding(COLUMN, ("1", "2")), Finding(c, ("3",)), Finding(d, ("2", "4")), Finding(e, ("4", "2"))]
    asked = questions(found, Decisions(pending={("b",): 7}))
    assert [(each.number, each.changes, sorted(each.files)) for each in asked] == [
        (7, (), ["1", "2"]),
        (None, (c,), ["3"]),
        (None, (d, e), ["2", "4"]),
    ]


def test_findings_of_one_field_are_joined_with_a_type_for_all() -> None:
    one = Finding(Change(Kind.ADDED, ("b",), None, types.BIGINT), ("1",))
    other = Finding(Change(Kind.ADDED, ("B",), None, types.DOUBLE), ("2", "1"))
    (both,) = merged([one, other])
    assert (str(both.change), both.files) == ("b double", ("1", "2"))
