"""
Sessions on PostgreSQL: who excludes whom, what a session sees, how long it waits, and what it leaves behind.

Real servers, and where the claim is about processes, real ones; what the network does to a session is in tests/postgres.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from riskguard import admin
from riskguard.core.order import Order
from riskguard.errors import ExtraMissingError, SchemaMismatchError, SettingsError, StoreUnavailableError
from riskguard.home import state_directories
from riskguard.services.wiring import open_guard
from riskguard.store import halt, journal, permits
from riskguard.store.engines import postgresql, postgresql_opening, postgresql_store
from riskguard.store.engines.postgresql_store import PostgresStore, ServerClock
from riskguard.store.engines.sqlite_store import SqliteStore
from riskguard.store.session import BUMP_EPOCH, GLOBAL, Ask, Store, StoreBusyError, WideNeededError
from riskguard.store.spelling import param, prepare, sa, tables
from tests.services.desk import START, Clock, eventually, fill, rulebook
from tests.store import postgres

PATIENCE_MS = 10_000
LEADER, FOLLOWER, APART = "leader", "follower", "apart"
_heads = tables.journal.account_heads.c
EPOCH = prepare(sa.select(_heads.epoch).where(_heads.account == param("account")))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of three accounts: two of one group, one apart."""
    name, directory = postgres.server().create(), tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISKGUARD_HOME", str(directory))
        fill(postgres.server().url(name), directory, accounts=(LEADER, FOLLOWER), group="family")
        fill(postgres.server().url(name), directory, accounts=(APART,))
    return name


@pytest.fixture
def url(template: str, home: Path) -> Iterator[str]:
    name = postgres.server().create(template)
    with plain(postgres.server().url(name)) as connection:
        connection.execute("UPDATE account_heads SET epoch = 0")
    for each in state_directories("postgresql://host/risk"):
        halt.prepare(each)
    yield postgres.server().url(name)
    postgres.server().drop(name)


@pytest.fixture
def stores(url: str) -> Iterator[Callable[..., PostgresStore]]:
    """Open the database as another process would: a connection of its own."""
    made: list[Store] = []

    def store(deadline_ms: int = PATIENCE_MS) -> PostgresStore:
        made.append(Store(url, deadline_ms=deadline_ms))
        return made[-1]  # type: ignore[return-value]

    yield store
    for each in made:
        each.close()


def plain(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True)


# -- which store -------------------------------------------------------------------------------------------------------


def test_the_url_chooses_the_store(url: str, tmp_path: Path) -> None:
    """A file is SQLite, postgresql:// and postgres:// the server; anything else is malformed, and says no password."""
    assert type(Store(f"sqlite:///{tmp_path / 'a.db'}")) is SqliteStore
    assert type(Store(url)) is type(Store(url.replace("postgresql", "postgres", 1))) is PostgresStore
    assert (Store(f"sqlite:///{tmp_path / 'a.db'}").deadline_s, Store(url).deadline_s) == (0.05, 0.25)
    for wrong in ("mysql://root:secret@host/risk", "postgresql://root:secret@host/"):
        with pytest.raises(SettingsError) as said:
            Store(wrong)
        assert "secret" not in str(said.value)


