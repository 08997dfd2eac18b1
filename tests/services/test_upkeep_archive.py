"""
The archive: what may leave leaves, what is still read stays, and nothing is lost or doubled whoever dies when.

Files, locks, processes and signals are real. What a row looks like, and the first second that stays, is `aged.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.errors import UpkeepError
from riskguard.services import overview
from riskguard.services.upkeep import archive as service
from riskguard.services.upkeep import files
from riskguard.services.upkeep.archive import Mover, archive, plan
from riskguard.services.upkeep.archive_file import both, listed
from riskguard.services.upkeep.lock import BusyError, StoppedError, alone
from riskguard.services.upkeep.retention import TABLES, year_of
from riskguard.store.engines.sqlite import WAL_BYTES_MAX
from riskguard.store.gate import gate
from tests.services import aged
from tests.services.aged import LOGS, READINGS, SNAPSHOTS, TRADES, at_stage
from tests.services.desk import ACCOUNT, Clock, Desk
from tests.store import rows as made
from tests.store.rows import Row

pytestmark = pytest.mark.sqlite_only("archives are SQLite files; on a server the command refuses in one line")

ROOT = Path(__file__).parents[2]


def run(desk: Desk, **how: Any) -> service.Archived:
    return archive(desk.url, clock=desk.clock, **how)


def ids(desk: Desk, table: str, column: str = "id") -> list[Any]:
    return sorted(row[0] for row in desk.rows(f"SELECT {column} FROM {table}"))  # noqa: S608


# -- what leaves -------------------------------------------------------------------------------------------------------

PLAIN = [
    ("audit_log", aged.audit, LOGS),
    ("error_log", lambda at: {"error_type": "E", "error_message": "m", "occurred_at": at}, LOGS),
    ("order_messages", lambda at: {"account": ACCOUNT, "kind": "NEW", "at_us": at * 1_000_000}, LOGS),
    (
        "refusal_repeats",
        lambda at: {"account": ACCOUNT, "violation_id": 1, "repeats": 1, "at_us": at * 1_000_000},
        LOGS,
    ),
    (
        "rate_limit_tracking",
        lambda at: {
            "account_type": ACCOUNT,
            "endpoint": "/",
            "window_start": at - 9,
            "window_end": at,
            "created_at": at,
        },
        LOGS,
    ),
    ("orders", lambda at: aged.order(f"o{at}", at), TRADES),
    ("trades", lambda at: aged.trade(f"t{at}", at), TRADES),
    ("order_events", lambda at: aged.event("gone", at), TRADES),
    ("order_modifications", lambda at: {"order_id": "gone", "modification_type": "PRICE", "modified_at": at}, TRADES),
    ("websocket_messages", lambda at: {**made.MESSAGE, "received_at": at, "is_processed": 1}, TRADES),
    ("postback_events", lambda at: {**made.POSTBACK, "received_at": at, "is_processed": 1}, TRADES),
    ("alerts", aged.alert, LOGS),
    ("alert_deliveries", lambda at: aged.delivery(at, at), LOGS),
    ("live_watches", aged.watch, LOGS),
    ("book_differences", aged.difference, LOGS),
    ("unsolicited_orders", lambda at: aged.unsolicited(f"u{at}", at), TRADES),
]


@pytest.mark.parametrize(("table", "row", "first_kept"), PLAIN, ids=[case[0] for case in PLAIN])
def test_rows_leave_by_their_age(desk: Desk, table: str, row: Callable[[int], Row], first_kept: int) -> None:
    """The last second of the day before the first kept one leaves, midnight in India stays."""
    before = len(aged.rows_of(desk.path, table))
    aged.put(desk.path, table, row(first_kept - 1), row(first_kept))

    done = run(desk)

    assert (done.rows, done.held) == (1, 0)
    assert len(aged.rows_of(desk.path, table)) == before + 1
    (kept,) = done.moved
    assert len(aged.rows_of(kept.target, table)) == 1
    assert (kept.table, kept.oldest) in {(table, first_kept - 1), (table, (first_kept - 1) * 1_000_000)}


OLD = TRADES - 10
HOLDS: dict[str, tuple[str, Row, Row]] = {
    # what holds the order `o`: table, the row that holds it, the row that does not
    "a young event": ("order_events", aged.event("o", TRADES), aged.event("o", TRADES - 1)),
    "a young trade": ("trades", aged.trade("t", TRADES, order_id="o"), aged.trade("t", TRADES - 1, order_id="o")),
    "a live child": ("orders", aged.order("c", OLD, status="PENDING", parent_order_id="o"), aged.order("c", OLD)),
    "a live leg": (
        "bracket_order_legs", {**made.LEG, "parent_order_id": "o", "status": "PENDING"},
        {**made.LEG, "parent_order_id": "o", "status": "CANCELLED"},
    ),
    "a live permit": (
        "permits",
        {
            "account": ACCOUNT, "client_order_id": "x", "sequence": 1, "state": "ACKED", "direction": "INCREASING",
            "correlation_id": "c", "exchange_segment": "NSE_EQ", "security_id": "1", "side": "BUY", "product": "CNC",
            "order_type": "LIMIT", "quantity": 1, "order_id": "o", "granted_at_us": OLD * 10**6, "expires_at_us": OLD * 10**6,
        },
        {
            "account": ACCOUNT, "client_order_id": "x", "sequence": 1, "state": "FILLED", "direction": "INCREASING",
            "correlation_id": "c", "exchange_segment": "NSE_EQ", "security_id": "1", "side": "BUY", "product": "CNC",
            "order_type": "LIMIT", "quantity": 1, "order_id": "o", "granted_at_us": OLD * 10**6, "expires_at_us": OLD * 10**6,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOLDS)
def test_an_order_stays_while_something_alive_names_it(make_desk: Callable[..., Desk], what: str) -> None:
    """With the row that holds it the order and its fill stay; with the same row, done, both leave."""
    table, holding, done = HOLDS[what]
    for row, stays in ((holding, True), (done, False)):
        desk = make_desk()
        aged.put(desk.path, "orders", aged.order("o", OLD))
        aged.put(desk.path, "trades", aged.trade("own", OLD, order_id="o"))
        aged.put(desk.path, table, row)

        run(desk)

        assert ("o" in ids(desk, "orders"), "own" in ids(desk, "trades")) == (stays, stays)


@pytest.mark.parametrize(("status", "leaves"), [("Traded", True), ("PENDING", False), ("MOON", False)])
def test_an_unknown_word_is_a_live_order(desk: Desk, status: str, leaves: bool) -> None:
    """Only words known to be final let an order go, however old it is; the broker's own spelling counts."""
    aged.put(desk.path, "orders", aged.order("o", OLD, status=status))

    run(desk)

    assert ("o" not in ids(desk, "orders")) is leaves


