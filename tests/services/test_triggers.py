"""
What the database itself holds, whoever writes to it and with whatever tool: plain SQL may tighten, never loosen.

Everything here is written with the sqlite3 of the standard library, while a guard has the database open.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable

import pytest

from riskguard.core.state import TradingState
from riskguard.services import overview
from riskguard.store import journal
from riskguard.store.triggers import BUMPED, GLOBAL_TABLES
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, MALFORMED, REFUSED, Desk, rulebook

VALUE = 'check = "order_value"\norder_value_inr_max = "1000"'
POSITION = 'check = "net_position"\nposition_max = "50"\nunit = "units"'


@pytest.fixture
def limited(make_desk: Callable[..., Desk]) -> Desk:
    """Orders up to ₹1,000, positions up to 50 units."""
    made = make_desk(text=rulebook(order_value=VALUE, net_position=POSITION))
    made.sweep()
    assert made.guard.check(made.order(quantity=10, price="100")).approved
    return made


def codes(desk: Desk, **changes: object) -> list[str]:
    return [each.code.value for each in desk.guard.check(desk.order(**changes)).rejects]  # type: ignore[arg-type]


# -- tightening -----------------------------------------------------------------------------------------------------

INSERT = (
    "INSERT INTO traders_control (account_type, control_type, {columns}, is_active, created_at, updated_at) "
    "VALUES ('{owner}', '{kind}', {values}, 1, 1748840400, 1748840400)"
)

TIGHTER = table("""
    statement                                                                                            code
    UPDATE traders_control SET order_value_limit = 999.99 WHERE limit_id = 'order-value'                 ORDER_VALUE_ABOVE_LIMIT
    UPDATE traders_control SET position_size_limit = 9 WHERE limit_id = 'net-position'                   NET_POSITION_ABOVE_LIMIT
    UPDATE traders_control SET order_value_limit = 500 WHERE limit_id = 'lot-size'                       ORDER_VALUE_ABOVE_LIMIT
    INSERT leader RISK_LIMIT order_value_limit 999.99                                                    ORDER_VALUE_ABOVE_LIMIT
    INSERT leader POSITION_LIMIT position_size_limit 9                                                   NET_POSITION_ABOVE_LIMIT
    INSERT GLOBAL RISK_LIMIT order_value_limit 999.99                                                    ORDER_VALUE_ABOVE_LIMIT
    INSERT follower RISK_LIMIT order_value_limit 1                                                       -
    INSERT leader RISK_LIMIT order_value_limit 1000                                                      -
    UPDATE traders_control SET order_value_limit = 1000 WHERE limit_id = 'order-value'                   -
