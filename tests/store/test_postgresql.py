"""
The schema on PostgreSQL: how it comes into an empty database, that it is the declared one, and what only this database
has: transactions that see each other, roles, TRUNCATE.

What both databases hold is in `test_held`; the defects and the views are in `test_same_on_both`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from riskguard.errors import ExtraMissingError, RiskGuardError, SettingsError, StoreUnavailableError, UpgradeError
from riskguard.locate import folder
from riskguard.services.server import upgrade
from riskguard.store import catalog
from riskguard.store.engines import postgresql
from riskguard.store.snapshot import postgresql_text, statements_of
from riskguard.store.tables import metadata
from riskguard.store.tables.authentication import CONFIG_ROWS
from riskguard.store.triggers.postgresql import FUNCTION_PREFIX
from riskguard.store.views import VIEWS
from tests.core.tables import Row, table
from tests.store import postgres
from tests.store.declared import declared, differences
from tests.store.held import LATCHED, REFUSED, Postgres, act, close, head, insert, rolled_back, row_of, seed

LOOSEN: Final = "UPDATE traders_control SET order_value_limit = 2000 WHERE limit_id = 'all' AND account_type = 'leader'"
WAIT_S_MAX: Final = 60


@pytest.fixture
def empty() -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with postgres.database() as name:
        yield postgres.server().url(name)


@pytest.fixture
def risk() -> Iterator[str]:
    """The URL of a database of version 4."""
    with postgres.like(upgrade) as name:
        yield postgres.server().url(name)


@pytest.fixture
def held() -> Iterator[Postgres]:
    with rolled_back() as made:
        seed(made)
        yield made


@contextmanager
def opened(url: str) -> Iterator[Postgres]:
    """A connection of its own, in a transaction; committed by the test or taken back."""
    with psycopg.connect(url) as connection:
        yield Postgres(connection)
        connection.rollback()


def holds(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [
            row[0]
            for row in connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        ]


# -- the schema is the declared one ---------------------------------------------------------------------------------


def test_snapshot_is_the_declaration() -> None:
    """`schema/postgresql.sql` is generated, never edited; until the first release the base version is the same text."""
    text = postgresql_text()

    assert (folder("schema") / "postgresql.sql").read_text() == text
    assert (folder("schema") / "versions" / "0001_v4.postgresql.sql").read_text() == text


def test_the_text_is_split_where_a_statement_ends() -> None:
    """A function holds semicolons of its own; nothing is lost, and a text that was cut off is noticed."""
    text = postgresql_text()
    found = statements_of(text)

    assert all(each.startswith(("CREATE ", "REVOKE ")) for each in found)
    written = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))
    assert "".join(f"{each};".replace("\n", "") for each in found) == written.replace("\n", "")
    with pytest.raises(ValueError, match="within a statement"):
        statements_of(text[: text.index("END IF;") + 8])


def test_migrations_give_what_is_declared(risk: str) -> None:
    """Tables, columns, types, nullability, defaults, keys, checks and indexes, by reflection; each change is noticed."""
    with postgresql.connect(risk) as connection, connection.begin():
        assert len(declared(connection.dialect)) > 1000
        assert differences(connection) == []
        for statement, noticed in (
            ("ALTER TABLE orders ADD COLUMN surprise TEXT", ["column orders.surprise", "columns orders"]),
            ("ALTER TABLE audit_log ALTER status_code TYPE INTEGER", ["column audit_log.status_code"]),
            ("ALTER TABLE orders ALTER source SET NOT NULL", ["column orders.source"]),
            ("ALTER TABLE orders ALTER traded_qty SET DEFAULT 1", ["column orders.traded_qty"]),
            ("ALTER TABLE orders DROP CONSTRAINT ck_orders_quantity", ["check ck_orders_quantity"]),
            ("ALTER TABLE orders DROP CONSTRAINT pk_orders", ["column orders.id", "primary key orders"]),
            ("DROP INDEX uq_traders_control_active", ["index uq_traders_control_active"]),
            ("DROP VIEW v_cover_orders", ["view v_cover_orders"]),
        ):
            with connection.begin_nested() as savepoint:
                connection.exec_driver_sql(statement)
                found = differences(connection)
                savepoint.rollback()
            assert set(found) & set(noticed) and set(found) <= set(noticed), statement


def test_every_table_and_view_can_be_read(held: Postgres) -> None:
    """And takes a row: a function that does not compile shows at the first write."""
    for name in metadata.tables:
        given = {"account_heads": {"account": "a"}, "traders_control": {"is_active": 0}, "accounts": {"account": "a"}}
        assert insert(held, name, row_of(name, **given.get(name, {}))) == 1
        held.ask(f"SELECT * FROM {name}")  # noqa: S608
    for name in VIEWS:
        held.ask(f"SELECT * FROM {name}")  # noqa: S608
    close(held)


def test_settings_are_there_once(risk: str) -> None:
    """A second upgrade writes none again: a restart must not switch copying on."""
    with psycopg.connect(risk, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM config").fetchone() == (len(CONFIG_ROWS),)
        connection.execute("UPDATE config SET value = 'false' WHERE key = 'copy_enabled'")
        assert upgrade(risk).already
        assert connection.execute("SELECT value FROM config WHERE key = 'copy_enabled'").fetchone() == ("false",)


DRIFTED = table("""
    statement                                                                                         said
    ALTER TABLE orders ADD COLUMN surprise TEXT                                                       column orders.surprise is not declared
    ALTER TABLE orders ALTER quantity SET DEFAULT 1                                                   column orders.quantity differs
    ALTER TABLE orders DROP CONSTRAINT ck_orders_quantity                                             constraint orders.ck_orders_quantity is missing
    ALTER TABLE orders ADD CONSTRAINT few CHECK (quantity < 9)                                        constraint orders.few is not declared
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY                                                      table orders differs
    ALTER TABLE marks SET UNLOGGED                                                                    table marks differs
    DROP INDEX uq_trades_fill                                                                         index uq_trades_fill is missing
    DROP TRIGGER traders_control_holds ON traders_control                                             trigger traders_control_holds is missing
    ALTER TABLE traders_control DISABLE TRIGGER traders_control_holds                                 trigger traders_control_holds differs
    ALTER TABLE traders_control ENABLE REPLICA TRIGGER traders_control_holds                          trigger traders_control_holds differs
    CREATE TRIGGER zz BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()  trigger zz is not declared
    CREATE RULE never AS ON DELETE TO orders DO INSTEAD NOTHING                                       rule orders.never is not declared
    CREATE OR REPLACE FUNCTION riskguard_control_holds() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'  function riskguard_control_holds differs
    ALTER FUNCTION riskguard_control_holds() RESET search_path                                        function riskguard_control_holds differs
    ALTER FUNCTION riskguard_control_holds() SECURITY INVOKER                                         function riskguard_control_holds differs
    GRANT EXECUTE ON FUNCTION riskguard_control_supersedes() TO PUBLIC                                function riskguard_control_supersedes differs
    CREATE OR REPLACE VIEW v_cover_orders AS SELECT * FROM orders WHERE false                         view v_cover_orders differs
    DROP VIEW v_cover_orders                                                                          view v_cover_orders is missing
    CREATE TABLE beside (id INT)                                                                      column beside.id is not declared
