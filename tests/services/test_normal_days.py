"""
The shipped rulebooks on a real desk: an ordinary day of each kind of trader passes without one refusal, from 09:15 to
15:25, and one bad order of that trader is refused.

A limit that stops a normal day is switched off by lunch, and then it stops nothing at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from riskguard.brokers.paper import PaperBroker
from riskguard.core.copying import CopyRule
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.locate import rulebook_text
from riskguard.services.setup import add_instruments
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import paper_path
from riskguard.store.copy_rules import save_rule
from tests.services.desk import ACCOUNT, DAY, SECOND, SHARE, START, Desk

OPEN = START + DAY - 75 * 60 * SECOND
"""09:15 in India, the Tuesday after the desk's Monday."""
MINUTE_S = 60
LOTS_10 = 750

NIFTY = Instrument("IDX_I", "13", "NIFTY", "INDEX")


def option(security_id: str, strike: int, kind: str) -> Instrument:
    return Instrument(
        "NSE_FNO", security_id, f"NIFTY-{strike}-{kind}", "OPTIDX", lot_size=75, underlying="NIFTY", expiry="2025-06-26",
        strike_e4=to_e4(strike), option_type=kind, freeze_quantity=1800,
    )  # fmt: skip


SHORT_CE, LONG_CE = option("41001", 25000, "CE"), option("41002", 25200, "CE")
SHORT_PE, LONG_PE = option("41003", 24600, "PE"), option("41004", 24400, "PE")
CONTRACTS = [NIFTY, SHORT_CE, LONG_CE, SHORT_PE, LONG_PE]
PREMIUMS = {SHORT_CE: "150", LONG_CE: "90", SHORT_PE: "140", LONG_PE: "85"}