""")


@pytest.mark.parametrize("row", TIGHTER, ids=str)
def test_a_tightening_counts_at_the_next_check(limited: Desk, row: Row) -> None:
    """An open guard with a kept account honours it at once; what is as tight as before changes nothing."""
    statement = row.statement
    if statement.startswith("INSERT"):
        _, owner, kind, columns, values = statement.split()
        statement = INSERT.format(owner=owner, kind=kind, columns=columns, values=values)
    assert limited.sql(statement) == 1

    assert (codes(limited, quantity=10, price="100") or ["-"])[0] == row.code


def test_a_tighter_daily_loss_trips_at_the_next_sweep(desk: Desk) -> None:
    """The loss that was within the limit is beyond 150 % of the new one."""
    desk.hold(10, "1000")
    desk.quote("900")
    desk.sweep()
    assert desk.guard.state(ACCOUNT).state is TradingState.ACTIVE
    desk.sql("UPDATE traders_control SET daily_loss_limit = 500 WHERE limit_id = 'daily-loss'")
    assert codes(desk) == ["DAILY_LOSS_REACHED"]  # the pre-order check needs no sweep for it
    desk.quote("900")
    desk.sweep()

    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


# -- loosening ------------------------------------------------------------------------------------------------------

LOOSER = table("""
    statement
    UPDATE traders_control SET order_value_limit = 1000.01 WHERE limit_id = 'order-value'
    UPDATE traders_control SET order_value_limit = NULL WHERE limit_id = 'order-value'
    UPDATE traders_control SET position_size_limit = 51 WHERE limit_id = 'net-position'
    UPDATE traders_control SET daily_loss_limit = 1e18 WHERE limit_id = 'daily-loss'
    UPDATE traders_control SET is_active = 0 WHERE limit_id = 'order-value'
    UPDATE traders_control SET is_active = 2 WHERE limit_id = 'order-value'
    UPDATE traders_control SET mode = 'shadow' WHERE limit_id = 'order-value'
    UPDATE traders_control SET on_breach = 'warn' WHERE limit_id = 'order-value'
    UPDATE traders_control SET kill_plan = 'halt' WHERE limit_id = 'daily-loss'
    UPDATE traders_control SET parameters = '{}' WHERE limit_id = 'order-rate'
    UPDATE traders_control SET parameters = NULL WHERE limit_id = 'order-rate'
    UPDATE traders_control SET scope = 'INSTRUMENT:NSE_EQ:9' WHERE limit_id = 'order-value'
    UPDATE traders_control SET check_name = 'order_quantity' WHERE limit_id = 'order-value'
    UPDATE traders_control SET limit_id = 'another' WHERE limit_id = 'order-value'
    UPDATE traders_control SET account_type = 'nobody' WHERE limit_id = 'order-value'
    UPDATE traders_control SET control_type = 'KILL_SWITCH' WHERE limit_id = 'order-value'
    UPDATE OR REPLACE traders_control SET order_value_limit = 2000 WHERE limit_id = 'order-value'
    UPDATE OR IGNORE traders_control SET order_value_limit = 2000, is_active = 0 WHERE limit_id = 'order-value'
    DELETE FROM traders_control WHERE limit_id = 'order-value'
    DELETE FROM traders_control
    REPLACE INTO traders_control (id, account_type, control_type, is_active, created_at, updated_at) SELECT id, 'leader', 'RISK_LIMIT', 1, 1748840400, 1748840400 FROM traders_control WHERE limit_id = 'order-value' AND is_active = 1
    REPLACE INTO traders_control (id, account_type, control_type, is_active, created_at, updated_at) SELECT id, 'nobody', 'RISK_LIMIT', 0, 1748840400, 1748840400 FROM traders_control WHERE limit_id = 'order-value' AND is_active = 1
    INSERT INTO traders_control (id, account_type, control_type, is_active, created_at, updated_at) SELECT id, 'leader', 'RISK_LIMIT', 0, 1748840400, 1748840400 FROM traders_control WHERE limit_id = 'order-value' AND is_active = 1 ON CONFLICT (id) DO UPDATE SET order_value_limit = 2000
    INSERT INTO traders_control (account_type, control_type, limit_id, scope, check_name, order_value_limit, mode, on_breach, kill_plan, parameters, is_active, created_at, updated_at) SELECT account_type, control_type, limit_id, scope, check_name, 1000, 'shadow', on_breach, kill_plan, parameters, 1, 1748840400, 1748840400 FROM traders_control WHERE limit_id = 'order-value' AND is_active = 1
""")  # noqa: E501


@pytest.mark.parametrize("recursive", [0, 1], ids=["", "recursive_triggers"])
@pytest.mark.parametrize("row", LOOSER, ids=lambda row: row.statement[:60])
@pytest.mark.sqlite_only("SQLite's words; the same acts on both are in tests/store/test_held.py")
def test_the_database_refuses_a_loosening(limited: Desk, row: Row, recursive: int) -> None:
    """Refused by the database, whatever the pragma; nothing changed, and the next check is as strict as before."""
    before = limited.rows("SELECT * FROM traders_control ORDER BY id")
    with contextlib.closing(sqlite3.connect(limited.path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA recursive_triggers = {recursive}")
        with pytest.raises(REFUSED):
            connection.execute(row.statement)

    assert limited.rows("SELECT * FROM traders_control ORDER BY id") == before
    assert codes(limited, quantity=10, price="100.05") == ["ORDER_VALUE_ABOVE_LIMIT"]
    assert codes(limited, quantity=51, price="1", security_id="2885") == ["NET_POSITION_ABOVE_LIMIT"]


def test_a_loosening_among_tightenings_takes_nothing(limited: Desk) -> None:
    """One statement over several rows is one act: the row that loosens undoes those that tighten."""
    with pytest.raises(REFUSED):
        limited.sql(
            "UPDATE traders_control SET order_value_limit = CASE limit_id WHEN 'order-value' THEN 500 END, "
            "daily_loss_limit = NULL WHERE limit_id IN ('order-value', 'daily-loss')"
        )
    assert limited.one("SELECT order_value_limit FROM traders_control WHERE limit_id = 'order-value'") == 1000


# -- a second row ---------------------------------------------------------------------------------------------------

SECOND = table("""
    first_value  first_size  second_value  second_size  value  size
    1000         -           500           -            500    -
    500          -           1000          -            500    -
    500          10          1000          20           500    10
    500          20          1000          10           500    10
    500          -           -             10           500    10
    -            10          500           -            500    10
    500          10          -             -            500    10
