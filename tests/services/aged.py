"""Old rows for the tests of upkeep: on both sides of every edge, and what must still be there afterwards."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from riskguard.core.calendar import Calendar
from riskguard.services.settings import DatabaseSettings
from riskguard.services.upkeep import files, retention
from tests.services.desk import START
from tests.store import rows as made
from tests.store.rows import Row

DAY_S = 86_400
NOW_S = START // 1_000_000
CUT = retention.cutoffs(DatabaseSettings(), START)
LOGS, TRADES, READINGS, SNAPSHOTS = CUT["logs_s"], CUT["trades_s"], CUT["readings_s"], CUT["snapshots_s"]
"""The first second that stays."""


def open_file(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None))


def put(path: Path, table: str, *rows: Row) -> None:
    """Write rows as any program would, in one transaction."""
    with open_file(path) as file:
        file.execute("BEGIN IMMEDIATE")
        made.put(file, table, *rows)
        file.execute("COMMIT")


def header(path: Path, at_s: float, **how: Any) -> int:
    with open_file(path) as file:
        return made.header(file, at_s, **how)


def order(id_: str, at_s: int, **changes: Any) -> Row:
    return {**made.ORDER, "id": id_, "status": "EXECUTED", "created_at": at_s, "updated_at": at_s, **changes}


def trade(id_: str, at_s: int, **changes: Any) -> Row:
    return {**made.TRADE, "id": id_, "order_id": "gone", "trade_ts": at_s, "created_at": at_s, **changes}


def event(order_id: str, at_s: int, **changes: Any) -> Row:
    return {**made.EVENT, "order_id": order_id, "event_ts": at_s, **changes}


def audit(at_s: int, text: str = "{}") -> Row:
    return {**made.AUDIT, "ts": at_s, "request_data": text}


def sweep(at_s: int, kind: str = "daily_loss", **changes: Any) -> Row:
    at_us = at_s * 1_000_000
    return {
        "account": "leader", "kind": kind, "slot": at_s, "interval_us": 2_000_000, "started_at_us": at_us,
        "finished_at_us": at_us + 1, **changes,
    }  # fmt: skip


def reading(at_s: int, date: str) -> Row:
    return {"account": "leader", "session_date": date, "at_us": at_s * 1_000_000, "day_pnl_e4": 1, "fresh_marks": 1}


def alert(at_s: int, **changes: Any) -> Row:
    at_us = at_s * 1_000_000
    return {
        "account": "leader", "severity": "warning", "code": "FEED_OLD", "message": "m", "at_us": at_us,
        "dedupe_key": f"k{at_s}", "queued_at_us": at_us, "said_at_us": at_us, "last_at_us": at_us, **changes,
    }  # fmt: skip


def delivery(alert_id: int, at_s: int, **changes: Any) -> Row:
    return {
        "alert_id": alert_id, "part": 1, "channel": "phone", "message": "m", "state": "SENT",
        "next_at_us": at_s * 1_000_000, **changes,
    }  # fmt: skip


def watch(at_s: int, period: str = "", **changes: Any) -> Row:
    period = period or _date(at_s)
    return {
        "account": "leader", "limit_id": f"l{at_s}", "period": period, "updated_at_us": at_s * 1_000_000, **changes,
    }  # fmt: skip


def difference(at_s: int) -> Row:
    at_us = at_s * 1_000_000
    return {
        "account": "leader", "exchange_segment": "NSE_EQ", "security_id": f"{at_s}", "product": "CNC",
        "session_date": _date(at_s), "ours": 1, "theirs": 2, "first_at_us": at_us, "last_at_us": at_us,
    }  # fmt: skip


def unsolicited(order_id: str, at_s: int) -> Row:
    return {
        "account": "leader", "order_id": order_id, "session_date": _date(at_s), "origin": "OTHER",
        "found_at_us": at_s * 1_000_000,
    }  # fmt: skip


def _date(at_s: int) -> str:
    return Calendar.session_date(at_s * 1_000_000).isoformat()


def fill(path: Path, days: int = 500) -> None:
    """A desk's past: *days* days back to yesterday, in every table that is archived, over two calendar years."""
    with open_file(path) as file:
        file.execute("BEGIN IMMEDIATE")
        for day in range(1, days, 5):
            at = NOW_S - day * DAY_S
            made.put(file, "audit_log", audit(at, "x" * 200), audit(at + 1))
            made.put(file, "error_log", {"error_type": "E", "error_message": "m", "occurred_at": at})
            made.put(file, "sweeps", *(sweep(at + 2 * number) for number in range(3)))
            made.put(file, "order_messages", {"account": "leader", "kind": "NEW", "at_us": at * 1_000_000})
            made.put(
                file, "refusal_repeats", {"account": "leader", "violation_id": 1, "repeats": 2, "at_us": at * 1_000_000}
            )
            made.put(
                file, "rate_limit_tracking",
                {
                    "account_type": "leader", "endpoint": "/orders", "window_start": at, "window_end": at + 1,
                    "created_at": at,
                },
            )  # fmt: skip
            made.put(file, "pnl_readings", *(reading(at + 2 * number, _date(at)) for number in range(3)))
            made.put(file, "orders", order(f"o{day}", at))
            made.put(file, "order_events", event(f"o{day}", at), event(f"o{day}", at + 5))
            made.put(file, "trades", trade(f"t{day}", at, order_id=f"o{day}"))
            made.put(
                file,
                "websocket_messages",
                {**made.MESSAGE, "order_id": f"o{day}", "received_at": at, "is_processed": 1},
            )
            made.put(
                file, "postback_events", {**made.POSTBACK, "order_id": f"o{day}", "received_at": at, "is_processed": 1}
            )
            made.put(
                file, "order_modifications", {"order_id": f"o{day}", "modification_type": "PRICE", "modified_at": at}
            )
            made.put(file, "alerts", alert(at, id=900_000 + day))
            made.put(file, "alert_deliveries", delivery(900_000 + day, at))
            made.put(file, "live_watches", watch(at))
            made.put(file, "book_differences", difference(at))
            made.put(file, "unsolicited_orders", unsolicited(f"o{day}", at))
            for number in range(4):
                seen = made.header(file, at + number, rows=1)
                made.put(file, "positions", {**made.POSITION, "snapshot_ts": at + number, "snapshot_id": seen})
            made.put(file, "positions", *({**made.POSITION, "snapshot_ts": at + number} for number in range(4)))
            made.put(file, "holdings", *({**made.HOLDING, "snapshot_ts": at + number} for number in range(4)))
            made.put(file, "funds", *({**made.FUNDS, "snapshot_ts": at + number} for number in range(4)))
        file.execute("COMMIT")


