"""
Statements as they are written: SQLAlchemy Core, noted down here and made only where its compiled text is not kept.

    from riskguard.store.spelling import fixed, param, prepare, sa, tables

    decisions = tables.journal.decisions
    KNOWN = prepare(sa.select(decisions.c.body).where(decisions.c.account == param("account")))

To whoever reads or type-checks it this is Core. At run time `sa` and `tables` note what is said of them, and nothing of
SQLAlchemy is imported: importing it, declaring the tables and compiling cost a process more than all else it does until
its first order. The text of every statement noted so is kept in `texts/`, under the digest of its spelling: a
statement that is spelled differently does not find the old text and is compiled, slowly and rightly.

    python -m riskguard.store.texts           writes them; tests/store/test_texts.py holds that they are what Core makes
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from riskguard.store import texts

Compiled = tuple[str, dict[str, Any]]
"""A statement's text with named parameters, and the values written into it."""


class UnspelledError(TypeError):
    """Something of a statement was not written here: only Core itself can say what it is."""


class Spelled:
    """
    Something of SQLAlchemy Core that was written and not made: a module, an attribute, an operator, a call.

    It answers to every operator Core knows. It has no length, no truth and no items to walk through: who needs one of
    these needs the thing itself, and imports it.
    """

    __slots__ = ("_made", "_make", "_words")
    _made: Any

    def __init__(self, words: Callable[[], str], make: Callable[[], Any]) -> None:
        self._words, self._make = words, make

    def __getattr__(self, name: str) -> Spelled:
        if name.startswith("_"):
            raise AttributeError(name)  # no column is called so; copy, pickle and the like ask for such
        return Spelled(lambda: f"{spelling(self)}.{name}", lambda: getattr(made(self), name))

    def __getitem__(self, key: object) -> Spelled:
        return Spelled(lambda: f"{spelling(self)}[{spelling(key)}]", lambda: made(self)[made(key)])

    def __call__(self, *values: object, **named: object) -> Spelled:
        return Spelled(
            lambda: f"{spelling(self)}({spelling(list(values))}, {spelling(named)})",
            lambda: made(self)(*map(made, values), **made(named)),
        )

    def __bool__(self) -> bool:
        raise TypeError("what is only written has no truth: import the table itself")

    __iter__ = None
    __hash__ = object.__hash__
    is_clause_element = False  # SQLAlchemy asks this before it asks for the thing itself

    def __clause_element__(self) -> Any:
        """Be taken for the thing itself by SQLAlchemy, so that a statement made at once can name one written here."""
        return made(self)


def _operator(name: str) -> Callable[..., Spelled]:
    def write(self: Spelled, *others: object) -> Spelled:
        return Spelled(
            lambda: f"{spelling(self)}.{name}({spelling(list(others))})",
            lambda: getattr(made(self), name)(*map(made, others)),
        )

    return write


for _name in (
    "eq", "ne", "lt", "le", "gt", "ge", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "floordiv", "mod", "and", "or",
    "invert", "neg",
):  # fmt: skip
    setattr(Spelled, f"__{_name}__", _operator(f"__{_name}__"))


def spelling(value: object) -> str:
    """Return *value* as it was written; raises UnspelledError."""
    if isinstance(value, Spelled):
        return value._words()
    if value is None or isinstance(value, (str, int)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelling, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{spelling(key)}: {spelling(each)}' for key, each in value.items())}}}"
    if isinstance(value, FunctionType):
        return f"new -> {spelling(value(Spelled(lambda: 'new', _nothing)))}"
    raise UnspelledError(f"`{type(value).__name__}` has no spelling")


def _nothing() -> Any:
    raise TypeError("the new row is only known where the statement is made")


def made(value: Any) -> Any:
    """Return what *value* says, made by Core; once for each thing written."""
    if isinstance(value, Spelled):
        try:
            return value._made
        except AttributeError:
            value._made = found = value._make()
            return found
    if isinstance(value, (list, tuple)):
        return type(value)(map(made, value))
    if isinstance(value, dict):
        return {made(key): made(each) for key, each in value.items()}
    return value


def _module(name: str) -> Any:
    def load() -> Any:
        from importlib import import_module

        return import_module(name)

    return Spelled(lambda: name, load)


class Prepared:
    """
    One statement; `sql` is its text with named parameters, `constants` the values written into it.

    Its text is looked up at its first use, or compiled then, for the database that uses it: a process uses some of the
    statements, and compiling all would be most of its start.
    """

    __slots__ = ("_core", "_core_postgresql", "_postgresql", "_sqlite")

    def __init__(self, core: Any, postgresql: Any = None) -> None:
        self._core = core
        self._core_postgresql = core if postgresql is None else postgresql
        self._sqlite: Compiled | None = None
        self._postgresql: Compiled | None = None

    def compiled(self) -> Compiled:
        """Return (text, constants) for SQLite; the hot path asks this once per statement and gets what is kept."""
        kept = self._sqlite
        if kept is None:
            kept = self._sqlite = self.kept("sqlite") or self.by_core("sqlite")
        return kept

    def on_postgresql(self) -> Compiled:
        """Return (text, constants) for psycopg."""
        kept = self._postgresql
        if kept is None:
            kept = self._postgresql = self.kept("postgresql") or self.by_core("postgresql")
        return kept

    @property
    def sql(self) -> str:
        return self.compiled()[0]

    @property
    def constants(self) -> dict[str, Any]:
        return self.compiled()[1]

    def kept(self, dialect: texts.Dialect) -> Compiled | None:
        """Return the text kept for this spelling, if one is."""
        digest = self.digest(dialect)
        return None if digest is None else texts.kept(dialect).get(digest)

    def digest(self, dialect: texts.Dialect) -> str | None:
        """Return what names the spelling; None for a statement that Core made at once, or a part of."""
        try:
            return hashlib.sha256(spelling(self._spoken(dialect)).encode()).hexdigest()[:24]
        except UnspelledError:
            return None

    def by_core(self, dialect: texts.Dialect) -> Compiled:
        """Return the text Core makes of it."""
        from riskguard.store.statements import text_of

        return text_of(made(self._spoken(dialect)), dialect)

    def _spoken(self, dialect: texts.Dialect) -> Any:
        return self._core if dialect == "sqlite" else self._core_postgresql


if TYPE_CHECKING:
    import sqlalchemy as sa

    from riskguard.store import tables
    from riskguard.store.statements import fixed, greater, insert_into, lesser, param, prepare, upsert
else:
    sa, tables = _module("sqlalchemy"), _module("riskguard.store.tables")
    _core = _module("riskguard.store.statements")
    fixed, greater, lesser, param = _core.fixed, _core.greater, _core.lesser, _core.param
    prepare = Prepared

    def insert_into(table: Spelled, *columns: str, ignore: bool = False, replace: bool = False) -> Prepared:
        """See `statements.insert_into`."""
        pair = _core.inserts(table, *columns, ignore=ignore, replace=replace)
        return Prepared(pair[0], pair[1])

    def upsert(table: Spelled, values: dict[str, Any], **how: Any) -> Prepared:
        """See `statements.upsert`."""
        pair = _core.upserts(table, values, **how)
        return Prepared(pair[0], pair[1])


__all__ = [
    "Prepared", "Spelled", "fixed", "greater", "insert_into", "lesser", "made", "param", "prepare", "sa", "spelling", "tables",
    "upsert",
]  # fmt: skip
