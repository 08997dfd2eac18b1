"""
The stream and its understudy against real servers on this machine: subscriptions, loss, silence, refusal, and what leaks.

Nothing is timed to the millisecond: each test waits for what it is about, as long as it takes.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from riskguard.clock import SystemClock
from riskguard.core.money import to_e4
from riskguard.errors import SettingsError, TokenMissingError
from riskguard.feeds.market.access import Access, checked_url, stream_url
from riskguard.feeds.market.backoff import Backoff
from riskguard.feeds.market.book import MarketBook
from riskguard.feeds.market.feed import MarketFeed
from riskguard.feeds.market.reader import QuoteReader
from riskguard.feeds.market.stream import MarketStream, Timing
from tests.feeds.market_server import (
    CLIENT,
    TOKEN,
    QuoteServer,
    StreamServer,
    disconnection,
    full,
    previous_close,
    running,
    ticker,
)

SHARE, FUTURE, INDEX = ("NSE_EQ", "1333"), ("NSE_FNO", "49081"), ("IDX_I", "13")
QUICK = Timing(open_s=10, ping_s=0.5, pong_s=2.0, turn_s=0.05, asleep_s=20.0, refused_s=0.2, first_s=0.02, most_s=0.2)
"""A dead line is noticed within seconds, and a busy machine is not taken for a sleeping one."""


def access() -> Access:
    return Access(CLIENT, TOKEN)


def eventually(done: Callable[[], object], wait_s_max: float = 30.0) -> None:
    end = time.monotonic() + wait_s_max
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@contextlib.contextmanager
def listening(server: StreamServer, *keys: tuple[str, str], timing: Timing = QUICK, clock: SystemClock | None = None,
              ask: Callable[[], Access] = access) -> Iterator[MarketStream]:  # fmt: skip
    stream = MarketStream(MarketBook(), ask, clock or SystemClock(), url=server.url, timing=timing)
    stream.watch(keys)
    stream.start()
    try:
        yield stream
    finally:
        stream.stop()


@pytest.fixture
def servers() -> Iterator[tuple[StreamServer, QuoteServer]]:
    with running() as both:
        yield both


def price(stream: MarketStream | MarketFeed, key: tuple[str, str]) -> int | None:
    quote = (stream.book if isinstance(stream, MarketStream) else stream).quote(*key)
    return None if quote is None else quote.ltp_e4


# -- the stream ---------------------------------------------------------------------------------------------------------


def test_a_price_arrives_with_its_book_and_its_time(servers: tuple[StreamServer, QuoteServer]) -> None:
    """Subscribed by kind, read, and true when it was received; the last trade keeps its own time."""
    server, _ = servers
    with listening(server, SHARE, FUTURE, INDEX) as stream:
        eventually(lambda: server.all_wanted() == {SHARE, FUTURE, INDEX})
        assert server.wanted == {15: {INDEX}, 21: {SHARE, FUTURE}}
        now_s = time.time()
        server.send(
            full(*SHARE, 1650.05, 1650.0, 1650.1, now_s), previous_close(*INDEX, 24500), ticker(*INDEX, 24567.35, now_s)
        )
        eventually(lambda: price(stream, SHARE) and price(stream, INDEX))

        quote = stream.book.quote(*SHARE)
        assert quote is not None
        assert (quote.ltp_e4, quote.bid_e4, quote.ask_e4) == (to_e4("1650.05"), to_e4("1650"), to_e4("1650.1"))
        assert quote.ltp_at_us == int(now_s) * 1_000_000
        assert abs(quote.at_us - now_s * 1_000_000) < 60_000_000
        assert stream.book.quote(*FUTURE) is None
    eventually(lambda: server.left_politely == 1)
    assert server.queries[0] == {"version": ["2"], "token": [TOKEN], "clientId": [CLIENT], "authType": ["2"]}


def test_subscriptions_follow_what_is_watched(servers: tuple[StreamServer, QuoteServer]) -> None:
    """Added, taken back, and in batches of a hundred; what was taken back is not taken any more."""
    server, _ = servers
    many = {("NSE_FNO", str(40_000 + n)) for n in range(250)}
    with listening(server, SHARE) as stream:
        eventually(lambda: server.all_wanted() == {SHARE})
        stream.watch({SHARE, INDEX, *many})
        eventually(lambda: server.all_wanted() == {SHARE, INDEX, *many})
        assert sorted(server.batches) == [1, 1, 50, 100, 100]
        stream.watch({INDEX})
        eventually(lambda: server.all_wanted() == {INDEX})
        now_s = time.time()
        server.send(full(*SHARE, 1, 1, 1, now_s), ticker(*INDEX, 10, now_s), ticker(*INDEX, 10.05, now_s))
        eventually(lambda: price(stream, INDEX))
        assert price(stream, SHARE) is None


def test_a_torn_line_comes_back_with_its_subscriptions(servers: tuple[StreamServer, QuoteServer]) -> None:
    """Cut without a word, gone for a while, and back on the same port: watched again, and prices go on."""
    server, _ = servers
    with listening(server, SHARE) as stream:
        eventually(lambda: server.all_wanted() == {SHARE})
        server.send(full(*SHARE, 100, 99.9, 100.1, time.time()))
        eventually(lambda: price(stream, SHARE) == to_e4("100"))
        server.tear()
        eventually(lambda: server.connections == 2 and server.all_wanted() == {SHARE})
        server.stop()
        eventually(lambda: not stream.is_connected and stream.problem)
        assert price(stream, SHARE) == to_e4("100")  # old, and the reader sees how old
        server.start()
        eventually(lambda: server.connections == 3 and server.all_wanted() == {SHARE})
        server.send(full(*SHARE, 101, 100.9, 101.1, time.time()))
        eventually(lambda: price(stream, SHARE) == to_e4("101"))
        assert stream.connections == 3


def test_a_line_that_is_silent_and_answers_no_ping_is_dead() -> None:
    """A server that accepts and then hangs, as a lost route does: noticed by the ping, not by the next price."""
    import socket

    hung = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []

    def shake_hands() -> None:
        from websockets.server import ServerProtocol

        while True:
            try:
                line, _ = hung.accept()
            except OSError:
                return
            protocol = ServerProtocol()
            protocol.receive_data(line.recv(65_536))
            (request,) = protocol.events_received()
            protocol.send_response(protocol.accept(request))  # type: ignore[arg-type]
            for data in protocol.data_to_send():
                line.sendall(data)
            opened.append(line)  # and never a word again

    threading.Thread(target=shake_hands, daemon=True).start()
    stream = MarketStream(
        MarketBook(), access, SystemClock(), url=f"ws://127.0.0.1:{hung.getsockname()[1]}", timing=QUICK
    )
    stream.watch([SHARE])
    stream.start()
    try:
        eventually(lambda: len(opened) >= 2)
    finally:
        hung.close()
        for line in opened:
            line.close()
        stream.stop()


REFUSALS = [
    (805, "too many connections"),
    (806, "data plan"),
    (807, "expired"),
    (808, "client id"),
    (809, "refused"),
    (899, "disconnected"),
]


@pytest.mark.parametrize(("code", "said"), REFUSALS)
def test_a_refusal_is_told_and_waited_out(servers: tuple[StreamServer, QuoteServer], code: int, said: str) -> None:
    """The disconnection packet names its reason; the next attempt asks for the token anew."""
    server, _ = servers
    server.greeting = [disconnection(code)]
    tokens = iter(["first-token-of-the-day", TOKEN, *[TOKEN] * 1000])
    with listening(server, SHARE, ask=lambda: Access(CLIENT, next(tokens))) as stream:
        eventually(lambda: said in stream.problem and str(code) in stream.problem)
        server.greeting = []
        eventually(lambda: server.connections >= 2 and not stream.problem and server.all_wanted() == {SHARE})
    assert server.queries[0]["token"] != server.queries[-1]["token"] == [TOKEN]


def test_without_a_token_it_waits_and_goes_on_once_there_is_one(servers: tuple[StreamServer, QuoteServer]) -> None:
    """A missing token is a problem told, not the end of the thread."""
    server, _ = servers
    there = threading.Event()

    def ask() -> Access:
        if not there.is_set():
            raise TokenMissingError("leader")
        return access()

    with listening(server, SHARE, ask=ask) as stream:
        eventually(lambda: "riskguard token set leader" in stream.problem)
        assert server.connections == 0
        there.set()
        eventually(lambda: server.all_wanted() == {SHARE})


class Sleeper(SystemClock):
    """A clock whose waiting time can be made to jump, as it does for a process that was stopped."""

    def __init__(self) -> None:
        self.slept_us = 0

    def elapsed_us(self) -> int:
        return super().elapsed_us() + self.slept_us


def test_a_process_that_stood_still_takes_nothing_from_its_buffer(servers: tuple[StreamServer, QuoteServer]) -> None:
    """Stopped for a minute, what it wakes up with is a minute old: the line is closed before a price of it counts."""
    server, _ = servers
    clock = Sleeper()
    real = clock.elapsed_us
    with listening(server, SHARE, clock=clock, timing=replace(QUICK, asleep_s=20.0)) as stream:
        eventually(lambda: server.all_wanted() == {SHARE})
        server.send(full(*SHARE, 100, 99.9, 100.1, time.time()))
        eventually(lambda: price(stream, SHARE))
        assert real() > 0
        clock.slept_us += 60_000_000
        eventually(lambda: server.connections == 2 and server.all_wanted() == {SHARE})
        server.send(full(*SHARE, 101, 100.9, 101.1, time.time()))
        eventually(lambda: price(stream, SHARE) == to_e4("101"))


def test_nonsense_on_the_wire_is_counted_and_survived(servers: tuple[StreamServer, QuoteServer]) -> None:
    """Cut packets, unknown codes, text, wild and zero prices, stamps of 1970: the next good one counts."""
    server, _ = servers
    with listening(server, SHARE) as stream:
        eventually(lambda: server.all_wanted() == {SHARE})
        now_s = time.time()
        server.send(full(*SHARE, 100, 99.9, 100.1, now_s))
        eventually(lambda: price(stream, SHARE))
        server.send(b"\x02\x03")
        server.send(
            full(*SHARE, float("nan"), 0, 0, now_s), full(*SHARE, 0, 0, 0, now_s), full(*SHARE, -5, -6, -4, now_s)
        )
        server.send(full(*SHARE, 10, 9.9, 10.1, now_s), ticker(*SHARE, 1900, -19_800))
        server.send(full(*SHARE, 100.5, 100.4, 100.6, now_s))
        eventually(lambda: price(stream, SHARE) == to_e4("100.5"))
        kept_out = stream.book.kept_out
        assert (kept_out["MALFORMED"], kept_out["NO_PRICE"], kept_out["WILD"], kept_out["OLD_DAY"]) == (1, 3, 1, 1)
        assert server.connections == 1


def test_no_token_leaves_in_words(servers: tuple[StreamServer, QuoteServer], caplog: pytest.LogCaptureFixture) -> None:
    """The address holds it: whatever fails, and however loudly the library logs, nobody reads it."""
    server, _ = servers
    caplog.set_level(logging.DEBUG)
    secret = "a-token-of-no-known-shape-0815"
    with listening(server, SHARE, ask=lambda: Access(CLIENT, secret)) as stream:
        eventually(lambda: server.all_wanted() == {SHARE})
        server.stop()
        eventually(lambda: stream.problem)
        said = stream.problem
    assert server.queries[0]["token"] == [secret]  # it did go to the server
    assert secret not in caplog.text + said + repr(Access(CLIENT, secret)) + repr(stream)


URLS = [
    ("wss://api-feed.dhan.co", True),
    ("wss://api-feed.dhan.co/", True),
    ("https://api.dhan.co/v2", True),
    ("ws://127.0.0.1:9", True),
    ("http://localhost:9/v2", True),
    ("ws://api-feed.dhan.co", False),
    ("http://api.dhan.co/v2", False),
    ("wss://dhan.example", False),
    ("wss://api-feed.dhan.co.example", False),
    ("wss://user:x@api-feed.dhan.co", False),
    ("https://api.dhan.co/v2?a=b", False),
    ("file:///etc", False),
    ("", False),
]


@pytest.mark.parametrize(("url", "fine"), URLS)
def test_a_token_goes_to_dhan_or_to_this_machine(url: str, fine: bool) -> None:
    """Another host, a plain line to Dhan, a user in the address: refused before anything is opened."""
    if fine:
        assert not checked_url(url).endswith("/")
    else:
        with pytest.raises(SettingsError):
            checked_url(url)


def test_the_address_is_escaped() -> None:
    """A client id or token with odd characters cannot add a parameter."""
    url = stream_url("wss://api-feed.dhan.co", Access("1&x=2", "t/#?"))
    assert re.fullmatch(r"wss://api-feed\.dhan\.co/\?version=2&token=t%2F%23%3F&clientId=1%26x%3D2&authType=2", url)


def test_attempts_come_apart() -> None:
    """Twice as long each time up to the bound, half of it by chance, and from the beginning after a success."""
    backoff = Backoff(0.5, 30.0, rng=random.Random(7))
    waits = [backoff.next_s() for _ in range(100)]
    for number, wait_s in enumerate(waits):
        step_s = min(30.0, 0.5 * 2**number)
        assert step_s / 2 <= wait_s <= step_s
    assert len(set(waits[10:])) > 50
    backoff.reset()
    assert backoff.next_s() <= 0.5


# -- the understudy -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def feeding(server: StreamServer, quotes: QuoteServer, *keys: tuple[str, str], is_open: Callable[[str], bool] = lambda _: True,
            silent_us: int = 1_000_000) -> Iterator[MarketFeed]:  # fmt: skip
    stream = MarketStream(MarketBook(), access, SystemClock(), url=server.url, timing=QUICK)
    reader = QuoteReader(access, SystemClock(), url=quotes.url, timeout_s=20)
    feed = MarketFeed(stream, reader, is_open=is_open, gap_s=0.05, silent_us=silent_us)
    feed.watch(keys)
    feed.start()
    try:
        yield feed
    finally:
        feed.stop()


def test_while_the_stream_is_down_prices_are_asked_for(servers: tuple[StreamServer, QuoteServer]) -> None:
    """Down from the start, up, and down again: the understudy speaks while it must and is silent while it need not."""
    server, quotes = servers
    server.stop()
    quotes.show(SHARE, 100.0, 99.9, 100.1)
    with feeding(server, quotes, SHARE, INDEX) as feed:
        eventually(lambda: price(feed, SHARE) == to_e4("100"))
        assert feed.health().is_asking and not feed.health().is_streaming
        assert quotes.asked[0] == {"IDX_I": [13], "NSE_EQ": [1333]}
        assert quotes.headers[0]["access-token"] == TOKEN and quotes.headers[0]["client-id"] == CLIENT

        server.start()
        eventually(lambda: server.all_wanted() == {SHARE, INDEX})
        speaking = threading.Event()

        def speak() -> None:
            while not speaking.wait(0.05):
                server.send(full(*SHARE, 101, 100.9, 101.1, time.time()))

        thread = threading.Thread(target=speak)
        thread.start()
        eventually(lambda: price(feed, SHARE) == to_e4("101") and not feed.health().is_asking)
        assert feed.health().is_streaming
        speaking.set()
        thread.join()
        eventually(lambda: feed.health().is_asking)  # connected and silent is not enough
        quotes.show(SHARE, 102.0, 101.9, 102.1)
        eventually(lambda: price(feed, SHARE) == to_e4("102"))


def test_outside_the_session_it_asks_seldom(servers: tuple[StreamServer, QuoteServer]) -> None:
    """A night of one call a second is of no use to anybody: after the first answer it waits half a minute."""
    server, quotes = servers
    server.stop()
    quotes.show(SHARE, 100.0, 99.9, 100.1)
    with feeding(server, quotes, SHARE, is_open=lambda _: False) as feed:
        eventually(lambda: price(feed, SHARE))
        asked = len(quotes.asked)
        time.sleep(0.5)  # ten gaps; to find nothing, one has to wait
        assert len(quotes.asked) == asked == 1


def test_a_refused_understudy_backs_off_and_tells_why(servers: tuple[StreamServer, QuoteServer]) -> None:
    """No data plan: said once, waited out, and prices come once there is one."""
    server, quotes = servers
    server.stop()
    quotes.instead = (200, b'{"errorCode": 806, "errorMessage": "Data APIs not subscribed"}')
    with feeding(server, quotes, SHARE) as feed:
        eventually(lambda: len(quotes.asked) >= 3)
        assert price(feed, SHARE) is None
        assert "806" in feed._problem
        quotes.instead = None
        quotes.show(SHARE, 100.0, 99.9, 100.1)
        eventually(lambda: price(feed, SHARE))


def test_more_than_a_call_takes_are_asked_for_in_turns(servers: tuple[StreamServer, QuoteServer]) -> None:
    """A thousand at a time, until all had theirs."""
    server, quotes = servers
    server.stop()
    keys = {("NSE_FNO", str(40_000 + n)) for n in range(2_300)}
    with feeding(server, quotes, *keys):
        eventually(lambda: len(quotes.asked) >= 4)
    sizes = [sum(map(len, each.values())) for each in quotes.asked]
    assert sizes[:4] == [1_000, 1_000, 300, 1_000]


def test_what_is_not_watched_any_more_is_forgotten(servers: tuple[StreamServer, QuoteServer]) -> None:
    """A year of expiries must not stay in memory; what is still watched keeps its price."""
    server, quotes = servers
    with feeding(server, quotes, SHARE, FUTURE, silent_us=10**12) as feed:
        eventually(lambda: server.all_wanted() == {SHARE, FUTURE})
        now_s = time.time()
        server.send(full(*SHARE, 100, 99.9, 100.1, now_s), full(*FUTURE, 200, 199.9, 200.1, now_s))
        eventually(lambda: price(feed, SHARE) and price(feed, FUTURE))
        feed.watch([SHARE])
        assert price(feed, FUTURE) is None and price(feed, SHARE) == to_e4("100")
        assert set(feed.book.changes()) == {SHARE}
        assert feed.book.changes() == {}
        feed.book.changed_again({SHARE})
        assert set(feed.book.changes()) == {SHARE}
