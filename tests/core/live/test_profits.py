"""Profits kept, targets reached, streaks, pauses and counts: what ends a session early and what begins the next."""

from __future__ import annotations

import pytest

from riskguard.core.live.trips import DayFills, Entry, Fill, Trip, walk
from tests.core.builders import NOW, SECOND, account, inr
from tests.core.live.sights import Watch
from tests.core.tables import Row, table

SHARE = ("NSE_EQ", "1333")
LINE = ("NSE_EQ", "1333", "INTRADAY")

LOCKS = table("""
    readings                         done
    999.99 0 0                       - - -
    1000 500.01 500.01               - - -
    1000 500 500                     - - reduce_only
    1000 500 600 500                 - - - -
    1000~ 400 400                    - - -
    2000 1001 1000 1000              - - - reduce_only
    2000 1000~                       - reduce_only
    1000.01 500.0051 500.0051        - - -
    1000.01 500.005 500.005          - - reduce_only
    1000 - 500 500                   - - - reduce_only
""")


@pytest.mark.parametrize("row", LOCKS, ids=str)
def test_half_of_the_best_may_be_given_back(row: Row) -> None:
    """Armed at ₹1,000; reaching the floor on two fresh readings acts, old marks arm nothing and only reduce."""
    watch = Watch("profit_lock", armed_at_inr="1000", give_back_pct=50)
    done = []
    for reading in row.readings.split():
        pnl = None if reading == "-" else reading.rstrip("~")
        done.append(watch.look(pnl=pnl, fresh=not reading.endswith("~")))

    assert " ".join(done) == row.done


def test_a_floor_neither_moves_nor_arms_twice() -> None:
    """A higher fresh reading moves the best and says nothing; once reached it is reached, old marks or not."""
    watch = Watch("profit_lock", armed_at_inr="1000", give_back_pct=50)
    assert [watch.look(pnl=pnl) for pnl in ("1000", "3000")] == ["-", "-"]
    assert watch.codes() == "-" and watch.memory["peak_e4"] == inr("3000")
    assert [watch.look(pnl="1500", fresh=fresh) for fresh in (False, False, True, True, True)] == [
        "reduce_only", "-", "-", "reduce_only", "-",
    ]  # fmt: skip


def test_a_floor_that_only_watches_reduces_nothing() -> None:
    watch = Watch("profit_lock", armed_at_inr="1000", give_back_pct=50, mode="shadow")
    assert [watch.look(pnl="1000"), watch.look(pnl="400", fresh=False)] == ["-", "-"]
    assert "reduced" not in watch.memory and watch.codes() == "-"


APART = table("""
    apart_s    done
    1.999999   -
    2          reduce_only
    30         reduce_only
    30.000001  -
    -1         -
""")


@pytest.mark.parametrize("row", APART, ids=str)
@pytest.mark.parametrize("check", ["profit_lock", "profit_target"])
def test_two_readings_prove_between_2_and_30_s_apart(check: str, row: Row) -> None:
    """Closer is one print, further is two stories, and a clock set back begins anew."""
    if check == "profit_lock":
        watch = Watch(check, armed_at_inr="1000", give_back_pct=50)
        watch.look(-9, pnl="1000")
        figure = "500"
    else:
        watch, figure = Watch(check, target_inr="1000"), "1000"
    assert watch.look(0, pnl=figure) == "-"
    assert watch.look(float(row.apart_s), pnl=figure) == row.done


def test_a_recovery_on_old_marks_does_not_clear_a_first_reading() -> None:
    """Above the floor on a fresh mark begins anew; on an old one it proves nothing either way."""
    for fresh, done in ((True, "-"), (False, "reduce_only")):
        watch = Watch("profit_lock", armed_at_inr="1000", give_back_pct=50)
        watch.look(pnl="1000")
        watch.look(pnl="500")
        watch.look(pnl="900", fresh=fresh)
        assert watch.look(pnl="500") == done


TARGETS = table("""
    readings               done
    999.99 999.99          - -
    1000 1000              - reduce_only
    1000 999 1000 1000     - - - reduce_only
    1000~ 1000~            - -
    1000 1000 1000         - reduce_only -
""")


