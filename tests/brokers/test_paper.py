"""The paper broker: how orders fill, what the lists say, how money is kept, and every way it can be told to break."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from riskguard.brokers.paper import PaperBroker, PaperSettings
from riskguard.brokers.paper.match import slipped_e4
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4, to_text
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenOrder, SeenPosition
from riskguard.errors import (
    BrokerRefusedError,
    BrokerUnavailableError,
    BrokerUnconfirmedError,
    PermitNotSendableError,
    SettingsError,
)
from riskguard.ports import Broker, Marks

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
START_US = 1_717_472_700 * SECOND_US  # 2024-06-04 09:15 in India
SHARE = Instrument("NSE_EQ", "1333", "HDFCBANK", tick_e4=500)
FUTURE = Instrument(
    "NSE_FNO", "35001", "NIFTY-Jun2024-FUT", kind="FUTIDX", lot_size=25, tick_e4=500, underlying="NIFTY"
)
CRUDE = Instrument("MCX_COMM", "77", "CRUDEOIL-Jun2024-FUT", kind="FUTCOM", tick_e4=10_000, multiplier=None)


@dataclass
class FakeClock:
    """A clock the test sets."""

    us: int = START_US

    def now_us(self) -> int:
        return self.us

    def elapsed_us(self) -> int:
        return self.us


class FakeApproved:
    """What the adapter is handed; `begin` is counted, and can refuse."""

    def __init__(self, order: Order, correlation_id: str, refuses: bool = False) -> None:
        self.order, self.correlation_id, self.refuses, self.begun = order, correlation_id, refuses, 0

    def begin(self) -> None:
        self.begun += 1
        if self.refuses or self.begun > 1:
            raise PermitNotSendableError(self.correlation_id, "begun before, or too late")


class Desk:
    """A broker, its clock, and short words for what a test does."""

    def __init__(self, path: Path, account: str = "leader", **settings: Any) -> None:
        self.clock, self.path, self.asked = FakeClock(), path, 0
        self.broker = PaperBroker.open(
            path, account, clock=self.clock, instruments=[SHARE, FUTURE, CRUDE], settings=PaperSettings(**settings)
        )

    def approved(self, text: str, **changes: Any) -> FakeApproved:
        """`BUY 10 LIMIT 100 -`: side, quantity, type, price, trigger; of the share, intraday."""
        side, quantity, order_type, price, trigger = text.split()
        self.asked += 1
        order = Order(
            account=self.broker.account, exchange_segment="NSE_EQ", security_id="1333", side=side, product="INTRADAY",
            order_type=order_type, quantity=int(quantity), price=None if price == "-" else price,
            trigger_price=None if trigger == "-" else trigger,
        )  # fmt: skip
        return FakeApproved(order.replaced(**changes) if changes else order, f"rg{self.asked:05d}")

    def place(self, text: str, **changes: Any) -> str:
        return self.broker.place(self.approved(text, **changes))

    def quote(self, bid: str, ltp: str, ask: str, instrument: Instrument = SHARE) -> None:
        """Move the market; `-` is not shown."""
        prices = {name: text for name, text in (("bid", bid), ("ltp", ltp), ("ask", ask)) if text != "-"}
        self.broker.set_quote(*instrument.key, Quote.of(at_us=self.clock.us, **prices))

    def order(self, order_id: str) -> SeenOrder:
        (found,) = [each for each in self.broker.orders() if each.order_id == order_id]
        return found

    def said(self, order_id: str) -> str:
        """Status, filled quantity and the prices of the fills: `TRADED 10 100.05`."""
        order = self.order(order_id)
        prices = [to_text(each.price_e4) for each in self.broker.trades() if each.order_id == order_id]
        return " ".join([order.status, str(order.filled), *prices])

    def net(self) -> dict[str, int]:
        return {each.security_id: each.net for each in self.broker.positions()}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "paper.db")
    yield made
    made.broker.close()


def test_it_is_a_broker_and_a_source_of_marks(desk: Desk) -> None:
    """The type checker agrees that it keeps the ports; an unknown mark is None."""
    broker: Broker = desk.broker
    marks: Marks = desk.broker

    assert broker.name == "paper"
    assert marks.quote("NSE_EQ", "1333") is None
    desk.quote("99", "99.5", "100")
    assert marks.quote("NSE_EQ", "1333") == Quote.of(bid="99", ltp="99.5", ask="100", at_us=START_US)


# -- how orders fill ------------------------------------------------------------------------------------------

AT_PLACEMENT = """
    order                           bid     ltp     ask     expected
    BUY 10 MARKET - -               99      99.5    100     TRADED 10 100.00
    SELL 10 MARKET - -              99      99.5    100     TRADED 10 99.00
    BUY 10 MARKET - -               99      99.5    -       TRADED 10 99.50
    SELL 10 MARKET - -              -       99.5    100     TRADED 10 99.50
    BUY 10 MARKET - -               99      -       -       PENDING 0
    BUY 10 LIMIT 100 -              99      99.5    100     TRADED 10 100.00
    BUY 10 LIMIT 99.95 -            99      99.5    100     PENDING 0
    BUY 10 LIMIT 105 -              99      99.5    100     TRADED 10 100.00
    SELL 10 LIMIT 99 -              99      99.5    100     TRADED 10 99.00
    SELL 10 LIMIT 99.05 -           99      99.5    100     PENDING 0
    SELL 10 LIMIT 90 -              99      99.5    100     TRADED 10 99.00
    BUY 10 STOP_LOSS_MARKET - 99.5  99      99.5    100     TRADED 10 100.00
    BUY 10 STOP_LOSS_MARKET - 99.55 99      99.5    100     PENDING 0
    SELL 10 STOP_LOSS_MARKET - 99.5 99      99.5    100     TRADED 10 99.00
    SELL 10 STOP_LOSS_MARKET - 99.45  99    99.5    100     PENDING 0
    SELL 10 STOP_LOSS_MARKET - 200  99      -       100     PENDING 0
    BUY 10 STOP_LOSS 100 99.5       99      99.5    100     TRADED 10 100.00
    BUY 10 STOP_LOSS 99.95 99.5     99      99.5    100     PENDING 0
    SELL 10 STOP_LOSS 99 99.5       99      99.5    100     TRADED 10 99.00
