"""
Goal: a call ends when its time is up whatever the server does, a request that was given up never leaves, connections
are never shared, and a token shows nowhere.
"""

from __future__ import annotations

import io
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from riskguard.brokers.dhan import Credentials, DhanBroker, DhanRefusedError, Timeouts, checked_url
from riskguard.brokers.dhan.attempt import Attempt, NotSentError
from riskguard.errors import (
    BrokerError,
    BrokerRefusedError,
    BrokerUnavailableError,
    BrokerUnconfirmedError,
    PermitNotSendableError,
    SettingsError,
    StoreUnavailableError,
    TokenMissingError,
)
from tests.dhan_server import HASTY, ONCE, World
from tests.store.secret_desk import jwt

CANARY = jwt(dhanClientId="1100099001", canary="canary-of-the-token")


# -- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["GET /positions", "POST /orders"])
def test_a_server_that_trickles_is_cut_off_at_the_deadline(call: str) -> None:
    """No single read is late: each byte comes well inside the read timeout, and the whole would take minutes."""
    limits = Timeouts(connect_s=10, read_s=20, call_s=0.7, operation_s=60, read_attempts=1)
    with World(limits) as world:
        world.server.break_next(call, "trickle", seconds=0.02 if call.startswith("GET") else 0.05)
        began = time.monotonic()

        with pytest.raises(BrokerUnconfirmedError, match=r"no answer within 0\.7 s"):
            world.broker.positions() if call.startswith("GET") else world.place()
        took = time.monotonic() - began

    assert took < 20  # the read timeout alone would have let it run on: 250 bytes at 20 ms, each in time


def test_a_server_that_trickles_fast_enough_is_read_to_its_end() -> None:
    """The control of the test before: trickling is no error where there is time for it."""
    with World(ONCE) as world:
        world.server.break_next("GET /positions", "trickle", seconds=0.0005)

        assert world.broker.positions() == ()


def test_a_read_is_repeated_and_a_placement_is_not() -> None:
    """Two answers of three are broken: a read gets through, a placement is unknown after one request."""
    with World() as world:
        world.server.break_next("GET /positions", "html_502", times=2)
        world.server.break_next("POST /orders", "html_502", times=2)

        assert world.broker.positions() == ()
        with pytest.raises(BrokerUnconfirmedError):
            world.place()
        assert (world.server.counted("GET /positions"), world.server.counted("POST /orders")) == (3, 1)


def test_a_refused_read_is_not_repeated() -> None:
    """A dead token and a breached rate do not mend themselves; asking again makes the second worse."""
    with World() as world:
        for how in ("DH-901", "DH-904"):
            world.server.break_next("GET /positions", how, times=3)
            before = world.server.counted("GET /positions")
            with pytest.raises(DhanRefusedError) as caught:
                world.broker.positions()
            world.server.mend()
            assert world.server.counted("GET /positions") == before + 1
            assert caught.value.too_many is (how == "DH-904")


def test_all_reads_of_an_operation_share_one_deadline() -> None:
    """Four lists and their repetitions end together: `operation_s` is the whole."""
    limits = Timeouts(connect_s=5, read_s=20, call_s=0.5, operation_s=1.0, read_attempts=50)
    with World(limits) as world:
        world.server.break_next("*", "slow", times=50, seconds=60)
        began = time.monotonic()

        with pytest.raises((BrokerUnconfirmedError, BrokerUnavailableError)):
            world.broker.orders()

        assert time.monotonic() - began < 15
        assert world.server.counted("GET /orders") < 10


def test_a_request_given_up_before_it_left_never_leaves() -> None:
    """Giving up and leaving exclude each other, whichever comes first."""
    late = Attempt()
    assert late.give_up() is False
    with pytest.raises(NotSentError):
        late.leave(None)
    early = Attempt()
    early.leave(None)
    assert early.give_up() is True


