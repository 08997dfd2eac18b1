"""
What a live limit remembers stays, on SQLite and on PostgreSQL: a peak is not deleted, moved or set lower by plain SQL.

Each case names the trigger that holds; without it the failure is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.core.tables import Row, table
from tests.store.held import REFUSED, Held, lite, rolled_back, seed

BOTH: Final = {"sqlite": lite, "postgresql": rolled_back}
DAY_US: Final = 86_400_000_000


@pytest.fixture(params=BOTH, ids=str)
def held(request: pytest.FixtureRequest) -> Iterator[Held]:
    """A peak for ever, written long ago; a week's memory of just now, one of 33 days ago and one of almost 32."""
    with BOTH[request.param]() as made:
        seed(made)
        now_us = time.time_ns() // 1000
        for limit_id, period, age_us in (
            ("peak", "", 400 * DAY_US), ("week", "2025-W47", 0), ("old", "2025-W40", 33 * DAY_US),
            ("edge", "2025-W41", 32 * DAY_US - 600_000_000),
        ):  # fmt: skip
            made.run(
                "INSERT INTO live_watches (account, limit_id, period, state, updated_at_us, written) "
                "VALUES ('leader', ?, ?, '{\"peak_e4\": 9}', ?, 5)",
                limit_id, period, now_us - age_us,
            )  # fmt: skip
        yield made


HOLDS = table("""
    statement                                                                                 trigger
    DELETE FROM live_watches WHERE limit_id = 'peak'                                          memory_kept
    DELETE FROM live_watches WHERE limit_id = 'week'                                          memory_kept
    DELETE FROM live_watches WHERE limit_id = 'edge'                                          memory_kept
    UPDATE live_watches SET state = '{}' WHERE limit_id = 'peak'                              memory_counts
    UPDATE live_watches SET updated_at_us = 100000000000001 WHERE limit_id = 'week'           memory_counts
    UPDATE live_watches SET written = 5 WHERE limit_id = 'week'                               memory_counts
    UPDATE live_watches SET written = 4, state = '{}' WHERE limit_id = 'week'                 memory_counts
    UPDATE live_watches SET period = '2020-W01', written = 6 WHERE limit_id = 'week'          memory_counts
    UPDATE live_watches SET account = 'follower', written = 6 WHERE limit_id = 'week'         memory_counts
    UPDATE live_watches SET limit_id = 'other', written = 6 WHERE limit_id = 'peak'           memory_counts
""")
PASSES = table("""
    statement
    DELETE FROM live_watches WHERE limit_id = 'old'
    UPDATE live_watches SET state = '{}', written = written + 1 WHERE limit_id = 'peak'
    UPDATE live_watches SET written = 6 WHERE limit_id = 'week'
""")


@pytest.mark.parametrize("row", HOLDS, ids=str)
def test_what_a_limit_remembers_is_not_lost(held: Held, row: Row) -> None:
    """Refused; and it is this trigger that refuses it: without it the statement passes."""
    with pytest.raises(REFUSED, match="limit"):
        held.run(row.statement)
    held.run(f"DROP TRIGGER live_watches_{row.trigger}" + (" ON live_watches" if held.dialect == "postgresql" else ""))

    assert held.run(row.statement) == 1


@pytest.mark.parametrize("row", [HOLDS[0], HOLDS[3], HOLDS[7]], ids=str)
@pytest.mark.parametrize(("owner", "passes"), [("leader", True), ("GLOBAL", True), ("follower", False)])
def test_inside_an_act_it_may_be_set_back(held: Held, row: Row, owner: str, passes: bool) -> None:
    """Of this account, or of all; another account's act lets nothing through here."""
    held.run(
        "INSERT INTO control_actions (account, kind, by_whom, at_us, is_open) "
        "VALUES (?, 'APPLY', 'asha', 1763786700000000, 1)",
        owner,
    )  # fmt: skip
    if passes:
        assert held.run(row.statement) == 1
    else:
        with pytest.raises(REFUSED, match="limit"):
            held.run(row.statement)


@pytest.mark.parametrize("row", PASSES, ids=str)
def test_what_counts_on_and_what_is_over_passes(held: Held, row: Row) -> None:
    """A person who mends a row counts on, as riskguard does; a period long over may be archived."""
    assert held.run(row.statement) == 1


INSERT = (
    "INTO live_watches (account, limit_id, period, state, updated_at_us{more}) "
    "VALUES ('leader', 'peak', '', '{{}}', 1763786700000000{value})"
)


@pytest.mark.parametrize("how", ["upsert", "replace"])
@pytest.mark.parametrize(("written", "passes"), [(None, False), (5, False), (6, True)])
def test_a_second_row_counts_on_or_is_refused(held: Held, written: int | None, passes: bool, how: str) -> None:
    """As a REPLACE on SQLite, which deletes without asking, and as an upsert on both. Without the trigger it passes."""
    said = {"more": "", "value": ""} if written is None else {"more": ", written", "value": f", {written}"}
    upsert = (
        f"INSERT {INSERT.format(**said)} ON CONFLICT (account, limit_id, period) "
        "DO UPDATE SET state = excluded.state, written = excluded.written"
    )
    way = upsert if how == "upsert" or held.dialect == "postgresql" else f"REPLACE {INSERT.format(**said)}"
    if passes:
        assert held.run(way) == 1
        return
    with pytest.raises(REFUSED, match="count"):
        held.run(way)
    for name in ("memory_counts",) if held.dialect == "postgresql" else ("memory_counts", "memory_replaced"):
        held.run(f"DROP TRIGGER live_watches_{name}" + (" ON live_watches" if held.dialect == "postgresql" else ""))
    assert held.run(way) == 1
