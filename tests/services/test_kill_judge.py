"""The judge of a kill that could not act at every moment: what it forgives, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskguard.brokers.paper.events import Event
from riskguard.services.kill.killrun import judging
from tests.core.tables import Row, table
from tests.services.desk import SECOND, Desk
from tests.services.killing import Judge, Rounds, net_of

KILLED_US = 100 * SECOND


def events(words: str) -> list[Event]:
    """`buy60=1@0` (placed as order 1 at 0 s), `fill60=1@0`, `stop60=2@1`, `end=2@105`; the kill is at 100 s."""
    made: list[Event] = []
    sides: dict[str, dict[str, Any]] = {}
    for number, word in enumerate(words.split(), 1):
        what, _, rest = word.partition("=")
        name, _, at_s = rest.partition("@")
        kind = what.rstrip("0123456789")
        quantity = int(what[len(kind) :] or 0)
        if kind == "end":
            said: dict[str, Any] = {"status": "CANCELLED"}
        elif kind == "fill":
            said = {"quantity": quantity, "status": "TRADED", "price_e4": 1}
        else:
            said = {
                "exchange_segment": "NSE_EQ", "security_id": "1333", "product": "INTRADAY", "quantity": quantity, "filled": 0,
                "side": "BUY" if kind == "buy" else "SELL", "trigger_price_e4": 1 if kind == "stop" else None, "kind": "ORDER",
                "group_name": "", "leg": "", "status": "PENDING", "correlation_id": f"rg{name}",
            }  # fmt: skip
            sides[name] = said
        what = {"end": "ENDED", "fill": "FILLED"}.get(kind, "PLACED")
        made.append(Event(number, round(float(at_s) * SECOND), what, name, said))
    return made


CROSSED = table("""
    looks      asked  wrong
    -          -      0
    99:4       -      0
    101:4      -      1
    101:4      2@102  0
    101:4      2@104  1
    101:5      -      0
""")


@pytest.mark.parametrize("row", CROSSED, ids=str)
def test_an_order_of_before_the_kill_that_a_round_let_stay_may_not_cross(row: Row) -> None:
    """
    Long 45, a sale of 60 rests and fills 3 s after the kill. Forgiven before the end of the first round that began after
    the kill (`began:last event`), and from when the run asked for its end; without rounds never.
    """
    story = events("buy45=1@0 fill45=1@0 sell60=2@1 buy1=3@99 fill60=2@103")

    assert len(Judge(story, KILLED_US, rounds(row)).replay({})) == row.number("wrong")
    assert len(Judge(story, KILLED_US).replay({})) == 1


def test_an_exit_of_the_kill_may_never_cross() -> None:
    """Whatever any round saw."""
    story = events("buy45=1@0 fill45=1@0 sell60=2@101 fill60=2@101")

    (said,) = Judge(story, KILLED_US, Rounds([], {"2": KILLED_US})).replay({})
    assert said.startswith("crossed")


def test_two_exits_that_close_a_line_twice_are_not_forgiven() -> None:
    """The run asked for the end of a sale and sent its own before that one was gone: both fill."""
    story = events("buy45=1@0 fill45=1@0 sell30=2@1 sell30=3@102 fill30=3@102 fill30=2@103")

    (said,) = Judge(story, KILLED_US, Rounds([], {"2": 101 * SECOND})).replay({})
    assert said.startswith("crossed")


BARE = table("""
    stop  looks   asked  wrong
    60    -       2@101  0
    60    105:4   2@101  0
    60    104:5   2@101  0
    60    106:5   2@101  1
    60    -       -      1
    55    -       2@101  1
""")


@pytest.mark.parametrize("row", BARE, ids=str)
def test_a_line_is_bare_only_until_the_next_round_after_a_stop_larger_than_it_went(row: Row) -> None:
    """
    Long 55, the stop ends 5 s after the kill and comes back at 20 s. A stop that fits may not go, nor one the kill did not
    cancel; and the round that saw the end has to have put it back.
    """
    story = events(f"buy55=1@0 fill55=1@0 stop{row.stop}=2@1 buy1=3@99 end=2@105 stop55=4@120")

    assert bool(Judge(story, KILLED_US, rounds(row)).replay({})) == bool(row.number("wrong"))
    assert Judge(story, KILLED_US).replay({})


IN_THE_WAY = table("""
    sale  looks   asked          wrong
    60    106:5   2@101,3@108    0
    60    106:6   2@101,3@108    0
    60    111:7   2@101,3@108    1
    60    106:5   2@101          1
    55    106:5   2@101,3@108    1
