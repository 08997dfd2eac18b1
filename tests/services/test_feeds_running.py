"""Goal: the feeds of a daemon do as the settings say, outlive what they depend on, and end when told."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from riskguard.core.seen import SeenHolding, SeenLedgerEntry
from riskguard.errors import BrokerUnavailableError, SettingsError
from riskguard.services.dhan import client_id_in, save_client_id
from riskguard.services.feeds import doors, portfolio
from riskguard.services.feeds.rereads import Rereads
from riskguard.services.feeds.running import Feeds
from riskguard.services.settings import DatabaseSettings
from riskguard.store import connections, loader
from riskguard.store.database import Database
from riskguard.store.secrets import keys as sources
from tests.feeds.stream_server import StreamServer, until
from tests.feeds.test_order_updates import QUICK
from tests.services.desk import ACCOUNT, SECOND, START, Desk, e4
from tests.services.feeding import CLIENT, posting, update
from tests.services.test_reconciler import line, sent
from tests.services.test_webhook import BASE
from tests.store.secret_desk import jwt


@pytest.fixture
def stream() -> Iterator[StreamServer]:
    made = StreamServer()
    yield made
    made.close()


@pytest.fixture
def feeds(desk: Desk, home: Path) -> Iterator[Callable[..., Feeds]]:
    """Start the feeds of a desk under settings; a setting is written as a person would."""
    sources.create_file()
    made: list[Feeds] = []
    asked: list[tuple[str, str]] = []

    def start(**settings: str) -> Feeds:
        for name, value in settings.items():
            desk.sql("UPDATE config SET value = ? WHERE key = ?", value, f"riskguard.{name}")
        found = Feeds(desk.guard, lambda account, why: asked.append((account, why)), timing=QUICK)
        found.asked = asked  # type: ignore[attr-defined]
        made.append(found)
        found.start()
        return found

    yield start
    for each in made:
        assert each.stop()


def give_token(desk: Desk, token: str = "", **claims: Any) -> str:
    text = token or jwt(**{"dhanClientId": CLIENT, "exp": START // SECOND + 3_600, **claims})
    with Database(desk.url, clock=desk.clock) as database:
        database.authentication.set_token(ACCOUNT, text)
    return text


def look_again(desk: Desk, feeds: Feeds) -> None:
    desk.clock.skipped_us += 6 * SECOND
    feeds.tick()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_everything_is_off_until_it_is_wanted(feeds: Callable[..., Feeds]) -> None:
    """No port is opened and nobody is called by default."""
    found = feeds()

    assert found.server is None and found.streams == {} and found.intake.is_alive()
    assert (DatabaseSettings().postback, DatabaseSettings().order_updates) == ("off", "off")
    assert DatabaseSettings().postback_host == "127.0.0.1"


def test_from_the_wire_into_the_book(desk: Desk, feeds: Callable[..., Feeds], stream: StreamServer) -> None:
    """A real socket, a real login with the stored token, a fill: it is in the book and its permit is done."""
    sent(desk)
    token = give_token(desk)
    found = feeds(order_updates="on", order_updates_url=stream.url)
    until(lambda: stream.lines)
    stream.say(update(), update(status="Traded", tradedQty=10, avgTradedPrice=100))
    until(lambda: desk.permit("o-1") == "FILLED")

    assert stream.logins[0]["LoginReq"] == {"MsgCode": 42, "ClientId": CLIENT, "Token": token}
    assert line(desk).net == 10
    assert any("connected" in why for _, why in found.asked)  # type: ignore[attr-defined]
    until(lambda: any("traded" in why or "TRADED" in why for _, why in found.asked))  # type: ignore[attr-defined]
    assert token not in json.dumps(desk.rows("SELECT * FROM websocket_messages"), default=str)
    assert token not in json.dumps(desk.rows("SELECT * FROM websocket_connections"), default=str)


def test_how_the_stream_stands_is_in_the_database(
    desk: Desk, feeds: Callable[..., Feeds], stream: StreamServer
) -> None:
    """For whoever judges it, in any process: connected, reconnects, when last heard, and the end."""

    def health() -> Any:
        with desk.store.session() as session:
            found = connections.feed_health(session, ACCOUNT)
            desk.store.roll_back(session)
        return found

    give_token(desk)
    assert health() is None
    found = feeds(order_updates="on", order_updates_url=stream.url)
    until(lambda: health() is not None and health().is_connected)
    stream.say(update())
    until(lambda: health().message_us == START + 2 * SECOND)
    stream.cut()
    until(lambda: health().reconnects == 1 and health().is_connected)
    assert found.health(ACCOUNT).reconnects == 1  # type: ignore[union-attr]
    assert desk.rows(
        "SELECT status, superseded FROM v_active_websocket_connections JOIN websocket_connections USING (id, status)"
    )
    assert found.stop()

    assert health().status == "DISCONNECTED" and not health().is_connected
    later = replace(health(), is_connected=True)
    assert later.is_stale(START + 62 * SECOND + 1, 60 * SECOND) and not later.is_stale(START + 62 * SECOND, 60 * SECOND)


def test_a_connection_a_dead_process_left_is_ended(
    desk: Desk, feeds: Callable[..., Feeds], stream: StreamServer
) -> None:
    """It would say CONNECTED for ever."""
    old_s = START // SECOND - 600
    desk.sql(
        "INSERT INTO websocket_connections (account_type, connection_id, ws_url, status, created_at, updated_at) "
        "VALUES ('leader', 'gone', 'wss://x', 'CONNECTED', ?, ?)",
        old_s,
        old_s,
    )
    give_token(desk)
    feeds(order_updates="on", order_updates_url=stream.url)
    until(
        lambda: (
            desk.rows("SELECT status FROM websocket_connections WHERE connection_id = 'gone'") == [("DISCONNECTED",)]
        )
    )


def test_an_account_without_a_token_is_taken_up_when_it_has_one(
    desk: Desk, feeds: Callable[..., Feeds], stream: StreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, and tried again; a token that names no client is no token for this."""
    found = feeds(order_updates="on", order_updates_url=stream.url)
    look_again(desk, found)
    assert found.streams == {} and caplog.text.count("leader has no order updates") == 1
    give_token(desk, "not-a-json-web-token")
    look_again(desk, found)
    assert found.streams == {} and "names none" in caplog.text
    give_token(desk)
    look_again(desk, found)
    until(lambda: stream.lines)
    desk.sql("UPDATE config SET value = 'off' WHERE key = 'riskguard.order_updates'")
    look_again(desk, found)
    assert found.streams == {}
    desk.sql("UPDATE config SET value = 'on' WHERE key = 'riskguard.order_updates'")
    assert found.stop()
    look_again(desk, found)

    assert found.streams == {}, "what was stopped does not begin again by a late tick"


