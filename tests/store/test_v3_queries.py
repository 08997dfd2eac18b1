"""
Every query of a version 3 program gives on an upgraded file the answer it gave before, except where a line says not.

The same content lies in a file of version 3 and in the same file upgraded; both are asked, written to and asked again.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from riskguard.services.upgrade import upgrade
from tests.store import v3_files
from tests.store import v3_queries as v3
from tests.store.rows import EVENT, FUNDS, INSTRUMENT, LEG, MAPPING, ORDER, POSITION, TRADE, File, T, ask

ORDERS = 213
"""Bracket orders and slices among the live."""
LIVE = f"8225{ORDERS - 1:010d}"
MODIFIED = "82250000000047"
BRACKET = "82250000000104"

Told = Callable[[File], Any]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A filled file of version 3, and a copy of it after `db upgrade`."""
    place = tmp_path_factory.mktemp("twins")
    old, new = place / "v3.db", place / "v4.db"
    with closing(v3_files.build(old, 3)) as connection:
        v3_files.fill(connection, orders=ORDERS)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(old, new)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISKGUARD_HOME", str(place / "home"))
        upgrade(f"sqlite:///{new}", position_size_unit="units")
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return old, new


@pytest.fixture
def twins(files: tuple[Path, Path], tmp_path: Path) -> Iterator[tuple[File, File]]:
    """Connections to copies of both, opened as the original opens its own."""
    opened = []
    for path in files:
        shutil.copyfile(path, tmp_path / path.name)
        connection = sqlite3.connect(tmp_path / path.name)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        opened.append(connection)
    yield opened[0], opened[1]
    for connection in opened:
        connection.close()


def saved_order(file: File) -> Any:
    fresh = {
        **ORDER,
        "id": "N1",
        "correlation_id": "n-1",
        "traded_qty": 0,
        "is_sliced_order": 0,
        "after_market_order": 0,
    }
    v3.save_order(file, fresh)
    v3.save_order(file, {**fresh, "status": "OPEN", "updated_at": T + 1})
    return (
        v3.get_order(file, "N1"),
        v3.get_order_by_correlation_id(file, "n-1"),
        v3.get_orders_by_account(file, "leader", 5),
    )


def status_updated(file: File) -> Any:
    return (
        v3.update_order_status(file, LIVE, "EXECUTED", T),
        v3.get_order(file, LIVE),
        v3.update_order_status(file, "no", "OPEN", T),
    )


def modified(file: File) -> Any:
    v3.save_order_modification(file, LIVE, "PRICE", '{"price": 1}', '{"price": 2}', T)
    return v3.get_order_modifications(file, LIVE), v3.get_order_modifications(file, MODIFIED)


def event_saved(file: File) -> Any:
    event = {**EVENT, "order_id": LIVE, "event_source": "WEBSOCKET", "sequence": 9}
    v3.save_order_event(file, event)
    v3.save_order_event(file, event)
    return v3.get_order_events(file, LIVE)


def mapping_saved(file: File) -> Any:
    for name in ("N1", "N2", "N3"):
        v3.save_order(file, {**ORDER, "id": name})
    mapping = {**MAPPING, "leader_order_id": "N1", "follower_order_id": None, "status": "pending"}
    v3.save_copy_mapping(file, mapping)
    v3.save_copy_mapping(file, {**mapping, "follower_order_id": "N2", "status": "placed"})
    first = v3.get_copy_mapping_by_leader(file, "N1")
    touched = v3.update_copy_mapping_status(file, "N1", "failed", T + 1, "N3")
    kept = v3.update_copy_mapping_status(file, "N1", "cancelled", T + 2)
    return (
        first,
        touched,
        kept,
        v3.get_copy_mapping_by_leader(file, "N1"),
        ask(file, "SELECT count(*) FROM copy_mappings"),
    )


def leg_saved(file: File) -> Any:
    v3.save_bracket_order_leg(file, LEG)
    v3.save_bracket_order_leg(file, {**LEG, "status": "OPEN"})
    touched = v3.update_bracket_order_leg_status(file, "A1-SL", "CANCELLED", T + 1)
    return touched, v3.get_bracket_order_legs(file, "A1"), v3.get_bracket_order_legs(file, BRACKET)


