"""
The words the table files are written in: one builder for each kind of column.

A builder returns the column together with the CHECK that belongs to it, so that no table can
declare a price without also refusing text, NaN and infinity. The tables of version 3 are not STRICT:
programs that write them today must go on working, and SQLite then stores whatever it is given. The
CHECKs put back what STRICT would have caught; PostgreSQL has typed columns and needs only the bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.compiler import SQLCompiler

from riskguard.store.bounds import REAL_ABS_MAX
from riskguard.store.tables.words import MEANINGS, UNITS

SCHEMA_VERSION: Final = 4

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "idx_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Microseconds and row numbers pass 2^31; SQLite numbers rows by itself only under the exact word INTEGER,
# and STRICT tables know no BIGINT.
INTEGER: Final[sa.types.TypeEngine[int]] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# PostgreSQL's REAL keeps six digits, too few for a balance in rupees; SQLite's REAL is a double already.
REAL: Final[sa.types.TypeEngine[float]] = sa.Double().with_variant(sa.REAL(), "sqlite")

ACCOUNT_CHARS_MAX: Final = 64
# A time in milliseconds, taken for seconds, would be the newest row for the next 50,000 years.
EPOCH_S_MAX: Final = 100_000_000_000

Items = tuple[SchemaItem, ...]


class Stored(sa.ColumnElement[bool]):
    """
    True when *column* holds NULL, or a value SQLite stored as one of *kinds* and within *bound*.

    SQLite stores "abc" in an INTEGER column without a word; `typeof` is the only way to say no.
    Elsewhere the column's type says it and only the bound is left.
    """

    type = sa.Boolean()
    inherit_cache = False

    def __init__(self, column: str, kinds: tuple[str, ...], bound: sa.ColumnElement[bool] | None = None) -> None:
        self.column: sa.ColumnClause[Any] = sa.column(column)
        self.kinds = (*kinds, "null")
        self.bound = bound


@compiles(Stored, "sqlite")
def _stored_in_sqlite(element: Stored, compiler: SQLCompiler, **kw: Any) -> str:
    kinds = ", ".join(f"'{kind}'" for kind in element.kinds)
    stored = f"typeof({compiler.process(element.column, **kw)}) IN ({kinds})"
    return stored if element.bound is None else f"{stored} AND {compiler.process(element.bound, **kw)}"


@compiles(Stored)
def _stored_elsewhere(element: Stored, compiler: SQLCompiler, **kw: Any) -> str:
    assert element.bound is not None, "a typed column needs a CHECK only for its bound"
    return str(compiler.process(element.bound, **kw))


def finite_check(column: str) -> sa.CheckConstraint:
    """
    Refuse text, NaN and infinity in a REAL column, and sums beyond `REAL_ABS_MAX`.

    PostgreSQL sorts NaN above every number, so the bound refuses it. SQLite turns NaN into NULL before
    any CHECK sees it: a NOT NULL column refuses it, any other keeps "unknown", never a number.
    """
    bound = sa.func.abs(sa.column(column, sa.Float())) < sa.literal(REAL_ABS_MAX, sa.BigInteger())
    return sa.CheckConstraint(Stored(column, ("real", "integer"), bound), name=column)


def whole_check(column: str, bound: sa.ColumnElement[bool] | None = None) -> sa.CheckConstraint:
    """Refuse text and fractions in an INTEGER column, and what is outside *bound*."""
    check = sa.CheckConstraint(Stored(column, ("integer",), bound), name=column)
    return check.ddl_if(dialect="sqlite") if bound is None else check


def _default(value: str | int | None) -> sa.TextClause | None:
    if value is None:
        return None
    return sa.text(str(value) if isinstance(value, int) else f"'{value}'")


def row_id() -> Items:
    """An integer key that counts up and never reuses a number, so that nobody's old id names a new row."""
    return (sa.Column("id", INTEGER, primary_key=True, autoincrement=True),)


def text(name: str, *, nullable: bool = True, default: str | None = None, key: bool = False, doc: str = "") -> Items:
    """Text that may say anything, also nothing."""
    return (sa.Column(name, sa.Text, nullable=nullable, primary_key=key, server_default=_default(default), doc=doc),)


def said(name: str, *, nullable: bool = False, default: str | None = None, key: bool = False, doc: str = "") -> Items:
    """
    Text that says something: an id, or a word of the broker.

    Brokers add words without asking. An unknown word is kept and treated as live; a list of allowed
    words would refuse the row, and a working order would not be seen by a kill.
    """
    check = sa.CheckConstraint(sa.func.trim(sa.column(name)) != "", name=name)
    return (*text(name, nullable=nullable, default=default, key=key, doc=doc), check)


def word(name: str, *allowed: str, nullable: bool = False, default: str | None = None, doc: str = "") -> Items:
    """Text out of a closed list: words of our own side, never of the broker's."""
    check = sa.CheckConstraint(sa.column(name).in_(allowed), name=name)
    return (*text(name, nullable=nullable, default=default, doc=doc), check)


