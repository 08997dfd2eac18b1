"""Goal: an account of profile `dhan` is watched, traded and killed through the real client, as a person sets it up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskguard.brokers.dhan import DhanBroker, DhanRefusedError
from riskguard.brokers.dhan.sandbox.scenario import OpeningPosition
from riskguard.errors import BrokerUnavailableError, SettingsError
from riskguard.services.dhan import client_id_in
from riskguard.services.settings import DatabaseSettings
from riskguard.services.setup import initialise
from riskguard.services.tokens import set_token
from riskguard.services.wiring import broker_of, settings_of, sweeper_of
from riskguard.store.database import Database
from riskguard.store.secrets import keys
from tests.cli.conftest import empty, forker
from tests.cli.shell import Shell
from tests.dhan_server import World
from tests.services.desk import START, Clock, Desk, rulebook
from tests.store.secret_desk import jwt

CLIENT = "1100099001"
__all__ = ["empty", "forker"]  # fixtures of the command's tests, used here too
UNTIL_S = START // 1_000_000 + 80_000
TOKEN = jwt(exp=UNTIL_S, dhanClientId=CLIENT)


class Account(Desk):
    """A desk whose broker is the local Dhan server."""

    world: World

    def dhan(self) -> DhanBroker:
        settings, _ = settings_of(self.guard.store)
        found = broker_of(self.guard, settings, "leader")
        assert isinstance(found, DhanBroker)
        return found

    def watch(self) -> None:
        """Sweep twice, as far apart as the world's clocks want it."""
        settings, _ = settings_of(self.guard.store)
        sweeper = sweeper_of(self.guard, settings, "leader")
        for _ in range(2):
            self.clock.advance(4)
            self.world.clock.us = self.clock.now_us()
            sweeper.sweep()


@pytest.fixture
def make(tmp_path: Path, home: Path) -> Iterator[Callable[..., Account]]:
    """Make a database of profile `dhan` aimed at a server, with a token unless told otherwise."""
    with contextlib.ExitStack() as stack:

        def account(*, client_id: str = CLIENT, token: str = TOKEN, **scenario: object) -> Account:
            world = stack.enter_context(World(**{"token": TOKEN, **scenario}))
            world.clock.us = START
            (tmp_path / "book.toml").write_text(rulebook())
            path, clock = tmp_path / "risk.db", Clock()
            initialise(
                f"sqlite:///{path}", profile="dhan", rulebook=str(tmp_path / "book.toml"), clock=clock,
                client_id=client_id, base_url=world.server.url,
            )  # fmt: skip
            if token:
                keys.create_file()
                with Database(f"sqlite:///{path}", clock=clock) as database:
                    set_token(database, "leader", token)
            made = Account(path, clock)
            made.world = world
            stack.callback(made.close)
            return made

        yield account


def test_the_account_is_watched_through_the_real_client(make: Callable[..., Account]) -> None:
    """What the server holds is in the database after a sweep: client id, token, base URL, translation, all of it."""
    desk = make(positions=(OpeningPosition("NSE_EQ", "1333", "INTRADAY", 10, "1600"),))
    desk.world.place("BUY 5 LIMIT 10 -")

    desk.watch()

    assert desk.rows("SELECT security_id, net_qty FROM positions WHERE net_qty <> 0 GROUP BY security_id") == [
        ("1333", 10)
    ]
    assert desk.one("SELECT max(available_balance) FROM funds") == 1_000_000


def test_requests_are_counted_one_by_one(make: Callable[..., Account]) -> None:
    """A list of orders is four requests to Dhan, and the copying program shares the account's limits."""
    desk = make()
    broker = desk.dhan()

    broker.orders()
    broker.place(desk.world.approved("BUY 1 LIMIT 10 -"))
    desk.guard.close()

    counted = "SELECT endpoint, request_count FROM rate_limit_tracking WHERE account_type = 'leader' ORDER BY endpoint"
    assert desk.rows(counted) == [("orders", 1), ("reads", 4)]


def test_a_token_set_by_another_process_is_used_at_once(make: Callable[..., Account]) -> None:
    """The old one is dead at Dhan the moment the new one is made; nothing is restarted."""
    desk = make()
    broker = desk.dhan()
    assert broker.positions() == ()
    fresh = jwt(exp=UNTIL_S, dhanClientId=CLIENT, n=2)
    desk.world.server.desk.token = fresh
    with pytest.raises(DhanRefusedError):
        broker.positions()

    with Database(desk.url, clock=desk.clock) as database:
        set_token(database, "leader", fresh)

    assert broker.positions() == ()


def test_the_token_says_whose_it_is_where_nobody_else_does(make: Callable[..., Account]) -> None:
    """Dhan writes the client id into it."""
    assert make(client_id="").dhan().positions() == ()
    assert [client_id_in(each) for each in (TOKEN, jwt(exp=1), jwt(dhanClientId="../x"), "a.b.c", "opaque", "")] == [
        CLIENT, "", "", "", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("client_id", "token", "said"), [("", "opaque-token-of-nobody", "client-id"), (CLIENT, "", "token set")]
)
def test_what_is_missing_is_named(make: Callable[..., Account], client_id: str, token: str, said: str) -> None:
    """Nothing leaves, and the message says what to type."""
    desk = make(client_id=client_id, token=token)
    with pytest.raises(BrokerUnavailableError, match=said):
        desk.dhan().positions()
    assert not desk.world.server.calls


