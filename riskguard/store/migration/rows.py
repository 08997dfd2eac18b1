"""Copies rows from the old file into the new one, chunk by chunk, and proves afterwards that they are there."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa

from riskguard.errors import UpgradeError
from riskguard.store.migration.mapping import Plan
from riskguard.store.migration.sealing import Sealing
from riskguard.store.migration.source import Source, count, spelled
from riskguard.store.tables.quarantine import quarantine

ROWS_AT_ONCE: Final = 2_000
"""Rows in memory at a time: some megabytes with their raw messages."""

VARIABLES_MAX: Final = 30_000
"""SQLite's own limit on the values of one statement is 32,766."""

REFUSED: Final = (sqlite3.IntegrityError, UnicodeEncodeError, OverflowError)
OURS = "riskguard."
_KEEP = ("source_table", "source_version", "source_rowid", "reason", "raw", "in_table", "at_us")
KEEP: Final = spelled(sa.insert(quarantine).inline(), list(_KEEP))

Row = tuple[Any, ...]


@dataclass(slots=True)
class Copied:
    """
    What became of one table.

    Attributes:
        refused: Rows that lie in the quarantine instead. changed: rows of which the quarantine keeps the original.
        before, after: Checksum of each column, over the rows that came along, as read and as read back.
    """

    table: str
    rows: int = 0
    copied: int = 0
    refused: int = 0
    changed: int = 0
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)


class Quarantine:
    """Writes what cannot come along, or comes along changed, with the whole old row."""

    def __init__(self, source: Source, new: sqlite3.Connection, now_us: int, sealing: Sealing | None = None) -> None:
        self.source, self.new, self.now_us = source, new, now_us
        self.sealing = sealing or Sealing(None)

    def keep(self, table: str, number: int, reason: str, *, in_table: bool = False) -> None:
        statement = spelled(
            sa.select(sa.literal_column("*"))
            .select_from(sa.table(table))
            .where(sa.literal_column("rowid") == sa.literal_column("?"))
        )
        with closing(self.source.connection.execute(statement, (number,))) as cursor:
            names = [each[0] for each in cursor.description]
            raw = self.sealing.kept(table, number, dict(zip(names, map(_plain, cursor.fetchone()), strict=True)))
        self.new.execute(
            KEEP, (table, self.source.version, number, reason, json.dumps(raw), int(in_table), self.now_us)
        )


def _plain(value: Any) -> Any:
    """Return what JSON can hold; nothing of the value is lost."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if type(value) is float and not math.isfinite(value):
        return {"float": repr(value)}
    return value


class Checksums:
    """One running checksum a column; the order of the rows counts."""

    def __init__(self, columns: list[str]) -> None:
        self._sums = {name: hashlib.blake2b(digest_size=8) for name in columns}

    def add(self, rows: list[Row]) -> None:
        if rows:
            for running, column in zip(self._sums.values(), zip(*rows, strict=True), strict=True):
                running.update(("\x1f".join(map(repr, column)) + "\x1f").encode())

    def result(self) -> dict[str, str]:
        return {name: running.hexdigest() for name, running in self._sums.items()}


def copy(
    plan: Plan, source: Source, new: sqlite3.Connection, kept: Quarantine, on_rows: Callable[[int], None]
) -> Copied:
    """Copy one table; a row the new table refuses goes to the quarantine with what SQLite says about it."""
    done = Copied(plan.table.name, rows=source.count(plan.table.name))
    sums = Checksums(plan.columns)
    width = 1 + len(plan.columns)
    for chunk in _chunks(source.connection, plan.select):
        rows = [row[1:width] for row in chunk]
        if plan.stored:
            rows = [_as_stored(row, plan) for row in rows]
        rows = kept.sealing.rows(plan, rows)
        if plan.table.name == "config":
            taken = _without_ours(chunk, rows, new, plan, kept, done)
        else:
            taken = _insert(chunk, rows, new, plan, kept, done)
        if plan.unknown:
            _keep_unknown(chunk, width, new, plan, kept, done)
        sums.add(taken)
        done.copied += len(taken)
        on_rows(len(chunk))
    done.before = sums.result()
    carry_numbering(plan.table.name, source, new)
    return done


def _chunks(connection: sqlite3.Connection, select: str) -> Iterator[list[Row]]:
    with closing(connection.execute(select)) as cursor:
        while chunk := cursor.fetchmany(ROWS_AT_ONCE):
            yield chunk


def _as_stored(row: Row, plan: Plan) -> Row:
    values = list(row)
    for place, stored in plan.stored.items():
        values[place] = stored(values[place])
    return tuple(values)


def _insert(
    chunk: list[Row], rows: list[Row], new: sqlite3.Connection, plan: Plan, kept: Quarantine, done: Copied
) -> list[Row]:
    new.execute("BEGIN")
    try:
        _pour(rows, new, plan)
    except REFUSED:
        new.execute("ROLLBACK")
    else:
        new.execute("COMMIT")
        return rows
    taken = []
    new.execute("BEGIN")
    for old, row in zip(chunk, rows, strict=True):
        try:
            new.execute(plan.insert, row)
        except REFUSED as e:
            _refuse(old[0], f"not taken: {e}", plan, kept, done)
        else:
            taken.append(row)
    new.execute("COMMIT")
    return taken


def _pour(rows: list[Row], new: sqlite3.Connection, plan: Plan) -> None:
    """
    Insert many rows with one statement.

    SQLite builds the list of each `IN (…)` in a CHECK anew for every statement: one by one, the rows of a
    table with many prices take ten times as long.
    """
    width = len(plan.columns)
    together = min(ROWS_AT_ONCE, VARIABLES_MAX // width)
    marks = f", ({', '.join('?' * width)})"
    for first in range(0, len(rows), together):
        some = rows[first : first + together]
        new.execute(plan.insert + marks * (len(some) - 1), list(chain.from_iterable(some)))


def _refuse(number: int, reason: str, plan: Plan, kept: Quarantine, done: Copied) -> None:
    kept.keep(plan.table.name, number, reason)
    done.refused += 1
    done.reasons[reason] = done.reasons.get(reason, 0) + 1


def _without_ours(
    chunk: list[Row], rows: list[Row], new: sqlite3.Connection, plan: Plan, kept: Quarantine, done: Copied
) -> list[Row]:
    """Copy settings, but none that bears a name of riskguard's own: it would be obeyed."""
    key = plan.columns.index("key")
    ours = [str(row[key] or "").startswith(OURS) for row in rows]
    for old, is_ours in zip(chunk, ours, strict=True):
        if is_ours:
            _refuse(old[0], f"settings named `{OURS}…` are riskguard's own", plan, kept, done)
    others = [at for at, is_ours in enumerate(ours) if not is_ours]
    return _insert([chunk[at] for at in others], [rows[at] for at in others], new, plan, kept, done)


