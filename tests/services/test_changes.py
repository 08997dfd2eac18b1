"""Changing a working order: judged again in its own place, reserved until the broker answered, settled by its list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskguard.errors import BrokerUnconfirmedError, OrderInvalidError, PermitNotSendableError
from riskguard.services import overview
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk, rulebook

TIGHT = rulebook(net_position='check = "net_position"\nposition_max = "100"\nunit = "units"')


@pytest.fixture
def tight(make_desk: Callable[..., Desk]) -> Iterator[Desk]:
    """A desk on which 100 units may be reached, and a buy of 60 at 90 works below the market."""
    desk = make_desk(text=TIGHT)
    desk.sweep()
    desk.quote("100")
    desk.place(desk.order(quantity=60, price="90", client_order_id="w"))
    desk.sweep()
    yield desk


def codes(decision: object) -> list[str]:
    return [each.code.value for each in decision.rejects]  # type: ignore[attr-defined]


def change(desk: Desk, **changes: object) -> object:
    return desk.guard.check_modify("w", account=ACCOUNT, **changes)


def send(desk: Desk, decision: object) -> None:
    with decision.permit.sending() as wire:  # type: ignore[attr-defined]
        wire.order_id = desk.broker.modify(decision.approved_order)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("quantity", "expected"), [(100, []), (101, ["NET_POSITION_ABOVE_LIMIT"])])
def test_the_order_is_judged_in_its_own_place(tight: Desk, quantity: int, expected: list[str]) -> None:
    """60 working, 100 allowed: up to 100 passes, because the 60 are not counted beside it. One more does not."""
    decision = change(tight, quantity=quantity)

    assert codes(decision) == expected
    assert decision.recorded
    if expected:
        assert decision.rejects[0].max_quantity == 100


def test_what_the_change_adds_is_reserved_at_once(tight: Desk) -> None:
    """Between approval and answer both count: 60 working + 30 to be added leave room for 10."""
    assert change(tight, quantity=90).approved

    assert not tight.guard.check(tight.order(quantity=11)).approved
    assert tight.guard.check(tight.order(quantity=10)).approved


def reduce_only(desk: Desk) -> None:
    desk.sql(
        "INSERT INTO state_causes (account, scope, state, code, detail, by_whom, is_soft, raised_at_us) "
        "VALUES (?, ?, 'REDUCE_ONLY', 'TEST', '', 't', 0, ?)", ACCOUNT, f"ACCOUNT:{ACCOUNT}", desk.clock.now_us(),
    )  # fmt: skip


EXITS = table("""
    held  type       price  trigger  to_price  to_trigger  ACTIVE  REDUCE_ONLY
    10    STOP_LOSS  79     80       80        81          yes     yes
    10    STOP_LOSS  79     80       78        79.95       yes     no
    10    LIMIT      120    -        119.95    -           yes     yes
    10    LIMIT      120    -        120.05    -           yes     no
    -10   STOP_LOSS  121    120      120       119.95      yes     yes
    -10   STOP_LOSS  121    120      122       120.05      yes     no
    -10   LIMIT      80     -        80.05     -           yes     yes
    -10   LIMIT      80     -        79.95     -           yes     no
