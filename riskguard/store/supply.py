"""
What only some limits ask for: marks of everything held, funds, margins, the day's counts, other accounts.

An account is loaded without it. `supply` looks at what the limits in force need (`LimitSet.needs`) and reads that,
inside the same transaction; an account without such limits costs nothing here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from riskguard.core.account import Account, InstrumentKey, TimeLog, Unfunded
from riskguard.core.book import SETTLE_US
from riskguard.core.calendar import Calendar
from riskguard.core.checks.repeated_execution import NOT_COUNTED
from riskguard.core.facts import leg_of
from riskguard.core.instrument import root_of
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.terms import CASH_SEGMENTS
from riskguard.store import loader
from riskguard.store import permits as permit_rows
from riskguard.store.bounds import LIVE_PERMIT_STATES
from riskguard.store.calendar import calendar
from riskguard.store.loader import Loaded
from riskguard.store.session import ACCOUNTS, GLOBAL, Ask, Session
from riskguard.store.spelling import fixed, param, prepare, sa, tables
from riskguard.store.violations import Loop

control_actions, risk_violations = tables.control.control_actions, tables.control.risk_violations
funds, margin_requirements = tables.funds.funds, tables.funds.margin_requirements
instruments = tables.instruments.instruments
account_heads = tables.journal.account_heads
order_messages = tables.journal.order_messages
permits = tables.journal.permits
refusal_repeats = tables.journal.refusal_repeats
trades = tables.statements.trades

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
SET_MARGIN = prepare(
    sa.select(_mr.total_margin, _mr.calculated_at)
    .where(
        _mr.account_type == param("account"), _mr.leg_set == param("leg_set"), _mr.calculated_at >= param("since_s")
    )
    .order_by(_mr.calculated_at.desc(), _mr.id.desc())
    .limit(fixed(1))
)  # fmt: skip
_p = permits.c
_price = sa.func.coalesce(_p.price_e4, _p.trigger_price_e4)
# As `folding.is_far` says it: one without a price is at the market, one without a reference is not known to be.
DAY_ORDERS = prepare(
    sa.select(sa.func.count())
    .select_from(permits)
    .where(
        _p.account == param("account"), _p.granted_at_us >= param("since_us"),
        sa.or_(_p.sent_at_us.is_not(None), _p.state == fixed("GRANTED")), _price.is_not(None),
        sa.or_(
            _p.reference_e4.is_(None),
            sa.func.abs(_price - _p.reference_e4) * fixed(10_000) > _p.reference_e4 * param("band_pct_e2"),
        ),
    )
)  # fmt: skip
DAY_TRADES = prepare(
    sa.select(sa.func.count())
    .select_from(trades)
    .where(trades.c.account_type == param("account"), trades.c.trade_ts >= param("since_s"))
)
# Newest first and bounded: a runaway has thousands in its window, and a few hundred prove it.
CYCLES = prepare(
    sa.select(_p.granted_at_us)
    .where(
        _p.account == param("account"), _p.granted_at_us > param("since_us"), _p.strategy == param("strategy"),
        _p.exchange_segment == param("exchange_segment"), _p.security_id == param("security_id"),
        _p.side == param("side"), _p.filled_quantity > fixed(0), _p.direction != fixed("REDUCING"),
    )
    .order_by(_p.granted_at_us.desc())
    .limit(fixed(HISTORY_ROWS_MAX))
)  # fmt: skip
_v = risk_violations.c
_rr = refusal_repeats.c
REFUSED = prepare(
    sa.select(_v.id, _v.sequence, _v.code, _v.violated_at_us)
    .where(
        _v.account_type == param("account"), _v.violated_at >= param("since_s"), _v.violated_at_us > param("since_us"),
        _v.strategy == param("strategy"), _v.exchange_segment == param("exchange_segment"),
        _v.security_id == param("security_id"), _v.side == param("side"), _v.sequence.is_not(None),
    )
    .order_by(_v.id.desc())
    .limit(fixed(HISTORY_ROWS_MAX))
)  # fmt: skip
REPEATED = prepare(
    sa.select(_rr.violation_id, sa.func.sum(_rr.repeats))
    .where(_rr.account == param("account"), _rr.at_us > param("since_us"))
    .group_by(_rr.violation_id)
)
_a = control_actions.c
LAST_RELEASE = prepare(
    sa.select(sa.func.max(_a.at_us)).where(
        _a.account.in_([param("account"), param("global_"), param("group_name")]), _a.kind == fixed("RELEASE")
    )
)
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
        _m.account == param("account"),
        _m.client_order_id == param("client_order_id"),
        _m.kind == fixed("MODIFY"),
        _m.at_us >= param("since_us"),
    )
)
_i = instruments.c
SPOT_KEYS = prepare(
    sa.select(_i.exchange_segment, _i.security_id)
    .where(
        _i.symbol == param("symbol"),
        _i.exchange_segment.in_([fixed(each) for each in ("IDX_I", *sorted(CASH_SEGMENTS))]),
    )
    .order_by(_i.exchange_segment)
)
# Shares with derivatives on either exchange; by kind, which has an index: a master has some hundred of them.
SHARE_FUTURES = prepare(
    sa.select(_i.underlying_symbol, _i.trading_symbol, _i.symbol).where(
        _i.instrument_type == fixed("FUTSTK"), _i.expiry_date >= param("today")
    )
)

_h = account_heads.c
ALL_HEADS = prepare(sa.select(_h.account, _h.sequence, _h.version))
# Sent before the broker told the funds, with time for it to notice, is off them already; the rest is not.
UNFUNDED = prepare(
    sa.select(
        _p.exchange_segment, _p.security_id, _p.product, _p.side,
        sa.case((_p.state.in_([fixed(state) for state in LIVE_PERMIT_STATES]), _p.quantity), else_=_p.filled_quantity),
        _p.risk_price_e4, _p.granted_at_us,
    )
    .where(
        _p.account == param("account"), _p.granted_at_us >= param("granted_us"), _p.direction != fixed("REDUCING"),
        sa.or_(_p.state.in_([fixed(state) for state in LIVE_PERMIT_STATES]), _p.filled_quantity > fixed(0)),
        sa.or_(_p.sent_at_us.is_(None), _p.sent_at_us >= param("since_us")),
    )
    .order_by(_p.granted_at_us)
)  # fmt: skip

QuoteOf = Callable[[Session, InstrumentKey], Quote | None]


def asks_released(account: str, group: str) -> Ask:
    """Return what asks for the last release that let the account go."""
    return LAST_RELEASE, {"account": account, "global_": GLOBAL, "group_name": f"GROUP:{group}" if group else ""}


def at_load(session: Session, loaded: Loaded, now_us: int) -> None:
    """Read what stays true while no head moves: called once per load of the account."""
    account = loaded.account
    needs = account.limits.needs
    if not needs:
        return
    midnight_us = loader.midnight_us(now_us)
    if "day" in needs:
        bands = {each.params.exempt_band_pct_max for each in account.limits.of("order_to_trade_ratio")}  # type: ignore[attr-defined]
        account.day_orders = {
            band: _number(session.row(DAY_ORDERS, account=account.name, since_us=midnight_us, band_pct_e2=band))
            for band in bands
        }
        account.day_trades = _number(session.row(DAY_TRADES, account=account.name, since_s=midnight_us // 1_000_000))
    if "cycles" in needs:
        # What a person has released from is looked at already.
        row = session.ask(asks_released(account.name, loaded.group))
        released_us = 0 if row is None or row[0] is None else int(row[0])
        loaded.looped_since_us = max(released_us, now_us - loader.reach_us(account, "repeated_execution"))
    if "attributed" in needs:
        read_attributed(session, loaded, midnight_us)
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
        for key in {key for _, key in _in_sight(account)}:
            if key != order.instrument:
                found = quote_of(session, key)
                if found is not None:
                    account.quotes[key] = found
    if "funds" in needs:
        row = session.row(FUNDS, account=account.name)
        account.funds_available_e4 = None if row is None else loader.money_e4(row[0])
        account.funds_at_us = None if row is None else row[1] * 1_000_000
        read_unfunded(session, loaded, now_us)
    if "marks" in needs or "funds" in needs:
        _read_spots(session, loaded, order, quote_of)
    if "margin" in needs:
        read_margin(session, account, order, now_us)
    if "cycles" in needs:
        read_loop(session, loaded, order)
    if "hours" in needs:
        account.calendar = calendar()  # a holiday may have been declared since the account was loaded
        if order.exchange_segment in CASH_SEGMENTS:
            _read_auction(session, loaded, order, now_us)


def read_margin(session: Session, account: Account, order: Order, now_us: int) -> None:
    """Read the newest requirement for exactly this leg, not older than a minute."""
    account.margins.clear()
    account.margin_of_set = False
    _read_leg(session, account, order, now_us)


def _read_leg(session: Session, account: Account, order: Order, now_us: int) -> None:
    segment, security = order.instrument
    row = session.row(
        MARGIN, account=account.name, security_id=security, exchange_segment=segment, product=order.product,
        quantity=order.quantity, side=order.side, since_s=now_us // 1_000_000 - MARGIN_AGE_S_MAX,
    )  # fmt: skip
    if row is not None:
        required_e4 = loader.money_e4(row[0])
        if required_e4 is not None:
            account.margins[leg_of(order)] = (required_e4, row[1] * 1_000_000)


def read_margins(session: Session, account: Account, legs: Sequence[Order], now_us: int) -> None:
    """
    Read the newest requirement for the legs of a basket together; each leg then counts the whole of it.

    Without one each leg is looked up by itself: two single margins are never less than the hedged pair's.
    """
    account.margins.clear()
    row = session.row(
        SET_MARGIN, account=account.name, leg_set=leg_set(legs), since_s=now_us // 1_000_000 - MARGIN_AGE_S_MAX
    )
    required_e4 = None if row is None else loader.money_e4(row[0])
    account.margin_of_set = required_e4 is not None
    for leg in legs:
        if row is not None and required_e4 is not None:
            account.margins[leg_of(leg)] = (required_e4, row[1] * 1_000_000)
            continue
        _read_leg(session, account, leg, now_us)


def leg_set(legs: Sequence[Order]) -> str:
    """Return the name of these legs together, whatever order they stand in: a SHA-256 in hex."""
    return hashlib.sha256(json.dumps(sorted(map(list, map(leg_of, legs)), key=str)).encode()).hexdigest()


def read_modifications(session: Session, account: Account, client_order_id: str, now_us: int) -> None:
    """Read how often a working order was changed this session."""
    row = session.row(
        MODIFICATIONS, account=account.name, client_order_id=client_order_id, since_us=loader.midnight_us(now_us)
    )
    account.modifications[client_order_id] = _number(row)


def read_attributed(session: Session, loaded: Loaded, since_us: int) -> None:
    """Read whose fills today's are, signed, by strategy, instrument and product."""
    account = loaded.account
    account.attributed.clear()
    for strategy, segment, security, product, side, filled in session.rows(
        ATTRIBUTED, account=account.name, since_us=since_us
    ):
        key = (strategy, (segment, security), product)
        signed = int(filled) if side == "BUY" else -int(filled)
        account.attributed[key] = account.attributed.get(key, 0) + signed
        # One strategy's long and another's short leave no line in the book, and each has its position.
        loader.know_instrument(session, loaded, (segment, security))