"""


def cells(text: str) -> list[list[str]]:
    """The order is five words, the rest one each."""
    rows = [line.split() for line in text.strip().splitlines()[1:]]
    return [[" ".join(row[:5]), row[5], row[6], row[7], " ".join(row[8:])] for row in rows]


@pytest.mark.parametrize("row", cells(AT_PLACEMENT), ids=" ".join)
def test_an_order_meets_the_current_quote_when_it_arrives(desk: Desk, row: list[str]) -> None:
    """Market at the touch, limit at the touch if that is no worse, stops by the last price; else it rests."""
    order, bid, ltp, ask, expected = row
    desk.quote(bid, ltp, ask)

    assert desk.said(desk.place(order)) == expected


RESTING = """
    order                           bid     ltp     ask     expected
    BUY 10 MARKET - -               120     121     122     TRADED 10 122.00
    BUY 10 LIMIT 100 -              98      99      100.05  PENDING 0
    BUY 10 LIMIT 100 -              98      99      100     TRADED 10 100.00
    BUY 10 LIMIT 100 -              90      91      92      TRADED 10 100.00
    BUY 10 LIMIT 100 -              -       100     -       TRADED 10 100.00
    SELL 10 LIMIT 100 -             99.95   100     101     PENDING 0
    SELL 10 LIMIT 100 -             100     100     101     TRADED 10 100.00
    SELL 10 LIMIT 100 -             110     111     112     TRADED 10 100.00
    SELL 10 STOP_LOSS_MARKET - 90   89      90.05   91      PENDING 0
    SELL 10 STOP_LOSS_MARKET - 90   89      90      91      TRADED 10 89.00
    SELL 10 STOP_LOSS 89.5 90       89      90      91      PENDING 0
    SELL 10 STOP_LOSS 88 90         89      90      91      TRADED 10 89.00
"""


@pytest.mark.parametrize("row", cells(RESTING), ids=" ".join)
def test_a_resting_order_meets_each_new_quote(desk: Desk, row: list[str]) -> None:
    """Placed without any quote everything rests; a limit that rested fills at its limit, never better."""
    order, bid, ltp, ask, expected = row
    order_id = desk.place(order)
    assert desk.said(order_id) == "PENDING 0"
    desk.quote(bid, ltp, ask)

    assert desk.said(order_id) == expected


def test_a_triggered_stop_limit_rests_as_a_limit(desk: Desk) -> None:
    """Triggered while out of reach, it waits at its limit and needs no second trigger."""
    order_id = desk.place("SELL 10 STOP_LOSS 89.5 90")
    desk.quote("89", "90", "91")
    assert desk.said(order_id) == "PENDING 0"
    desk.quote("89.6", "95", "96")

    assert desk.said(order_id) == "TRADED 10 89.50"


SLIPPAGE = """
    side  touch   tick  bps  expected
    BUY   100     5     0    100.00
    BUY   100.01  5     0    100.05
    SELL  100.04  5     0    100.00
    BUY   100     5     10   100.10
    BUY   100     5     11   100.15
    SELL  100     5     10   99.90
    SELL  100     5     11   99.85
    BUY   22000   5     5    22011.00
    SELL  0.05    5     5000 0.05
    BUY   0.05    5     1    0.10
