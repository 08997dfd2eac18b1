"""News of one order, as a feed tells it: how the order stands and how much of it has traded so far."""

from __future__ import annotations

from dataclasses import dataclass, replace

from riskguard.core.seen import SeenOrder

FINAL_STATUSES = frozenset({"TRADED", "EXECUTED", "CANCELLED", "REJECTED", "EXPIRED", "CLOSED"})
"""Words after which an order rests nowhere. Every other word, known or not, is a live order."""

_RANKS = {"TRANSIT": 0, "PENDING": 1, "CONFIRM": 1, "MODIFIED": 2, "TRIGGERED": 2, "PART_TRADED": 3}
_FINAL_RANKS = {"EXPIRED": 5, "CLOSED": 5, "REJECTED": 6, "CANCELLED": 7, "TRADED": 8, "EXECUTED": 8}
_UNKNOWN_RANK = 4


@dataclass(frozen=True, slots=True)
class OrderNews:
    """
    What one message says of one order. Empty and None are "it does not say", never zero and never "no".

    Attributes:
        filled: Traded so far, units; never the last fill alone.
        average_e4: Average price of `filled`, 1/10000 rupee, rounded to the nearest.
        at_us: When the broker says it became so, to the second; None when it does not say.
        client_id: Whose order it is at the broker.
    """

    order_id: str
    status: str
    correlation_id: str = ""
    exchange_segment: str = ""
    security_id: str = ""
    side: str = ""
    product: str = ""
    order_type: str = ""
    quantity: int | None = None
    filled: int | None = None
    average_e4: int | None = None
    price_e4: int | None = None
    trigger_price_e4: int | None = None
    at_us: int | None = None
    detail: str = ""
    client_id: str = ""
    symbol: str = ""
    exchange_order_id: str = ""
    kind: str = "ORDER"
    group: str = ""
    leg: str = ""

    @property
    def is_live(self) -> bool:
        return self.status not in FINAL_STATUSES

    def missing(self) -> tuple[str, ...]:
        """Return what an order cannot do without and the message does not say."""
        wanted = ("exchange_segment", "security_id", "side", "product", "order_type", "quantity")
        return tuple(name for name in wanted if not getattr(self, name))

    def completed(self, known: SeenOrder) -> OrderNews:
        """Return the news with what it does not say taken from the order as it is *known*."""
        gaps = {name: getattr(known, name) for name in self.missing()}
        if not self.correlation_id:
            gaps["correlation_id"] = known.correlation_id
        if self.status in ("TRADED", "EXECUTED") and self.quantity is None:
            gaps["filled"] = known.quantity  # the word means all of it
        return replace(self, **gaps)

    def contradicts(self, known: SeenOrder) -> str:
        """Return what the news say that the order as it is *known* denies; "" when they are of one order."""
        for name in ("exchange_segment", "security_id", "side"):
            said, was = getattr(self, name), getattr(known, name)
            if said and was and said != was:
                return f"{name} {said}, known as {was}"
        return ""

    def order(self, filled: int) -> SeenOrder:
        """Return it as an order of which *filled* units are known to have traded. Raises ValueError: see `missing`."""
        if self.missing() or self.quantity is None:
            raise ValueError(f"news of `{self.order_id}` do not say {', '.join(self.missing())}")
        return SeenOrder(
            order_id=self.order_id, correlation_id=self.correlation_id, exchange_segment=self.exchange_segment,
            security_id=self.security_id, side=self.side, product=self.product, order_type=self.order_type,
            quantity=self.quantity, filled=filled, price_e4=self.price_e4, trigger_price_e4=self.trigger_price_e4,
            status=self.status, is_live=self.is_live, detail=self.detail, kind=self.kind, group=self.group, leg=self.leg,
        )  # fmt: skip


def rank(status: str) -> int:
    """
    Return how far along an order is by its word, for messages of one second.

    An unknown word is further than the known live ones and less far than any final one.
    """
    word = status.upper()
    return _FINAL_RANKS.get(word, _RANKS.get(word, _UNKNOWN_RANK))


def is_stale(status: str, known: str, at_us: int | None, known_us: int | None) -> bool:
    """
    Say whether a message with the word *status* is overtaken by what is *known*.

    An order that is done does not live again by a feed, whatever the times: the list of the broker may say so, a
    message that was late may not. Else the later one stands; of the same second, or without times, the further one.
    """
    done, was_done = status.upper() in FINAL_STATUSES, known.upper() in FINAL_STATUSES
    if done != was_done:
        return was_done
    if not done and at_us is not None and known_us is not None and at_us != known_us:
        return at_us < known_us
    return rank(status) < rank(known)


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """
    How an account's order-update stream stands. Times in microseconds UTC, to the second; None: never.

    Silence is no fault: nothing is told while nothing trades. `heard_us` is the last answer to a ping, or message, and
    that is what goes stale when the line is dead.
    """

    account: str
    is_connected: bool
    status: str
    reconnects: int
    heard_us: int | None
    connected_us: int | None
    ended_us: int | None
    message_us: int | None
    errors: int = 0  # of this process; 0 where another one holds the line

    def heard_age_us(self, now_us: int) -> int | None:
        """Return how long the line is silent, pings included; None when it was never heard."""
        return None if self.heard_us is None else max(0, now_us - self.heard_us)

    def is_stale(self, now_us: int, age_us_max: int) -> bool:
        """Say whether nobody can rely on it now: down, never heard, or silent for longer than *age_us_max*."""
        age_us = self.heard_age_us(now_us)
        return not self.is_connected or age_us is None or age_us > age_us_max
