"""The session's charges: computed when fills change, kept when rows are lost, shared over strategies, explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import pytest

from riskguard import data
from riskguard.core.charges import ChargeFill, ChargeTable
from riskguard.core.money import to_text
from riskguard.core.seen import SeenLedgerEntry, SeenPosition, SeenTrade
from riskguard.errors import InputError, UnknownAccountError
from riskguard.home import host_home
from riskguard.services import cash_flows, charges_explained
from riskguard.services.charges_health import charges as charges_finding
from riskguard.services.sweeps import charging
from riskguard.services.sweeps.measuring import Measured, group_pnl, measure
from riskguard.services.sweeps.reports import report_fill
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store import books, days, loader
from riskguard.store.session import Session
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, CALL, DAY, FUTURE, LIMITS, SECOND, SHARE, Desk, e4, rulebook

DATE = "2025-06-02"
TABLE = ChargeTable.parse(data.charges_text())


@pytest.fixture
def library(make_desk: Callable[..., Desk]) -> Desk:
    desk = make_desk(profile="library")
    desk.guard.report_positions([])
    return desk


@contextmanager
def working(desk: Desk) -> Iterator[Session]:
    with desk.store.session(durable=False, wait_s=5) as session:
        session.read_heads(ACCOUNT)
        yield session


def bought(
    desk: Desk, number: int, quantity: int = 10, price: str = "100", key: tuple[str, str] = SHARE.key, side: str = "BUY"
) -> None:
    assert report_fill(
        desk.guard, ACCOUNT, order_id=f"B{number}", trade_id=str(number), exchange_segment=key[0], security_id=key[1],
        side=side, product="INTRADAY", quantity=quantity, price=price,
    )  # fmt: skip


def measured(desk: Desk) -> Measured:
    with working(desk) as session:
        now_us = desk.clock.now_us()
        account = loader.load(session, ACCOUNT, "", now_us, whole_day=True).account
        quotes = {key: found for key in account.positions if (found := books.mark(session, key)) is not None}
        return measure(session, account, quotes, loader.session_date(now_us), now_us)


def alone(
    quantity: int = 10,
    price: str = "100",
    kind: str = "EQUITY",
    segment: str = "NSE_EQ",
    side: str = "BUY",
    order: str = "1",
) -> ChargeFill:
    return ChargeFill(segment, kind, "7", "INTRADAY", side, quantity, e4(price), order, date.fromisoformat(DATE))


# -- when they are computed ------------------------------------------------------------------------------------------------


def test_they_are_computed_when_a_fill_came_and_not_otherwise(library: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred sweeps of a quiet hour read no trade; the next fill is counted by the next sweep."""
    library.guard.quote("NSE_EQ", "1333", ltp="100")
    reads: list[str] = []
    real = days.fills
    monkeypatch.setattr(days, "fills", lambda *args: reads.append("read") or real(*args))
    totals = []
    for number in range(3):
        bought(library, number)
        totals += [measured(library).charges.total_e4 for _ in range(20)]

    assert len(reads) == 3
    assert [total for number, total in enumerate(totals) if not number % 20] == [
        TABLE.charge_day([alone(order=str(order)) for order in range(many)]).total_e4 for many in (1, 2, 3)
    ]
    assert len(set(totals)) == 3


def test_another_process_finds_the_same(library: Desk) -> None:
    """What is kept in memory is kept per database: a second reader computes for itself, and agrees."""
    bought(library, 1)
    library.guard.quote("NSE_EQ", "1333", ltp="100")
    first = measured(library).pnl
    charging._kept.clear()

    assert measured(library).pnl.charges_e4 == first.charges_e4 > 0


def test_they_are_kept_by_segment_as_the_note_has_them(library: Desk) -> None:
    """Every line of the note, and what was not surely known."""
    bought(library, 1)
    bought(library, 2, 25, "120", CALL.key)
    library.guard.quote("NSE_EQ", "1333", ltp="100")
    library.guard.quote(*CALL.key, ltp="120")
    made = measured(library)
    kept = library.rows(
        "SELECT exchange_segment, fills, total_e4, brokerage_e4 + exchange_txn_e4 + sebi_e4 + ipft_e4 + stt_e4 + "
        "stamp_e4 + gst_e4, is_known FROM day_charges ORDER BY 1"
    )

    assert kept == [(segment, 2, total, total, 1) for segment, total in sorted(made.charges.segments.items())]
    assert {part.name: part.charges_e4 for part in made.pnl.segments} == dict(made.charges.segments)
    assert sum(made.by_segment().values()) == made.pnl.total_e4  # type: ignore[arg-type]