"""


@pytest.mark.parametrize("row", [line.split() for line in SLIPPAGE.strip().splitlines()[1:]], ids=" ".join)
def test_slippage_is_against_us_and_on_the_tick(row: list[str]) -> None:
    """Rounded up for a buy, down for a sale, and never to nothing. Ticks in paise."""
    side, touch, tick, bps, expected = row

    assert to_text(slipped_e4(to_e4(touch), side == "BUY", int(tick) * 100, int(bps))) == expected


def test_slippage_never_passes_a_limit(tmp_path: Path) -> None:
    """A limit order that can trade at once slips up to its limit and no further."""
    desk = Desk(tmp_path / "paper.db", slippage_bps=10)
    desk.quote("99", "99.5", "100")

    assert desk.said(desk.place("BUY 1 MARKET - -")) == "TRADED 1 100.10"
    assert desk.said(desk.place("BUY 1 LIMIT 100.05 -")) == "TRADED 1 100.05"
    assert desk.said(desk.place("SELL 1 LIMIT 98.95 -")) == "TRADED 1 98.95"
    assert desk.said(desk.place("SELL 1 LIMIT 98.5 -")) == "TRADED 1 98.90"


def test_partial_fills(tmp_path: Path) -> None:
    """So many units per quote, PART_TRADED between; the rest of a limit order fills at its limit."""
    desk = Desk(tmp_path / "paper.db", fill_quantity_max=4)
    desk.quote("99", "99.5", "100")
    order_id = desk.place("BUY 10 LIMIT 101 -")
    assert desk.said(order_id) == "PART_TRADED 4 100.00"
    assert desk.order(order_id).is_live and desk.order(order_id).remaining == 6
    desk.quote("99", "99.5", "100")
    assert desk.said(order_id) == "PART_TRADED 8 100.00 101.00"
    desk.quote("105", "105", "106")
    assert desk.said(order_id) == "PART_TRADED 8 100.00 101.00"
    desk.quote("99", "99.5", "101")

    assert desk.said(order_id) == "TRADED 10 100.00 101.00 101.00"
    assert not desk.order(order_id).is_live
    assert desk.net() == {"1333": 10}


def test_ioc_leaves_no_rest(tmp_path: Path) -> None:
    """What does not trade on arrival is cancelled, the filled part stays filled."""
    desk = Desk(tmp_path / "paper.db", fill_quantity_max=4)

    assert desk.said(desk.place("BUY 10 MARKET - -", validity="IOC")) == "CANCELLED 0"
    desk.quote("99", "99.5", "100")
    assert desk.said(desk.place("BUY 10 LIMIT 100 -", validity="IOC")) == "CANCELLED 4 100.00"
    assert desk.said(desk.place("BUY 4 LIMIT 100 -", validity="IOC")) == "TRADED 4 100.00"


def test_quotes_are_per_instrument_and_orders_fill_oldest_first(desk: Desk) -> None:
    """Another segment's same id is another instrument; two orders that both reach fill in order of arrival."""
    first, second = desk.place("BUY 1 LIMIT 100 -"), desk.place("BUY 2 LIMIT 101 -")
    desk.broker.set_quote("BSE_EQ", "1333", Quote.of(ltp="1", at_us=START_US))
    assert desk.broker.trades() == ()
    desk.quote("-", "99", "-")

    assert [trade.order_id for trade in desk.broker.trades()] == [first, second]
    assert len({trade.trade_id for trade in desk.broker.trades()}) == 2


# -- placing and cancelling -----------------------------------------------------------------------------------


def test_what_is_stored_is_what_was_approved(desk: Desk) -> None:
    """The book shows the order with the correlation id it was sent under."""
    approved = desk.approved("SELL 10 STOP_LOSS 99 99.5", product="MARGIN")
    order_id = desk.broker.place(approved)

    assert approved.begun == 1
    assert desk.order(order_id) == SeenOrder(
        order_id=order_id, correlation_id=approved.correlation_id, exchange_segment="NSE_EQ", security_id="1333",
        side="SELL", product="MARGIN", order_type="STOP_LOSS", quantity=10, filled=0, price_e4=990_000,
        trigger_price_e4=995_000, status="PENDING", is_live=True,
    )  # fmt: skip


def test_an_order_that_may_not_begin_is_not_placed(desk: Desk) -> None:
    """`begin` is the last word: what it refuses leaves no trace."""
    approved = desk.approved("BUY 10 MARKET - -")
    approved.refuses = True

    with pytest.raises(PermitNotSendableError):
        desk.broker.place(approved)
    assert desk.broker.orders() == ()


def test_the_same_correlation_id_twice_is_refused(desk: Desk, tmp_path: Path) -> None:
    """Even when the first one was refused by the exchange or is done, and from another process's connection."""
    approved = desk.approved("BUY 10 MARKET - -")
    desk.broker.place(approved)
    again = FakeApproved(approved.order, approved.correlation_id)

    with pytest.raises(BrokerRefusedError, match="used before"):
        desk.broker.place(again)
    other = PaperBroker.open(desk.path, "leader", clock=desk.clock)
    with pytest.raises(BrokerRefusedError, match="used before"):
        other.place(FakeApproved(approved.order, approved.correlation_id))
    assert len(desk.broker.orders()) == 1
    # Another account has its own ids.
    follower = PaperBroker.open(desk.path, "follower", clock=desk.clock)
    follower.place(FakeApproved(approved.order.replaced(account="follower"), approved.correlation_id))
    assert len(follower.orders()) == 1


@pytest.mark.parametrize("length", [0, 1, 25, 26])
def test_correlation_ids_have_the_length_the_broker_takes(desk: Desk, length: int) -> None:
    """One to 25 characters: one more was measured to be refused."""
    approved = FakeApproved(desk.approved("BUY 10 MARKET - -").order, "c" * length)

    if 1 <= length <= 25:
        assert desk.broker.place(approved)
    else:
        with pytest.raises(BrokerRefusedError):
            desk.broker.place(approved)
        assert desk.broker.orders() == ()