def test_the_webhook_is_served_as_the_settings_say(
    desk: Desk, feeds: Callable[..., Feeds], caplog: pytest.LogCaptureFixture
) -> None:
    """Opened, moved and closed without a restart; a port another one holds is tried again, and stops nothing."""
    import http.client
    from urllib.parse import urlsplit

    with Database(desk.url, clock=desk.clock) as database:
        secret = doors.set_secret(database, ACCOUNT, BASE)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = feeds(postback="on", postback_port=str(taken.getsockname()[1]))
        look_again(desk, found)
        assert found.server is None and caplog.text.count("the webhook is not served") == 1
    desk.sql("UPDATE config SET value = ? WHERE key = 'riskguard.postback_port'", str(free_port()))
    look_again(desk, found)
    assert found.server is not None
    connection = http.client.HTTPConnection("127.0.0.1", found.server.port, timeout=30)
    connection.request("POST", urlsplit(secret.url).path, posting())
    assert connection.getresponse().status == 200
    connection.close()
    until(lambda: desk.rows("SELECT is_processed FROM postback_events") == [(1,)])
    assert ("leader", "a webhook told of order B1") in found.asked  # type: ignore[attr-defined]
    desk.sql("UPDATE config SET value = 'off' WHERE key = 'riskguard.postback'")
    look_again(desk, found)

    assert found.server is None


