"""
What only some limits ask for: marks of everything held, funds, margins, the day's counts, other accounts.

An account is loaded without it. `supply` looks at what the limits in force need (`LimitSet.needs`) and reads that,
inside the same transaction; an account without such limits costs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from riskguard import data
from riskguard.core.account import Account, InstrumentKey, TimeLog
from riskguard.core.calendar import Calendar
from riskguard.core.facts import leg_of
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.terms import CASH_SEGMENTS
from riskguard.store import loader
from riskguard.store.loader import Loaded
from riskguard.store.session import ACCOUNTS, GLOBAL, Session
from riskguard.store.statements import fixed, param, prepare
from riskguard.store.tables.control import risk_violations
from riskguard.store.tables.funds import funds, margin_requirements
from riskguard.store.tables.instruments import instruments
from riskguard.store.tables.journal import order_messages, permits, refusal_repeats
from riskguard.store.tables.statements import trades

MARGIN_AGE_S_MAX = 60
"""A requirement older than this was asked about another market. Source: checks.md §1 `margin_available`."""
HISTORY_ROWS_MAX = 2_000

_f = funds.c
FUNDS = prepare(
    sa.select(_f.available_balance, _f.snapshot_ts)
    .where(_f.account_type == param("account"))
    .order_by(_f.snapshot_ts.desc(), _f.snapshot_id.desc())
    .limit(fixed(1))
)
_mr = margin_requirements.c
MARGIN = prepare(
    sa.select(_mr.total_margin, _mr.calculated_at)
    .where(
        _mr.account_type == param("account"), _mr.security_id == param("security_id"),
        _mr.exchange_segment == param("exchange_segment"), _mr.product == param("product"),
        _mr.quantity == param("quantity"), _mr.side == param("side"), _mr.leg_set.is_(None),
        _mr.calculated_at >= param("since_s"),
    )
    .order_by(_mr.calculated_at.desc(), _mr.id.desc())
    .limit(fixed(1))
)  # fmt: skip
_p = permits.c
DAY_ORDERS = prepare(
    sa.select(sa.func.count())
    .select_from(permits)
    .where(_p.account == param("account"), _p.granted_at_us >= param("since_us"), _p.sent_at_us.is_not(None))
)
DAY_TRADES = prepare(
    sa.select(sa.func.count())
    .select_from(trades)
    .where(trades.c.account_type == param("account"), trades.c.trade_ts >= param("since_s"))
)
# Newest first and bounded: a runaway has thousands in its window, and a few hundred prove it.
CYCLES = prepare(
    sa.select(_p.strategy, _p.exchange_segment, _p.security_id, _p.side, _p.granted_at_us)
    .where(_p.account == param("account"), _p.granted_at_us > param("since_us"), _p.filled_quantity > fixed(0))
    .order_by(_p.granted_at_us.desc())
    .limit(fixed(HISTORY_ROWS_MAX))
)
_v = risk_violations.c
_rr = refusal_repeats.c
_repeats = (
    sa.select(sa.func.coalesce(sa.func.sum(_rr.repeats), fixed(0))).where(_rr.violation_id == _v.id).scalar_subquery()
)
REFUSED = prepare(
    sa.select(
        sa.func.max(_v.strategy), sa.func.max(_v.exchange_segment), sa.func.max(_v.security_id), sa.func.max(_v.side),
        sa.func.max(_v.violated_at_us), sa.func.max(_repeats),
    )
    .where(
        _v.account_type == param("account"), _v.violated_at >= param("since_s"), _v.violated_at_us > param("since_us"),
        _v.sequence.is_not(None), _v.side.is_not(None),
    )
    .group_by(_v.sequence)  # one refusal may break several limits: it was asked once
    .order_by(sa.func.max(_v.violated_at_us).desc())
    .limit(fixed(HISTORY_ROWS_MAX))
)  # fmt: skip
ATTRIBUTED = prepare(
    sa.select(_p.strategy, _p.exchange_segment, _p.security_id, _p.product, _p.side, sa.func.sum(_p.filled_quantity))
    .where(
        _p.account == param("account"), _p.granted_at_us >= param("since_us"), _p.filled_quantity > fixed(0),
        _p.strategy != fixed(""),
    )
    .group_by(_p.strategy, _p.exchange_segment, _p.security_id, _p.product, _p.side)
)  # fmt: skip
_m = order_messages.c
MODIFICATIONS = prepare(
    sa.select(sa.func.count())
    .select_from(order_messages)
    .where(
        _m.account == param("account"), _m.client_order_id == param("client_order_id"), _m.kind == fixed("MODIFY"),
        _m.at_us >= param("since_us"),
    )
)
_i = instruments.c
SPOT_KEYS = prepare(
    sa.select(_i.exchange_segment, _i.security_id)
    .where(_i.symbol == param("symbol"), _i.exchange_segment.in_([fixed(each) for each in ("IDX_I", *CASH_SEGMENTS)]))
    .order_by(_i.exchange_segment)
)

QuoteOf = Callable[[Session, InstrumentKey], Quote | None]


def at_load(session: Session, loaded: Loaded, now_us: int) -> None:
    """Read what stays true while no head moves: called once per load of the account."""
    account = loaded.account
    needs = account.limits.needs
    if not needs:
        return
    midnight_us = loader.midnight_us(now_us)
    if "day" in needs:
        account.day_orders = _number(session.row(DAY_ORDERS, account=account.name, since_us=midnight_us))
        account.day_trades = _number(session.row(DAY_TRADES, account=account.name, since_s=midnight_us // 1_000_000))
    if "cycles" in needs:
        since_us = now_us - loader.reach_us(account, "repeated_execution")
        _read_cycles(session, account, since_us)
    if "attributed" in needs:
        read_attributed(session, account, midnight_us)
    if "hours" in needs:
        account.calendar = calendar()


def at_check(session: Session, loaded: Loaded, order: Order, now_us: int, quote_of: QuoteOf) -> None:
    """Read what may have changed without a head moving: called for every order, inside its transaction."""
    account = loaded.account
    needs = account.limits.needs
    if not needs:
        return
    if "peers" in needs:
        read_peers(session, loaded, now_us)
    if "marks" in needs:
        for owner in (account, *(peer for peers in account.peers.values() for peer in peers)):
            for key, lines in owner.positions.items():
                if key != order.instrument and any(not line.is_idle for line in lines.values()):
                    found = quote_of(session, key)
                    if found is not None:
                        account.quotes[key] = found
        _read_spots(session, loaded, order, quote_of)
    if "funds" in needs:
        row = session.row(FUNDS, account=account.name)
        account.funds_available_e4 = None if row is None else loader.money_e4(row[0])
        account.funds_at_us = None if row is None else row[1] * 1_000_000
    if "margin" in needs:
        read_margin(session, account, order, now_us)


def read_margin(session: Session, account: Account, order: Order, now_us: int) -> None:
    """Read the newest requirement for exactly this leg, not older than a minute."""
    segment, security = order.instrument
    row = session.row(
        MARGIN, account=account.name, security_id=security, exchange_segment=segment, product=order.product,
        quantity=order.quantity, side=order.side, since_s=now_us // 1_000_000 - MARGIN_AGE_S_MAX,
    )  # fmt: skip
    account.margins.clear()
    if row is not None:
        required_e4 = loader.money_e4(row[0])
        if required_e4 is not None:
            account.margins[leg_of(order)] = (required_e4, row[1] * 1_000_000)


def read_modifications(session: Session, account: Account, client_order_id: str, now_us: int) -> None:
    """Read how often a working order was changed this session."""
    row = session.row(
        MODIFICATIONS, account=account.name, client_order_id=client_order_id, since_us=loader.midnight_us(now_us)
    )
    account.modifications[client_order_id] = _number(row)


def read_attributed(session: Session, account: Account, since_us: int) -> None:
    """Read whose fills today's are, signed, by strategy, instrument and product."""
    account.attributed.clear()
    for strategy, segment, security, product, side, filled in session.rows(
        ATTRIBUTED, account=account.name, since_us=since_us
    ):
        key = (strategy, (segment, security), product)
        signed = int(filled) if side == "BUY" else -int(filled)
        account.attributed[key] = account.attributed.get(key, 0) + signed