""")  # noqa: E501


@pytest.fixture(scope="module")
def looked_at() -> Iterator[sa.Connection]:
    """A connection to a database of version 4; what a test does in it is taken back."""
    with postgres.database(upgrade) as name, postgresql.connect(postgres.server().url(name)) as connection:
        yield connection


@pytest.mark.parametrize("row", DRIFTED, ids=lambda row: row.statement[:70])
def test_what_differs_from_the_declaration_is_named(row: Row, looked_at: sa.Connection) -> None:
    """Compared in the server's own words."""
    with looked_at.begin() as transaction:
        looked_at.exec_driver_sql(row.statement)
        found = catalog.drift(looked_at)
        transaction.rollback()

    assert f"schema: {row.said}" in found
    assert all(row.said.split()[1].partition(".")[0] in each for each in found)


def test_looking_for_differences_leaves_nothing_behind(risk: str) -> None:
    before = holds(risk)
    with postgresql.connect(risk) as connection:
        assert catalog.check(connection) == []
        schemas = connection.exec_driver_sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'riskguard%%'")
        assert schemas.scalar_one() == 0

    assert holds(risk) == before


def test_a_role_that_may_not_create_is_told_so(risk: str) -> None:
    """`db check` builds the declared schema beside the real one; where it may not, it says nothing false."""
    with (
        roles(risk, "reader"),
        postgresql.connect(as_role(risk, "reader")) as connection,
        pytest.raises(StoreUnavailableError, match="as the role that owns the database"),
    ):
        catalog.drift(connection)


