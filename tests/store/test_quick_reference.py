"""Every snippet of `schema/QUICK_REFERENCE.md` runs on a desk that has seen a day, and shows something."""

from __future__ import annotations

import contextlib
import io
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskguard.core.state import TradingState
from riskguard.locate import folder
from riskguard.services.sweeps.sweeper import Sweeper
from tests.services.desk import ACCOUNT, START, Clock, Desk, build, copy, rulebook
from tests.store.rows import AUDIT, EVENT, FOREVER, FUNDS, LEG, MAPPING, ORDER, Row, put

PAGE = (folder("schema") / "QUICK_REFERENCE.md").read_text("utf-8")
FENCES = re.findall(r"^```(sql refused|sql|python)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
READS = [text for kind, text in FENCES if kind == "sql" and text.startswith("SELECT")]
WRITES = [text for kind, text in FENCES if kind == "sql" and not text.startswith("SELECT")]
REFUSED = [text for kind, text in FENCES if kind == "sql refused"]
PYTHON = [text for kind, text in FENCES if kind == "python"]

T = START // 1_000_000
LEADER_ORDER = "8225000001"
EVENTS: dict[str, list[Row]] = {
    "orders": [
        {**ORDER, "id": LEADER_ORDER, "created_at": T, "status": "PART_TRADED"},
        {**ORDER, "id": "8225000002", "account_type": "follower", "status": "PENDING"},
        {**ORDER, "id": "8225000003", "status": "EXECUTED", "bo_profit_value": 8.0},
    ],
    "order_events": [{**EVENT, "order_id": LEADER_ORDER, "event_source": "WEBSOCKET"}],
    "copy_mappings": [
        {**MAPPING, "leader_order_id": LEADER_ORDER, "follower_order_id": "8225000002"},
        {**MAPPING, "leader_order_id": LEADER_ORDER, "follower_order_id": None, "follower_account": "third",
         "status": "failed", "error_message": "no margin"},
    ],
    "forever_orders": [{**FOREVER, "status": "CONFIRM", "trigger_price": 1399.0}],
    "bracket_order_legs": [{**LEG, "parent_order_id": "8225000003"}],
    "audit_log": [{**AUDIT, "action": "place_order", "status_code": 429, "error_message": "too many requests"}],
    "error_log": [{"error_type": "BrokerTimeout", "error_message": "no answer in 5 s", "occurred_at": T}],
    "funds": [{**FUNDS, "snapshot_ts": T}],
    "quarantine": [
        {"source_table": "orders", "source_version": 3, "source_rowid": 7, "reason": "not taken", "raw": "{}", "at_us": START}
    ],
}  # fmt: skip
"""What programs beside riskguard write in a day; the rest the desk does itself."""

BOOK = rulebook(
    order_value='check = "order_value"\norder_value_inr_max = "50000"',
    net_position='check = "net_position"\nposition_max = "500"\nunit = "units"',
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database after a day: positions, live orders, refusals and repeats, a kill by SQL, copies, errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISKGUARD_HOME", str(tmp_path_factory.mktemp("home")))
        clock = Clock()
        desk = Desk(
            build(tmp_path_factory.mktemp("day"), text=BOOK, accounts=(ACCOUNT, "follower"), clock=clock), clock
        )
        desk.sweep()
        Sweeper(desk.guard, "follower", desk.join_market("follower")).sweep()
        desk.hold(40, "100")
        desk.place(desk.order(price="90"))
        for _ in range(3):
            desk.guard.check(desk.order(quantity=1_000, price="100"))
        desk.guard.flush_repeats()
        desk.sweep()
        with contextlib.closing(sqlite3.connect(desk.path)) as connection, connection:
            for table, rows in EVENTS.items():
                put(connection, table, *rows)
        desk.kill("follower", reason="feed is wrong")
        desk.sql(
            "UPDATE traders_control SET order_value_limit = 40000 WHERE limit_id = 'order-value' AND account_type = 'leader'"
        )
        desk.sql(
            "INSERT INTO state_causes (account, scope, state, code, detail, by_whom, is_soft, raised_at_us) "
            "VALUES ('leader', 'STRATEGY:gap', 'REDUCE_ONLY', 'RECONCILIATION', 'books differ', 'sweep', 1, ?)",
            clock.now_us(),
        )
        desk.close()
        with contextlib.closing(sqlite3.connect(desk.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return desk.path


@pytest.fixture
def risk_db(day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that database as `risk.db` in the working directory, as the page calls it."""
    monkeypatch.chdir(tmp_path)
    return copy(day, tmp_path)


def first_line(text: str) -> str:
    return " ".join(text.split())[:70]


def on_that_day(sql: str) -> str:
    """The page asks for today; the day this database has seen is another one."""
    return sql.replace("'now'", f"'{datetime.fromtimestamp(T, UTC):%Y-%m-%d %H:%M:%S}'")


def test_every_fence_is_run() -> None:
    """No snippet under a word this test does not know, and some of each kind."""
    words = re.findall(r"^```(\S.*)$", PAGE, flags=re.MULTILINE)

    assert len(words) == len(FENCES) == len(READS) + len(WRITES) + len(REFUSED) + len(PYTHON)
    assert len(READS) >= 20 and len(WRITES) >= 3 and len(REFUSED) >= 3 and len(PYTHON) >= 5


@pytest.mark.parametrize("sql", READS, ids=first_line)
def test_a_question_has_an_answer(sql: str, risk_db: Path) -> None:
    """It runs on a connection that cannot write, gives rows, and no column of theirs is unnamed or always empty."""
    with contextlib.closing(sqlite3.connect(f"file:{risk_db}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        # The errors of the last day are asked of the database's own clock: the newest happens now.
        if "v_recent_errors" in sql:
            with contextlib.closing(sqlite3.connect(risk_db)) as writer, writer:
                writer.execute("UPDATE error_log SET occurred_at = strftime('%s', 'now')")
        rows = connection.execute(on_that_day(sql)).fetchall()

    assert rows
    assert all(re.fullmatch(r"\w+", name) for name in rows[0].keys())  # noqa: SIM118
    assert any(value is not None for value in rows[0])


@pytest.mark.parametrize("sql", WRITES, ids=first_line)
def test_a_tightening_counts(sql: str, risk_db: Path, clock: Clock) -> None:
    """One row each; what was approved before is refused after it, or trading has stopped."""
    desk = Desk(risk_db, clock)
    with contextlib.closing(desk):
        desk.clock.advance(60)
        desk.sweep()
        before = desk.guard.check(desk.order(quantity=300, price="100", client_order_id="before"))
        assert before.approved, before.explain()
        with contextlib.closing(sqlite3.connect(risk_db, timeout=5)) as connection, connection:
            assert connection.execute(sql).rowcount == 1
        if "daily_loss_limit" in sql:
            assert desk.one("SELECT daily_loss_limit FROM traders_control WHERE limit_id = 'daily-loss' AND is_active = 1 "
                            "AND account_type = 'leader'") == 2_500  # fmt: skip
        else:
            assert not desk.guard.check(desk.order(quantity=300, price="100", client_order_id="after")).approved
        halted = desk.guard.state(ACCOUNT).state is TradingState.HALTED
        assert halted is ("KILL_SWITCH" in sql)


@pytest.mark.parametrize("sql", REFUSED, ids=first_line)
def test_a_loosening_is_refused(sql: str, risk_db: Path) -> None:
    """The row it would change is there: without the database's own objection it would have changed."""
    with contextlib.closing(sqlite3.connect(risk_db, isolation_level=None)) as connection:
        before = connection.execute("SELECT * FROM traders_control").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="riskguard"):
            connection.execute(sql)
        assert connection.execute("SELECT * FROM traders_control").fetchall() == before
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'traders_control'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(sql).rowcount == 1


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: first_line(code.split("\n\n", 1)[-1]))
def test_python_says_something(code: str, risk_db: Path) -> None:
    """Run as it stands, in the directory of the database; it prints, and nothing is raised."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "QUICK_REFERENCE.md", "exec"), {"__name__": "snippet"})

    assert said.getvalue().strip()
    if "guard.kill" in code:
        with contextlib.closing(sqlite3.connect(risk_db)) as connection:
            [(status,)] = connection.execute(
                "SELECT kill_switch_status FROM traders_control WHERE account_type = 'leader' AND is_active = 1 "
                "AND control_type = 'KILL_SWITCH'"
            ).fetchall()
        assert status == "ACTIVE"


def test_the_answers_are_those_of_the_day(risk_db: Path) -> None:
    """A few answers by value, so that a join that loses rows is noticed."""
    by_words = {words: sql for sql in READS for words in ("v_latest_positions", "copy_mappings m\n", "WHERE m.status IN",
                                                          "refusal_repeats") if words in sql}  # fmt: skip
    with contextlib.closing(sqlite3.connect(risk_db)) as connection:
        held = connection.execute(on_that_day(by_words["v_latest_positions"])).fetchall()
        copies = connection.execute(on_that_day(by_words["copy_mappings m\n"])).fetchall()
        failed = connection.execute(on_that_day(by_words["WHERE m.status IN"])).fetchall()
        refusals = connection.execute(on_that_day(by_words["refusal_repeats"])).fetchall()

    assert [row[:5] for row in held] == [("leader", "NSE_EQ", "1333", "INTRADAY", 40)]
    assert [row[3] for row in copies] == [None, "8225000002"]
    assert [row[0] for row in failed] == [LEADER_ORDER]
    assert {row[1]: row[3] for row in refusals}["ORDER_VALUE_ABOVE_LIMIT"] == 3
