"""
The instrument master into PostgreSQL: laid out on this host, sent a chunk at a time, each chunk one statement.

A temporary table of the server would be the state of a connection, which a pooler does not keep. The trigger that moves
the GLOBAL head runs once a statement, so a chunk moves it once.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from riskguard.services.instruments.master import COLUMNS
from riskguard.store.session import Session
from riskguard.store.spelling import Prepared
from riskguard.store.statements import param, prepare
from riskguard.store.tables.instruments import instruments

_i = instruments.c
_given = (
    sa.func.jsonb_to_recordset(sa.cast(param("rows", sa.Text()), JSONB))
    .table_valued(*(sa.column(name, _i[name].type) for name in COLUMNS), name="new")
    .render_derived(name="new", with_types=True)
)


def put(
    columns: tuple[str, ...], key: tuple[str, ...], band_day: Callable[[Any], Any], values: Callable[[Any], dict[str, Any]]
) -> Prepared:  # fmt: skip
    """Return the statement that puts a chunk in: *values* says what a row that stands becomes."""
    rows = sa.select(*(_given.c[name] for name in COLUMNS), band_day(_given.c), param("stamp", sa.BigInteger()))
    made = insert(instruments).from_select(list(columns), rows)
    return prepare(made.on_conflict_do_update(index_elements=list(key), set_=values(made.excluded)))


@contextlib.contextmanager
def stage() -> Iterator[sqlite3.Connection]:
    """Open an empty place on this host's disk for what a master says; it is gone when it is closed."""
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as made:
        yield made


def write(session: Session, statement: Prepared, rows: list[tuple[Any, ...]], given: dict[str, Any]) -> int:
    """Write one chunk and return how many rows it had."""
    listed = json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    session.run(statement, rows=listed, **given)
    return len(rows)