def test_an_order_of_an_open_kill_run_stays(desk: Desk) -> None:
    """What a kill run that is not done has a step for stays; when the run is done it leaves."""
    aged.put(desk.path, "orders", aged.order("o", OLD))
    desk.sql(
        "INSERT INTO kill_runs (kill_id, account, scope, kill_plan, state, started_at_us, deadline_us) "
        "VALUES ('k', 'leader', 'GLOBAL', 'cancel', 'OPEN', ?, ?)", OLD * 10**6, OLD * 10**6,
    )  # fmt: skip
    desk.sql(
        "INSERT INTO kill_steps (run_id, step, round, target, state, at_us) VALUES (1, 'CANCEL', 1, 'o', 'SENT', ?)",
        OLD * 10**6,
    )

    assert run(desk).rows == 0
    desk.sql("UPDATE kill_runs SET state = 'DONE'")
    assert run(desk).rows == 1


def test_a_live_follower_holds_its_leader(desk: Desk) -> None:
    """A copied order whose copy still rests stays, and the other way round."""
    aged.put(desk.path, "orders", aged.order("A1", OLD), aged.order("B1", OLD, status="OPEN", account_type="follower"))
    aged.put(desk.path, "copy_mappings", made.MAPPING)

    assert run(desk).rows == 0
    desk.sql("UPDATE orders SET status = 'CANCELLED' WHERE id = 'B1'")
    assert run(desk).rows == 2
    assert len(desk.rows("SELECT * FROM copy_mappings")) == 1


def test_what_nobody_has_processed_stays(desk: Desk) -> None:
    """A message nothing was made of yet is no history."""
    for table, row in (("websocket_messages", made.MESSAGE), ("postback_events", made.POSTBACK)):
        aged.put(desk.path, table, {**row, "received_at": OLD, "is_processed": 0})
        aged.put(desk.path, table, {**row, "received_at": OLD, "is_processed": 1})

    assert run(desk).rows == 2
    for table in ("websocket_messages", "postback_events"):
        assert ids(desk, table, "is_processed") == [0]


