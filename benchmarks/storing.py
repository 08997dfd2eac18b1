"""A durable answer beside the same statements in raw `sqlite3`, and beside one bare insert."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, median, percentile, quiet, timed
from benchmarks.stage import SECOND, Stage, build, order, rulebook
from riskguard import RiskGuard
from riskguard.store.engines import sqlite as lite
from riskguard.store.engines.sqlite_store import SqliteSession

ROUNDS = 20
EACH = 25

Transaction = list[tuple[str, dict[str, Any]]]
FLOOR_TABLE = "CREATE TABLE floor (id INTEGER PRIMARY KEY, account TEXT, at_us INTEGER, body TEXT) STRICT"
FLOOR_INSERT = "INSERT INTO floor (account, at_us, body) VALUES (:account, :at_us, :body)"


def rows(directory: Path) -> list[Row]:
    """Measure approvals and refusals in rounds, each on fresh copies of one database."""
    stage = build(directory / "store", rulebook())
    approvals: dict[str, list[float]] = {}
    refusals: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with quiet():
            for name, times in _round(directory, stage, approve=True).items():
                approvals.setdefault(name, []).extend(times)
            for name, times in _round(directory, stage, approve=False).items():
                refusals.setdefault(name, []).extend(times)
    approved, refused = median(approvals["guard"]), median(refusals["guard"])
    twin, normal = median(approvals["raw"]), median(approvals["bare"])
    refused_twin, full = median(refusals["raw"]), median(refusals["bare"])
    place = median(_places(directory, stage))
    return [
        Row("durable approval ÷ same statements, raw", approved / twin, "×", 2.0, f"raw sqlite3: {twin:.0f} µs",
            "no single cost: journal body and hashes, permit, heads, facts, flags, gate and file watch, 5 to 60 µs each, "
            "all on caches the commit has just emptied"),
        Row("durable approval ÷ bare NORMAL insert", approved / normal, "×", 6.0, f"bare insert: {normal:.0f} µs",
            "its statements alone change ten pages (journal row of 1.4 KB, permit, six indexes, head), the bare insert one"),
        Row("durable refusal ÷ bare FULL insert", refused / full, "×", 2.0, f"bare insert: {full:.0f} µs",
            "an approval's work besides its violations, then nine pages to sync where the bare insert has one"),
        Row("… the approval's statements ÷ bare NORMAL insert", twin / normal, "×", None, f"bare insert: {normal:.0f} µs"),
        Row("… the refusal's statements ÷ bare FULL insert", refused_twin / full, "×", None, f"raw sqlite3: {refused_twin:.0f} µs"),
        Row("durable approval, p50", approved, "µs", None, f"p99: {percentile(approvals['guard'], 99):.0f} µs"),
        Row("durable refusal, p50", refused, "µs", None, f"p99: {percentile(refusals['guard'], 99):.0f} µs"),
        Row("repeated refusal, p50", median(refusals["repeat"]), "µs", None, "counted, not written: within a second of its like"),
        Row("guard.place: check, SENT on disk, answer, p50", place, "µs", None, f"bare FULL insert: {full:.0f} µs"),
    ]  # fmt: skip


def _round(directory: Path, stage: Stage, *, approve: bool) -> dict[str, list[float]]:
    """
    Time EACH answers, their raw twins and bare inserts, in turn.

    The twin runs what the guard ran on a copy of the same database, recorded from the guard itself: same SQL
    text, same values, the guard's own `connect`, BEGIN IMMEDIATE to COMMIT. The twin of a refusal waits for the disk in its
    COMMIT; the guard syncs the log behind its own.
    """
    script = _recorded(stage.copied(directory / "recorded"), approve)
    live, twin, bare = (stage.copied(directory / name) for name in ("live", "twin", "bare"))
    times: dict[str, list[float]] = {"guard": [], "raw": [], "bare": []}
    with (
        live.guard() as (guard, clock),
        _raw(twin, durable=not approve) as raw,
        _raw(bare, durable=not approve) as floor,
    ):
        floor.execute(FLOOR_TABLE)
        body = {"account": "leader", "at_us": 0, "body": "x" * 200}
        answers = _answers(guard, clock.advance, approve)
        runs: list[tuple[str, Callable[[], object]]] = []
        for number, transaction in enumerate(script):
            turn = [
                ("guard", answers[number]),
                ("raw", lambda transaction=transaction: _run(raw, transaction)),
                ("bare", lambda: _run(floor, [(FLOOR_INSERT, body)])),
            ]
            runs += turn[number % 3 :] + turn[: number % 3]
        for number, (name, run) in enumerate(runs):
            took = timed(run)
            if number >= 3:  # the first of each loads the account and prepares its statements
                times[name].append(took)
        if not approve:
            # The last one asked again under other ids, within the same second.
            times["repeat"] = [timed(lambda n=n: guard.check(order(f"repeat{n}", 100))) for n in range(EACH)]
    return times


def _answers(guard: RiskGuard, advance: Callable[[int], None], approve: bool) -> list[Callable[[], object]]:
    """Return the questions of one round. Refusals lie more than a second apart, or they would only be counted."""

    def ask(number: int) -> None:
        advance(1_000 if approve else SECOND + 100_000)
        decision = guard.check(order(f"b{number}", 10 if approve else 100))
        assert decision.approved is approve and decision.recorded and decision.repeat_of is None, decision.explain()

    return [lambda number=number: ask(number) for number in range(EACH)]  # type: ignore[misc]


def _recorded(stage: Stage, approve: bool) -> list[Transaction]:
    """Return every committed transaction of one round; a statement that went past `SqliteSession.given` is an error."""
    script: list[Transaction] = []
    given, seen = SqliteSession.given, []

    def spy(self: SqliteSession, statement: Any, values: dict[str, Any]) -> sqlite3.Cursor:
        seen.append((statement.sql, {**statement.constants, **values}))
        return given(self, statement, values)

    with stage.guard() as (guard, clock):
        SqliteSession.given = spy  # type: ignore[method-assign]
        try:
            for ask in _answers(guard, clock.advance, approve):
                seen.clear()
                ask()
                script.append(list(seen))
        finally:
            SqliteSession.given = given  # type: ignore[method-assign]
        assert len(script[-1]) == _traced(guard, clock.advance, approve), "a statement went past SqliteSession.given"
    return script


def _traced(guard: RiskGuard, advance: Callable[[int], None], approve: bool) -> int:
    """
    Return how many statements SQLite itself saw between BEGIN and COMMIT of one more answer.

    A statement is traced again for each trigger it fires, and each trigger's own as a comment: both are left out.
    """
    with guard.store.session(durable=False) as session:
        connection = session.connection
        guard.store.roll_back(session)
    said: list[str] = []
    advance(SECOND + 100_000)
    connection.set_trace_callback(said.append)
    guard.check(order("traced", 10 if approve else 100))
    connection.set_trace_callback(None)
    own = [each for each in said if not each.startswith(("--", "BEGIN", "COMMIT"))]
    return sum(each != before for before, each in pairwise(["", *own]))


@contextmanager
def _raw(stage: Stage, *, durable: bool) -> Iterator[sqlite3.Connection]:
    connection = lite.connect(stage.path, durable=durable)
    try:
        yield connection
    finally:
        connection.close()


def _run(connection: sqlite3.Connection, transaction: Transaction) -> None:
    cursor = connection.cursor()
    connection.execute("BEGIN IMMEDIATE")
    for sql, values in transaction:
        cursor.execute(sql, values).fetchall()
    connection.execute("COMMIT")


def _places(directory: Path, stage: Stage) -> list[float]:
    """Time `guard.place` with a broker that answers at once."""
    with stage.copied(directory / "place").guard() as (guard, clock):
        times = []
        for number in range(EACH * 4):
            clock.advance(1_000)
            asked = order(f"p{number}")
            times.append(timed(lambda asked=asked, number=number: guard.place(asked, lambda _order: f"o{number}")))
    return times[1:]
