"""Goal: there is a model for every table, it is the table's, and it shows no secret."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa

import riskguard.store.rows
from riskguard.errors import RowInvalidError
from riskguard.store import generate, rows
from riskguard.store.rows import AuthTokenRow, EdisTransactionRow, FundsRow, PositionRow, PostbackConfigRow
from riskguard.store.rows.base import Row
from riskguard.store.tables import metadata
from tests.store.rows import T

MODELS: dict[str, type[Row]] = {getattr(rows, name).TABLE: getattr(rows, name) for name in rows.__all__}
FOLDER = Path(riskguard.store.rows.__file__).parent


def test_the_files_are_those_the_tables_make() -> None:
    """Regenerate with `python -m riskguard.store.generate`; a file too many is found as well."""
    made = generate.files()

    assert {path.name for path in FOLDER.glob("*.py")} == {*made, "base.py"}
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, name


def test_every_table_has_its_model() -> None:
    """The 25 of version 3 and riskguard's own."""
    assert sorted(MODELS) == sorted(metadata.tables)
    assert len(MODELS) >= 45
    assert rows.__all__ == sorted(rows.__all__)


@pytest.mark.parametrize("table", sorted(MODELS))
def test_fields_are_columns(table: str) -> None:
    """In their order, nullable where they are, optional where the database fills them in, and each is explained."""
    declared, model = metadata.tables[table], MODELS[table]

    assert list(model.model_fields) == [column.name for column in declared.columns]
    assert model.__doc__ and len(model.__doc__.split()) >= 2
    for column in declared.columns:
        field = model.model_fields[column.name]
        numbered = column.autoincrement is True
        assert (type(None) in get_args(field.annotation)) == (column.nullable or numbered), column
        assert field.is_required() == (not column.nullable and column.server_default is None and not numbered), column
        if isinstance(column.type, (sa.Double, sa.Float)):
            assert Decimal in (field.annotation, *(get_args(each)[0] if get_args(each) else each
                               for each in get_args(field.annotation))), column  # fmt: skip


@pytest.mark.parametrize("table", sorted(MODELS))
def test_what_a_model_takes_its_table_takes(table: str) -> None:
    """The smallest row of each model is stored, and comes back as the same row."""
    declared, model = metadata.tables[table], MODELS[table]
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    declared.create(engine)
    given = {column.name: smallest(column, generate._bounds(declared).get(column.name, {}))
             for column in declared.columns if model.model_fields[column.name].is_required()}  # fmt: skip
    row = model(**given)
    with engine.begin() as connection:
        stored = {name: value for name, value in row.stored().items() if not (name == "id" and value is None)}
        connection.execute(sa.insert(declared), stored)
        found = model.read(connection.execute(sa.select(declared)).mappings().one())

    assert found.model_copy(update={"id": None} if row.stored().get("id", 0) is None else {}) == row
    assert found.checked() == found, "what was read can be written again"


def smallest(column: sa.Column[Any], bound: dict[str, Any]) -> Any:
    """The least a column takes."""
    if bound.get("in"):
        return bound["in"][0]
    if isinstance(column.type, (sa.Double, sa.Float)):
        return "0.0001"
    if isinstance(column.type, sa.Text):
        return "x"
    return bound.get("ge", 0)


@pytest.mark.parametrize("table", sorted(MODELS))
def test_what_a_model_refuses(table: str) -> None:
    """For every column: the wrong kind is refused by table and column, and the message is one line."""
    declared, model = metadata.tables[table], MODELS[table]
    for column in declared.columns:
        kind = column.type
        wrong: list[Any] = [object(), [1]]
        if isinstance(kind, (sa.Double, sa.Float)):
            wrong += [1.5, float("nan"), True, "NaN", "Infinity", Decimal("-Infinity"), "1e15", ""]
        elif isinstance(kind, sa.Text):
            wrong += [5, 1.5, True, b"x", "a\0", "\udc80"]
        else:
            wrong += [1.5, "1", 2**63, Decimal(1)]
        if column.primary_key and isinstance(kind, sa.Text) and column.server_default is None:
            wrong.append("")
        for value in wrong:
            with pytest.raises(RowInvalidError) as caught:
                model.checked_value(column.name, value)
            said = str(caught.value)
            assert f"`{table}.{column.name}`" in said and "\n" not in said, (column, value)


@pytest.mark.parametrize("table", sorted(MODELS))
def test_checks_of_numbers_are_the_models_too(table: str) -> None:
    """Just outside each CHECK the model refuses; on it, it takes."""
    declared, model = metadata.tables[table], MODELS[table]
    for name, bound in generate._bounds(declared).items():
        edges = {"ge": (-1, 0), "gt": (0, 1), "lt": (0, -1)}
        for word in edges.keys() & bound.keys():
            outside, inside = (bound[word] + step for step in edges[word])
            assert model.checked_value(name, inside) == inside
            with pytest.raises(RowInvalidError):
                model.checked_value(name, outside)
        if bound.get("in") and isinstance(declared.columns[name].type, sa.Text):
            with pytest.raises(RowInvalidError, match=str(bound["in"][0])):
                model.checked_value(name, "ANOTHER")