""")


@pytest.mark.parametrize("row", IN_THE_WAY, ids=str)
def test_a_limit_in_the_way_of_the_stop_that_comes_back_makes_room_first(row: Row) -> None:
    """
    Long 55 behind a stop and a limit; the stop of 60 goes at 105 s and cannot come back beside the limit, which goes at
    110 s. The round that saw that has to have put the stop back; a limit that fits may not go, nor one nobody asked to go.
    """
    story = events(f"buy55=1@0 fill55=1@0 stop60=2@1 sell{row.sale}=3@1 end=2@105 end=3@110 buy1=5@112 stop55=4@120")

    assert bool(Judge(story, KILLED_US, rounds(row)).replay({})) == bool(row.number("wrong"))
    assert Judge(story, KILLED_US).replay({})


@pytest.mark.parametrize(("other", "wrong"), [(30, False), (15, True)])
def test_stops_are_too_large_together(other: int, wrong: bool) -> None:
    """Long 55: a stop of 40 that goes was too large beside one of 30, and fitted beside one of 15."""
    story = events(f"buy55=1@0 fill55=1@0 stop{other}=2@1 stop40=3@1 buy1=4@99 end=3@105 stop40=5@120")

    assert bool(Judge(story, KILLED_US, Rounds([], {"3": 101 * SECOND})).replay({})) == wrong


def test_a_position_the_market_turned_over_was_never_guarded() -> None:
    """Long 55 behind a stop of 60 that fills before any round: short 5 is bare, and no protection of it was taken away."""
    story = events("buy55=1@0 fill55=1@0 stop60=2@1 buy1=3@99 fill60=2@103 buy1=4@104")

    assert Judge(story, KILLED_US, Rounds([], {})).replay({}) == []
    assert {said.partition(":")[0] for said in Judge(story, KILLED_US).replay({})} == {"crossed", "naked"}


def test_a_kill_is_after_what_was_before_it_whatever_the_clock_said() -> None:
    """Sold at 110 s, then the clock was set back, and the kill came at 100 s: what was sold was not its own."""
    story = events("sell20=1@110 fill20=1@110 buy20=2@101 fill20=2@101")

    assert Judge(story, KILLED_US, after=2).replay({}) == []
    (said,) = Judge(story, KILLED_US, after=0).replay({})
    assert said.startswith("opened")


def rounds(row: Row) -> Rounds:
    looks = row.opt("looks")
    began, _, last = (looks or "").partition(":")
    asked = (each.partition("@") for each in (row.opt("asked") or "").split(",") if each)
    return Rounds(
        [(int(began) * SECOND, int(last))] if looks else [], {name: int(at_s) * SECOND for name, _, at_s in asked}
    )  # fmt: skip


def flattened(desk: Desk) -> list[str]:
    """Long 60 behind a stop of all of it, with two older stops of 10 and four targets of 10; what was ever wrong."""
    desk.sweep()
    desk.quote("100")
    desk.hold(60)
    for quantity in (10, 10, 60):
        desk.past(desk.order("SELL", quantity, "89", order_type="STOP_LOSS", trigger_price="90"))
    for price in ("110", "111", "112", "113"):
        desk.past(desk.order("SELL", 10, price))
    desk.clock.advance(1)
    from_us = desk.clock.now_us()
    desk.kill(plan="flatten")
    for _ in range(12):
        desk.quote("100")
        desk.sweep()
    assert net_of(desk) == {} and desk.one("SELECT state FROM kill_runs") == "DONE"
    return Judge(desk.broker.events(), from_us).replay({})


def test_a_stop_of_the_whole_line_is_kept_before_small_ones_and_targets(desk: Desk) -> None:
    """It becomes the exit by one change: the line is never bare."""
    assert flattened(desk) == []


def test_the_control_the_oldest_stops_first_leave_the_line_bare(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept by age, the small stops push the whole one out; targets fill its room, and are then cleared for the exit."""

    def by_age(order: Any, _own: object) -> tuple[int, int, str]:
        return (1 if judging.is_stop(order) else 2), 0, order.order_id

    monkeypatch.setattr(judging, "_worth", by_age)
    monkeypatch.setattr(judging, "comes_back", lambda _order: False)

    assert any(said.startswith("naked") for said in flattened(make_desk()))
