"""
What waits at Dhan already, read back in dhanhq's own words: the orders an alert would place, the legs of a super order.

A change names only what is to be different; what it means for a position shows only beside what stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from riskguard.errors import BrokerUnconfirmedError, OrderInvalidError
from riskguard.integrations.words import price_of, quantity_of

STOP, TARGET = "STOP_LOSS_LEG", "TARGET_LEG"


class Leg(NamedTuple):
    """An exit of a super order as it stands; prices in rupees, None where the broker shows none."""

    exchange_segment: str
    security_id: str
    product: str
    side: str
    quantity: int
    price: Decimal | None
    trailing: Decimal | None

    def away(self, name: str, price: Decimal | None, trailing: Decimal | None) -> str:
        """Return why the leg *name* with this price and trailing jump is further from the market, "" when it is not."""
        if self.price is None or price is None:
            return f"the {name} would have no price that can be compared"
        # A stop to sell nears the market upwards, a target to sell downwards; to buy it is the other way.
        sign = 1 if (name == STOP) == (self.side == "SELL") else -1
        if (price - self.price) * sign < 0:
            return f"the {name} would move from {self.price} to {price}, away from the market"
        if name == STOP and self.trailing and (not trailing or trailing > self.trailing):
            return f"the stop would trail by {trailing or 0} instead of {self.trailing}"
        return ""


def legs_of(answer: object, order_id: str) -> dict[str, Leg] | None:
    """
    Return the exits of super order *order_id* by name, from an answer of `get_super_order_list`.

    None: it is not in the list, or a number of it cannot be read; a leg nobody can read is one nobody can compare.
    """
    for row in _rows(answer):
        if str(row.get("orderId")) == order_id:
            listed = row.get("legDetails")
            legs = [each for each in (listed if isinstance(listed, list) else []) if isinstance(each, Mapping)]
            try:
                named = {str(leg.get("legName", "")).upper(): _leg(row, leg) for leg in legs}
            except OrderInvalidError:
                return None
            return {name: leg for name, leg in named.items() if name in (STOP, TARGET)}
    return None


def _leg(row: Mapping[str, Any], leg: Mapping[str, Any]) -> Leg:
    side = str(row.get("transactionType", "")).upper()
    whole = (
        leg.get("totalQuatity") or leg.get("totalQuantity") or row.get("quantity")
    )  # the service's own spelling first
    return Leg(
        str(row.get("exchangeSegment", "")).upper(), str(row.get("securityId", "")), str(row.get("productType", "")).upper(),
        "SELL" if side == "BUY" else "BUY", quantity_of(whole), price_of("price", leg.get("price")),
        price_of("trailingJump", leg.get("trailingJump")),
    )  # fmt: skip


def alert_orders(answer: object, alert_id: str) -> list[dict[str, Any]]:
    """
    Return the orders alert *alert_id* places, as an answer of `get_conditional_order` lists them.

    Raises BrokerUnconfirmedError: nobody can say what the alert would place.
    """
    for row in _rows(answer):
        orders = row.get("orders")
        if str(row.get("alertId")) == alert_id and isinstance(orders, list) and orders:
            return [dict(each) if isinstance(each, Mapping) else {} for each in orders]
    raise BrokerUnconfirmedError(f"what alert `{alert_id}` places cannot be read back: cancel it and place it anew")


def _rows(answer: object) -> list[Mapping[str, Any]]:
    if not isinstance(answer, Mapping) or answer.get("status") != "success":
        return []
    data = answer.get("data")
    return [each for each in (data if isinstance(data, list) else [data]) if isinstance(each, Mapping)]
