"""
What a reading of the day's profit and loss leads to: warnings, REDUCE_ONLY, the limit's own action, or nothing.

The limit of every table is ₹5,000: warned at 50 and 90 %, reduce-only at 80 %, at once at 150 %.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskguard.core.assess import Assessment, Memory, assess, live_limits
from riskguard.core.limits import Limit, LimitSet
from riskguard.core.live.view import View
from riskguard.core.pnl import DayPnl
from riskguard.core.state import TradingState
from tests.core.builders import NOW, SECOND, account, inr, limit
from tests.core.tables import Row, table

TIERS: dict[str, Any] = {"warn_at_pct": [50, 90], "reduce_only_at_pct": 80, "at_once_pct": 150}


def judge(
    pnl: str | None, watch: Memory | None = None, at_s: float = 0, fresh: bool = True, equity: str | None = None,
    **changes: Any,
) -> Assessment:  # fmt: skip
    """One reading under one limit."""
    parameters = {"daily_loss_inr_max": "5000", "on_breach": "kill", **TIERS, **changes}
    parameters = {name: value for name, value in parameters.items() if value is not None}
    of = account(limits=LimitSet((limit("daily_loss", "loss", **parameters),)))
    of.opening_equity_e4 = None if equity is None else inr(equity)
    measured = DayPnl(None if pnl is None else inr(pnl), 0, fresh and pnl is not None, "" if fresh else "no fresh mark")
    now_us = NOW + round(at_s * SECOND)
    return assess(View(of, now_us, measured), {} if watch is None else {"loss": watch}, now_us)


def said(made: Assessment) -> str:
    """Return what was done, `-` for nothing: kill, halt, reduce."""
    done = ["kill" if each.kill else each.state.name.lower() for each in made.actions]
    return " ".join(done) or "-"


def codes(made: Assessment) -> str:
    return " ".join(each.code.removeprefix("DAILY_LOSS_") for each in made.findings) or "-"


# -- one reading --------------------------------------------------------------------------------------------------

ONE = table("""
    pnl       fresh  found                  done
    100       yes    -                      -
    0         yes    -                      -
    -2499.99  yes    -                      -
    -2500     yes    WARNING                -
    -3999.99  yes    WARNING                -
    -4000     yes    WARNING NEAR           reduce_only
    -4500     yes    WARNING NEAR           reduce_only
    -4999.99  yes    WARNING NEAR           reduce_only
    -5000     yes    WARNING NEAR SEEN      reduce_only
    -7499.99  yes    WARNING NEAR SEEN      reduce_only
    -7500     yes    WARNING NEAR REACHED   reduce_only kill
    -2499.99  no     MARKS_STALE            -
    -4000     no     MARKS_STALE WARNING NEAR  reduce_only
    -5000     no     MARKS_STALE WARNING NEAR  reduce_only
    -90000    no     MARKS_STALE WARNING NEAR  reduce_only
    -         yes    PNL_UNKNOWN            -
""")


@pytest.mark.parametrize("row", ONE, ids=str)
def test_one_reading_stops_what_adds_risk_and_trips_only_far_beyond_the_limit(row: Row) -> None:
    """Reaching counts on every tier; widened marks go no further than REDUCE_ONLY, however large the loss."""
    made = judge(row.opt("pnl"), fresh=row.has("fresh"))

    assert (codes(made), said(made)) == (row.found, row.done)


# -- two readings -------------------------------------------------------------------------------------------------

TWO = table("""
    first    second   apart_s  second_fresh  done
    -5000    -5000        0    yes           -
    -5000    -5000        1.999999  yes      -
    -5000    -5000        2    yes           kill
    -5000    -5000       30    yes           kill
    -5000    -5000       30.000001  yes      -
    -5000    -4999.99     2    yes           -
    -4999.99  -5000       2    yes           -
    -5000    -5000        2    no            -
    -5000    -7500        0    yes           kill
    -5000    -7500        1    no            -
    -5000    -5000       -1    yes           -