# -- what is lost later ----------------------------------------------------------------------------------------------------


def test_fills_that_are_lost_take_no_charge_with_them(library: Desk) -> None:
    """Rows of `trades` are gone, by force: the charges stand as they were, and say so; a later fill makes them unknown."""
    library.guard.quote("NSE_EQ", "1333", ltp="100")
    bought(library, 1)
    bought(library, 2)
    before = measured(library)
    library.sql("DROP TRIGGER trades_stay" + (" ON trades" if library.store.dialect == "postgresql" else ""))
    library.sql("DELETE FROM trades WHERE order_id = 'B2'")
    charging._kept.clear()
    after = measured(library)

    assert (after.pnl.total_e4, after.charges.is_known) == (before.pnl.total_e4, False)
    assert after.charges.doubts == ("1 of 2 fills are not in `trades`: as computed before",)
    bought(library, 3)
    unknown = measured(library)
    assert unknown.pnl.total_e4 is None and unknown.pnl.detail == "charges unknown: 1 of 3 fills are not in `trades`"
    assert unknown.pnl.charges_e4 is None and unknown.realised_e4 is None, "before charges is not after charges"
    assert set(unknown.by_segment().values()) == set(unknown.by_strategy().values()) == {None}


def test_the_same_fills_never_cost_less(library: Desk) -> None:
    """Learning that a contract is a future makes it cheaper; what was counted for it stands until the next fill."""
    key = ("NSE_FNO", "99999")
    library.guard.quote(*key, ltp="100")
    bought(library, 1, 25, "100", key)
    dear = measured(library).charges
    assert not dear.is_known and any("taken as NSE_FNO" in each for each in dear.doubts)
    library.sql(
        "INSERT INTO instruments (security_id, exchange_segment, symbol, instrument_type, lot_size, tick_size, updated_at)"
        " VALUES ('99999', 'NSE_FNO', 'X-FUT', 'FUTIDX', 25, 0.05, 1748840400)"
    )
    known = measured(library).charges

    assert known.is_known and known.total_e4 == dear.total_e4
    bought(library, 2, 25, "100", key)
    cheap = [alone(25, "100", "FUTIDX", "NSE_FNO", order=str(order)) for order in (1, 2)]
    assert measured(library).charges.total_e4 == TABLE.charge_day(cheap).total_e4


def test_a_contract_nobody_knows_is_dear_and_not_free(library: Desk) -> None:
    """It used to cost nothing, which is a better day than any; now it costs what the dearest of its segment does."""
    key = ("NSE_FNO", "99999")
    library.guard.quote(*key, ltp="100")
    bought(library, 1, 25, "100", key)
    made = measured(library)

    dearest = max(TABLE.estimate_fill(alone(25, "100", kind, "NSE_FNO")).total_e4 for kind in TABLE.kinds("NSE_FNO"))
    assert made.pnl.total_e4 == -dearest < -e4("20")


# -- strategies ------------------------------------------------------------------------------------------------------------


def test_each_strategy_answers_for_its_own_orders(make_desk: Callable[..., Desk]) -> None:
    """By the order it asked for; what the app sent is nobody's, and all of them together are the day."""
    desk = make_desk()
    desk.sweep()
    desk.quote("100")
    desk.place(desk.order("BUY", 10, strategy="alpha"))
    desk.place(desk.order("BUY", 5, strategy="beta"))
    desk.past(desk.order("BUY", 2))
    desk.sweep()
    desk.quote("95")
    desk.sweep()
    made = measured(desk)
    parts = {part.name: part for part in made.pnl.strategies}

    assert {name: to_text(part.total_e4 or 0) for name, part in parts.items()} == {
        "": "-10.00", "alpha": "-50.00", "beta": "-25.00",
    }  # fmt: skip
    assert sum(part.charges_e4 or 0 for part in parts.values()) == made.pnl.charges_e4
    assert sum(made.by_strategy().values()) == made.pnl.total_e4  # type: ignore[arg-type]


# -- beside ours -----------------------------------------------------------------------------------------------------------


def reading(desk: Desk) -> tuple[int | None, ...]:
    (row,) = desk.rows(
        "SELECT day_pnl_e4, realised_e4, unrealised_e4, broker_pnl_e4, equity_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1"
    )
    return row  # type: ignore[no-any-return]


