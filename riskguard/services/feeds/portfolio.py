"""
Holdings and the ledger: read from a broker that has them, and written into their tables.

The sweep calls these; positions, orders, fills and funds it takes over itself. A read that fails raises before
anything is written: an empty list is the claim that there is nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from riskguard.core.money import to_decimal
from riskguard.core.seen import SeenHolding, SeenLedgerEntry
from riskguard.ports import Holdings, Ledger
from riskguard.services import cash_flows
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import books
from riskguard.store.inbox import digest_of
from riskguard.store.queries.portfolio import ADD_ENTRY, ADD_HOLDING
from riskguard.store.session import Session

WAIT_S: Final = 5.0


def sync_holdings(guard: RiskGuard, account: str, broker: Holdings, source: str = "sync") -> int:
    """Read the holdings and store the list; returns how many there are. Raises what the broker raises, StoreError."""
    fetched_us = guard.clock.now_us()
    listed = broker.holdings()
    with guard.store.session(durable=False, wait_s=WAIT_S) as session:
        return save_holdings(session, account, fetched_us, listed, source)


def save_holdings(
    session: Session, account: str, fetched_us: int, listed: tuple[SeenHolding, ...], source: str = "sync"
) -> int:
    """
    Store a list of holdings that was asked for at *fetched_us*, with its header; returns how many there are.

    A share that is listed twice counts once, with the smaller of what may be sold: it is what a sale is judged by.
    """
    rows: dict[tuple[str, str], SeenHolding] = {}
    for each in sorted(listed, key=lambda held: -held.available):
        rows[each.exchange_segment, each.security_id] = each
    header = books.begin_snapshot(session, account, "holdings", fetched_us, len(rows), source)
    for each in rows.values():
        session.run(
            ADD_HOLDING, snapshot_ts=fetched_us // 1_000_000, account_type=account, security_id=each.security_id,
            exchange_segment=each.exchange_segment, isin=each.isin or None, total_qty=each.total,
            available_qty=each.available, avg_cost_price=_rupees(each.average_e4), realized_pl=None, unrealized_pl=None,
            snapshot_id=header,
        )  # fmt: skip
    books.complete_snapshot(session, header)
    return len(rows)


def sync_ledger(guard: RiskGuard, account: str, broker: Ledger, first: str, last: str) -> int:
    """
    Read the ledger from *first* to *last* (ISO dates, both included) and store it; returns how many lines are new.

    Raises what the broker raises, StoreError.
    """
    lines = broker.ledger(first, last)
    with guard.store.session(durable=False, wait_s=WAIT_S) as session:
        return save_ledger(session, account, lines, guard.clock.now_us())


def save_ledger(session: Session, account: str, lines: tuple[SeenLedgerEntry, ...], now_us: int) -> int:
    """
    Store lines of the ledger and return how many are new; the same statement twice is one set of rows.

    Lines that say the same within one date are all kept: two equal charges of a day are two. So a date must come
    whole, as it does from `Ledger`.
    """
    told: Counter[str] = Counter()
    added = 0
    for each in lines:
        said = digest_of(account, each.entry_id, each.date, each.kind, each.amount_e4, each.text, each.balance_e4)
        told[said] += 1
        out_e4, in_e4 = max(0, -each.amount_e4), max(0, each.amount_e4)
        added += session.run(
            ADD_ENTRY, account_type=account, entry_date=each.date, particulars=each.text or None,
            voucherNo=each.entry_id or None, voucherDate=each.date, debit=_rupees(out_e4), credit=_rupees(in_e4),
            balance=_rupees(each.balance_e4), created_at=now_us // 1_000_000, digest=digest_of(said, told[said]),
            kind=each.kind,
        ).rowcount  # fmt: skip
    cash_flows.take(session, account, lines, now_us)
    return added


def _rupees(e4: int | None) -> float | None:
    return None if e4 is None else float(to_decimal(e4))