""")


@pytest.mark.parametrize("row", TWO, ids=str)
def test_a_loss_is_proven_by_two_fresh_readings_between_2_and_30_s_apart(row: Row) -> None:
    """Closer is one tick, further is two stories; an earlier time (a clock set back) starts anew."""
    watch = judge(row.first).memories["loss"]
    made = judge(row.second, watch, float(row.apart_s), row.has("second_fresh"))

    assert any(each.kill for each in made.actions) == (row.done == "kill")


SEQUENCES = table("""
    goal                                            readings                                               killed_at
    a recovery between two losses starts anew       0:-5000 2:-4000 4:-5000 6:-5000                        6
    a stale reading neither counts nor clears       0:-5000 2:-9000? 4:-5000                               4
    a stale recovery does not clear                 0:-5000 2:-100? 4:-5000                                4
    an unknown reading neither counts nor clears    0:-5000 2:- 4:-5000                                    4
    unknown for too long: the first is forgotten    0:-5000 2:- 31:-5000 33:-5000                          33
    a reading every 31 s never proves a loss alone  0:-5000 31:-5000 62:-5000                              never
    one reading at 150 % needs no second            0:-7500                                                0
    stale marks alone never kill                    0:-90000? 2:-90000? 4:-90000?                          never
    a first fresh reading after stale ones waits    0:-9000? 2:-5000 4:-5000                               4
    close readings wait for one far enough          0:-5000 1:-5000 1.9:-5000 2:-5000                      2
""")


@pytest.mark.parametrize("row", SEQUENCES, ids=str)
def test_a_sequence_of_readings(row: Row) -> None:
    """`s:pnl` is a fresh reading, `?` after it a stale one, `-` an unknown one."""
    watch, killed = None, "never"
    for reading in row.readings.split():
        at_s, _, figure = reading.partition(":")
        fresh, figure = not figure.endswith("?"), figure.rstrip("?")
        made = judge(None if figure == "-" else figure, watch, float(at_s), fresh)
        watch = made.memories["loss"]
        if any(each.kill for each in made.actions):
            killed = at_s
            break

    assert killed == row.killed_at


# -- once ---------------------------------------------------------------------------------------------------------

ONCE = table("""
    goal                                    readings                           found
    a tier is said once                     -2500 -2500 -2600                  WARNING,-,-
    a higher tier is said again             -2500 -4500 -4600                  WARNING,WARNING NEAR,-
    a jump says the highest tier only       -4500 -2500 -4500                  WARNING NEAR,-,-
    a recovery does not arm a tier again    -2500 0 -2500                      WARNING,-,-
    reduce-only is asked for once           -4000 -4000 0 -4000                WARNING NEAR,-,-,-
    a tripped limit is not tripped again    -7500 -9000                        WARNING NEAR REACHED,-
""")


@pytest.mark.parametrize("row", ONCE, ids=str)
def test_everything_is_said_once_a_day(row: Row) -> None:
    """The watch remembers what was said; it is durable, so a restart does not repeat it."""
    watch, found = None, []
    for number, figure in enumerate(row.readings.split()):
        made = judge(figure, watch, number * 40)  # further apart than two readings that prove
        watch = made.memories["loss"]
        found.append(codes(made).replace("SEEN", "").strip() or "-")

    assert ",".join(found) == row.found


def test_a_forgotten_watch_would_say_it_again() -> None:
    """The control of the table above: without the watch the same reading warns twice."""
    assert codes(judge("-2500")) == codes(judge("-2500")) == "WARNING"


# -- whose limit, which action ------------------------------------------------------------------------------------

ACTIONS = table("""
    on_breach    mode     done
    warn         enforce  -
    reject       enforce  reduce_only reduce_only
    reduce_only  enforce  reduce_only reduce_only
    halt         enforce  reduce_only halted
    kill         enforce  reduce_only kill
    kill         shadow   -
    warn         late     reduce_only reduce_only
    kill         late     reduce_only kill
    kill         open     reduce_only kill
""")


@pytest.mark.parametrize("row", ACTIONS, ids=str)
def test_the_limit_says_what_is_done(row: Row) -> None:
    """
    A limit that only watches does nothing; one in shadow is judged, said and not enforced while its acknowledgement
    holds. Past its last day (`late`), and without one (`open`), a mandatory limit does its own action again.
    """
    until = {"shadow": "2999-12-31", "late": "2001-01-01"}.get(row.mode, "")
    mode = "enforce" if row.mode == "enforce" or row.on_breach == "warn" else "shadow"
    made = judge("-7500", on_breach=row.on_breach, mode=mode, acknowledged_until=until)

    assert said(made) == row.done
    assert "REACHED" in codes(made)


PERCENT = table("""
    inr   pct  equity   pnl     done
    -     5    100000   -4999   reduce_only
    -     5    100000   -7500   reduce_only kill
    -     5    -        -90000  -
    -     5    0        -90000  -
    5000  1    100000   -1500   reduce_only kill
    5000  10   100000   -1500   -
    5000  1    -        -7500   reduce_only kill
