"""An exit that needs another exit's room waits for it, also when that one was only granted while it was judged."""

from __future__ import annotations

import pytest

from riskguard.errors import PermitNotSendableError
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk


def test_an_exit_waits_for_one_that_was_sent_since(desk: Desk) -> None:
    """
    Ten are held behind a stop. A second stop and a sale are granted, each in the other's room; the first two are sorted
    out by cancelling the old stop, and the second stop goes out. The sale would now sell what is sold already: it waits
    until that stop is gone, then it goes.
    """
    desk.hold(10)
    old = desk.place(stop := desk.order("SELL", 10, "89", order_type="STOP_LOSS", trigger_price="90"))
    assert stop is not None and old is not None
    desk.sweep()
    second = desk.guard.check(desk.order("SELL", 10, "90", order_type="STOP_LOSS", trigger_price="91"))
    sale = desk.guard.check(desk.order("SELL", 4, "120"))
    assert second.approved and sale.approved and second.permit is not None and sale.permit is not None
    assert second.cancel_first and set(second.cancel_first) < set(sale.cancel_first)

    desk.broker.cancel(second.cancel_first[0])
    desk.sweep()
    with second.permit.sending() as wire:
        wire.order_id = desk.broker.place(second.approved_order)
    with pytest.raises(PermitNotSendableError, match=str(wire.order_id)), sale.permit.sending():
        raise AssertionError("fourteen would be sold of ten")

    desk.broker.cancel(str(wire.order_id))
    desk.sweep()
    with sale.permit.sending() as last:
        last.order_id = desk.broker.place(sale.approved_order)
    assert desk.permit(str(sale.client_order_id)) == "ACKED"


FILLED = table("""
    stop       goes
    cancelled  yes
    filled     no
    both       no
""")


@pytest.mark.parametrize("row", FILLED, ids=str)
def test_an_exit_whose_stop_filled_is_not_sent(desk: Desk, row: Row) -> None:
    """
    An exit was let out because the stop in its way would be cancelled. If that fills instead, nothing is left to close:
    sent, it would open a short. Also when only part of the room is left.
    """
    desk.hold(10)
    stop = desk.place(desk.order("SELL", 10, "89", order_type="STOP_LOSS", trigger_price="90"))
    desk.sweep()
    asked = desk.order("SELL", 4, None)
    decision = desk.guard.check(asked)
    assert decision.approved and decision.permit is not None and decision.cancel_first == (stop.permit.row.order_id,)
    if row.stop == "cancelled":
        desk.broker.cancel(decision.cancel_first[0])
    elif row.stop == "filled":
        desk.quote("89.5")
    else:  # seven of the ten were sold before the rest of the stop was cancelled
        desk.broker.cancel(decision.cancel_first[0])
        desk.guard.report_fill(
            ACCOUNT, order_id=decision.cancel_first[0], exchange_segment="NSE_EQ", security_id=asked.security_id,
            side="SELL", product="INTRADAY", quantity=7, price="89", trade_id="t-7",
        )  # fmt: skip
    desk.sweep()
    if row.has("goes"):
        with decision.permit.sending() as wire:
            wire.order_id = desk.broker.place(decision.approved_order)
        return
    with pytest.raises(PermitNotSendableError, match="of its 4 are left to close"), decision.permit.sending():
        raise AssertionError("it opens a short")
