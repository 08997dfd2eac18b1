"""
Opt-in: what ten million stored decisions cost an answer, and what a million cost whoever verifies them.

`--history N` says how many. The ten million are short rows, made by SQLite itself: it is the depth of the trees that is
tried, not the size of a disk. The million that are verified are whole.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

from benchmarks.chained import add_chain
from benchmarks.growing import compared
from benchmarks.measure import FLAT_RATIO_MAX, Row
from benchmarks.stage import ACCOUNT, SECOND, START_US, Stage, build, rulebook
from benchmarks.starting import COMMAND
from riskguard.services.audit.verify import jobs_usual
from riskguard.store.engines import sqlite as lite

FEW, MANY = 1_000, 10_000_000
CHAINED = 1_000_000
VERIFY_BUDGET_S = 10.0
PERMIT_EACH = 100
BATCH = 100_000


def rows(directory: Path, decisions: int = MANY, chained: int | None = None) -> list[Row]:
    few, many = (build(directory / f"history{count}", rulebook()) for count in (FEW, decisions))
    add_decisions(few, FEW)
    began = time.monotonic()
    add_decisions(many, decisions)
    made_s = time.monotonic() - began
    stored = compared(few, many)
    size_gb = many.path.stat().st_size / 1e9
    found = []
    for kind, said in (("kept", ""), ("reloaded", ", when another process wrote: read again")):
        less, more = stored[kind]
        beside = f"{less:.0f} µs; with more {more:.0f} µs; {size_gb:.1f} GB, made in {made_s:.0f} s"
        found.append(
            Row(f"approval, {decisions:,} decisions stored ÷ {FEW:,}{said}", more / less, "×", FLAT_RATIO_MAX, beside)
        )
    return [*found, _verified(directory, min(CHAINED, decisions) if chained is None else chained)]


def add_decisions(stage: Stage, count: int) -> None:
    """Write *count* old decisions, every hundredth with a filled permit; their chain is not a true one and nobody walks it."""
    first, past_us = _sequence(stage), START_US - 30 * 86_400 * SECOND
    step_us = max(1, 28 * 86_400 * SECOND // count)
    with closing(lite.connect(stage.path, durable=False)) as connection:
        connection.execute("PRAGMA cache_size = -500000")  # half a gigabyte: ids do not come in the order of their text
        connection.execute("BEGIN IMMEDIATE")
        for low in range(1, count + 1, BATCH):
            given = {
                "low": low, "high": min(count, low + BATCH - 1), "first": first, "past": past_us, "step": step_us,
                "account": ACCOUNT, "each": PERMIT_EACH,
            }  # fmt: skip
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT :low UNION ALL SELECT i + 1 FROM n WHERE i < :high) "
                "INSERT INTO decisions (account, sequence, client_order_id, kind, approved, strategy, decided_at_us, body, "
                "previous_hash, hash) SELECT :account, :first + i, 'h' || i, 'ORDER', i % 2, 'bench', :past + i * :step, "
                "'{}', '', printf('%064x', i) FROM n",
                given,
            )
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT :low UNION ALL SELECT i + 1 FROM n WHERE i < :high) "
                "INSERT INTO permits (account, client_order_id, sequence, state, direction, correlation_id, "
                "exchange_segment, security_id, side, product, order_type, quantity, filled_quantity, order_id, "
                "granted_at_us, expires_at_us) SELECT :account, 'h' || i, :first + i, 'FILLED', 'INCREASING', 'rgh' || i, "
                "'NSE_EQ', '1333', 'BUY', 'INTRADAY', 'LIMIT', 10, 10, 'b' || i, :past + i * :step, :past + i * :step + 1000000 "
                "FROM n WHERE i % :each = 0",
                given,
            )
        connection.execute(
            "UPDATE account_heads SET sequence = ?, last_hash = ? WHERE account = ?",
            (first + count, f"{count:064x}", ACCOUNT),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _verified(directory: Path, count: int) -> Row:
    """Verify a true journal of *count* entries with all that hangs on them, as the command does: from its start to its end."""
    stage = build(directory / "chained", rulebook())
    add_chain(stage, count)
    size_gb = stage.path.stat().st_size / 1e9
    words = [str(COMMAND), "audit", "verify", "--db", stage.url, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    took_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = json.loads(done.stdout)
    assert found["verified"] and found["rows"] > count, found
    said = f"{jobs_usual()} processes, processor {used_s:.1f} s; {size_gb:.1f} GB"
    return Row(f"`riskguard audit verify`, {count:,} entries with permits and violations", took_s, "s", VERIFY_BUDGET_S, said,
               "reading, hashing and parsing entries, and what hangs on them: more cores share it")  # fmt: skip


def _sequence(stage: Stage) -> int:
    with closing(sqlite3.connect(stage.path)) as connection:
        found = connection.execute("SELECT sequence FROM account_heads WHERE account = ?", (ACCOUNT,)).fetchone()
    return int(found[0])
