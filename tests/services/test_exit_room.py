"""An exit that needs another exit's room waits for it, also when that one was only granted while it was judged."""

from __future__ import annotations

import pytest

from riskguard.errors import PermitNotSendableError
from tests.services.desk import Desk


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