# -- into an empty database -----------------------------------------------------------------------------------------


def test_an_empty_database_gets_the_schema_once(empty: str) -> None:
    first, second = upgrade(empty), upgrade(empty)

    assert (first.version, first.already) == (0, False)
    assert (second.version, second.already) == (4, True)


@pytest.mark.parametrize("content", ["CREATE TABLE orders (id INT)", "CREATE VIEW v AS SELECT 1 AS one",
                                     "CREATE TABLE alembic_version (version_num TEXT)"])  # fmt: skip
def test_a_database_of_something_else_is_refused_and_untouched(content: str, empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(content)
    before = holds(empty)
    with pytest.raises(UpgradeError, match=r"holds something else \(`.+an empty database of its own; it is untouched"):
        upgrade(empty)

    assert holds(empty) == before


def test_what_an_extension_brought_is_no_content(empty: str) -> None:
    """Managed servers put views of their extensions into each new database."""
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE VIEW of_extension AS SELECT 1 AS one")
        connection.execute(
            "INSERT INTO pg_depend SELECT 'pg_class'::regclass, 'of_extension'::regclass, 0, 'pg_extension'::regclass, oid, 0, 'e' "
            "FROM pg_extension WHERE extname = 'plpgsql'"
        )
    assert not upgrade(empty).already


def test_a_newer_schema_is_refused(risk: str) -> None:
    with psycopg.connect(risk, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(UpgradeError, match="has schema 5, newer than this riskguard: update riskguard"):
        upgrade(risk)
    with postgresql.connect(risk) as checked:
        assert "newer than this riskguard" in catalog.check(checked)[0]


def test_a_role_that_may_not_create_makes_nothing(empty: str) -> None:
    """Since PostgreSQL 15 a plain role may not create in `public`; the way out is in the line."""
    with roles(empty, "visitor"):
        with psycopg.connect(empty, autocommit=True) as connection:
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        with pytest.raises(UpgradeError, match="nothing was made: `GRANT CREATE ON SCHEMA public"):
            upgrade(as_role(empty, "visitor"))
    assert holds(empty) == []


def test_another_encoding_is_refused() -> None:
    """Text of ours is UTF-8: a database in another encoding would refuse a row when it is needed."""
    with postgres.server().connect() as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")
    try:
        with pytest.raises(StoreUnavailableError, match="encoded in LATIN1: create the database with ENCODING 'UTF8'"):
            upgrade(postgres.server().url("latin"))
    finally:
        postgres.server().drop("latin")


DYING: Final = """
import os, signal, sys
from riskguard.services.server import upgrade
url, dies_at = sys.argv[1:]
def on_stage(name):
    if name == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
upgrade(url, on_stage=on_stage)
print("done")
"""


@pytest.mark.parametrize(
    ("dies_at", "stands"), [("lock", False), ("create", False), ("commit", False), ("never", True)]
)
def test_a_crash_leaves_nothing(dies_at: str, stands: bool, empty: str) -> None:
    """Killed at any stage, the last one after every table was made: empty. Left alone: all of it. Then it can be run again."""
    died = subprocess.run([sys.executable, "-c", DYING, empty, dies_at], capture_output=True, text=True, check=False)
    assert died.returncode == (0 if stands else -9), died.stderr

    assert bool(holds(empty)) == stands
    assert upgrade(empty).already == stands


def test_a_server_that_ends_the_connection_leaves_nothing(empty: str) -> None:
    """One line, typed; and nothing of it stands."""

    def cut(name: str) -> None:
        if name == "commit":
            with postgres.server().connect() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'riskguard'"
                )

    with pytest.raises(RiskGuardError) as caught:
        upgrade(empty, on_stage=cut)
    assert "\n" not in str(caught.value) and holds(empty) == []


def test_of_two_upgrades_at_once_the_second_finds_it_done(empty: str) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(upgrade(empty).already)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S_MAX)

    assert sorted(found) == [False, True]


