"""
Statements: written as SQLAlchemy Core, compiled once, run on the driver's own cursor.

Core is the one spelling for both databases; its execution layer would cost more than the statements do.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

_DIALECTS = {"sqlite": sqlite.dialect(paramstyle="named")}


class Prepared:
    """
    One statement; `sql` is its text with named parameters, `constants` the values written into it.

    Compiled at its first use: a process uses some of them, and compiling all would be most of its start.
    """

    __slots__ = ("_compiled", "_core", "_dialect")

    def __init__(self, core: sa.sql.expression.ClauseElement, dialect: str = "sqlite") -> None:
        self._core = core
        self._dialect = dialect
        self._compiled: tuple[str, dict[str, Any]] | None = None

    def compiled(self) -> tuple[str, dict[str, Any]]:
        """Return (text, constants); the hot path asks this once per statement and gets what is kept."""
        kept = self._compiled
        if kept is None:
            made = self._core.compile(dialect=_DIALECTS[self._dialect], compile_kwargs={"render_postcompile": True})
            constants = {name: value for name, value in (made.params or {}).items() if value is not None}
            kept = self._compiled = (str(made), constants)
        return kept

    @property
    def sql(self) -> str:
        return self.compiled()[0]

    @property
    def constants(self) -> dict[str, Any]:
        return self.compiled()[1]


def param(name: str) -> sa.BindParameter[Any]:
    """A named parameter of a prepared statement."""
    return sa.bindparam(name, None, required=False)  # a value, if only None, so that IN lists can be written out


def fixed(value: int | str) -> sa.ColumnClause[Any]:
    """
    A value written into the statement's text: only then can SQLite see that a partial index answers it.

    For constants of our own; what comes from outside is a `param`.
    """
    return sa.literal_column(str(value) if isinstance(value, int) else f"'{value}'")


def insert_into(table: sa.Table, *columns: str, ignore: bool = False, replace: bool = False) -> Prepared:
    """INSERT of the named columns, each from the parameter of its name; optionally keeping or replacing a clash."""
    statement = sa.insert(table).values({name: param(name) for name in columns})
    if ignore:
        statement = statement.prefix_with("OR IGNORE")
    if replace:
        statement = statement.prefix_with("OR REPLACE")
    return Prepared(statement)


def prepare(core: sa.sql.expression.ClauseElement) -> Prepared:
    """Keep *core* as a statement to be compiled once."""
    return Prepared(core)
