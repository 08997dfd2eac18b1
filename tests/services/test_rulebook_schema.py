"""
What editors know of a rulebook, and the page that shows all of them: both are what the files and the checks make.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from riskguard.core.checks import EVERY
from riskguard.core.rulebook import LIMIT_KEYS, parse
from riskguard.errors import RulebookError
from riskguard.locate import folder, rulebook_text
from riskguard.services.limits import rulebook_schema, rulebook_table
from tests.core.test_rulebook import text_of

SHIPPED = sorted(path.stem for path in folder("rules").glob("*.toml"))
VALIDATOR = Draft202012Validator(rulebook_schema.schema())


def fits(book: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid(book))


def test_the_published_file_is_the_one_the_checks_make() -> None:
    """Make it anew with `python -m riskguard.services.limits.rulebook_schema`; it is a schema itself."""
    path = folder("schema") / "rulebook.schema.json"

    assert path.read_text(encoding="utf-8") == rulebook_schema.text()
    Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", SHIPPED)
def test_it_takes_every_shipped_rulebook(name: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(rulebook_text(name)))] == []


def test_every_check_is_a_branch_with_its_own_keys() -> None:
    """No check is left out, and no branch knows a key that its check does not."""
    branches = rulebook_schema.schema()["properties"]["limit"]["items"]["allOf"]
    keys = {each["then"]["properties"]["check"]["const"]: set(each["then"]["properties"]) for each in branches}

    assert keys == {check.name: set(LIMIT_KEYS) | set(check.params.model_fields) for check in EVERY}


KINDS: list[Any] = [True, 1.5, [], {}, "", "  ", "abc", [0], {"x": 1}]


def mutations(limit: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Another kind of value, an unknown key beside and inside, and each key taken away."""
    made: list[tuple[str, dict[str, Any]]] = [("unknown key", {**limit, "maximum": 1})]
    for key, value in limit.items():
        made.append((f"{key} missing", {name: each for name, each in limit.items() if name != key}))
        made += [(f"{key} = {wrong!r}", {**limit, key: wrong}) for wrong in KINDS]
        inner = value[0] if isinstance(value, list) and isinstance(value[0], dict) else value
        if isinstance(inner, dict):
            changed = {**inner, "maximum": 1}
            made.append((f"unknown key in {key}", {**limit, key: [changed] if isinstance(value, list) else changed}))
    return made


def refused(book: dict[str, Any]) -> str:
    """Return why it is refused, "" when it is taken."""
    try:
        parse(text_of(book), account="leader")
    except RulebookError as e:
        return str(e)
    return ""


@pytest.mark.parametrize("name", SHIPPED)
def test_it_refuses_what_is_refused_for_its_kind_or_key(name: str) -> None:
    """What `riskguard limits plan` takes, the schema takes; a wrong kind or an unknown key it refuses as well."""
    good = tomllib.loads(rulebook_text(name))
    wrong, tried = [], 0
    for limit in good["limit"]:
        for said, mutated in mutations(limit):
            book = {**good, "limit": [copy.deepcopy(mutated)]}
            tried += 1
            why = refused(book)
            # What holds between two keys ("one of them") is no matter of a kind or a key: the schema leaves it to `plan`.
            if bool(why) == fits(book) and not (fits(book) and "wants `" in why and "` or `" in why):
                wrong.append(f"{limit['id']}: {said}: {why or 'parsed'}")

    assert tried > 500
    assert wrong == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mode": "shadow"}, False),
        ({"on_breach": "warn"}, False),
        ({"mode": "shadow", "acknowledged_by": "asha", "acknowledged_until": "2026-12-31"}, True),
        ({"mode": "shadow", "acknowledged_by": "asha"}, False),
        ({"scope": "COUNTRY:IN"}, False),
        ({"scope": "STRATEGY:one"}, True),
        ({"plan": "sell"}, False),
    ],
)
def test_it_knows_what_a_mandatory_limit_wants(changes: dict[str, Any], expected: bool) -> None:
    """To only watch it wants a name and a day."""
    good = tomllib.loads(rulebook_text("default"))
    (value,) = [limit for limit in good["limit"] if limit["check"] == "order_value"]

    assert fits({**good, "limit": [{**value, **changes}]}) == expected


def test_a_day_written_as_a_day_is_taken_by_the_rulebook_alone() -> None:
    """TOML has dates and JSON has not: an editor is told to quote it, and it is read either way."""
    good = tomllib.loads(rulebook_text("default"))
    (value,) = [limit for limit in good["limit"] if limit["check"] == "lot_size"]
    limit = {**value, "mode": "shadow", "acknowledged_by": "asha", "acknowledged_until": dt.date(2026, 12, 31)}

    assert not fits({**good, "limit": [limit]})
    quoted = text_of({"rulebook": "x", "limit": [{**limit, "acknowledged_until": "2026-12-31"}]})
    assert (
        parse(quoted, account="leader").limits
        == parse(quoted.replace('"2026-12-31"', "2026-12-31"), account="leader").limits
    )


def test_the_page_is_the_one_the_files_make() -> None:
    """Make it anew with `python -m riskguard.services.limits.rulebook_table`."""
    page = (folder("rules").parent / "docs" / "rulebooks.md").read_text(encoding="utf-8")

    assert page == rulebook_table.page(page)
    for check in EVERY:
        assert f"| `{check.name}`" in page
    for name in SHIPPED:
        assert f"## `{name}`" in page


def test_a_page_without_marks_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="begin"):
        rulebook_table.page("# Rulebooks\n")