def test_the_readings_keep_the_other_views(library: Desk) -> None:
    """Realised and open, the broker's own figure less charges; without funds the change of equity is unknown, not zero."""
    library.guard.quote("NSE_EQ", "1333", ltp="95")
    bought(library, 1)
    bought(library, 2, 4, "110", side="SELL")
    snapshot = SeenPosition("NSE_EQ", "1333", "INTRADAY", 6, None, e4("40"), e4("-31"))
    with working(library) as session:
        number = books.begin_snapshot(session, ACCOUNT, "positions", library.clock.now_us() + 1, 1, "test")
        books.add_positions(session, ACCOUNT, number, library.clock.now_us() + 1, (snapshot,))
        books.complete_snapshot(session, number)
    Sweeper(library.guard, ACCOUNT, None).sweep(now=True)
    total, realised, unrealised, broker, equity = reading(library)

    assert (realised, unrealised, equity) == (e4("40"), e4("-30"), None)
    assert total is not None and broker == total - e4("1")
    newest = "SELECT realized_pl, unrealized_pl, total_pl FROM positions ORDER BY snapshot_id DESC LIMIT 1"
    assert library.rows(newest) == [(40.0, -31.0, 9.0)]


def test_a_figure_the_broker_does_not_give_is_null(library: Desk) -> None:
    """A column left out would read 0, and 0 is a claim."""
    library.guard.report_positions([
        {"exchange_segment": "NSE_EQ", "security_id": "1333", "product": "MARGIN", "net": 5, "previous_close": "100"}
    ])  # fmt: skip

    assert library.rows("SELECT realized_pl, unrealized_pl, total_pl FROM positions") == [(None, None, None)]


def test_a_carried_line_is_the_brokers_only_once_it_agreed(library: Desk) -> None:
    """It agreed once, so its base is ours; when it parts later that is a divergence, and it is shown."""
    library.clock.advance(DAY / SECOND)
    day = "2025-06-03"
    library.guard.report_positions([
        {"exchange_segment": "NSE_EQ", "security_id": "1333", "product": "MARGIN", "net": 10, "previous_close": "100"}
    ])  # fmt: skip
    library.guard.quote("NSE_EQ", "1333", ltp="95")

    def says(unrealised: str) -> Measured:
        row = SeenPosition("NSE_EQ", "1333", "MARGIN", 10, None, 0, e4(unrealised))
        library.clock.advance(1)
        with working(library) as session:
            number = books.begin_snapshot(session, ACCOUNT, "positions", library.clock.now_us(), 1, "test")
            books.add_positions(session, ACCOUNT, number, library.clock.now_us(), (row,))
            books.complete_snapshot(session, number)
        return measured(library)

    since_entry = says("-200")
    assert since_entry.views.broker.total_e4 is None and "not proven" in since_entry.views.broker.reason
    assert says("-51").views.broker.total_e4 == e4("-51")
    assert says("-200").views.compared == (e4("-50"), e4("-200"))
    assert library.rows("SELECT base_proven FROM day_books WHERE session_date = ?", day) == [(1,)]


def test_cash_flows_are_counted_once_and_change_no_gain(library: Desk) -> None:
    """The same ledger read twice, a payout told with either sign, charges and settlements that are no flows."""
    entries = [
        SeenLedgerEntry("V1", DATE, "DEPOSIT", e4("50000"), "funds added"),
        SeenLedgerEntry("V2", DATE, "PAYOUT", e4("20000"), "payout"),
        SeenLedgerEntry("V3", DATE, "CHARGE", e4("-100"), "charges"),
        SeenLedgerEntry("V4", "2025-06-01", "DEPOSIT", e4("7"), "yesterday's"),
        SeenLedgerEntry("", DATE, "PAYOUT", e4("-1000"), "without a number"),
        SeenLedgerEntry("", DATE, "PAYOUT", e4("-1000"), "without a number"),
    ]
    with working(library) as session:
        assert cash_flows.take(session, ACCOUNT, entries, library.clock.now_us()) == 5
        assert cash_flows.take(session, ACCOUNT, entries, library.clock.now_us()) == 0
        assert days.flows_e4(session, ACCOUNT, DATE) == e4("28000")
        assert days.flows_e4(session, ACCOUNT, "2025-06-01") == e4("7")