def trade_saved(file: File) -> Any:
    trade = {**TRADE, "order_id": LIVE, "trade_ts": T, "trade_value": 1000.0, "brokerage": 20.0, "total_charges": 23.6}
    v3.save_trade(file, trade)
    v3.save_trade(file, {**trade, "price": 101.0})
    return (
        v3.get_trade_by_id(file, "T1"),
        v3.get_trades_by_order_id(file, LIVE),
        v3.get_trades(file, limit=20),
        v3.get_trades(file, "leader", 1_759_500_000, 1_759_600_000, "1594", "NSE_EQ"),
        v3.get_trades_summary(file, "leader"),
        v3.get_trades_summary(file, "follower", 1_759_500_000, 1_759_600_000),
        v3.get_trades_summary(file, "nobody"),
    )


def positions_saved(file: File) -> Any:
    """A list of every instrument, as the newest: then both versions mean the same by "latest"."""
    known = ask(file, "SELECT DISTINCT security_id, exchange_segment, product FROM positions ORDER BY 1, 2, 3")
    rows = [
        {
            **POSITION,
            "security_id": security,
            "exchange_segment": segment,
            "product": product,
            "buy_qty": 100,
            "sell_qty": 0,
        }
        for security, segment, product in known
    ]
    v3.save_positions_snapshot(file, rows)
    v3.save_positions_snapshot(file, [{**row, "net_qty": 40} for row in rows])
    v3.save_positions_snapshot(file, [])
    return v3.get_latest_positions(file, "leader")


def funds_saved(file: File) -> Any:
    first = v3.get_latest_funds(file, "leader")
    v3.save_funds_snapshot(file, FUNDS)
    v3.save_funds_snapshot(file, {**FUNDS, "available_balance": 900.0})
    return first, v3.get_latest_funds(file, "leader"), v3.get_latest_funds(file, "nobody")


def instrument_saved(file: File) -> Any:
    v3.save_instrument(file, INSTRUMENT)
    v3.save_instrument(file, {**INSTRUMENT, "lot_size": 5})
    return v3.get_instrument(file, "25"), v3.get_instrument(file, "52211"), v3.get_instrument(file, "none")


def audited(file: File) -> Any:
    v3.log_audit(file, "place_order", "leader", T, status_code=200, duration_ms=12)
    return v3.audit(file, "leader")


def setting_saved(file: File) -> Any:
    v3.set_config_value(file, "copy_enabled", "true", T, "again")
    v3.set_config_value(file, "mine", "1", T)
    ours = ("schema_version", "riskguard.")
    return (
        v3.get_config_value(file, "copy_enabled"),
        v3.get_config_value(file, "none"),
        # Descriptions are words for people; those of settings the file brought along are as they were.
        [row for row in v3.config(file) if not row[0].startswith(ours)],
    )


SAME: dict[str, Told] = {
    "save_order, get_order, get_orders_by_account, get_order_by_correlation_id": saved_order,
    "update_order_status": status_updated,
    "save_order_modification, get_order_modifications": modified,
    "save_order_event, get_order_events": event_saved,
    "save_copy_mapping, get_copy_mapping_by_leader, update_copy_mapping_status": mapping_saved,
    "save_bracket_order_leg, get_bracket_order_legs, update_bracket_order_leg_status": leg_saved,
    "save_trade, get_trade_by_id, get_trades_by_order_id, get_trades, get_trades_summary": trade_saved,
    "save_positions_snapshot, get_latest_positions": positions_saved,
    "save_funds_snapshot, get_latest_funds": funds_saved,
    "save_instrument, get_instrument": instrument_saved,
    "log_audit": audited,
    "get_config_value, set_config_value": setting_saved,
}


@pytest.mark.parametrize("names", SAME)
def test_each_method_gives_the_same_answer(names: str, twins: tuple[File, File]) -> None:
    """Written and read on both; an answer without rows would show nothing."""
    before, after = (SAME[names](file) for file in twins)

    assert after == before
    assert any(before)