def test_an_order_goes_from_the_guard_to_the_server(make: Callable[..., Account]) -> None:
    """Checked, marked SENT, begun right before the wire, acknowledged with Dhan's id; refused ones never leave."""
    desk = make()
    desk.world.quote("100")
    desk.watch()
    desk.guard.quote("NSE_EQ", "1333", ltp="100", at=desk.clock.now_us())
    broker = desk.dhan()
    broker.funds()  # a connection stands: an order's mark is 250 ms young

    decision = desk.guard.place(desk.order("BUY", 10, "90"), broker.place)

    assert decision.approved, decision.explain()
    (seen,) = broker.orders()
    assert (seen.side, seen.quantity, seen.price_e4) == ("BUY", 10, 900_000)
    assert desk.permit("o-1") == "ACKED"
    assert desk.one("SELECT order_id FROM permits WHERE client_order_id = 'o-1'") == seen.order_id


def test_an_order_whose_answer_is_lost_stays_reserved(make: Callable[..., Account]) -> None:
    """It is at the server, and the permit says UNKNOWN until the book is read."""
    desk = make()
    desk.world.quote("100")
    desk.watch()
    desk.guard.quote("NSE_EQ", "1333", ltp="100", at=desk.clock.now_us())
    broker = desk.dhan()
    broker.funds()
    desk.world.server.break_next("POST /orders", "reset_after")

    with contextlib.suppress(Exception):
        desk.guard.place(desk.order("BUY", 10, "90"), broker.place)

    assert desk.permit("o-1") == "UNKNOWN"
    assert len(broker.orders()) == 1


def test_a_kill_takes_everything_out_that_adds_risk(make: Callable[..., Account]) -> None:
    """An order, a super order, a forever order and a trigger: none is left at the server after the kill run."""
    desk = make()
    desk.world.quote("1650", "1649.95", "1650.05")
    desk.world.place("BUY 5 LIMIT 1600 -")
    client = desk.world.client()
    client.place_super_order("1333", "NSE_EQ", "BUY", 10, "LIMIT", "INTRADAY", 1600, 1700, 1500)
    client.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 5, 1500, 1501)
    desk.watch()
    assert any(each.is_live for each in desk.dhan().orders())

    desk.kill()
    settings, _ = settings_of(desk.guard.store)
    sweeper = sweeper_of(desk.guard, settings, "leader")
    for _ in range(6):
        desk.clock.advance(4)
        desk.world.clock.us = desk.clock.now_us()
        sweeper.sweep()

    assert [each for each in desk.dhan().orders() if each.is_live] == []


# -- setting up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://api.dhan.co/v2", "https://example.com/v2", "https://user:pw@api.dhan.co/v2", "not a url"]
)
def test_a_base_url_elsewhere_is_no_setting(url: str, tmp_path: Path, home: Path) -> None:
    """Neither at `init` nor as a row that somebody wrote: the token would go there."""
    with pytest.raises(SettingsError):
        initialise(f"sqlite:///{tmp_path}/risk.db", profile="dhan", base_url=url)
    assert not (tmp_path / "risk.db").exists()
    with pytest.raises(ValueError, match="dhan_base_url"):
        DatabaseSettings(dhan_base_url=url)


@pytest.mark.parametrize(
    "words",
    [
        ("init", "--profile", "dhan", "--client-id", "not one"),
        ("init", "--profile", "dhan", "--base-url", "https://example.com"),
        ("init", "--profile", "paper", "--base-url", "http://127.0.0.1:1/v2"),
        ("sandbox", "--scenario", "missing.toml"),
        ("sandbox", "--port", "70000"),
    ],
    ids=" ".join,
)
def test_bad_words_are_one_line(empty: Shell, words: tuple[str, ...]) -> None:
    """Exit status 2, one line, and nothing was made."""
    answer = empty(*words)

    assert answer.status == 2 and answer.is_one_line_error(), answer.err
    assert not empty.database.exists()


def test_a_second_account_of_a_dhan_database_is_at_dhan_too(empty: Shell) -> None:
    """Whatever profile is typed for it: the database has one, and no flat past is invented for it."""
    assert empty("init", "--profile", "dhan", "--client-id", CLIENT).status == 0
    assert empty("init", "--account", "follower", "--client-id", "1100099002").status == 0

    assert empty.rows("SELECT account, broker FROM accounts ORDER BY 1") == [
        ("follower", "dhan"),
        ("leader", "dhan"),
    ]
    assert empty.rows("SELECT count(*) FROM day_baselines") == [(0,)]
    assert empty.rows("SELECT key, value FROM config WHERE key LIKE 'dhan.%' ORDER BY key") == [
        ("dhan.client_id.follower", "1100099002"), ("dhan.client_id.leader", CLIENT),
    ]  # fmt: skip


def test_a_person_rehearses_against_the_sandbox(empty: Shell) -> None:
    """The commands of docs/how-to/sandbox.md, in processes of their own: serve, init, token, sweep, status."""
    served = empty.start("sandbox", "--port", "0")
    late = threading.Timer(60, served.kill)
    late.start()
    try:
        assert served.stdout is not None
        url, _, client_id, token = (served.stdout.readline().split()[-1] for _ in range(4))
        assert empty("secrets", "init").status == 0
        assert empty("init", "--profile", "dhan", "--client-id", client_id, "--base-url", url).status == 0
        assert empty("token", "set", "leader", stdin=token.encode()).status == 0

        swept, shown = empty("sweep", "--once"), empty("status")

        assert swept.status == 0, swept.err
        assert "profile dhan" in shown.out and "last sweep never" not in shown.out
        assert token not in swept.out + swept.err + shown.out + shown.err
    finally:
        late.cancel()
        served.terminate()
        out, err = served.communicate(timeout=60)
    assert (served.returncode, err) == (0, "") and out.endswith("stopped\n")