def test_a_placement_that_waits_for_its_connection_is_never_sent_late() -> None:
    """
    The address takes the connection into its queue and nobody speaks TLS there: the deadline passes before anything
    left, so the order certainly is not at the broker, and nothing of it ever arrives.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/v2"
        broker = DhanBroker(
            lambda: Credentials("1", CANARY), base_url=url, timeouts=Timeouts(connect_s=1.5, call_s=0.5)
        )
        with World() as world:
            approved = world.approved()

            with pytest.raises(BrokerUnavailableError):
                broker.place(approved)

        connection, _ = silent.accept()
        connection.settimeout(20)
        sent = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert CANARY.encode() not in sent and b"POST" not in sent
        assert approved.begun == 0


def test_begin_vetoes_right_before_the_first_byte() -> None:
    """The mark is looked at when the connection stands; refused there, nothing is sent and its own error is raised."""
    with World() as world:
        refused, taken = world.approved(), world.approved()
        refused.refuses = True

        with pytest.raises(PermitNotSendableError):
            world.broker.place(refused)
        assert (refused.begun, world.server.counted("POST /orders")) == (1, 0)

        assert world.broker.place(taken)
        assert (taken.begun, world.server.counted("POST /orders")) == (1, 1)


# -- connections ------------------------------------------------------------------------------------------------------


def test_no_thread_waits_behind_another() -> None:
    """While eight reads hang, a kill's request goes through: it has a connection of its own."""
    limits = Timeouts(connect_s=10, read_s=30, call_s=30, operation_s=60, read_attempts=1)
    with World(limits) as world, ThreadPoolExecutor(8) as pool:
        world.server.break_next("GET /positions", "slow", times=8, seconds=100)
        hanging = [pool.submit(world.broker.positions) for _ in range(8)]
        while world.server.counted("GET /positions") < 8:
            time.sleep(0.001)

        world.broker.exit_all()

        assert not any(each.done() for each in hanging)
        world.server.stop()  # lets them go
        assert all(isinstance(each.exception(30), BrokerError) or each.result() == () for each in hanging)


def test_threads_share_a_broker() -> None:
    """Each answer reaches who asked for it."""
    with World() as world, ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: world.broker.place(world.approved(f"BUY {n} LIMIT 10 -")), range(1, 41)))

        quantities = {each.order_id: each.quantity for each in world.broker.orders()}
        assert [quantities[each] for each in ids] == list(range(1, 41))


def test_a_forked_child_has_connections_of_its_own() -> None:
    """Parent and child ask on; neither reads the other's answer."""
    with World() as world:
        assert world.broker.positions() == ()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                said = "ok" if [world.broker.positions() for _ in range(5)] == [()] * 5 else "wrong"
            except BaseException as e:
                said = repr(e)
            os.write(write, said.encode()[:200])
            os._exit(0)
        os.close(write)
        for _ in range(5):
            assert world.broker.positions() == ()
        said = os.read(read, 300).decode()
        os.waitpid(child, 0)
        assert said == "ok"


def test_a_users_own_client_lends_its_login_and_nothing_else() -> None:
    """No second login; the token it is given later is used, its connection and its 60 seconds are not."""
    with World() as world:
        client = world.client()
        broker = DhanBroker.of(client, account="leader")
        assert broker.positions() == ()

        with world.server._lock:
            client.dhan_http.header["access-token"] = world.server.desk.renew()

        assert broker.positions() == ()
        assert broker.wire.timeouts.call_s < 10 and client.dhan_http.timeout == 60


def test_a_token_set_elsewhere_is_used_by_the_next_request() -> None:
    """A renewed token kills the earlier one; nothing is restarted."""
    with World() as world:
        assert world.broker.positions() == ()
        fresh = world.server.desk.renew()
        with pytest.raises(DhanRefusedError) as caught:
            world.broker.positions()
        assert caught.value.kind == "token"

        world.token = fresh

        assert world.broker.positions() == ()


@pytest.mark.parametrize(
    "error", [TokenMissingError("leader"), StoreUnavailableError("gone"), SettingsError("no client id")]
)
def test_without_a_token_nothing_leaves(error: Exception) -> None:
    """It is the same as a dead network to whoever asked: the request never left."""

    def credentials() -> Credentials:
        raise error

    broker = DhanBroker(credentials, base_url="http://127.0.0.1:9/v2", timeouts=HASTY)
    with World() as world, pytest.raises(BrokerUnavailableError):
        broker.place(world.approved())


