"""
The repaired defects of version 3, and every view, on PostgreSQL as on SQLite.

The tests of `test_v3_defects` and `test_views` run here a second time, word for word: what they call `new` is a
PostgreSQL database. What a test says to SQLite alone is named below with its reason.
"""

from __future__ import annotations

import inspect
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

import psycopg
import pytest

from riskguard.store.tables import metadata
from riskguard.store.views import VIEWS
from tests.store import test_v3_defects, test_views, v3_files, v4_files
from tests.store.held import rolled_back
from tests.store.rows import FUNDS, ORDER, POSITION, T, put
from tests.store.test_v3_defects import NUMBERS, old

__all__ = ["old"]  # a fixture of the tests below

ELSEWHERE: Final = {
    "test_25_what_is_no_such_value_is_refused": "below, without fractions: PostgreSQL rounds them before any check",
    "test_25_nan_never_becomes_a_number": "PostgreSQL keeps NaN apart and refuses it: below",
    "test_live_orders_are_found_by_their_index": "SQLite's plan",
    "test_legs_are_found_by_their_parent": "SQLite's plan",
    "test_orders_without_a_row_do_not_hide_their_trades": "fills a file of SQLite",
    "test_31_an_unknown_balance_is_no_balance": "goes by riskguard's sessions, which are SQLite's",
}
SQLITE_ONLY: Final = {"desk", "make_desk", "tmp_path"}
"""Fixtures that bring a file of SQLite, or a guard, which has none but such files so far."""
CAMEL: Final = re.compile(r"\b(sodLimit|voucherNo|voucherDate)\b")
"""Three columns of version 3 have capitals: PostgreSQL knows them in quotes only."""


class Translated:
    """A PostgreSQL database behind the few words of `sqlite3` that the tests of the tables use."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        try:
            with self.connection.transaction():
                return self.connection.execute(_translated(statement), values or None)
        except (psycopg.IntegrityError, psycopg.DataError) as e:
            raise sqlite3.IntegrityError(str(e)) from e


def _translated(statement: str) -> str:
    statement = CAMEL.sub(r'"\1"', statement)
    verb = re.match(r"INSERT OR (IGNORE|REPLACE) INTO (\w+) \(([^)]*)\)", statement)
    statement = statement.replace("?", "%s")
    if verb is None:
        return statement
    how, table, columns = verb.groups()
    statement = statement.replace(f"INSERT OR {how}", "INSERT", 1)
    if how == "IGNORE":
        return f"{statement} ON CONFLICT DO NOTHING"
    keys = KEYS.get(table) or [column.name for column in metadata.tables[table].primary_key.columns]
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", ") if name not in keys)
    return f"{statement} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}"


KEYS: Final = {"copy_mappings": ["leader_order_id", "follower_account"]}
"""Where a version 3 program replaces by another key than the primary one."""


@pytest.fixture
def new() -> Iterator[Translated]:
    with rolled_back() as held:
        yield Translated(held.connection)


def _of(module: object) -> dict[str, Callable[..., None]]:
    """The tests of *module* that ask `new` and nothing that is SQLite's alone."""
    tests = {name: each for name, each in vars(module).items() if name.startswith("test_") and name not in ELSEWHERE}
    asks = {name: set(inspect.signature(each).parameters) for name, each in tests.items()}
    return {name: tests[name] for name in tests if "new" in asks[name] and not asks[name] & SQLITE_ONLY}


globals().update({**_of(test_v3_defects), **_of(test_views)})


def test_nothing_is_left_out_without_a_reason() -> None:
    """What is named as left out is there to be left out, and what is taken is most of it."""
    names = {*vars(test_v3_defects), *vars(test_views)}
    assert set(ELSEWHERE) <= names
    assert len(_of(test_v3_defects)) > 20 and len(_of(test_views)) > 4


@pytest.mark.parametrize(("table", "row", "column", "value"), [each for each in NUMBERS if each[3] != 1.5])
def test_what_is_no_such_value_is_refused(
    table: str, row: dict[str, Any], column: str, value: object, new: Translated
) -> None:
    """By the column's type or by its check."""
    file = cast("sqlite3.Connection", new)
    with pytest.raises(sqlite3.IntegrityError):
        put(file, table, {**row, column: value})
    put(file, table, row)


@pytest.mark.parametrize(
    ("table", "row", "column"), [("orders", ORDER, "avg_price"), ("funds", FUNDS, "available_balance")]
)
def test_nan_is_refused(table: str, row: dict[str, Any], column: str, new: Translated) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        put(cast("sqlite3.Connection", new), table, {**row, column: float("nan")})