# -- the command ----------------------------------------------------------------------------------------------------


def command(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "riskguard", *words], capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )  # fmt: skip


def test_the_command_upgrades_says_the_version_and_checks(empty: str) -> None:
    made, again = command("db", "upgrade", empty), command("db", "upgrade", "--json", env={"RISKGUARD_DB": empty})
    assert (made.returncode, again.returncode) == (0, 0), made.stderr + again.stderr
    assert "empty → schema 4" in made.stdout
    assert json.loads(again.stdout)["already"] is True
    version = json.loads(command("db", "version", "--db", empty, "--json").stdout)
    assert (version["kind"], version["schema"], version["this_version_wants"]) == ("riskguard", 4, 4)
    assert command("db", "check", "--db", empty).returncode == 0

    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("DROP TRIGGER decisions_refused ON decisions")
    checked = command("db", "check", "--db", empty)
    assert (checked.returncode, checked.stdout.splitlines()[0]) == (
        1,
        "WRONG: schema: trigger decisions_refused is missing",
    )


BROKEN = table("""
    url                                                       status
    postgresql://nobody:hunter2-secret@127.0.0.1:1/none       1
    postgresql://nobody:hunter2-secret@127.0.0.1:99999/none   1
    postgresql://nobody:hunter2-secret@127.0.0.1:x/none       2
    postgresql://nobody:hunter2-secret@127.0.0.1              2
    postgresql://nobody:p@hunter2-secret@127.0.0.1/none       2
    postgresql://nobody@127.0.0.1:1/none?password=hunter2-secret  1
    postgresql://nobody@127.0.0.1:1/none?hunter2-secret=1     1
    postgresql://nobody:hunter2-secret@[::1/none              2
    postgresql:///none?host=/hunter2-none                     1
    mysql://nobody:hunter2-secret@127.0.0.1/none              2
    postgresql://                                             2
""")


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: row.url.replace("hunter2-secret", "…"))
@pytest.mark.parametrize("words", [("version", "--db"), ("check", "--db"), ("upgrade",)], ids=lambda words: words[0])
def test_a_url_that_does_not_serve_is_one_line_without_its_password(words: tuple[str, ...], row: Row) -> None:
    """In the process itself: a traceback would be more than one line."""
    from typer.testing import CliRunner

    from riskguard.cli.app import app

    got = CliRunner().invoke(app, ["db", *words, row.url])

    assert got.exit_code == int(row.status), got.output
    assert "hunter2-secret" not in got.output and "Traceback" not in got.output
    assert len(got.output.strip().splitlines()) == 1 and got.output.startswith("riskguard: ")


def test_without_the_driver_the_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'riskguard\[postgres\]'"):
        upgrade("postgresql://nobody:hunter2-secret@127.0.0.1:1/none")


PLACES = table("""
    url                                                      place
    postgresql://u:pw@db.example:6432/risk?sslmode=require   postgresql://u@db.example:6432/risk
    postgres://u@db.example/risk                             postgresql://u@db.example/risk
    postgresql+psycopg:///risk?host=/run/postgresql          postgresql:///risk?host=/run/postgresql
""")


