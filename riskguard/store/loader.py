"""
Builds an `Account` from rows, and folds this process's own commits into the one it keeps.

Runs inside the transaction that holds the write lock, so what it reads is one instant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from riskguard.core.account import Account, InstrumentKey, PnlReading, TimeLog
from riskguard.core.book import Working
from riskguard.core.calendar import Calendar
from riskguard.core.instrument import Instrument, default_multiplier, root_of
from riskguard.core.market import MarketTables
from riskguard.core.money import to_e4
from riskguard.core.params import as_decimal
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.store import books, controls, permits
from riskguard.store.market import market_tables
from riskguard.store.permits import PermitRow
from riskguard.store.session import GLOBAL, Ask, Session
from riskguard.store.spelling import fixed, param, prepare, sa, tables
from riskguard.store.violations import Loop

instruments = tables.instruments.instruments
accounts = tables.journal.accounts
decisions = tables.journal.decisions
refusal_repeats = tables.journal.refusal_repeats
permit_table = tables.journal.permits
day_baselines = tables.runs.day_baselines
day_books = tables.runs.day_books
pnl_readings = tables.runs.pnl_readings
sweeps = tables.runs.sweeps

DAY_US = 86_400_000_000
ATTEMPTS_LOOKED_AT = 5_000
CLOCK_STEP_US = 600_000_000
"""A clock that was behind by less than this and was set right does not hide the attempts before it."""
REPEATS_LOOKED_AT = 500
ORDERS_OF_STOP = ("STOP_LOSS", "STOP_LOSS_MARKET")

_i = instruments.c
INSTRUMENT_COLUMNS = (
    "exchange_segment", "security_id", "symbol", "trading_symbol", "instrument_type", "lot_size", "tick_size",
    "multiplier", "freeze_quantity", "underlying_security_id", "expiry_date", "strike_price", "option_type",
    "underlying_symbol", "series", "isin", "lower_band", "upper_band", "band_date",
)  # fmt: skip
_LOT = INSTRUMENT_COLUMNS.index("lot_size")
INSTRUMENT = prepare(
    sa.select(*(_i[name] for name in INSTRUMENT_COLUMNS)).where(
        _i.exchange_segment == param("exchange_segment"), _i.security_id == param("security_id")
    )
)
BY_SYMBOL = prepare(
    sa.select(*(_i[name] for name in INSTRUMENT_COLUMNS)).where(
        sa.or_(_i.symbol == param("symbol"), _i.trading_symbol == param("symbol"))
    )
)
INSTRUMENTS_OF_LINES = prepare(
    sa.select(*(_i[name] for name in INSTRUMENT_COLUMNS))
    .select_from(
        day_books.join(
            instruments,
            sa.and_(
                day_books.c.exchange_segment == _i.exchange_segment, day_books.c.security_id == _i.security_id
            ),
        )
    )
    .where(day_books.c.account == param("account"), day_books.c.session_date == param("session_date"))
)  # fmt: skip
FIRST_INSTRUMENTS = prepare(sa.select(*(_i[name] for name in INSTRUMENT_COLUMNS)).limit(param("most")))
GROUP = prepare(sa.select(accounts.c.group_name).where(accounts.c.account == param("account")))
_r = pnl_readings.c
LAST_PNL = prepare(
    sa.select(_r.day_pnl_e4, _r.at_us, _r.fresh_marks, _r.detail)
    .where(_r.account == param("account"), _r.session_date == param("session_date"))
    .order_by(_r.at_us.desc(), _r.id.desc())
    .limit(fixed(1))
)
_w = sweeps.c
LAST_SWEEP = prepare(
    sa.select(_w.finished_at_us, _w.interval_us)
    .where(
        _w.account == param("account"),
        _w.kind == fixed("daily_loss"),
        _w.finished_at_us.is_not(None),
        _w.finished_at_us <= param("horizon_us"),
    )
    .order_by(_w.finished_at_us.desc())
    .limit(fixed(1))
)
_d = decisions.c
ATTEMPTS = prepare(
    sa.select(_d.strategy, _d.decided_at_us)
    .where(_d.account == param("account"), _d.sequence > param("after"), _d.kind == fixed("ORDER"))
    .order_by(_d.sequence.desc())
)
_rr = refusal_repeats.c
REPEATED = prepare(
    sa.select(_rr.strategy, _rr.repeats, _rr.at_us)
    .where(_rr.account == param("account"), _rr.at_us > param("since_us"))
    .order_by(_rr.at_us.desc())
    .limit(fixed(REPEATS_LOOKED_AT))
)
_p = permit_table.c
RECENT_PERMITS = prepare(
    sa.select(
        _p.strategy, _p.exchange_segment, _p.security_id, _p.side, _p.product, _p.quantity, _p.order_type, _p.price_e4,
        _p.trigger_price_e4, _p.granted_at_us,
    )
    .where(_p.account == param("account"), _p.granted_at_us > param("since_us"))
    .order_by(_p.granted_at_us)
)  # fmt: skip
BASELINE_EQUITY = prepare(
    sa.select(day_baselines.c.opening_equity_e4).where(
        day_baselines.c.account == param("account"), day_baselines.c.session_date == param("session_date")
    )
)


@dataclass(slots=True)
class Loaded:
    """An account and what keeps it current: the key under which it is true, and what is due."""

    account: Account
    group: str
    key: tuple[object, ...] = ()
    limits_key: tuple[object, ...] | None = None  # see `limits_key`
    next_expiry_us: int | None = None
    expiries: dict[str, int] = field(default_factory=dict)  # granted permits by id
    known_instruments: set[InstrumentKey] = field(default_factory=set)
    writes: bool = False  # this transaction wrote while loading: nothing to keep unless it commits
    peers: dict[str, Loaded] = field(default_factory=dict)  # other accounts; see `store.supply`
    raised: int = 0  # causes this process raised since the account was read
    looped_since_us: int = 0  # what `repeated_execution` counts began after this
    looped: set[Loop] = field(default_factory=set)  # whose turns were read
    spot_keys: dict[str, tuple[InstrumentKey, ...]] = field(default_factory=dict)  # underlying -> instruments


def session_date(now_us: int) -> str:
    """Return the exchange's date (IST) as ISO text."""
    return Calendar.session_date(now_us).isoformat()


