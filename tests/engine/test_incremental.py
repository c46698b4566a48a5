"""Listings that start after the last names seen: where they start, when they are trusted, and what audits find."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingestions.engine.discovery import Discovered
from ingestions.engine.incremental import FEW, PROVEN, STEP_BACK_NAMES
from ingestions.engine.ledger import State
from tests.engine.bucket import Bucket, look
from tests.engine.memory import Ledger, MemoryStore
from tests.engine.memory_table import Crash


class Feed:
    """A bucket and its ledger."""

    def __init__(self, **source: Any) -> None:
        self.bucket = Bucket()
        self.ledger = Ledger()
        self.source = {"discovery": "incremental", **source}

    def look(self, **more: Any) -> Discovered:
        self.bucket.requests.clear()
        self.bucket.shown = 0
        store = MemoryStore(self.ledger, lambda step: None, lambda: self.bucket.now)
        return look(self.bucket, store, **{**self.source, **more})

    @property
    def how(self) -> tuple[str, str]:
        return self.ledger.ends[-1].mode, self.ledger.ends[-1].reason

    def names(self) -> set[str]:
        return {row.file.address.removeprefix("s3://bkt/in/") for row in self.ledger.rows.values()}


def orders(first: int, last: int) -> list[str]:
    return [f"orders-{number:06d}.csv" for number in range(first, last)]


def seen(feed: Feed, *keys: str) -> None:
    """The names are there, an hour old, and listed."""
    feed.bucket.put(*keys)
    feed.bucket.wait(hours=1)
    feed.look()


def test_a_listing_starts_after_the_last_name_seen() -> None:
    feed = Feed()
    seen(feed, *orders(0, 50))
    assert feed.how == ("full", "nothing has been listed before")
    feed.bucket.put(*orders(50, 53))
    assert feed.look().recorded == 3
    assert feed.how[0] == "incremental"
    assert feed.bucket.requests == [("", "orders-000049.cs")]
    assert feed.bucket.shown == 4  # the last one seen is looked at again


def test_names_that_come_a_little_late_are_found() -> None:
    """Two writers overtake each other: what is younger than ten minutes is listed again."""
    feed = Feed()
    seen(feed, *orders(0, 50))
    feed.bucket.put("orders-000060.csv")
    assert feed.look().recorded == 1
    feed.bucket.wait(minutes=2)
    feed.bucket.put("orders-000055.csv")
    assert feed.look().recorded == 1


def test_however_many_came_in_one_second_a_page_of_them_is_listed_again() -> None:
    feed = Feed()
    feed.bucket.put(*orders(0, 3 * STEP_BACK_NAMES))
    feed.look()
    feed.bucket.put(*orders(3 * STEP_BACK_NAMES, 3 * STEP_BACK_NAMES + 10))
    assert feed.look().recorded == 10
    assert feed.bucket.shown <= STEP_BACK_NAMES + 20


def test_each_folder_has_a_last_name_and_new_folders_are_found() -> None:
    feed = Feed()
    seen(feed, *(f"shop={shop}/{number:04d}.csv" for shop in "ac" for number in range(20)))
    feed.bucket.put("shop=a/0020.csv", "shop=b/0001.csv", "shop=c/0020.csv")
    assert feed.look().recorded == 3
    assert feed.bucket.requests == [("shop=a/", "shop=a/0019.cs"), ("shop=b/", ""), ("shop=c/", "shop=c/0019.cs")]


def test_folders_of_old_dates_are_left_alone() -> None:
    feed = Feed(lateness_hours=48)
    days = [f"dt=2025-12-{day:02d}" for day in range(1, 32)]
    seen(feed, *(f"{day}/{number * 37 % 64:02x}.csv" for day in days for number in range(20)))
    feed.bucket.put("dt=2025-12-31/zz.csv", "dt=2026-01-01/00.csv", "dt=2025-12-30/00a.csv")
    assert feed.look().recorded == 3
    assert feed.how[0] == "incremental"
    assert feed.bucket.requests == [("", "dt=2025-12-30")]


def test_a_date_in_the_future_holds_nothing_back() -> None:
    feed = Feed(lateness_hours=48)
    days = ["9999-12-31", *(f"2025-12-{day:02d}" for day in range(1, 32))]
    seen(feed, *(f"dt={day}/{number * 37 % 64:02x}.csv" for day in days for number in range(20)))
    feed.bucket.put("dt=2026-01-01/00.csv")
    assert feed.look().recorded == 1
    assert feed.how[0] == "incremental"


def test_an_audit_finds_and_counts_what_came_behind() -> None:
    feed = Feed()
    seen(feed, *orders(0, 50))
    feed.bucket.put(*orders(50, 250))
    feed.bucket.wait(hours=1)
    feed.look()
    feed.bucket.put("orders-000010b.csv")
    assert feed.look().recorded == 0
    feed.bucket.wait(hours=24)
    found = feed.look()
    assert feed.how[0] == "audit"
    assert (found.recorded, feed.ledger.ends[-1].missed) == (1, 1)
    feed.look()
    assert feed.how[0] == "incremental", "one of two hundred is no reason to give it up"


def test_many_that_came_behind_turn_it_off_and_the_reason_says_so() -> None:
    feed = Feed()
    seen(feed, *orders(0, 50))
    feed.bucket.put("orders-000010b.csv", *orders(50, 60))
    feed.look()
    feed.bucket.wait(hours=25)
    feed.look()
    feed.look()
    assert feed.how == (
        "full",
        "an incremental listing is wanted, but 1 of 6 recent files came with names before the last one seen",
    )


@pytest.mark.parametrize(("hours", "mode"), [(23, "incremental"), (25, "audit"), (-48, "audit")])
def test_an_audit_is_due_after_a_day_and_when_the_clock_was_set_back(hours: float, mode: str) -> None:
    feed = Feed()
    seen(feed, *orders(0, 50))
    feed.bucket.wait(hours=hours)
    feed.look()
    assert feed.how[0] == mode


def test_how_often_audits_are_due_can_be_said() -> None:
    feed = Feed()
    seen(feed, *orders(0, 50))
    feed.bucket.wait(hours=3)
    feed.look(audit=timedelta(hours=2))
    assert feed.how[0] == "audit"


def test_names_that_do_not_grow_are_listed_as_a_whole_and_the_reason_says_so() -> None:
    feed = Feed()
    seen(feed, "apples.csv", "pears.csv")
    feed.bucket.put("bananas.csv")
    assert feed.look().recorded == 1
    mode, why = feed.how
    assert mode == "full"
    assert "names like apples.csv and pears.csv show no date" in why


def test_files_that_rules_skip_may_have_any_name_and_are_no_place_to_start_from() -> None:
    feed = Feed(exclude_pattern="zz*")
    feed.bucket.put("empty.csv", "_SUCCESS", size=0)
    feed.bucket.put("x.csv.tmp", at=feed.bucket.now - timedelta(days=3))
    seen(feed, *orders(0, 50), "zzz-last.csv")
    feed.bucket.put(*orders(50, 53))
    assert feed.look().recorded == 3
    assert feed.how[0] == "incremental"
    assert feed.bucket.requests == [("", "orders-000049.cs")]


def test_events_are_not_there_yet() -> None:
    feed = Feed(discovery="events")
    seen(feed, *orders(0, 50))
    feed.look()
    assert feed.how[0] == "full"
    assert "not available yet" in feed.how[1]


def test_auto_waits_until_the_order_of_names_is_proved_by_files_that_came() -> None:
    feed = Feed(discovery="auto")
    feed.bucket.put(*orders(0, FEW))
    feed.bucket.wait(hours=1)
    feed.look()
    feed.look()
    assert "too few files (0) have come" in feed.how[1]
    feed.bucket.put(*orders(FEW, FEW + PROVEN))
    feed.look()
    assert feed.how[0] == "full"
    feed.look()
    assert feed.how == ("incremental", "names begin with a date or a counter, so new ones sort behind the others")
    feed.look(overwritten="replace")
    assert feed.how == ("full", "files that are overwritten are loaded again, and only a whole listing shows them")


def test_auto_lists_few_objects_as_a_whole() -> None:
    feed = Feed(discovery="auto")
    seen(feed, *orders(0, 50))
    feed.look()
    assert feed.how == ("full", "there are few objects (50), and a whole listing is sure")


def test_a_change_of_what_is_wanted_has_all_looked_at_again() -> None:
    feed = Feed(file_pattern="*.csv")
    seen(feed, *orders(0, 50), "orders-000001.json")
    assert feed.look(file_pattern=None).recorded == 1
    assert "were changed" in feed.how[1]
    assert feed.ledger.ends[-1].missed == 0, "it is no fault of the names' order"


def test_a_bucket_that_was_emptied_and_filled_anew_is_listed_as_a_whole() -> None:
    feed = Feed()
    seen(feed, *orders(100, 150))
    feed.bucket.objects.clear()
    assert feed.look().listed == 0
    assert feed.how == ("full", "the last name seen, orders-000149.csv, is gone: the whole source is listed")
    feed.bucket.put(*orders(0, 20))
    assert feed.look().recorded == 20


def test_dated_folders_that_were_emptied_and_filled_anew_are_listed_as_a_whole() -> None:
    feed = Feed(lateness_hours=24)
    days = [f"dt=2025-12-{day:02d}" for day in range(1, 32)]
    seen(feed, *(f"{day}/{number * 37 % 64:02x}.csv" for day in days for number in range(20)))
    feed.bucket.objects.clear()
    feed.bucket.put("dt=2025-11-01/aa.csv")
    assert feed.look().recorded == 1


def test_a_file_that_is_still_written_holds_the_place_where_the_next_listing_starts() -> None:
    feed = Feed(settle_seconds=7200)
    seen(feed, *orders(0, 50))
    feed.bucket.wait(hours=3)
    feed.look()
    feed.bucket.put("orders-000050.csv")
    feed.bucket.wait(hours=1)
    feed.bucket.put("orders-000051.csv", at=feed.bucket.now - timedelta(hours=9))
    feed.look()
    feed.bucket.wait(hours=2)
    found = feed.look()
    assert (feed.how[0], found.reopened) == ("incremental", 1)
    assert {row.state for row in feed.ledger.rows.values()} == {State.DISCOVERED}


def test_a_file_of_an_old_date_that_is_still_written_is_not_left_alone() -> None:
    feed = Feed(lateness_hours=24, settle_seconds=10 * 86_400)
    days = [f"dt=2025-12-{day:02d}" for day in range(1, 32)]
    feed.bucket.put(*(f"{day}/{number * 37 % 64:02x}.csv" for day in days for number in range(20)))
    feed.bucket.wait(days=11)
    feed.bucket.put("dt=2025-12-07/late.csv", "dt=2026-01-11/00.csv")
    feed.look()
    feed.bucket.wait(days=11)
    found = feed.look(audit=timedelta(days=300))
    assert (feed.how[0], found.reopened) == ("incremental", 2)


def test_a_temporary_name_holds_the_place_too_as_the_later_name_sorts_before_it() -> None:
    feed = Feed()
    seen(feed, *orders(0, 50))
    feed.bucket.put("orders-000050.csv.tmp")
    feed.bucket.wait(hours=1)
    feed.bucket.put("orders-000051.csv")
    feed.bucket.wait(hours=1)
    feed.look()
    feed.bucket.delete("orders-000050.csv.tmp")
    feed.bucket.put("orders-000050.csv")
    assert feed.look().recorded == 1
    assert feed.how[0] == "incremental"


def test_a_clock_of_the_bucket_that_is_ahead_of_ours_only_has_more_listed_again() -> None:
    feed = Feed()
    feed.bucket.put(*orders(0, 50), at=feed.bucket.now + timedelta(days=3))
    feed.look()
    feed.bucket.put(*orders(50, 60), at=feed.bucket.now + timedelta(days=3))
    assert feed.look().recorded == 10


@pytest.mark.parametrize("keys", [["new\nline-0001.csv", "new\nline-0002.csv"], ["☃'\"\\0001.csv", "☃'\"\\0002.csv"]])
def test_odd_names_are_places_to_start_from(keys: list[str]) -> None:
    feed = Feed()
    seen(feed, *keys)
    feed.bucket.put(keys[-1].replace("0002", "0003"))
    assert feed.look().recorded == 1
    assert feed.how[0] == "incremental"


def test_a_prefix_that_is_gone_is_no_error_of_an_incremental_listing() -> None:
    feed = Feed()
    seen(feed, *(f"shop={shop}/{number:04d}.csv" for shop in "ac" for number in range(20)))
    for key in sorted(feed.names()):
        if key.startswith("shop=a"):
            feed.bucket.delete(key)
    assert feed.look().complete
    assert feed.how == ("full", "the folder shop=a/ is gone: the whole source is listed")


@pytest.mark.parametrize("discovery", ["full", "incremental", "auto"])
@pytest.mark.parametrize("hours", [1, 25], ids=["soon", "when an audit is due"])
def test_a_listing_that_dies_at_any_step_misses_nothing(discovery: str, hours: float) -> None:
    """The place where the next one starts is written down with its end, and not before."""
    died = 0
    for at in range(1, 12):
        feed = Feed(discovery=discovery, settle_seconds=60)
        seen(feed, *orders(0, 30))
        feed.bucket.wait(hours=hours)
        feed.bucket.put(*orders(30, 40))
        steps = 0

        def trip(step: str, at: int = at) -> None:
            nonlocal steps
            steps += 1
            if steps == at:
                raise Crash(step)

        try:
            look(feed.bucket, MemoryStore(feed.ledger, trip, lambda: feed.bucket.now), **feed.source)  # noqa: B023
        except Crash:
            died += 1
        feed.bucket.put(*orders(40, 45))
        feed.bucket.wait(minutes=2)
        feed.look()
        names = [row.file.address for row in feed.ledger.rows.values()]
        assert len(names) == len(set(names)) == 45
        assert {row.state for row in feed.ledger.rows.values()} == {State.DISCOVERED}
    assert died >= 2
