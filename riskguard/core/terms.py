"""The words of the market as Dhan spells them: sides, products, order types, segments."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"


class Product(StrEnum):
    """How the position is held; an exit must carry the product of its entry or it opens a second position."""

    CNC = "CNC"
    INTRADAY = "INTRADAY"
    MARGIN = "MARGIN"
    MTF = "MTF"
    CO = "CO"
    BO = "BO"


class OrderType(StrEnum):
    """How the order meets the market."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_MARKET = "STOP_LOSS_MARKET"


class Validity(StrEnum):
    """How long the order rests."""

    DAY = "DAY"
    IOC = "IOC"


class Segment(StrEnum):
    """Exchange and market segment."""

    NSE_EQ = "NSE_EQ"
    NSE_FNO = "NSE_FNO"
    NSE_CURRENCY = "NSE_CURRENCY"
    BSE_EQ = "BSE_EQ"
    BSE_FNO = "BSE_FNO"
    BSE_CURRENCY = "BSE_CURRENCY"
    MCX_COMM = "MCX_COMM"
    IDX_I = "IDX_I"


CASH_SEGMENTS = frozenset({"NSE_EQ", "BSE_EQ"})
"""Segments in which one unit is one share and no contract multiplier is needed."""

DELIVERY_PRODUCTS = frozenset({"CNC", "MTF"})
"""Products whose sale delivers shares: a negative net of theirs is a delivery sale, not a short."""
