"""Every component behind the charges of stored fills, or of an order that is only thought of: base, rate, rounding, source."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from riskguard.core.charges import (
    ROUNDINGS,
    ChargeFill,
    ChargeNote,
    Component,
    charge_surely,
    half_up,
    surely_known,
)
from riskguard.core.money import PRICE_MAX_E4, to_e4, to_text
from riskguard.core.terms import Product, Segment, Side
from riskguard.errors import InputError, UnknownAccountError
from riskguard.services.sweeps.charging import charge_fill, charge_fills, charge_table
from riskguard.store import days, loader
from riskguard.store.session import ACCOUNTS, Session, Store

WAIT_S: Final = 2.0
LINES: Final = {
    "brokerage_e4": "brokerage",
    "exchange_txn_e4": "exchange transaction charge",
    "sebi_e4": "SEBI turnover fee",
    "ipft_e4": "investor protection fund",
    "stt_e4": "STT or CTT",
    "stamp_e4": "stamp duty",
    "auto_square_off_e4": "square-off by the broker",
    "call_and_trade_e4": "call and trade",
    "gst_e4": "GST",
}
FRACTION_PLACES: Final = 6


@dataclass(frozen=True, slots=True)
class Explained:
    """A note with what it is made of. `marginal_e4`: what one order adds to its day, where one was asked about."""

    account: str
    date: str
    what: str
    fills: int
    note: ChargeNote
    components: tuple[Component, ...]
    marginal_e4: int | None = None


def of_day(store: Store, account: str, date: str, order_id: str = "") -> Explained:
    """
    Explain the charges of an account's stored fills of one session, or of one order among them.

    An order is explained as if it were the day's only one; `marginal_e4` says what it really adds to the day.

    Raises:
        UnknownAccountError: No such account. InputError: A date that is none, or no fill to explain.
    """
    _day(date)
    with store.session(durable=False, wait_s=WAIT_S) as session:
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account not in known:
            raise UnknownAccountError(account, known)
        found = days.fills(session, account, date)
        keys = {(each.exchange_segment, each.security_id) for each in found}
        instruments = {key: made for key in keys if (made := _instrument(session, key, date)) is not None}
    own = [each for each in found if not order_id or each.order_id == order_id]
    if not own:
        raise InputError(
            f"`{account}` has no booked fill" + (f" of order `{order_id}`" if order_id else "") + f" on {date}"
        )
    fills = charge_fills(own, instruments, date)
    marginal_e4 = None
    if order_id:
        table = charge_table()
        rest = charge_fills([each for each in found if each.order_id != order_id], instruments, date)
        marginal_e4 = charge_surely(table, [*rest, *fills]).total_e4 - charge_surely(table, rest).total_e4
    what = f"order {order_id}" if order_id else "the day"
    return _explained(account, date, what, fills, marginal_e4)


def of_order(
    store: Store | None, *, date: str, segment: str, security_id: str, product: str, side: str, quantity: int,
    price: str, kind: str = "",
) -> Explained:  # fmt: skip
    """
    Explain what one order would cost if it were the day's only one and filled at *price* (rupees, as text).

    Without *kind* (`EQUITY`, `OPTIDX`, …) the instrument is looked up by its number.

    Raises:
        InputError: A field is malformed, or the instrument is not known.
    """
    day = _day(date)
    for name, value, allowed in (
        ("segment", segment, Segment),
        ("product", product, Product),
        ("side", side, Side),
    ):
        if value not in list(allowed):
            raise InputError(f"`{name}` = `{value[:40]}`: wants one of {', '.join(allowed)}")
    try:
        price_e4 = to_e4(price, most=PRICE_MAX_E4)
    except ValueError as e:
        raise InputError(f"`price` = `{price[:40]}`: {e}") from None
    if quantity < 1 or price_e4 < 0:
        raise InputError("an order wants a quantity from 1 and a price of 0 or more")
    instrument = None
    if store is not None:
        with store.session(durable=False, wait_s=WAIT_S) as session:
            instrument = _instrument(session, (segment, security_id), date)
    if instrument is None and not kind:
        raise InputError(f"`{segment}:{security_id}` is not among the instruments: import the master, or say `--kind`")
    fill = charge_fill(instrument, segment, security_id, product, side, quantity, price_e4, "1", day)
    if kind:
        from dataclasses import replace

        fill = replace(fill, kind=kind)
    return _explained("", date, f"{side} {quantity} at {to_text(price_e4)}", [fill], None)


def _explained(account: str, date: str, what: str, fills: list[ChargeFill], marginal_e4: int | None) -> Explained:
    priced, said = surely_known(charge_table(), fills)
    note, components = charge_table().explain_day(priced)
    if said:
        from dataclasses import replace

        note = replace(note, unknown=tuple(sorted({*note.unknown, *said})))
    return Explained(account, date, what, len(fills), note, components, marginal_e4)


def _instrument(session: Session, key: tuple[str, str], date: str) -> Any:
    row = session.row(loader.INSTRUMENT, exchange_segment=key[0], security_id=key[1])
    return None if row is None else loader.instrument_from(row, date)


def _day(date: str) -> dt.date:
    try:
        return dt.date.fromisoformat(date)
    except ValueError:
        raise InputError(f"`--date {date[:40]}`: wants YYYY-MM-DD") from None


# -- for people and programs -------------------------------------------------------------------------------------------


def as_document(found: Explained) -> dict[str, Any]:
    """Return the explanation as plain values: money as text in rupees, rates as exact text."""
    note = found.note
    return {
        "account": found.account or None,
        "date": found.date,
        "of": found.what,
        "fills": found.fills,
        "total": to_text(note.total_e4),
        "pending_dp": to_text(note.dp_e4),
        "marginal": None if found.marginal_e4 is None else to_text(found.marginal_e4),
        "is_known": note.is_known,
        "segments": [
            {
                "segment": segment,
                "total": to_text(lines.total_e4),
                "lines": {name.removesuffix("_e4"): to_text(getattr(lines, name)) for name in LINES},
            }
            for segment, lines in note.segments
        ],
        "components": [_component(each) for each in found.components],
        "uncertain": list(note.uncertain),
        "unknown": list(note.unknown),
    }


def _component(each: Component) -> dict[str, Any]:
    return {
        "segment": each.segment,
        "component": each.name,
        "instrument": each.instrument,
        "side": each.side,
        "base": each.base,
        "base_value": _base(each),
        "rate": decimal_text(each.rate),
        "unit": each.unit,
        "amount": decimal_text(each.amount_e4 / 10_000),
        "rounding": ROUNDINGS.get(each.name, "order:0.01:half_up"),
        "rounded_alone": to_text(half_up(each.amount_e4, _unit_e4(each.name))),
        "order": each.order_id or None,
        "effective_from": each.effective_from.isoformat(),
        "effective_until": None if each.effective_until is None else each.effective_until.isoformat(),
        "stands_in": each.stands_in,
        "source": each.source,
        "confidence": each.confidence,
    }


def _unit_e4(name: str) -> int:
    return to_e4(ROUNDINGS.get(name, "order:0.01:half_up").split(":")[1])


def _base(each: Component) -> str:
    """Return what the rate was taken of: a turnover in rupees, or how many orders or ISINs."""
    if each.unit == "fraction":
        return decimal_text(each.base_e4 / 10_000)
    return str(each.base_e4)


def decimal_text(value: Fraction) -> str:
    """Return an exact number as decimal text; one that never ends is cut after six places and says so with `…`."""
    quotient = Decimal(value.numerator) / Decimal(value.denominator)
    if Fraction(quotient) == value:
        return format(quotient.normalize(), "f")
    places = Fraction(10) ** FRACTION_PLACES
    return f"{Decimal(int(value * places)) / 10**FRACTION_PLACES}…"