def test_a_fill_of_a_session_that_counts_stays_whatever_its_time_says(desk: Desk) -> None:
    """A `trade_ts` of 0 does not carry off a fill booked today."""
    aged.put(desk.path, "trades", aged.trade("t", 0, session_date="2025-06-02", booked_at_us=desk.clock.now_us()))
    aged.put(desk.path, "trades", aged.trade("old", 0))

    run(desk)

    assert "t" in ids(desk, "trades") and "old" not in ids(desk, "trades")


def test_violations_stay_unless_five_years_are_asked_for(desk: Desk) -> None:
    """The default keeps them for good; a setting below five years is refused; five years and a day leave."""
    row = {
        "account_type": ACCOUNT, "violation_type": "X", "limit_value": 0, "actual_value": 0,
        "violated_at": aged.NOW_S - 1_829 * aged.DAY_S,
    }  # fmt: skip
    aged.put(desk.path, "risk_violations", row, {**row, "violated_at": aged.NOW_S - 1_826 * aged.DAY_S})
    assert run(desk).rows == 0
    set_ = "INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('riskguard.archive_violations_after_days', ?, 1)"

    desk.sql(set_, "1827")
    assert run(desk).rows == 1
    desk.sql(set_, "1826")
    with pytest.raises(Exception, match="five years"):
        run(desk)


# -- lists -------------------------------------------------------------------------------------------------------------

DAY = SNAPSHOTS - aged.DAY_S
"""Midnight in India of the last day that is thinned."""


def positions_of(desk: Desk) -> list[int]:
    return sorted(
        {row[0] - DAY for row in desk.rows("SELECT snapshot_ts FROM positions WHERE snapshot_ts < ?", SNAPSHOTS)}
    )


@pytest.mark.parametrize("with_header", [True, False], ids=["with headers", "of version 3"])
def test_lists_are_thinned_to_first_and_last_of_each_day(desk: Desk, with_header: bool) -> None:
    """A day with four lists keeps its first and last, the day after keeps all; header and rows go together."""
    for at in (DAY, DAY + 10, DAY + 20, DAY + aged.DAY_S - 1, SNAPSHOTS, SNAPSHOTS + 10, SNAPSHOTS + 20):
        seen = aged.header(desk.path, at, rows=1) if with_header else 0
        aged.put(desk.path, "positions", {**made.POSITION, "snapshot_ts": at, "snapshot_id": seen})
    young = len(desk.rows("SELECT * FROM positions WHERE snapshot_ts >= ?", SNAPSHOTS))

    run(desk)

    assert positions_of(desk) == [0, aged.DAY_S - 1]
    assert len(desk.rows("SELECT * FROM positions WHERE snapshot_ts >= ?", SNAPSHOTS)) == young
    missing = "SELECT count(*) FROM positions WHERE snapshot_id <> 0 AND snapshot_id NOT IN (SELECT id FROM snapshots)"
    assert desk.one(missing) == 0


def test_an_incomplete_list_never_counts_as_the_last(desk: Desk) -> None:
    """The day keeps its last complete list; one that broke off leaves."""
    kept = [aged.header(desk.path, DAY + at, complete=complete) for at, complete in ((0, 1), (5, 1), (9, 0))]

    run(desk)

    left = ids(desk, "snapshots")
    assert [each in left for each in kept] == [True, True, False]


def test_a_position_without_a_header_is_evidence_until_a_list_is_newer(make_desk: Callable[..., Desk]) -> None:
    """Rows of a version 3 writer that a check still reads stay, however old; with a newer list they are thinned."""
    for newest_list, stays in ((DAY - 100, True), (DAY + 100, False)):
        desk = make_desk()
        desk.sql("DELETE FROM snapshots")
        aged.header(desk.path, newest_list)
        for at in (DAY, DAY + 10, DAY + 20):
            aged.put(desk.path, "positions", {**made.POSITION, "snapshot_ts": at})

        run(desk)

        assert (10 in positions_of(desk)) is stays


