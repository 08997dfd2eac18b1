"""What a check asks of a long history is looked up in an index: its cost may not grow with what the day has brought."""

from __future__ import annotations

import contextlib
import re
import sqlite3

import pytest

from riskguard.store import supply
from riskguard.store.spelling import Prepared
from tests.services.desk import Desk


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        pytest.param(supply.CYCLES, "idx_permits_filled", id="how often a loop was filled"),
        pytest.param(supply.REFUSED, "idx_risk_violations_account", id="how often it was refused"),
        pytest.param(supply.REPEATED, "idx_refusal_repeats_account", id="how often in memory alone"),
        pytest.param(supply.UNFUNDED, "idx_permits_granted", id="what the broker's funds may not show"),
        pytest.param(supply.ATTRIBUTED, "idx_permits_granted", id="whose fills they were"),
    ],
)
def test_what_a_check_asks_has_an_index(desk: Desk, statement: Prepared, index: str) -> None:
    """A strategy that requotes without a fill leaves thousands of permits within a minute: none of them is looked at."""
    sql, constants = statement.compiled()
    values = {name: constants.get(name, 0) for name in re.findall(r":(\w+)", sql)}
    with contextlib.closing(sqlite3.connect(desk.path)) as connection:
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]

    assert any(index in step for step in plan) and not any(step.startswith("SCAN") for step in plan), plan
