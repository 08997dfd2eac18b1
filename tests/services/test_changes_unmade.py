"""
A change the broker took and never made: the list goes on showing the order as it was, and has the last word.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from riskguard.services import overview
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.sweeps import unmade
from riskguard.services.wiring import paper_path
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk, rulebook
from tests.services.killing import Judge, drive, net_of, quote_all

LIMIT = 'check = "net_position"\nposition_max = "100"\nunit = "units"'


def change(desk: Desk, order: Any, name: str, **changes: Any) -> None:
    decision = desk.guard.check_modify(str(order.client_order_id), account=ACCOUNT, client_order_id=name, **changes)
    assert decision.approved and decision.permit is not None, decision.explain()
    with decision.permit.sending() as wire:
        wire.order_id = desk.broker.modify(decision.approved_order)


def said(desk: Desk, name: str) -> tuple[Any, ...]:
    row = desk.rows(
        "SELECT order_type, quantity, price_e4, trigger_price_e4 FROM permits WHERE client_order_id = ?", name
    )
    return row[0]


def sweeps(desk: Desk, *after_s: float) -> None:
    for each in after_s:
        desk.clock.advance(each)
        desk.quote("100")
        desk.sweep(0)


@pytest.mark.parametrize("undone", [True, False])
def test_what_was_not_lowered_holds_its_room(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, undone: bool
) -> None:
    """100 lowered to 10, taken and not made: at most 100 may be bought, so another 90 are refused. The control lets them."""
    if not undone:
        monkeypatch.setattr(unmade, "take_back", lambda *_: False)
    desk = make_desk(text=rulebook(net_position=LIMIT))
    sweeps(desk, 2)
    first = desk.order(quantity=100, price="99")
    desk.place(first)
    desk.broker.behave("modify", "deaf")
    change(desk, first, "lower", quantity=10)
    assert said(desk, str(first.client_order_id))[1] == 10
    sweeps(desk, 2, 4)

    assert desk.guard.check(desk.order(quantity=90, price="98")).approved != undone
    assert said(desk, str(first.client_order_id))[1] == (100 if undone else 10)
    assert desk.permit("lower") == ("REFUSED" if undone else "MERGED")


STORIES = table("""
    asked                made  after_s  shows
    quantity=4           no    6        LIMIT_10_99_-
    quantity=4           no    4        LIMIT_4_99_-
    quantity=4           yes   6        LIMIT_4_99_-
    price=98             no    6        LIMIT_10_99_-
    quantity=4;price=98  no    6        LIMIT_10_99_-
    quantity=4;price=98  half  6        LIMIT_4_99_-
    order_type=MARKET    no    6        LIMIT_10_99_-
""")


@pytest.mark.parametrize("row", STORIES, ids=str)
def test_the_list_has_the_last_word_once_it_had_time(desk: Desk, row: Row) -> None:
    """After five seconds, of one change or of the last ones; what was made stays. The evidence verifies all the while."""
    sweeps(desk, 2)
    order = desk.order(price="99")
    desk.place(order)
    asked = row.asked.split(";")
    for number, each in enumerate(asked):
        deaf = row.made == "no" or (row.made == "half" and number == len(asked) - 1)
        desk.broker.behave("modify", "deaf" if deaf else "ok")
        name, _, value = each.partition("=")
        change(desk, order, f"c{number}", **{name: int(value) if name == "quantity" else value})
    sweeps(desk, row.number("after_s"))

    kind, quantity, price, trigger = row.shows.split("_")
    assert said(desk, str(order.client_order_id)) == (
        kind, int(quantity), int(price) * 10_000, None if trigger == "-" else int(trigger)
    )  # fmt: skip
    for found in overview.verify(desk.guard.store):
        assert found["wrong"] is None and not found["replay_disagrees"]


def test_a_difference_no_change_of_ours_explains_is_left(desk: Desk) -> None:
    """Somebody made it 7 in the broker's app: what riskguard let out stays what its journal says."""
    sweeps(desk, 2)
    order = desk.order(price="99")
    desk.place(order)
    change(desk, order, "ours", quantity=8)
    with contextlib.closing(sqlite3.connect(paper_path(desk.path))) as market, market:
        market.execute("UPDATE orders SET quantity = 7")
    sweeps(desk, 6)

    assert said(desk, str(order.client_order_id))[1] == 8


@pytest.mark.parametrize("times", [1, 2, None])
def test_a_flatten_closes_though_its_change_is_taken_and_not_made(desk: Desk, times: int | None) -> None:
    """A stop of ours becomes the exit by a change; it is asked for twice, and then the stop makes way for an exit."""
    desk.sweep()
    quote_all(desk)
    desk.place(desk.order(price="100"))
    sweeps(desk, 6)
    quote_all(desk)
    desk.place(desk.order("SELL", 10, "89", order_type="STOP_LOSS", trigger_price="90"))
    sweeps(desk, 2)
    desk.broker.behave("modify", "deaf", times)
    from_us = desk.clock.now_us()
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    run = drive(desk, runner, s_max=60, move=lambda: quote_all(desk), until=lambda run: run.state == "DONE")

    assert run.state == "DONE" and net_of(desk) == {}, run
    assert Judge(desk.broker.events(), from_us).replay({}) == []