def midnight_us(now_us: int) -> int:
    """Return the start of the Indian day *now_us* lies in."""
    return (now_us + 19_800_000_000) // DAY_US * DAY_US - 19_800_000_000


def money_e4(value: float | None) -> int | None:
    """Return the number of a REAL column in 1/10000 rupee; None for none, or one no account can mean."""
    try:
        return None if value is None else to_e4(as_decimal(value))
    except (ValueError, ArithmeticError):
        return None


def asks_group(account: str) -> Ask:
    """Return what `group_of` asks."""
    return GROUP, {"account": account}


def group_of(session: Session, account: str) -> str | None:
    """Return the account's group ("" for none), or None when there is no such account."""
    row = session.ask(asks_group(account))
    return None if row is None else str(row[0])


def load(
    session: Session, name: str, group: str, now_us: int, *, whole_day: bool = False, before: Loaded | None = None
) -> Loaded:  # fmt: skip
    """
    Read the account; with *whole_day* also the lines that are flat again, which only the day's P&L needs.

    *before* is what this process kept of it, as of a transaction that stands: its limits are taken over where nobody has
    touched them since. Everything else is read.
    """
    date = session_date(now_us)
    key = limits_key(session, name, group)
    if before is not None and key is not None and before.limits_key == key:
        limits = before.account.limits
    else:
        limits = controls.limits(session, name, group)
    account = Account(name, date, limits=limits)
    loaded = Loaded(account, group, limits_key=key)
    if session.is_far:
        session.foresee(_asks(account, group, now_us, whole_day))
    account.causes = (
        *controls.kill_causes(session, name, group),
        *controls.standing_causes(session, name, group),
    )
    account.settle_state()
    _read_watch(session, account, now_us)
    _read_memory(session, account, now_us)
    _read_book(session, loaded, now_us, whole_day)
    loaded.next_expiry_us = min(loaded.expiries.values(), default=None)
    account.epoch = session.heads[name].epoch if name in session.heads else 0
    return loaded


def _asks(account: Account, group: str, now_us: int, whole_day: bool) -> list[Ask]:
    """Return what `load` is going to ask of an account whose limits are known; what depends on an answer is not among it."""
    name, date = account.name, account.session_date
    found = [
        *controls.asks_causes(name, group), _asks_sweep(name, now_us), _asks_pnl(name, date), _asks_equity(name, date),
        permits.asks_messages(name, now_us - reach_us(account, "order_rate")),
        books.asks_snapshot(name, "positions"), books.asks_lines(name, date, whole_day), books.asks_snapshot(name, "holdings"),
        permits.asks_live(name), books.asks_working(name),
    ]  # fmt: skip
    if reach_us(account, "duplicate_order"):
        found.append(_asks_recent(account, now_us))
    return found