""")


@pytest.mark.parametrize("row", EXITS, ids=str)
@pytest.mark.parametrize("state", ["ACTIVE", "REDUCE_ONLY"])
def test_an_exit_moves_only_towards_the_market_under_reduce_only(desk: Desk, row: Row, state: str) -> None:
    """A stop or a target that works for a position held: further from the market the position is guarded less."""
    held = row.number("held")
    desk.hold(held, "100")
    fields = {} if row.opt("trigger") is None else {"trigger_price": row.trigger}
    desk.place(
        desk.order(
            "SELL" if held > 0 else "BUY", 10, row.price, order_type=row.type, client_order_id="w", **fields
        )
    )  # fmt: skip
    desk.sweep()
    if state == "REDUCE_ONLY":
        reduce_only(desk)
    to = {"price": row.to_price} | ({} if row.opt("to_trigger") is None else {"trigger_price": row.to_trigger})

    decision = change(desk, **to)

    assert codes(decision) == ([] if getattr(row, state) == "yes" else ["REDUCE_ONLY"])
    assert decision.recorded


def test_a_taken_change_is_merged(tight: Desk) -> None:
    """The order is what it became; the change holds nothing; price and quantity are those the broker has."""
    send(tight, change(tight, quantity=90, price="95"))

    assert tight.rows("SELECT state, quantity, price_e4 FROM permits WHERE client_order_id = 'w'") == [
        ("ACKED", 90, 950_000)
    ]
    assert tight.rows("SELECT state FROM permits WHERE kind = 'MODIFY'") == [("MERGED",)]
    (order,) = tight.broker.orders()
    assert (order.quantity, order.price_e4) == (90, 950_000)
    assert tight.guard.check(tight.order(quantity=10)).approved
    assert not tight.guard.check(tight.order(quantity=1)).approved


def test_part_filled_orders_are_changed_by_their_whole_quantity(make_desk: Callable[..., Desk]) -> None:
    """Of 60, 20 filled: the whole becomes 100, which reaches exactly 100; less than the 20 is no order."""
    from riskguard.brokers.paper import PaperSettings

    desk = make_desk(text=TIGHT)
    desk.join_market(settings=PaperSettings(fill_quantity_max=20))
    desk.sweep()
    desk.quote("100")
    desk.place(desk.order(quantity=60, price="100", client_order_id="w"))
    desk.sweep()
    assert desk.one("SELECT filled_quantity FROM permits WHERE client_order_id = 'w'") == 20

    with pytest.raises(OrderInvalidError, match="above the 20 filled already"):
        change(desk, quantity=20)
    assert codes(change(desk, quantity=101)) == ["NET_POSITION_ABOVE_LIMIT"]
    decision = change(desk, quantity=100)
    assert decision.approved and decision.order.quantity == 80
    assert decision.approved_order.order.quantity == 100


def test_what_is_sent_is_what_was_adjusted(tight: Desk) -> None:
    """A lowered price off the tick passes as an exit does: moved to the tick, and that is what the broker gets."""
    decision = change(tight, price="89.97")
    assert str(decision.adjusted_to.price) == "89.95"
    send(tight, decision)

    assert tight.broker.orders()[0].price_e4 == 899_500
    assert tight.one("SELECT price_e4 FROM permits WHERE client_order_id = 'w'") == 899_500


@pytest.mark.parametrize("answer", ["silent", "lost"])
def test_an_unheard_answer_is_settled_by_the_list(tight: Desk, answer: str) -> None:
    """Until the list is old enough to tell, what the change adds stays reserved, and no second change goes out."""
    tight.broker.behave("modify", answer, times=1)
    with pytest.raises(BrokerUnconfirmedError):
        send(tight, change(tight, quantity=90))
    assert tight.rows("SELECT state FROM permits WHERE kind = 'MODIFY'") == [("UNKNOWN",)]
    assert codes(change(tight, quantity=80)) == ["UNCONFIRMED_IN_FLIGHT"]
    assert not tight.guard.check(tight.order(quantity=11)).approved

    tight.sweep()
    if answer == "lost":
        assert tight.rows("SELECT state FROM permits WHERE kind = 'MODIFY'") == [("UNKNOWN",)]
    tight.sweep(6)

    taken = answer == "silent"
    assert tight.rows("SELECT state FROM permits WHERE kind = 'MODIFY'") == [("MERGED" if taken else "REFUSED",)]
    assert tight.one("SELECT quantity FROM permits WHERE client_order_id = 'w'") == (90 if taken else 60)
    assert tight.guard.check(tight.order(quantity=11)).approved is not taken


def test_lowering_passes_where_only_exits_do(tight: Desk) -> None:
    """Smaller, or a worse price for us to be filled at: less risk. Larger or dearer is not let out of REDUCE_ONLY."""
    tight.sql(
        "INSERT INTO state_causes (account, scope, state, code, detail, by_whom, is_soft, raised_at_us) "
        "VALUES (?, ?, 'REDUCE_ONLY', 'TEST', '', 't', 0, ?)", ACCOUNT, f"ACCOUNT:{ACCOUNT}", tight.clock.now_us(),
    )  # fmt: skip

    assert change(tight, quantity=59).approved
    assert codes(change(tight, price="90.05")) == ["REDUCE_ONLY"]
    assert codes(change(tight, quantity=61)) == ["REDUCE_ONLY"]
    assert change(tight, price="89.95").approved


def test_a_kill_between_check_and_send_wins(tight: Desk) -> None:
    """The change is void like any permit that was not sent."""
    decision = change(tight, quantity=90)
    tight.kill()

    with pytest.raises(PermitNotSendableError):
        send(tight, decision)
    assert tight.broker.orders()[0].quantity == 60


def test_messages_and_modifications_are_counted(tight: Desk) -> None:
    """One NEW and one MODIFY under the order's own name: what the throttle and the modification limit read."""
    send(tight, change(tight, price="91"))
    tight.guard.cancel(ACCOUNT, tight.broker.orders()[0].order_id, tight.broker.cancel)

    assert tight.rows("SELECT kind, client_order_id FROM order_messages ORDER BY id") == [
        ("NEW", "w"), ("MODIFY", "w"), ("CANCEL", tight.broker.orders()[0].order_id),
    ]  # fmt: skip


