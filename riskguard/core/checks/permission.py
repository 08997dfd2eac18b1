"""
What an account may trade at all: segments, products, order types, sides, instruments, underlyings, series, bans.

A list of what is allowed refuses the rest; a list of what is denied refuses what it names. Both hold together, and
what is not listed at all is free. `underlyings` takes a share by its own symbol. `underlyings_banned` is the exchange's
ban period: derivatives of them alone. `symbols_denied` is for shares under surveillance (ASM, GSM). A series that is
not known is none of the allowed ones. Exits are exempt, except from `sides_allowed`, a lock meant to hold whatever
the position; a person's emergency exit passes even that.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from riskguard.core.exposure import underlying_of
from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Check
from riskguard.core.params import Params
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.terms import CASH_SEGMENTS, OrderType, Product, Segment, Side

LISTED_MAX: Final = 2_000
_KEY: Final = re.compile(r"[A-Z_]+:\S{1,64}")


def _among(known: type[Segment] | type[Product] | type[OrderType] | type[Side], listed: list[str]) -> list[str]:
    words = tuple(each.value for each in known)
    for each in listed:
        if each not in words:
            raise ValueError(f"`{each[:40]}` is none of {', '.join(words)}")
    return listed


def _named(listed: list[str]) -> list[str]:
    for each in listed:
        if not each or len(each) > 64 or not each.isascii() or not each.isprintable() or each != each.strip():
            raise ValueError(f"`{each[:40]}` is no name: printable ASCII, at most 64 characters")
    return listed


def _keys(listed: list[str]) -> list[str]:
    for each in listed:
        segment = each.partition(":")[0]
        if not _KEY.fullmatch(each) or segment not in Segment.__members__:
            raise ValueError(f"`{each[:40]}` is no instrument: write `NSE_EQ:1333`")
    return listed


_Some = Field(min_length=1, max_length=LISTED_MAX)
Names = Annotated[list[str], _Some, AfterValidator(_named)]
Keys = Annotated[list[str], _Some, AfterValidator(_keys)]


class Parameters(Params):
    segments_allowed: Annotated[list[str], _Some, AfterValidator(partial(_among, Segment))] | None = None
    products_allowed: Annotated[list[str], _Some, AfterValidator(partial(_among, Product))] | None = None
    order_types_allowed: Annotated[list[str], _Some, AfterValidator(partial(_among, OrderType))] | None = None
    sides_allowed: Annotated[list[str], _Some, AfterValidator(partial(_among, Side))] | None = None
    instruments_allowed: Keys | None = None
    instruments_denied: Keys | None = None
    underlyings_allowed: Names | None = None
    underlyings_denied: Names | None = None
    underlyings_banned: Names | None = None
    symbols_denied: Names | None = None
    series_allowed: Names | None = None
    series_denied: Names | None = None

    @model_validator(mode="after")
    def _some_list(self) -> Parameters:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("wants at least one list: " + ", ".join(type(self).model_fields))
        return self


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse what the lists do not let this account trade."""
    order = facts.order
    if facts.reducing:
        if facts.emergency_by or params.sides_allowed is None or order.side in params.sides_allowed:
            return None
        return _refused("side", order.side, "the side is locked, for exits too: a person may let one out")
    if params.segments_allowed is not None and order.exchange_segment not in params.segments_allowed:
        return _refused("segment", order.exchange_segment)
    if params.products_allowed is not None and order.product not in params.products_allowed:
        return _refused("product", order.product)
    if params.order_types_allowed is not None and order.order_type not in params.order_types_allowed:
        return _refused("order type", order.order_type)
    if params.sides_allowed is not None and order.side not in params.sides_allowed:
        return _refused("side", order.side)
    named = params.instruments_allowed
    if named is not None or params.instruments_denied is not None:
        key = f"{order.exchange_segment}:{order.security_id}"
        if (named is not None and key not in named) or key in (params.instruments_denied or ()):
            return _refused("instrument", key)
    instrument = facts.instrument
    return None if instrument is None else _by_contract(instrument, params)


def _by_contract(instrument: Instrument, params: Parameters) -> Reject | None:
    """What the instrument must be known for; an unknown one is `order_validity`'s to refuse."""
    underlying, symbol, series = underlying_of(instrument), instrument.symbol, instrument.series
    if params.underlyings_allowed is not None and underlying not in params.underlyings_allowed:
        return _refused("underlying", underlying)
    if params.underlyings_denied is not None and underlying in params.underlyings_denied:
        return _refused("underlying", underlying)
    if params.underlyings_banned is not None and instrument.underlying in params.underlyings_banned:
        return _refused("underlying", underlying, "it is in the exchange's ban period: only exits pass")
    if params.symbols_denied is not None and symbol in params.symbols_denied:
        return _refused("symbol", symbol)
    if instrument.exchange_segment in CASH_SEGMENTS:
        if params.series_allowed is not None and series not in params.series_allowed:
            return _refused("series", series or "(not known)")
        if params.series_denied is not None and series in params.series_denied:
            return _refused("series", series)
    return None


def _refused(what: str, value: str, hint: str = "") -> Reject:
    return Reject(
        RejectCode.NOT_PERMITTED,
        max_quantity=0,
        detail=f"{what} {value} is not permitted here",
        hint=hint,
    )


CHECK = Check("permission", Parameters, check, exits=True)