def test_the_newest_list_stays_whatever_its_age(make_desk: Callable[..., Desk]) -> None:
    """A desk nobody opened for two years still knows what it was last seen to hold."""
    desk = make_desk()
    old = TRADES - 400 * aged.DAY_S
    seen = [aged.header(desk.path, old + at, rows=1) for at in (0, 10, aged.DAY_S)]
    for at, snapshot in zip((0, 10, aged.DAY_S), seen, strict=True):
        aged.put(desk.path, "positions", {**made.POSITION, "snapshot_ts": old + at, "snapshot_id": snapshot})

    run(desk)

    assert ids(desk, "snapshots") == [seen[-1]] == ids(desk, "positions", "snapshot_id")


def test_heartbeat_and_readings_keep_what_is_asked_for(make_desk: Callable[..., Desk]) -> None:
    """The newest finished sweep stays, the last reading of each session, and the newest of all."""
    desk = make_desk()
    aged.put(
        desk.path,
        "sweeps",
        *(aged.sweep(READINGS - each) for each in (30, 20, 10)),
        aged.sweep(READINGS - 5, finished_at_us=None),
    )
    very_old = TRADES - 100
    aged.put(
        desk.path, "pnl_readings", *(aged.reading(very_old + each, "2024-05-01") for each in range(3)),
        *(aged.reading(READINGS - 10 + each, "2025-04-10") for each in range(3)),
    )  # fmt: skip

    run(desk)

    assert ids(desk, "sweeps", "slot") == [READINGS - 10, READINGS - 5]
    assert ids(desk, "pnl_readings", "at_us") == [(READINGS - 8) * 1_000_000]


DAYS_AGO = LOGS - 10 * 86_400
ALERTS: dict[str, tuple[Row, Row, int]] = {
    # what: the alert, its delivery, how many rows of both leave
    "told and done": ({}, {}, 2),
    "not handed to the channels": ({"queued_at_us": None}, {}, 0),
    "repeats nobody was told of": ({"untold": 1}, {}, 0),
    "raised again lately": ({"last_at_us": LOGS * 1_000_000}, {}, 0),
    "still waiting": ({}, {"state": "WAITING"}, 0),
    "perhaps sent": ({}, {"state": "SENDING"}, 0),
    "tried lately": ({}, {"next_at_us": LOGS * 1_000_000}, 0),
    "told once for ever": ({"once": "event"}, {}, 1),
}


@pytest.mark.parametrize(("alert", "delivery", "leave"), ALERTS.values(), ids=ALERTS)
def test_an_alert_stays_until_it_is_told(desk: Desk, alert: Row, delivery: Row, leave: int) -> None:
    """It leaves with its deliveries or not at all; of one told once for ever the row stays, so that it is not told again."""
    aged.put(desk.path, "alerts", aged.alert(DAYS_AGO, id=900, **alert))
    aged.put(desk.path, "alert_deliveries", aged.delivery(900, DAYS_AGO, **delivery))

    assert run(desk).rows == leave
    assert ids(desk, "alerts") == ([] if leave == 2 else [900])


def test_memories_of_a_period_leave_and_those_for_ever_stay(desk: Desk) -> None:
    """A session, a week and a month that are over; the peak of a drawdown is needed whatever its age."""
    very_old = TRADES - 10
    periods = ("2024-05-01", "2024-W18", "2024-05", "")
    aged.put(desk.path, "live_watches", *({**aged.watch(very_old, "x"), "period": each} for each in periods))

    run(desk)

    assert desk.rows("SELECT period FROM live_watches WHERE limit_id = ?", f"l{very_old}") == [("",)]


def test_an_order_nobody_asked_about_is_remembered_while_it_lives(desk: Desk) -> None:
    """Forgotten while the broker still lists it, it would be found a second time."""
    aged.put(desk.path, "orders", aged.order("rests", DAYS_AGO - 400 * 86_400, status="PENDING"))
    aged.put(
        desk.path, "unsolicited_orders", aged.unsolicited("rests", TRADES - 1), aged.unsolicited("gone", TRADES - 1)
    )

    run(desk)

    assert ids(desk, "unsolicited_orders", "order_id") == ["rests"]


# -- nothing else changes ----------------------------------------------------------------------------------------------


