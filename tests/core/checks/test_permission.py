"""What an account may trade: allowed lists refuse the rest, denied ones what they name; exits only mind a locked side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.checks import permission
from riskguard.core.instrument import Instrument
from riskguard.core.rulebook import changes, parse
from riskguard.errors import RulebookError
from tests.core.builders import FUTURE, SHARE, account, ask, code, line, option, order, order_of
from tests.core.tables import Row, table

EQ = replace(SHARE, series="EQ")
BE = replace(SHARE, security_id="9", symbol="PENNY", series="BE")
BANK = Instrument("NSE_FNO", "35002", "BANKNIFTY-FUT", "FUTIDX", lot_size=15, underlying="BANKNIFTY")
INSTRUMENTS = {"eq": EQ, "be": BE, "unlisted": SHARE, "future": FUTURE, "bank": BANK, "call": option()}

LISTS = table("""
    list                  words               of        order                    expected
    segments_allowed      NSE_EQ              eq        BUY LIMIT INTRADAY       -
    segments_allowed      NSE_EQ              future    BUY LIMIT INTRADAY       NOT_PERMITTED
    segments_allowed      NSE_EQ NSE_FNO      future    BUY LIMIT INTRADAY       -
    products_allowed      INTRADAY            eq        BUY LIMIT INTRADAY       -
    products_allowed      INTRADAY            eq        BUY LIMIT CNC            NOT_PERMITTED
    order_types_allowed   LIMIT               eq        BUY LIMIT INTRADAY       -
    order_types_allowed   LIMIT               eq        BUY MARKET INTRADAY      NOT_PERMITTED
    sides_allowed         BUY                 eq        BUY LIMIT INTRADAY       -
    sides_allowed         BUY                 eq        SELL LIMIT INTRADAY      NOT_PERMITTED
    instruments_allowed   NSE_EQ:1333         eq        BUY LIMIT INTRADAY       -
    instruments_allowed   NSE_EQ:1333         be        BUY LIMIT INTRADAY       NOT_PERMITTED
    instruments_denied    NSE_EQ:9            be        BUY LIMIT INTRADAY       NOT_PERMITTED
    instruments_denied    NSE_EQ:9            eq        BUY LIMIT INTRADAY       -
    underlyings_allowed   NIFTY               future    BUY LIMIT INTRADAY       -
    underlyings_allowed   NIFTY               call      BUY LIMIT INTRADAY       -
    underlyings_allowed   NIFTY               bank      BUY LIMIT INTRADAY       NOT_PERMITTED
    underlyings_allowed   NIFTY               eq        BUY LIMIT INTRADAY       NOT_PERMITTED
    underlyings_allowed   NIFTY HDFCBANK      eq        BUY LIMIT INTRADAY       -
    underlyings_denied    BANKNIFTY           bank      SELL LIMIT INTRADAY      NOT_PERMITTED
    underlyings_denied    BANKNIFTY           future    SELL LIMIT INTRADAY      -
    underlyings_denied    HDFCBANK            eq        BUY LIMIT INTRADAY       NOT_PERMITTED
    underlyings_banned    BANKNIFTY           bank      BUY LIMIT INTRADAY       NOT_PERMITTED
    underlyings_banned    HDFCBANK            eq        BUY LIMIT INTRADAY       -
    symbols_denied        PENNY               be        BUY LIMIT INTRADAY       NOT_PERMITTED
    symbols_denied        PENNY               eq        BUY LIMIT INTRADAY       -
    series_allowed        EQ                  eq        BUY LIMIT INTRADAY       -
    series_allowed        EQ                  be        BUY LIMIT INTRADAY       NOT_PERMITTED
    series_allowed        EQ                  unlisted  BUY LIMIT INTRADAY       NOT_PERMITTED
    series_allowed        EQ                  future    BUY LIMIT INTRADAY       -
    series_denied         BE                  be        BUY LIMIT INTRADAY       NOT_PERMITTED
    series_denied         BE                  unlisted  BUY LIMIT INTRADAY       -
