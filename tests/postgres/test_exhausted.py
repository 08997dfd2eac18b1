"""
The server is there and will not do it: no connection left, no room on its disk, a session an administrator ended.

Each is a typed refusal in time, nothing is written that nobody hears of, and afterwards all goes on by itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from riskguard.errors import StoreUnavailableError
from riskguard.services.kill import killswitch
from riskguard.services.kill.killswitch import HALTED, HALTED_HERE, NOT_HALTED, engage
from riskguard.store import halt
from riskguard.store.engines.postgresql_store import PostgresStore
from tests.postgres.ground import codes, guarding, order, serving
from tests.postgres.server import QUICK, Cluster
from tests.postgres.test_commit import APPROVED, REFUSED, ask_until_answered, asked, wrong
from tests.services.desk import eventually

WAITING = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = 'risk' AND application_name = 'riskguard' AND wait_event_type = 'Lock'
"""
FEW = f"{QUICK}max_connections = 8\nsuperuser_reserved_connections = 0\n"


@pytest.fixture
def server(prepared_home: Any) -> Iterator[Cluster]:
    with serving(QUICK) as made:
        yield made


@contextlib.contextmanager
def every_connection_taken(server: Cluster) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(contextlib.closing(server.connect("risk")))
        yield


def test_without_a_connection_left_nothing_is_approved_and_a_kill_halts_here(prepared_home: Any) -> None:
    """Who has one keeps it; who has none is refused in a typed line, and halts its host all the same."""
    with serving(FEW) as server:
        url = server.url("risk")
        with guarding(url) as has_one, guarding(url, 500) as has_none:
            assert has_one.check(order("one")).approved and has_none.check(order("two")).approved
            has_none.store.close()
            with every_connection_taken(server):
                assert has_one.check(order("three")).approved
                decision = has_none.check(order("four"))
                assert codes(decision) in (["STORE_UNAVAILABLE"], ["STORE_BUSY"]) and not decision.recorded
                with pytest.raises(StoreUnavailableError, match=r"too many|remaining connection"), guarding(url):
                    pass
                assert engage(url, "leader", by="desk", reason="full house").exit_status == HALTED_HERE
                assert codes(has_one.check(order("five"))) == ["TRADING_HALTED"]
            eventually(lambda: codes(has_none.check(order("six"))) == ["TRADING_HALTED"], 30)


