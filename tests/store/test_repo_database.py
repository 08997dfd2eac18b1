"""
Goal: what stands together stands together; nothing is lost between threads, processes and forks; and every failure
has a name, without a value in it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from riskguard.errors import (
    DatabaseMissingError,
    RowInvalidError,
    RowRefusedError,
    SchemaMismatchError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
)
from riskguard.home import state_directories
from riskguard.store import CommitUnknownError, Database, StoreBusyError, halt, open_database
from riskguard.store.gate import gate
from riskguard.store.rows import OrderRow, PositionRow
from riskguard.store.tables.authentication import config
from riskguard.store.tables.control import traders_control
from riskguard.store.tables.orders import orders
from tests.services.desk import PATIENCE_MS
from tests.store import postgres
from tests.store.rows import ORDER, POSITION, T, put
from tests.store.test_repo_orders import order, row


class Undo(Exception):
    """What a program of the user's raises."""


def heads(database: Database) -> int:
    with database.reading() as connection:
        return int(
            connection.execute(sa.text("SELECT version FROM account_heads WHERE account = 'leader'")).scalar() or 0
        )


# -- transactions --------------------------------------------------------------------------------------------------------


def test_a_block_stands_together_or_not_at_all(database: Database) -> None:
    """Calls inside join it; raising undoes all of them; outside each call stands alone."""
    with pytest.raises(Undo), database.transaction():
        database.orders.save_order(order())
        database.config.set("x", 1)
        assert database.orders.get_order("A1") is not None, "a block sees what it wrote"
        raise Undo
    assert database.orders.get_order("A1") is None and database.config.get("x") is None

    with database.transaction():
        database.orders.save_order(order())
        database.config.set("x", 1)
    assert database.orders.get_order("A1") is not None and database.config.get("x") == 1


def test_an_inner_block_that_fails_undoes_its_own_part(database: Database) -> None:
    """Caught outside, the outer block goes on; on PostgreSQL a refused row would otherwise end the transaction."""
    with database.transaction():
        database.orders.save_order(order())
        with pytest.raises(Undo), database.transaction():
            database.orders.save_order(order(id="A2"))
            raise Undo
        with pytest.raises(RowRefusedError):
            database.orders.save_order(order(account_type="follower"))
        database.orders.save_order(order(id="A3"))

    assert [each.id for each in database.orders.get_orders_by_account("leader")] == ["A3", "A1"]


def test_nobody_sees_half_of_it(url: str, database: Database) -> None:
    """Another reader sees the state before until the block has ended."""
    with open_database(url) as other:
        with database.transaction():
            database.orders.save_order(order())
            assert other.orders.get_order("A1") is None
        assert other.orders.get_order("A1") is not None


def test_a_read_block_sees_one_instant_and_cannot_write(url: str, database: Database) -> None:
    """What another one commits meanwhile comes after; a write through it would pass the lock by, and is refused."""
    with open_database(url, deadline_ms=PATIENCE_MS) as other, database.reading() as connection:
        assert database.orders.get_orders_by_account("leader") == []
        other.orders.save_order(order())
        assert database.orders.get_orders_by_account("leader") == []
        with pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.delete(orders))
    with pytest.raises(StoreError), database.reading() as connection:
        connection.execute(sa.delete(orders))
    assert len(database.orders.get_orders_by_account("leader")) == 1


def test_a_head_moves_with_every_order(database: Database) -> None:
    """The very next check of any process hears of it: the tables' triggers hold here as for any writer."""
    before = heads(database)
    if not before and database.dialect == "postgresql":
        with database.transaction() as connection:
            connection.execute(sa.text("INSERT INTO account_heads (account) VALUES ('leader')"))
    database.orders.save_order(order())
    between = heads(database)
    database.orders.update_order_status("A1", "PART_TRADED")

    assert before < between < heads(database)