def test_another_accounts_order_is_refused(desk: Desk) -> None:
    """A follower's order on the leader's connection is a mix-up, not an order."""
    with pytest.raises(BrokerRefusedError):
        desk.place("BUY 10 MARKET - -", account="follower")


def test_cancel(desk: Desk) -> None:
    """The rest goes, the filled part stays; a done, unknown or foreign order is refused."""
    order_id = desk.place("BUY 10 LIMIT 100 -")
    desk.broker.cancel(order_id)
    assert desk.said(order_id) == "CANCELLED 0"
    desk.quote("99", "99", "99")
    assert desk.said(order_id) == "CANCELLED 0"
    done = desk.place("BUY 10 MARKET - -")
    follower = PaperBroker.open(desk.path, "follower", clock=desk.clock)
    standing = desk.place("BUY 10 LIMIT 1 -")

    for broker, target in (
        (desk.broker, order_id), (desk.broker, done), (desk.broker, "P00009999"), (desk.broker, "nonsense"),
        (desk.broker, "P²"), (desk.broker, "P" + "9" * 400), (desk.broker, ""), (follower, standing),
    ):  # fmt: skip
        with pytest.raises(BrokerRefusedError):
            broker.cancel(target)
    assert desk.said(standing) == "PENDING 0"


def test_transit(tmp_path: Path) -> None:
    """A new order is TRANSIT for a while: live, without a fill, and not to be cancelled yet."""
    desk = Desk(tmp_path / "paper.db", transit_s=1)
    desk.quote("99", "99.5", "100")
    order_id, resting = desk.place("BUY 10 MARKET - -"), desk.place("BUY 10 LIMIT 50 -")
    desk.clock.us += SECOND_US - 1
    desk.quote("99", "99.5", "100.5")
    assert desk.said(order_id) == "TRANSIT 0" and desk.order(order_id).is_live
    with pytest.raises(BrokerRefusedError, match="TRANSIT"):
        desk.broker.cancel(order_id)
    desk.clock.us += 1

    assert desk.said(order_id) == "TRADED 10 100.50"
    desk.broker.cancel(resting)
    assert desk.said(resting) == "CANCELLED 0"


# -- the lists ------------------------------------------------------------------------------------------------


def test_positions_lag_and_orders_do_not(tmp_path: Path) -> None:
    """The list is as it was 4 s ago to the microsecond; orders and trades are current."""
    desk = Desk(tmp_path / "paper.db", position_lag_s=4)
    desk.quote("99", "99.5", "100")
    order_id = desk.place("BUY 10 MARKET - -")
    desk.clock.us += SECOND_US
    desk.place("SELL 4 MARKET - -")

    assert desk.said(order_id) == "TRADED 10 100.00"
    assert len(desk.broker.trades()) == 2
    desk.clock.us = START_US + 4 * SECOND_US - 1
    assert desk.net() == {}
    desk.clock.us += 1
    assert desk.net() == {"1333": 10}
    desk.clock.us += SECOND_US - 1
    assert desk.net() == {"1333": 10}
    desk.clock.us += 1
    assert desk.net() == {"1333": 6}


def test_settings_hold_from_now_on_for_every_process(tmp_path: Path) -> None:
    """Another connection plays by what was told here; before it was told, the list was current there too."""
    desk = Desk(tmp_path / "paper.db")
    other = PaperBroker.open(desk.path, "leader", clock=desk.clock)
    desk.quote("99", "99.5", "100")
    desk.place("BUY 10 MARKET - -")
    assert [each.net for each in other.positions()] == [10]

    desk.broker.play_by(PaperSettings(position_lag_s=4))

    assert other.positions() == ()
    desk.clock.us += 4 * SECOND_US
    assert [each.net for each in other.positions()] == [10]
    other.close()


def test_products_are_rows_of_their_own_and_closed_rows_stay_for_the_day(desk: Desk) -> None:
    """An exit in another product opens a second position; what was closed today is listed flat."""
    desk.quote("99", "99.5", "100")
    desk.place("BUY 10 MARKET - -")
    desk.place("SELL 10 MARKET - -", product="MARGIN")
    assert [(each.product, each.net) for each in desk.broker.positions()] == [("INTRADAY", 10), ("MARGIN", -10)]
    desk.place("BUY 10 MARKET - -", product="MARGIN")
    assert [(each.product, each.net) for each in desk.broker.positions()] == [("INTRADAY", 10), ("MARGIN", 0)]
    desk.clock.us += DAY_US

    assert [(each.product, each.net) for each in desk.broker.positions()] == [("INTRADAY", 10)]


