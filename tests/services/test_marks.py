"""
Live prices on a real desk: what is watched and shared, and that nonsense and a minute without prices flatten nothing.

The stream is a real server on this machine; database, market and sweeps are the desk's. Only its clock is told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from riskguard.core.quote import Quote
from riskguard.core.state import TradingState
from riskguard.core.ticks import Tick
from riskguard.errors import SettingsError
from riskguard.feeds.market.access import Access
from riskguard.feeds.market.book import Key, MarketBook
from riskguard.feeds.market.feed import MarketFeed
from riskguard.feeds.market.stream import MarketStream, Timing
from riskguard.feeds.market.watching import watch_list
from riskguard.services.marks import Kind, LiveMarks, live_marks, share, started, trades_on
from riskguard.services.settings import DatabaseSettings
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.tokens import set_token
from riskguard.store import books
from riskguard.store.database import Database
from riskguard.store.secrets import keys as secret_keys
from tests.core.test_calendar import at
from tests.feeds.market_server import CLIENT, TOKEN, QuoteServer, StreamServer, full, running
from tests.services.desk import ACCOUNT, CALL, FUTURE, SECOND, SHARE, Desk, e4, eventually
from tests.store.secret_desk import jwt

QUICK = Timing(ping_s=2.0, pong_s=10.0, turn_s=0.05, asleep_s=60.0, refused_s=0.2, first_s=0.02, most_s=0.2)


@dataclass
class Watched:
    """A desk with live prices from a server, turned by the test."""

    desk: Desk
    server: StreamServer
    live: LiveMarks
    sweeper: Sweeper

    def turn(self) -> None:
        """Let two seconds of waiting pass, so that everything is looked at again."""
        self.desk.clock.skipped_us += 2 * SECOND
        self.live.turn()

    def show(self, price: float, spread: float = 0.1, traded_s: float = 0.0) -> None:
        """Send one full packet of the share, traded now, and wait until it was heard and dealt with."""
        book = self.live.feed.book
        now_us = self.desk.clock.now_us()
        before = sum(book.kept_out.values()), book.quote(*SHARE.key)
        self.server.send(full(*SHARE.key, price, price - spread, price + spread, now_us / SECOND + traded_s))
        eventually(lambda: (sum(book.kept_out.values()), book.quote(*SHARE.key)) != before)
        self.turn()

    def sweep(self, after_s: float = 2.0) -> None:
        self.desk.clock.advance(after_s)
        self.sweeper.sweep(now=True)

    @property
    def state(self) -> TradingState:
        return self.desk.guard.state(ACCOUNT).state

    @property
    def kills(self) -> int:
        return int(self.desk.one("SELECT count(*) FROM kill_runs"))


@pytest.fixture
def server() -> Iterator[tuple[StreamServer, QuoteServer]]:
    with running() as both:
        yield both


@pytest.fixture
def watched(desk: Desk, server: tuple[StreamServer, QuoteServer]) -> Iterator[Watched]:
    """Prices of the desk's clock; ten shares are bought at ₹1,000 under a loss limit of ₹5,000."""
    kinds: dict[Key, Kind] = {}
    book = MarketBook(lambda key: key in kinds and kinds[key].is_option)
    stream = MarketStream(book, lambda: Access(CLIENT, TOKEN), desk.clock, url=server[0].url, timing=QUICK)
    live = LiveMarks(desk.guard, MarketFeed(stream), kinds=kinds)
    made = Watched(desk, server[0], live, Sweeper(desk.guard, ACCOUNT, desk.broker, alerts=desk.alerts, marks=live))
    live.feed.start()
    yield made
    live.feed.stop()


def setting(desk: Desk, name: str, value: str) -> None:
    """Write one of the database's settings, as a person with SQL would."""
    desk.configure(name, value)


def holding(watched: Watched) -> Watched:
    watched.desk.hold(10, "1000")
    watched.turn()
    eventually(lambda: SHARE.key in watched.server.all_wanted())
    watched.show(1000.0)
    watched.sweep()
    return watched


# -- what is watched ------------------------------------------------------------------------------------------------------


def test_positions_orders_and_the_list_are_watched_and_nothing_else(watched: Watched) -> None:
    """Come and gone: a permit, a position, its exit, an order at the broker, and the setting's own instruments."""
    desk, server = watched.desk, watched.server
    watched.turn()
    assert server.all_wanted() == set()

    assert desk.guard.check(desk.order("BUY", 1)).approved  # a permit alone: it may be sent any moment
    watched.turn()
    eventually(lambda: server.all_wanted() == {SHARE.key})
    setting(desk, "watch_list", "IDX_I:13, NSE_EQ:11536")
    watched.turn()
    eventually(lambda: server.all_wanted() == {SHARE.key, ("IDX_I", "13"), ("NSE_EQ", "11536")})
    desk.hold(25, "20000", FUTURE)
    watched.turn()
    eventually(lambda: FUTURE.key in server.all_wanted())
    desk.sql("DELETE FROM config WHERE key = 'riskguard.watch_list'")
    desk.quote("20000", FUTURE)
    desk.place(desk.order_of(FUTURE, "SELL", 25, "20000"))
    desk.sweep()
    desk.sweep(11)  # the permit of the share has expired, and the list is flat
    watched.turn()
    eventually(lambda: server.all_wanted() == set())