def read_loop(session: Session, loaded: Loaded, order: Order) -> None:
    """
    Read how often the strategy was filled, and refused, in this instrument and on this side: once per load and loop.

    Of one loop alone: a flood of others' refusals must not make everybody's next check slow.
    """
    account, (segment, security) = loaded.account, order.instrument
    loop: Loop = (order.strategy, order.instrument, order.side)
    if loop in loaded.looped:
        return
    loaded.looped.add(loop)
    whose = {
        "account": account.name, "since_us": loaded.looped_since_us, "strategy": order.strategy, "side": order.side,
        "exchange_segment": segment, "security_id": security,
    }  # fmt: skip
    refusals: Ask = (REFUSED, {**whose, "since_s": loaded.looped_since_us // 1_000_000})
    if session.is_far:
        session.foresee([(CYCLES, whose), refusals])
    filled = [row[0] for row in session.rows(CYCLES, **whose)]
    if filled:
        account.cycles[loop] = TimeLog(sorted(filled))
    refused = _refusals(session, refusals)
    if refused:
        # Repeats this process has only in memory stand there already.
        account.refused[loop] = TimeLog(sorted([*refused, *account.refused.get(loop, TimeLog()).times()]))


def _refusals(session: Session, of_loop: Ask) -> list[int]:
    """Return when a loop was refused, repeats included; one refusal may break several limits, and was asked once."""
    asked: dict[int, tuple[int, list[int]]] = {}  # decision -> when, its violations
    silent = set()
    for row_id, sequence, code, at_us in session.all(of_loop):
        if code in NOT_COUNTED:
            silent.add(sequence)
        asked.setdefault(sequence, (at_us, []))[1].append(row_id)
    if not asked:
        return []
    whose = of_loop[1]
    repeats = dict(session.rows(REPEATED, account=whose["account"], since_us=whose["since_us"]))
    times: list[int] = []
    for sequence, (at_us, row_ids) in asked.items():
        if sequence not in silent:
            asked_so_often = 1 + sum(int(repeats.get(row_id, 0)) for row_id in row_ids)
            times += [at_us] * min(asked_so_often, HISTORY_ROWS_MAX)
    return times


def read_peers(session: Session, loaded: Loaded, now_us: int) -> None:
    """
    Read the books of the other accounts of the group, or of all; each again only when its head moved.

    What of theirs is due expires first, as an account's own permits do: a process that died must not hold their room.
    """
    account, group = loaded.account, loaded.group
    everybody = "everybody" in account.limits.needs
    wanted = {
        row[0]: row[2]
        for row in session.rows(ACCOUNTS)
        if row[0] != account.name and (everybody or (group and row[2] == group))
    }
    if everybody and wanted:
        session.need_wide()  # what others reserve meanwhile would not be in the sum
    heads = {row[0]: row[1:] for row in session.rows(ALL_HEADS)} if wanted else {}
    for name in wanted:
        key = (*heads[name], account.session_date)
        kept = loaded.peers.get(name)
        is_due = kept is not None and kept.next_expiry_us is not None and kept.next_expiry_us <= now_us
        if kept is None or kept.key != key or is_due:
            if permit_rows.expire(session, name, now_us):
                loaded.writes = True  # their head moves with it: nothing read here is kept unless this commits
            loaded.peers[name] = kept = loader.load_book(session, name, now_us)
            kept.key = () if loaded.writes else key
    for name in loaded.peers.keys() - wanted.keys():
        del loaded.peers[name]
    books = {name: loaded.peers[name].account for name in wanted}
    account.peers = {
        GLOBAL: tuple(books.values()),
        "GROUP": tuple(books[name] for name, its_group in wanted.items() if group and its_group == group),
    }


def read_unfunded(session: Session, loaded: Loaded, now_us: int) -> None:
    """Read what was approved so lately that the broker's funds may not show it, with what the broker said it needs."""
    account = loaded.account
    if account.funds_at_us is None:
        account.unfunded = ()
        return
    since_us = min(account.funds_at_us, now_us) - SETTLE_US
    found = []
    for segment, security, product, side, quantity, price_e4, granted_us in session.rows(
        UNFUNDED, account=account.name, granted_us=since_us - permit_rows.LIFE_US, since_us=since_us
    ):
        key = (segment, security)
        loader.know_instrument(session, loaded, key)
        row = session.row(
            MARGIN, account=account.name, security_id=security, exchange_segment=segment, product=product,
            quantity=quantity, side=side, since_s=granted_us // 1_000_000 - MARGIN_AGE_S_MAX,
        )  # fmt: skip
        required_e4 = None if row is None else loader.money_e4(row[0])
        found.append(Unfunded(key, 1 if side == "BUY" else -1, quantity, price_e4, required_e4))
    account.unfunded = tuple(found)


def _read_auction(session: Session, loaded: Loaded, order: Order, now_us: int) -> None:
    """Find the shares that take part in the closing auction, once per load and only on a day that has one."""
    account, day = loaded.account, Calendar.session_date(now_us)
    if account.auction_names is not None or account.calendar is None:
        return
    if account.calendar.closing_auction(order.exchange_segment, day) is None:
        return
    names = {
        str(underlying or root_of(str(trading_symbol or symbol)))
        for underlying, trading_symbol, symbol in session.rows(SHARE_FUTURES, today=account.session_date)
    }
    account.auction_names = frozenset(names - {""}) or None


def _read_spots(session: Session, loaded: Loaded, order: Order, quote_of: QuoteOf) -> None:
    """Find what the underlyings of every option in sight trade at."""
    account = loaded.account
    names = {
        instrument.underlying
        for owner, key in ((account, order.instrument), *_in_sight(account))
        if (instrument := owner.instruments.get(key)) is not None and instrument.is_option
    }
    for name in names - {""}:
        if name not in loaded.spot_keys:
            loaded.spot_keys[name] = tuple((row[0], row[1]) for row in session.rows(SPOT_KEYS, symbol=name))
        for key in loaded.spot_keys[name]:
            found = quote_of(session, key)
            if found is not None:
                account.spots[name] = found
                break


def _in_sight(account: Account) -> list[tuple[Account, InstrumentKey]]:
    """Every instrument a limit may have to value, with whose it is; the books of a group are among all that were read."""
    found = [(account, each.key) for each in account.unfunded]
    found += [(account, key) for _, key, _ in account.attributed]
    for owner in (account, *account.peers.get(GLOBAL, ())):
        found += [(owner, key) for key, lines in owner.positions.items() if lines]
    return found


def _number(row: tuple[Any, ...] | None) -> int:
    return int(row[0]) if row is not None else 0