def test_carried_positions(tmp_path: Path) -> None:
    """They are there at once whatever the lag, with their previous close; again replaces, zero removes."""
    desk = Desk(tmp_path / "paper.db", position_lag_s=4)
    desk.broker.carry("NSE_FNO", "35001", "MARGIN", -50, to_e4("22000"))
    desk.broker.carry("NSE_FNO", "35001", "MARGIN", -75, to_e4("23000"))
    assert desk.broker.positions() == (SeenPosition("NSE_FNO", "35001", "MARGIN", -75, to_e4("23000")),)
    desk.quote("-", "22900", "-", FUTURE)
    desk.place("BUY 25 MARKET - -", exchange_segment="NSE_FNO", security_id="35001", product="MARGIN")
    desk.clock.us += 4 * SECOND_US
    assert desk.broker.positions() == (SeenPosition("NSE_FNO", "35001", "MARGIN", -50, to_e4("23000")),)
    desk.broker.carry("NSE_FNO", "35001", "MARGIN", 0, to_e4("23000"))

    assert desk.net() == {"35001": 25}
    for bad in (("WRONG", 1, 1), ("MARGIN", 1, 0), ("MARGIN", True, 1), ("MARGIN", 1, True)):
        with pytest.raises(SettingsError):
            desk.broker.carry("NSE_FNO", "35001", *bad)


def test_the_next_day(desk: Desk) -> None:
    """Orders and trades are the day's; an open position is carried at the last price of the day before."""
    desk.quote("99", "99.5", "100")
    desk.place("BUY 10 MARKET - -", product="CNC")
    old = desk.place("BUY 10 LIMIT 90 -")
    assert desk.broker.positions()[0].previous_close_e4 is None
    desk.clock.us += DAY_US

    assert desk.broker.orders() == () and desk.broker.trades() == ()
    assert desk.broker.positions() == (SeenPosition("NSE_EQ", "1333", "CNC", 10, to_e4("99.5")),)
    assert desk.said(desk.place("BUY 1 MARKET - -")) == "PENDING 0", "yesterday's quote fills nothing today"
    desk.quote("80", "80", "80")
    assert [(each.product, each.net) for each in desk.broker.positions()] == [("CNC", 10), ("INTRADAY", 1)]
    with pytest.raises(BrokerRefusedError):
        desk.broker.cancel(old)
    desk.clock.us -= DAY_US
    assert desk.said(old) == "PENDING 0"


def test_only_what_the_day_began_with_has_a_previous_close(desk: Desk) -> None:
    """Closed before today, or opened today: no close to measure from, though the market knows one."""
    desk.broker.carry("NSE_EQ", "1333", "CNC", 10, to_e4("90"))
    assert desk.broker.positions()[0].previous_close_e4 == to_e4("90")
    desk.quote("100", "100", "100")
    desk.place("SELL 10 MARKET - -", product="CNC")
    desk.clock.us += DAY_US
    desk.quote("100", "100", "100")
    desk.place("BUY 5 MARKET - -", product="CNC")
    desk.place("BUY 3 MARKET - -")

    assert [(each.product, each.net, each.previous_close_e4) for each in desk.broker.positions()] == [
        ("CNC", 5, None), ("INTRADAY", 3, None)
    ]  # fmt: skip


def test_close_day_expires_what_works(tmp_path: Path) -> None:
    """Working orders of every account become EXPIRED, the filled part kept; done ones stay what they are."""
    desk = Desk(tmp_path / "paper.db", fill_quantity_max=4)
    follower = PaperBroker.open(desk.path, "follower", clock=desk.clock)
    desk.quote("99", "99.5", "100")
    part, done, rests = desk.place("BUY 10 LIMIT 100 -"), desk.place("BUY 4 MARKET - -"), desk.place("BUY 1 LIMIT 9 -")
    follower.place(FakeApproved(desk.approved("BUY 1 LIMIT 9 -", account="follower").order, "f1"))
    desk.broker.close_day()

    assert [desk.said(each).split()[:2] for each in (part, done, rests)] == [
        ["EXPIRED", "4"],
        ["TRADED", "4"],
        ["EXPIRED", "0"],
    ]
    assert [each.status for each in follower.orders()] == ["EXPIRED"]
    assert not any(each.is_live for each in desk.broker.orders())
    desk.quote("8", "8", "8")
    assert len(desk.broker.trades()) == 2


# -- money ----------------------------------------------------------------------------------------------------


def test_funds_are_opening_plus_realised_less_charges(desk: Desk) -> None:
    """A round trip of 10 shares: gross ₹5 less the charges of the day; open quantity is not marked."""
    assert desk.broker.funds().available_e4 == to_e4("1000000")
    desk.quote("100", "100", "100")
    desk.place("BUY 20 MARKET - -")
    desk.quote("100.5", "100.5", "100.5")
    desk.place("SELL 10 MARKET - -")
    funds = desk.broker.funds()

    # 2 orders of ₹2,000 and ₹1,005, worked by hand: brokerage 0.03 % = 0.60 + 0.30, exchange 0.00322 % of
    # 3,005 = 0.10, SEBI and IPFT 0.00, STT and stamp below half a rupee = 0, GST 18 % of 1.00 = 0.18: 1.18.
    assert funds.available_e4 == to_e4("1000000") + to_e4("5") - to_e4("1.18")
    assert funds.opening_e4 == to_e4("1000000")
    assert funds.used_e4 is None, "margin is not modelled: unknown, not zero"
    desk.clock.us += DAY_US
    assert desk.broker.funds().opening_e4 == funds.available_e4


