"""
What was approved never passes a limit together, however many processes ask at once; and nothing short of it is refused.

The figures are recomputed from the databases: the guard's permits and messages, and the paper market's own orders.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from riskguard.brokers.paper import PaperBroker, PaperSettings
from riskguard.clock import SystemClock
from riskguard.core.quote import Quote
from riskguard.services.sweeper import Sweeper
from riskguard.services.wiring import open_guard, paper_path
from riskguard.store import journal
from tests.reliability.actors import acting, times
from tests.services.desk import ACCOUNT, build, rulebook

PROCESSES = 8
ORDERS = times(500, 5_000)
POSITION_MAX = 300
WINDOW_US, MESSAGES, RESERVE = 2_000_000, 60, 5
LAG_S = 4


class Market:
    """A database, its paper market whose list lags, and somebody who sweeps."""

    def __init__(self, directory: Path, text: str) -> None:
        self.clock = SystemClock()
        self.path = build(directory, text=text, clock=self.clock)
        self.url = f"sqlite:///{self.path}"
        self.guard = open_guard(self.url, sweep=False, deadline_ms=30_000)
        self.broker = PaperBroker.open(
            paper_path(self.path), ACCOUNT, clock=self.clock, settings=PaperSettings(position_lag_s=LAG_S)
        )
        self.sweeper = Sweeper(self.guard, ACCOUNT, self.broker, marks=self.broker)
        self.look()

    def look(self) -> None:
        self.broker.set_quote("NSE_EQ", "1333", Quote(1_000_000, None, None, self.clock.now_us()))
        self.sweeper.sweep(now=True)

    def trade(self, orders: list[int], **options: Any) -> list[dict[str, Any]]:
        """Let eight processes place so many orders each, sweeping meanwhile; one answer per process and batch."""
        answers = []
        with acting(PROCESSES, "trader", self.url, deadline_ms=10_000, **options) as traders:
            for batch in orders:
                for trader in traders:
                    trader.tell(orders=batch)
                waiting = list(traders)
                while waiting:
                    self.look()
                    with contextlib.suppress(AssertionError):  # not done yet: look again meanwhile
                        answers.append(waiting[0].hear(wait_s_max=0.3))
                        waiting.pop(0)
                self.look()
        return answers

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as connection:
            return connection.execute(query, values).fetchall()

    def close(self) -> None:
        self.broker.close()
        self.guard.close()


def reserved(market: Market) -> int:
    """Return what the permits hold or have filled: what the limit is about, recomputed from the rows."""
    return int(
        market.rows(
            "SELECT coalesce(sum(CASE WHEN state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN', 'FILLED') THEN quantity "
            "ELSE filled_quantity END), 0) FROM permits"
        )[0][0]
    )


def bought(market: Market) -> int:
    """Return what the broker has: traded, or still working."""
    orders = market.broker.orders()
    return sum(order.quantity if order.is_live else order.filled for order in orders)


def most_in_a_window(at_us: list[int], window_us: int) -> int:
    """Return the largest number of times inside any (t − window, t]."""
    at_us = sorted(at_us)
    first = most = 0
    for place, at in enumerate(at_us):
        while at_us[first] <= at - window_us:
            first += 1
        most = max(most, place - first + 1)
    return most


def test_a_net_position_is_filled_exactly_and_never_passed(tmp_path: Path) -> None:
    """
    8 processes × 500 orders of one unit against a ceiling of 300, the broker's list lagging 4 s.

    Part is bought first, so that the rest is decided while fills are known that the list does not show.
    """
    text = rulebook(net_position=f'check = "net_position"\nposition_max = "{POSITION_MAX}"\nunit = "units"')
    market = Market(tmp_path, text)
    try:
        answers = market.trade([20, ORDERS - 20])
        placed = sum(answer["placed"] for answer in answers)
        refused = sum(sum(answer["codes"].values()) for answer in answers)

        assert (placed, reserved(market), bought(market)) == (POSITION_MAX,) * 3
        assert placed + refused == PROCESSES * ORDERS
        assert {code for answer in answers for code in answer["codes"]} == {"NET_POSITION_ABOVE_LIMIT"}
        with market.guard.store.session() as session:
            assert journal.verify(session, ACCOUNT)[1] is None
        assert market.rows("PRAGMA quick_check") == [("ok",)]
    finally:
        market.close()


def test_a_message_rate_is_used_up_and_never_passed(tmp_path: Path) -> None:
    """60 messages in any two seconds, five of them kept for exits: 55 in the fullest window, in no window more."""
    text = rulebook(
        order_rate=(
            f'check = "order_rate"\nwindows = [{{ messages_max = {MESSAGES}, reserve = {RESERVE}, '
            f"per_s = {WINDOW_US // 1_000_000} }}]"
        )
    )
    market = Market(tmp_path, text)
    try:
        answers = market.trade([ORDERS])
        sent = [row[0] for row in market.rows("SELECT at_us FROM order_messages WHERE kind = 'NEW'")]

        assert most_in_a_window(sent, WINDOW_US) == MESSAGES - RESERVE
        assert len(sent) == sum(answer["placed"] for answer in answers) == len(market.broker.orders())
        assert {code for answer in answers for code in answer["codes"]} == {"ORDER_RATE_ABOVE_LIMIT"}
        with market.guard.store.session() as session:
            assert journal.verify(session, ACCOUNT)[1] is None
    finally:
        market.close()


def test_the_window_oracle_counts_as_the_limit_does() -> None:
    """On the edge a message has left the window; a moment earlier it is still inside."""
    assert most_in_a_window([0, WINDOW_US], WINDOW_US) == 1
    assert most_in_a_window([0, WINDOW_US - 1], WINDOW_US) == 2
    assert most_in_a_window([5, 5, 5], WINDOW_US) == 3
    assert most_in_a_window([], WINDOW_US) == 0


def test_without_the_write_lock_the_limit_is_passed(tmp_path: Path) -> None:
    """
    The control: the same processes without `BEGIN IMMEDIATE`, so that check and reserve are not one transaction.

    The oracle must see more reserved than the limit allows; otherwise the test above shows nothing.
    """
    text = rulebook(net_position=f'check = "net_position"\nposition_max = "{POSITION_MAX}"\nunit = "units"')
    market = Market(tmp_path, text)
    try:
        for _ in range(5):
            with acting(PROCESSES, "trader", market.url, deadline_ms=100, without="BEGIN IMMEDIATE") as traders:
                for trader in traders:
                    trader.tell(orders=times(150, 150))
                for trader in traders:
                    trader.hear(wait_s_max=120)
            if reserved(market) > POSITION_MAX:
                break
        assert reserved(market) > POSITION_MAX
    finally:
        market.close()


@pytest.mark.soak
def test_the_limit_holds_while_processes_die(tmp_path: Path) -> None:
    """Traders are killed in the middle of their work, others go on: what they reserved stays reserved."""
    text = rulebook(net_position=f'check = "net_position"\nposition_max = "{POSITION_MAX}"\nunit = "units"')
    market = Market(tmp_path, text)
    try:
        for _ in range(20):
            with acting(PROCESSES, "trader", market.url, deadline_ms=10_000) as traders:
                for trader in traders:
                    trader.tell(orders=20)
                market.look()  # and with the end of the block all of them are killed
            assert reserved(market) <= POSITION_MAX and bought(market) <= POSITION_MAX
        assert max(reserved(market), bought(market)) > POSITION_MAX // 2
    finally:
        market.close()
