"""
Changes the broker took and never made: its list goes on showing the order as it was.

A broker answers a change before the exchange has judged it. Believed for good, an order that was to be smaller holds less
than it may fill, and a stop that was to become the exit is waited for. So the list has the last word, once it had the time
to catch up.
"""

from __future__ import annotations

import json
import logging
from typing import Any, NamedTuple

from riskguard.core.book import SETTLE_US
from riskguard.core.seen import SeenOrder
from riskguard.store import permits
from riskguard.store.journal import BODY
from riskguard.store.permits import PermitRow
from riskguard.store.session import Session

log = logging.getLogger("riskguard")


class _Terms(NamedTuple):
    """What a broker changes of an order, as far as a permit knows it; prices in 1/10000 rupee."""

    order_type: str
    quantity: int
    price_e4: int | None
    trigger_price_e4: int | None


def take_back(session: Session, permit: PermitRow, order: SeenOrder, now_us: int) -> bool:
    """
    Undo merged changes of *permit* where *order*, live on the broker's list, is what it was before them.

    Returns whether something was undone. A difference no change of ours explains is left as it is.
    """
    shown = _Terms(order.order_type, order.quantity, order.price_e4, order.trigger_price_e4)
    if shown == _Terms(permit.order_type, permit.quantity, permit.price_e4, permit.trigger_price_e4):
        return False
    changes = permits.merged(session, permit.account, permit.client_order_id)
    if not changes or now_us - changes[0][3] < SETTLE_US:
        return False
    before: list[tuple[_Terms | None, int | None]]
    before = [(_becomes(becomes), risk_price_e4) for _name, becomes, risk_price_e4, _at_us in changes[1:]]
    before.append(_granted(session, permit))
    undone = next((number for number, (terms, _price_e4) in enumerate(before) if terms == shown), None)
    if undone is None:
        return False
    for name, *_ in changes[: undone + 1]:
        why = "the broker took it, and its list shows the order unchanged"
        permits.refuse_merged(session, permit.account, name, why)
        log.warning("%s: change `%s` of `%s` was taken and not made", permit.account, name, permit.client_order_id)
    permits.become(session, permit.account, permit.client_order_id, shown._asdict(), before[undone][1])
    return True


def _becomes(text: str) -> _Terms:
    said: dict[str, Any] = json.loads(text)
    return _Terms(*(said[name] for name in _Terms._fields))


def _granted(session: Session, permit: PermitRow) -> tuple[_Terms | None, int | None]:
    """Return the order as it was approved at first, and the worst it might trade at; None where its entry is gone."""
    row = session.row(BODY, account=permit.account, sequence=permit.sequence)
    body = json.loads(row[0]) if row is not None else {}
    if body.get("permit") is None:
        return None, None
    said = dict(zip(permits.SAID, body["permit"], strict=True))
    order_type = (body.get("adjusted_to") or body["order"])["order_type"]
    terms = _Terms(order_type, said["quantity"], said["price_e4"], said["trigger_price_e4"])
    return terms, said["risk_price_e4"]