""")


@pytest.mark.parametrize("row", SECOND, ids=str)
def test_a_second_row_takes_the_place_of_the_first_and_keeps_the_tighter(desk: Desk, row: Row) -> None:
    """Programs of version 3 insert a row for every change: it does not fail, and it does not loosen."""
    for value, size in ((row.first_value, row.first_size), (row.second_value, row.second_size)):
        values = ", ".join("NULL" if each == "-" else each for each in (value, size))
        desk.sql(
            INSERT.format(
                owner="leader", kind="RISK_LIMIT", columns="order_value_limit, position_size_limit", values=values
            )
        )

    standing = (
        "SELECT order_value_limit, position_size_limit FROM traders_control WHERE is_active = 1 AND limit_id IS NULL"
    )
    expected = tuple(None if cell == "-" else float(cell) for cell in (row.value, row.size))
    assert desk.rows(standing + " AND control_type = 'RISK_LIMIT'") == [expected]
    if row.value != "-":
        assert "ORDER_VALUE_ABOVE_LIMIT" not in codes(desk, quantity=1, price=row.value)
        assert "ORDER_VALUE_ABOVE_LIMIT" in codes(desk, quantity=1, price=f"{row.value}.05")


def test_many_second_rows_end_at_the_tightest(desk: Desk) -> None:
    """Twenty inserts in any order: one row in force, the smallest of all."""
    for value in (900, 700, 800, 300, 1000, 600, 301, 299, 5000, 400) * 2:
        desk.sql(INSERT.format(owner="leader", kind="RISK_LIMIT", columns="order_value_limit", values=str(value)))

    assert desk.rows(
        "SELECT order_value_limit FROM traders_control WHERE is_active = 1 AND limit_id IS NULL AND control_type = 'RISK_LIMIT'"
    ) == [(299.0,)]


WRONG = table("""
    value
    0
    -5
    'x'
    9e999
""")


@pytest.mark.parametrize("row", WRONG, ids=str)
def test_a_number_that_is_no_limit_is_never_unlimited(limited: Desk, row: Row) -> None:
    """Zero, negative, text: refused by the database; infinity does not loosen what stands."""
    with contextlib.suppress(*MALFORMED):
        limited.sql(INSERT.format(owner="leader", kind="RISK_LIMIT", columns="order_value_limit", values=row.value))

    assert codes(limited, quantity=10, price="100.05") != []


# -- a kill by SQL --------------------------------------------------------------------------------------------------

KILL = (
    "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at, "
    "activated_by, reason) VALUES (?, 'KILL_SWITCH', ?, 1, 1748840400, 1748840400, 'dba', 'by hand')"
)

WORDS = ["ACTIVE", "ACTIVATE", "active", "ON", "on", "1", "yes", "HALTED", "", None, "INACTIVE ", " INACTIVE", "INACTIVE\n",
         "not INACTIVE", "ÍNACTIVE", "INACTIVE", "Inactive", "deactivated", "OFF", "0"]  # fmt: skip


@pytest.mark.parametrize("word", WORDS, ids=repr)
def test_a_kill_row_written_with_sql_halts_at_the_next_check(desk: Desk, word: str | None) -> None:
    """Whatever the word: a halting one halts, and a releasing one has no release behind it."""
    assert desk.guard.check(desk.order()).approved
    desk.sql(KILL, ACCOUNT, word)

    assert codes(desk) == ["TRADING_HALTED"]


OWNERS = table("""
    owner     leader   follower
    leader    HALTED   ACTIVE
    follower  ACTIVE   HALTED
    GLOBAL    HALTED   HALTED
    nobody    ACTIVE   ACTIVE