""")


@pytest.mark.parametrize("row", PERCENT, ids=str)
def test_the_tighter_of_rupees_and_percent_binds(row: Row) -> None:
    """A percentage of unknown equity measures nothing here: the pre-order check refuses instead."""
    made = judge(
        row.pnl, equity=row.opt("equity"), daily_loss_inr_max=row.opt("inr"), daily_loss_pct_max=row.opt_number("pct")
    )

    assert said(made) == row.done


def test_each_limit_keeps_its_own_watch() -> None:
    """Two limits of one account: the tighter trips first, the wider goes on by itself."""
    both = LimitSet(
        (
            limit("daily_loss", "day", daily_loss_inr_max="5000", on_breach="kill", **TIERS),
            limit("daily_loss", "desk", daily_loss_inr_max="1000", on_breach="halt", scope="GLOBAL", **TIERS),
        )
    )
    made = assess(View(account(limits=both), NOW, DayPnl(inr("-1500"), 0, True)), {}, NOW)

    assert [(each.limit.id, each.state) for each in made.actions] == [
        ("desk", TradingState.REDUCE_ONLY),
        ("desk", TradingState.HALTED),
    ]
    assert made.memories["desk"]["tripped"] and made.memories["day"] == {}


def test_no_limit_is_no_judgement() -> None:
    """Without a loss limit the sweep has nothing to say; the pre-order check refuses for its absence."""
    made = assess(View(account(limits=LimitSet(())), NOW, DayPnl(inr("-90000"), 0, True)), {}, NOW)

    assert (made.actions, made.findings, made.memories) == ([], [], {})


# -- what breaks, and what cannot be read -------------------------------------------------------------------------


def test_a_memory_that_cannot_be_read_is_not_taken_for_none() -> None:
    """Its limit is not judged and is named with the way out; the others are, and nothing is remembered over it."""
    limits = (
        limit("daily_loss", "day", daily_loss_inr_max="5000", on_breach="kill", **TIERS),
        limit("daily_loss", "desk", daily_loss_inr_max="1000", on_breach="halt", **TIERS),
    )
    view = View(account(limits=LimitSet(limits)), NOW, DayPnl(inr("-1500"), 0, True))
    made = assess(view, {"day": {"tripped": True}}, NOW, frozenset({"desk"}))

    ((broken, error),) = made.broken
    assert broken.id == "desk" and str(error) == (
        "what it remembers cannot be read: mend its live_watches row, with `written = written + 1`"
    )
    assert list(made.memories) == ["day"] and made.actions == []


def test_a_check_that_raises_keeps_its_memory_and_silences_nobody() -> None:
    """It is kept with what it raised; the limit behind it is still asked."""

    def raising(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    first = limit("daily_loss", "a", daily_loss_inr_max="5000", on_breach="kill", **TIERS)
    broken = replace(first, check=replace(first.check, judge=raising))
    second = limit("daily_loss", "b", daily_loss_inr_max="1000", on_breach="halt", **TIERS)
    made = assess(View(account(limits=LimitSet((broken, second))), NOW, DayPnl(inr("-1500"), 0, True)), {}, NOW)

    ((found, error),) = made.broken
    assert (found.id, type(error)) == ("a", ZeroDivisionError)
    assert list(made.memories) == ["b"] and said(made) == "reduce_only halted"


def test_no_limit_stands_in_the_way_of_the_next() -> None:
    """Behind one that cannot be read, or only watches, the next one acts; what several want is done, all of it."""
    a = limit("daily_loss", "a", daily_loss_inr_max="1000", on_breach="kill", **TIERS)
    b = limit("daily_loss", "b", daily_loss_inr_max="1000", on_breach="halt", **TIERS)
    watching = replace(a, mode="shadow", acknowledged_until="2999-12-31")
    figure = DayPnl(inr("-1500"), 0, True)

    def done(*limits: Limit, unreadable: str = "") -> list[str]:
        view = View(account(limits=LimitSet(limits)), NOW, figure)
        return [each.limit.id for each in assess(view, {}, NOW, frozenset({unreadable})).actions]

    assert done(a, b) == ["a", "a", "b", "b"]
    assert done(a, b, unreadable="a") == done(watching, b) == ["b", "b"]
    memory = assess(View(account(limits=LimitSet((watching,))), NOW, figure), {}, NOW).memories["a"]
    assert memory["watched"] and memory["tripped"]
    made = assess(View(account(limits=LimitSet((a,))), NOW, figure), {"a": memory}, NOW)
    assert said(made) == "reduce_only kill" and "watched" not in made.memories["a"]


def test_every_cause_that_is_gone_is_cleared() -> None:
    """Two pauses that end at once: both doors open."""
    limits = tuple(limit("loss_streak", id, losses_max=1, pause_s=60) for id in ("a", "b"))
    over = {"tripped": True, "until_us": NOW, "day": "2024-06-04"}
    made = assess(View(account(limits=LimitSet(limits)), NOW, DayPnl(0, 0, True)), {"a": over, "b": over}, NOW)
    assert [each.limit.id for each in made.clears] == ["a", "b"]


def test_limits_are_asked_in_order_of_precedence() -> None:
    """Checks as declared, limits of one check by id; what only orders are asked is left out."""
    limits = (
        limit("cooldown", after="stop", pause_s=60), limit("order_value", order_value_inr_max="1"),
        limit("weekly_loss", "b", loss_inr_max="1", warn_at_pct=[50], at_once_pct=150),
        limit("weekly_loss", "a", loss_inr_max="1", warn_at_pct=[50], at_once_pct=150),
        limit("daily_loss", "z", daily_loss_inr_max="5000", **TIERS),
    )  # fmt: skip
    assert [each.id for each in live_limits(limits)] == ["z", "a", "b", "cooldown"]


def test_what_is_unknown_or_old_is_said_of_the_day_as_a_whole() -> None:
    """One warning, of no limit, with what is missing; a known fresh figure says nothing."""
    for figure, expected in (
        (DayPnl(None, 0, False, "X: no mark"), ("PNL_UNKNOWN", "warning", "day P&L is unknown: X: no mark")),
        (DayPnl(0, 0, False, "no fresh mark: X"), ("MARKS_STALE", "warning", "no fresh mark: X")),
    ):
        (found,) = assess(View(account(), NOW, figure), {}, NOW).findings
        assert (found.code, found.severity, found.message) == expected
        assert (found.limit_id, found.measured_e4, found.limit_e4, found.unit) == ("", None, None, "inr")
    assert assess(View(account(), NOW, DayPnl(0, 0, True)), {}, NOW).findings == []


# -- properties ---------------------------------------------------------------------------------------------------

READINGS = st.lists(
    st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(-12_000, 1_000)), st.booleans()), max_size=12
)


@settings(deadline=None)
@given(READINGS)
def test_it_trips_once_at_most_and_only_on_fresh_marks(readings: list[tuple[int, int | None, bool]]) -> None:
    """Whatever the day brings: one kill, on a fresh reading that has reached the limit, and warnings that only grow."""
    watch: Memory | None = None
    at_s, kills, warned = 0, 0, 0
    for apart_s, rupees, fresh in readings:
        at_s += apart_s
        made = judge(None if rupees is None else str(rupees), watch, at_s, fresh)
        watch = made.memories["loss"]
        if any(each.kill for each in made.actions):
            kills += 1
            assert fresh and rupees is not None and rupees <= -5000
        assert watch.get("warned_pct", 0) >= warned
        warned = watch.get("warned_pct", 0)
    assert kills <= 1


@settings(deadline=None)
@given(READINGS, st.integers(0, 5_000))
def test_a_larger_loss_never_does_less(readings: list[tuple[int, int | None, bool]], worse: int) -> None:
    """The same readings, each worse by the same amount: if the first series killed, so does the second, no later."""

    def killed_at(by: int) -> int | None:
        watch, at_s = None, 0
        for apart_s, rupees, fresh in readings:
            at_s += apart_s
            made = judge(None if rupees is None else str(rupees - by), watch, at_s, fresh)
            watch = made.memories["loss"]
            if any(each.kill for each in made.actions):
                return at_s
        return None

    first, second = killed_at(0), killed_at(worse)

    assert first is None or (second is not None and second <= first)