@pytest.mark.parametrize("row", TARGETS, ids=str)
def test_a_target_is_reached_on_two_fresh_readings(row: Row) -> None:
    """One print is no profit; once reached it is reached for the day."""
    watch = Watch("profit_target", target_inr="1000")
    done = [watch.look(pnl=each.rstrip("~"), fresh=not each.endswith("~")) for each in row.readings.split()]

    assert " ".join(done) == row.done


def test_the_next_session_opens_the_door_again() -> None:
    """The cause of a target goes with its day; a clock set back does not take it."""
    watch = Watch("profit_target", target_inr="1000")
    watch.look(pnl="1000")
    watch.look(pnl="1000")
    assert watch.look(pnl="1000", date="2024-06-03") == "-"

    assert watch.look(pnl="0", date="2024-06-05") == "clear"
    assert watch.look(pnl="0", date="2024-06-05") == "-"


# -- round trips ------------------------------------------------------------------------------------------------------


def fills(text: str) -> list[Fill]:
    """`B10@100` buys; a `!` after it is a stop, `/name` the order or the parent of its slices."""
    made = []
    for number, each in enumerate(text.split()):
        body, _, parent = each.partition("/")
        quantity, _, price = body.rstrip("!")[1:].partition("@")
        made.append(
            Fill(
                LINE, 1 if each[0] == "B" else -1, int(quantity), inr(price), NOW + number * SECOND, f"o{number:03d}",
                parent, "dip", body.endswith("!"),
            )
        )  # fmt: skip
    return made


WALKS = table("""
    fills                              carried   trips               entries  open
    B10@100 S10@110                    -         100                 1        -
    B10@100 S10@90!                    -         -100!               1        -
    S10@100 B10@90                     -         100                 1        -
    B10@100 B10@110 S20@105            -         0                   2        -
    B10@100 B10@110 S10@120            -         -                   2        10@105
    B10@100 S15@110 B5@100             -         100 50              2        -
    S10@110                            10@100    100                 0        -
    S10@110                            10@?      ?                   0        -
    S10@110 B10@100 S10@90             10@?      ? -100              1        -
    B5@100/p B5@100/p S10@100          -         0                   1        -
    B10@100 S4@110 S6@90               -         -20                 1        -
    S5@110                             10@100    -                   0        5@100
""")


@pytest.mark.parametrize("row", WALKS, ids=str)
def test_the_walk_of_a_day(row: Row) -> None:
    """Flat to flat, at average cost; a turn over zero ends one trip and begins the next; slices are one entry."""
    carried = {}
    if row.opt("carried"):
        quantity, _, close = row.carried.partition("@")
        carried[LINE] = (int(quantity), None if close == "?" else inr(close))
    made = walk(fills(row.fills), carried)
    trips = [("?" if each.pnl_e4 is None else f"{each.pnl_e4 // 10_000}") + "!" * each.by_stop for each in made.trips]

    assert " ".join(trips) == (row.opt("trips") or "")
    assert len(made.entries) == row.number("entries")
    (quantity, _, price) = (row.opt("open") or "").partition("@")
    assert list(made.average_e4.values()) == ([inr(price)] if price else [])


def trips(text: str, strategy: str = "dip") -> DayFills:
    """`-100` lost, `50` won, `?` unknown, `0` even; one a second, the first a second before now. `!` ended by a stop."""
    each = [
        Trip(
            LINE, strategy, NOW + (number - 1) * SECOND, None if one.rstrip("!") == "?" else inr(one.rstrip("!")),
            one.endswith("!"),
        )
        for number, one in enumerate(text.split())
    ]  # fmt: skip
    return DayFills(tuple(each))


STREAKS = table("""
    trips                  done
    -1 -1                  -
    -1 -1 -1               reduce_only
    -1 -1 5 -1             -
    -1 0 -1 -1             reduce_only
    -1 ? -1 -1             reduce_only
    -1 -1 -1 5             -
    5 -1 -1 -1 -1          reduce_only
""")


@pytest.mark.parametrize("row", STREAKS, ids=str)
def test_losses_in_a_row(row: Row) -> None:
    """Three pause; a win ends the row, an even or unknown one neither counts nor ends it."""
    watch = Watch("loss_streak", losses_max=3, pause_s=60)

    assert watch.look(10, fills=trips(row.trips)) == row.done