def test_without_the_driver_the_extra_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to install."""
    import sys

    monkeypatch.setitem(sys.modules, "riskguard.store.engines.postgresql_wire", None)

    with pytest.raises(ExtraMissingError, match="riskguard\\[postgres\\]"):
        Store(url)


def test_what_stands_beside_the_database_is_named_by_its_place_alone(home: Path) -> None:
    """Who logs in, and with what, changes nothing: every user of the host notices a server that forgot a halt."""
    one = Store("postgresql://alice:secret@db.example:5432/risk")
    other = Store("postgresql://bob@db.example/risk?connect_timeout=3&riskguard_prepare=on")

    assert one.path == other.path
    assert one.path.parent == home / "postgresql"
    assert Store("postgresql://alice@db.example:5433/risk").path != one.path
    assert Store("postgresql://alice@db.example/other").path != one.path
    assert "secret" not in repr(one.path) + one.place + str(postgresql.parse(one.url))


def test_a_database_that_is_none_of_ours_is_refused(home: Path) -> None:
    """An empty database is no riskguard database; a name nobody has is not reached."""
    with postgres.database() as name:
        empty = Store(postgres.server().url(name), deadline_ms=PATIENCE_MS)
        with pytest.raises(SchemaMismatchError, match="riskguard init"), empty.session():
            pass
    nobody = Store(postgres.server().url("nobody"), deadline_ms=PATIENCE_MS)
    with pytest.raises(StoreUnavailableError, match="does not exist"), nobody.session():
        pass


# -- who excludes whom -------------------------------------------------------------------------------------------------

EXCLUDES = """
    first      second     waits
    -          -          yes
    -          leader     yes
    leader     -          yes
    leader     leader     yes
    leader     follower   yes
    leader     apart      no
    none       leader     no
    none       none       no
    none       -          yes
"""
"""`-` is a wide session, `none` one that decides nothing of any account. Leader and follower are of one group."""

BUSY_MS = 1_500
"""The server gives up at four fifths, and has the fifth to say so in: 40 ms were too few for a machine with neighbours."""


def width(word: str) -> str | None:
    return {"-": None, "none": ""}.get(word, word)


@pytest.mark.parametrize("row", [line.split() for line in EXCLUDES.strip().splitlines()[1:]], ids=" ".join)
def test_who_excludes_whom(row: list[str], stores: Callable[..., PostgresStore]) -> None:
    """While one session is open the other is had at once, or is busy within its deadline and had afterwards."""
    first, second, waits = row
    one, other = stores(), stores(deadline_ms=BUSY_MS)
    with other.session(account=width(second)):
        pass  # connected, so that the deadline is the lock's alone

    with one.session(account=width(first)):
        if waits == "yes":
            began = time.monotonic()
            with pytest.raises(StoreBusyError), other.session(account=width(second)):
                pass
            assert time.monotonic() - began < 5
        else:
            with stores().session(account=width(second)):
                pass
    with stores().session(account=width(second)):
        pass


def test_plain_sql_and_a_session_of_the_account_exclude_each_other(
    url: str, stores: Callable[..., PostgresStore]
) -> None:
    """Whoever writes a table an account reads moves its head, and the session holds that row."""
    with plain(url) as other, stores().session(account=LEADER) as session:
        other.execute("SET lock_timeout = '100ms'")
        kill = (
            "INSERT INTO traders_control (id, account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
            "VALUES (nextval(pg_get_serial_sequence('traders_control', 'id')), 'leader', 'KILL_SWITCH', 'ACTIVE', 1, 1, 1)"
        )
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(kill)
        session.store.roll_back(session)
        other.execute(kill)


def test_a_session_sees_what_was_committed_while_it_waited(stores: Callable[..., PostgresStore]) -> None:
    """The lock is a statement of its own: what the holder wrote is in the heads that come with it, and in every read."""
    one, other = stores(), stores()
    seen: list[int] = []
    with other.session():
        pass
    with one.session(account=LEADER) as session:
        before = session.read_heads(LEADER)[LEADER].epoch
        waiting = threading.Thread(target=lambda: seen.extend(_epochs(other)))
        waiting.start()
        _wait_for_waiter(one)
        session.run(BUMP_EPOCH, of_account=LEADER)
    waiting.join(20)

    assert seen == [before + 1, before + 1]


def _epochs(store: PostgresStore) -> Iterator[int]:
    with store.session(account=LEADER) as session:
        yield session.read_heads(LEADER)[LEADER].epoch  # as it came with the lock
        yield session.read_heads(LEADER)[LEADER].epoch  # as it is read


def _wait_for_waiter(store: PostgresStore) -> None:
    with contextlib.closing(plain(store.url)) as look:
        end = time.monotonic() + 20
        while not look.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:  # type: ignore[index]
            assert time.monotonic() < end, "nobody waits"
            time.sleep(0.005)


def test_nothing_is_left_of_a_session_that_raises(url: str, stores: Callable[..., PostgresStore]) -> None:
    """Rolled back, the lock free, the connection kept; and a block may be rolled back or committed inside."""
    store = stores()
    with pytest.raises(KeyError), store.session() as session:
        session.run(BUMP_EPOCH, of_account=LEADER)
        raise KeyError("anything")
    opened = store.opened
    with store.session() as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 0
        session.run(BUMP_EPOCH, of_account=LEADER)
        store.commit(session)
    with store.session() as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 1
        session.run(BUMP_EPOCH, of_account=LEADER)
        store.roll_back(session)
    with store.session() as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 1
        with pytest.raises(StoreUnavailableError, match="already open"), store.session():
            pass
        session.run(BUMP_EPOCH, of_account=LEADER)
    with store.session() as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 2
    assert store.opened == opened


def test_a_savepoint_takes_back_what_came_after_it(stores: Callable[..., PostgresStore]) -> None:
    """What was written before it stays."""
    store = stores()
    with store.session() as session:
        session.run(BUMP_EPOCH, of_account=LEADER)
        here = session.savepoint()
        session.run(BUMP_EPOCH, of_account=LEADER)
        here.back()
    with store.session() as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 1


# -- what a session asks of the server --------------------------------------------------------------------------------


def _settings(store: PostgresStore, **how: Any) -> dict[str, str]:
    names = ("synchronous_commit", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with store.session(**how) as session:
        return {name: session.connection.execute(f"SHOW {name}").fetchone()[0] for name in names}


def test_only_an_approval_may_be_lost_and_nothing_outlives_a_transaction(
    url: str, stores: Callable[..., PostgresStore]
) -> None:
    """Durable sessions wait for the disk whatever the server's setting is, and never for less than it asks."""
    database = url.partition("?")[0].rpartition("/")[2]
    for setting, durable in (("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")):
        with postgres.server().connect() as connection:
            connection.execute(f"ALTER DATABASE {database} SET synchronous_commit = '{setting}'")
        store = stores()
        assert _settings(store, durable=True)["synchronous_commit"] == durable
        assert _settings(store, durable=False)["synchronous_commit"] == "off"
        with store.session(durable=False) as session:
            connection = session.connection
            session.make_durable()
            session.send()
            assert connection.execute("SHOW synchronous_commit").fetchone()[0] == durable
        # A pooler gives the connection to others: what was set must have gone with the transaction.
        assert connection.execute("SHOW lock_timeout").fetchone()[0] == "0"
        assert connection.execute("SHOW synchronous_commit").fetchone()[0] == setting