def test_options_are_known_as_such_and_their_underlying_is_watched(watched: Watched) -> None:
    """A premium may move further than a share; what it hangs on prices the whole of its exposure."""
    desk = watched.desk
    desk.sql(
        "INSERT INTO instruments (security_id, exchange_segment, symbol, name, instrument_type, lot_size, tick_size, "
        "updated_at) VALUES ('13', 'IDX_I', 'NIFTY', 'NIFTY', 'INDEX', 1, 0.05, 0)"
    )
    desk.hold(25, "100", CALL)
    watched.turn()

    eventually(lambda: {CALL.key, ("IDX_I", "13")} <= watched.server.all_wanted())
    assert watched.live.feed.book.is_option(CALL.key)
    assert not watched.live.feed.book.is_option(("IDX_I", "13"))


LISTS = [
    ("", set()),
    ("NSE_EQ:1333", {("NSE_EQ", "1333")}),
    (" IDX_I:13 ,NSE_EQ:1333,", {("IDX_I", "13"), ("NSE_EQ", "1333")}),
    ("NSE:1333", None),
    ("NSE_EQ", None),
    ("NSE_EQ:INFY", None),
    ("NSE_EQ:12345678901", None),
    ("NSE_EQ 1333", None),
    ("NSE_EQ:१३", None),
]


@pytest.mark.parametrize(("text", "keys"), LISTS)
def test_a_mistyped_watch_list_is_an_error_at_start_up(text: str, keys: set[Key] | None) -> None:
    """An instrument that is silently never watched would be missed the day it is needed."""
    if keys is None:
        with pytest.raises(SettingsError):
            watch_list(text)
        with pytest.raises(ValueError, match="watch list"):
            DatabaseSettings(watch_list=text)
    else:
        assert watch_list(text) == keys
        assert DatabaseSettings(watch_list=text).watch_list == text.strip()


# -- what is shared -------------------------------------------------------------------------------------------------------


def test_a_price_is_shared_with_every_process(watched: Watched) -> None:
    """The row has the book, the time it was true and the last trade's; another guard's check goes by it."""
    holding(watched)
    watched.desk.clock.advance(3)
    watched.show(1010.0, traded_s=-1.0)

    now_us = watched.desk.clock.now_us()
    assert watched.desk.rows(
        "SELECT ltp_e4, bid_e4, ask_e4, at_us, ltp_at_us, source FROM marks WHERE security_id = '1333'"
    ) == [(e4("1010"), e4("1009.9"), e4("1010.1"), now_us, now_us - SECOND, "feed")]
    other = watched.desk.another_guard()
    with other.store.session(durable=False) as session:
        found = other.newest_quote(session, SHARE.key)
    assert found is not None and found.ltp_e4 == e4("1010")


def test_a_newer_row_stands_and_one_of_the_future_goes(desk: Desk) -> None:
    """What a strategy pushed later is better; what a wrong clock stamped would hide every price for an hour."""
    now_us = desk.clock.now_us()
    older, newer = Quote(e4("100"), None, None, now_us - SECOND), Quote(e4("101"), None, None, now_us)
    future = Quote(e4("99"), None, None, now_us + 3600 * SECOND)
    with desk.store.session(durable=False) as session:
        assert share(session, SHARE.key, newer, now_us)
        assert not share(session, SHARE.key, older, now_us)
        assert not share(session, SHARE.key, newer, now_us)
        books.save_mark(session, SHARE.key, future, "pushed")
        assert share(session, SHARE.key, newer, now_us)
        found = books.mark(session, SHARE.key)
    assert found is not None and found.ltp_e4 == e4("101")


COUNTED = {
    "sqlite": (
        "CREATE TRIGGER count_new AFTER INSERT ON marks BEGIN INSERT INTO writes VALUES (1); END",
        "CREATE TRIGGER count_old AFTER UPDATE ON marks BEGIN INSERT INTO writes VALUES (1); END",
    ),
    "postgresql": (
        "CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO writes VALUES (1); RETURN NULL; END'",
        "CREATE TRIGGER count_both AFTER INSERT OR UPDATE ON marks FOR EACH ROW EXECUTE FUNCTION counted()",
    ),
}
"""Each row of a price that is written leaves one of `writes`."""