def _asks_sweep(name: str, now_us: int) -> Ask:
    # A heartbeat from the future proves nothing: the clock stepped back since, or was wrong then.
    return LAST_SWEEP, {"account": name, "horizon_us": now_us + CLOCK_SKEW_MAX_US}


def _asks_pnl(name: str, date: str) -> Ask:
    return LAST_PNL, {"account": name, "session_date": date}


def _asks_equity(name: str, date: str) -> Ask:
    return BASELINE_EQUITY, {"account": name, "session_date": date}


def _asks_recent(account: Account, now_us: int) -> Ask:
    return RECENT_PERMITS, {"account": account.name, "since_us": now_us - reach_us(account, "duplicate_order")}


def load_book(session: Session, name: str, now_us: int) -> Loaded:
    """Read what an account holds, has working and is worth: what limits over several accounts add up."""
    loaded = Loaded(Account(name, session_date(now_us)), "")
    _read_watch(session, loaded.account, now_us)
    _read_book(session, loaded, now_us, whole_day=False)
    loaded.next_expiry_us = min(loaded.expiries.values(), default=None)
    return loaded


def _read_book(session: Session, loaded: Loaded, now_us: int, whole_day: bool) -> None:
    account = loaded.account
    _read_positions(session, account, now_us, whole_day)
    live = permits.live(session, account.name)
    _read_working(session, account, live)
    for row in live:
        reserve(loaded, row)
    for lines in account.positions.values():
        for line in lines.values():
            line.refresh()
    tables = market_tables() if account.positions else None  # asked once: finding the host's directory costs 20 µs
    if whole_day:  # a sweep reads every line there is: their instruments in one go
        for found in session.rows(INSTRUMENTS_OF_LINES, account=account.name, session_date=account.session_date):
            _know(loaded, found, tables)
    if session.is_far:
        session.foresee(_asks_instrument(key) for key in account.positions if key not in loaded.known_instruments)
    for key in list(account.positions):
        know_instrument(session, loaded, key, tables)


def _read_positions(session: Session, account: Account, now_us: int, whole_day: bool) -> None:
    """B from the day's book; S from the last complete list, and from newer loose rows of version 3 writers."""
    header = session.ask(books.asks_snapshot(account.name, "positions"))
    account.position_seen_us = None if header is None else header[1]
    for row in session.all(books.asks_lines(account.name, account.session_date, whole_day)):
        segment, security, product, start, close_e4, filled, buy_e4, sell_e4, last_us, bought, sold = row
        line = account.line((segment, security), product)
        line.start, line.filled, line.previous_close_e4 = start, filled, close_e4
        line.buy_value_e4, line.sell_value_e4, line.last_fill_us = buy_e4, sell_e4, last_us or 0
        line.bought, line.sold = bought, sold
    seen_s = (now_us - DAY_US) // 1_000_000
    if header is not None:
        snapshot_id, fetched_us = header
        seen_s = fetched_us // 1_000_000
        listed = books.asks_listed(snapshot_id)
        if session.is_far:
            session.foresee([listed, books.asks_loose(account.name, seen_s)])
        for segment, security, product, net in session.all(listed):
            account.line((segment, security), product).seen = net
        for lines in account.positions.values():
            for line in lines.values():
                line.seen_us = fetched_us
    for segment, security, product, net, at_s in session.all(books.asks_loose(account.name, seen_s)):
        line = account.line((segment, security), product)
        line.seen, line.seen_us = net, at_s * 1_000_000
    _read_holdings(session, account, now_us)


def _read_holdings(session: Session, account: Account, now_us: int) -> None:
    """What a CNC sale may deliver: available at the day's first look, and at the latest."""
    latest = session.ask(books.asks_snapshot(account.name, "holdings"))
    if latest is None:
        return
    since_us = midnight_us(now_us)
    first = session.row(books.FIRST_SNAPSHOT, account=account.name, kind="holdings", since_us=since_us) or latest
    for segment, security, available in session.rows(books.SNAPSHOT_HOLDINGS, snapshot_id=first[0]):
        account.line((segment, security), "CNC").sellable_start = available
    now_available = {
        (segment, security): available
        for segment, security, available in session.rows(books.SNAPSHOT_HOLDINGS, snapshot_id=latest[0])
    }
    for key, lines in account.positions.items():
        if "CNC" in lines:
            lines["CNC"].sellable_now = now_available.get(key, 0)