def test_account_journal_and_every_other_table_are_what_they_were(desk: Desk) -> None:
    """The account loads to the same state, the journals verify, and no table without a rule has changed."""
    desk.hold(10)
    aged.fill(desk.path)
    before, others, all_rows = overview.status(desk.store, desk.clock), aged.untouched(desk.path), aged.whole(desk.path)

    done = run(desk)

    assert done.rows > 1_000 and done.held == 0
    assert overview.status(desk.store, desk.clock) == before
    assert aged.untouched(desk.path) == others
    assert aged.whole(desk.path) == all_rows and not aged.doubled(desk.path)
    assert all(not each["wrong"] and not each["replay_disagrees"] for each in overview.verify(desk.store))
    assert {each.table for each in done.moved} == {table.name for table in TABLES} - {"risk_violations"}
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        desk.sql("DELETE FROM decisions")


def test_a_dry_run_says_what_a_run_then_does(desk: Desk) -> None:
    """Table, year, rows, oldest and newest are the same; and the dry run changes nothing."""
    aged.fill(desk.path)
    before = aged.whole(desk.path)

    planned = plan(desk.url, clock=desk.clock)

    assert aged.whole(desk.path) == before and not files.archives(desk.path)
    done = run(desk)

    def shape(found: service.Archived) -> set[tuple[object, ...]]:
        return {(each.table, each.year, each.rows, each.oldest, each.newest, each.target) for each in found.moved}

    assert shape(planned) == shape(done)
    assert plan(desk.url, clock=desk.clock).rows == 0


@pytest.mark.parametrize(("at_s", "year"), [(1_735_669_799, 2024), (1_735_669_800, 2025), (-5, 1970)])
def test_the_year_is_the_one_in_india(at_s: int, year: int) -> None:
    """The year turns at 18:30 UTC; nonsense is kept under 1970."""
    assert year_of(at_s, False) == year_of(at_s * 1_000_000, True) == year


def test_archives_stay_queryable_with_the_database(desk: Desk) -> None:
    """One view over both finds an order with its events, wherever each of them stands; an archive takes no change."""
    aged.put(desk.path, "orders", aged.order("o", OLD), aged.order("young", TRADES))
    aged.put(desk.path, "order_events", aged.event("o", OLD), aged.event("young", TRADES))
    run(desk)
    asked = "SELECT o.id FROM all_orders o JOIN all_order_events e ON e.order_id = o.id WHERE o.id IN ('o', 'young') ORDER BY 1"

    with aged.open_file(desk.path) as file:
        for statement in both(desk.path):
            file.execute(statement)
        assert made.ask(file, asked) == [("o",), ("young",)]
    (found,) = listed(desk.path)
    assert found.wrong is None and {held.table: held.rows for held in found.tables} == {"orders": 1, "order_events": 1}
    with aged.open_file(found.path) as file:
        for statement in ("DELETE FROM orders", "UPDATE orders SET quantity = 1"):
            with pytest.raises(sqlite3.IntegrityError, match="kept as it is"):
                file.execute(statement)
    assert found.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UpkeepError, match="no archive of `1999`"):
        both(desk.path, (1999,))


# -- whoever comes between ---------------------------------------------------------------------------------------------


def test_a_row_changed_after_it_was_copied_stays(desk: Desk) -> None:
    """The database keeps the newer one; the archive keeps what it got; both are reported, none is lost."""
    aged.put(desk.path, "audit_log", aged.audit(LOGS - 1), aged.audit(LOGS - 1))
    change = at_stage("delete", 1, lambda: desk.sql("UPDATE audit_log SET status_code = 200 WHERE id = 1") and None)

    done = run(desk, on_stage=change)

    assert (done.rows, ids(desk, "audit_log")) == (1, [1])
    assert "1 rows stay" in done.notes[0]


def test_a_restored_backup_neither_doubles_nor_overwrites(desk: Desk) -> None:
    """Rows back again are recognised; a new row under an archived one's number stays, and the archive is not changed."""
    aged.put(desk.path, "audit_log", aged.audit(LOGS - 9, "a"), aged.audit(LOGS - 8, "b"))
    kept = aged.rows_of(desk.path, "audit_log")
    run(desk)
    with aged.open_file(desk.path) as file:
        file.executemany(
            "INSERT INTO audit_log VALUES (?,?,?,?,?,?,?,?,?,?)", [kept[0], (*kept[1][:4], "other", *kept[1][5:])]
        )

    done = run(desk)

    assert [(each.rows, each.present, each.held) for each in done.moved] == [(1, 1, 1)]
    (found,) = files.archives(desk.path).values()
    assert aged.rows_of(found, "audit_log") == kept
    assert [row[4] for row in aged.rows_of(desk.path, "audit_log")] == ["other"]