def _keep_unknown(
    chunk: list[Row], width: int, new: sqlite3.Connection, plan: Plan, kept: Quarantine, done: Copied
) -> None:
    new.execute("BEGIN")
    for row in chunk:
        if any(value is not None for value in row[width:]):
            reason = f"columns without a place here: {', '.join(plan.unknown)}"
            kept.keep(plan.table.name, row[0], reason, in_table=True)
            done.changed += 1
    new.execute("COMMIT")


def carry_numbering(table: str, source: Source, new: sqlite3.Connection) -> None:
    """Numbers of deleted rows are not given out again, here as there: somebody may still remember them."""
    if not new.execute("SELECT 1 FROM sqlite_sequence WHERE name = ?", (table,)).fetchone():
        return
    try:
        found = source.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    except sqlite3.OperationalError:
        return  # the old file numbers nothing
    if found is not None and type(found[0]) is int:
        new.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (found[0], table))


def quarantine_table(table: str, source: Source, kept: Quarantine, new: sqlite3.Connection) -> Copied:
    """Keep every row of a table schema 4 does not know."""
    done = Copied(table, rows=source.count(table))
    reason = "schema 4 has no such table, or the name is riskguard's own"
    statement = spelled(sa.select(sa.literal_column("rowid")).select_from(sa.table(table)))
    for chunk in _chunks(source.connection, statement):
        new.execute("BEGIN")
        for (number,) in chunk:
            kept.keep(table, number, reason)
        new.execute("COMMIT")
        done.refused += len(chunk)
    if done.refused:
        done.reasons[reason] = done.refused
    return done


def prove(plan: Plan, done: Copied, new: sqlite3.Connection) -> None:
    """Read the new table back; raises UpgradeError when a row or a value is not what was read from the old one."""
    sums = Checksums(plan.columns)
    rows = 0
    for chunk in _chunks(new, plan.back):
        sums.add(chunk)
        rows += len(chunk)
    done.after = sums.result()
    table = plan.table.name
    lying = new.execute("SELECT count(*) FROM quarantine WHERE source_table = ? AND in_table = 0", (table,)).fetchone()[
        0
    ]
    if done.rows != rows + lying or rows != count(new, table):
        raise UpgradeError(
            f"`{table}`: {done.rows} rows there, {rows} here and {lying} in quarantine; nothing was changed"
        )
    differing = [name for name in plan.columns if done.before[name] != done.after[name]]
    if differing:
        raise UpgradeError(f"`{table}`: column `{differing[0]}` reads back differently; nothing was changed")
