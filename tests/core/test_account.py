"""Times of like events: what a sliding window holds, when it frees up, and what may be forgotten."""

from __future__ import annotations

import pytest

from riskguard.core.account import Account, TimeLog
from riskguard.core.book import Line
from riskguard.core.state import TradingState
from tests.core.builders import NOW, SHARE, halted
from tests.core.tables import Row, table

WINDOWS = table("""
    times        now  window  count
    -            10   5       0
    5            10   5       0
    6            10   5       1
    1,5,6,10     10   5       2
    6,6,6        10   5       3
    12           10   5       1
""")


@pytest.mark.parametrize("row", WINDOWS, ids=str)
def test_a_window_is_open_at_its_old_end(row: Row) -> None:
    """(now − window, now]; a stamp ahead of now counts too."""
    log = TimeLog([int(each) for each in (row.opt("times") or "").split(",") if each])
    assert log.count(row.number("now"), row.number("window")) == row.number("count")


def test_events_are_kept_in_order() -> None:
    """A clock that stepped back makes no event older than the last; what is handed out is a copy."""
    log = TimeLog()
    for at_us in (5, 3, 5, 9):
        log.add(at_us)
    assert log.times() == log.stamps_us == [5, 5, 5, 9]
    log.times().append(1)
    assert log.stamps_us == [5, 5, 5, 9]


def test_when_room_comes_and_what_is_forgotten() -> None:
    """The count-th newest leaves a window later than it came; no event, no time. Forgotten is what is not after."""
    log = TimeLog([1, 4, 9])
    assert [log.leaves_us(count, 5) for count in (0, 1, 3, 4)] == [None, 14, 6, None]
    log.forget(4)
    assert log.stamps_us == [9]
    log.forget(8)
    assert log.stamps_us == [9]


def test_causes_are_split_into_those_of_all_and_those_of_a_part() -> None:
    """Only what names a part of the account is narrow, and the account's own state is of the others alone."""
    narrow = tuple(
        halted(scope) for scope in ("STRATEGY:dip", "INSTRUMENT:NSE_EQ:1333", "SEGMENT:NSE_EQ", "UNDERLYING:NIFTY")
    )
    wide = tuple(halted(scope, TradingState.REDUCE_ONLY) for scope in ("ACCOUNT:leader", "GROUP:a:b", "GLOBAL"))
    of = Account("leader", "2024-06-04", causes=(*narrow, *wide))
    of.settle_state()

    assert (of.narrow, of.wide, of.state) == (narrow, wide, TradingState.REDUCE_ONLY)


def test_a_line_nobody_has_yet_is_made_empty() -> None:
    """The list that was seen whole shows 0 of it; where none was seen, nobody knows. It is found again by its place."""
    of = Account("leader", "2024-06-04")
    first = of.line(SHARE.key, "CNC")
    assert first == Line("CNC", seen=None) and of.positions == {SHARE.key: {"CNC": first}}
    assert of.line(SHARE.key, "CNC") is first

    of.position_seen_us = NOW
    assert of.line(SHARE.key, "MARGIN") == Line("MARGIN", seen=0)
    assert of.line(("NSE_EQ", "2"), "CNC") == Line("CNC", seen=0)
    assert {key: sorted(lines) for key, lines in of.positions.items()} == {
        SHARE.key: ["CNC", "MARGIN"], ("NSE_EQ", "2"): ["CNC"],
    }  # fmt: skip
