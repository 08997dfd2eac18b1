"""The feeds of one process: the intake, and as the settings say the webhook's server and a stream for each account."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import threading
from typing import Final

from pydantic import SecretStr

from riskguard.core.news import FeedHealth
from riskguard.errors import RiskGuardError, SettingsError, StoreError
from riskguard.feeds.order_updates import Login, OrderUpdates, Timing
from riskguard.feeds.postback_server import Network, PostbackServer
from riskguard.services.feeds.doors import Door, Doors
from riskguard.services.feeds.intake import Intake
from riskguard.services.feeds.rereads import Ask, Rereads
from riskguard.services.feeds.stream import StreamInbox
from riskguard.services.feeds.webhook import Webhook
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.settings import DatabaseSettings
from riskguard.services.tokens import TokenSource
from riskguard.services.wiring import settings_of
from riskguard.store.database import Database

log = logging.getLogger("riskguard")

LOOK_US: Final = 5_000_000
STOP_S: Final = 5.0


class Feeds:
    """
    See the module. `start`, `tick` every second or so, `stop`; nothing here ends the process it runs in.

    What cannot be done now is tried again at a later tick: a port another daemon holds, an account without a token.
    """

    def __init__(self, guard: RiskGuard, ask: Ask, *, timing: Timing | None = None) -> None:
        self.guard = guard
        self.rereads = Rereads(ask, guard.clock)
        self.intake = Intake(guard, self.rereads)
        self.database = Database(guard.store.url, clock=guard.clock)
        self.streams: dict[str, OrderUpdates] = {}
        self.server: PostbackServer[Door] | None = None
        self._served: tuple[object, ...] = ()
        self._stream_url = ""
        self._timing = timing
        self._looked_us: int | None = None
        self._looking, self._is_stopped = threading.Lock(), False
        self._said: dict[str, str] = {}

    def start(self) -> None:
        self._is_stopped = False
        self.intake.start()
        self.tick()

    def tick(self) -> None:
        """Every five seconds: do as the settings say now. Never raises an error of ours; any thread may call it."""
        if self._looking.acquire(blocking=False):  # somebody is at it: the next tick will do
            try:
                now_us = self.guard.clock.elapsed_us()
                if not self._is_stopped and (self._looked_us is None or now_us - self._looked_us >= LOOK_US):
                    self._looked_us = now_us
                    self._look()
            finally:
                self._looking.release()

    def _look(self) -> None:
        if not self.intake.is_alive():
            self.intake.start()
        try:
            settings, accounts = settings_of(self.guard.store)
        except (StoreError, SettingsError) as e:
            log.warning("the feeds go on as they are: %s", e)
            return
        self._serve(settings)
        self._listen(settings, accounts)

    def stop(self) -> bool:
        """End server, streams and intake; what was kept and not dealt with stays in the inbox."""
        with self._looking:
            self._is_stopped = True
            ended = [self._end_server()]
            ended += [each.stop(STOP_S) for each in self.streams.values()]
            self.streams.clear()
        ended.append(self.intake.stop(STOP_S))
        self.database.close()
        return all(ended)

    def health(self, account: str) -> FeedHealth | None:
        """Return how this process's stream of *account* stands; None: it has none. See `store.connections` for others'."""
        stream = self.streams.get(account)
        return None if stream is None else stream.health()

    # -- the webhook ------------------------------------------------------------------------------------------

    def _serve(self, settings: DatabaseSettings) -> None:
        wanted: tuple[object, ...] = ()
        if settings.postback == "on":
            wanted = (
                settings.postback_host, settings.postback_port, settings.postback_allow, settings.postback_signed_only
            )  # fmt: skip
        if wanted == self._served and (not wanted or (self.server is not None and self.server.is_alive())):
            return
        self._end_server()
        if not wanted:
            return
        try:
            self.server = server_of(self.guard, self.database, self.intake, settings)
            self.server.start()
            self._served = wanted
            self._say("postback", "")
            log.info("the webhook is served at %s:%d", settings.postback_host, self.server.port)
        except RiskGuardError as e:
            self._say("postback", f"the webhook is not served: {e}")

    def _end_server(self) -> bool:
        server, self.server, self._served = self.server, None, ()
        return True if server is None else server.stop(STOP_S)

    # -- the streams ------------------------------------------------------------------------------------------

    def _listen(self, settings: DatabaseSettings, accounts: tuple[str, ...]) -> None:
        is_wanted = settings.order_updates == "on"
        for account in list(self.streams):
            if not is_wanted or account not in accounts or settings.order_updates_url != self._stream_url:
                self.streams.pop(account).stop(STOP_S)
        self._stream_url = settings.order_updates_url
        for account in accounts if is_wanted else ():
            found = self.streams.get(account)
            if found is not None and found.is_alive():
                continue
            try:
                self._open(account, settings.order_updates_url)
                self._say(account, "")
            except RiskGuardError as e:
                self._say(account, f"{account} has no order updates: {e}")

    def _open(self, account: str, url: str) -> None:
        source = TokenSource(self.database, account)
        login_of(self.guard, source)  # an account without a token is tried again later, not connected in vain
        connection_id = f"order-updates-{account}-{os.getpid()}-{secrets.token_hex(4)}"
        listener = StreamInbox(self.guard, account, connection_id, url, self.intake, self.rereads)
        stream = OrderUpdates(
            account, lambda: login_of(self.guard, source), listener, self.guard.clock, url=url, timing=self._timing
        )
        stream.start()
        self.streams[account] = stream

    def _say(self, what: str, problem: str) -> None:
        """Log a problem when it is new, not at every look."""
        if problem and self._said.get(what) != problem:
            log.warning("%s", problem)
        self._said[what] = problem


def server_of(
    guard: RiskGuard, database: Database, intake: Intake, settings: DatabaseSettings, *, host: str | None = None,
    port: int | None = None,
) -> PostbackServer[Door]:  # fmt: skip
    """Return the webhook's server, bound and not started. Raises SettingsError when the address cannot be bound."""
    signed_only = settings.postback_signed_only == "on"
    return PostbackServer(
        Webhook(guard, Doors(database), intake, signed_only=signed_only), guard.clock,
        host=host or settings.postback_host, port=settings.postback_port if port is None else port,
        allow=networks(settings.postback_allow),
    )  # fmt: skip


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks of the setting; none for an empty one."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",")) if text.strip() else ()


def login_of(guard: RiskGuard, source: TokenSource) -> Login:
    """
    Return who logs in to the stream: the account's present token, and the client id that was set or stands in it.

    Raises TokenMissingError, SecretKeyError and its family, StoreError, and SettingsError where nothing names the client.
    """
    from riskguard.services.dhan import client_id_in, client_id_of

    token = source.current()
    text = token.value.get_secret_value()
    client_id = client_id_of(guard, source.account) or client_id_in(text)
    if not client_id:
        raise SettingsError(
            f"`{source.account}` has no client id and its token names none: `riskguard init --client-id` sets it"
        )
    return Login(client_id, SecretStr(text), token.id)
