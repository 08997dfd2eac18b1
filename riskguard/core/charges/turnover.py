"""Turnover by the names of the table: what is delivered, what is netted in the day, what a contract pays on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from riskguard.core.charges.notes import PRODUCTS, SHARE_KINDS, ChargeFill, Doubts


@dataclass(slots=True)
class Scrip:
    """One share on one exchange, all products together: the exchange does not see products."""

    kind: str
    isin: str
    bought: int = 0
    sold: int = 0
    bought_e4: int = 0
    sold_e4: int = 0
    delivery_bought: int = 0
    delivery_sold: int = 0

    def add(self, fill: ChargeFill) -> None:
        delivery = PRODUCTS[fill.product] != "INTRADAY"
        if fill.side == "BUY":
            self.bought += fill.quantity
            self.bought_e4 += fill.value_e4
            self.delivery_bought += fill.quantity * delivery
        else:
            self.sold += fill.quantity
            self.sold_e4 += fill.value_e4
            self.delivery_sold += fill.quantity * delivery

    def delivered(self) -> int:
        """
        Return the quantity that changes hands: bought > 0, sold < 0.

        The rest is intraday. An open intraday position counts as intraday: it is expected to be closed.
        """
        net, meant = self.bought - self.sold, self.delivery_bought - self.delivery_sold
        if net > 0 and meant > 0:
            return min(net, meant)
        if net < 0 and meant < 0:
            return max(net, meant)
        return 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A turnover under one name of the table: what STT and stamp duty are taken from."""

    instrument: str
    side: str
    value_e4: Fraction


def brokerage_name(fill: ChargeFill) -> str:
    if fill.kind not in SHARE_KINDS:
        return fill.kind
    product = PRODUCTS[fill.product]
    # Funds have no MTF rows of their own; MTF pays the intraday brokerage.
    return f"{fill.kind}_{'INTRADAY' if product == 'MTF' and fill.kind != 'EQUITY' else product}"


def delivery_name(kind: str) -> str:
    return f"{kind}_DELIVERY"


def turnovers(segment: str, fills: Sequence[ChargeFill], doubts: Doubts) -> Iterable[tuple[str, str, int]]:
    """Yield table name, name of a special exchange rate, and turnover; a few sums instead of many fills."""
    sums: dict[tuple[str, str], int] = {}
    for fill in fills:
        if fill.kind in SHARE_KINDS:
            # Exchange, SEBI and IPFT do not differ between delivery and intraday.
            name = delivery_name(fill.kind)
            own = f"EQUITY_GROUP_{fill.group}" if segment == "BSE_EQ" else name
            if segment == "BSE_EQ" and not fill.group:
                doubts.uncertain.add(f"{segment} {fill.security_id} exchange_txn: scrip group not given")
            if fill.product == "MARGIN":
                doubts.uncertain.add(f"{segment} {fill.security_id}: MARGIN on shares taken as MTF")
        else:
            name = fill.kind
            own = f"{fill.kind}_{fill.underlying}" if fill.underlying else name
        sums[name, own] = sums.get((name, own), 0) + fill.value_e4
    for (name, own), value_e4 in sums.items():
        yield name, own, value_e4


def scrips_of(fills: Sequence[ChargeFill]) -> dict[str, Scrip]:
    scrips: dict[str, Scrip] = {}
    for fill in fills:
        if fill.kind in SHARE_KINDS:
            scrips.setdefault(fill.security_id, Scrip(fill.kind, fill.isin)).add(fill)
    return scrips


def share_pieces(segment: str, scrips: dict[str, Scrip], doubts: Doubts) -> Iterable[Piece]:
    """
    Yield each share's turnover, split into delivered and intraday at the day's average price of its side.

    The exchange nets a client's purchases and sales of one share in one day, whatever the product: only what
    remains is delivered and taxed so. Source: NSE CMTR5588, for STT; stamp duty follows the same split.
    """
    for security_id, scrip in scrips.items():
        delivered = scrip.delivered()
        if abs(delivered) < max(scrip.delivery_bought, scrip.delivery_sold):
            doubts.uncertain.add(f"{segment} {security_id} stt: delivery netted within the day: one (CMTR5588)")
        sides = (
            ("BUY", scrip.bought, scrip.bought_e4, max(delivered, 0)),
            ("SELL", scrip.sold, scrip.sold_e4, max(-delivered, 0)),
        )
        for side, quantity, value_e4, moved in sides:
            if not quantity:
                continue
            moved_e4 = Fraction(value_e4 * moved, quantity)
            if moved:
                yield Piece(delivery_name(scrip.kind), side, moved_e4)
            if moved < quantity:
                yield Piece(f"{scrip.kind}_INTRADAY", side, value_e4 - moved_e4)


def contract_pieces(fills: Sequence[ChargeFill]) -> Iterable[Piece]:
    sums: dict[tuple[str, str], int] = {}
    for fill in fills:
        if fill.kind not in SHARE_KINDS:
            sums[fill.kind, fill.side] = sums.get((fill.kind, fill.side), 0) + fill.value_e4
    for (kind, side), value_e4 in sums.items():
        yield Piece(kind, side, Fraction(value_e4))