def test_what_was_asked_ahead_is_of_after_the_lock(stores: Callable[..., PostgresStore]) -> None:
    """Asked in the message that waits for the lock, it holds what its holder committed meanwhile."""
    ask = journal.asks_known(LEADER, "theirs")
    found: list[Any] = []

    def other() -> None:
        with stores().session(account=LEADER, ahead=[ask]) as session:
            found.append(session.ask(ask))

    with stores().session(account=LEADER) as session:
        waiting = threading.Thread(target=other)
        waiting.start()
        eventually(lambda: bool(_waiting_for_locks(session)), 20)
        journal.append(session, LEADER, "ORDER", {}, START, client_order_id="theirs")
    waiting.join(20)
    assert [row is not None for row in found] == [True]


@pytest.mark.parametrize("how", ["run", "later", "run_many"])
def test_what_was_asked_ahead_is_asked_anew_once_something_was_written(
    stores: Callable[..., PostgresStore], how: str
) -> None:
    """And it is told once: who asks again hears what is so by then."""
    ask: Ask = (EPOCH, {"account": LEADER})
    with stores().session(account=LEADER, ahead=[ask, ask]) as session:
        assert session.ask(ask) == (0,)
        if how == "run_many":
            session.run_many(BUMP_EPOCH, [{"of_account": LEADER}])
        else:
            getattr(session, how)(BUMP_EPOCH, of_account=LEADER)
        assert session.ask(ask) == (1,)
        session.run(BUMP_EPOCH, of_account=LEADER)
        assert session.ask(ask) == (2,)