def test_a_pause_ends_and_its_losses_are_not_counted_again() -> None:
    """Reaching the end clears; the same three losses do not pause twice, three new ones do. A new day clears too."""
    watch = Watch("loss_streak", losses_max=3, pause_s=60)
    day = trips("-1 -1 -1")
    assert watch.look(10, fills=day) == "reduce_only"
    assert watch.look(69.999999, fills=day) == "-"
    assert watch.look(70, fills=day) == "clear"
    assert watch.look(72, fills=day) == "-"
    assert watch.look(74, fills=trips("-1 -1 -1 -1 -1")) == "-"
    assert watch.look(76, fills=trips("-1 -1 -1 -1 -1 -1")) == "reduce_only"

    assert watch.look(78, date="2024-06-05", fills=DayFills()) == "clear"


def test_a_streak_is_the_strategys_own() -> None:
    """Another strategy's losses do not pause this one; without fills nothing is judged."""
    watch = Watch("loss_streak", scope="STRATEGY:trend", losses_max=1, pause_s=60)

    assert watch.look(fills=trips("-1 -1", "dip")) == "-"
    assert watch.look(fills=None) == "-"
    assert watch.look(fills=trips("-1", "trend")) == "reduce_only"


COOLDOWNS = table("""
    after  trips     at_s        done
    stop   -5!       0           reduce_only@INSTRUMENT:NSE_EQ:1333
    stop   -5        0           -
    stop   5!        0           reduce_only@INSTRUMENT:NSE_EQ:1333
    loss   -5        0           reduce_only@INSTRUMENT:NSE_EQ:1333
    loss   5!        0           -
    loss   ?         0           -
    stop   -5!       58.999999   reduce_only@INSTRUMENT:NSE_EQ:1333
    stop   -5!       59          -
""")


@pytest.mark.parametrize("row", COOLDOWNS, ids=str)
def test_an_instrument_rests_after_its_stop(row: Row) -> None:
    """60 s from the fill, a second before the first look; at the end it is open again."""
    watch = Watch("cooldown", after=row.after, pause_s=60)

    assert watch.look(float(row.at_s), fills=trips(row.trips)) == row.done


def test_a_cooldown_clears_itself() -> None:
    watch = Watch("cooldown", after="stop", pause_s=60)
    day = trips("-5!")
    assert [watch.look(at_s, fills=day) for at_s in (0, 58, 59, 61)] == [
        "reduce_only@INSTRUMENT:NSE_EQ:1333", "-", "clear@INSTRUMENT:NSE_EQ:1333", "-",
    ]  # fmt: skip


ENTRIES = table("""
    entries  scope            done
    2        ACCOUNT:leader   -
    3        ACCOUNT:leader   reduce_only
    3        STRATEGY:dip     reduce_only
    3        STRATEGY:trend   -
    3        SEGMENT:NSE_EQ   reduce_only
    3        SEGMENT:NSE_FNO  -
""")


@pytest.mark.parametrize("row", ENTRIES, ids=str)
def test_so_many_entries_and_no_more(row: Row) -> None:
    """Three are allowed, and having had them closes the door; the next session opens it."""
    watch = Watch("trades_per_day", scope=row.scope, entries_max=3)
    day = DayFills(entries=(Entry(SHARE, "dip"),) * row.number("entries"))

    assert watch.look(fills=day) == row.done
    assert watch.look(fills=day) == "-"
    assert watch.look(date="2024-06-05", fills=DayFills()) == ("-" if row.done == "-" else "clear")


def test_a_limit_that_only_watches_says_it_and_does_nothing() -> None:
    asked: dict[str, dict[str, object]] = {
        "profit_target": {"target_inr": "1"},
        "trades_per_day": {"entries_max": 1},
        "loss_streak": {"losses_max": 1, "pause_s": 60},
    }
    for check, parameters in asked.items():
        watch = Watch(check, account(), mode="shadow", **parameters)
        day = DayFills(trips("-1").trips, (Entry(SHARE, "dip"),))
        done = [watch.look(pnl="5", fills=day) for _ in range(2)]
        assert done == ["-", "-"] and watch.memory["watched"]
