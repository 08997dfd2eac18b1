"""
What "latest" and "live" mean in the views, and that they stay quick.

Rows with a header are written by riskguard, rows without one by a version 3 program.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from riskguard.store.tables.base import REAL_ABS_MAX
from tests.store import v3_files, v4_files
from tests.store.rows import FUNDS, ORDER, POSITION, File, T, ask, header, put


@pytest.fixture
def new(tmp_path: Path) -> Iterator[File]:
    connection = v4_files.build(tmp_path / "v4.db")
    yield connection
    connection.close()


def held(file: File, security_id: str, at_s: float, snapshot_id: int = 0) -> None:
    row = {**POSITION, "security_id": security_id, "snapshot_ts": int(at_s), "snapshot_id": snapshot_id}
    put(file, "positions", row)


def latest(file: File) -> list[str]:
    return [row[0] for row in ask(file, "SELECT security_id FROM v_latest_positions ORDER BY security_id")]


def test_rows_become_visible_with_their_header(new: File) -> None:
    """Rows go in first, in chunks: half a list must not be taken for the whole."""
    held(new, "1594", T)
    number = header(new, T + 10, complete=0, rows=2)
    held(new, "2885", T + 10, number)
    assert latest(new) == ["1594"]

    held(new, "1333", T + 10, number)
    new.execute("UPDATE snapshots SET complete = 1")
    assert latest(new) == ["1333", "2885"]


def test_a_newer_header_without_rows_is_flat(new: File) -> None:
    held(new, "1594", T, header(new, T, rows=1))
    header(new, T + 10)

    assert latest(new) == []


def test_a_header_of_another_kind_or_account_says_nothing(new: File) -> None:
    held(new, "1594", T)
    header(new, T + 10, kind="orders")
    put(
        new,
        "snapshots",
        {
            "account": "follower",
            "kind": "positions",
            "fetched_at_us": (T + 10) * 1_000_000,
            "complete": 1,
            "row_count": 0,
            "source": "dhan",
        },
    )

    assert latest(new) == ["1594"]


@pytest.mark.parametrize(
    ("bare_at_s", "header_at_s", "expected"),
    [
        (T + 20, T + 10, ["bare"]),
        (T + 10, T + 10, []),
        # Whole seconds cannot tell which came first; the header is the one that can say flat.
        (T + 10, T + 10.5, []),
        (T + 11, T + 10.5, ["bare"]),
    ],
)
def test_rows_without_header_stand_only_where_they_are_newer(
    bare_at_s: int, header_at_s: float, expected: list[str], new: File
) -> None:
    """A version 3 program beside riskguard goes on writing; what it wrote last counts."""
    held(new, "bare", bare_at_s)
    header(new, header_at_s)

    assert latest(new) == expected


def test_the_newest_fetch_wins_not_the_last_write(new: File) -> None:
    """Two processes fetch at once and the slower one writes last."""
    late = header(new, T + 10, rows=1)
    early = header(new, T + 5, rows=1)
    held(new, "2885", T + 5, early)
    held(new, "1594", T + 10, late)

    assert latest(new) == ["1594"]


def test_each_account_has_one_balance(new: File) -> None:
    put(new, "funds", FUNDS, {**FUNDS, "account_type": "follower", "available_balance": 5.0})
    number = header(new, T + 1, kind="funds", rows=1)
    put(new, "funds", {**FUNDS, "available_balance": 900.0, "snapshot_id": number})

    query = "SELECT account_type, available_balance FROM v_latest_funds ORDER BY account_type"
    assert ask(new, query) == [("follower", 5.0), ("leader", 900.0)]


def test_orders_without_a_row_do_not_hide_their_trades(new: File) -> None:
    v3_files.fill(new, orders=40)
    new.execute("DELETE FROM orders")
    shown, stored = ask(new, "SELECT (SELECT count(*) FROM v_recent_trades), count(*) FROM trades")[0]

    assert shown == stored > 20


def test_live_orders_are_found_by_their_index(new: File) -> None:
    """Out of years of orders a handful are live; a scan would grow with the years."""
    put(new, "orders", ORDER)
    plan = ask(new, "EXPLAIN QUERY PLAN SELECT id FROM v_active_orders")

    assert any("idx_orders_live" in row[-1] for row in plan)


def test_every_amount_a_column_takes_fits_our_own_integers() -> None:
    """They count 1/10000 rupee in 63 bits."""
    assert REAL_ABS_MAX * 10_000 < 2**63


def test_legs_are_found_by_their_parent(new: File) -> None:
    """Not by reading all legs of the account again for each bracket order."""
    plan = ask(new, "EXPLAIN QUERY PLAN SELECT * FROM v_active_bracket_orders")

    assert not any("idx_bo_legs_account" in row[-1] or "SCAN l" in row[-1] for row in plan)