def test_money_is_rounded_at_the_border() -> None:
    """Four places, half up; never "-0"; the REAL of the database comes back as the decimal that was written."""
    row = FundsRow(snapshot_ts=T, account_type="leader", available_balance="1.00005", sodLimit=Decimal("-0.00001"))

    assert (row.available_balance, str(row.sodLimit)) == (Decimal("1.0001"), "0.0000")
    assert row.stored()["available_balance"] == 1.0001
    back = FundsRow.read({**row.stored(), "margin_used": 0.1 + 0.2})
    assert (back.available_balance, back.margin_used) == (Decimal("1.0001"), Decimal("0.3000"))


@pytest.mark.parametrize("rupees", ["0.0001", "0.1", "99999999.9999", "899999999999.9999", "-1650.05", "0"])
def test_every_amount_survives_the_real_column(rupees: str) -> None:
    """Through SQLite and back, to the last of four places, up to nine lakh crore."""
    row = FundsRow(snapshot_ts=T, account_type="leader", available_balance=rupees)
    with sqlite3.connect(":memory:") as file:
        (stored,) = file.execute("SELECT ?", (row.stored()["available_balance"],)).fetchone()
    assert FundsRow.read({"available_balance": stored}).available_balance == Decimal(rupees)


def test_a_ratio_is_not_money() -> None:
    """A multiplier keeps its places; everything else that is REAL is rupees, and says so."""
    row = PositionRow(
        snapshot_ts=T, account_type="a", security_id="1", exchange_segment="NSE_EQ", net_qty=0, multiplier="0.123456"
    )
    assert row.multiplier == Decimal("0.123456") == PositionRow.read(row.stored()).multiplier
    real = {(table.name, column.name) for table in metadata.tables.values() for column in table.columns
            if isinstance(column.type, (sa.Double, sa.Float))}  # fmt: skip
    assert real >= generate.RATIOS


SECRET = "canary-4417"


@pytest.mark.parametrize(
    "row",
    [
        AuthTokenRow(account_type="a", access_token=SECRET, refresh_token=SECRET, created_at=T, updated_at=T),
        EdisTransactionRow(account_type="a", isin="i", qty=1, exchange="NSE", segment="E", tpin=SECRET, status="PENDING",
                           created_at=T, updated_at=T, raw_request=SECRET),
        PostbackConfigRow(account_type="a", webhook_url="u", webhook_secret=SECRET, created_at=T, updated_at=T),
    ],
    ids=lambda row: row.TABLE,
)  # fmt: skip
def test_secrets_do_not_show(row: Row) -> None:
    """Not in repr, str, JSON, or the error about a neighbour; only what is stored has them."""
    assert SECRET not in f"{row!r}{row}{row.model_copy()!r}"
    assert SECRET in str(row.stored())
    for name in ("access_token", "tpin", "webhook_secret"):
        if name in type(row).model_fields:
            assert SECRET not in row.model_dump_json(include={name})
            with pytest.raises(RowInvalidError) as caught:
                type(row)(**{**row.model_dump(), name: f"{SECRET}\0"})
            assert SECRET not in f"{caught.value!r}{caught.value.value_shown}"
            with pytest.raises(RowInvalidError) as caught:
                setattr(row, name, SECRET)
            assert SECRET not in f"{caught.value!r}"


def test_every_secret_column_is_one() -> None:
    """By name, in all tables: a new one is a decision."""
    found = {(model.TABLE, name) for model in MODELS.values() for name, each in model.model_fields.items()
             if "SecretStr" in repr(each.annotation)}  # fmt: skip
    assert found == {
        ("auth_tokens", "access_token"), ("auth_tokens", "refresh_token"), ("edis_transactions", "tpin"),
        ("postback_configs", "webhook_secret"), ("postback_events", "signature"),
    }  # fmt: skip


def test_an_unknown_column_is_refused_without_its_value() -> None:
    """A slip in a name must not look like a column that was written."""
    with pytest.raises(RowInvalidError, match=r"funds\.balance.*no column") as caught:
        FundsRow(snapshot_ts=T, account_type="a", available_balance=1, balance=SECRET)  # type: ignore[call-arg]
    assert SECRET not in str(caught.value)


def test_names_are_told_when_they_are_wrong() -> None:
    """An AttributeError that names it."""
    with pytest.raises(AttributeError, match="`OrdersRow`"):
        _ = rows.OrdersRow
    assert "OrderRow" in dir(rows)
