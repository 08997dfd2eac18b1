"""
The kill switch: whatever the machine does, a kill halts, or says that it did not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.state import TradingState
from riskguard.errors import KillNotTakenError
from riskguard.services.kill import killswitch
from riskguard.services.kill.killswitch import HALTED, HALTED_HERE, NOT_HALTED, engage
from riskguard.store import halt, journal
from riskguard.store.engines import postgresql_look
from riskguard.store.engines.sqlite_store import SqliteStore
from riskguard.store.generation import read_generation
from riskguard.store.session import Store
from tests.core.tables import Row, table
from tests.reliability.actors import Actor, acting
from tests.services.desk import ACCOUNT, Desk


@pytest.fixture
def two(make_desk: Callable[..., Desk]) -> Desk:
    made = make_desk(accounts=(ACCOUNT, "follower"))
    made.sweep()
    return made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row waits for the lock as long as a test has time."""
    monkeypatch.setattr(killswitch, "LOCK_WAIT_S", 0.3)


# -- what a kill writes -----------------------------------------------------------------------------------------------


def test_a_kill_is_on_disk_in_every_place(desk: Desk) -> None:
    """Two flags, one row of version 3 columns, epoch, journal, run with plan and deadline, GENERATION."""
    before = desk.one("SELECT epoch FROM account_heads WHERE account = 'leader'")
    outcome = desk.kill(plan="flatten")

    assert (outcome.exit_status, outcome.scope, outcome.accounts) == (HALTED, "ACCOUNT:leader", ("leader",))
    assert {path.parent for path in outcome.flags} == {each / halt.HALT for each in desk.store.directories}
    assert json.loads(outcome.flags[0].read_text())["reason"] == "fat finger"
    assert desk.rows(
        "SELECT kill_switch_status, is_active, activated_by, reason, limit_id, check_name, scope, action_id "
        "FROM traders_control WHERE account_type = 'leader' AND control_type = 'KILL_SWITCH' ORDER BY id DESC LIMIT 1"
    ) == [("ACTIVE", 1, "desk", "fat finger", None, None, None, None)]
    assert desk.one("SELECT epoch FROM account_heads WHERE account = 'leader'") == before + 1
    ((plan, state, step, started_us, deadline_us),) = desk.rows(
        "SELECT kill_plan, state, step, started_at_us, deadline_us FROM kill_runs"
    )
    assert (plan, state, step) == ("flatten", "OPEN", "CANCEL") and deadline_us > started_us == desk.clock.now_us()
    assert read_generation(desk.path) == 1
    with desk.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def test_a_repeated_kill_always_appends(desk: Desk) -> None:
    """Nobody is told "it is halted already": every kill has its flag, its row, its run and its journal entry."""
    for number in range(1, 4):
        assert desk.kill(reason=f"reason {number}").exit_status == HALTED
        assert desk.one("SELECT count(*) FROM kill_runs") == number
        assert len(desk.flags()) == len(desk.store.directories) * number
    assert desk.rows(
        "SELECT reason, is_active FROM traders_control WHERE account_type = 'leader' AND kill_switch_status = 'ACTIVE' "
        "ORDER BY id"
    ) == [("reason 1", 0), ("reason 2", 0), ("reason 3", 1)]
    assert desk.one("SELECT count(*) FROM decisions WHERE kind = 'KILL'") == 3


SCOPES = table("""
    named      scope            leader   follower  runs
    leader     ACCOUNT:leader   HALTED   ACTIVE    leader
    -          GLOBAL           HALTED   HALTED    follower,leader
    laeder     GLOBAL           HALTED   HALTED    follower,leader
    Leader     GLOBAL           HALTED   HALTED    follower,leader
    GLOBAL     GLOBAL           HALTED   HALTED    follower,leader
    a/../b     GLOBAL           HALTED   HALTED    follower,leader
""")


@pytest.mark.parametrize("row", SCOPES, ids=str)
def test_who_is_halted(two: Desk, row: Row) -> None:
    """No account, or one that does not exist, halts everything and says so: a slip must not leave the right one trading."""
    from riskguard.services.sweeps.sweeper import Sweeper

    Sweeper(two.guard, "follower", two.join_market("follower")).sweep()
    outcome = two.kill(row.opt("named"))

    assert (outcome.exit_status, outcome.scope) == (HALTED, row.scope)
    assert ",".join(sorted(outcome.accounts)) == row.runs
    assert ("everything is halted" in outcome.note) == (row.scope == "GLOBAL" and row.opt("named") is not None)
    for name, state in (("leader", row.leader), ("follower", row.follower)):
        assert two.guard.state(name).state.name == state
        assert two.guard.check(two.order(account=name)).approved == (state == "ACTIVE")


