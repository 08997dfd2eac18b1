"""Positions and holdings, as the broker listed them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from riskguard.store.repositories import answers
from riskguard.store.repositories.answers import Answer
from riskguard.store.repositories.listed import ListRepository
from riskguard.store.rows.portfolio import HoldingRow, PositionRow


class PortfolioRepository(ListRepository):
    """
    Lists of positions and holdings: quantities in units (long > 0, short < 0), money in rupees.

    An empty list is a fact, "flat", and is written like any other. None is "nobody looked": never take it for flat.
    """

    def save_positions_snapshot(
        self, positions: Sequence[PositionRow], account_type: str | None = None, *, fetched_at_us: int | None = None,
        source: str = "program",
    ) -> int:  # fmt: skip
        """
        Write one list of an account's positions and return its number in `snapshots`.

        *account_type* must be named for an empty list. *fetched_at_us* is when the broker was asked; left out, the
        rows' own `snapshot_ts`, or now. All of the list becomes visible at once, and it replaces no other.
        Raises RowInvalidError (two accounts, two times, the future), RowRefusedError (one position twice).
        """
        return self._save_list("positions", positions, account_type, fetched_at_us, source)

    def save_positions_from_broker(
        self, account_type: str, answer: Iterable[Answer], *, fetched_at_us: int | None = None, source: str = "sync"
    ) -> int:
        """Write Dhan's positions answer, an empty one too, and return the list's number. Raises RowInvalidError."""
        now_us = self._database.clock.now_us() if fetched_at_us is None else fetched_at_us
        rows = [position_from_answer(account_type, each, now_us // 1_000_000) for each in answer]
        return self.save_positions_snapshot(rows, account_type, fetched_at_us=now_us, source=source)

    def get_latest_positions(self, account_type: str) -> list[PositionRow] | None:
        """
        Return the rows of the account's newest complete list; [] is flat, None is unknown.

        A list may name positions that are closed (`net_qty` 0). What an older list named and this one does not is
        gone. Rows a version 3 program wrote have no header: they count while they are newer than every header.
        Raises StoreError when rows of that list are missing.
        """
        return self._latest_list(PositionRow, "positions", account_type)

    def get_open_positions(self, account_type: str) -> list[PositionRow] | None:
        """Return those of the newest list whose net is not zero; [] is flat, None is unknown."""
        found = self.get_latest_positions(account_type)
        return None if found is None else [row for row in found if row.net_qty != 0]

    def save_holdings_snapshot(
        self, holdings: Sequence[HoldingRow], account_type: str | None = None, *, fetched_at_us: int | None = None,
        source: str = "program",
    ) -> int:  # fmt: skip
        """Write one list of an account's holdings, as `save_positions_snapshot` does, and return its number."""
        return self._save_list("holdings", holdings, account_type, fetched_at_us, source)

    def save_holdings_from_broker(
        self, account_type: str, answer: Iterable[Answer], *, fetched_at_us: int | None = None, source: str = "sync"
    ) -> int:
        """Write Dhan's holdings answer, an empty one too, and return the list's number. Raises RowInvalidError."""
        now_us = self._database.clock.now_us() if fetched_at_us is None else fetched_at_us
        rows = [holding_from_answer(account_type, each, now_us // 1_000_000) for each in answer]
        return self.save_holdings_snapshot(rows, account_type, fetched_at_us=now_us, source=source)

    def get_latest_holdings(self, account_type: str) -> list[HoldingRow] | None:
        """Return the rows of the account's newest complete list; [] is nothing held, None is unknown."""
        return self._latest_list(HoldingRow, "holdings", account_type)


def position_from_answer(account_type: str, answer: Answer, at_s: int) -> PositionRow:
    """Return one entry of Dhan's positions as a row; the broker tells no last price. Raises RowInvalidError."""
    realised = answers.money("positions.realized_pl", answer, "realizedProfit")
    unrealised = answers.money("positions.unrealized_pl", answer, "unrealizedProfit")
    values = answers.given(
        snapshot_ts=at_s,
        account_type=account_type,
        security_id=answers.text(answer, "securityId"),
        exchange_segment=answers.text(answer, "exchangeSegment"),
        product=answers.text(answer, "productType"),
        position_type=answers.text(answer, "positionType"),
        buy_qty=answers.whole("positions.buy_qty", answer, "buyQty"),
        sell_qty=answers.whole("positions.sell_qty", answer, "sellQty"),
        net_qty=answers.whole("positions.net_qty", answer, "netQty"),
        buy_avg=answers.money("positions.buy_avg", answer, "buyAvg"),
        sell_avg=answers.money("positions.sell_avg", answer, "sellAvg"),
        multiplier=answers.money("positions.multiplier", answer, "multiplier"),
        raw_data=answers.raw(answer),
    )
    # Unknown is not zero, which is what the columns' defaults would say.
    total = None if realised is None or unrealised is None else realised + unrealised
    return PositionRow(**values, realized_pl=realised, unrealized_pl=unrealised, total_pl=total)


def holding_from_answer(account_type: str, answer: Answer, at_s: int) -> HoldingRow:
    """
    Return one entry of Dhan's holdings as a row. Raises RowInvalidError.

    Holdings name `ALL` or an exchange, not a segment; it is kept as the broker says it.
    """
    values = answers.given(
        snapshot_ts=at_s,
        account_type=account_type,
        security_id=answers.text(answer, "securityId"),
        exchange_segment=answers.text(answer, "exchangeSegment", "exchange"),
        trading_symbol=answers.text(answer, "tradingSymbol"),
        isin=answers.text(answer, "isin"),
        total_qty=answers.whole("holdings.total_qty", answer, "totalQty"),
        dpqty=answers.whole("holdings.dpqty", answer, "dpQty"),
        t1qty=answers.whole("holdings.t1qty", answer, "t1Qty"),
        available_qty=answers.whole("holdings.available_qty", answer, "availableQty"),
        collateral_qty=answers.whole("holdings.collateral_qty", answer, "collateralQty"),
        avg_cost_price=answers.money("holdings.avg_cost_price", answer, "avgCostPrice"),
        ltp=answers.money("holdings.ltp", answer, "lastTradedPrice"),
        raw_data=answers.raw(answer),
    )
    return HoldingRow(**values, realized_pl=None, unrealized_pl=None)