def test_a_row_is_written_once_a_turn_however_many_ticks_come(watched: Watched) -> None:
    """Two hundred packets between two turns are one row, the last of them."""
    holding(watched)
    book, now_s = watched.live.feed.book, watched.desk.clock.now_us() / SECOND
    watched.desk.sql("CREATE TABLE writes (n INTEGER)")
    for statement in COUNTED[watched.desk.store.dialect]:
        watched.desk.sql(statement)
    watched.server.send(*(full(*SHARE.key, 1000 + n / 20, 999 + n / 20, 1001 + n / 20, now_s) for n in range(1, 201)))
    eventually(lambda: (found := book.quote(*SHARE.key)) is not None and found.ltp_e4 == e4("1010"))
    watched.live.turn()
    watched.live.turn()

    assert watched.desk.one("SELECT count(*) FROM writes") == 1
    assert watched.desk.one("SELECT ltp_e4 FROM marks WHERE security_id = '1333'") == e4("1010")


def test_what_could_not_be_written_is_written_at_the_next_turn(watched: Watched) -> None:
    """A locked database is a warning; the newest price is not lost over it."""
    holding(watched)
    book, now_s = watched.live.feed.book, watched.desk.clock.now_us() / SECOND
    with watched.desk.unwritable():
        watched.server.send(full(*SHARE.key, 1005, 1004.9, 1005.1, now_s))
        eventually(lambda: (found := book.quote(*SHARE.key)) is not None and found.ltp_e4 == e4("1005"))
        watched.live.turn()
        assert watched.desk.one("SELECT ltp_e4 FROM marks WHERE security_id = '1333'") == e4("1000")
    watched.live.turn()
    assert watched.desk.one("SELECT ltp_e4 FROM marks WHERE security_id = '1333'") == e4("1005")


# -- what nonsense does ---------------------------------------------------------------------------------------------------

SLIPS = [100.0, 10.0, 0.05, 10_000.0, 500_000.0]


@pytest.mark.parametrize("slip", SLIPS)
def test_one_bad_tick_flattens_nothing(watched: Watched, slip: float) -> None:
    """A price from nowhere, book and all, held against the account by every sweep until the next good one: nothing happens."""
    holding(watched)
    watched.show(slip)
    for _ in range(3):
        watched.sweep(1.0)
        assert watched.state is TradingState.ACTIVE
    watched.show(1001.0)
    watched.sweep()

    assert watched.kills == 0 and watched.state is TradingState.ACTIVE
    assert watched.live.feed.book.kept_out["WILD"] == 1


def test_the_same_tick_past_the_rules_does_kill(watched: Watched) -> None:
    """The negative control: pushed as a quote, which somebody vouches for, one sweep of it is enough."""
    holding(watched)
    watched.desk.clock.advance(1)
    watched.desk.guard.quote(*SHARE.key, ltp="100")
    watched.sweep(0)

    assert watched.kills == 1 and watched.state is TradingState.HALTED


def test_a_crash_is_not_taken_for_a_bad_tick(watched: Watched) -> None:
    """The second packet that says so, a second later, counts: the account is killed within two sweeps."""
    holding(watched)
    watched.show(450.0)
    watched.desk.clock.advance(1)
    watched.show(449.0)
    watched.sweep(0)
    watched.desk.clock.advance(2)
    watched.show(448.0)
    watched.sweep(0)

    assert watched.kills == 1 and watched.state is TradingState.HALTED


def test_a_minute_without_prices_flattens_nothing(watched: Watched) -> None:
    """
    The account has lost ₹4,950 of 5,000 when the line goes: widened marks are past the limit, and let it reduce, no more.

    The negative control is the last step: with prices again, the same loss and a little more is a kill.
    """
    holding(watched)
    price = 1000.0
    while price > 505:  # down in steps the rules take at once
        price -= 40
        watched.desk.clock.advance(1)
        watched.show(max(price, 505.0))
    watched.sweep(0)
    watched.server.tear()
    for _ in range(30):
        watched.sweep()
        assert watched.state is TradingState.REDUCE_ONLY
    assert watched.kills == 0
    assert watched.desk.one("SELECT min(day_pnl_e4) FROM pnl_readings") <= -e4("5000")  # widened, and so no proof

    eventually(lambda: watched.live.feed.stream.is_connected and SHARE.key in watched.server.all_wanted())
    for price in (499.0, 498.9, 498.8):
        watched.desk.clock.advance(2)
        watched.show(price)
        watched.sweep(0)
    assert watched.kills == 1 and watched.state is TradingState.HALTED