def test_a_kill_is_seen_by_every_open_guard_at_once(desk: Desk) -> None:
    """Also by one that has just approved from what it keeps, and by one that opens afterwards."""
    other = desk.another_guard()
    assert desk.guard.check(desk.order()).approved and other.check(desk.order()).approved
    engage(desk.url, ACCOUNT, by="desk", reason="from outside", clock=desk.clock)

    for guard in (desk.guard, other, desk.another_guard()):
        assert [each.code.value for each in guard.check(desk.order()).rejects] == ["TRADING_HALTED"]


def test_the_row_alone_halts_and_the_flag_alone_halts(desk: Desk) -> None:
    """Each is enough: the safer one wins."""
    outcome = desk.kill()
    for flag in outcome.flags:
        flag.unlink()
    assert not desk.guard.check(desk.order()).approved  # the row
    second = halt.raise_flag(desk.store.directories, "ACCOUNT:leader", "f", "")
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    assert len(second) == len(desk.store.directories)


def test_many_kills_at_once_all_take(desk: Desk) -> None:
    """Eight threads: eight ids, eight rows, a chain that verifies, a generation that counted each."""
    outcomes: list[Any] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(engage(desk.url, ACCOUNT, by="t", clock=desk.clock)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [each.exit_status for each in outcomes] == [HALTED] * 8
    assert desk.one("SELECT count(DISTINCT kill_id) FROM kill_runs") == 8
    assert read_generation(desk.path) == 8
    with desk.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None


def test_a_kill_somebody_adopted_first_is_one_kill(desk: Desk) -> None:
    """A check saw the flag before its kill reached the database: the row is there once, and the kill says halted."""
    raised = killswitch.raise_flags(desk.url, ACCOUNT, by="desk", reason="slow", plan="cancel")
    assert not desk.guard.check(desk.order()).approved
    outcome = engage(desk.url, ACCOUNT, by="desk", reason="slow", raised=raised, clock=desk.clock)

    assert outcome.exit_status == HALTED
    assert desk.one("SELECT count(*) FROM kill_runs") == 1


# -- the connection that is open already ---------------------------------------------------------------------------------


@contextlib.contextmanager
def no_other_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Refuse every further connection, and note who wanted one."""
    asked: list[str] = []

    def refuse(who: str) -> Callable[..., Any]:
        def wants(*_arguments: Any, **_options: Any) -> Any:
            asked.append(who)
            raise OSError("no further connection")

        return wants

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", refuse("sqlite3"))
        patched.setattr(postgresql_look, "names", refuse("a look at the server"))
        patched.setattr(Store, "__init__", refuse("a store"))
        yield asked


@pytest.mark.parametrize("name", [ACCOUNT, "nobody", None])
def test_a_process_that_is_connected_kills_on_that_connection(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """Name, row and journal without a connection more; a name nobody has still halts everything."""
    assert desk.guard.check(desk.order()).approved
    with no_other_connection(monkeypatch) as asked:
        outcome = desk.kill(name)

    assert (outcome.exit_status, asked) == (HALTED, [])
    assert outcome.scope == ("ACCOUNT:leader" if name == ACCOUNT else "GLOBAL")
    assert desk.rows("SELECT kill_id FROM kill_runs") == [(outcome.kill_id,)]
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    with desk.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None


def test_a_group_is_killed_on_the_connection_that_is_open(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All flags, then all rows, and none of it opens another."""
    desk = make_desk(accounts=(ACCOUNT, "follower"), group="family")
    desk.guard.check(desk.order())
    with no_other_connection(monkeypatch) as asked:
        outcomes = killswitch.engage_group(desk.store, "family", by="desk", reason="all of them", clock=desk.clock)

    assert [(each.scope, each.exit_status) for each in outcomes] == [
        ("ACCOUNT:follower", HALTED),
        ("ACCOUNT:leader", HALTED),
    ]
    assert asked == []


def never_opened(desk: Desk) -> None:
    desk.store.close()


def broken(desk: Desk) -> None:
    """Not by us: the driver's connection is closed, or the server's session over."""
    if isinstance(desk.store, SqliteStore):
        assert desk.store._held is not None
        desk.store._held.close()
    else:
        kept = desk.store._wire.kept()  # type: ignore[attr-defined]
        assert kept is not None
        kept.pgconn.finish()


def in_a_transaction(desk: Desk) -> None:
    """Left open, by whatever fault: nothing may be written into it, or be committed with it."""
    if isinstance(desk.store, SqliteStore):
        assert desk.store._held is not None
        desk.store._held.execute("BEGIN")
    else:
        desk.store._session = object()  # type: ignore[attr-defined]


@pytest.mark.parametrize("trouble", [never_opened, broken, in_a_transaction])
def test_where_that_connection_is_of_no_use_a_kill_has_its_own(desk: Desk, trouble: Callable[[Desk], None]) -> None:
    """The account alone is halted, its row stands: as if nothing had been open."""
    assert desk.guard.check(desk.order()).approved
    trouble(desk)
    outcome = desk.kill()

    assert (outcome.exit_status, outcome.scope, outcome.note) == (HALTED, "ACCOUNT:leader", "")
    assert desk.one("SELECT count(*) FROM kill_runs") == 1


def test_a_thread_that_has_the_connection_holds_no_kill_up(desk: Desk) -> None:
    """It may itself wait behind the kill's gate: the kill has a connection of its own, and neither waits for the other."""
    assert desk.guard.check(desk.order()).approved
    kept, done = threading.Event(), threading.Event()

    def keep() -> None:
        with desk.store.at_hand() as is_idle:
            assert is_idle
            kept.set()
            done.wait(60)

    thread = threading.Thread(target=keep)
    thread.start()
    assert kept.wait(30)
    outcome = desk.kill()
    is_alive = thread.is_alive()
    done.set()
    thread.join()

    assert outcome.exit_status == HALTED and is_alive
    assert not desk.guard.check(desk.order()).approved


@pytest.mark.sqlite_only("what another process does to a file")
def test_a_file_that_was_replaced_is_not_killed_through_the_old_connection(desk: Desk) -> None:
    """The row goes to the database that is there now: nobody else looks into the old one."""
    assert desk.guard.check(desk.order()).approved
    copy = desk.path.with_suffix(".copy")
    with contextlib.closing(sqlite3.connect(desk.path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = WAL")
    for each in ("-wal", "-shm"):
        Path(f"{desk.path}{each}").unlink(missing_ok=True)
    os.replace(copy, desk.path)
    outcome = desk.kill()

    assert (outcome.exit_status, outcome.scope) == (HALTED, "ACCOUNT:leader")
    assert desk.one("SELECT count(*) FROM kill_runs") == 1


def test_until_the_flag_is_on_disk_only_the_standard_library_is_needed(desk: Desk) -> None:
    """A broken installation must not be able to stop a kill."""
    script = (
        "import sys; from riskguard.services.kill import killswitch as k; "
        "k.raise_flags(sys.argv[1], 'leader', by='a', reason='b', plan='cancel'); "
        "print(sorted({n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names) - {'riskguard', '__main__'}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", script, desk.url], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(Path(killswitch.__file__).parents[2])})  # fmt: skip

    assert done.stdout.strip() == "[]"
    # Where the database is asked through a package that is not there, everything is halted besides.
    assert {halt.parse_flag(each.name)[0] for each in desk.flags()} >= {"ACCOUNT:leader"}
    assert len(desk.flags()) == 2


# -- exit statuses --------------------------------------------------------------------------------------------------


def gone(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def junk(path: Path) -> None:
    path.unlink()
    path.write_bytes(os.urandom(20_000))


def corrupt(path: Path) -> None:
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def another_version(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def without_tables(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE kill_runs")


def no_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


FAULTS: dict[str, Callable[[Path], None]] = {
    each.__name__: each
    for each in (gone, empty, junk, corrupt, another_version, without_tables, no_directory, a_directory)
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_without_a_usable_database_the_flag_halts_this_host(desk: Desk, fault: str) -> None:
    """Exit status 5, a flag that stands, no database made, and three running processes that approve nothing."""
    desk.store.close()
    with acting(3, "asker", desk.url, at_us=desk.clock.now_us(), deadline_ms=200) as askers:
        for asker in askers:
            assert asker.ask()["approved"]  # the control: a moment before, each of them approved
        FAULTS[fault](desk.path)
        outcome = engage(desk.url, ACCOUNT, by="desk", reason="no database", clock=desk.clock)
        answers = [asker.ask() for asker in askers]

    assert outcome.exit_status == HALTED_HERE and outcome.flags
    assert [answer["approved"] for answer in answers] == [False] * 3
    if fault in ("gone", "no_directory"):
        assert not desk.path.exists()
    found = halt.standing(tuple(str(each / halt.HALT) for each in desk.store.directories))
    assert found is None or any(halt.parse_flag(name)[1] == outcome.kill_id for name in found)


@pytest.mark.usefixtures("impatient")
@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_stopped_process_that_holds_the_lock_cannot_stop_a_kill(desk: Desk) -> None:
    """The flag halts every process now; the row is written by the first check after the lock is free."""
    with acting(3, "asker", desk.url, at_us=desk.clock.now_us(), deadline_ms=50) as askers:
        assert all(asker.ask()["approved"] for asker in askers)
        with contextlib.closing(Actor("locker", desk.url)) as locker:
            assert locker.hear() == {"ready": True}
            locker.stop()
            outcome = engage(desk.url, ACCOUNT, by="desk", reason="locked", clock=desk.clock)
            assert outcome.exit_status == HALTED_HERE and len(outcome.flags) == 2
            assert not any(asker.ask()["approved"] for asker in askers)
            assert desk.one("SELECT count(*) FROM kill_runs") == 0
        answers = [asker.ask() for asker in askers]

    assert [answer["codes"] for answer in answers] == [["TRADING_HALTED"]] * 3
    assert desk.rows("SELECT kill_id, cause FROM kill_runs") == [(outcome.kill_id, "FLAG_FILE")]


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_kill_that_took_nowhere_says_so(desk: Desk, home: Path) -> None:
    """No flag can be put and there is no database: 4, in words nobody can misread, and an exception in a program."""
    for directory in desk.store.directories:
        shutil.rmtree(directory / halt.HALT)
        (directory / halt.HALT).touch()  # a file where the directory should be
    desk.store.close()
    desk.path.unlink()
    outcome = engage(desk.url, ACCOUNT, by="desk", reason="nowhere", clock=desk.clock)

    assert (outcome.exit_status, outcome.flags, outcome.halted) == (NOT_HALTED, (), False)
    assert outcome.report().startswith("NOT HALTED")
    with pytest.raises(KillNotTakenError, match="NOT HALTED"):
        desk.kill()


def test_a_kill_without_flags_halts_by_its_row(desk: Desk) -> None:
    """The directories take nothing, the database does: halted, and the missing directories halt besides."""
    for directory in desk.store.directories:
        shutil.rmtree(directory / halt.HALT)
        (directory / halt.HALT).touch()
    outcome = desk.kill()

    assert (outcome.exit_status, outcome.flags) == (HALTED, ())
    assert desk.one("SELECT count(*) FROM kill_runs") == 1


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_does_not_hold_the_flag_up(desk: Desk) -> None:
    """The account can be looked up beside the lock, so nothing but it is halted."""
    with desk.locked():
        outcome = engage(desk.url, ACCOUNT, by="desk", reason="locked", clock=desk.clock)

    assert (outcome.exit_status, outcome.scope) == (HALTED_HERE, "ACCOUNT:leader")
    assert outcome.report().startswith("HALTED ON THIS HOST ONLY")


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_an_account_that_cannot_be_looked_up_halts_everything(desk: Desk) -> None:
    """The database is gone: whether `leader` was a slip nobody can say."""
    desk.store.close()
    desk.path.unlink()
    outcome = engage(desk.url, ACCOUNT, by="desk", reason="gone", clock=desk.clock)

    assert outcome.scope == "GLOBAL" and "could not be looked up" in outcome.note


def test_a_kill_arms_the_directories_again(desk: Desk) -> None:
    """The spares it used are made anew for the next one."""
    for directory in desk.store.directories:
        for spare in (directory / halt.ARMED).iterdir():
            spare.unlink()
    desk.kill()

    assert {len(list((each / halt.ARMED).iterdir())) for each in desk.store.directories} == {halt.SPARES}


# -- behind the gate ------------------------------------------------------------------------------------------------


@pytest.fixture
def spinning(desk: Desk) -> Iterator[list[int]]:
    """A thread that commits without a pause through its own store, standing back only for a gate."""
    counted, stop = [0], threading.Event()

    def spin() -> None:
        store = Store(desk.url, deadline_ms=5_000)
        with contextlib.closing(store):
            while not stop.is_set():
                with store.session(durable=True) as session:
                    session.connection.execute(
                        "UPDATE account_heads SET version = version + 1 WHERE account = 'leader'"
                    )
                counted[0] += 1

    thread = threading.Thread(target=spin)
    thread.start()
    yield counted
    stop.set()
    thread.join()


def test_the_row_is_written_while_another_writes_without_a_pause(desk: Desk, spinning: list[int]) -> None:
    """Ten kills in a row take; the writer went on in between. Many processes: `tests/reliability`."""
    for _ in range(10):
        assert engage(desk.url, ACCOUNT, by="desk", reason="flood", clock=desk.clock).exit_status == HALTED

    assert desk.one("SELECT count(*) FROM kill_runs") == 10
    assert spinning[0] > 0
    assert not any(list((each / halt.GATE).iterdir()) for each in desk.store.directories)