class Counts:
    """A meter that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def leaves(self, *, writes: bool) -> None:
        self.told.append("write" if writes else "read")

    def answered(self) -> None:
        self.told.append("answered")


def test_every_request_is_counted_as_it_leaves() -> None:
    """One list of orders is four requests; a placement is one, and nothing is written around it."""
    with World() as world:
        counts = Counts()
        broker = world.broker_with(meter=counts)

        broker.orders()
        assert counts.told == ["read", "answered"] * 4
        counts.told.clear()
        broker.place(world.approved())
        assert counts.told == ["write"]


# -- addresses and secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://api.dhan.co/v2", True),
        ("https://sandbox.dhan.co/v2/", True),
        ("http://127.0.0.1:8700/v2", True),
        ("http://localhost:8700/v2", True),
        ("http://api.dhan.co/v2", False),  # in clear
        ("https://api.dhan.co.example.com/v2", False),
        ("https://example.com/v2", False),
        ("https://user:pw@api.dhan.co/v2", False),
        ("https://api.dhan.co/v2?to=elsewhere", False),
        ("ftp://127.0.0.1/v2", False),
        ("http://127.0.0.1:99999/v2", False),
        ("", False),
    ],
)
def test_a_token_goes_to_dhan_or_stays_on_this_machine(url: str, is_taken: bool) -> None:
    """A row in the database must not be able to send the token anywhere."""
    if is_taken:
        assert checked_url(url) == url.rstrip("/")
    else:
        with pytest.raises(SettingsError):
            checked_url(url)


def test_a_redirect_is_not_followed() -> None:
    """The token would go along."""
    with World() as world:
        world.server.break_next("GET /positions", "redirect", times=3)
        with pytest.raises(BrokerUnconfirmedError):
            world.broker.positions()


@contextmanager
def everything_said() -> Iterator[list[str]]:
    """Collect every log record of every logger, formatted, and what is printed."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(logging.Formatter().format(record))

    root, keep = logging.getLogger(), Keep(logging.DEBUG)
    level, out, err = root.level, sys.stdout, sys.stderr
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    sys.stdout = sys.stderr = printed = io.StringIO()
    try:
        yield said
    finally:
        sys.stdout, sys.stderr = out, err
        root.removeHandler(keep)
        root.setLevel(level)
        said.append(printed.getvalue())


FAULTS = ("reset_before", "truncated", "html", "error_text", "DH-901", "DH-905", "nan", "server_error", "gateway_404")


def test_the_token_is_said_nowhere() -> None:
    """Errors, tracebacks with their causes, logs, prints and reprs of every call under every fault."""
    with World(ONCE, token=CANARY) as world:
        broker = world.broker
        calls = [
            broker.orders, broker.positions, broker.funds, broker.profile, broker.is_locked, broker.lock,
            broker.exit_all, world.place, lambda: broker.cancel("1"),
        ]  # fmt: skip
        with everything_said() as said:
            for how in FAULTS:
                for call in calls:
                    world.server.break_next("*", how, times=8)
                    try:
                        call()
                    except BrokerError as e:
                        said += [repr(e), "".join(traceback.format_exception(e))]
                    world.server.mend()
            said += [repr(broker), repr(broker.wire), repr(world.credentials()), repr(vars(broker.wire))]

        text = "\n".join(said)
        assert len(said) > 50
        assert not [part for part in CANARY.split(".") if part in text]


def test_the_official_transport_would_have_said_it() -> None:
    """The control: the client's own transport logs on the root logger, where an address with ids would stand."""
    with World() as world:
        client = world.client()
        world.server.stop()
        with everything_said() as said:
            assert client.get_order_by_id("82260922104417")["status"] == "failure"

        assert any("82260922104417" in each or "HTTPConnectionPool" in each for each in said)


def test_the_installed_client_still_asks_its_context_for_a_transport() -> None:
    """What the adapter stands on: `dhanhq` takes any context with `get_dhan_http`, and calls its four verbs."""
    with World() as world:
        with pytest.raises(BrokerRefusedError):
            world.broker.cancel("no such order:")
        assert world.broker.positions() == ()