@pytest.mark.parametrize("row", PLACES, ids=lambda row: row.place)
def test_how_a_database_is_called(row: Row) -> None:
    """User, host, port, name: enough to find it, nothing to enter it."""
    assert postgresql.place(row.url) == row.place
    with pytest.raises(SettingsError):
        postgresql.place(row.url.replace("risk", ""))


# -- TRUNCATE -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", metadata.tables)
def test_no_table_is_truncated(name: str, held: Postgres) -> None:
    """It asks no trigger of the rows, so it would take a limit, a kill or the evidence away; without the trigger it does."""
    held.run("SET CONSTRAINTS ALL IMMEDIATE")  # a table with a trigger still to fire is refused by PostgreSQL itself
    for statement in (f"TRUNCATE {name}", f"TRUNCATE ONLY {name} RESTART IDENTITY CASCADE", f"TRUNCATE marks, {name}"):
        with pytest.raises(REFUSED, match=r"is not truncated: use DELETE|is append-only"):
            held.run(statement)
    held.run(f"DROP TRIGGER {name}_truncate_refused ON {name}")
    held.run(f"TRUNCATE {name}")

    assert held.ask(f"SELECT count(*) FROM {name}") == [(0,)]  # noqa: S608


# -- statements of many rows ----------------------------------------------------------------------------------------


def test_ten_thousand_fills_are_one_change_of_the_head(held: Postgres) -> None:
    """By INSERT, by COPY and by upsert; each row a bump would be ten thousand dead rows of one head."""
    row = row_of("trades")
    before = head(held)
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    columns = sql.SQL(", ").join(
        sql.SQL("'t' || n") if name == "id" else sql.Literal(value) for name, value in row.items()
    )
    held.connection.execute(
        sql.SQL("INSERT INTO trades ({}) SELECT {} FROM generate_series(1, 10000) n").format(names, columns)
    )
    assert head(held) == before + 1
    with held.connection.cursor().copy(sql.SQL("COPY trades ({}) FROM STDIN").format(names)) as copy:
        for n in range(3):
            copy.write_row([f"c{n}" if name == "id" else value for name, value in row.items()])
    assert head(held) == before + 2
    insert(held, "trades", {**row, "id": "t1"}, {**row, "id": "new"}, tail="ON CONFLICT (id) DO UPDATE SET price = 2")
    assert head(held) == before + 4  # one row came in, one changed

    assert held.ask("SELECT count(*) FROM trades") == [(10_004,)]


def test_a_version_3_upsert_of_a_position_counts(held: Postgres) -> None:
    """As REPLACE does on SQLite: the row without a header is changed in place, and the head moves."""
    row = row_of("positions", snapshot_id=0, net_qty=5, product=None)
    insert(held, "positions", row)
    before = head(held)
    insert(
        held,
        "positions",
        {**row, "net_qty": 7},
        tail="ON CONFLICT ON CONSTRAINT pk_positions DO UPDATE SET net_qty = 7",
    )

    assert held.ask("SELECT product, net_qty FROM positions") == [("", 7)]
    assert head(held) > before
    held.run("DROP TRIGGER positions_names_product ON positions")
    with pytest.raises(REFUSED):
        insert(held, "positions", {**row, "snapshot_ts": 2})


# -- transactions that see each other -------------------------------------------------------------------------------


@pytest.fixture
def shared(risk: str) -> str:
    """A database with two accounts in it, for several connections at once."""
    with opened(risk) as held:
        seed(held)
        held.connection.commit()
    return risk


def test_an_open_act_is_seen_by_its_own_transaction_only(shared: str) -> None:
    with opened(shared) as mine, opened(shared) as other:
        act(mine, "leader")
        with pytest.raises(REFUSED):
            other.run(LOOSEN)
        other.connection.rollback()

        assert mine.run(LOOSEN) == 1