def account(name: str = "account_type", *, nullable: bool = False, key: bool = False) -> Items:
    """Any account's name. Version 3 knew `leader` and `follower` only: a second follower had no name."""
    column = sa.column(name, sa.Text())
    named = sa.and_(sa.func.trim(column) != "", sa.func.length(column) <= ACCOUNT_CHARS_MAX)
    return (
        *text(name, nullable=nullable, key=key),
        sa.CheckConstraint(named, name=name),
    )


def flag(name: str, *, nullable: bool = True, default: int | None = None, doc: str = "") -> Items:
    """0 or 1."""
    check = whole_check(name, sa.column(name, sa.Integer()).in_((0, 1)))
    column: sa.Column[int] = sa.Column(
        name, INTEGER, nullable=nullable, server_default=_default(default), doc=doc, info={"unit": "0 or 1"}
    )
    return (column, check)


def whole(
    name: str,
    *,
    nullable: bool = True,
    default: int | None = None,
    at_least: int | None = None,
    key: bool = False,
    doc: str = "",
) -> Items:
    """A whole number. A negative quantity would turn a buy into a sell: *at_least* says where it starts."""
    bound = None if at_least is None else sa.column(name, sa.Integer()) >= at_least
    column: sa.Column[int] = sa.Column(
        name,
        INTEGER,
        nullable=nullable,
        primary_key=key,
        autoincrement=False,
        server_default=_default(default),
        doc=doc,
    )
    return (column, whole_check(name, bound))


def real(name: str, *, nullable: bool = True, default: int | None = None, doc: str = "") -> Items:
    """A finite number that is not money: a ratio, a multiplier."""
    column: sa.Column[float] = sa.Column(name, REAL, nullable=nullable, server_default=_default(default), doc=doc)
    return (column, finite_check(name))


def money_real(
    name: str, *, nullable: bool = True, default: int | None = None, unit: str = "rupees", doc: str = ""
) -> Items:
    """Rupees as a binary float, as version 3 has them; writers of ours round to four places first."""
    items = real(name, nullable=nullable, default=default, doc=doc)
    items[0].info["unit"] = unit
    return items


def epoch(name: str, *, nullable: bool = True, key: bool = False, doc: str = "") -> Items:
    """Whole seconds since 1970 UTC. The broker's "not set" is the year 1, so there is no lower bound."""
    column: sa.Column[int] = sa.Column(
        name,
        INTEGER,
        nullable=nullable,
        primary_key=key,
        autoincrement=False,
        doc=doc,
        info={"unit": "seconds since 1970, UTC"},
    )
    return (column, whole_check(name, sa.column(name, sa.BigInteger()) < EPOCH_S_MAX))


def epoch_us(name: str, *, nullable: bool = True, doc: str = "") -> Items:
    """Whole microseconds since 1970 UTC; seconds or milliseconds by mistake are refused."""
    column: sa.Column[int] = sa.Column(
        name, INTEGER, nullable=nullable, doc=doc, info={"unit": "microseconds since 1970, UTC"}
    )
    return (column, whole_check(name, sa.column(name, sa.BigInteger()) >= EPOCH_S_MAX * 1000))


def since_v4(*items: SchemaItem | Items) -> Items:
    """Mark columns that version 3 does not have; views for its readers leave them out."""
    flat = tuple(_flat(items))
    for item in flat:
        if isinstance(item, sa.Column):
            item.info["since"] = SCHEMA_VERSION
    return flat


def partial_index(
    name: str,
    *columns: str | sa.TextClause | sa.ColumnElement[Any],
    where: str | sa.ColumnElement[bool],
    unique: bool = False,
) -> sa.Index:
    """An index over the few rows for which *where* holds."""
    condition = sa.text(where) if isinstance(where, str) else where
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def table(name: str, *items: SchemaItem | Items, about: str, strict: bool = False) -> sa.Table:
    """Declare a table; *strict* for riskguard's own, which no program of version 3 writes."""
    flat = tuple(_flat(items))
    for item in flat:
        if isinstance(item, sa.Column):
            _say(item)
    numbered = any(isinstance(item, sa.Column) and item.autoincrement is True for item in flat)
    return sa.Table(
        name,
        metadata,
        *flat,
        info={"about": about},
        sqlite_autoincrement=numbered,
        sqlite_strict=strict,
    )


def _say(column: sa.Column[Any]) -> None:
    """Give the column the meaning and the unit its name stands for, where its declaration says neither."""
    name = column.name
    column.doc = column.doc or MEANINGS.get(name, "")
    if "unit" not in column.info:
        column.info["unit"] = "1/10000 rupee" if name.endswith("_e4") else UNITS.get(name, "")


def v3_columns(declared: sa.Table) -> tuple[str, ...]:
    """Name the columns version 3 has too, in its order."""
    return tuple(column.name for column in declared.columns if "since" not in column.info)


def _flat(items: tuple[SchemaItem | Items, ...]) -> Iterator[SchemaItem]:
    for item in items:
        if isinstance(item, tuple):
            yield from item
        else:
            yield item