def _read_working(session: Session, account: Account, live: list[PermitRow]) -> None:
    """Orders that rest at the broker and that nobody asked us about count as working too."""
    ours = {row.order_id for row in live if row.order_id} | {row.correlation_id for row in live}
    for row in session.all(books.asks_working(account.name)):
        (order_id, correlation, segment, security, side, product, order_type, quantity, traded, remaining, group, price,
         trigger) = row  # fmt: skip
        if order_id in ours or correlation in ours:
            continue
        left = remaining if remaining is not None else quantity - (traded or 0)
        line = account.line((segment, security), product)
        sign = 1 if side == "BUY" else -1
        line.working[order_id] = Working(
            key=order_id,
            sign=sign,
            remaining=max(0, left),
            reducing=line.net * sign < 0,
            protective=order_type in ORDERS_OF_STOP,
            exit_group=group or "",
            order_id=order_id,
            price_e4=money_e4(price) or None,
            trigger_price_e4=money_e4(trigger) or None,
        )


def reserve(loaded: Loaded, row: PermitRow) -> None:
    """Count one live permit in the book, the throttle and what is due."""
    account, key = loaded.account, (row.exchange_segment, row.security_id)
    if row.kind == "MODIFY" and not row.remaining:
        # It adds no quantity: only its message counts.
        if row.state == "GRANTED":
            account.granted += 1
            loaded.expiries[row.client_order_id] = row.expires_at_us
        return
    account.line(key, row.product).working[row.client_order_id] = Working(
        key=row.client_order_id,
        sign=1 if row.side == "BUY" else -1,
        remaining=row.remaining,
        reducing=row.reducing,
        protective=row.order_type in ORDERS_OF_STOP and row.reducing,
        exit_group=row.exit_group,
        order_id=row.order_id or "",
        price_e4=row.price_e4,
        trigger_price_e4=row.trigger_price_e4,
        risk_price_e4=row.risk_price_e4,
        strategy=row.strategy,
    )
    if row.state == "GRANTED":
        account.granted += 1
        loaded.expiries[row.client_order_id] = row.expires_at_us
    elif row.state in ("SENT", "UNKNOWN"):
        account.unanswered.setdefault(key, {})[row.client_order_id] = row.sent_at_us or row.granted_at_us
    if row.reducing and row.order_type not in ORDERS_OF_STOP:
        account.reducing_live[key] = account.reducing_live.get(key, 0) + 1


def _read_watch(session: Session, account: Account, now_us: int) -> None:
    """Who looked at losses last, and what they saw today."""
    name, date = account.name, account.session_date
    sweep = session.ask(_asks_sweep(name, now_us))
    if sweep is not None:
        account.sweep_at_us, account.sweep_interval_us = sweep
    reading = session.ask(_asks_pnl(name, date))
    if reading is not None:
        account.pnl = PnlReading(reading[0], reading[1], bool(reading[2]), reading[3])
    equity = session.ask(_asks_equity(name, date))
    if equity is None:
        account.pnl = None  # no baseline for this session: nothing was measured from anywhere
    else:
        account.opening_equity_e4 = equity[0]


def _read_memory(session: Session, account: Account, now_us: int) -> None:
    """Messages, attempts and approvals, each as far back as a limit of this account looks."""
    account.sent = TimeLog(permits.messages_since(session, account.name, now_us - reach_us(account, "order_rate")))
    attempts_us = reach_us(account, "attempt_rate")
    if attempts_us:
        account.attempts = _read_attempts(session, account.name, now_us - attempts_us)
    for row in session.all(_asks_recent(account, now_us)) if reach_us(account, "duplicate_order") else ():
        strategy, segment, security, side, product, quantity, order_type, price_e4, trigger_e4, at_us = row
        account.same[(strategy, (segment, security), side, product, quantity, order_type, price_e4, trigger_e4)] = at_us


def _read_attempts(session: Session, name: str, since_us: int) -> dict[str, TimeLog]:
    """Read when orders were asked about after *since_us*, by strategy; the newest first, and no further back."""
    head = session.heads.get(name)
    after = max(0, (head.sequence if head is not None else 0) - ATTEMPTS_LOOKED_AT)
    asked: dict[str, list[int]] = {}
    for strategy, at_us in session.run(ATTEMPTS, account=name, after=after):
        if at_us > since_us:
            asked.setdefault(strategy, []).append(at_us)
        elif at_us < since_us - CLOCK_STEP_US:
            break
    for strategy, repeats, at_us in session.rows(REPEATED, account=name, since_us=since_us):
        # Repeats take no row each, but they were asked: a loop must not hide behind being refused.
        asked.setdefault(strategy, []).extend([at_us] * min(repeats, ATTEMPTS_LOOKED_AT))
    return {strategy: TimeLog(sorted(at)[-ATTEMPTS_LOOKED_AT:]) for strategy, at in asked.items()}