def test_an_act_cannot_be_left_open(shared: str) -> None:
    """Committed, everybody would see it and everything would pass from then on; without its trigger it does."""
    with opened(shared) as held:
        act(held, "leader")
        with pytest.raises(REFUSED, match="closed before its transaction ends"):
            held.connection.commit()
    with opened(shared) as held:
        act(held, "leader")
        close(held)
        held.connection.commit()
        held.run("UPDATE control_actions SET is_open = 1 WHERE id = (SELECT max(id) FROM control_actions)")
        with pytest.raises(REFUSED, match="closed before its transaction ends"):
            held.connection.commit()
    with opened(shared) as held:
        held.run("DROP TRIGGER control_actions_closed ON control_actions")
        act(held, "leader")
        held.connection.commit()
    with opened(shared) as held:
        assert held.run(LOOSEN) == 1


class Waiting:
    """A statement in a thread of its own, on a connection of its own, committed as soon as it was let through."""

    def __init__(self, url: str, statement: str) -> None:
        self.error: BaseException | None = None
        self.written = -1
        self._connection = psycopg.connect(url)
        self._connection.execute("SELECT")
        self._pid = self._connection.info.backend_pid
        self._url, self._statement = url, statement
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.written = self._connection.execute(self._statement).rowcount
            self._connection.commit()
        except BaseException as e:
            self.error = e
        finally:
            self._connection.close()

    def until_it_waits(self) -> None:
        """Return once the server says that it waits for a lock; the bound is for a test that is wrong."""
        with psycopg.connect(self._url, autocommit=True) as looking:
            for _ in range(WAIT_S_MAX * 200):
                query = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
                if looking.execute(query, (self._pid,)).fetchall() == [("Lock",)]:
                    return
                looking.execute("SELECT pg_sleep(0.005)")
        raise AssertionError("it never waited")

    def end(self) -> None:
        self._thread.join(WAIT_S_MAX)
        assert not self._thread.is_alive()


SECOND: Final = (
    "INSERT INTO traders_control (account_type, control_type, order_value_limit, is_active, created_at, updated_at) "
    "VALUES ('leader', 'POSITION_LIMIT', {value}, 1, 1, 1)"
)


@pytest.mark.parametrize(("first", "second"), [(500, 800), (800, 500)])
def test_of_two_rows_at_once_the_tighter_holds(first: int, second: int, shared: str) -> None:
    """The second waits for the first, sees it, supersedes it and keeps the tighter: neither fails, neither loosens."""
    with opened(shared) as held:
        held.run(SECOND.format(value=first))
        waiting = Waiting(shared, SECOND.format(value=second))
        waiting.until_it_waits()
        held.connection.commit()
        waiting.end()
        assert waiting.error is None

        query = "SELECT order_value_limit FROM traders_control WHERE control_type = 'POSITION_LIMIT' AND is_active = 1"
        assert held.ask(query) == [(500.0,)]


def test_a_kill_beside_an_act_that_loosens_stands(shared: str) -> None:
    """A release under way does not take a kill with it that it never saw."""
    with opened(shared) as releasing:
        act(releasing, "leader", "RELEASE")
        releasing.run(LATCHED.format(owner="leader").replace("'ACTIVE'", "'INACTIVE'"))
        killing = Waiting(shared, LATCHED.format(owner="leader"))
        killing.until_it_waits()
        close(releasing)
        releasing.connection.commit()
        killing.end()
        assert killing.error is None

        query = "SELECT kill_switch_status FROM traders_control WHERE control_type = 'KILL_SWITCH' AND is_active = 1"
        assert releasing.ask(f"{query} AND account_type = 'leader'") == [("ACTIVE",)]