def test_a_cancel_is_never_refused(tight: Desk) -> None:
    """Not by a locked database either: it goes out, and is merely not counted."""
    order_id = tight.broker.orders()[0].order_id
    hasty = tight.another_guard(deadline_ms=1)
    with tight.unwritable():
        hasty.cancel(ACCOUNT, order_id, tight.broker.cancel)

    assert tight.broker.orders()[0].status == "CANCELLED"


def test_asked_twice_answered_once(tight: Desk) -> None:
    """The same id and contents: the same permit. The same id with others: refused."""
    first = change(tight, quantity=90, client_order_id="c-1")
    again = change(tight, quantity=90, client_order_id="c-1")

    assert again.approved and again.sequence == first.sequence
    assert again.approved_order.order.quantity == 90
    assert codes(change(tight, quantity=91, client_order_id="c-1")) == ["CLIENT_ORDER_ID_REUSED"]


BAD = {
    "nothing would be different": {"quantity": 60},
    "a broker does not change it": {"side": "SELL"},
    "wants a whole number": {"quantity": "70"},
    "wants a price above 0": {"price": "-1"},
}


@pytest.mark.parametrize("said", BAD)
def test_a_malformed_change_is_an_input_error(tight: Desk, said: str) -> None:
    """Nothing is decided and nothing written."""
    before = tight.one("SELECT count(*) FROM decisions")
    with pytest.raises(OrderInvalidError, match=said):
        change(tight, **BAD[said])
    assert tight.one("SELECT count(*) FROM decisions") == before


def test_only_an_order_that_works_can_be_changed(tight: Desk) -> None:
    """Not one that is unknown, unsent, or done."""
    assert tight.guard.check(tight.order(client_order_id="unsent")).approved
    for name in ("nobody", "unsent"):
        with pytest.raises(PermitNotSendableError):
            tight.guard.check_modify(name, account=ACCOUNT, quantity=1)
    tight.broker.cancel(tight.broker.orders()[0].order_id)
    tight.sweep()
    with pytest.raises(PermitNotSendableError, match="CANCELLED"):
        change(tight, quantity=50)


def test_an_order_nobody_asked_about_can_be_changed_too(tight: Desk) -> None:
    """Sent from the broker's app, found by the sweep, named by the broker's id."""
    order_id = tight.past(tight.order(quantity=30, price="80"))
    tight.sweep()

    assert codes(tight.guard.check_modify(order_id, account=ACCOUNT, quantity=41)) == ["NET_POSITION_ABOVE_LIMIT"]
    send(tight, tight.guard.check_modify(order_id, account=ACCOUNT, quantity=40))
    assert {each.order_id: each.quantity for each in tight.broker.orders()}[order_id] == 40


def test_the_journal_replays(tight: Desk, tmp_path: Path) -> None:
    """Approved and refused changes are decided again on what was kept, and agree."""
    send(tight, change(tight, quantity=90))
    change(tight, quantity=101)

    (mine,) = [each for each in overview.verify(tight.store) if each["account"] == ACCOUNT]
    assert (mine["wrong"], mine["replay_disagrees"]) == (None, [])