def test_only_one_at_a_time_and_stop_stops(desk: Desk) -> None:
    """A second run says so at once; one that is asked to stop leaves everything where it is; a later one finishes."""
    aged.fill(desk.path)
    with alone(desk.path), pytest.raises(BusyError, match="in another process"):
        run(desk)
    before = aged.whole(desk.path)
    with pytest.raises(StoppedError):
        run(desk, stop=lambda: True)
    assert aged.whole(desk.path) == before
    assert run(desk).rows > 0


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough for a page of text " * 50, None], ids=["text", "ours"]
)
def test_a_file_that_is_no_archive_is_left_alone(desk: Desk, content: bytes | None) -> None:
    """Whatever bears an archive's name and is none is not written to, and nothing leaves the database."""
    aged.put(desk.path, "audit_log", aged.audit(LOGS - 1))
    path = files.archive_path(desk.path, 2025)
    path.write_bytes(content or desk.path.read_bytes())
    standing = path.read_bytes()

    with pytest.raises(UpkeepError, match="archive"):
        run(desk)

    assert path.read_bytes() == standing and len(ids(desk, "audit_log")) == 1


def test_a_gate_is_stood_back_for(desk: Desk) -> None:
    """While a kill's gate is up the archive is written and nothing is deleted; when it falls, the run goes on."""
    aged.put(desk.path, "audit_log", aged.audit(LOGS - 1))
    proven, done = threading.Event(), threading.Event()

    def work() -> None:
        run(desk, on_stage=lambda name: proven.set() if name == "delete" else None)
        done.set()

    with gate(desk.store.directories[0]):
        thread = threading.Thread(target=work)
        thread.start()
        assert proven.wait(20)
        assert not done.wait(0.3)
        assert len(ids(desk, "audit_log")) == 1
    thread.join(20)
    assert done.is_set() and ids(desk, "audit_log") == []


# -- whoever dies ------------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], object]) -> int:
    """Do *work* in a process of its own; return the signal that ended it, or its exit status negative."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    _pid, waited = os.waitpid(pid, 0)
    return os.WTERMSIG(waited) if os.WIFSIGNALED(waited) else -os.waitstatus_to_exitcode(waited)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


CRASHES = [
    (stage, number) for stage in ("create", "copy", "prove", "delete", "commit", "deleted") for number in (1, 2, 9)
]


@pytest.mark.parametrize(("stage", "number"), CRASHES, ids=str)
def test_nothing_is_lost_whenever_it_is_killed(make_desk: Callable[..., Desk], stage: str, number: int) -> None:
    """SIGKILL before each step, early and late: every row is somewhere; a second run finishes and doubles none."""
    desk = make_desk()
    aged.fill(desk.path)
    before, others = aged.whole(desk.path), aged.untouched(desk.path)
    if stage == "create":
        number = min(number, 2)  # two archives in all

    died = in_child(lambda: archive(desk.url, clock=desk.clock, on_stage=at_stage(stage, number, die)))

    assert died == signal.SIGKILL
    assert aged.whole(desk.path) == before
    run(desk)
    assert plan(desk.url, clock=desk.clock).rows == 0
    assert (aged.whole(desk.path), aged.doubled(desk.path)) == (before, {})
    assert aged.untouched(desk.path) == others
    assert desk.one("PRAGMA integrity_check") == "ok"


def test_deleting_before_the_copy_is_proven_would_be_noticed(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a mover that deletes first, killed in between, loses rows, and the test above sees it."""
    desk = make_desk()
    aged.fill(desk.path)
    before = aged.whole(desk.path)

    def careless(self: Mover, rule: Any, year: int, rows: Any, delete: Any, moved: Any) -> Any:
        self.delete(rule.table, rows, delete)
        self.on_stage("between")
        raise AssertionError("not reached")

    monkeypatch.setattr(Mover, "_move_chunk", careless)
    died = in_child(lambda: archive(desk.url, clock=desk.clock, on_stage=at_stage("between", 1, die)))

    assert died == signal.SIGKILL
    assert aged.whole(desk.path) != before


# -- while orders are checked ------------------------------------------------------------------------------------------