def test_a_fraction_is_rounded_where_sqlite_refuses_it(new: Translated) -> None:
    """The one value PostgreSQL takes that SQLite does not: stated in docs/how-to/postgresql.md."""
    put(cast("sqlite3.Connection", new), "orders", {**ORDER, "quantity": 1.5})

    assert new.execute("SELECT quantity FROM orders").fetchall() == [(2,)]


# -- views ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, Translated]]:
    """Both databases with the same content: a year of version 3 rows, lists with headers, an error of a minute ago."""
    lite = v4_files.build(tmp_path_factory.mktemp("twins") / "v4.db")
    v3_files.fill(lite, orders=213)
    now_s = int(time.time())
    for account, at_s, rows in (("leader", T + 400 * 86_400, 2), ("follower", T - 400 * 86_400, 1)):
        put(lite, "snapshots", {"account": account, "kind": "positions", "fetched_at_us": at_s * 1_000_000, "complete": 1,
                                "row_count": rows, "source": "dhan"})  # fmt: skip
        number = lite.execute("SELECT max(id) FROM snapshots").fetchone()[0]
        for n in range(rows):
            put(lite, "positions", {**POSITION, "account_type": account, "snapshot_ts": at_s, "security_id": f"{n}",
                                    "snapshot_id": number})  # fmt: skip
    put(lite, "orders", {**ORDER, "id": "B1", "status": "executed", "bo_profit_value": 8.0, "bo_stop_loss_value": 4.0})
    put(lite, "bracket_order_legs", {"parent_order_id": "B1", "leg_order_id": "B1-SL", "leg_type": "SL",
                                     "account_type": "leader", "created_at": T, "updated_at": T})  # fmt: skip
    for account in ("leader", "follower", "leader"):
        put(lite, "error_log", {"error_type": "Timeout", "error_message": "x", "account_type": account,
                                "occurred_at": now_s - 60})  # fmt: skip
    with rolled_back() as held:
        held.connection.execute("DELETE FROM config")
        # What triggers wrote is copied with the rest: they must not write it once more, under numbers that are taken.
        held.connection.execute("SET LOCAL session_replication_role = replica")
        for table in metadata.sorted_tables:
            found = lite.execute(" ".join(("SELECT * FROM", table.name))).fetchall()
            for row in found:
                put(cast("sqlite3.Connection", Fast(held.connection)), table.name, dict(row))
        yield lite, Translated(held.connection)


class Fast(Translated):
    """Without a savepoint a row: what is copied here is accepted, or the test has failed."""

    def execute(self, statement: str, values: Sequence[Any] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        return self.connection.execute(_translated(statement), values)


def _comparable(view: str, rows: list[dict[str, Any]]) -> list[str]:
    """Rows in no order; a sum that PostgreSQL counts in decimals, and a list it joins in another order, are the same."""
    shown = []
    for row in rows:
        row.pop("seconds_since_heartbeat", None)  # a second may pass between the two reads
        plain = {name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}
        for name in ("order_details", "affected_accounts"):
            if plain.get(name):
                plain[name] = sorted(plain[name].split(","))
        shown.append(repr(list(plain.items())))
    return sorted(shown)


# Nothing of what version 3 fills in is a filled bracket order with an exit that version 3 still saw.
MAY_BE_EMPTY: Final = {"v3_v_active_bracket_orders"}


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_gives_the_same_rows(view: str, twins: tuple[sqlite3.Connection, Translated]) -> None:
    lite, other = twins
    query = " ".join(("SELECT * FROM", view))
    expected = [dict(row) for row in lite.execute(query)]
    cursor = other.execute(query)
    names = [column.name for column in cursor.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in cursor]

    assert _comparable(view, found) == _comparable(view, expected)
    assert expected or view in MAY_BE_EMPTY


def test_a_difference_between_the_views_is_noticed(
    twins: tuple[sqlite3.Connection, Translated], tmp_path: Path
) -> None:
    """One row less on one side, and the comparison above says so."""
    lite, _ = twins
    rows = [dict(row) for row in lite.execute("SELECT * FROM v_active_orders")]

    assert _comparable("v_active_orders", rows[1:]) != _comparable("v_active_orders", rows)


def test_silence_grows_within_a_readers_transaction(new: Translated) -> None:
    """PostgreSQL's now() stands still until the transaction ends; a reader that never ends its own must see the age grow."""
    ((definition,),) = new.execute("SELECT pg_get_viewdef('v_active_websocket_connections'::regclass)").fetchall()

    assert "statement_timestamp()" in definition and "now()" not in definition
