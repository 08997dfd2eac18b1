"""Goal: the stream stays up, says when it may have missed something, and never shows its token."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from riskguard.clock import SystemClock
from riskguard.core.news import FeedHealth
from riskguard.errors import TokenMissingError
from riskguard.feeds.order_updates import Login, OrderUpdates, Timing
from tests.feeds.messages import alert
from tests.feeds.stream_server import PATIENCE_S, TOKEN, StreamServer, until

QUICK = Timing(
    open_s=5.0, ping_every_s=0.05, silent_s_max=20.0, look_every_s=0.02, token_every_s=0.05, back_off_s=0.02,
    back_off_s_max=0.1, stable_s=0.5,
)  # fmt: skip


class Heard:
    """Keeps what the stream tells."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.gaps: list[str] = []
        self.messages: list[str] = []

    def state(self, status: str) -> None:
        if status != "HEARD" or self.states[-1:] != ["HEARD"]:
            self.states.append(status)

    def gap(self, reason: str) -> None:
        self.gaps.append(reason)

    def message(self, body: str, client_id: str) -> bool:
        assert client_id == "1100099001"
        self.messages.append(body)
        return True


@pytest.fixture
def server() -> Iterator[StreamServer]:
    made = StreamServer()
    yield made
    made.close()


Start = Callable[..., tuple[OrderUpdates, Heard]]


@pytest.fixture
def start(server: StreamServer) -> Iterator[Start]:
    made: list[OrderUpdates] = []

    def begin(login: Callable[[], Login] | None = None, **how: Any) -> tuple[OrderUpdates, Heard]:
        heard = Heard()
        given = {"url": server.url, "timing": QUICK, "seed": 7, **how}
        updates = OrderUpdates(
            "leader", login or (lambda: Login("1100099001", SecretStr(TOKEN), 1)), heard, SystemClock(), **given
        )
        made.append(updates)
        updates.start()
        return updates, heard

    yield begin
    for each in made:
        assert each.stop(PATIENCE_S)


def test_it_logs_in_and_hears(server: StreamServer, start: Start) -> None:
    """The documented login; every message whole, in its order, text or bytes; and a first gap: the past is not told."""
    updates, heard = start()
    until(lambda: server.lines)
    server.say(alert(), alert(orderNo="2"), alert(orderNo="3").encode())
    until(lambda: len(heard.messages) == 3)

    assert server.logins == [
        {"LoginReq": {"MsgCode": 42, "ClientId": "1100099001", "Token": TOKEN}, "UserType": "SELF"}
    ]
    assert heard.messages == [alert(), alert(orderNo="2"), alert(orderNo="3")]
    assert heard.gaps == ["the order updates were connected: nothing is told of what was before"]
    assert heard.states[:2] == ["CONNECTING", "CONNECTED"] and updates.health().is_connected
    assert updates.stop(PATIENCE_S) and heard.states[-1] == "DISCONNECTED" and not updates.is_alive()


def test_it_connects_again_and_says_what_may_be_missing(server: StreamServer, start: Start) -> None:
    """Each loss is a gap, and each new connection one more."""
    updates, heard = start()
    for number in range(1, 4):
        until(lambda: len(server.lines) == number)  # noqa: B023
        until(lambda: heard.states.count("CONNECTED") == number)  # noqa: B023
        server.say(alert(orderNo=str(number)))
        until(lambda: len(heard.messages) == number)  # noqa: B023
        server.cut()
    until(lambda: len(server.lines) == 4)

    assert updates.health().reconnects == 3
    assert heard.gaps[1:3] == [
        "the order updates were interrupted", "the order updates were connected: nothing is told of what was before",
    ]  # fmt: skip


def test_a_quiet_line_is_heard_by_its_pings(server: StreamServer, start: Start) -> None:
    """No message is no fault: the answer to a ping is news enough, and it is told."""
    updates, heard = start()
    until(lambda: "HEARD" in heard.states)
    first = updates.health()
    until(lambda: (updates.health().heard_us or 0) > (first.heard_us or 0))

    assert updates.health().message_us is None and not updates.health().is_stale(SystemClock().now_us(), 60_000_000)