""")


@pytest.mark.parametrize("row", LISTS, ids=str)
def test_each_list(row: Row) -> None:
    """One list at a time; what it does not speak of is free."""
    side, order_type, product = row.order.split()
    instrument = INSTRUMENTS[row.of]
    asked = order_of(instrument, side, 25, None if order_type == "MARKET" else "100", product=product)
    lists: dict[str, Any] = {row.list: row.words.split()}
    reject = ask(permission.CHECK, asked, account(instrument=instrument), **lists)

    assert code(reject) == row.expected
    assert reject is None or (reject.max_quantity == 0 and "not permitted" in reject.message)


def test_lists_hold_together() -> None:
    """Allowed by one and denied by another is denied."""
    both: dict[str, Any] = {"instruments_allowed": ["NSE_EQ:1333"], "instruments_denied": ["NSE_EQ:1333"]}

    assert code(ask(permission.CHECK, order(), account(), **both)) == "NOT_PERMITTED"


LEAVING: list[dict[str, Any]] = [
    {"segments_allowed": ["BSE_EQ"]}, {"products_allowed": ["CNC"]}, {"order_types_allowed": ["MARKET"]},
    {"instruments_denied": ["NSE_EQ:1333"]}, {"symbols_denied": ["HDFCBANK"]}, {"series_allowed": ["XX"]},
    {"underlyings_denied": ["HDFCBANK"]},
]  # fmt: skip


@pytest.mark.parametrize("lists", LEAVING, ids=str)
def test_exits_are_exempt(lists: dict[str, Any]) -> None:
    """An entry is refused by each; what leaves passes."""
    of = account(line(10))

    assert code(ask(permission.CHECK, order("BUY", 10), of, **lists)) == "NOT_PERMITTED"
    assert ask(permission.CHECK, order("SELL", 10), of, **lists) is None
    assert code(ask(permission.CHECK, order("SELL", 11), of, **lists)) == "NOT_PERMITTED"


def test_a_locked_side_holds_exits_too_but_not_a_persons() -> None:
    """The one list an exit minds."""
    of = account(line(10))
    lock: dict[str, Any] = {"sides_allowed": ["BUY"]}

    assert code(ask(permission.CHECK, order("SELL", 10), of, **lock)) == "NOT_PERMITTED"
    assert ask(permission.CHECK, order("SELL", 10), of, emergency_by="asha", **lock) is None
    assert permission.CHECK.exits


def test_an_unknown_instrument_is_judged_by_what_the_order_says() -> None:
    """Its segment and key are on the order; its underlying and series are `order_validity`'s to miss."""
    of = account()
    of.instruments.clear()

    assert code(ask(permission.CHECK, order(), of, instruments_allowed=["NSE_EQ:9"])) == "NOT_PERMITTED"
    assert ask(permission.CHECK, order(), of, underlyings_allowed=["NIFTY"]) is None


WRONG: list[dict[str, Any]] = [
    {}, {"segments_allowed": []}, {"segments_allowed": ["NSE"]}, {"segments_allowed": "NSE_EQ"},
    {"sides_allowed": ["buy"]}, {"instruments_denied": ["1333"]}, {"instruments_denied": ["XX:1"]},
    {"instruments_denied": ["NSE_EQ:"]}, {"symbols_denied": [""]}, {"symbols_denied": [" A"]}, {"symbols_denied": [5]},
    {"underlyings_banned": ["A" * 65]}, {"products_allowed": None}, {"series_allowed": ["EQ"], "serie_denied": ["BE"]},
]  # fmt: skip


SAID: list[tuple[dict[str, Any], str]] = [
    ({"sides_allowed": ["B" * 41]}, f"`{'B' * 40}` is none of BUY, SELL"),
    ({"symbols_denied": ["A" * 65]}, f"`{'A' * 40}` is no name: printable ASCII, at most 64 characters"),
    ({"symbols_denied": ["é"]}, "`é` is no name: printable ASCII, at most 64 characters"),
    ({"symbols_denied": ["A\x07B"]}, "`A\\x07B` is no name: printable ASCII, at most 64 characters"),
    ({"instruments_denied": ["1" * 41]}, f"`{'1' * 40}` is no instrument: write `NSE_EQ:1333`"),
]


@pytest.mark.parametrize(("lists", "words"), SAID, ids=lambda each: str(each)[:40])
def test_what_is_wrong_with_a_list_is_said(lists: dict[str, Any], words: str) -> None:
    """The beginning of the word, and how to write it; 64 characters are a name."""
    with pytest.raises(RulebookError) as caught:
        permission.Parameters.read(lists, where="the test")
    assert words in str(caught.value)
    assert permission.Parameters.read({"symbols_denied": ["A" * 64]}, where="the test").symbols_denied == ["A" * 64]


@pytest.mark.parametrize("lists", WRONG, ids=str)
def test_a_list_that_means_nothing_is_refused(lists: dict[str, Any]) -> None:
    """No list, an empty one, and words nobody knows."""
    with pytest.raises(RulebookError):
        permission.Parameters.read(lists, where="the test")


TIGHTER = table("""
    before                             after                                kind
    symbols_denied = ["A"]             symbols_denied = ["A", "B"]          tighten
    symbols_denied = ["A", "B"]        symbols_denied = ["A"]               loosen
    symbols_denied = ["A"]             symbols_denied = ["B"]               loosen
    segments_allowed = ["NSE_EQ", "BSE_EQ"]  segments_allowed = ["NSE_EQ"]  tighten
    segments_allowed = ["NSE_EQ"]      segments_allowed = ["NSE_EQ", "BSE_EQ"]  loosen
    underlyings_banned = ["A"]         underlyings_banned = ["A", "C"]      tighten
    underlyings_banned = ["A", "C"]    underlyings_banned = ["C"]           loosen
""")


@pytest.mark.parametrize("row", TIGHTER, ids=str)
def test_which_list_is_the_tighter(row: Row) -> None:
    """Applying a rulebook calls a loosening by its name."""

    def book(lists: str) -> Any:
        text = f'rulebook = "r"\n[[limit]]\nid = "p"\ncheck = "permission"\nwhy = "w"\nsource = "s"\n{lists}\n'
        return parse(text, account="leader")

    (change,) = changes(book(row.before).limits, book(row.after))
    assert change.kind == row.kind