PROFITS = [
    # what was carried (quantity, close), fills (signed quantity, price), realised rupees
    ((0, "1"), [(10, "100"), (-10, "101")], "10"),
    ((0, "1"), [(-10, "100"), (10, "101")], "-10"),
    ((0, "1"), [(10, "100"), (10, "110"), (-15, "120")], "250"),
    ((0, "1"), [(10, "100"), (-15, "90"), (5, "80")], "-50"),
    ((10, "95"), [(-10, "100")], "50"),
    ((-10, "95"), [(5, "100")], "-25"),
    ((10, "95"), [], "0"),
]


@pytest.mark.parametrize("case", PROFITS, ids=str)
def test_realised_profit(desk: Desk, case: tuple[tuple[int, str], list[tuple[int, str]], str]) -> None:
    """First in, first out; a flip opens at its own price; carried units cost their previous close."""
    (carried, close), trades, expected = case
    desk.broker.carry("NSE_FNO", "35001", "MARGIN", carried, to_e4(close))
    for signed, price in trades:
        desk.quote("-", price, "-", FUTURE)
        side = "BUY" if signed > 0 else "SELL"
        desk.place(
            f"{side} {abs(signed)} MARKET - -", exchange_segment="NSE_FNO", security_id="35001", product="MARGIN"
        )
    charges_e4 = sum(desk.broker._charges.day("2024-06-04", own, {FUTURE.key: FUTURE})[0] for own in [_fills(desk)])

    available_e4 = desk.broker.funds().available_e4
    assert available_e4 is not None
    assert to_text(available_e4 + charges_e4 - to_e4("1000000")) == to_text(to_e4(expected))
    assert bool(charges_e4) == bool(trades)


def _fills(desk: Desk) -> list[Any]:
    from riskguard.brokers.paper.orders import fills

    with desk.broker._file.reading() as connection:
        return fills(connection, "leader")


def test_unknown_charges_are_left_out_and_said(desk: Desk) -> None:
    """A contract nobody described: its profit stays gross, and the property names it; the share's is charged."""
    desk.quote("100", "100", "100")
    desk.place("BUY 10 MARKET - -")
    assert not desk.broker.charges_unknown
    unknown = {"exchange_segment": "BSE_FNO", "security_id": "9", "product": "MARGIN"}
    desk.broker.set_quote("BSE_FNO", "9", Quote.of(ltp="10", at_us=START_US))
    desk.place("BUY 5 MARKET - -", **unknown)
    share_only_e4 = desk.broker.funds().available_e4
    desk.broker.set_quote("BSE_FNO", "9", Quote.of(ltp="12", at_us=START_US))
    desk.place("SELL 5 MARKET - -", **unknown)

    available_e4 = desk.broker.funds().available_e4
    assert share_only_e4 is not None and share_only_e4 < to_e4("1000000")
    assert available_e4 == share_only_e4 + to_e4("10")
    (said,) = desk.broker.charges_unknown
    assert "BSE_FNO:9" in said and "gross" in said


def test_an_unknown_multiplier_is_unknown_money(desk: Desk) -> None:
    """A closed commodity contract without its multiplier: funds are None, not a guess."""
    crude = {"exchange_segment": "MCX_COMM", "security_id": "77", "product": "MARGIN"}
    desk.quote("-", "6500", "-", CRUDE)
    desk.place("BUY 1 MARKET - -", **crude)
    assert desk.broker.funds().available_e4 == to_e4("1000000"), "nothing is realised yet"
    desk.place("SELL 1 MARKET - -", **crude)

    assert desk.broker.funds().available_e4 is None


# -- faults ---------------------------------------------------------------------------------------------------

OUTCOMES = """
    how     acts  begins  error
    ok      yes   1       -
    refuse  no    1       BrokerRefusedError
    fail    no    0       BrokerUnavailableError
    silent  yes   1       BrokerUnconfirmedError
    lost    no    1       BrokerUnconfirmedError
    hang    no    1       BrokerUnconfirmedError
    reject  book  1       -
"""
ERRORS = {each.__name__: each for each in (BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError)}


@pytest.mark.parametrize("row", [line.split() for line in OUTCOMES.strip().splitlines()[1:]], ids=lambda row: row[0])
def test_faults_of_place(tmp_path: Path, row: list[str]) -> None:
    """Whether it acted, whether the request left, and what the caller learns are three different things."""
    how, acts, begins, error = row
    desk = Desk(tmp_path / "paper.db", hang_s=0.01)
    desk.broker.behave("place", how)
    approved = desk.approved("BUY 10 LIMIT 100 -")
    if error == "-":
        desk.broker.place(approved)
    else:
        with pytest.raises(ERRORS[error]):
            desk.broker.place(approved)

    found = [each.status for each in desk.broker.orders()]
    assert found == {"yes": ["PENDING"], "no": [], "book": ["REJECTED"]}[acts]
    assert approved.begun == int(begins)


@pytest.mark.parametrize("row", [line.split() for line in OUTCOMES.strip().splitlines()[1:-1]], ids=lambda row: row[0])
def test_faults_of_cancel(tmp_path: Path, row: list[str]) -> None:
    """As for placing: an unanswered cancel may have worked."""
    how, acts, _, error = row
    desk = Desk(tmp_path / "paper.db", hang_s=0.01)
    order_id = desk.place("BUY 10 LIMIT 100 -")
    desk.broker.behave("cancel", how)
    if error == "-":
        desk.broker.cancel(order_id)
    else:
        with pytest.raises(ERRORS[error]):
            desk.broker.cancel(order_id)

    assert desk.order(order_id).status == ("CANCELLED" if acts == "yes" else "PENDING")


