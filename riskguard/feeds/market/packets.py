"""
Dhan's binary market feed, read: one frame, one or several packets, little-endian, each with a header of eight bytes.

Layout as in the official client (dhanhq 2.3.0, marketfeed.py): code, length, segment, security id, then by code. Prices are
32-bit floats of rupees; they become our integers here, rounded to the paisa (four places for currency), and never take part
in arithmetic. What is cut off, unknown or of another length is counted and left out.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from riskguard.core.money import PRICE_MAX_E4, SCALE

SEGMENTS: Final = {
    0: "IDX_I", 1: "NSE_EQ", 2: "NSE_FNO", 3: "NSE_CURRENCY", 4: "BSE_EQ", 5: "MCX_COMM", 7: "BSE_CURRENCY", 8: "BSE_FNO",
}  # fmt: skip
TICKER, QUOTE, OPEN_INTEREST, PREVIOUS_CLOSE, STATUS, FULL, DISCONNECT = 2, 4, 5, 6, 7, 8, 50
SIZES: Final = {TICKER: 16, QUOTE: 50, OPEN_INTEREST: 12, PREVIOUS_CLOSE: 16, STATUS: 8, FULL: 162, DISCONNECT: 10}

HEADER: Final = struct.Struct("<BHBi")
_LAST: Final = struct.Struct("<fI")  # a ticker's price and time
_TRADE: Final = struct.Struct("<fHI")  # price, quantity, time
_FLOAT: Final = struct.Struct("<f")
_REASON: Final = struct.Struct("<H")
_LEVEL: Final = struct.Struct("<IIHHff")  # bid and ask: quantity, quantity, orders, orders, price, price
DEPTH_AT: Final = 62

CURRENCY: Final = frozenset({"NSE_CURRENCY", "BSE_CURRENCY"})
_PAISA, _FOUR = Decimal("0.01"), Decimal("0.0001")
RUPEES_MAX: Final = PRICE_MAX_E4 // SCALE


@dataclass(frozen=True, slots=True)
class Packet:
    """
    One packet. Prices in 1/10000 rupee, None where it says none; `stamp_s` as sent (see `stamps`), None where there is none.

    `close_e4` is the previous session's; `reason` the code of a disconnection.
    """

    code: int
    segment: str
    security_id: str
    ltp_e4: int | None = None
    bid_e4: int | None = None
    ask_e4: int | None = None
    stamp_s: int | None = None
    close_e4: int | None = None
    reason: int | None = None

    @property
    def has_price(self) -> bool:
        return self.code in (TICKER, QUOTE, FULL)


class Malformed:
    """A piece of a frame that is no packet: its size in bytes, for counting."""

    def __init__(self, size: int) -> None:
        self.size = size


def packets(frame: bytes) -> Iterator[Packet | Malformed]:
    """
    Yield what *frame* holds. Never raises.

    A packet that does not say the length its code has ends the frame: what follows cannot be told from its middle.
    """
    at = 0
    while at < len(frame):
        rest = len(frame) - at
        if rest < HEADER.size:
            yield Malformed(rest)
            return
        code, length, segment, security = HEADER.unpack_from(frame, at)
        size = SIZES.get(code)
        if size is None:
            # A code we do not know says how long it is; believed as far as it goes.
            if not HEADER.size <= length <= rest:
                yield Malformed(rest)
                return
            yield Malformed(length)
            at += length
            continue
        if size > rest or length not in (0, size):
            yield Malformed(rest)
            return
        yield _packet(frame, at, code, SEGMENTS.get(segment, ""), str(security))
        at += size


def _packet(frame: bytes, at: int, code: int, segment: str, security: str) -> Packet | Malformed:
    body = at + HEADER.size
    if code == DISCONNECT:
        return Packet(code, segment, security, reason=_REASON.unpack_from(frame, body)[0])
    if code in (OPEN_INTEREST, STATUS):
        return Packet(code, segment, security)
    if not segment:
        return Malformed(SIZES[code])
    if code == PREVIOUS_CLOSE:
        return Packet(code, segment, security, close_e4=price_e4(_FLOAT.unpack_from(frame, body)[0], segment))
    if code == TICKER:
        price, stamp_s = _LAST.unpack_from(frame, body)
        return Packet(code, segment, security, price_e4(price, segment), stamp_s=stamp_s)
    price, _quantity, stamp_s = _TRADE.unpack_from(frame, body)
    bid_e4 = ask_e4 = None
    if code == FULL:
        *_, bid, ask = _LEVEL.unpack_from(frame, at + DEPTH_AT)
        bid_e4, ask_e4 = price_e4(bid, segment), price_e4(ask, segment)
    return Packet(code, segment, security, price_e4(price, segment), bid_e4, ask_e4, stamp_s)


def price_e4(rupees: float, segment: str) -> int | None:
    """Return what a 32-bit float was meant to say, in 1/10000 rupee; None for zero, below it, beyond a price, NaN."""
    if not math.isfinite(rupees) or not 0 < rupees <= RUPEES_MAX:
        return None
    meant = Decimal(rupees).quantize(_FOUR if segment in CURRENCY else _PAISA)
    return int(meant * SCALE) or None