def test_a_limit_cannot_be_loosened_through_a_transaction(database: Database) -> None:
    """The connection is a plain one, so what plain SQL may not, it may not; and the error says which way out."""
    limit = {"account_type": "leader", "control_type": "RISK_LIMIT", "daily_loss_limit": 100.0, "is_active": 1,
             "created_at": T, "updated_at": T, "limit_id": "mine"}  # fmt: skip
    with database.transaction() as connection:
        number = connection.execute(
            sa.insert(traders_control).values(limit).returning(traders_control.c.id)
        ).scalar_one()
    with pytest.raises(RowRefusedError, match="limits apply"), database.transaction() as connection:
        connection.execute(
            sa.update(traders_control).where(traders_control.c.id == number).values(daily_loss_limit=200.0)
        )

    (found,) = [each for each in database.control.get_limits("leader") if each.limit_id == "mine"]
    assert found.daily_loss_limit == 100


def test_two_tasks_of_one_thread_do_not_share_a_transaction(database: Database) -> None:
    """An `await` inside a block would let another task's rows go down with it: that task is told so."""

    async def main() -> tuple[str, bool]:
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def holds() -> None:
            with pytest.raises(Undo), database.transaction():
                inside.set()
                await go_on.wait()
                raise Undo

        async def writes() -> str:
            await inside.wait()
            try:
                database.orders.save_order(order())
            except StoreError as e:
                return str(e)
            finally:
                go_on.set()
            return "joined"

        _, said = await asyncio.gather(holds(), writes())
        return said, database.orders.get_order("A1") is None

    said, is_absent = asyncio.run(main())
    assert "await" in said and is_absent


# -- threads and processes -------------------------------------------------------------------------------------------------

EACH = 25


def _save_many(url: str, name: str) -> None:
    with open_database(url, deadline_ms=60_000) as database:
        for number in range(EACH):
            with database.transaction():
                database.orders.save_order(order(id=f"{name}-{number}"))
                count = int(database.config.get("counter") or 0)
                database.config.set("counter", count + 1)


def test_threads_lose_nothing(url: str, database: Database) -> None:
    """One `Database`, four threads, each reading and writing a counter in a block: all of it is there."""
    database.deadline_s = 60
    database.config.set("counter", 0)
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(EACH):
                with database.transaction() as connection:
                    if database.dialect == "postgresql":
                        # There the lock is a row's: taken before it is read, as any reader-writer must.
                        connection.execute(sa.select(config).where(config.c.key == "counter").with_for_update())
                    database.orders.save_order(order(id=f"{name}-{number}"))
                    database.config.set("counter", int(database.config.get("counter")) + 1)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert database.config.get("counter") == 4 * EACH
    assert len(database.orders.get_orders_by_account("leader", limit=1000)) == 4 * EACH


def test_processes_lose_nothing(sqlite_url: str) -> None:
    """Two processes read and write a counter in blocks that hold the write lock: no increment is lost."""
    with open_database(sqlite_url) as database:
        database.config.set("counter", 0)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_save_many, args=(sqlite_url, f"p{number}")) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0

    with open_database(sqlite_url) as database:
        assert database.config.get("counter") == 2 * EACH
        assert len(database.orders.get_orders_by_account("leader", limit=1000)) == 2 * EACH


def test_negative_control_reading_outside_the_block_loses_increments(sqlite_url: str) -> None:
    """The same counter, read before the block begins: the other's increment is overwritten."""
    with open_database(sqlite_url) as one, open_database(sqlite_url) as two:
        one.config.set("counter", 0)
        seen = (one.config.get("counter"), two.config.get("counter"))
        one.config.set("counter", seen[0] + 1)
        two.config.set("counter", seen[1] + 1)
        assert one.config.get("counter") == 1