CLOSED = [
    ("2026-12-05", False),  # a mock session, a Saturday
    ("2026-12-06", False),  # a Sunday
    ("2026-12-25", False),  # a holiday
    ("2026-12-04", True),
    ("2026-02-01", True),  # the Sunday of the budget
    ("2026-11-08", True),  # hours not known
    ("2027-01-02", True),  # nobody knows
]


@pytest.mark.parametrize(("day", "trades"), CLOSED)
def test_prices_of_a_mock_session_are_no_marks(day: str, trades: bool) -> None:
    """Exchanges send invented prices on days nothing trades: a carried position must not be flattened by them."""
    now_us = at(f"{day} 11:00")
    book = MarketBook(trades_on=trades_on)
    for key in (SHARE.key, ("IDX_I", "13")):
        assert book.take(key, Tick(e4("100"), e4("99.9"), e4("100.1"), now_us, now_us)) == trades
    assert book.kept_out["CLOSED"] == (0 if trades else 2)


# -- put together ---------------------------------------------------------------------------------------------------------

ASKED = [
    ("paper", "auto", False),
    ("library", "auto", False),
    ("dhan", "auto", True),
    ("library", "on", True),
    ("dhan", "off", False),
]


@pytest.mark.parametrize(("profile", "wanted", "there"), ASKED)
def test_the_settings_say_whether_there_are_live_prices(
    make_desk: Callable[..., Desk], profile: str, wanted: str, there: bool
) -> None:
    """With profile `dhan` unless it is switched off; without it only where somebody switched it on."""
    desk = make_desk()
    for name, value in (("profile", profile), ("market_feed", wanted)):
        setting(desk, name, value)
    made = live_marks(desk.guard)

    assert (made is not None) == there


def test_without_any_token_it_waits_and_says_so(
    make_desk: Callable[..., Desk], server: tuple[StreamServer, QuoteServer]
) -> None:
    """Started before a token was set: no connection, a problem told, and nothing broken."""
    desk = make_desk()
    for name, value in (("market_feed", "on"), ("market_feed_url", server[0].url)):
        setting(desk, name, value)
    made = live_marks(desk.guard)
    assert made is not None
    made.start()
    try:
        eventually(lambda: "token" in made.health().problem)
        assert not made.health().is_streaming and server[0].connections == 0
    finally:
        made.stop()


def test_a_daemon_does_not_end_over_missing_prices(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The package is not there: said loudly, and sweeps go on without; where nobody asked for prices nothing is said."""
    desk = make_desk()
    assert started(desk.guard) is None and not caplog.records
    setting(desk, "market_feed", "on")
    monkeypatch.setitem(sys.modules, "websockets.sync.client", None)

    assert started(desk.guard) is None
    assert "no live prices" in caplog.text and "riskguard[dhan]" in caplog.text


def test_from_a_stored_token_to_a_price_in_the_database(
    make_desk: Callable[..., Desk], server: tuple[StreamServer, QuoteServer]
) -> None:
    """As the daemon does it: settings, the first account's sealed token, the stream, its understudy, the shared row."""
    stream, quotes = server
    desk = make_desk()
    settings = {
        "market_feed": "on", "market_feed_url": stream.url, "dhan_base_url": quotes.url, "watch_list": "NSE_EQ:1333",
    }  # fmt: skip
    for name, value in settings.items():
        setting(desk, name, value)
    token = jwt(exp=desk.clock.now_us() // SECOND + 86_400, dhanClientId=CLIENT)
    secret_keys.create_file()
    with Database(desk.url, clock=desk.clock) as database:
        set_token(database, ACCOUNT, token)
    made = started(desk.guard)
    assert made is not None
    try:
        eventually(lambda: stream.all_wanted() == {SHARE.key})
        stream.send(full(*SHARE.key, 1000, 999.9, 1000.1, desk.clock.now_us() / SECOND))
        eventually(
            lambda: desk.rows("SELECT ltp_e4, source FROM marks WHERE security_id = '1333'") == [(e4("1000"), "feed")]
        )
        stream.stop()
        desk.clock.advance(2)
        quotes.show(SHARE.key, 1001.0, 1000.9, 1001.1)
        eventually(lambda: desk.rows("SELECT ltp_e4 FROM marks WHERE security_id = '1333'") == [(e4("1001"),)])
    finally:
        made.stop()
    assert stream.queries[0]["token"] == [token] and stream.queries[0]["clientId"] == [CLIENT]
    assert quotes.headers[0]["access-token"] == token
    desk.guard.close()
    counted = desk.rows("SELECT account_type, endpoint, sum(request_count) FROM rate_limit_tracking GROUP BY 1, 2")
    assert counted == [(ACCOUNT, "quotes", len(quotes.asked))]