WRONG = [
    ("postback_port", 0), ("postback_port", 70_000), ("postback_host", ""), ("postback_allow", "10.0.0.0/33"),
    ("postback_allow", "10.0.0.0/8,,"), ("postback_allow", "everybody"), ("postback", "yes"), ("postback_signed_only", "maybe"),
    ("order_updates_url", "ws://stream.example"), ("order_updates_url", "https://stream.example"),
    ("order_updates_url", "wss://a:b@stream.example"), ("order_updates_url", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_setting_that_cannot_be_obeyed_is_refused(case: tuple[str, Any]) -> None:
    """A mistyped network must not let everybody in; the token goes over no open line."""
    with pytest.raises(ValidationError):
        DatabaseSettings(**{case[0]: case[1]})


def test_settings_that_can_be_obeyed() -> None:
    """Both sides of the edges above."""
    made = DatabaseSettings(
        postback_port=65_535,
        postback_allow="10.0.0.0/8, 203.0.113.7,2001:db8::/32",
        order_updates_url="ws://127.0.0.1:9",
    )
    assert made.postback_allow.count(",") == 2


TOKENS = [(jwt(dhanClientId="1100099001"), "1100099001"), (jwt(dhanClientId=1100099001), "1100099001"), (jwt(), "")]
TOKENS += [
    ("", ""),
    ("a.b", ""),
    ("a.!!.c", ""),
    ("a.W10.c", ""),
    (jwt(dhanClientId=True), ""),
    (jwt(dhanClientId=None), ""),
]


@pytest.mark.parametrize("case", TOKENS, ids=lambda case: case[1] or case[0][:5])
def test_the_client_id_stands_in_the_token(case: tuple[str, str]) -> None:
    """Unverified: the broker verifies it."""
    assert client_id_in(case[0]) == case[1]


def test_the_client_id_that_was_set_logs_in_where_the_token_names_none(
    desk: Desk, feeds: Callable[..., Feeds], stream: StreamServer
) -> None:
    """The requests of the account, its prices and its order updates go by one name; without any nobody is called."""
    token = give_token(desk, "sandbox-token-of-1100099001")
    found = feeds(order_updates="on", order_updates_url=stream.url)
    assert found.streams == {}
    with desk.store.session() as session:
        save_client_id(session, ACCOUNT, CLIENT, desk.clock.now_us())
    look_again(desk, found)
    until(lambda: stream.lines)

    assert stream.logins[0]["LoginReq"] == {"MsgCode": 42, "ClientId": CLIENT, "Token": token}


# -- asking for the lists -----------------------------------------------------------------------------------------


def test_a_burst_of_reasons_is_one_look_a_second(desk: Desk) -> None:
    """At once, then the rest together a second later, for each account; what asks may break."""
    asked: list[tuple[str, str]] = []

    def ask(account: str, why: str) -> None:
        asked.append((account, why))
        raise RuntimeError("whoever is asked is not our affair")

    rereads = Rereads(ask, desk.clock)
    for number in range(50):
        rereads.request("a", f"reason {number}")
    rereads.request("b", "another account")
    assert asked == [("a", "reason 0"), ("b", "another account")]
    desk.clock.skipped_us += SECOND
    assert rereads.tick() == 1 and asked[2:] == [("a", "reason 1")]
    desk.clock.skipped_us += SECOND

    assert rereads.tick() == 0


# -- holdings and the ledger --------------------------------------------------------------------------------------


class Demat:
    """A broker's demat account and book of money, as the ports say."""

    held: tuple[SeenHolding, ...] = ()
    lines: tuple[SeenLedgerEntry, ...] = ()
    down = False

    def holdings(self) -> tuple[SeenHolding, ...]:
        if self.down:
            raise BrokerUnavailableError("down")
        return self.held

    def ledger(self, first: str, last: str) -> tuple[SeenLedgerEntry, ...]:
        return tuple(each for each in self.lines if first <= each.date <= last)


def sellable(desk: Desk) -> tuple[int, int | None]:
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        account = loader.load(session, ACCOUNT, "", desk.clock.now_us()).account
        desk.store.roll_back(session)
    found = account.positions.get(("NSE_EQ", "1333"), {}).get("CNC")
    return (0, None) if found is None else (found.sellable_start, found.sellable_now)


def test_holdings_are_a_list_with_a_header(desk: Desk) -> None:
    """The first list of the day is what it began with; the latest what is left; a look that failed changes nothing."""
    broker = Demat()
    broker.held = (
        SeenHolding("NSE_EQ", "1333", 50, 40, e4("1500.25"), "INE040A01034"),
        SeenHolding("NSE_EQ", "2885", 1, 1),
    )
    assert portfolio.sync_holdings(desk.guard, ACCOUNT, broker) == 2
    assert sellable(desk) == (40, 40)
    desk.clock.advance(60)
    broker.held = (replace(broker.held[0], available=15),)
    portfolio.sync_holdings(desk.guard, ACCOUNT, broker)
    broker.down = True
    with pytest.raises(BrokerUnavailableError):
        portfolio.sync_holdings(desk.guard, ACCOUNT, broker)

    assert sellable(desk) == (40, 15)
    assert desk.rows("SELECT row_count, complete FROM snapshots WHERE kind = 'holdings' ORDER BY id") == [
        (2, 1),
        (1, 1),
    ]
    assert desk.rows("SELECT isin, avg_cost_price FROM holdings ORDER BY snapshot_id, security_id")[0] == (
        "INE040A01034",
        1500.25,
    )
    assert desk.rows("SELECT avg_cost_price FROM holdings WHERE security_id = '2885'") == [(None,)]


def test_no_holdings_is_a_list_too(desk: Desk) -> None:
    """Nothing held is a fact; a share listed twice counts once, with the less that may be sold."""
    broker = Demat()
    portfolio.sync_holdings(desk.guard, ACCOUNT, broker)
    assert desk.rows("SELECT row_count, complete FROM snapshots WHERE kind = 'holdings'") == [(0, 1)]
    broker.held = (SeenHolding("NSE_EQ", "1333", 50, 10), SeenHolding("NSE_EQ", "1333", 50, 40))

    assert portfolio.sync_holdings(desk.guard, ACCOUNT, broker) == 1
    assert desk.rows("SELECT available_qty FROM holdings") == [(10,)]


def test_a_statement_read_twice_is_one_set_of_lines(desk: Desk) -> None:
    """Two equal charges of a day are two; read again, also with days around, they stay two."""
    charge = SeenLedgerEntry("V1", "2025-06-02", "CHARGE", -e4("23.60"), "DP charges", e4("9976.40"))
    paid = SeenLedgerEntry("V2", "2025-06-01", "DEPOSIT", e4("10000"), "by UPI")
    broker = Demat()
    broker.lines = (paid, charge, charge)
    assert portfolio.sync_ledger(desk.guard, ACCOUNT, broker, "2025-06-02", "2025-06-02") == 2
    assert portfolio.sync_ledger(desk.guard, ACCOUNT, broker, "2025-06-01", "2025-06-02") == 1
    assert portfolio.sync_ledger(desk.guard, ACCOUNT, broker, "2025-06-01", "2025-06-02") == 0

    assert desk.rows("SELECT kind, debit, credit, balance FROM ledger_entries ORDER BY entry_date, id") == [
        ("DEPOSIT", 0.0, 10000.0, None),
        ("CHARGE", 23.6, 0.0, 9976.4),
        ("CHARGE", 23.6, 0.0, 9976.4),
    ]


def test_settings_name_what_is_wrong_with_them(desk: Desk) -> None:
    """A config row nobody can obey is one clear error, and the feeds go on as they were."""
    desk.sql("UPDATE config SET value = 'nowhere' WHERE key = 'riskguard.order_updates_url'")
    from riskguard.services.wiring import settings_of

    with pytest.raises(SettingsError, match="order_updates_url"):
        settings_of(desk.store)
