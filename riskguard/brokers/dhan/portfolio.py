"""Positions, fills, money, holdings, ledger and the account itself, translated. Nothing here knows of the network."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from decimal import Decimal
from typing import Any, Final, TypeVar

from riskguard.brokers.dhan.fields import IST, Row, rows_of
from riskguard.core.seen import (
    SeenFunds,
    SeenHolding,
    SeenLedgerEntry,
    SeenMargin,
    SeenPosition,
    SeenProfile,
    SeenTrade,
)
from riskguard.errors import BrokerUnconfirmedError

SEGMENTS_OF: Final = {
    ("E", "EQUITY"): ("NSE_EQ", "BSE_EQ"),
    ("D", "DERIVATIVE", "DERIVATIVES"): ("NSE_FNO", "BSE_FNO"),
    ("C", "CURRENCY"): ("NSE_CURRENCY", "BSE_CURRENCY"),
    ("M", "COMMODITY", "COMMODITIES"): ("MCX_COMM",),
}
"""By letter, as the live service says it, or by the word of its documents."""

FUNDS: Final = ("availabelBalance", "availableBalance", "sodLimit", "utilizedAmount", "withdrawableBalance")
BALANCE_LINES: Final = ("OPENING BALANCE", "CLOSING BALANCE")
_KINDS: Final = (
    ("PAYOUT", ("payout", "pay out", "pay-out", "withdraw", "funds paid", "amount paid")),
    ("DEPOSIT", ("payin", "pay in", "pay-in", "deposit", "funds received", "funds added", "amount received")),
    ("CHARGE", ("charge", "brokerage", "interest", "penalty", "amc", "gst", "stamp", "dp ", "fee", "tax", "subscription")),
    ("SETTLEMENT", ("settlement", "bill", "obligation", "trade", "mtm", "premium", "margin")),
)  # fmt: skip
"""Looked through in this order: the text of a line is Dhan's own, and no list of its words is documented."""

Found = TypeVar("Found")


def positions(value: Any, client_id: str) -> tuple[SeenPosition, ...]:
    """Translate the position list; it has no last price and no previous close. A line listed twice fails the read."""
    found: dict[tuple[str, str, str], SeenPosition] = {}
    for row in rows_of("positions", value, client_id):
        net = row.whole("netQty")
        if net is None:
            raise row.wrong("netQty")
        seen = SeenPosition(
            row.word("exchangeSegment"),
            row.word("securityId"),
            row.word("productType").upper(),
            net,
            realised_e4=row.e4("realizedProfit"),
            unrealised_e4=row.e4("unrealizedProfit"),
        )
        _once("positions", found, (seen.exchange_segment, seen.security_id, seen.product), seen)
    return tuple(found.values())


def trades(value: Any, client_id: str) -> tuple[SeenTrade, ...]:
    """Translate the trade book; fills carry no correlation id there."""
    found: dict[tuple[str, str, str], SeenTrade] = {}
    for row in rows_of("trades", value, client_id):
        side, quantity = row.word("transactionType").upper(), row.units("tradedQuantity")
        price_e4 = row.price_e4("tradedPrice")
        at_us = row.at_us("exchangeTime", "updateTime", "createTime")
        if side not in ("BUY", "SELL"):
            raise row.wrong("transactionType")
        if price_e4 is None or quantity == 0:
            raise row.wrong("tradedQuantity" if quantity == 0 else "tradedPrice")
        if at_us is None:
            raise row.wrong("exchangeTime")
        seen = SeenTrade(
            row.word("exchangeTradeId"),
            row.word("orderId"),
            row.text("correlationId"),
            row.word("exchangeSegment"),
            row.word("securityId"),
            side,
            row.word("productType").upper(),
            quantity,
            price_e4,
            at_us,
        )
        _once("trades", found, (seen.exchange_segment, seen.order_id, seen.trade_id), seen)
    return tuple(found.values())


def funds(value: Any, client_id: str) -> SeenFunds:
    """Translate the balance. `availabelBalance` is Dhan's spelling; neither that nor the right one: not known."""
    row = Row("funds", value, client_id)
    if not any(name in row.value for name in FUNDS):
        raise row.wrong(FUNDS[0])
    return SeenFunds(row.e4("availabelBalance", "availableBalance"), row.e4("sodLimit"), row.e4("utilizedAmount"))


def holdings(value: Any, client_id: str) -> tuple[SeenHolding, ...]:
    """Translate the demat account. Shares pledged as collateral cannot be sold."""
    found: dict[str, SeenHolding] = {}
    for row in rows_of("holdings", value, client_id):
        total = row.units("totalQty")
        available = row.whole("availableQty")
        if available is None:
            available = total - (row.whole("collateralQty") or 0)
        if not 0 <= available <= total:
            raise row.wrong("availableQty")
        segment = "BSE_EQ" if row.text("exchange").upper() == "BSE" else "NSE_EQ"
        seen = SeenHolding(
            segment, row.word("securityId"), total, available, row.price_e4("avgCostPrice"), row.text("isin")
        )
        _once("holdings", found, seen.security_id, seen)
    return tuple(found.values())


