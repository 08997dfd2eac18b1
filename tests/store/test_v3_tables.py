"""
Version 4 holds all of version 3, and `schema/DIFFERENCES.md` names each exception and no other.

Both sides are real databases: one built from the inventory, one from the declared tables.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from riskguard.store.tables import metadata
from riskguard.store.tables.authentication import CONFIG_ROWS
from riskguard.store.tables.base import v3_columns
from riskguard.store.views import VIEWS, create_statement
from tests.store import v3_files, v4_files

TABLES = [spec["name"] for spec in v3_files.tables(3)]
DIFFERENCES = (Path(__file__).parents[2] / "schema" / "DIFFERENCES.md").read_text("utf-8")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = v3_files.build(tmp_path_factory.mktemp("v3") / "v3.db", 3)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = v4_files.build(tmp_path_factory.mktemp("v4") / "v4.db")
    yield connection
    connection.close()


def listed(heading: str) -> set[str]:
    """The first cells of the table under *heading*."""
    section = DIFFERENCES.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)`", section, flags=re.MULTILINE))


def columns(connection: sqlite3.Connection, table: str) -> dict[str, sqlite3.Row]:
    return {row["name"]: row for row in connection.execute(f"PRAGMA table_info({table})")}


def primary_key(connection: sqlite3.Connection, table: str) -> list[str]:
    found = sorted((row["pk"], name) for name, row in columns(connection, table).items() if row["pk"])
    return [name for _, name in found]


def indexes(connection: sqlite3.Connection, table: str) -> dict[str, list[str | None]]:
    """Explicit indexes and their columns; None stands for an expression."""
    names = [row["name"] for row in connection.execute(f"PRAGMA index_list({table})") if row["origin"] == "c"]
    return {name: [row["name"] for row in connection.execute(f"PRAGMA index_info({name})")] for name in names}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_built_files_are_what_the_inventory_counts(version: int, tmp_path: Path) -> None:
    """The files other tests trust have the tables, columns, indexes and views of their version."""
    connection = v3_files.build(tmp_path / "old.db", version)
    expected = v3_files.INVENTORY["counts"][str(version)]
    views = v3_files.INVENTORY["views"] if version == 3 else v3_files.INVENTORY["versions"][str(version)]["views"]

    def count(kind: str) -> int:
        statement = "SELECT count(*) FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%'"
        found: int = connection.execute(statement, (kind,)).fetchone()[0]
        return found

    names = [spec["name"] for spec in v3_files.tables(version)]
    assert count("table") == expected["tables"]
    assert count("index") == expected["explicit_indexes"]
    assert count("view") == expected["views"] == len(views)
    assert sum(len(columns(connection, name)) for name in names) == expected["columns"]
    for view in views:
        assert list(columns(connection, view["name"])) == [
            name.replace("product (second copy)", "product:1") for name in view["columns"]
        ]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_content_fills_every_table_and_repeats_itself(version: int, tmp_path: Path) -> None:
    """A table without rows would let a migration test pass that loses it."""
    dumps = []
    for name in ("one.db", "two.db"):
        connection = v3_files.build(tmp_path / name, version)
        counts = v3_files.fill(connection, orders=200)
        dumps.append(list(connection.iterdump()))

    assert dumps[0] == dumps[1]
    assert set(counts) == {spec["name"] for spec in v3_files.tables(version)}
    assert counts["orders"] == 200


@pytest.mark.parametrize("table", TABLES)
def test_version_3_columns_stand_first_with_their_types(
    table: str, old: sqlite3.Connection, new: sqlite3.Connection
) -> None:
    """A program that reads by position or by name finds what it knew."""
    before = [(name, row["type"]) for name, row in columns(old, table).items()]
    after = [(name, row["type"]) for name, row in columns(new, table).items()]

    assert after[: len(before)] == before
    assert [name for name, _ in before] == list(v3_columns(metadata.tables[table]))


def test_not_null_and_defaults_differ_only_as_listed(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    found = set()
    for table in TABLES:
        after = columns(new, table)
        for name, row in columns(old, table).items():
            if (row["notnull"], row["dflt_value"]) != (after[name]["notnull"], after[name]["dflt_value"]):
                found.add("*.id" if (name, row["type"]) == ("id", "INTEGER") else f"{table}.{name}")

    assert found == listed("Columns: NOT NULL and defaults")


def test_primary_keys_differ_only_as_listed(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    found = {table for table in TABLES if primary_key(old, table) != primary_key(new, table)}

    assert found == listed("Primary keys")


def test_columns_are_new_only_as_listed(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    found = {f"{table}.{name}" for table in TABLES for name in columns(new, table).keys() - columns(old, table)}

    assert found == listed("New columns")


def test_allowed_words_are_wider_only_as_listed(new: sqlite3.Connection) -> None:
    found = set()
    for table in TABLES:
        created = new.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
        for check in v3_files.spec(table)["checks"]:
            words = ", ".join(repr(word) for word in check["allowed"])
            if f"{check['column']} IN ({words})" not in created:
                found.add(("*." if check["column"] == "account_type" else f"{table}.") + check["column"])

    assert found == listed("Values allowed that version 3 refused")


def test_foreign_keys_are_gone_as_listed(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    def keys(connection: sqlite3.Connection) -> set[str]:
        return {
            f"{table}.{row['from']}"
            for table in TABLES
            for row in connection.execute(f"PRAGMA foreign_key_list({table})")
        }

    assert keys(old) - keys(new) == listed("Foreign keys dropped")
    assert keys(new) == set()


def test_unique_keys_differ_only_as_listed(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    def keys(connection: sqlite3.Connection) -> set[str]:
        found = set()
        for table in TABLES:
            for row in connection.execute(f"PRAGMA index_list({table})").fetchall():
                if row["origin"] == "u":
                    names = [part["name"] for part in connection.execute(f"PRAGMA index_info({row['name']})")]
                    found.add(f"{table} ({', '.join(names)})")
        return found

    assert keys(old) - keys(new) == listed("Uniqueness")
    assert keys(new) - keys(old) == {
        "copy_mappings (leader_order_id, follower_account)",
        "bracket_order_legs (parent_order_id, account_type, leg_order_id)",
    }


def test_indexes_differ_only_as_listed(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    dropped, added = set(), set()
    for table in TABLES:
        before, after = indexes(old, table), indexes(new, table)
        dropped |= before.keys() - after.keys()
        added |= after.keys() - before.keys()
        for name in before.keys() & after.keys():
            assert before[name] == after[name]

    assert dropped == listed("Indexes dropped")
    assert added == listed("Indexes added")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("copy_mappings", "leader_order_id"),
        ("copy_mappings", "follower_order_id"),
        ("bracket_order_legs", "parent_order_id"),
        ("instruments", "security_id"),
    ],
)
def test_look_ups_keep_an_index(table: str, column: str, new: sqlite3.Connection) -> None:
    """Dropping a doubled index, or widening a key, left no version 3 look-up without one."""
    statement = " ".join(("EXPLAIN QUERY PLAN SELECT * FROM", table, "WHERE", column, "= 'x'"))
    plan = new.execute(statement).fetchone()["detail"]

    assert plan.startswith("SEARCH")


def test_views_keep_names_and_columns(new: sqlite3.Connection) -> None:
    """Every view of version 3 has its columns in order; the kept meanings have the old columns too."""
    for view in v3_files.INVENTORY["views"]:
        name = view["name"]
        second = "product (second copy)"
        expected = [column.replace(second, "order_product") for column in view["columns"]]
        assert list(columns(new, name)) == expected
        if f"v3_{name}" in VIEWS:
            assert list(columns(new, f"v3_{name}")) == [
                column.replace(second, "product:1") for column in view["columns"]
            ]
    kept = {name.removeprefix("v3_") for name in VIEWS if name.startswith("v3_")}
    assert kept == listed("Views")


def test_settings_are_the_fifteen_of_version_3() -> None:
    """Same keys, values, types and categories; only the version differs."""
    expected = [(row["key"], row["value"], row["data_type"], row["category"]) for row in v3_files.config_rows(3)]
    found = [(key, value, data_type, category) for key, value, data_type, category, _ in CONFIG_ROWS]

    assert found == [("schema_version", "4", "integer", "system"), *expected[1:]]


def test_version_3_content_goes_in_as_version_3_programs_write_it(tmp_path: Path) -> None:
    """Every row of a filled version 3 file is accepted under its own column names, then replaced by itself."""
    source = v3_files.build(tmp_path / "v3.db", 3)
    v3_files.fill(source, orders=200)
    target = v4_files.build(tmp_path / "v4.db")

    for table in TABLES:
        rows = source.execute(" ".join(("SELECT * FROM", table))).fetchall()
        names = rows[0].keys()
        marks = ", ".join("?" for _ in names)
        write = " ".join(("INSERT OR REPLACE INTO", table, f"({', '.join(names)}) VALUES ({marks})"))
        for _ in range(2):
            target.executemany(write, rows)
        read = " ".join(("SELECT", ", ".join(names), "FROM", table))
        assert sorted(map(repr, map(tuple, target.execute(read)))) == sorted(map(repr, map(tuple, rows)))


KEPT_VIEWS = sorted(name.removeprefix("v3_") for name in VIEWS if name.startswith("v3_"))


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """A version 3 and a version 4 file with the same content, bracket orders and slices among the live."""
    place = tmp_path_factory.mktemp("twins")
    pair = (v3_files.build(place / "v3.db", 3), v4_files.build(place / "v4.db"))
    for connection in pair:
        v3_files.fill(connection, orders=213)
    return pair


@pytest.mark.parametrize("name", KEPT_VIEWS)
def test_kept_views_answer_as_version_3_did(name: str, twins: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    skipped = {"seconds_since_heartbeat"}  # a second may pass between the two reads
    old_rows = twins[0].execute(" ".join(("SELECT * FROM", name))).fetchall()
    new_rows = twins[1].execute(" ".join(("SELECT * FROM", f"v3_{name}"))).fetchall()

    def comparable(rows: list[sqlite3.Row]) -> list[tuple[Any, ...]]:
        kept = [[row[key] for key in row.keys() if key not in skipped] for row in rows]  # noqa: SIM118
        return sorted(map(tuple, kept), key=repr)

    assert comparable(new_rows) == comparable(old_rows)
    assert old_rows or name == "v_active_bracket_orders"


@pytest.mark.parametrize("named", [sqlite.dialect, postgresql.dialect])
def test_everything_compiles_for_both_databases(named: Callable[[], sa.Dialect]) -> None:
    """No table, index or view is written in the words of one database only."""
    dialect = named()
    for table in metadata.tables.values():
        created = str(CreateTable(table).compile(dialect=dialect))
        assert ("typeof(" in created) <= (dialect.name == "sqlite")
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))
    for name in VIEWS:
        assert create_statement(name, dialect).startswith(f"CREATE VIEW {name} (")