def test_a_group_is_its_accounts_last_readings(make_desk: Callable[..., Desk]) -> None:
    """One that nobody measured, or not lately, makes it unknown and is named."""
    desk = make_desk(profile="library", accounts=(ACCOUNT, "follower"), group="desk")
    for name in (ACCOUNT, "follower"):
        desk.guard.report_positions([], account=name)
    Sweeper(desk.guard, ACCOUNT, None).sweep(now=True)

    def found() -> tuple[int | None, str]:
        with working(desk) as session:
            part = group_pnl(session, "desk", DATE, desk.clock.now_us())
        return part.total_e4, part.reason

    assert found() == (None, "follower: not measured today")
    Sweeper(desk.guard, "follower", None).sweep(now=True)
    assert found() == (0, "")
    desk.clock.advance(61)
    assert found()[0] is None and "last measured 61 s ago" in found()[1]


# -- what a limit may take in besides -----------------------------------------------------------------------------------------


def with_options(make_desk: Callable[..., Desk], *options: str) -> Desk:
    asked = "".join(f"{name} = true\n" for name in options)
    desk = make_desk(profile="library", text=rulebook(daily_loss=f"{LIMITS['daily-loss']}\n{asked}"))
    desk.guard.report_positions([])
    return desk


def test_what_getting_out_would_cost(make_desk: Callable[..., Desk]) -> None:
    """The day's note with the closing orders less the note without them; nobody asks, nobody computes."""
    desk = with_options(make_desk, "include_exit_cost")
    bought(desk, 1)
    assert measured(desk).pnl.exit_cost_e4 is None, "no mark, so nobody knows at what price"
    desk.guard.quote("NSE_EQ", "1333", ltp="95")
    made = measured(desk).pnl
    closing = alone(10, "95", side="SELL", order="exit")

    assert made.exit_cost_e4 == TABLE.marginal_e4([alone()], [closing]) > 0
    bought(desk, 2, side="SELL")
    assert measured(desk).pnl.exit_cost_e4 == 0
    plain = with_options(make_desk)
    bought(plain, 1)
    plain.guard.quote("NSE_EQ", "1333", ltp="95")
    assert measured(plain).pnl.exit_cost_e4 is None


def test_what_holdings_made_today(make_desk: Callable[..., Desk]) -> None:
    """From their previous close: ten held, four of them sold at 97; without a close nobody knows; never in the total."""
    desk = with_options(make_desk, "include_holdings")
    with working(desk) as session:
        now_us = desk.clock.now_us()
        number = books.begin_snapshot(session, ACCOUNT, "holdings", now_us, 1, "test")
        session.run(
            books.ADD_HOLDING, snapshot_ts=now_us // SECOND, account_type=ACCOUNT, security_id="1333",
            exchange_segment="NSE_EQ", total_qty=10, available_qty=10, snapshot_id=number,
        )  # fmt: skip
        books.complete_snapshot(session, number)
    report_fill(
        desk.guard, ACCOUNT, order_id="B1", trade_id="1", exchange_segment="NSE_EQ", security_id="1333", side="SELL",
        product="CNC", quantity=4, price="97",
    )  # fmt: skip
    desk.guard.quote("NSE_EQ", "1333", ltp="95")
    assert measured(desk).pnl.holdings_e4 is None
    desk.sql("INSERT INTO settlement_prices VALUES ('NSE_EQ', '1333', '2025-05-30', 1000000, NULL, 'test', ?)", now_us)
    made = measured(desk).pnl

    assert made.holdings_e4 == e4("-42")  # 4 × (97 − 100) + 6 × (95 − 100)
    assert made.total_e4 == -made.charges_e4


# -- the table ---------------------------------------------------------------------------------------------------------------


def own_table(text: str) -> None:
    host_home().mkdir(parents=True, exist_ok=True)
    (host_home() / charging.FILE).write_text(text)


OWN = table("""
    goal                            head                             rate  severities     brokerage
    none: the shipped one           -                                -     -              20.00
    a plan of ten rupees            # complete_until = 2030-01-01    10    -              10.00
    one without a horizon           # mine                           10    ERROR          20.00
    one that ends                   # complete_until = 2025-06-01    10    ERROR          10.00
    one that ends soon              # complete_until = 2025-07-31    10    WARNING        10.00
    one that does not end so soon   # complete_until = 2025-08-01    10    -              10.00
""")