def reach_us(account: Account, check: str) -> int:
    """Return the longest window any limit of *check* looks back, in microseconds; 0 when there is none."""
    windows = [0]
    for limit in account.limits.of(check):
        given: Any = limit.params
        if check == "order_rate":
            windows += [window.per_s for window in given.windows]
        else:
            windows.append(given.within_s if check == "duplicate_order" else given.per_s)
    return max(windows)


def _asks_instrument(key: InstrumentKey) -> Ask:
    return INSTRUMENT, {"exchange_segment": key[0], "security_id": key[1]}


def know_instrument(
    session: Session, loaded: Loaded, key: InstrumentKey, tables: MarketTables | None = None
) -> None:  # fmt: skip
    """Load one instrument on demand; an unknown one is remembered as such under the same key."""
    if key in loaded.known_instruments:
        return
    loaded.known_instruments.add(key)
    row = session.ask(_asks_instrument(key))
    if row is not None:
        _know(loaded, row, tables)


def _know(loaded: Loaded, row: tuple[Any, ...], tables: MarketTables | None) -> None:
    """Take an instrument's row over. A lot of 0 is a row nobody filled in: the contract stays unknown."""
    key = (row[0], row[1])
    loaded.known_instruments.add(key)
    if row[_LOT]:
        loaded.account.instruments[key] = instrument_from(row, loaded.account.session_date, tables)


def instrument_from(
    row: tuple[object, ...], day: str | None = None, tables: MarketTables | None = None
) -> Instrument:  # fmt: skip
    """
    Build an instrument from its row of `INSTRUMENT_COLUMNS`; with *day* (ISO) also what the dated tables say of it then.

    Circuit limits count only on the day they are for. Kept by row: a reload reads the same rows again.
    """
    return _instrument(row, day, tables or market_tables())


@lru_cache(maxsize=8_192)
def _instrument(row: tuple[Any, ...], day: str | None, tables: MarketTables) -> Instrument:
    (segment, security, symbol, trading_symbol, kind, lot, tick, multiplier, freeze, underlying_id, expiry, strike,
     option_type, underlying, series, isin, lower, upper, band_date) = row  # fmt: skip
    kind = str(kind or "EQUITY")
    strike_e4 = money_e4(strike)
    today = day is not None and band_date == day
    if underlying is None:  # a writer of version 3: its contracts must meet the limits of their underlying, too
        underlying = root_of(str(trading_symbol or symbol)) or underlying_id
    found = Instrument(
        exchange_segment=str(segment),
        security_id=str(security),
        symbol=str(trading_symbol or symbol),
        kind=kind,
        lot_size=max(1, int(lot)),
        tick_e4=to_e4(as_decimal(tick)),
        multiplier=default_multiplier(str(segment), kind) if multiplier is None else int(multiplier),
        freeze_quantity=None if not freeze else int(freeze),
        underlying=str(underlying or ""),
        expiry=str(expiry or "")[:10],
        strike_e4=strike_e4 if strike_e4 is not None and strike_e4 > 0 else None,
        option_type=str(option_type or "") if option_type in ("CE", "PE") else "",
        lower_band_e4=(money_e4(lower) or None) if today else None,
        upper_band_e4=(money_e4(upper) or None) if today else None,
        series=str(series or ""),
        isin=str(isin or ""),
    )
    return found if day is None else tables.enrich(found, day)


def limits_key(session: Session, name: str, group: str) -> tuple[object, ...] | None:
    """
    Return what stays the same while nobody touches a row of `traders_control` that concerns the account.

    None where a head is missing that would say so: its limits are then read each time.
    """
    owners = (name, GLOBAL, f"GROUP:{group}") if group else (name, GLOBAL)
    found = [session.heads.get(owner) for owner in owners]
    drawn = [head.controls for head in found if head is not None]
    return (session.store.opened, *owners, *drawn) if len(drawn) == len(owners) else None


def cache_key(session: Session, name: str, group: str, opened: int, now_us: int) -> tuple[object, ...]:
    """
    Return the key under which an account is current: every head it hangs on, the files, and the date.

    Any writer of any table the account reads bumps one of the heads.
    """
    heads = session.heads
    mine = heads[name]
    wide = heads.get(GLOBAL)
    grouped = heads.get(f"GROUP:{group}") if group else None
    return (
        mine.sequence,
        mine.last_hash,
        mine.version,
        wide.version if wide else None,
        grouped.version if grouped else None,
        opened,
        (now_us + 19_800_000_000) // DAY_US,
    )