def test_a_line_that_answers_nothing_is_dead() -> None:
    """A half-open connection: the peer's machine is gone and no packet says so. It is left, and tried again."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        heard = Heard()
        mute = MutePeer(listener)
        updates = OrderUpdates(
            "leader", lambda: Login("1100099001", SecretStr(TOKEN), 1), heard, SystemClock(),
            url=f"ws://127.0.0.1:{listener.getsockname()[1]}", timing=replace(QUICK, silent_s_max=0.3),
        )  # fmt: skip
        updates.start()
        until(lambda: mute.greeted >= 2, "a second connection")
        assert updates.stop(PATIENCE_S)
        mute.stop()

    assert "DISCONNECTED" in heard.states and "the order updates were interrupted" in heard.gaps


class MutePeer:
    """Shakes hands as a WebSocket server, and then neither reads nor writes."""

    def __init__(self, listener: socket.socket) -> None:
        self.greeted = 0
        self._listener = listener
        self._held: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        import base64
        import hashlib

        while True:
            try:
                line, _ = self._listener.accept()
                head = b""
                while b"\r\n\r\n" not in head:
                    head += line.recv(4_096)
            except OSError:
                return
            key = next(each for each in head.split(b"\r\n") if each.lower().startswith(b"sec-websocket-key")).split(
                b": "
            )[1]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            line.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                + accept + b"\r\n\r\n"
            )  # fmt: skip
            self._held.append(line)
            self.greeted += 1

    def stop(self) -> None:
        for each in self._held:
            each.close()


def test_a_refused_login_is_tried_again_ever_more_slowly(server: StreamServer, start: Start) -> None:
    """A wrong token is a connection that ends without a word; hammering it would cost the account its access."""
    server.refuse.set()
    updates, heard = start(timing=replace(QUICK, back_off_s=0.05, back_off_s_max=10.0))
    until(lambda: len(server.logins) >= 5)
    assert updates.health().reconnects >= 4
    server.refuse.clear()
    until(lambda: server.lines)
    server.say(alert())
    until(lambda: heard.messages)


def test_the_pause_doubles_up_to_the_most_and_differs(server: StreamServer) -> None:
    """Half of it is left to chance: a server that comes back is not met by everybody at once."""
    updates = OrderUpdates(
        "leader", lambda: Login("", SecretStr(""), 1), Heard(), SystemClock(), timing=Timing(), seed=1
    )
    pauses = [[updates._back_off_s(tries) for _ in range(50)] for tries in range(12)]

    for tries, each in enumerate(pauses):
        most = min(30.0, 0.5 * 2**tries)
        assert most / 2 <= min(each) < max(each) <= most


def test_a_new_token_is_used_at_once(server: StreamServer, start: Start) -> None:
    """The broker ends the old one; the connection is renewed with the new one before it does."""
    logins = [Login("1100099001", SecretStr(TOKEN), 1)]
    _updates, _heard = start(lambda: logins[-1])
    until(lambda: server.lines)
    logins.append(Login("1100099001", SecretStr("another-token-0123456789"), 2))
    until(lambda: len(server.lines) == 2)

    assert [each["LoginReq"]["Token"] for each in server.logins] == [TOKEN, "another-token-0123456789"]


def test_without_a_token_it_waits_for_one(server: StreamServer, start: Start) -> None:
    """Nobody is called in vain, and nothing ends."""
    there: list[Login] = []

    def login() -> Login:
        if not there:
            raise TokenMissingError("leader")
        return there[0]

    updates, heard = start(login)
    until(lambda: "ERROR" in heard.states)
    assert updates.health().errors >= 1 and not server.logins
    there.append(Login("1100099001", SecretStr(TOKEN), 1))
    until(lambda: server.lines)


def test_a_server_that_is_not_there_is_tried_again(start: Start) -> None:
    """Refused connections, and a stop in the middle of a pause is prompt."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        slow = replace(QUICK, back_off_s=30, back_off_s_max=60)
        updates, heard = start(url=f"ws://127.0.0.1:{taken.getsockname()[1]}", timing=slow)
        until(lambda: "ERROR" in heard.states)
        began = time.monotonic()
        assert updates.stop(PATIENCE_S) and time.monotonic() - began < 10
    assert updates.health().status == "DISCONNECTED"


def test_the_token_is_in_no_log_and_no_repr(
    server: StreamServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Also with every logger at DEBUG, where the library would write each frame."""
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "riskguard"):
        caplog.set_level(logging.DEBUG, name)
    updates, heard = start()
    until(lambda: server.lines)
    server.say(alert())
    until(lambda: heard.messages)
    server.cut()
    until(lambda: len(server.lines) == 2)
    updates.stop(PATIENCE_S)

    ours = [record for record in caplog.records if record.name != "websockets.server"]
    assert ours and TOKEN not in " ".join(f"{each.getMessage()} {each.exc_text or ''}" for each in ours)
    assert TOKEN not in repr(Login("1100099001", SecretStr(TOKEN), 1)) + repr(updates.__dict__)


def test_a_message_beyond_all_size_ends_the_line_and_nothing_else(server: StreamServer, start: Start) -> None:
    """It is not held in memory; the next connection goes on."""
    _updates, heard = start()
    until(lambda: server.lines)
    server.say("x" * 2_000_000)
    until(lambda: len(server.lines) == 2)
    server.say(alert())
    until(lambda: heard.messages)


STALE = [
    ("CONNECTED", 59, False),
    ("CONNECTED", 60, False),
    ("CONNECTED", 61, True),
    ("CONNECTED", None, True),
    ("ERROR", 1, True),
]


@pytest.mark.parametrize("case", STALE, ids=str)
def test_when_nobody_can_rely_on_it(case: tuple[str, int | None, bool]) -> None:
    """Down, never heard, or silent for longer than is allowed."""
    status, age_s, wanted = case
    heard_us = None if age_s is None else 1_000_000_000 - age_s * 1_000_000
    health = FeedHealth("leader", status == "CONNECTED", status, 0, heard_us, None, None, None)

    assert health.is_stale(1_000_000_000, 60_000_000) is wanted