def test_what_was_left_for_later_is_done_before_anything_else(stores: Callable[..., PostgresStore]) -> None:
    """Before the next question, a savepoint, many rows and the commit; rolled back with all the rest."""
    store = stores()

    def epoch() -> int:
        with store.session(account=LEADER) as session:
            return int((session.row(EPOCH, account=LEADER) or (-1,))[0])

    with store.session(account=LEADER) as session:
        session.later(BUMP_EPOCH, of_account=LEADER)
    assert epoch() == 1
    with store.session(account=LEADER) as session:
        session.later(BUMP_EPOCH, of_account=LEADER)
        mark = session.savepoint()
        session.later(BUMP_EPOCH, of_account=LEADER)
        session.later(BUMP_EPOCH, of_account=LEADER)
        assert session.row(EPOCH, account=LEADER) == (4,)
        session.later(BUMP_EPOCH, of_account=LEADER)
        mark.back()
        session.later(BUMP_EPOCH, of_account=LEADER)
        session.run_many(BUMP_EPOCH, [{"of_account": LEADER}])
        mark.release()
    assert epoch() == 4
    with contextlib.suppress(ZeroDivisionError), store.session(account=LEADER) as session:
        session.later(BUMP_EPOCH, of_account=LEADER)
        raise ZeroDivisionError
    assert epoch() == 4


def test_going_back_leaves_what_was_wrong_behind_and_the_wait_for_the_disk_in_force(
    stores: Callable[..., PostgresStore],
) -> None:
    """A row the database would refuse, written since the mark and never sent; a session that was made durable since."""
    with stores().session(account=LEADER, durable=False) as session:
        mark = session.savepoint()
        session.make_durable()
        session.later(permits.MESSAGE, account=LEADER, kind="KIND OF NOTHING", client_order_id="", at_us=START)
        mark.back()
        assert session.row(EPOCH, account=LEADER) == (0,)
        assert session.connection.execute("SHOW synchronous_commit").fetchone()[0] != "off"


@pytest.mark.parametrize("then", ["question", "commit", "commit by name"])
def test_what_was_left_for_later_and_fails_leaves_nothing(stores: Callable[..., PostgresStore], then: str) -> None:
    """The error is that of a statement, not of a commit that may stand; the session after it is a good one."""
    store = stores()
    made = {"account": LEADER, "kind": "KIND OF NOTHING", "client_order_id": "", "at_us": START}
    with pytest.raises(StoreUnavailableError, match="SQLSTATE 23514"), store.session(account=LEADER) as session:
        session.later(BUMP_EPOCH, of_account=LEADER)
        session.later(permits.MESSAGE, **made)
        if then == "question":
            session.row(EPOCH, account=LEADER)
        elif then == "commit by name":
            store.commit(session)
    opened = store.opened
    with store.session(account=LEADER) as session:
        assert session.row(EPOCH, account=LEADER) == (0,)
    assert store.opened == opened  # on the same connection


def test_what_is_written_into_a_message_is_what_was_meant(stores: Callable[..., PostgresStore]) -> None:
    """Quotes, backslashes, percent signs, line ends and other scripts, in whatever way the server reads literals."""
    said = 'it\'s \\ "q" %s %(a)s; DROP TABLE permits; --\n\t₹ 1 🙂'
    for setting in ("on", "off"):
        store = stores()
        with store.session(account=LEADER) as session:
            session.connection.execute(f"SET LOCAL standard_conforming_strings = {setting}")
            session.later(permits.MESSAGE, account=LEADER, kind="CANCEL", client_order_id=said, at_us=START)
        with store.session(account=LEADER) as session:
            kept = session.connection.execute("SELECT client_order_id FROM order_messages ORDER BY id DESC LIMIT 1")
            assert kept.fetchone() == (said,)