def _in_a_child(work: Callable[[], int]) -> int:
    """Fork, do *work* in the child, and return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_opens_its_own(database: Database) -> None:
    """Both go on writing; nothing of the parent's is closed or lost."""
    database.orders.save_order(order())

    def work() -> int:
        database.orders.save_order(order(id="child"))
        return 0 if database.orders.get_order("A1") is not None else 1

    assert _in_a_child(work) == 0
    database.orders.save_order(order(id="parent"))
    assert {each.id for each in database.orders.get_orders_by_account("leader")} == {"A1", "child", "parent"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_inside_a_block_leaves_it_to_the_parent(database: Database) -> None:
    """The child neither commits nor undoes it, and is told; the parent's block stands."""
    status = 98
    try:
        with database.transaction():
            database.orders.save_order(order())
            child = os.fork()
            if child:
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except StoreUnavailableError as e:
        os._exit(7 if "forked" in str(e) else 8)

    assert status == 7
    assert database.orders.get_order("A1") is not None


def test_a_version_3_writer_beside(path: Path, sqlite_url: str) -> None:
    """Its REPLACE and our saves meet in one row; our columns stay, its events stay, and its new words are read."""
    v3 = sqlite3.connect(path)
    with open_database(sqlite_url, deadline_ms=PATIENCE_MS) as database:
        database.orders.save_order(order(client_order_id="c-1", source="guard"))
        put(v3, "orders", {**ORDER, "status": "OPEN"}, verb="INSERT OR REPLACE")
        put(v3, "order_events", {"order_id": "A1", "event_type": "PLACED", "event_ts": T, "sequence": 1})
        v3.commit()
        database.orders.save_order(order(status="PARTIAL"))

        found = database.orders.get_order("A1")
        assert found is not None and (found.client_order_id, found.source, found.status) == ("c-1", "guard", "PARTIAL")
        assert [each.event_type for each in database.orders.get_order_events("A1")] == ["PLACED"]

        v3.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError), database.transaction(deadline_s=0.01):
            pass
        assert database.orders.get_order("A1") == found, "a writer does not keep a reader out"
        v3.execute("ROLLBACK")
        database.orders.save_order(order(id="A2"))
    v3.close()


def test_a_row_as_another_program_left_it_is_read(path: Path, sqlite_url: str) -> None:
    """Unknown words, bytes for text and old shapes come back; what cannot be written is not what can be read."""
    v3 = sqlite3.connect(path)
    put(
        v3, "orders", {**ORDER, "status": "WHO_KNOWS", "product": "MIS", "order_type": "SL-M", "raw_request": b"{\xff}"}
    )
    put(v3, "positions", {**POSITION, "product": None, "position_type": "NET"})
    v3.commit()
    v3.close()
    with open_database(sqlite_url) as database:
        found = database.orders.get_order("A1")
        assert found is not None and (found.status, found.product, found.raw_request) == (
            "WHO_KNOWS",
            "MIS",
            "{\ufffd}",
        )
        (position,) = database.portfolio.get_latest_positions("leader") or []
        assert position.product == ""


# -- failures have names ---------------------------------------------------------------------------------------------------


def test_a_kill_that_asks_writers_to_stand_back_is_obeyed(database: Database, url: str) -> None:
    """While the gate is up a write waits, and gives up at its deadline; reads go on; afterwards writes do."""
    halt.prepare(database._gate_directory)
    with gate(database._gate_directory):
        with pytest.raises(StoreBusyError), database.transaction(deadline_s=0.02):
            raise AssertionError("the gate was passed")
        assert database.orders.get_orders_by_account("leader") == []
    database.orders.save_order(order())


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite:////nowhere/at/all.db", DatabaseMissingError),
        ("mysql://u:hunter2@h/x", SettingsError),
        ("postgresql://u:hunter2@h:port/x", SettingsError),
        ("postgresql://u:hunter2@127.0.0.1:1/x", StoreUnavailableError),
        ("postgresql+asyncpg://u:hunter2@h/x", SettingsError),
        ("postgresql://u@127.0.0.1:1/x?password=hunter2", StoreUnavailableError),
        ("postgresql://u@127.0.0.1:1/x?hunter2=1", StoreUnavailableError),
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(url: str, error: type[Exception]) -> None:
    """One line, typed, and no database is ever created."""
    with pytest.raises(error) as caught:
        open_database(url, deadline_ms=1000)
    assert "hunter2" not in f"{caught.value}{caught.value!r}" and "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__cause__ is None
    assert not Path("/nowhere").exists()


def test_repr_shows_no_password() -> None:
    """A database lands in logs."""
    for url in ("postgresql://u:hunter2@h/x", "postgresql://u@h/x?password=hunter2"):
        assert "hunter2" not in repr(Database(url)) and "//u@h/x" in repr(Database(url))