def test_the_control_a_full_house_without_the_flag_goes_on_trading(
    prepared_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The same kill with no flag put: who has a connection is approved after it, and the exit status says NOT halted."""
    monkeypatch.setattr(halt, "raise_flag", lambda *_: [])
    monkeypatch.setattr(killswitch, "LOCK_WAIT_S", 0.5)  # it waits in vain
    with serving(FEW) as server:
        url = server.url("risk")
        with guarding(url) as has_one:
            assert has_one.check(order("one")).approved
            with every_connection_taken(server):
                assert engage(url, "leader", by="desk", reason="full house").exit_status == NOT_HALTED
                assert has_one.check(order("five")).approved


def test_the_control_an_error_of_the_server_that_is_not_judged_is_no_typed_refusal(
    server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The disk is full, a session is ended while it waits: the driver's own error let through is no word of the store."""
    url = server.url("risk")
    with guarding(url) as guard, server.connect("risk") as admin:
        assert asked(guard, order("warm")) == APPROVED
        pad(url)
        for fault, tries in FAULTS:
            with fault(server, admin):
                assert REFUSED in [asked(guard, order(f"typed-{fault.__name__}-{number}")) for number in range(tries)]
        monkeypatch.setattr(PostgresStore, "_classified", lambda _self, error: error)
        for fault, tries in FAULTS:
            eventually(lambda: "STORE_UNAVAILABLE" not in codes(guard.check(order("much", quantity=10**7))), 60)
            with fault(server, admin):
                heard = [guard.check(order(f"raw-{fault.__name__}-{number}")) for number in range(tries)]
            assert any(not each.approved and "STORE_UNAVAILABLE" not in codes(each) for each in heard), fault.__name__


@contextlib.contextmanager
def full(server: Cluster, admin: psycopg.Connection[Any]) -> Iterator[None]:
    """No file of the server grows any more, and the journal's last page has no room: the check is one too many."""
    with server.files_at_most(1 << 20):
        yield


@contextlib.contextmanager
def ended(server: Cluster, admin: psycopg.Connection[Any]) -> Iterator[None]:
    """The account's head is held, and the session that waits for it is ended."""

    def end() -> None:
        eventually(lambda: admin.execute(WAITING.encode()).fetchone() not in (None, (0,)), 60)

    with server.connect("risk") as holder, holder.transaction(force_rollback=True):
        holder.execute("SELECT FROM account_heads WHERE account = 'leader' FOR UPDATE")
        ending = threading.Thread(target=end)
        ending.start()
        yield
        ending.join()


FAULTS = ((full, 20), (ended, 1))
"""How, and how many checks it may take: an approval may still fit on the journal's last page."""


def test_a_table_that_cannot_grow_is_a_refusal_and_with_room_all_goes_on(server: Cluster) -> None:
    """No file may grow past what the journal has already: checks are refused, typed, until there is room again."""
    url = server.url("risk")
    with guarding(url) as guard:
        assert asked(guard, order("warm")) == APPROVED
        pad(url)
        with server.files_at_most(1 << 20):
            heard = [asked(guard, order(f"o{number}")) for number in range(30)]
            assert APPROVED not in heard[-5:], heard  # the journal takes no more
            assert [said for number, each in enumerate(heard) if (said := wrong(url, f"o{number}", each))] == []
            assert engage(url, "leader", by="desk", reason="full").exit_status in (HALTED, HALTED_HERE)
            assert codes(guard.check(order("killed"))) in (["TRADING_HALTED"], ["STORE_UNAVAILABLE"])
        eventually(lambda: codes(guard.check(order("room"))) == ["TRADING_HALTED"], 60)


def pad(url: str) -> None:
    """Fill the journal's table up to a megabyte with an account nobody has."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE decisions DISABLE TRIGGER USER")
        names = [
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'decisions' ORDER BY ordinal_position"
            )
        ]
        made = {
            "account": "'padding'", "sequence": "n", "client_order_id": "'p' || n", "hash": "md5(n::text)",
            "body": "(SELECT string_agg(md5((n * 100 + k)::text), '') FROM generate_series(1, 45) k)",
        }  # fmt: skip
        listed = ", ".join(made.get(name, name) for name in names)
        connection.execute(
            f"INSERT INTO decisions ({', '.join(names)}) SELECT {listed} "  # noqa: S608 - names of our own
            "FROM generate_series(1, 800) n, (SELECT * FROM decisions ORDER BY sequence DESC LIMIT 1) one".encode()
        )
        connection.execute("ALTER TABLE decisions ENABLE TRIGGER USER")
        size = connection.execute("SELECT pg_relation_size('decisions')").fetchone()
        assert size is not None and size[0] > 1 << 20, size


def test_a_log_that_cannot_be_written_stops_the_server_and_a_kill_halts_here(server: Cluster) -> None:
    """The disk of the log is full: PostgreSQL itself goes down. Nothing is approved; it comes back halted."""
    url = server.url("risk")
    with guarding(url, 1_000) as guard:
        assert asked(guard, order("warm")) == APPROVED
        with server.files_at_most(1 << 16):
            heard: list[str] = []

            def is_down() -> bool:
                heard.append(asked(guard, order(f"o{len(heard)}")))
                return heard[-3:] == [REFUSED] * 3

            eventually(is_down, 60)  # what is not waited for goes on until the log must be written
            assert engage(url, "leader", by="desk", reason="full disk").exit_status == HALTED_HERE
        server.revive()
        refused = [number for number, each in enumerate(heard) if each == REFUSED]  # an approval may be lost
        assert [said for number in refused if (said := wrong(url, f"o{number}", REFUSED))] == []
        eventually(lambda: codes(guard.check(order("back"))) == ["TRADING_HALTED"], 60)


@pytest.mark.parametrize("how", ["pg_terminate_backend", "pg_cancel_backend"])
@pytest.mark.claim("I5", "an administrator ends or cancels sessions under load", of="checks", ci=20, soak=200)
def test_a_session_an_administrator_ends_is_never_a_wrong_answer(server: Cluster, claim: Any, how: str) -> None:
    """Ended every few milliseconds, whatever it is doing: what was heard is what stands, and asked again it is answered."""
    shown = claim("I5")
    url = server.url("risk")
    stop, under_fire, hits = threading.Event(), threading.Event(), 0

    def ending() -> None:
        nonlocal hits
        with server.connect() as connection:
            while not stop.wait(0.005):
                if not under_fire.is_set():
                    continue
                found = connection.execute(
                    f"SELECT count({how}(pid)) FROM pg_stat_activity "  # noqa: S608 - one of two names
                    "WHERE datname = 'risk' AND application_name = 'riskguard'"
                ).fetchone()
                hits += found[0] if found else 0

    with guarding(url) as guard:
        assert asked(guard, order("warm")) == APPROVED
        admin = threading.Thread(target=ending)
        admin.start()
        try:
            for name in (f"o{number}" for number in range(shown.figure)):
                under_fire.set()
                heard = asked(guard, order(name))
                under_fire.clear()
                said = wrong(url, name, heard)
                again = ask_until_answered(guard, order(name))
                shown.trial(not said and not wrong(url, name, again), said)
        finally:
            stop.set()
            admin.join()
    assert hits > 0


def test_a_held_head_is_busy_in_time_and_free_again(server: Cluster) -> None:
    """Another program keeps the account's row: a check waits its deadline and says so; both sides of the edge."""
    url = server.url("risk")
    with guarding(url, 500) as guard, psycopg.connect(url) as holder:
        assert asked(guard, order("warm")) == APPROVED
        holder.execute("SELECT FROM account_heads WHERE account = 'leader' FOR UPDATE")
        assert codes(guard.check(order("busy"))) == ["STORE_BUSY"]
        holder.rollback()
        eventually(lambda: asked(guard, order("free")) == APPROVED, 30)