def _waiting_for_locks(session: Any) -> list[Any]:
    found: list[Any] = session.connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall()
    return found


def test_every_wait_is_bounded_at_the_server_too(stores: Callable[..., PostgresStore]) -> None:
    """A check leaves the server no longer than its deadline; whoever stops with the lock in hand loses it in seconds."""
    short = _settings(stores(deadline_ms=1_000), account=LEADER)
    wide = _settings(stores(), wait_s=4.0)

    assert int(short["lock_timeout"].removesuffix("ms")) <= 1_000
    assert short["statement_timeout"] == short["lock_timeout"]
    assert short["idle_in_transaction_session_timeout"] == "2s"
    assert (wide["statement_timeout"], wide["idle_in_transaction_session_timeout"]) == ("30s", "5s")


def test_a_statement_that_never_ends_ends_with_the_deadline(stores: Callable[..., PostgresStore]) -> None:
    """Busy, nothing written, and the next session is had at once on the same connection."""
    store = stores(deadline_ms=1_000)
    began = time.monotonic()
    with pytest.raises(StoreBusyError), store.session(account=LEADER) as session:
        session.run(BUMP_EPOCH, of_account=LEADER)
        session.connection.execute("SELECT pg_sleep(60)")
    assert time.monotonic() - began < 10
    opened = store.opened
    with store.session(wait_s=20) as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 0
    assert store.opened == opened


def test_a_stopped_holder_does_not_stop_a_kill(url: str, stores: Callable[..., PostgresStore]) -> None:
    """SIGSTOP with the lock in hand: the server takes it away, and a wide session that waits gets it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the other process
        with Store(url, deadline_ms=PATIENCE_MS).session(account=LEADER):
            os.write(write, b"!")
            time.sleep(600)
        os._exit(0)
    try:
        os.read(read, 1)
        os.kill(child, signal.SIGSTOP)
        with plain(url) as other, pytest.raises(psycopg.errors.LockNotAvailable):  # the control: it does hold
            other.execute("SELECT 1 FROM account_heads WHERE account = 'leader' FOR UPDATE NOWAIT")
        began = time.monotonic()
        with stores().session(wait_s=60, gated=False):
            pass
        assert time.monotonic() - began < 60
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_person_who_left_a_transaction_open_does_not_stop_a_kill(
    url: str, stores: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """psql and lunch: no timeout of ours is on that connection. A kill sends it away; a check only waits and is busy."""
    monkeypatch.setattr(postgresql_store, "_SEND_AWAY", postgresql_store._SEND_AWAY.replace("5 seconds", "1 seconds"))
    with plain(url) as person:
        person.execute("BEGIN")
        person.execute("UPDATE account_heads SET epoch = epoch WHERE account = 'leader'")
        check = stores(deadline_ms=BUSY_MS)
        with check.session(account=APART):
            pass  # connected, so that the deadline is the lock's alone
        with pytest.raises(StoreBusyError), check.session(account=LEADER):
            pass
        with stores().session(wait_s=60, gated=False):
            pass
        with pytest.raises(psycopg.Error):
            person.execute("COMMIT")


def test_a_kill_keeps_its_place_longer_each_time_it_has_lost_it(
    url: str, stores: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks around leaves the queue: among writers that take their time it would never come to the front."""
    monkeypatch.setattr(postgresql_store, "INSIST_AFTER_S", 0.1)
    asked: list[int] = []
    beginning = postgresql_opening.beginning

    def noted(connection: Any, lock_ms: int, opening: Any) -> str:
        asked.append(lock_ms)
        return beginning(connection, lock_ms, opening)

    monkeypatch.setattr(postgresql_opening, "beginning", noted)
    store = stores()
    with plain(url) as busy:
        busy.execute("BEGIN")
        busy.execute("UPDATE account_heads SET epoch = epoch WHERE account = 'leader'")
        with pytest.raises(StoreBusyError), store.session(wait_s=1.5, gated=False):
            pass
        busy.execute("COMMIT")

    first, second, third, *_ = asked
    assert first <= 100 < second <= 200 < third <= 400  # what opening the connection took comes off the first