def ledger(value: Any, client_id: str) -> tuple[SeenLedgerEntry, ...]:
    """
    Translate the ledger: a list, or one object. Opening and closing balances are no movements of money.

    A voucher's number may be empty or shared, so an entry's id is made of all it says, and of how often it says it.
    """
    rows = rows_of("ledger", [value] if isinstance(value, dict) else value, client_id)
    seen, times = [], Counter[str]()
    for row in rows:
        text = row.text("voucherdesc") or row.text("narration")
        if text.upper() in BALANCE_LINES:
            continue
        date = _ledger_date(row)
        debit_e4, credit_e4 = row.e4("debit") or 0, row.e4("credit") or 0
        if debit_e4 < 0 or credit_e4 < 0:
            raise row.wrong("debit" if debit_e4 < 0 else "credit")
        narration = row.text("narration")
        told = "\x1f".join((date, row.text("vouchernumber"), text, narration, str(debit_e4), str(credit_e4)))
        times[told] += 1
        entry_id = hashlib.sha256(f"{told}\x1f{times[told]}".encode()).hexdigest()[:24]
        said = text if narration in ("", text) else f"{text}: {narration}"
        kind = _ledger_kind(said, credit_e4 - debit_e4)
        seen.append(SeenLedgerEntry(entry_id, date, kind, credit_e4 - debit_e4, said[:200], row.e4("runbal")))
    return tuple(seen)


def _ledger_date(row: Row) -> str:
    text = row.word("voucherdate")
    for shape in ("%b %d, %Y", "%Y-%m-%d"):
        try:
            return dt.datetime.strptime(text, shape).replace(tzinfo=IST).date().isoformat()
        except ValueError:
            continue
    raise row.wrong("voucherdate")


def _ledger_kind(text: str, amount_e4: int) -> str:
    """Return what a line is. Money that came in is never a payout, and money that went out never a deposit."""
    lower = text.lower()
    for kind, words in _KINDS:
        if any(word in lower for word in words):
            wrong_way = (kind == "PAYOUT" and amount_e4 > 0) or (kind == "DEPOSIT" and amount_e4 < 0)
            return "OTHER" if wrong_way else kind
    return "OTHER"


def margin(value: Any) -> SeenMargin:
    """Translate either calculator's answer, numbers or texts, in either spelling; no total is an error."""
    row = Row("margin", value)
    total_e4 = row.e4("totalMargin", "total_margin")
    if total_e4 is None or total_e4 < 0:
        raise row.wrong("totalMargin")
    return SeenMargin(
        total_e4,
        row.e4("spanMargin", "span_margin"),
        row.e4("exposureMargin", "exposure_margin", "exposure"),
        row.e4("variableMargin", "var_margin"),
    )


def profile(value: Any, client_id: str, address: Any) -> SeenProfile:
    """
    Translate the profile, and what Dhan says of this host's address (None: it would not say).

    Several spellings of "orders are taken from here" were seen; without any, it is not known.
    """
    row = Row("profile", value, client_id)
    if not isinstance(row.value.get("activeSegment"), str):
        raise row.wrong("activeSegment")
    said = {word.strip().upper() for word in row.text("activeSegment").split(",")}
    segments = tuple(each for words, found in SEGMENTS_OF.items() if said & set(words) for each in found)
    may_place, doubt = _may_place(address)
    detail = [f"DDPI {row.text('ddpi')}" if row.text("ddpi") else "", doubt]
    return SeenProfile(_until_us(row), segments, may_place, "; ".join(each for each in detail if each))


def _until_us(row: Row) -> int | None:
    text = row.text("tokenValidity")
    if not text:
        return None
    try:
        return round(dt.datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=IST).timestamp()) * 1_000_000
    except ValueError:
        raise row.wrong("tokenValidity") from None


def _may_place(address: Any) -> tuple[bool | None, str]:
    if not isinstance(address, dict):
        return None, "Dhan does not say whether this host's address is registered"
    found = address.get("ordersAllowed", address.get("ipMatchStatus"))
    if isinstance(found, str):
        found = {"true": True, "yes": True, "matched": True, "match": True, "false": False, "no": False,
                 "mismatch": False, "not_matched": False, "unmatched": False}.get(found.strip().lower())  # fmt: skip
    if found is False:
        return False, "this host's address is not the registered one: every order and every exit is refused"
    return (True, "") if found is True else (None, "Dhan does not say whether this host's address is registered")


def _once(what: str, found: dict[Any, Found], key: Any, seen: Found) -> None:
    """Keep *seen* once; raises BrokerUnconfirmedError where its key says two things."""
    if found.setdefault(key, seen) != seen:
        named = " ".join(key) if isinstance(key, tuple) else str(key)
        raise BrokerUnconfirmedError(f"`{what}`: `{named}` is listed twice and differs: read again")


def as_number(e4: int) -> float:
    """Return rupees as the JSON number the service takes; exact to the fourth place."""
    return float(Decimal(e4) / 10_000)