READS = ("orders", "positions", "trades", "funds")


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("row", [line.split() for line in OUTCOMES.strip().splitlines()[1:-1]], ids=lambda row: row[0])
def test_faults_of_reads(tmp_path: Path, operation: str, row: list[str]) -> None:
    """A read answers whole or raises; the other reads go on."""
    how, _, _, error = row
    desk = Desk(tmp_path / "paper.db", hang_s=0.01)
    desk.broker.behave(operation, how)
    for name in READS:
        if name == operation and error != "-":
            with pytest.raises(ERRORS[error]):
                getattr(desk.broker, name)()
        else:
            getattr(desk.broker, name)()


def test_empty_lists_are_a_lie_about_what_is_there(desk: Desk) -> None:
    """`empty` answers nothing where there is something; funds and writes have no such lie."""
    desk.quote("99", "99.5", "100")
    desk.place("BUY 10 MARKET - -")
    desk.broker.behave("all", "empty")

    assert not desk.broker.orders() and not desk.broker.positions() and not desk.broker.trades()
    assert desk.broker.funds().available_e4 is not None
    assert desk.place("BUY 1 MARKET - -")
    desk.broker.behave("all", "ok")
    assert len(desk.broker.orders()) == 2
    desk.broker.behave("positions", "empty")
    assert desk.broker.positions() == () and len(desk.broker.orders()) == 2


@pytest.mark.parametrize("acts", [False, True])
def test_a_hang_is_bounded_and_acts_by_setting(tmp_path: Path, acts: bool) -> None:
    """It takes as long as set, then says it does not know; whether the order is there is a setting."""
    desk = Desk(tmp_path / "paper.db", hang_s=0.05, hang_acts=acts)
    desk.broker.behave("place", "hang")
    approved = desk.approved("BUY 10 LIMIT 100 -")
    started = time.monotonic()
    with pytest.raises(BrokerUnconfirmedError):
        desk.broker.place(approved)

    assert 0.05 <= time.monotonic() - started < 5
    assert len(desk.broker.orders()) == int(acts)
    assert approved.begun == 1
    assert PaperSettings().hang_s == 0.2


def test_silence_does_not_hide_that_an_order_may_not_begin(desk: Desk) -> None:
    """A permit that may not be sent never left: that is known, and is said."""
    for how in ("silent", "lost", "refuse", "hang"):
        desk.broker.behave("place", how)
        approved = desk.approved("BUY 10 LIMIT 100 -")
        approved.refuses = True
        with pytest.raises(PermitNotSendableError):
            desk.broker.place(approved)


def test_faults_count_down_and_the_nearest_word_wins(desk: Desk) -> None:
    """`times` calls, then as before; a word about one operation beats `all`, a later `all` replaces everything."""
    desk.broker.behave("orders", "fail", times=2)
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError):
            desk.broker.orders()
    assert desk.broker.orders() == ()
    desk.broker.behave("all", "fail")
    desk.broker.behave("orders", "ok")
    assert desk.broker.orders() == ()
    with pytest.raises(BrokerUnavailableError):
        desk.broker.trades()
    desk.broker.behave("all", "refuse")
    with pytest.raises(BrokerRefusedError):
        desk.broker.orders()
    desk.broker.behave("all", "ok")
    assert not desk.broker.orders() and not desk.broker.trades()


@pytest.mark.parametrize(
    "asked",
    [("plcae", "fail", None), ("place", "explode", None), ("place", "empty", None), ("funds", "empty", None),
     ("cancel", "reject", None), ("all", "reject", None), ("place", "fail", 0), ("place", "fail", True)],
    ids=str,
)  # fmt: skip
def test_a_fault_that_means_nothing_is_refused(desk: Desk, asked: tuple[str, str, int | None]) -> None:
    """A misspelt fault would be a test that tests nothing."""
    with pytest.raises(SettingsError):
        desk.broker.behave(*asked)