class Trader:
    """One trader's day: accounts, their brokers and sweeps, and the clock."""

    def __init__(self, desk: Desk, accounts: tuple[str, ...] = (ACCOUNT,)) -> None:
        self.desk = desk
        with desk.store.session() as session:
            add_instruments(session, CONTRACTS, desk.clock.now_us())
        self.brokers = {
            name: PaperBroker.open(
                paper_path(desk.path), name, clock=desk.clock, instruments=[SHARE, *(each for each in CONTRACTS if each != NIFTY)]
            )
            for name in accounts
        }  # fmt: skip
        self.sweepers = {name: Sweeper(desk.guard, name, broker) for name, broker in self.brokers.items()}
        desk.clock.at_us = OPEN
        self.quote(SHARE, "1000")
        self.watch(0)

    def close(self) -> None:
        for broker in self.brokers.values():
            broker.close()

    def quote(self, instrument: Instrument, price: str) -> None:
        made = Quote.of(ltp=price, at_us=self.desk.clock.now_us())
        if instrument != NIFTY:
            self.brokers[ACCOUNT].set_quote(*instrument.key, made)
        self.desk.guard.quote(*instrument.key, ltp=price, at=made.at_us)

    def chain(self) -> None:
        """Quote the index and the whole chain."""
        self.quote(NIFTY, "24800")
        for instrument, price in PREMIUMS.items():
            self.quote(instrument, price)

    def watch(self, after_s: float = 2) -> None:
        self.desk.clock.advance(after_s)
        for sweeper in self.sweepers.values():
            report = sweeper.sweep()
            assert not report.killed and not report.failures, report.findings

    def until(self, hour: int, minute: int) -> None:
        """Let time pass; the feed ticks."""
        self.desk.clock.at_us = OPEN + ((hour - 9) * 60 + minute - 15) * MINUTE_S * SECOND
        self.chain()
        self.quote(SHARE, "1000")
        self.watch()

    def silence(self, seconds: int) -> None:
        """Let time pass without a tick; the sweep goes on."""
        for _ in range(seconds // 5):
            self.watch(5)

    def order(self, instrument: Instrument, side: str, quantity: int, price: str | None, **more: Any) -> Order:
        return self.desk.order_of(instrument, side, quantity, price, **more)

    def send(self, *decisions: Any) -> str:
        """Send what must be approved; returns the last one's order id."""
        order_id = ""
        for decision in decisions:
            assert decision.approved, f"{decision.order!r}: {decision.explain()}"
            with decision.permit.sending() as wire:
                wire.order_id = order_id = self.brokers[decision.order.account].place(decision.approved_order)
        return order_id

    def cancel(self, order_id: str) -> None:
        self.desk.guard.cancel(ACCOUNT, order_id, self.brokers[ACCOUNT].cancel)
        self.watch()

    def trade(self, instrument: Instrument, side: str, quantity: int, price: str | None, **more: Any) -> Any:
        """Ask, send, and let the fill come in and settle."""
        decision = self.desk.guard.check(self.order(instrument, side, quantity, price, **more))
        self.send(decision)
        self.watch()
        self.watch(6)
        return decision

    def basket(self, *orders: Order) -> None:
        found = self.desk.guard.check_basket(orders)
        assert found.approved, found.explain()
        self.send(*found.legs)
        self.watch()
        self.watch(6)

    def refusals(self) -> list[tuple[Any, ...]]:
        return self.desk.rows("SELECT client_order_id, limit_id, detail FROM risk_violations")

    def net(self, account: str = ACCOUNT) -> int:
        """Every line's net, absolute, of today: 0 is flat."""
        rows = self.desk.rows(
            "SELECT abs(start_quantity + filled_quantity) FROM day_books WHERE account = ? AND session_date = '2025-06-03'",
            account,
        )
        return sum(row[0] for row in rows)

    def refused(self, order: Order) -> set[str]:
        """Ask about one bad order and return the checks that refuse it."""
        decision = self.desk.guard.check(order)
        assert not decision.approved and decision.recorded
        return {each.check for each in decision.rejects}


@pytest.fixture
def trader(make_desk: Callable[..., Desk]) -> Iterator[Callable[..., Trader]]:
    with contextlib.ExitStack() as stack:

        def make(rulebook: str, accounts: tuple[str, ...] = (ACCOUNT,), **how: Any) -> Trader:
            made = Trader(make_desk(text=rulebook_text(rulebook), accounts=accounts, **how), accounts)
            stack.callback(made.close)
            return made

        yield make


# -- shares ----------------------------------------------------------------------------------------------------------


def round_trip(trader: Trader, number: int, quantity: int, **entry: Any) -> None:
    """Buy at a limit, put a stop under it, trail it once, cancel it, sell: better one time, worse the next."""
    trader.quote(SHARE, "1000")
    entry = {"stop_loss": "990", "signal_at": trader.desk.clock.now_us(), **entry}
    bought = trader.trade(SHARE, "BUY", quantity, "1000", **entry)
    stop = trader.order(SHARE, "SELL", quantity, "988", order_type="STOP_LOSS", trigger_price="990")
    order_id = trader.send(trader.desk.guard.check(stop))
    trader.watch()
    trailed = trader.desk.guard.check_modify(stop.client_order_id, account=ACCOUNT, trigger_price="994", price="992")
    assert trailed.approved, trailed.explain()
    with trailed.permit.sending() as wire:
        wire.order_id = trader.brokers[ACCOUNT].modify(trailed.approved_order)
    trader.watch()
    trader.cancel(order_id)
    price = "1004" if number % 2 else "998"
    trader.quote(SHARE, price)
    trader.trade(SHARE, "SELL", quantity, price if number % 3 else None)
    assert bought.approved and trader.net() == 0


@pytest.mark.parametrize(
    ("rulebook", "quantity"), [("default", 40), ("intraday-equity", 300), ("copy-trading", 300), ("sebi-algo", 400)]
)
def test_forty_trades_with_stops(trader: Callable[..., Trader], rulebook: str, quantity: int) -> None:
    """Twenty round trips from 09:15 to 15:25, each with a stop that is trailed once: nothing is refused."""
    made = trader(rulebook)
    for number in range(20):
        round_trip(made, number, quantity)
        made.until(9 + (15 + 18 * (number + 1)) // 60, (15 + 18 * (number + 1)) % 60)
    made.until(15, 19)
    made.quote(SHARE, "1000")
    made.trade(SHARE, "BUY", quantity, "1000")
    made.until(15, 25)
    made.quote(SHARE, "1001")
    made.trade(SHARE, "SELL", quantity, None)

    assert made.refusals() == []
    assert made.net() == 0
    assert made.desk.one("SELECT count(*) FROM trades WHERE trade_ts >= ?", OPEN // SECOND) >= 42


@pytest.mark.parametrize(
    ("rulebook", "quantity", "checks"),
    [
        ("default", 1_000, {"order_value", "net_position"}),
        ("intraday-equity", 3_000, {"order_value", "net_position", "position_value", "gross_exposure"}),
        ("copy-trading", 3_000, {"order_value", "net_position"}),
        ("sebi-algo", 4_000, {"order_value", "net_position"}),
    ],
)
def test_a_slipped_zero(trader: Callable[..., Trader], rulebook: str, quantity: int, checks: set[str]) -> None:
    """Ten times what this trader buys is refused, by value and by position."""
    made = trader(rulebook)
    made.quote(SHARE, "1000")

    assert made.refused(made.order(SHARE, "BUY", quantity, "1000")) == checks


def test_the_last_ten_minutes_are_for_exits(trader: Callable[..., Trader]) -> None:
    """Before 15:20 an intraday entry passes, then it does not, and the exit passes at 15:29."""
    made = trader("intraday-equity")
    made.until(15, 19)
    made.watch(40)
    made.quote(SHARE, "1000")
    made.trade(SHARE, "BUY", 10, "1000")
    made.until(15, 20)
    made.quote(SHARE, "1000")
    assert made.refused(made.order(SHARE, "BUY", 10, "1000")) == {"trading_window"}
    made.until(15, 29)
    made.trade(SHARE, "SELL", 10, None)
    assert made.net() == 0


def test_an_algorithm_has_a_price_check(trader: Callable[..., Trader]) -> None:
    """5 % through the market passes, a tick more does not; without a quote there is nothing to check against."""
    made = trader("sebi-algo")
    made.quote(SHARE, "1000")
    assert made.desk.guard.check(made.order(SHARE, "BUY", 1, "1050")).approved
    assert made.refused(made.order(SHARE, "BUY", 1, "1050.05")) == {"price_collar"}
    made.desk.clock.advance(6)
    assert "price_collar" in made.refused(made.order(SHARE, "BUY", 1, "1000"))


# -- options bought --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rulebook", "lots"), [("intraday-options", 5), ("copy-trading", 2)])
def test_an_option_buyer(trader: Callable[..., Trader], rulebook: str, lots: int) -> None:
    """
    Half of ten lots at market on a quote of 20 s ago, half at a limit when there is none that counts, a stop, out at
    market on a quote of five minutes ago; eight times, from 09:15 to 15:25.
    """
    quantity = lots * 75
    made = trader(rulebook)
    for hour, minute in ((9, 15), (9, 50), (10, 40), (11, 30), (12, 20), (13, 15), (14, 20), (15, 19)):
        made.until(hour, minute)
        made.silence(20)
        made.trade(SHORT_CE, "BUY", quantity, None)
        made.silence(20)
        made.trade(SHORT_CE, "BUY", quantity, "150")
        stop = made.order(SHORT_CE, "SELL", 2 * quantity, "110", order_type="STOP_LOSS", trigger_price="120")
        order_id = made.send(made.desk.guard.check(stop))
        made.silence(290)
        made.cancel(order_id)
        made.trade(SHORT_CE, "SELL", 2 * quantity, None)
        assert made.net() == 0

    assert made.refusals() == []


@pytest.mark.parametrize("rulebook", ["intraday-options", "copy-trading"])
def test_an_option_buyers_bad_day(trader: Callable[..., Trader], rulebook: str) -> None:
    """A slipped zero is refused, and so is a share at an option trader's; a naked sale at either's."""
    made = trader(rulebook)
    made.chain()

    assert {"order_quantity", "net_position", "order_value"} <= made.refused(
        made.order(SHORT_CE, "BUY", 10 * LOTS_10, "150")
    )
    assert made.refused(made.order(SHORT_PE, "SELL", 75, "140", product="MARGIN")) == {"naked_short_option"}
    if rulebook == "intraday-options":
        made.quote(SHARE, "1000")
        assert made.refused(made.order(SHARE, "BUY", 1, "1000")) == {"permission"}


# -- spreads sold ----------------------------------------------------------------------------------------------------


def condor(trader: Trader, quantity: int, closing: bool = False) -> list[Order]:
    """Four legs as a person writes them down: what is sold first."""
    sold, bought = ("BUY", "SELL") if closing else ("SELL", "BUY")
    legs = [(SHORT_CE, sold), (SHORT_PE, sold), (LONG_CE, bought), (LONG_PE, bought)]
    return [trader.order(each, side, quantity, PREMIUMS[each], product="MARGIN") for each, side in legs]


@pytest.mark.parametrize(("rulebook", "quantity"), [("intraday-options", LOTS_10), ("copy-trading", LOTS_10 // 2)])
def test_a_seller_of_condors(trader: Callable[..., Trader], rulebook: str, quantity: int) -> None:
    """Five condors opened and closed as baskets, two of them at once, the last at 15:25."""
    made = trader(rulebook)
    for hour, minute in ((9, 15), (11, 0), (13, 30)):
        made.until(hour, minute)
        made.chain()
        made.basket(*condor(made, quantity))
        made.until(hour, minute + 25)
        made.chain()
        if hour == 11:
            made.basket(*condor(made, quantity))
            made.chain()
            made.basket(*condor(made, quantity, closing=True))
            made.chain()
        made.basket(*condor(made, quantity, closing=True))
        assert made.net() == 0
    made.until(15, 5)
    made.chain()
    made.basket(*condor(made, quantity))
    made.until(15, 25)
    made.chain()
    made.basket(*condor(made, quantity, closing=True))

    assert made.refusals() == []
    assert made.net() == 0


def test_a_condor_without_its_wings_is_refused(trader: Callable[..., Trader]) -> None:
    """The two sold legs alone are naked, whole or not at all; and so is closing the wings first."""
    made = trader("intraday-options")
    made.chain()
    naked = made.desk.guard.check_basket(condor(made, LOTS_10)[:2])
    assert {each.check for each in naked.rejects} >= {"naked_short_option"} and not naked.approved
    made.basket(*condor(made, LOTS_10))
    made.chain()
    wing = condor(made, LOTS_10, closing=True)[2]

    assert made.refused(wing) == {"naked_short_option"}


# -- copies ----------------------------------------------------------------------------------------------------------

FOLLOWERS = ("follower-a", "follower-b")


def test_a_leader_with_two_followers(trader: Callable[..., Trader]) -> None:
    """Shares and options bought by a leader, copied half and in full, entered and left all day; nobody is refused."""
    made = trader("copy-trading", accounts=(ACCOUNT, *FOLLOWERS), group="family")
    for follower, ratio in zip(FOLLOWERS, ("0.5", "1"), strict=True):
        rule = CopyRule.model_validate({
            "leader": ACCOUNT, "follower": follower, "sizing": "fixed_ratio", "ratio": ratio, "copy_delay_s": 5,
            "copy_slippage_pct": "0.5",
        })  # fmt: skip
        with made.desk.store.session() as session:
            save_rule(session, rule, made.desk.clock.now_us())

    def copied(instrument: Instrument, side: str, quantity: int, price: str | None) -> None:
        found = made.desk.guard.check_copies(made.order(instrument, side, quantity, price))
        assert not found.skipped and all(each.approved for some in found.followers.values() for each in some), found
        made.send(found.leader, *found.approved)
        made.watch()
        made.watch(6)

    for hour in range(9, 15):
        made.until(hour, 15 if hour == 9 else 5)
        for instrument, quantity, price in ((SHARE, 300, "1000"), (SHORT_CE, 300, "150")):
            made.quote(NIFTY, "24800")
            made.quote(instrument, price)
            copied(instrument, "BUY", quantity, price)
            made.silence(20)
            made.quote(instrument, price)
            made.watch()
            copied(instrument, "SELL", quantity, None)
    made.until(15, 25)

    assert made.refusals() == []
    assert [made.net(name) for name in (ACCOUNT, *FOLLOWERS)] == [0, 0, 0]


def test_a_follower_stops_alone(trader: Callable[..., Trader]) -> None:
    """What one follower may not hold it is refused; the leader and the other one trade on."""
    made = trader("copy-trading", accounts=(ACCOUNT, *FOLLOWERS), group="family")
    for follower, ratio in zip(FOLLOWERS, ("4", "1"), strict=True):
        rule = CopyRule.model_validate({
            "leader": ACCOUNT, "follower": follower, "sizing": "fixed_ratio", "ratio": ratio, "copy_delay_s": 5,
            "copy_slippage_pct": "0.5",
        })  # fmt: skip
        with made.desk.store.session() as session:
            save_rule(session, rule, made.desk.clock.now_us())
    made.quote(SHARE, "1000")

    found = made.desk.guard.check_copies(made.order(SHARE, "BUY", 300, "1000"))

    assert found.leader is not None and found.leader.approved
    assert {each.check for each in found.followers["follower-a"][0].rejects} == {"order_value", "net_position"}
    assert found.followers["follower-b"][0].approved


# -- the controls ----------------------------------------------------------------------------------------------------


def test_the_days_would_notice_a_limit_that_is_too_tight(trader: Callable[..., Trader]) -> None:
    """The same round trip under a value limit just below it fails: the days above are no empty walk."""
    made = trader("default")
    with pytest.raises(AssertionError, match="ORDER_VALUE_ABOVE_LIMIT"):
        round_trip(made, 0, 101)


def test_every_shipped_rulebook_is_played() -> None:
    """A rulebook without a day here is one nobody has traded under; the demo plays its own."""
    from riskguard.locate import folder

    played = {"default", "intraday-equity", "intraday-options", "copy-trading", "sebi-algo"}

    assert {path.stem for path in folder("rules").glob("*.toml")} == played | {"demo-index-futures"}
