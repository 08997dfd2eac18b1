"""Freshness of the book and of the watch: exactly as old as allowed still passes."""

from __future__ import annotations

import pytest

from riskguard.core.checks import data_freshness, sweep_heartbeat, unconfirmed_in_flight
from tests.core.builders import NOW, SECOND, SHARE, account, ask, code, line, order
from tests.core.tables import Row, table

SNAPSHOTS = table("""
    age_us       expected
    -            POSITION_UNKNOWN
    0            -
    60_000_000   -
    60_000_001   SNAPSHOT_STALE
    -2_000_000   -
    -2_000_001   CLOCK_SKEW
""")


@pytest.mark.parametrize("row", SNAPSHOTS, ids=str)
def test_the_position_list_is_recent(row: Row) -> None:
    """Neither missing, nor older than 60 s, nor stamped more than two seconds ahead."""
    age_us = row.opt_number("age_us")
    of = account()
    of.position_seen_us = None if age_us is None else NOW - age_us
    reject = ask(data_freshness.CHECK, order(), of, snapshot_age_s_max=60)

    assert code(reject) == row.expected
    assert reject is None or reject.max_quantity == 0
    if reject is not None and age_us is not None:
        limit_ms = 60_000 if row.expected == "SNAPSHOT_STALE" else 2_000
        assert (reject.measured, reject.limit, reject.unit) == (abs(age_us) // 1000, limit_ms, "ms")


SWEEPS = table("""
    age_us      interval_us  expected
    -           1_000_000    SWEEP_STALE
    0           1_000_000    -
    3_000_000   1_000_000    -
    3_000_001   1_000_000    SWEEP_STALE
    30_000_000  10_000_000   -
    30_000_001  10_000_000   SWEEP_STALE
    0           0            -
    1           0            SWEEP_STALE
""")


@pytest.mark.parametrize("row", SWEEPS, ids=str)
def test_somebody_watches(row: Row) -> None:
    """The last finished sweep is no older than three of its own intervals."""
    age_us = row.opt_number("age_us")
    of = account(sweep_interval_us=row.number("interval_us"))
    of.sweep_at_us = None if age_us is None else NOW - age_us

    reject = ask(sweep_heartbeat.CHECK, order(), of, intervals_max=3)
    assert code(reject) == row.expected
    if reject is not None:
        assert reject.measured == (None if age_us is None else age_us // 1000)
        assert reject.limit == 3 * row.number("interval_us") // 1000
        assert ("ever" in reject.detail) is (age_us is None)


def test_exits_need_neither() -> None:
    """A blind account may still be left."""
    assert not data_freshness.CHECK.exits and not sweep_heartbeat.CHECK.exits
    assert data_freshness.CHECK.mandatory and sweep_heartbeat.CHECK.mandatory


UNANSWERED = table("""
    why                            waits_us   order    exits_live  expected
    nothing is out                 -          BUY 10   0           -
    just sent                      0          BUY 10   0           -
    on the limit                   5_000_000  BUY 10   0           -
    past the limit                 5_000_001  BUY 10   0           UNCONFIRMED_IN_FLIGHT
    one exit is worth the doubt    5_000_001  SELL 10  0           -
    a second one is not            5_000_001  SELL 10  1           UNCONFIRMED_IN_FLIGHT
    a flip is no exit              5_000_001  SELL 11  0           UNCONFIRMED_IN_FLIGHT
    in time exits are free         5_000_000  SELL 10  1           -
""")


@pytest.mark.parametrize("row", UNANSWERED, ids=str)
def test_an_order_without_an_answer_blocks_its_instrument(row: Row) -> None:
    """The oldest one counts; of the same instrument only."""
    waits_us = row.opt_number("waits_us")
    side, quantity = row.order.split()
    of = account(line(10), reducing_live={SHARE.key: row.number("exits_live")})
    if waits_us is not None:
        of.unanswered = {SHARE.key: {"old": NOW - waits_us, "new": NOW}, ("NSE_EQ", "11"): {"other": NOW - 99 * SECOND}}
    asked = order(side, int(quantity))

    reject = ask(unconfirmed_in_flight.CHECK, asked, of, answer_s_max=5)
    assert code(reject) == row.expected
    assert reject is None or (reject.measured, reject.limit, reject.unit) == (
        row.number("waits_us") // 1000,
        5_000,
        "ms",
    )
    of.unanswered.pop(SHARE.key, None)
    assert ask(unconfirmed_in_flight.CHECK, asked, of, answer_s_max=5) is None