@pytest.mark.parametrize("kind", ["empty", "text", "foreign", "older"])
def test_a_file_that_is_not_ours_is_not_touched(kind: str, tmp_path: Path) -> None:
    """Empty, no database, another program's, another version."""
    path = tmp_path / "other.db"
    if kind == "text":
        path.write_text("not a database " * 100)
    else:
        with sqlite3.connect(path) as file:
            if kind != "empty":
                file.execute("CREATE TABLE x (y)")
            if kind == "older":
                file.execute("PRAGMA application_id = 0x52474433")
                file.execute("PRAGMA user_version = 3")
        file.close()
    before = path.read_bytes()
    expected = {"empty": DatabaseMissingError, "text": StoreUnavailableError}.get(kind, SchemaMismatchError)
    with pytest.raises(expected):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_an_empty_postgresql_is_not_ours() -> None:
    """Nothing there, and another program's `config`: both are named, neither is filled."""
    with postgres.database() as name:
        url = postgres.server().url(name)
        with pytest.raises(SchemaMismatchError, match="db upgrade"):
            open_database(url)
        with postgres.server().connect(name) as connection:
            connection.execute("CREATE TABLE config (key text, value text)")
        with pytest.raises(SchemaMismatchError):
            open_database(url)


def test_without_the_package_postgresql_says_how_to_get_it() -> None:
    """In a process where psycopg cannot be imported."""
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from riskguard.store import open_database\n"
        "from riskguard.errors import ExtraMissingError\n"
        "try: open_database('postgresql://h/x')\n"
        "except ExtraMissingError as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "riskguard[postgres]" in done.stdout and done.stdout.count("\n") == 1


def test_the_database_says_no_without_the_row(database: Database) -> None:
    """A CHECK, a key and a trigger: the error names the rule, never a value of the row."""
    hidden = "hunter2-in-a-row"
    with pytest.raises(RowRefusedError) as caught, database.transaction() as connection:
        connection.execute(sa.insert(orders).values({**ORDER, "quantity": -5, "raw_request": hidden}))
    assert "quantity" in str(caught.value) and hidden not in f"{caught.value!r}"
    database.orders.save_order(order())
    with pytest.raises(RowRefusedError) as caught, database.transaction() as connection:
        connection.execute(sa.insert(orders).values({**ORDER, "raw_request": hidden}))
    assert "orders" in str(caught.value) and hidden not in f"{caught.value!r}" and caught.value.__cause__ is None


def test_a_statement_of_the_callers_own_that_is_wrong(database: Database) -> None:
    """It is a StoreError, not the driver's."""
    with pytest.raises(StoreError), database.transaction() as connection:
        connection.execute(sa.text("SELECT * FROM nowhere"))
    assert database.orders.get_orders_by_account("leader") == []


def test_a_file_that_is_swapped_or_lost_is_noticed(path: Path, sqlite_url: str, tmp_path: Path) -> None:
    """Another file under the name is opened anew; a lost one is an error, never an answer from memory."""
    with open_database(sqlite_url) as database:
        database.orders.save_order(order())
        database.close()
        spare = tmp_path / "spare.db"
        spare.write_bytes(path.read_bytes())
        assert database.orders.get_order("A1") is not None
        with sqlite3.connect(spare) as file:
            file.execute("DELETE FROM orders")
        file.close()
        os.replace(spare, path)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        assert database.orders.get_order("A1") is None
        path.unlink()
        with pytest.raises(DatabaseMissingError):
            database.orders.get_order("A1")


def test_a_full_disk_writes_nothing(sqlite_url: str) -> None:
    """Said as unavailable, the block is undone, and there is room again afterwards."""
    with open_database(sqlite_url) as database:
        with pytest.raises(StoreUnavailableError), database.transaction() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            for number in range(2000):
                database.orders.save_order(order(id=f"A{number}", raw_request="x" * 4000))
        assert database.orders.get_orders_by_account("leader") == []
        database.orders.save_order(order())