def test_of_two_that_bring_the_same_id_none_makes_a_limit_step_down(shared: str) -> None:
    """The second is passed over: its limit must stand although its trigger ran before the first was there."""
    insert_9 = (
        "INSERT INTO traders_control (id, account_type, control_type, limit_id, check_name, parameters, scope, on_breach, mode, "
        "kill_plan, order_value_limit, is_active, created_at, updated_at) VALUES (900, '{0}', 'RISK_LIMIT', 'all', 'order_value', "
        "'{{}}', 'ACCOUNT:{0}', 'reject', 'enforce', 'cancel', 1, 1, 1, 1) ON CONFLICT DO NOTHING"
    )
    with opened(shared) as held:
        assert held.run(insert_9.format("leader")) == 1
        waiting = Waiting(shared, insert_9.format("follower"))
        waiting.until_it_waits()
        held.connection.commit()
        waiting.end()
        assert (waiting.error, waiting.written) == (None, 0)

        query = "SELECT order_value_limit FROM traders_control WHERE limit_id = 'all' AND is_active = 1 AND account_type = ?"
        assert (held.ask(query, "follower"), held.ask(query, "leader")) == ([(1000.0,)], [(1.0,)])


def test_heads_are_taken_in_one_order(shared: str) -> None:
    """Two statements over the same accounts, named the other way round: one waits, none is chosen as a deadlock's victim."""
    pairs = [("leader", "follower"), ("follower", "leader")]
    with opened(shared) as held, opened(shared) as blocking:
        blocking.run("SELECT 1 FROM account_heads WHERE account = 'follower' FOR UPDATE")
        waiting = []
        for n, accounts in enumerate(pairs):
            values = "'x', 'BUY', 'x', 'x', 'x', 'x', 'x', 1, 1, 1"
            rows = ", ".join(f"('p{n}{account}', '{account}', {values})" for account in accounts)
            columns = (
                "id, account_type, status, side, product, order_type, validity, security_id, exchange_segment, quantity"
            )
            statement = " ".join(("INSERT INTO orders (", columns, ", created_at, updated_at) VALUES", rows))
            waiting.append(Waiting(shared, statement))
            waiting[-1].until_it_waits()
        blocking.connection.rollback()
        for each in waiting:
            each.end()

        assert [each.error for each in waiting] == [None, None]
        assert held.ask("SELECT count(*) FROM orders") == [(4,)]


# -- roles ----------------------------------------------------------------------------------------------------------


def as_role(url: str, role: str) -> str:
    return url.replace("://postgres@", f"://{role}@")


