"""Goal: positions, holdings and funds are read as one list, "flat" and "unknown" differ, and no answer is a mix."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from riskguard.errors import RowInvalidError, RowRefusedError, StoreError
from riskguard.store import Database
from riskguard.store.rows import FundsRow, HoldingRow, MarginRequirementRow, PositionRow
from riskguard.store.tables.funds import funds
from riskguard.store.tables.portfolio import holdings, positions
from riskguard.store.tables.snapshots import snapshots
from tests.store.rows import FUNDS, HOLDING, POSITION, T, header, put
from tests.store.test_repo_orders import row

US = 1_000_000


def position(**changes: Any) -> PositionRow:
    return PositionRow(**row(POSITION, **changes))


def ids(found: list[PositionRow] | None) -> list[str] | None:
    return None if found is None else [each.security_id for each in found]


def test_nobody_looked_is_none_and_flat_is_an_empty_list(database: Database) -> None:
    """Unknown, then one position, then flat: version 3 wrote nothing for an empty list and showed the old one."""
    assert database.portfolio.get_latest_positions("leader") is None
    assert database.portfolio.get_open_positions("leader") is None

    database.portfolio.save_positions_snapshot([position()])
    assert ids(database.portfolio.get_latest_positions("leader")) == ["1594"]
    database.portfolio.save_positions_snapshot([], "leader", fetched_at_us=(T + 1) * US)

    assert database.portfolio.get_latest_positions("leader") == []
    assert database.portfolio.get_latest_positions("follower") is None


def test_what_the_newest_list_does_not_name_is_gone(database: Database) -> None:
    """Not the newest row of each instrument, but the rows of the newest list; a closed line is listed, not open."""
    database.portfolio.save_positions_snapshot([position(), position(security_id="25")])
    database.portfolio.save_positions_snapshot(
        [position(security_id="25", snapshot_ts=T + 1), position(security_id="7", snapshot_ts=T + 1, net_qty=0)]
    )

    assert ids(database.portfolio.get_latest_positions("leader")) == ["25", "7"]
    assert ids(database.portfolio.get_open_positions("leader")) == ["25"]


def test_two_lists_of_one_second_do_not_mix(database: Database) -> None:
    """The later one stands alone; with a key of time and instrument both would have been one."""
    database.portfolio.save_positions_snapshot([position(net_qty=1)])
    database.portfolio.save_positions_snapshot([position(security_id="25", net_qty=2)])

    assert ids(database.portfolio.get_latest_positions("leader")) == ["25"]


def test_an_older_answer_that_comes_late_is_not_the_newest(database: Database) -> None:
    """When the broker was asked decides, not when the row was written."""
    database.portfolio.save_positions_snapshot([position()], fetched_at_us=T * US)
    database.portfolio.save_positions_snapshot([], "leader", fetched_at_us=(T - 1) * US)

    assert ids(database.portfolio.get_latest_positions("leader")) == ["1594"]


@pytest.mark.parametrize(("later_s", "expected"), [(1, ["bare"]), (0, []), (-1, [])])
def test_rows_without_a_header_stand_only_where_they_are_newer(
    database: Database, later_s: int, expected: list[str]
) -> None:
    """A version 3 program writes them: evidence of a position, never of flat."""
    database.portfolio.save_positions_snapshot([], "leader", fetched_at_us=T * US)
    with database.transaction() as connection:
        bare = {**POSITION, "security_id": "bare", "snapshot_ts": T + later_s}
        connection.execute(sa.insert(positions), bare)

    assert ids(database.portfolio.get_latest_positions("leader")) == expected


def test_version_3_rows_alone_are_read(database: Database) -> None:
    """Without any header the newest time counts."""
    with database.transaction() as connection:
        connection.execute(sa.insert(positions), [POSITION, {**POSITION, "security_id": "old", "snapshot_ts": T - 5}])

    assert ids(database.portfolio.get_latest_positions("leader")) == ["1594"]


def test_an_incomplete_list_is_not_seen_and_lost_rows_are_not_flat(database: Database) -> None:
    """A header that is not complete counts for nothing; a complete one whose rows are gone is an error, not []."""
    database.portfolio.save_positions_snapshot([position()])
    with database.transaction() as connection:
        begun = {"account": "leader", "kind": "positions", "fetched_at_us": (T + 1) * US, "complete": 0, "row_count": 5,
                 "source": "test"}  # fmt: skip
        connection.execute(sa.insert(snapshots), begun)
    assert ids(database.portfolio.get_latest_positions("leader")) == ["1594"]

    with database.transaction() as connection:
        connection.execute(sa.delete(positions))
    with pytest.raises(StoreError, match="0 of 1 rows"):
        database.portfolio.get_latest_positions("leader")


@pytest.mark.parametrize(
    ("rows", "account", "match"),
    [
        ([], None, "name the account"),
        ([position(), position(account_type="follower", security_id="2")], None, "one account"),
        ([position()], "follower", "one account"),
        ([position(), position(security_id="2", snapshot_ts=T + 1)], None, "differs"),
        ([position(snapshot_ts=T + 301)], None, "future"),
    ],
)
def test_a_list_that_means_nothing_is_refused(
    database: Database, rows: list[PositionRow], account: str | None, match: str
) -> None:
    """Nothing of it is written, no header either."""
    with pytest.raises(RowInvalidError, match=match):
        database.portfolio.save_positions_snapshot(rows, account)
    assert database.snapshots.get_snapshots("leader", "positions") == []


def test_one_position_twice_undoes_the_whole_list(database: Database) -> None:
    """Half a list must never look like a whole one."""
    with pytest.raises(RowRefusedError):
        database.portfolio.save_positions_snapshot([position(), position()])

    assert database.portfolio.get_latest_positions("leader") is None
    assert database.snapshots.get_snapshots("leader", "positions") == []


def test_the_brokers_positions(database: Database) -> None:
    """Signed net, money as decimals; what the answer leaves out is unknown, not zero."""
    answer = {
        "securityId": "52211", "positionType": "SHORT", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY",
        "buyAvg": 117.2, "buyQty": 75, "sellAvg": 118.4, "sellQty": 150, "netQty": -75, "realizedProfit": 90.0,
        "unrealizedProfit": -412.5, "multiplier": 1,
    }  # fmt: skip
    database.portfolio.save_positions_from_broker("leader", [answer])
    (found,) = database.portfolio.get_latest_positions("leader") or []
    assert (found.net_qty, found.buy_avg, found.total_pl, found.ltp) == (-75, Decimal("117.2"), Decimal("-322.5"), None)

    del answer["unrealizedProfit"]
    database.portfolio.save_positions_from_broker("leader", [answer], fetched_at_us=(T + 1) * US)
    (found,) = database.portfolio.get_latest_positions("leader") or []
    assert (found.realized_pl, found.unrealized_pl, found.total_pl) == (Decimal(90), None, None)

    database.portfolio.save_positions_from_broker("leader", [], fetched_at_us=(T + 2) * US)
    assert database.portfolio.get_latest_positions("leader") == []
    with pytest.raises(RowInvalidError, match=r"positions\.net_qty"):
        database.portfolio.save_positions_from_broker("leader", [{**answer, "netQty": None}])


def test_holdings(database: Database) -> None:
    """As positions; the same number in two segments is two holdings."""
    assert database.portfolio.get_latest_holdings("leader") is None
    both = [HoldingRow(**HOLDING), HoldingRow(**{**HOLDING, "exchange_segment": "BSE_EQ"})]
    database.portfolio.save_holdings_snapshot(both)
    assert len(database.portfolio.get_latest_holdings("leader") or []) == 2

    answer = {"exchange": "ALL", "tradingSymbol": "HDFCBANK", "securityId": "1333", "isin": "INE040A01034", "totalQty": 10,
              "dpQty": 8, "t1Qty": 2, "availableQty": 8, "collateralQty": 0, "avgCostPrice": 1612.05}  # fmt: skip
    database.portfolio.save_holdings_from_broker("leader", [answer], fetched_at_us=(T + 1) * US)
    (found,) = database.portfolio.get_latest_holdings("leader") or []
    assert (found.total_qty, found.available_qty, found.avg_cost_price) == (10, 8, Decimal("1612.05"))
    database.portfolio.save_holdings_snapshot([], "leader", fetched_at_us=(T + 2) * US)
    assert database.portfolio.get_latest_holdings("leader") == []


def test_funds(database: Database) -> None:
    """The newest answer, also of two in one second; both spellings; no balance is an error, never 0."""
    assert database.funds.get_latest_funds("leader") is None
    database.funds.save_funds_snapshot(FundsRow(**row(FUNDS)))
    database.funds.save_funds_snapshot(FundsRow(**row(FUNDS, available_balance="7")))
    found = database.funds.get_latest_funds("leader")
    assert found is not None and found.available_balance == Decimal(7)

    for key in ("availabelBalance", "availableBalance"):
        saved = database.funds.save_funds_from_broker("leader", {key: 184220.35, "sodLimit": 212000.0})
        assert database.funds.get_latest_funds("leader") == saved
        assert (saved.available_balance, saved.sodLimit, saved.margin_used) == (
            Decimal("184220.35"),
            Decimal(212000),
            None,
        )
    with pytest.raises(RowInvalidError, match="unknown is not zero"):
        database.funds.save_funds_from_broker("leader", {"sodLimit": 5})


def test_margins(database: Database) -> None:
    """Of an order, or of a question without one."""
    margin = MarginRequirementRow(
        account_type="leader", security_id="1", exchange_segment="NSE_EQ", quantity=1, product="CNC", total_margin="9.5",
        calculated_at=T,
    )  # fmt: skip
    database.funds.save_margin_requirement(margin)
    number = database.funds.save_margin_requirement(margin.model_copy(update={"order_id": "A1"}))

    assert len(database.funds.get_margin_requirements("leader")) == 2
    (found,) = database.funds.get_margin_requirements("leader", "A1")
    assert (found.id, found.total_margin) == (number, Decimal("9.5"))


def test_the_answer_is_that_of_the_view(database: Database) -> None:
    """`v_latest_positions` and the repository agree for headers, bare rows, and both."""

    def seen() -> list[tuple[str, int]]:
        with database.reading() as connection:
            view = connection.execute(
                sa.text("SELECT security_id, net_qty FROM v_latest_positions WHERE account_type = 'leader' ORDER BY 1")
            )
            return [tuple(each) for each in view]

    def told() -> list[tuple[str, int]]:
        return [(each.security_id, each.net_qty) for each in database.portfolio.get_latest_positions("leader") or []]

    with database.transaction() as connection:
        connection.execute(sa.insert(positions), POSITION)
    assert seen() == told() == [("1594", 100)]
    database.portfolio.save_positions_snapshot([position(net_qty=5)], fetched_at_us=(T + 1) * US)
    assert seen() == told() == [("1594", 5)]
    with database.transaction() as connection:
        connection.execute(sa.insert(positions), {**POSITION, "snapshot_ts": T + 9, "security_id": "9"})
    assert seen() == told() == [("9", 100)]


def test_negative_control_the_old_meaning_would_show_what_is_gone(database: Database) -> None:
    """The old view, asked the same, still shows the position the newest list does not have."""
    database.portfolio.save_positions_snapshot([position()])
    database.portfolio.save_positions_snapshot([], "leader", fetched_at_us=(T + 1) * US)

    with database.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM v3_v_latest_positions")).scalar() == 1
    assert database.portfolio.get_latest_positions("leader") == []


def test_tables_are_those_meant(database: Database) -> None:
    """Snapshot numbers tie rows to headers in all three tables."""
    first = database.portfolio.save_positions_snapshot([position()])
    second = database.portfolio.save_holdings_snapshot([HoldingRow(**HOLDING)])
    third = database.funds.save_funds_snapshot(FundsRow(**row(FUNDS)))

    with database.reading() as connection:
        found = [
            connection.execute(sa.select(table.c.snapshot_id)).scalar_one() for table in (positions, holdings, funds)
        ]
    assert found == [first, second, third]
    latest = database.snapshots.get_latest_snapshot("leader", "funds")
    assert latest is not None and (latest.id, latest.row_count, latest.complete) == (third, 1, True)
    assert database.snapshots.get_quarantined() == []


def test_a_header_of_plain_sql_counts_too(sqlite_url: str, path: Path) -> None:
    """Whoever writes headers as the table wants them is heard."""
    import sqlite3

    with sqlite3.connect(path) as file:
        header(file, T)
        put(file, "positions", {**POSITION, "snapshot_ts": T - 1})
    file.close()
    with Database(sqlite_url) as database:
        assert database.portfolio.get_latest_positions("leader") == []