""")


@pytest.mark.parametrize("row", OWNERS, ids=str)
def test_whom_a_kill_row_halts(make_desk: Callable[..., Desk], row: Row) -> None:
    from riskguard.services.sweeps.sweeper import Sweeper

    desk = make_desk(accounts=(ACCOUNT, "follower"))
    desk.sweep()
    Sweeper(desk.guard, "follower", desk.join_market("follower")).sweep()
    desk.sql(KILL, row.owner, "ACTIVE")

    assert desk.guard.state("leader").state.name == row.leader
    assert desk.guard.state("follower").state.name == row.follower


def test_a_kill_by_sql_is_adopted_like_any_other(desk: Desk) -> None:
    """Journal, epoch, void permits, a run that cancels: written by the first transaction of ours, once."""
    epoch = desk.one("SELECT epoch FROM account_heads WHERE account = 'leader'")
    waiting = desk.guard.check(desk.order())
    other = desk.another_guard()
    desk.sql(KILL, ACCOUNT, "ACTIVE")
    for guard in (desk.guard, other, desk.guard):
        assert not guard.check(desk.order()).approved

    assert waiting.approved and desk.permit("o-1") == "VOID"
    assert desk.one("SELECT epoch FROM account_heads WHERE account = 'leader'") > epoch
    assert desk.rows("SELECT cause, kill_plan, state, by_whom, reason FROM kill_runs") == [
        ("SQL", "cancel", "OPEN", "dba", "by hand")
    ]
    (body,) = (json.loads(row[0]) for row in desk.rows("SELECT body FROM decisions WHERE kind = 'ADOPTED'"))
    assert {change["what"] for change in body["changes"]} == {"INSERTED", "SUPERSEDED"}
    assert desk.rows("SELECT count(*) FROM control_changes WHERE is_adopted = 0") == [(0,)]


def test_a_global_kill_by_sql_is_followed_in_every_account(make_desk: Callable[..., Desk]) -> None:
    """Whichever account is asked about first: each gets its run, because each has its own broker to be flat at."""
    desk = make_desk(accounts=(ACCOUNT, "follower"))
    desk.sweep()
    desk.sql(KILL, "GLOBAL", "ACTIVE")
    for name in (ACCOUNT, "follower"):
        assert desk.guard.state(name).state is TradingState.HALTED
        desk.guard.check(desk.order(account=name))

    assert sorted(desk.rows("SELECT account, scope, state FROM kill_runs")) == [
        ("follower", "GLOBAL", "OPEN"),
        ("leader", "GLOBAL", "OPEN"),
    ]


def test_a_sweep_adopts_a_kill_by_sql_when_nobody_asks(desk: Desk) -> None:
    """No order is checked any more: the daemon's next sweeps cancel what rests, all the same."""
    desk.quote("100")
    desk.place(desk.order(price="90"))
    desk.sweep()
    desk.sql(KILL, ACCOUNT, "ACTIVE")
    for _ in range(4):
        desk.sweep()

    assert [order.status for order in desk.broker.orders()] == ["CANCELLED"]


def test_what_sql_tightened_is_kept_and_adopted(limited: Desk) -> None:
    """Old and new numbers stand in `control_changes`, and in the journal after the next check."""
    limited.sql("UPDATE traders_control SET order_value_limit = 900 WHERE limit_id = 'order-value'")
    ((what, old, new, adopted),) = limited.rows(
        "SELECT what, old_values, new_values, is_adopted FROM control_changes WHERE limit_id = 'order-value'"
    )
    assert (what, adopted) == ("UPDATED", 0)
    assert json.loads(old)["order_value_limit"] == 1000 and json.loads(new)["order_value_limit"] == 900
    limited.guard.check(limited.order(quantity=1))

    assert limited.rows("SELECT DISTINCT is_adopted FROM control_changes") == [(1,)]
    assert limited.one("SELECT count(*) FROM decisions WHERE kind = 'ADOPTED'") == 1
    body = limited.one("SELECT body FROM decisions WHERE kind = 'ADOPTED'")
    assert '\\"order_value_limit\\":900' in body.replace(" ", "")
    with limited.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None