@pytest.mark.parametrize("row", OWN, ids=str)
def test_a_table_of_ones_own_takes_the_place_of_the_shipped_one(library: Desk, row: Row) -> None:
    """With the day it is good until; one that cannot be used is left out, and the doctor calls it an error."""
    if row.opt("head"):
        lines = [
            line.replace(",20,inr_per_order", f",{row.rate},inr_per_order") if ",brokerage," in line else line
            for line in data.charges_text().splitlines()
        ]
        own_table("\n".join([row.head, *lines]))
    lines_of = charging.charge_table().charge_day([alone(25, "100", "OPTIDX", "NSE_FNO")]).lines
    found = list(charges_finding(library.store, library.clock.now_us()))

    assert to_text(lines_of.brokerage_e4) == row.brokerage
    assert [each.severity.name for each in found] == ([] if row.opt("severities") is None else [row.severities])


# -- explained -----------------------------------------------------------------------------------------------------------------


def test_a_day_is_explained_from_its_stored_fills(library: Desk) -> None:
    """Segments add up to what the sweep counted, and an order says what it adds to its day."""
    library.guard.quote("NSE_EQ", "1333", ltp="100")
    library.guard.quote(*CALL.key, ltp="120")
    bought(library, 1)
    bought(library, 2, 25, "120", CALL.key)
    bought(library, 3, 25, "130", CALL.key, side="SELL")
    total = measured(library).pnl.charges_e4
    whole = charges_explained.as_document(charges_explained.of_day(library.store, ACCOUNT, DATE))
    one = charges_explained.as_document(charges_explained.of_day(library.store, ACCOUNT, DATE, "B3"))

    assert whole["total"] == to_text(total) and whole["fills"] == 3
    assert [each["segment"] for each in whole["segments"]] == ["NSE_EQ", "NSE_FNO"]
    (stt,) = [each for each in one["components"] if each["component"] == "stt"]
    assert (stt["base_value"], stt["rate"], stt["amount"], stt["rounded_alone"]) == ("3250", "0.001", "3.25", "3.00")
    rest = TABLE.charge_day([alone(), alone(25, "120", "OPTIDX", "NSE_FNO", order="2")]).total_e4
    assert one["marginal"] == to_text(total - rest)


def test_what_cannot_be_explained_is_said(library: Desk) -> None:
    """No such account, date or order; an instrument nobody knows wants its kind."""
    ask = {
        "segment": "NSE_FNO",
        "security_id": "9",
        "product": "INTRADAY",
        "side": "BUY",
        "quantity": 75,
        "price": "100",
    }
    with pytest.raises(UnknownAccountError):
        charges_explained.of_day(library.store, "nobody", DATE)
    for account_day, order in ((DATE, ""), ("2025-13-01", ""), (DATE, "B9")):
        with pytest.raises(InputError):
            charges_explained.of_day(library.store, ACCOUNT, account_day, order)
    for wrong in (
        {},
        {"kind": "OPTIDX", "price": "nan"},
        {"kind": "OPTIDX", "quantity": 0},
        {"kind": "X", "side": "UP"},
    ):
        with pytest.raises(InputError):
            charges_explained.of_order(library.store, date=DATE, **{**ask, **wrong})  # type: ignore[arg-type]
    made = charges_explained.of_order(library.store, date=DATE, **ask, kind="OPTIDX")  # type: ignore[arg-type]
    known = charges_explained.of_order(library.store, date=DATE, **{**ask, "security_id": FUTURE.security_id})  # type: ignore[arg-type]

    assert to_text(made.note.lines.brokerage_e4) == "20.00" and made.note.is_known
    assert known.note.is_known


def test_a_fill_has_its_own_time_and_still_counts(library: Desk) -> None:
    """A stamp of yesterday evening by a wrong clock does not make the day's charges unknown."""
    library.guard.quote("NSE_EQ", "1333", ltp="100")
    trade = SeenTrade(
        "1", "B1", "", *SHARE.key, "BUY", "INTRADAY", 10, e4("100"), library.clock.now_us() - 12 * 3600 * SECOND
    )
    report_fill(
        library.guard, ACCOUNT, order_id="B1", trade_id="1", exchange_segment="NSE_EQ", security_id="1333", side="BUY",
        product="INTRADAY", quantity=10, price="100", at=trade.at_us,
    )  # fmt: skip

    assert measured(library).charges.total_e4 == TABLE.charge_day([alone()]).total_e4