# -- what is there -----------------------------------------------------------------------------------------------------


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    with open_file(path) as file:
        return made.ask(file, "SELECT * FROM", table)


def whole(path: Path) -> dict[str, list[str]]:
    """Return every row of every archived table, wherever it stands, once; by its contents."""
    found = {}
    for table in retention.TABLES:
        everywhere = {repr(row) for each in (path, *files.archives(path).values()) for row in rows_of(each, table.name)}
        found[table.name] = sorted(everywhere)
    return found


def doubled(path: Path) -> dict[str, int]:
    """Return how many rows stand in more than one file, by table; empty when none does."""
    found = {}
    for table in retention.TABLES:
        everywhere = [repr(row) for each in (path, *files.archives(path).values()) for row in rows_of(each, table.name)]
        if len(everywhere) != len(set(everywhere)):
            found[table.name] = len(everywhere) - len(set(everywhere))
    return found


def untouched(path: Path) -> dict[str, list[str]]:
    """Return the contents of every table no rule names: nothing of them may change."""
    ruled = {table.name for table in retention.TABLES} | {"upkeep_runs", "account_heads"}
    with open_file(path) as file:
        names = [row[0] for row in made.ask(file, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(map(repr, made.ask(file, "SELECT * FROM", name)))
            for name in names
            if name not in ruled and not name.startswith("sqlite_")
        }


def at_stage(wanted: str, number: int, act: Callable[[], None]) -> Callable[[str], None]:
    """Return what does *act* when *wanted* comes for the *number*-th time."""
    seen = 0

    def told(name: str) -> None:
        nonlocal seen
        if name == wanted:
            seen += 1
            if seen == number:
                act()

    return told
