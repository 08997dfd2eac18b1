"""Exits larger than the exchange takes go out in slices: by a kill run, and by a person."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.services.kill.killrun import KillRunner
from riskguard.services.orders.exits import exit_all
from riskguard.services.orders.slicing import SLICES_AT_ONCE_MAX, sliced
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, FUTURE, Desk, rulebook

FROZEN = 'check = "freeze_quantity"'


@pytest.fixture
def frozen(make_desk: Callable[..., Desk]) -> Desk:
    """A desk whose exchange takes 50 of the future in one order, and says so."""
    made = make_desk(text=rulebook(freeze_quantity=FROZEN))
    made.sql("UPDATE instruments SET freeze_quantity = 50 WHERE security_id = ?", FUTURE.security_id)
    made.sweep()
    for _ in range(2):
        made.hold(50, instrument=FUTURE)
    made.hold(25, instrument=FUTURE)
    return made


def sold(desk: Desk) -> list[int]:
    return [trade.quantity for trade in desk.broker.trades() if trade.side == "SELL"]


def test_a_kill_run_closes_in_slices(frozen: Desk) -> None:
    """125 held, 50 an order: 50, 50 and 25, each an order of its own, and none twice."""
    unsliced = frozen.guard.check(frozen.order_of(FUTURE, "SELL", 125, None), emergency_exit="asha")
    assert [each.code.value for each in unsliced.rejects] == ["ABOVE_FREEZE_QUANTITY"]
    frozen.kill(plan="flatten")
    runner = KillRunner(frozen.guard, ACCOUNT, frozen.broker)
    for _ in range(20):
        frozen.quote("100", FUTURE)
        (run,) = runner.advance()
        if run.state == "DONE":
            break
        frozen.sweep(6)

    assert run.state == "DONE" and sold(frozen) == [50, 50, 25]


def test_a_person_exits_in_slices(frozen: Desk) -> None:
    """One entry per slice, each placed; a second call finds nothing left."""
    frozen.quote("100", FUTURE)
    found = exit_all(frozen.guard, ACCOUNT, frozen.broker, by="asha", reason="going home")

    assert [(each["quantity"], each["placed"]) for each in found] == [(50, True), (50, True), (25, True)]
    frozen.sweep(6)
    assert sold(frozen) == [50, 50, 25]
    assert exit_all(frozen.guard, ACCOUNT, frozen.broker, by="asha", reason="again") == []


PARTS = table("""
    quantity  freeze  ceiling  parts        left
    50        50      -        50           0
    51        50      -        50 1         0
    125       50      -        50 50 25     0
    1000      50      -        50           600
    125       -       -        125          0
    125       -       5250     50 50 25     0
    125       100     5250     50 50 25     0
    125       -       5249     25           0
""")


@pytest.mark.parametrize("row", PARTS, ids=str)
def test_parts(desk: Desk, row: Row) -> None:
    """Freeze quantity, and value at ₹100; no more slices at once than messages allow, the rest is said."""
    import dataclasses

    desk.quote("100", FUTURE)
    future = dataclasses.replace(
        FUTURE, freeze_quantity=row.opt_number("freeze"), order_value_max_e4=row.e4("ceiling"), tick_e4=500
    )
    order = desk.order_of(FUTURE, "BUY", row.number("quantity"), None, client_order_id="x")
    parts, left = sliced(desk.guard, order, future)

    sizes = [part.quantity for part in parts]
    assert sum(sizes) + left == order.quantity and left == row.number("left")
    wanted = [int(each) for each in row.parts.split()]
    assert sizes == wanted or (set(sizes) == set(wanted) and len(sizes) <= SLICES_AT_ONCE_MAX)
    if len(parts) > 1:
        assert [part.client_order_id for part in parts] == [f"x.{number}" for number in range(1, len(parts) + 1)]
        assert {part.slice_of for part in parts} == {"x"}