@pytest.mark.parametrize("is_first", [True, False], ids=["a kill", "control: as any wide session"])
def test_a_plain_writer_that_comes_after_a_kill_waits_behind_it(
    url: str, stores: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    """It waits for those that were there before it and for nobody else, not even on a row it has not come to yet."""
    monkeypatch.setattr(postgresql_store, "INSIST_AFTER_S", 60.0)
    if not is_first:
        monkeypatch.setattr(postgresql_opening, "_LOCK_FIRST", "SELECT 1")
    through = threading.Event()

    def kill() -> None:
        with stores().session(wait_s=60, gated=False):
            through.set()

    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    late = "UPDATE account_heads SET epoch = epoch WHERE account = 'leader'"
    with plain(url) as before, plain(url) as after:
        before.execute("BEGIN")
        before.execute("UPDATE account_heads SET epoch = epoch WHERE account = 'apart'")
        killing = threading.Thread(target=kill)
        killing.start()
        try:
            eventually(lambda: after.execute(waiting).fetchone() == (1,))
            after.execute("SET lock_timeout = '300ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable) if is_first else contextlib.nullcontext():
                after.execute(late)
            assert not through.is_set()
        finally:
            before.execute("COMMIT")
            killing.join(60)
        assert through.is_set()
        after.execute(late)


# -- a connection that is gone, or refuses ------------------------------------------------------------------------------


def test_a_connection_that_was_cut_since_the_last_session_costs_nothing(
    url: str, stores: Callable[..., PostgresStore]
) -> None:
    """A restart, a failover, a firewall: nothing was asked yet, so it is asked on a new one, and all is read anew."""
    store = stores()
    with store.session():
        pass
    opened = store.opened
    with plain(url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    with store.session(account=LEADER) as session:
        assert LEADER in session.read_heads(LEADER)
    assert store.opened > opened


def test_what_was_cut_inside_a_session_is_not_written(url: str, stores: Callable[..., PostgresStore]) -> None:
    """Nothing of it stands, and it is not tried again behind the caller's back."""
    store = stores()
    with pytest.raises(StoreUnavailableError), store.session() as session:
        session.run(BUMP_EPOCH, of_account=LEADER)
        with plain(url) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (session.connection.info.backend_pid,))
        session.run(BUMP_EPOCH, of_account=LEADER)
    with store.session(wait_s=20) as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 0


def test_a_server_that_is_fenced_off_takes_nothing(url: str, stores: Callable[..., PostgresStore]) -> None:
    """Read-only by default: it stays so, whoever asks; writable again, it is used again."""
    database = url.partition("?")[0].rpartition("/")[2]
    for setting in ("on", "off"):
        with postgres.server().connect() as connection:
            connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = {setting}")
        store = stores()
        if setting == "off":
            with store.session(account=LEADER):
                continue
        with pytest.raises(StoreUnavailableError, match="read-only"), store.session(account=LEADER):
            pass
        with pytest.raises(StoreUnavailableError, match="read-only"), store.session():
            pass


def test_what_the_driver_refuses_costs_no_connection(stores: Callable[..., PostgresStore]) -> None:
    """A NUL character is no text of PostgreSQL: an error of ours, nothing written, the same connection afterwards."""
    store = stores()
    with pytest.raises(StoreUnavailableError), store.session() as session:
        session.run(BUMP_EPOCH, of_account="lea\0der")
    opened = store.opened
    with store.session(account=LEADER):
        pass
    assert store.opened == opened


# -- the clock -----------------------------------------------------------------------------------------------------------


def test_what_is_stored_is_dated_by_the_server(url: str, stores: Callable[..., PostgresStore]) -> None:
    """Two hosts whose clocks differ write the same time: what it is after the lock, at the server."""
    store = stores()
    assert isinstance(store.clock, ServerClock)
    store.clock._host.now_us = lambda: time.time_ns() // 1000 - 3_600_000_000  # type: ignore[method-assign]
    with store.session():
        dated = store.clock.now_us()

    assert abs(dated - time.time_ns() // 1000) < 5_000_000
    assert store.skew_us > 3_500_000_000


def test_a_host_whose_clock_is_wrong_adds_no_risk(url: str) -> None:
    """Beyond two seconds only what reduces passes, and the reason is named; set right, it passes again."""
    with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
        clock: ServerClock = guard.clock  # type: ignore[assignment]
        real = clock._host.now_us
        codes = []
        for off_us in (0, 60_000_000, 0):
            clock._host.now_us = lambda off_us=off_us: real() + off_us  # type: ignore[method-assign]
            guard.state(LEADER)  # hears the server
            codes.append({cause.code for cause in guard.state(LEADER).causes})

        assert ["CLOCK_SKEW" in each for each in codes] == [False, True, False]


def test_an_explicit_clock_governs(url: str) -> None:
    """Who builds a guard on a clock of their own keeps it: no skew is said, and nothing is dated by the server."""
    clock = Clock(START)
    with open_guard(url, sweep=False, clock=clock, deadline_ms=PATIENCE_MS) as guard:
        assert guard.clock is clock
        decision = guard.check(_order())
        assert decision.decided_at_us == START
        assert "CLOCK_SKEW" not in {cause.code for cause in guard.state(LEADER).causes}


def _order(account: str = LEADER) -> Order:
    return Order(
        account=account, exchange_segment="NSE_EQ", security_id="1333", side="BUY", product="INTRADAY",
        order_type="LIMIT", quantity=1, price="100",
    )  # fmt: skip


# -- a server that forgot ------------------------------------------------------------------------------------------------


def test_a_server_that_forgot_a_halt_is_noticed_by_every_host_that_saw_it(url: str, tmp_path: Path) -> None:
    """The number of latches is kept on each host that looked, not only on the one that killed."""
    with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
        guard.kill(APART, by="desk", reason="a test")
    other_home = tmp_path / "other"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISKGUARD_HOME", str(other_home))
        for each in state_directories(url):
            halt.prepare(each)
        with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
            assert "GENERATION_AHEAD" not in {cause.code for cause in guard.state(LEADER).causes}
        with plain(url) as server:
            server.execute("UPDATE account_heads SET generation = 0 WHERE account = 'GLOBAL'")
        with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
            assert "GENERATION_AHEAD" in {cause.code for cause in guard.state(LEADER).causes}
            assert not guard.check(_order()).approved
        # The control: a host that never looked cannot know.
        patch.setenv("RISKGUARD_HOME", str(tmp_path / "third"))
        for each in state_directories(url):
            halt.prepare(each)
        with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
            assert "GENERATION_AHEAD" not in {cause.code for cause in guard.state(LEADER).causes}


# -- fork and threads ----------------------------------------------------------------------------------------------------


def test_a_forked_child_leaves_its_parents_session_alone(stores: Callable[..., PostgresStore]) -> None:
    """The child opens its own connection and ends; the parent's open transaction goes on and commits."""
    store = stores()
    with store.session(account=APART) as session:
        session.run(BUMP_EPOCH, of_account=APART)
        child = os.fork()
        if child == 0:  # pragma: no cover - the other process
            with contextlib.suppress(BaseException):
                with store.session(account=LEADER) as own:
                    own.run(BUMP_EPOCH, of_account=LEADER)
                store.close()
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    with store.session() as session:
        heads = session.read_heads(GLOBAL)
        assert (heads[APART].epoch, heads[LEADER].epoch) == (1, 1)


def test_threads_take_turns(stores: Callable[..., PostgresStore]) -> None:
    """One session at a time of one store: nothing of theirs is mixed, and nothing is lost."""
    store = stores()

    def bump() -> None:
        for _ in range(10):
            with store.session(account=LEADER) as session:
                session.run(BUMP_EPOCH, of_account=LEADER)

    threads = [threading.Thread(target=bump) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    with store.session() as session:
        assert session.read_heads(LEADER)[LEADER].epoch == 40


# -- what concerns others ------------------------------------------------------------------------------------------------


def test_what_concerns_others_is_done_in_a_wide_session(url: str) -> None:
    """A kill by plain SQL over everything, met by a check of one account, is followed for every account at once."""
    with plain(url) as server, open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
        guard.check(_order())
        server.execute(
            "UPDATE traders_control SET kill_switch_status = 'ACTIVE' WHERE account_type = 'GLOBAL' "
            "AND control_type = 'KILL_SWITCH' AND is_active = 1"
        )
        assert not guard.check(_order()).approved
        accounts = {row[0] for row in server.execute("SELECT DISTINCT account FROM kill_runs").fetchall()}
        assert accounts == {LEADER, FOLLOWER, APART}


def test_a_session_of_one_account_says_when_it_needs_all(stores: Callable[..., PostgresStore]) -> None:
    """`need_wide` raises in a narrow session and nothing else."""
    store = stores()
    with store.session() as session:
        session.need_wide()
    with pytest.raises(WideNeededError), store.session(account=LEADER) as session:
        session.need_wide()


def test_a_sum_over_all_accounts_is_decided_alone(url: str) -> None:
    """An account under a limit that sums over everybody takes the wide lock; the others, who are not, do not."""
    wide = 'check = "open_order_value"\nscope = "GLOBAL"\nopen_order_value_inr_max = "50000"'
    with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
        guard.state(APART)
        admin.apply_rulebook(guard.store, rulebook(everybodys_value=wide), account=LEADER, by="desk", reason="a test")
        for name in (LEADER, FOLLOWER, APART):
            guard.check(_order(name))
        assert {name: guard.kept.width(name) for name in (LEADER, FOLLOWER, APART)} == {
            LEADER: None, FOLLOWER: FOLLOWER, APART: APART,
        }  # fmt: skip


# -- what is foreseen -----------------------------------------------------------------------------------------------------


def epoch_of(account: str) -> Ask:
    return EPOCH, {"account": account}


def test_what_was_foreseen_is_told_once_and_in_its_own_words(stores: Callable[..., PostgresStore]) -> None:
    """Each answer goes to its own question, in whatever order they are asked; asked twice, it is asked of the server."""
    store = stores()
    with store.session() as session:
        session.run(BUMP_EPOCH, of_account=FOLLOWER)
        session.foresee([epoch_of(LEADER), epoch_of(FOLLOWER), epoch_of("nobody")])
        assert session.ask(epoch_of("nobody")) is None
        assert (session.ask(epoch_of(FOLLOWER)), session.ask(epoch_of(LEADER))) == ((1,), (0,))
        session.connection.execute("UPDATE account_heads SET epoch = 7")  # behind the session's back
        assert session.ask(epoch_of(FOLLOWER)) == (7,)
        store.roll_back(session)


def test_a_write_ends_what_was_foreseen(stores: Callable[..., PostgresStore]) -> None:
    """What is read after a write has it; and what was left for later is written before anything is foreseen."""
    store = stores()
    with store.session() as session:
        session.foresee([epoch_of(LEADER)])
        session.run(BUMP_EPOCH, of_account=LEADER)
        assert session.ask(epoch_of(LEADER)) == (1,)
        session.later(BUMP_EPOCH, of_account=LEADER)
        session.foresee([epoch_of(LEADER)])
        session.foresee([])
        assert session.ask(epoch_of(LEADER)) == (2,)
        store.roll_back(session)