def _read_cycles(session: Session, account: Account, since_us: int) -> None:
    filled: dict[tuple[object, ...], list[int]] = {}
    for strategy, segment, security, side, at_us in session.rows(CYCLES, account=account.name, since_us=since_us):
        filled.setdefault((strategy, (segment, security), side), []).append(at_us)
    account.cycles = {key: TimeLog(sorted(times)) for key, times in filled.items()}
    refused: dict[tuple[object, ...], list[int]] = {}
    for strategy, segment, security, side, at_us, repeats in session.rows(
        REFUSED, account=account.name, since_s=since_us // 1_000_000, since_us=since_us
    ):
        times = refused.setdefault((strategy or "", (segment, security), side), [])
        times.extend([at_us] * min(1 + int(repeats or 0), HISTORY_ROWS_MAX))
    account.refused = {key: TimeLog(sorted(times)) for key, times in refused.items()}


def read_peers(session: Session, loaded: Loaded, now_us: int) -> None:
    """Read the books of the other accounts of the group and of all; each again only when its head moved."""
    account, group = loaded.account, loaded.group
    everybody = [(row[0], row[2]) for row in session.rows(ACCOUNTS) if row[0] != account.name]
    found: dict[str, Account] = {}
    for name, _its_group in everybody:
        head = session.read_heads(name)[name]
        key = (head.sequence, head.version, account.session_date)
        kept = loaded.peers.get(name)
        if kept is None or kept[0] != key:
            peer = loader.load_book(session, name, now_us)
            if "attributed" in account.limits.needs:
                read_attributed(session, peer, loader.midnight_us(now_us))
            kept = loaded.peers[name] = (key, peer)
        found[name] = kept[1]
        for known, instrument in kept[1].instruments.items():
            account.instruments.setdefault(known, instrument)
    account.peers = {
        GLOBAL: tuple(found.values()),
        "GROUP": tuple(found[name] for name, its_group in everybody if group and its_group == group),
    }


def _read_spots(session: Session, loaded: Loaded, order: Order, quote_of: QuoteOf) -> None:
    """Find what the underlyings of every option in sight trade at."""
    account = loaded.account
    keys = [order.instrument, *(key for key, lines in account.positions.items() if lines)]
    names = {
        instrument.underlying
        for key in keys
        if (instrument := account.instruments.get(key)) is not None and instrument.is_option
    }
    for name in names - {""}:
        if name not in loaded.spot_keys:
            loaded.spot_keys[name] = tuple((row[0], row[1]) for row in session.rows(SPOT_KEYS, symbol=name))
        for key in loaded.spot_keys[name]:
            found = quote_of(session, key)
            if found is not None:
                account.spots[name] = found
                break


def _number(row: tuple[Any, ...] | None) -> int:
    return int(row[0]) if row is not None else 0


_CALENDAR: list[Calendar] = []


def calendar() -> Calendar:
    """The shipped trading calendar, read once per process."""
    if not _CALENDAR:
        _CALENDAR.append(Calendar.parse(data.calendar_text()))
    return _CALENDAR[0]