# -- a row nobody can read ----------------------------------------------------------------------------------------


def test_a_limit_row_that_cannot_be_read_is_not_skipped(desk: Desk) -> None:
    """A row of an unknown check, written by a newer program: refused with its number, never ignored."""
    desk.sql(
        "INSERT INTO traders_control (account_type, control_type, limit_id, check_name, parameters, scope, is_active, "
        "created_at, updated_at) VALUES ('leader', 'RISK_LIMIT', 'x', 'order_rate', '{\"windows\": []}', 'ACCOUNT:leader', 1, "
        "1748840400, 1748840400)"
    )
    decision = desk.guard.check(desk.order())
    row_id = desk.one("SELECT id FROM traders_control WHERE limit_id = 'x'")

    assert [each.code.value for each in decision.rejects] == ["STORE_UNAVAILABLE"]
    assert f"row {row_id} of traders_control" in decision.rejects[0].detail


# -- append-only ----------------------------------------------------------------------------------------------------

TAMPERED = table("""
    statement
    UPDATE decisions SET approved = 1
    UPDATE decisions SET body = body
    DELETE FROM decisions
    DELETE FROM decisions WHERE sequence = (SELECT max(sequence) FROM decisions)
    UPDATE limit_sets SET body = '[]'
    DELETE FROM limit_sets
    REPLACE INTO decisions SELECT account, sequence, client_order_id, kind, 1 - approved, strategy, decided_at_us, body, previous_hash, hash, mac FROM decisions WHERE account = 'leader'
    REPLACE INTO limit_sets SELECT digest, '[]' FROM limit_sets
""")  # noqa: E501


@pytest.mark.parametrize("row", TAMPERED, ids=lambda row: row.statement[:60])
@pytest.mark.sqlite_only("SQLite's words; the same acts on both are in tests/store/test_held.py")
def test_the_evidence_is_append_only(desk: Desk, row: Row) -> None:
    desk.guard.check(desk.order())
    before = desk.rows("SELECT * FROM decisions"), desk.rows("SELECT * FROM limit_sets")
    with pytest.raises(REFUSED, match="append-only"):
        desk.sql(row.statement)
    assert (desk.rows("SELECT * FROM decisions"), desk.rows("SELECT * FROM limit_sets")) == before


FORGED = table("""
    statement                                                                                       says
    UPDATE decisions SET approved = 1 - approved WHERE kind = 'ORDER'                               differs from its body
    UPDATE decisions SET body = replace(body, '"quantity":10', '"quantity":11') WHERE kind = 'ORDER'  not that of its contents
    UPDATE decisions SET client_order_id = 'z' WHERE kind = 'ORDER'                                 differs from its body
    UPDATE decisions SET decided_at_us = decided_at_us + 1 WHERE kind = 'ORDER'                     differs from its body
    UPDATE decisions SET hash = upper(hash) WHERE kind = 'ORDER'                                    not that of its contents
    DELETE FROM decisions WHERE account = 'leader' AND sequence = 1                                 is missing
    DELETE FROM decisions WHERE kind = 'ORDER'                                                      cut off
""")


@pytest.mark.parametrize("row", FORGED, ids=lambda row: row.statement[:60])
def test_whoever_drops_the_triggers_is_found_by_the_chain(desk: Desk, row: Row) -> None:
    """The file's owner can undo anything but the hashes of what was kept elsewhere."""
    desk.guard.check(desk.order())
    with desk.plain() as connection:
        if desk.store.dialect == "sqlite":
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'decisions'"
            ).fetchall():
                connection.execute(f"DROP TRIGGER {name}")
        else:
            connection.execute("ALTER TABLE decisions DISABLE TRIGGER USER")
        assert connection.execute(row.statement).rowcount > 0
    (wrong,) = (each["wrong"] for each in overview.verify(desk.store) if each["account"] == ACCOUNT)

    assert wrong is not None and row.says in wrong


