"""Every key of every limit of every shipped rulebook, spoilt one at a time: none is applied, none reads as "unlimited"."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from riskguard.core.checks import by_name
from riskguard.errors import RulebookError
from riskguard.locate import rulebook_text
from tests.core.test_rulebook import SHIPPED, WRONG, book, text_of


def mutations(limit: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every limit that differs from *limit* in one key: missing, misspelt, or of a wrong value."""
    made = []
    fields = by_name(limit["check"]).params.model_fields
    for key in limit:
        optional = key in fields and not fields[key].is_required()
        if key not in ("on_breach", "plan", "mode", "scope") and not optional:  # these have a documented default
            made.append((f"{key} missing", {k: v for k, v in limit.items() if k != key}))
        made.append((f"{key} misspelt", {(f"{key}x" if k == key else k): v for k, v in limit.items()}))
        wrong: list[Any] = WRONG if key in fields else [7, "", "unlimited", -1, [], {}, True, float("nan")]
        if key in ("why", "source"):
            wrong = [7, "", "  ", [], {}]
        elif key == "id":
            wrong = [7, "", "x" * 65, [], {}]
        made += [(f"{key} = {value!r}", {**limit, key: value}) for value in wrong]
    return made


@pytest.mark.parametrize("name", SHIPPED)
def test_every_key_mutated_is_refused(name: str) -> None:
    """One key at a time: typo, missing, 0, negative, NaN, text, the wrong kind. None is applied, none is unlimited."""
    good = tomllib.loads(rulebook_text(name))
    accepted, tried = [], 0
    for limit in good["limit"]:
        for said, mutated in mutations(limit):
            tried += 1
            try:
                book(text_of({**good, "limit": [mutated]}))  # alone: what is wrong with one does not hang on the others
            except RulebookError:
                continue
            accepted.append(f"{limit['id']}: {said}")

    assert tried > 300
    assert accepted == []
