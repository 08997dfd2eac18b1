"""Every statement of the package is one PostgreSQL can read: written once, run on two databases."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg._queries import _query2pg

import riskguard
from riskguard.services.server import upgrade
from riskguard.store.statements import Prepared, greater, lesser, param, prepare
from tests.store import postgres

ON_FILES_ONLY = {
    "UNCHANGED": "the master is staged in a table beside the file",
    "SEEN": "rows are named by SQLite's own numbers",
    "PUT": "the master is staged in a table beside the file",
    "RESTATE": "the master is staged in a table beside the file",
    "LIVE_AND_HIDDEN": "a file of version 3 is upgraded, never a server",
}
STATEMENTS_MIN = 300
"""Fewer than that, and the walk has missed them."""


def statements() -> Iterator[tuple[str, Prepared]]:
    """Every `Prepared` that stands in a module, alone or in a tuple, list or dictionary."""
    seen: set[int] = set()
    for module in pkgutil.walk_packages(riskguard.__path__, "riskguard."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            held: list[Any] = [value]
            if isinstance(value, dict):
                held = list(value.values())
            elif isinstance(value, (tuple, list)):
                held = list(value)
            for each in held:
                if isinstance(each, Prepared) and id(each) not in seen:
                    seen.add(id(each))
                    yield f"{module.name}.{name}", each


def wrong(connection: psycopg.Connection[Any], statement: Prepared) -> str:
    """What the server has against the statement: it is parsed with no type known but those written in it."""
    try:
        text, *_ = _query2pg(statement.on_postgresql()[0].encode(), "utf-8")
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    said = connection.pgconn.prepare(b"", text, None)
    return "" if said.status == psycopg.pq.ExecStatus.COMMAND_OK else said.error_message.decode().splitlines()[0]


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection[Any]]:
    with postgres.database(upgrade) as name, postgres.server().connect(name) as connection:
        yield connection


def test_every_statement_of_the_package_is_read_by_postgresql(server: psycopg.Connection[Any]) -> None:
    """None is wrong but those that only a file is asked, and each of these is there and really cannot be asked."""
    found = dict(statements())

    bad = {name: said for name, statement in found.items() if (said := wrong(server, statement))}

    assert len(found) >= STATEMENTS_MIN
    assert {name: said for name, said in bad.items() if name.rpartition(".")[2] not in ON_FILES_ONLY} == {}
    assert set(ON_FILES_ONLY) <= {name.rpartition(".")[2] for name in bad}


def test_a_statement_of_one_dialect_alone_is_noticed(server: psycopg.Connection[Any]) -> None:
    """The control: what SQLite takes and PostgreSQL does not is named."""
    assert "max" in wrong(server, prepare(sa.select(sa.func.max(1, 2))))
    assert "type of parameter" in wrong(server, prepare(sa.select(param("a").is_(None))))
    assert wrong(server, prepare(sa.select(param("a", sa.Text()).is_(None)))) == ""


def test_the_greater_and_the_lesser_are_the_same_on_both(server: psycopg.Connection[Any]) -> None:
    """`max(a, b)` of one row is `greatest` there; equal, above and below."""
    import sqlite3

    lite = sqlite3.connect(":memory:")
    for a, b in ((1, 2), (2, 1), (2, 2), (-5, 0)):
        made = prepare(sa.select(greater(sa.literal(a), sa.literal(b)), lesser(sa.literal(a), sa.literal(b))))

        text, constants = made.on_postgresql()
        assert server.execute(text.encode(), constants).fetchone() == (max(a, b), min(a, b))
        assert lite.execute(made.sql, made.constants).fetchone() == (max(a, b), min(a, b))
    lite.close()