def test_a_commit_that_breaks_is_unknown(sqlite_url: str) -> None:
    """The transaction is gone when COMMIT fails: whether it stands nobody can say, and the caller is told so."""
    database = open_database(sqlite_url)
    with pytest.raises(CommitUnknownError, match="read back"), database.transaction() as connection:
        raw: Any = connection.connection.dbapi_connection
        connection.execute(sa.insert(orders).values(ORDER))

        def lost(_connection: sa.Connection) -> None:
            raw.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")

        sa.event.listen(connection, "commit", lost)
    assert database.orders.get_order("A1") is None, "the connection is fit for use again"
    database.close()


def test_close_may_be_called_twice_and_used_again(database: Database) -> None:
    """The next call opens it anew."""
    database.close()
    database.close()
    database.orders.save_order(order())
    assert database.orders.get_order("A1") is not None


def test_the_file_stays_private(path: Path, sqlite_url: str) -> None:
    """0600, and its -wal and -shm with it."""
    with open_database(sqlite_url) as database:
        database.orders.save_order(order())
        found = [each for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if each.exists()]
        assert len(found) == 3 and all(each.stat().st_mode & 0o777 == 0o600 for each in found)


def test_the_wal_does_not_grow_for_ever(sqlite_url: str, path: Path) -> None:
    """There are no automatic checkpoints, so every so many commits the janitor is called."""
    with open_database(sqlite_url) as database:
        for number in range(150):
            database.orders.save_order(order(id=str(number), raw_request="x" * 100_000))
        assert 0 < os.stat(f"{path}-wal").st_size < 10 * 1024 * 1024


# -- a value is refused before the database is asked ------------------------------------------------------------------------

BAD: list[tuple[str, Any]] = [
    ("quantity", 1.5), ("quantity", True), ("quantity", "5"), ("quantity", 0), ("quantity", 2**63), ("quantity", None),
    ("price", float("nan")), ("price", 1.5), ("price", "nan"), ("price", "inf"), ("price", True), ("price", "1e20"),
    ("price", "9" * 50), ("price", "abc"), ("id", ""), ("id", "  "), ("id", 5), ("id", "a\0b"), ("id", "\ud800"),
    ("account_type", ""), ("account_type", "x" * 65), ("side", "HOLD"), ("side", None), ("status", ""),
    ("created_at", T * 1000), ("created_at", 1.0), ("is_sliced_order", 2), ("is_sliced_order", "true"),
    ("traded_qty", -1), ("leg_type", "ENTRY_LEG"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD, ids=repr)
def test_a_bad_value_is_refused_with_its_column(database: Database, name: str, value: Any) -> None:
    """On making the row, and again on writing a copy nobody checked; nothing is written."""
    with pytest.raises(RowInvalidError, match=rf"`orders\.{name}` = "):
        OrderRow(**{**row(ORDER), name: value})
    with pytest.raises(RowInvalidError, match=rf"`orders\.{name}` = "):
        database.orders.save_order(order().model_copy(update={name: value}))
    assert database.orders.get_orders_by_account("leader") == []


def test_on_the_edge_is_taken(database: Database) -> None:
    """The other side of each bound."""
    edge = order(
        quantity=1, price="899999999999999.9", account_type="x" * 64, created_at=99_999_999_999, traded_qty=0,
        is_sliced_order=1, id="é" * 100,
    )  # fmt: skip
    database.orders.save_order(edge)
    assert database.orders.get_order("é" * 100).is_sliced_order is True  # type: ignore[union-attr]


def test_the_gate_directory_is_the_databases_own(url: str, database: Database) -> None:
    """The same that a kill of this database raises."""
    assert database._gate_directory == state_directories(url)[0]


def test_models_cannot_be_changed_in_place() -> None:
    """A row says what the database said."""
    with pytest.raises(RowInvalidError):
        PositionRow(**row(POSITION)).net_qty = 5  # type: ignore[misc]


def test_order_row_needs_what_the_table_needs() -> None:
    """What is left out is named."""
    with pytest.raises(RowInvalidError, match="is missing"):
        OrderRow(id="A1")  # type: ignore[call-arg]
