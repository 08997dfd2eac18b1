"""
The live order-update stream: one connection, kept up in a thread of its own.

There is no acknowledgement of the login, no replay and no number on a message (DhanHQ v2, live order update). So every
connection begins with a gap: the broker's lists are read after it, and what was missed is found there. A wrong token
shows as a connection that ends right after the login, without a word. Our own pings tell a quiet line from a dead one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import SecretStr

from riskguard.core.news import FeedHealth
from riskguard.errors import ExtraMissingError, RiskGuardError
from riskguard.ports import Clock
from riskguard.redaction import FILTER, redacted

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

log = logging.getLogger("riskguard")

URL: Final = "wss://api-order-update.dhan.co"
LOGIN_MSG_CODE: Final = 42
MESSAGE_BYTES_MAX: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in. `version` changes with the token: a connection that was opened with another one is renewed."""

    client_id: str
    token: SecretStr
    version: object


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take; seconds."""

    open_s: float = 10.0
    ping_every_s: float = 10.0
    silent_s_max: float = 30.0  # no answer to a ping for this long: the line is dead
    look_every_s: float = 0.5  # for a stop
    token_every_s: float = 5.0  # for a new token
    back_off_s: float = 0.5
    back_off_s_max: float = 30.0
    stable_s: float = 30.0  # up for this long: the next loss is a new one


class Listener(Protocol):
    """
    What is told of the stream, by its thread. (1) None of these raise. (2) `message` returns once it is kept.
    """

    def state(self, status: str) -> None: ...

    def gap(self, reason: str) -> None: ...

    def message(self, body: str, client_id: str) -> bool: ...


class OrderUpdates:
    """
    One account's stream. `start` returns at once; `health` says how it stands; `stop` ends it, and waits.

    The token is asked for anew at each login and looked at while connected; it is never logged and never stored.
    """

    def __init__(
        self, account: str, login: Callable[[], Login], listener: Listener, clock: Clock, *, url: str = URL,
        timing: Timing | None = None, seed: int | None = None,
    ) -> None:  # fmt: skip
        self.account = account
        self.url = url
        self.timing = timing or Timing()
        self._login, self._listener, self._clock = login, listener, clock
        self._chance = random.Random(seed)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._status = "DISCONNECTED"
        self._attempts = self._errors = 0
        self._heard_us = self._connected_us = self._ended_us = self._message_us = None  # type: int | None

    # -- from outside -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect and stay connected. Raises ExtraMissingError when `websockets` is not installed."""
        try:
            import websockets.sync.client  # noqa: F401
        except ImportError:
            raise ExtraMissingError("dhan", "websockets", "order updates") from None
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name=f"riskguard-updates-{self.account}", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = 10.0) -> bool:
        """Say good-bye and end; False when the thread did not end in time."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(wait_s)
            return not self._thread.is_alive()
        return True

    def is_alive(self) -> bool:
        """Say whether somebody still keeps the connection up; down for the moment is alive."""
        return self._thread is not None and self._thread.is_alive()

    def health(self) -> FeedHealth:
        """Return how the stream stands, from this process's own memory."""
        return FeedHealth(
            account=self.account, is_connected=self._status == "CONNECTED", status=self._status,
            reconnects=max(0, self._attempts - 1), heard_us=self._heard_us, connected_us=self._connected_us,
            ended_us=self._ended_us, message_us=self._message_us, errors=self._errors,
        )  # fmt: skip

    # -- its thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        tries = 0
        while not self._stopped.is_set():
            began_us = self._clock.elapsed_us()
            try:
                why, status = self._once(), "DISCONNECTED"
            except Exception as e:  # the network, TLS, the peer, the token, or something of ours: none may end it
                self._errors += 1
                why, status = redacted(f"{type(e).__name__}: {e}")[:200], "ERROR"
                if not isinstance(e, OSError | RiskGuardError | EOFError | _closed_errors()):
                    log.exception("the order updates of %s broke; they are connected again", self.account)
            self._ended_us = self._clock.now_us()
            was_up = self._status == "CONNECTED"
            self._to("DISCONNECTED" if self._stopped.is_set() else status)
            if self._stopped.is_set():
                return
            lasted_s = (self._clock.elapsed_us() - began_us) / 1_000_000
            tries = 0 if was_up and lasted_s >= self.timing.stable_s else tries + 1
            wait_s = self._back_off_s(max(0, tries - 1))
            log.warning("the order updates of %s ended (%s): again in %.1f s", self.account, why, wait_s)
            if was_up:
                self._listener.gap("the order updates were interrupted")
            if self._stopped.wait(wait_s):
                self._to("DISCONNECTED")

    def _back_off_s(self, tries: int) -> float:
        """Double up to the most, and take a random part of it: all clients lose the same server at the same time."""
        most = min(self.timing.back_off_s_max, self.timing.back_off_s * 2.0 ** min(tries, 16))
        return most * self._chance.uniform(0.5, 1.0)

    def _once(self) -> str:
        """Connect, log in and listen to the end; returns why it ended."""
        from websockets.sync.client import connect

        self._attempts += 1
        self._to("CONNECTING")
        login = self._login()
        with connect(
            self.url, open_timeout=self.timing.open_s, close_timeout=self.timing.look_every_s * 4,
            max_size=MESSAGE_BYTES_MAX, logger=_quiet(),
        ) as line:  # fmt: skip
            request = {"MsgCode": LOGIN_MSG_CODE, "ClientId": login.client_id, "Token": login.token.get_secret_value()}
            line.send(json.dumps({"LoginReq": request, "UserType": "SELF"}))
            self._connected_us = self._heard_us = self._clock.now_us()
            self._to("CONNECTED")
            self._listener.gap("the order updates were connected: nothing is told of what was before")
            return self._listen(line, login)

    def _listen(self, line: ClientConnection, login: Login) -> str:
        timing = self.timing
        heard_us = pinged_us = looked_us = self._clock.elapsed_us()
        pong = line.ping()
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                body = line.recv(timeout=timing.look_every_s)
                heard_us = self._clock.elapsed_us()
                self._heard_us = self._message_us = self._clock.now_us()
                self._listener.message(
                    body if isinstance(body, str) else body.decode("utf-8", "replace"), login.client_id
                )
            now_us = self._clock.elapsed_us()
            if pong.is_set() and now_us - pinged_us >= timing.ping_every_s * 1_000_000:
                heard_us, pinged_us, pong = now_us, now_us, line.ping()
                self._heard_us = self._clock.now_us()
                self._listener.state("HEARD")
            if now_us - heard_us > timing.silent_s_max * 1_000_000 and not pong.is_set():
                return "no answer to a ping"
            if now_us - looked_us >= timing.token_every_s * 1_000_000:
                looked_us = now_us
                if self._login().version != login.version:
                    return "there is a new token"
        return "stopped"

    def _to(self, status: str) -> None:
        self._status = status
        self._listener.state(status)


def _closed_errors() -> Any:
    from websockets.exceptions import WebSocketException

    return WebSocketException


def _quiet() -> logging.Logger:
    """Return a logger that writes no frames: the first one holds the token."""
    quiet = logging.getLogger("riskguard.order_updates")
    quiet.setLevel(logging.WARNING)
    quiet.addFilter(FILTER)
    return quiet