def test_every_method_of_the_list_is_asked() -> None:
    """The list of methods is what this module runs, each in exactly one scenario."""
    named = [name for names in SAME for name in names.split(", ")]
    public = {name for name, value in vars(v3).items() if callable(value) and name.islower() and name[0] != "_"}

    assert sorted(named) == sorted(set(named))
    assert public - {"audit", "config"} == set(named)


# Of these the answer is another one, as schema/DIFFERENCES.md says.


def test_saving_an_order_no_longer_loses_what_hangs_on_it(twins: tuple[File, File]) -> None:
    """Events, trades and modifications of the order: none left in version 3, all of them here."""
    executed = ask(twins[0], "SELECT o.id FROM orders o JOIN trades t ON t.order_id = o.id LIMIT 1")[0][0]
    counts = []
    for file in twins:
        before = len(v3.get_order_events(file, executed)), len(v3.get_trades_by_order_id(file, executed))
        names = v3.ORDER.split(", ")
        # The content maps this order; version 3 lets no mapped order be replaced at all.
        file.execute("DELETE FROM copy_mappings")
        file.execute("DELETE FROM risk_violations")
        for table in ("margin_requirements", "postback_events", "websocket_messages"):
            file.execute(f"DELETE FROM {table}")  # noqa: S608
        file.commit()
        v3.save_order(file, dict(zip(names, v3.get_order(file, executed)[0], strict=True)))
        after = len(v3.get_order_events(file, executed)), len(v3.get_trades_by_order_id(file, executed))
        counts.append((before, after))

    assert counts[0][0] == counts[1][0] and min(counts[0][0]) > 0
    assert counts[0][1] == (0, 0)
    assert counts[1][1] == counts[1][0]


def test_latest_positions_are_one_list(twins: tuple[File, File]) -> None:
    """Version 3 showed rows of many lists side by side; here it is the newest, and the old answer stays beside it."""
    newest = (
        f"SELECT {v3.POSITION} FROM positions WHERE account_type = 'leader' AND snapshot_ts = (SELECT max(snapshot_ts) "  # noqa: S608
    )
    newest += "FROM positions WHERE account_type = 'leader') ORDER BY security_id, product"
    old, new = twins

    assert v3.get_latest_positions(new, "leader") == ask(old, newest) != v3.get_latest_positions(old, "leader")
    kept = (
        f"SELECT {v3.POSITION} FROM v3_v_latest_positions WHERE account_type = 'leader' ORDER BY security_id, product"  # noqa: S608
    )
    assert ask(new, kept) == v3.get_latest_positions(old, "leader")


@pytest.mark.parametrize(
    "save",
    [
        lambda file: v3.save_order_event(file, {**EVENT, "order_id": "late"}),
        lambda file: v3.save_trade(file, {**TRADE, "order_id": "late"}),
        lambda file: v3.save_copy_mapping(file, {**MAPPING, "leader_order_id": "late"}),
        lambda file: v3.save_order_modification(file, "late", "PRICE", "{}", "{}", T),
    ],
    ids=["save_order_event", "save_trade", "save_copy_mapping", "save_order_modification"],
)
def test_rows_of_an_order_that_is_not_there_yet_are_taken(
    save: Callable[[File], None], twins: tuple[File, File]
) -> None:
    """The broker's messages are faster than our own rows; in version 3 each of these raised."""
    with pytest.raises(sqlite3.IntegrityError):
        save(twins[0])

    save(twins[1])


@pytest.mark.parametrize("view", [view["name"] for view in v3_files.INVENTORY["views"]])
def test_every_view_answers_on_the_upgraded_file(view: str, twins: tuple[File, File]) -> None:
    """The old answer is there under the old name or, where the meaning was repaired, as `v3_<view>`."""
    old, new = twins
    names = {name for (name,) in ask(new, "SELECT name FROM sqlite_master WHERE type = 'view'")}
    kept = f"v3_{view}" if f"v3_{view}" in names else view

    def told(file: File, name: str) -> list[Any]:
        rows = file.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
        # A second may pass between the two reads.
        shown = [[row[key] for key in row.keys() if key != "seconds_since_heartbeat"] for row in rows]  # noqa: SIM118
        return sorted(shown, key=repr)

    assert told(new, kept) == told(old, view)
    assert told(old, view) or view in ("v_recent_errors", "v_active_bracket_orders")