@pytest.mark.parametrize(
    "changes",
    [{"slippage_bps": -1}, {"slippage_bps": 5_001}, {"slippage_bps": True}, {"fill_quantity_max": 0}, {"hang_s": 61},
     {"position_lag_s": -1}, {"transit_s": float("nan")}, {"hang_acts": 1}, {"opening_funds_e4": -1}],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    """Each figure has a range; nan is in none."""
    with pytest.raises(SettingsError):
        PaperSettings(**changes)
    assert replace(PaperSettings(), slippage_bps=5_000, hang_s=60).slippage_bps == 5_000


# -- the file -------------------------------------------------------------------------------------------------


def test_the_file_is_private_and_its_settings_stand(tmp_path: Path) -> None:
    """0600, log included; who opens it without settings plays by those that stand."""
    desk = Desk(tmp_path / "deep" / "paper.db", slippage_bps=10)
    desk.place("BUY 10 LIMIT 1 -")
    for name in ("paper.db", "paper.db-wal"):
        assert stat.S_IMODE((desk.path.parent / name).stat().st_mode) == 0o600
    other = PaperBroker.open(desk.path, "leader", clock=desk.clock)
    other.set_quote("NSE_EQ", "1333", Quote.of(ltp="100", at_us=START_US))
    other.place(desk.approved("BUY 10 MARKET - -"))

    assert [to_text(trade.price_e4) for trade in desk.broker.trades()] == ["100.10"]


def test_a_foreign_file_is_refused_untouched(tmp_path: Path) -> None:
    """Another program's database, or no database, is not made a market."""
    foreign, text = tmp_path / "other.db", tmp_path / "text.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (x)")
    text.write_text("not a database, but long enough to look at " * 40)

    with pytest.raises(SettingsError, match="no paper market"):
        PaperBroker.open(foreign, "leader", clock=FakeClock())
    with pytest.raises(BrokerUnavailableError):
        PaperBroker.open(text, "leader", clock=FakeClock())
    with pytest.raises(BrokerUnavailableError):
        PaperBroker.open(tmp_path, "leader", clock=FakeClock())


def test_a_locked_file_is_unavailable_and_the_order_never_began(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds the write lock: the call gives up in bounded time, reads go on, nothing left."""
    monkeypatch.setattr("riskguard.brokers.paper.file.LOCK_WAIT_S_MAX", 0.05)
    approved = desk.approved("BUY 10 MARKET - -")
    blocker = sqlite3.connect(desk.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(BrokerUnavailableError):
        desk.broker.place(approved)

    assert approved.begun == 0
    assert desk.broker.orders() == ()
    blocker.execute("ROLLBACK")
    assert desk.broker.place(approved)


def test_a_lock_that_is_let_go_is_waited_for(desk: Desk) -> None:
    """Another writer's moment is no failure: the call waits, and then acts."""
    blocker = sqlite3.connect(desk.path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, blocker.execute, ["ROLLBACK"])
    timer.start()

    assert desk.said(desk.place("BUY 10 MARKET - -")) == "PENDING 0"
    timer.join()


def test_threads_share_one_connection(desk: Desk) -> None:
    """Orders from eight threads all arrive, each once."""
    desk.quote("99", "99.5", "100")
    orders = [desk.approved("BUY 1 MARKET - -") for _ in range(80)]
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(desk.broker.place, orders))

    assert len(set(ids)) == 80
    assert desk.net() == {"1333": 80}


CHILD = """
import sys
sys.path[:0] = sys.argv[3:]
from tests.brokers.test_paper import FakeApproved, FakeClock
from riskguard.brokers.paper import PaperBroker
from riskguard.core.order import Order
from riskguard.errors import BrokerUnavailableError
broker = PaperBroker.open(sys.argv[1], "leader", clock=FakeClock())
who = sys.argv[2]
sys.stdin.readline()
for number in range(50):
    order = Order(account="leader", exchange_segment="NSE_EQ", security_id="1333", side="BUY", product="INTRADAY",
                  order_type="MARKET", quantity=1)
    broker.place(FakeApproved(order, f"{who}-{number}"))
print(len(broker.orders()), flush=True)
broker.behave("positions", "fail", times=1)
"""


def test_processes_share_one_market(desk: Desk) -> None:
    """Two processes place at once, this one fills and sees all of it; a fault set there holds here, once."""
    command = [sys.executable, "-c", CHILD, str(desk.path)]
    root = str(Path(__file__).parents[2])
    children = [
        subprocess.Popen([*command, who, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for who in ("a", "b")
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    outputs = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert max(int(text) for text in outputs) == 100
    desk.quote("99", "99.5", "100")

    assert {each.status for each in desk.broker.orders()} == {"TRADED"}
    assert len(desk.broker.trades()) == 100
    with pytest.raises(BrokerUnavailableError):
        desk.broker.positions()
    assert desk.net() == {"1333": 100}


def test_a_fork_opens_its_own_connection(desk: Desk) -> None:
    """A child that inherited the broker places through a connection of its own; the parent's goes on."""
    approved = desk.approved("BUY 1 LIMIT 9 -")
    inherited = desk.broker._file._connection
    child = os.fork()
    if child == 0:
        try:
            desk.broker.place(approved)
            os._exit(2 if desk.broker._file._connection is inherited else 0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0

    assert [each.correlation_id for each in desk.broker.orders()] == [approved.correlation_id]
    desk.place("BUY 1 LIMIT 9 -")
    assert len(desk.broker.orders()) == 2
    assert desk.broker._file._connection is inherited


def test_a_large_log_is_copied_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else checkpoints, so the log must not grow without end."""
    monkeypatch.setattr("riskguard.brokers.paper.file.WAL_BYTES_MAX", 100_000)
    monkeypatch.setattr("riskguard.brokers.paper.file.LOOKED_AT_EVERY", 10)
    for number in range(300):
        desk.quote("-", str(100 + number), "-")

    assert Path(f"{desk.path}-wal").stat().st_size < 400_000
    assert desk.broker.quote("NSE_EQ", "1333") == Quote.of(ltp=399, at_us=START_US)