DEADLINE_MS = 1_000
"""Wide, because neighbours on the machine must not decide; a hold of the length the control shows is beyond it."""


def checks_during(desk: Desk, work: Callable[[], object], *, sweeps: bool = True) -> tuple[int, list[float]]:
    """
    Check orders here while *work* goes on in another process; return (refused, seconds each check took).

    *sweeps* let permits run out, as they do on a desk; while one waits for the lock, no order is checked.
    """
    guard = desk.another_guard(deadline_ms=DEADLINE_MS)
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    refused, took = 0, []
    while True:
        began = time.monotonic()
        decision = guard.check(desk.order(quantity=1))
        took.append(time.monotonic() - began)
        refused += not decision.approved
        ended, waited = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert waited == 0
            return refused, took
        if sweeps and len(took) % 500 == 0:
            desk.sweep(11)  # the permits run out, or they would be all the account holds


def test_checks_go_on_while_rows_are_moved(desk: Desk) -> None:
    """Not one order is refused for it, and none waits beyond its deadline."""
    aged.fill(desk.path)
    aged.put(desk.path, "audit_log", *(aged.audit(LOGS - 1 - each) for each in range(5_000)))
    desk.guard.close()  # no connection crosses the fork

    refused, took = checks_during(desk, lambda: archive(desk.url, clock=Clock(desk.clock.now_us())))

    assert refused == 0 and max(took) * 1000 <= DEADLINE_MS
    assert len(took) > 50
    assert plan(desk.url, clock=desk.clock).rows == 0


def test_holding_the_lock_for_a_whole_table_would_be_noticed(desk: Desk) -> None:
    """The control: the same run with the lock held for twice the deadline refuses checks; no sweep may wait it out."""
    aged.put(desk.path, "audit_log", aged.audit(LOGS - 1))
    desk.guard.close()
    hold = at_stage("commit", 1, lambda: time.sleep(2 * DEADLINE_MS / 1000))

    refused, _took = checks_during(
        desk, lambda: archive(desk.url, clock=Clock(desk.clock.now_us()), on_stage=hold), sweeps=False
    )

    assert refused > 0


# -- size --------------------------------------------------------------------------------------------------------------


MEASURED = """
import resource, sys
from riskguard.services.upkeep.archive import archive
from tests.services.desk import Clock
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = archive(sys.argv[1], clock=Clock())
print(done.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
GROWTH_KB_MAX = 30_000
"""Four times what was measured: 7.5 MB, for 20,000 rows as for 100,000."""


def move_many(desk: Desk, rows: int) -> None:
    """Move *rows* rows of 200 bytes in a process of its own: its memory and the WAL do not grow with them."""
    desk.guard.close()
    with aged.open_file(desk.path) as file:
        file.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO audit_log "
            "(action, account_type, request_data, ts) SELECT 'place', 'leader', hex(randomblob(100)), ? - i FROM n",
            (rows, LOGS),
        )
    with aged.open_file(desk.path) as stays:  # so that the WAL is there to be looked at
        stays.execute("SELECT 1 FROM audit_log LIMIT 1").fetchone()
        said = subprocess.run(
            [sys.executable, "-c", MEASURED, desk.url], capture_output=True, text=True, check=True, cwd=ROOT
        )
        moved, grown_kb = map(int, said.stdout.split())

        assert moved == rows
        assert grown_kb < GROWTH_KB_MAX
        assert Path(f"{desk.path}-wal").stat().st_size < 4 * WAL_BYTES_MAX


def test_memory_does_not_grow_with_the_rows(desk: Desk) -> None:
    """20,000 rows."""
    move_many(desk, 20_000)


@pytest.mark.soak
def test_memory_does_not_grow_with_many_rows(desk: Desk) -> None:
    """200,000 rows pass through the same memory."""
    move_many(desk, 200_000)


def test_the_tables_are_those_of_the_database(desk: Desk) -> None:
    """An archive's tables are declared in the database's very words."""
    aged.put(desk.path, "audit_log", aged.audit(LOGS - 1))
    run(desk)
    (path,) = files.archives(desk.path).values()
    asked = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"

    def tables(each: Path) -> dict[str, str]:
        with aged.open_file(each) as file:
            return {name: " ".join(sql.split()) for name, sql in made.ask(file, asked)}

    here, there = tables(desk.path), tables(path)
    assert there == {name: here[name] for name in there}