# -- heads ----------------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_only("SQLite's words; the same acts on both are in tests/store/test_held.py")
def test_every_write_to_what_an_account_reads_moves_its_head(desk: Desk) -> None:
    """UPDATE, DELETE and INSERT of each table by plain SQL: a kept account is never used past it."""
    desk.hold(10)
    desk.guard.check(desk.order(quantity=2_000_000))
    desk.guard.check(desk.order(quantity=2_000_000))
    desk.guard.flush_repeats()
    desk.kill()
    desk.sql(
        "INSERT INTO state_causes (account, scope, state, code, detail, by_whom, is_soft, raised_at_us) "
        "VALUES ('leader', 'ACCOUNT:leader', 'REDUCE_ONLY', 'TEST', '', 'test', 1, ?)",
        desk.clock.now_us(),
    )
    for name in (*BUMPED, *GLOBAL_TABLES):
        column = BUMPED.get(name)
        owner = ACCOUNT if column else "GLOBAL"
        where = f"WHERE {column} = 'leader'" if column else ""
        version = "SELECT version FROM account_heads WHERE account = ?"
        assert desk.one(f"SELECT count(*) FROM {name} {where}"), f"{name} is empty: nothing is shown"  # noqa: S608
        with contextlib.closing(sqlite3.connect(desk.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO control_actions (account, kind, by_whom, at_us) VALUES ('GLOBAL', 'APPLY', 't', ?)",
                               (desk.clock.now_us(),))  # fmt: skip
            # A day's row and a booked fill are not deleted at all; what moves the head must not rest on that.
            for stays in (f"{name}_stays", f"{name}_stay"):
                connection.execute(f"DROP TRIGGER IF EXISTS {stays}")
            for statement in (
                f"UPDATE {name} SET rowid = rowid {where}",  # noqa: S608
                f"CREATE TEMP TABLE aside AS SELECT * FROM {name} {where} ORDER BY rowid LIMIT 1",  # noqa: S608
                f"DELETE FROM {name} WHERE rowid = (SELECT rowid FROM {name} {where} ORDER BY rowid LIMIT 1)",  # noqa: S608
                f"INSERT INTO {name} SELECT * FROM aside",  # noqa: S608
            ):
                before = connection.execute(version, (owner,)).fetchone()
                connection.execute(statement)
                moved = connection.execute(version, (owner,)).fetchone() > before
                assert moved or statement.startswith("CREATE"), f"{statement} moved no head"
            connection.execute("ROLLBACK")


def test_a_position_row_of_a_version_3_program_counts_at_once(limited: Desk) -> None:
    """Without a header it proves what is held, never that nothing is: the next check reaches from it."""
    limited.sql(
        "INSERT INTO positions (snapshot_ts, account_type, security_id, exchange_segment, product, net_qty) "
        "VALUES (?, 'leader', '1333', 'NSE_EQ', 'INTRADAY', 45)",
        limited.clock.now_us() // 1_000_000,
    )
    assert codes(limited, quantity=6, price="1") == ["NET_POSITION_ABOVE_LIMIT"]
    limited.sql(
        "INSERT INTO positions (snapshot_ts, account_type, security_id, exchange_segment, product, net_qty) "
        "VALUES (?, 'leader', '1333', 'NSE_EQ', 'INTRADAY', 0)",
        limited.clock.now_us() // 1_000_000 + 1,
    )
    assert codes(limited, quantity=6, price="1", strategy="b") == ["NET_POSITION_ABOVE_LIMIT"]
    limited.sweep()  # the broker's own list, with a header: flat

    assert codes(limited, quantity=6, price="1", strategy="c") == []


def test_a_fill_of_a_version_3_program_counts_at_once(limited: Desk) -> None:
    """It is booked by the next check, once, and its limit is judged with it."""
    limited.sql(
        "INSERT INTO trades (id, order_id, account_type, security_id, exchange_segment, side, product, quantity, price, "
        "trade_ts, created_at) VALUES ('t1', 'x1', 'leader', '1333', 'NSE_EQ', 'BUY', 'INTRADAY', 45, 100, ?, 1748840400)",
        limited.clock.now_us() // 1_000_000,
    )
    for _ in range(2):
        assert codes(limited, quantity=6, price="1") == ["NET_POSITION_ABOVE_LIMIT"]
        limited.clock.advance(1)

    assert limited.rows("SELECT filled_quantity, fills FROM day_books") == [(45, 1)]
