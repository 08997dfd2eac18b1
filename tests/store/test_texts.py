"""Goal: a statement's kept text is what SQLAlchemy Core makes of it, and nobody can get another one's, or an old one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as core

from riskguard.store import texts
from riskguard.store.session import HEADS
from riskguard.store.spelling import (
    Prepared,
    Spelled,
    fixed,
    insert_into,
    made,
    param,
    prepare,
    sa,
    spelling,
    tables,
    upsert,
)
from riskguard.store.statements import param as core_param
from riskguard.store.statements import text_of
from riskguard.store.tables.journal import account_heads, accounts
from riskguard.store.texts.__main__ import file, statements

STATEMENTS_MIN = 250
"""Fewer than that, and the walk has missed them."""

_a = tables.journal.accounts


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_kept_texts_are_what_core_makes(dialect: texts.Dialect) -> None:
    """Each statement of the store, compiled anew: a change of a statement, a table or SQLAlchemy's ways shows here."""
    kept = texts.path(dialect).read_text(encoding="utf-8")

    assert kept == file(dialect), "write them anew: `python -m riskguard.store.texts`"
    assert len(json.loads(kept)) >= STATEMENTS_MIN


def test_every_spelled_statement_finds_its_text() -> None:
    """On both databases; what was made by Core at once has none."""
    spelled = [each for each in statements() if isinstance(each._core, Spelled)]
    others = [each for each in statements() if not isinstance(each._core, Spelled)]

    assert len(spelled) >= STATEMENTS_MIN and others
    assert all(each.kept("sqlite") and each.kept("postgresql") for each in spelled)
    assert not any(each.kept("sqlite") or each.kept("postgresql") for each in others)


def test_a_statement_that_changed_is_compiled_anew() -> None:
    """One value, one column, one order of words more than the kept one: another digest, and the text that is asked for."""
    heads = tables.journal.account_heads.c
    words = [heads[name] for name in ("account", "sequence")]
    mine = heads.account == param("account")
    first = prepare(sa.select(*words).where(mine, heads.epoch == fixed(1)))
    again = prepare(sa.select(*words).where(mine, heads.epoch == fixed(1)))
    other = prepare(sa.select(*words).where(mine, heads.epoch == fixed(2)))

    assert first.digest("sqlite") == again.digest("sqlite") != other.digest("sqlite")
    assert first.kept("sqlite") is None and first.sql.endswith("epoch = 1") and other.sql.endswith("epoch = 2")
    assert HEADS.kept("sqlite") == HEADS.by_core("sqlite")


def test_without_its_file_core_makes_the_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Slowly and rightly; nothing but the time tells."""
    twin = Prepared(HEADS._core)
    monkeypatch.setattr(texts, "path", lambda dialect: tmp_path / dialect)
    texts.kept.cache_clear()
    try:
        assert twin.kept("sqlite") is None
        assert twin.compiled() == HEADS.compiled()
    finally:
        texts.kept.cache_clear()


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "+": lambda a, b: a + b, "-": lambda a, b: a - b,
    "*": lambda a, b: a * b, "/": lambda a, b: a / b, "//": lambda a, b: a // b, "%": lambda a, b: a % b,
    "3 +": lambda a, b: 3 + a, "3 -": lambda a, b: 3 - a, "3 *": lambda a, b: 3 * a,
    "&": lambda a, b: (a == 1) & (b == 2), "|": lambda a, b: (a == 1) | (b == 2), "~": lambda a, b: ~(a == b),
    "- (one)": lambda a, b: -a, "in": lambda a, b: a.in_([1, b]), "is": lambda a, b: a.is_(None),
    "case": lambda a, b: (sa if isinstance(a, Spelled) else core).case((a == b, 1), else_=b),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_an_operator_means_what_core_means(name: str, dialect: texts.Dialect) -> None:
    """Written and then made, or made at once: the same text."""
    write = OPERATORS[name]
    head = tables.journal.account_heads.c

    written = write(head.sequence, head.epoch)
    at_once = write(account_heads.c.sequence, account_heads.c.epoch)

    assert isinstance(written, Spelled)
    assert text_of(made(written), dialect) == text_of(at_once, dialect)


def test_no_two_operators_are_spelled_alike() -> None:
    """Or one would find the other's text; nor do a word and a name, or a number and its digits."""
    head = tables.journal.account_heads.c
    said = [spelling(write(head.sequence, head.epoch)) for write in OPERATORS.values()]
    said += [spelling(value) for value in (1, "1", None, "None", [1], ["1"], {"a": 1}, {"a": "1"}, head.a, "head.a")]

    assert len(set(said)) == len(said)


def test_a_statement_made_at_once_may_name_what_is_only_written() -> None:
    """Some modules import Core, and use columns and parameters of others that do not."""
    both = core.select(accounts.c.account).where(
        accounts.c.role == _a.c.group_name, accounts.c.broker == param("broker")
    )
    whole = core.select(accounts.c.account).where(
        accounts.c.role == accounts.c.group_name, accounts.c.broker == core_param("broker")
    )

    assert text_of(both, "sqlite") == text_of(whole, "sqlite")
    # The other way round it has no spelling, and Core makes the text.
    mixed = prepare(sa.select(_a.c.account).where(accounts.c.role == fixed("x")))
    assert mixed.digest("sqlite") is None and mixed.sql.endswith("WHERE accounts.role = 'x'")


def test_what_is_only_written_cannot_be_walked_through_or_asked() -> None:
    """A branch taken on it, or a loop over its columns, would be about nothing: it says so when the module is imported."""
    with pytest.raises(TypeError, match="no truth"):
        bool(_a.c.role == fixed("leader"))
    with pytest.raises(TypeError):
        list(_a.columns)
    with pytest.raises(TypeError):
        _ = "role" in _a.c
    with pytest.raises(TypeError):
        len(_a)
    assert copy.copy(_a) is not None


def test_insert_and_upsert_are_spelled_once_for_both_databases() -> None:
    """Each database has its own words for a clash, and its own kept text."""
    add = insert_into(_a, "account", "role", ignore=True)
    put = upsert(
        _a, {"account": param("account"), "role": param("role")}, key=("account",),
        update=lambda new: {"role": new.role + _a.c.role},
    )  # fmt: skip
    other = upsert(
        _a, {"account": param("account"), "role": param("role")}, key=("account",), update=lambda new: {"role": new.role}
    )  # fmt: skip

    assert add.sql.startswith("INSERT OR IGNORE INTO accounts")
    assert add.on_postgresql()[0].endswith("ON CONFLICT DO NOTHING")
    assert "DO UPDATE SET role = (excluded.role || accounts.role)" in put.sql
    assert put.digest("sqlite") != put.digest("postgresql")
    assert put.digest("sqlite") != other.digest("sqlite"), "what a clash sets is part of the spelling"
