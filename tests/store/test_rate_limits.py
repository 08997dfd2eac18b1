"""Goal: every request is counted once, in its minute, by all processes together; and nothing waits for the counting."""

from __future__ import annotations

import os
from pathlib import Path

from riskguard.services.counting import CountedBroker, ledger_of
from riskguard.services.wiring import broker_of, settings_of
from riskguard.store.rate_limits import COUNTS_MAX, RateLedger
from riskguard.store.session import Store
from tests.services.desk import Desk, locked
from tests.store.secret_desk import rows

COUNTS = (
    "SELECT account_type, endpoint, window_start, window_end, request_count, last_request_at "
    "FROM rate_limit_tracking ORDER BY id"
)


def counted(desk: Desk) -> list[tuple[object, ...]]:
    return rows(desk.path, COUNTS)


def test_requests_are_counted_by_account_class_and_minute(desk: Desk) -> None:
    """The last second of a minute belongs to it, the next begins another; the same minute is one row."""
    ledger = RateLedger(desk.store, desk.clock)
    start = desk.clock.now_us() // 60_000_000 * 60
    for at_s, account, endpoint in (
        (0, "leader", "orders"),
        (59, "leader", "orders"),
        (60, "leader", "orders"),
        (60, "leader", "reads"),
        (61, "other", "orders"),
    ):
        desk.clock.at_us = (start + at_s) * 1_000_000
        ledger.note(account, endpoint)
        assert ledger.flush(now=True)

    assert counted(desk) == [
        ("leader", "orders", start, start + 60, 2, start + 59),
        ("leader", "orders", start + 60, start + 120, 1, start + 60),
        ("leader", "reads", start + 60, start + 120, 1, start + 60),
        ("other", "orders", start + 60, start + 120, 1, start + 61),
    ]


def test_counting_writes_nothing_and_flushing_at_most_once_a_second(desk: Desk) -> None:
    """A hundred requests are one write; within the second the next flush does nothing, at one second it does."""
    ledger = RateLedger(desk.store, desk.clock)
    for _ in range(100):
        ledger.note("leader", "orders")
    assert counted(desk) == []
    assert ledger.flush()
    ledger.note("leader", "orders")
    assert not ledger.flush()
    assert [row[4] for row in counted(desk)] == [100]

    desk.clock.skipped_us += 1_000_000

    assert ledger.flush()
    assert [row[4] for row in counted(desk)] == [101]


def test_two_processes_add_up(desk: Desk) -> None:
    """Each adds what it sent; a forked child starts at nothing, so that nothing is counted twice."""
    ledger = RateLedger(desk.store, desk.clock)
    ledger.note("leader", "orders")
    pid = os.fork()
    if pid == 0:
        try:
            for _ in range(3):
                ledger.note("leader", "orders")
            os._exit(0 if ledger.flush(now=True) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    ledger.close()

    assert [row[4] for row in counted(desk)] == [4]


def test_a_busy_database_costs_no_request_and_loses_no_count(desk: Desk) -> None:
    """What the database did not take is kept and added later; nothing is raised."""
    ledger = RateLedger(desk.store, desk.clock)
    ledger.note("leader", "orders")
    with locked(desk.path):
        assert not ledger.flush(now=True)
    ledger.note("leader", "orders")

    assert ledger.flush(now=True)
    assert [row[4] for row in counted(desk)] == [2]


def test_what_waits_is_bounded(tmp_path: Path, desk: Desk) -> None:
    """With the database gone for a week, memory does not grow: the oldest windows are given up."""
    ledger = RateLedger(Store(f"sqlite:///{tmp_path}/none.db"), desk.clock)
    for _ in range(COUNTS_MAX + 10):
        ledger.note("leader", "orders")
        desk.clock.advance(60)

    assert not ledger.flush(now=True)
    assert len(ledger._counts) == COUNTS_MAX


def test_the_broker_of_a_database_is_counted(desk: Desk) -> None:
    """Lists and cancellations of the wired broker are counted, and written when the guard closes."""
    settings, _accounts = settings_of(desk.store)
    broker = broker_of(desk.guard, settings, "leader")
    assert isinstance(broker, CountedBroker)
    broker.orders(), broker.trades(), broker.positions()
    try:
        broker.cancel("no-such-order")
    except Exception as e:
        refused = e

    assert refused is not None and counted(desk) == []
    assert ledger_of(desk.guard) is broker.ledger
    desk.guard.close()
    assert sorted((row[1], row[4]) for row in counted(desk)) == [("orders", 1), ("reads", 3)]