@contextmanager
def roles(url: str, *names: str) -> Iterator[None]:
    """Plain roles: no rights but those a test gives them."""
    with psycopg.connect(url, autocommit=True) as connection, ExitStack() as undo:
        for name in names:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
            undo.callback(connection.execute, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
            undo.callback(connection.execute, sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        yield


@pytest.fixture(scope="module")
def owned() -> Iterator[str]:
    """One database for all the tests of roles, as its owner sees it."""
    with postgres.database(upgrade) as name:
        url = postgres.server().url(name)
        with opened(url) as held:
            seed(held)
            held.connection.commit()
        yield url


@pytest.fixture(scope="module")
def writer(owned: str) -> Iterator[str]:
    """The URL of a version 3 program's role: rights on the version 3 tables, a schema of its own, and nothing else."""
    shared = owned
    with roles(shared, "writer"):
        with psycopg.connect(shared, autocommit=True) as connection:
            connection.execute(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON orders, trades, positions, instruments, traders_control TO writer"
            )
            connection.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO writer")
            connection.execute("CREATE SCHEMA writer AUTHORIZATION writer")
        yield as_role(shared, "writer")


def test_a_role_with_rights_on_the_old_tables_alone_is_honoured(writer: str, owned: str) -> None:
    """It may not touch heads, acts or what is kept, and its writes reach all three."""
    with opened(writer) as held, opened(owned) as looking:
        before = head(looking)
        looking.connection.rollback()
        insert(held, "orders", row_of("orders"))
        held.run(LATCHED.format(owner="leader"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            held.run("UPDATE account_heads SET version = 0")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            act(held, "leader")
        held.connection.commit()

        assert head(looking) >= before + 2
        kept = looking.ask("SELECT what FROM control_changes WHERE is_adopted = 0 ORDER BY what")
        assert kept == [("INSERTED",), ("SUPERSEDED",)]


DODGES = table("""
    error    dodge
    denied   SET session_replication_role = replica
    denied   ALTER TABLE traders_control DISABLE TRIGGER ALL
    denied   DROP TRIGGER traders_control_holds ON traders_control
    denied   CREATE OR REPLACE FUNCTION public.riskguard_control_holds() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'
    denied   CREATE RULE never AS ON UPDATE TO traders_control DO INSTEAD NOTHING
    denied   TRUNCATE traders_control
    denied   INSERT INTO control_actions (account, kind, by_whom, at_us) VALUES ('GLOBAL', 'APPLY', 'x', 1763786700000000)
    refused  CREATE TEMP TABLE control_actions AS SELECT 1 AS id, 'GLOBAL' AS account, 'APPLY' AS kind, 1 AS is_open
    refused  CREATE TABLE writer.control_actions AS SELECT 1 AS id, 'GLOBAL' AS account, 'APPLY' AS kind, 1 AS is_open; SET search_path = writer, public
    refused  CREATE FUNCTION writer.coalesces(text, text) RETURNS text LANGUAGE sql AS $$SELECT 'OFF'$$; SET search_path = writer, pg_catalog, public
    refused  CREATE FUNCTION writer.no(float8, float8) RETURNS boolean LANGUAGE sql AS $$SELECT true$$; CREATE OPERATOR writer.<= (FUNCTION = writer.no, LEFTARG = float8, RIGHTARG = float8); SET search_path = writer, pg_catalog, public
    refused  CREATE FUNCTION writer.is(bigint, integer) RETURNS boolean LANGUAGE sql AS $$SELECT false$$; CREATE OPERATOR writer.= (FUNCTION = writer.is, LEFTARG = bigint, RIGHTARG = integer); SET search_path = writer, pg_catalog, public
    denied   CREATE TABLE writer.traders_control (LIKE public.traders_control); CREATE TRIGGER mine BEFORE INSERT ON writer.traders_control FOR EACH ROW EXECUTE FUNCTION public.riskguard_control_supersedes()
""")  # noqa: E501


@pytest.mark.parametrize("row", DODGES, ids=lambda row: row.dodge[:70])
def test_a_plain_role_has_no_way_around(row: Row, writer: str) -> None:
    """Not by its session, not by names of its own before ours, and not with our functions as its tools."""
    with opened(writer) as held:
        if row.error == "denied":
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                held.run(row.dodge)
        else:
            held.run(row.dodge)
        for statement in (LOOSEN, "DELETE FROM traders_control"):
            with pytest.raises(REFUSED, match="riskguard limits apply"):
                held.run(statement.replace(" traders_control", " public.traders_control"))
        held.run(LATCHED.format(owner="leader").replace(" traders_control", " public.traders_control"))
        with pytest.raises(REFUSED, match="riskguard release"):
            held.run("UPDATE public.traders_control SET kill_switch_status = 'OFF' WHERE kill_switch_status = 'ACTIVE'")


def test_who_owns_the_server_can_switch_triggers_off(held: Postgres) -> None:
    """Said, not hidden: a superuser's session may stand above them. The journal's chain shows what was done to it."""
    with pytest.raises(REFUSED):
        held.run(LOOSEN)
    held.run("SET LOCAL session_replication_role = replica")

    assert held.run(LOOSEN) == 1


def test_our_functions_are_nobodys_tools(risk: str) -> None:
    """Each runs as its owner, by a fixed path, and can be put on a table by its owner alone."""
    with psycopg.connect(risk) as connection:
        found: list[Any] = connection.execute(
            "SELECT proname, prosecdef, proconfig, has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc "
            "WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()

    assert len(found) >= 10
    for name, definer, settings, everybody in found:
        assert name.startswith(FUNCTION_PREFIX) and definer and not everybody
        assert settings == ["search_path=pg_catalog, pg_temp"]
