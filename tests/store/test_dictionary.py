"""`schema/README.md` is what the declaration says, whole: no table, column, index, trigger or view is without words."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from riskguard.locate import folder
from riskguard.store import dictionary
from riskguard.store.tables import history, metadata
from riskguard.store.tables.base import row_id, table, text, v3_columns
from riskguard.store.views import VIEWS
from tests.store import v3_files

README = (folder("schema") / "README.md").read_text("utf-8")


def section(heading: str) -> str:
    """The part of the page under *heading*, up to the next one."""
    return re.split(r"^###? ", README.split(f"### {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_page_is_the_declaration() -> None:
    """After a change of the declaration: `python -m riskguard.store.dictionary`."""
    assert dictionary.text() == README


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_every_column_says_what_it_is(name: str) -> None:
    """Each table has its purpose, and each column a row with a meaning, in the table's order."""
    declared = metadata.tables[name]
    rows = [line.split(" | ") for line in section(name).splitlines() if line.startswith("| `")]
    found = {row[0].strip("| `"): row[-1].strip("| ") for row in rows}

    assert declared.info["about"] in section(name)
    assert list(found)[: len(declared.columns)] == [column.name for column in declared.columns]
    for column in declared.columns:
        assert found[column.name], column.name
        assert column.doc and len(column.doc) > 3, column.name


def test_every_number_of_money_or_time_says_its_unit() -> None:
    """A REAL without a unit is how a limit in lots was read as rupees; counters and keys have none."""
    for declared in metadata.tables.values():
        for column in declared.columns:
            is_real = isinstance(column.type, sa.Double | sa.REAL)
            if is_real or column.name.endswith(("_e4", "_us", "_at", "_ts", "_qty", "quantity", "_ms")):
                assert column.info["unit"] or "rupees" in str(column.doc), f"{declared.name}.{column.name}"


def test_every_index_trigger_and_view_is_there() -> None:
    """By name, from what SQLite is given; a trigger's row says what it does."""
    sql = (folder("schema") / "sqlite.sql").read_text("utf-8")
    for kind in ("INDEX", "TRIGGER", "VIEW"):
        names = re.findall(rf"^CREATE (?:UNIQUE )?{kind} (\w+)", sql, flags=re.MULTILINE)
        assert names, kind
        for name in names:
            assert f"`{name}`" in README, name
    assert {name.removeprefix("v3_") for name in VIEWS} == set(dictionary.VIEW_WORDS)


def test_versions_are_those_of_the_inventory() -> None:
    """Since when each table, column and view is there is what the three old scripts say."""
    for spec in v3_files.tables(3):
        name = spec["name"]
        assert history.table_since(name) == spec["since_version"]
        for column in spec["columns"]:
            assert history.column_since(name, column["name"], is_ours=False) == column["since_version"], column["name"]
        ours = [
            column.name
            for column in metadata.tables[name].columns
            if column.name not in v3_columns(metadata.tables[name])
        ]
        assert {history.column_since(name, column, is_ours=True) for column in ours} <= {4}
    for view in v3_files.INVENTORY["views"]:
        assert history.view_since(view["name"]) == view["since_version"]
    assert history.table_since("decisions") == history.view_since("v3_v_active_orders") == 4


def test_diagrams_link_columns_that_exist() -> None:
    """Every table stands in one diagram, and every line in it joins two columns of the same type."""
    for child, column, parent, key in dictionary.RELATIONS:
        ours, theirs = metadata.tables[child].c[column], metadata.tables[parent].c[key]
        assert str(ours.type) == str(theirs.type), (child, column)
        assert f'    {parent} |o--o{{ {child} : "{column}"' in README
    drawn = re.findall(r"^    (\w+) \{$", README, flags=re.MULTILINE)
    assert sorted(drawn) == sorted(metadata.tables)
    assert README.count("```mermaid") == len(dictionary.areas())


def test_what_has_no_words_is_refused() -> None:
    """Generating stops at a column without a meaning, a unique index without a purpose, a trigger without words."""
    aside = sa.MetaData()
    bare = table("bare_table", row_id(), text("mood"), about="A table of nothing.").to_metadata(aside)
    metadata.remove(metadata.tables["bare_table"])

    with pytest.raises(LookupError, match=r"`bare_table\.mood` has no meaning"):
        dictionary._table(bare, [])
    bare.c.mood.doc = "how it feels"
    assert "how it feels" in dictionary._table(bare, [])
    sa.Index("uq_bare", bare.c.mood, unique=True)
    with pytest.raises(LookupError, match="`uq_bare` has no purpose"):
        dictionary._table(bare, [])
    with pytest.raises(LookupError, match="trigger `bare_sings` has no words"):
        dictionary._grouped([("bare_sings", "AFTER INSERT")])
