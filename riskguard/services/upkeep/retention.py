"""
Which rows may leave the database for an archive file, and which never do.

Nothing is here that a check, a sweep, a kill run, a release or `audit verify` still reads: the journal, permits,
controls, baselines, day books, kill runs and causes stay for good. The journal's triggers refuse every DELETE and
that is not gone round. Each rule is one condition, asked when a row is chosen and again under the lock that deletes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from riskguard.core.calendar import DAY_US, IST_OFFSET_US, ist_day
from riskguard.services.settings import DatabaseSettings
from riskguard.store.bounds import LIVE_PERMIT_STATES, TERMINAL_STATUSES
from riskguard.store.statements import fixed, param
from riskguard.store.tables.alerts import alert_deliveries, alerts
from riskguard.store.tables.audit import audit_log, error_log
from riskguard.store.tables.authentication import rate_limit_tracking
from riskguard.store.tables.control import risk_violations
from riskguard.store.tables.copy_trading import copy_mappings
from riskguard.store.tables.funds import funds
from riskguard.store.tables.journal import order_messages, permits, refusal_repeats
from riskguard.store.tables.live import live_watches
from riskguard.store.tables.live_updates import websocket_messages
from riskguard.store.tables.orders import order_events, order_modifications, orders
from riskguard.store.tables.portfolio import holdings, positions
from riskguard.store.tables.postback import postback_events
from riskguard.store.tables.reconciliation import book_differences, unsolicited_orders
from riskguard.store.tables.runs import kill_runs, kill_steps, pnl_readings, sweeps
from riskguard.store.tables.snapshots import snapshots
from riskguard.store.tables.statements import trades
from riskguard.store.tables.super_orders import bracket_order_legs

DAY_S = DAY_US // 1_000_000
IST_S = IST_OFFSET_US // 1_000_000

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True)
class Rule:
    """
    When rows of one table leave.

    Attributes:
        time: The column whose year in India (in seconds, or microseconds where `in_us`) names the archive file.
        may_leave: True for a row that may go; reads only parameters of `cutoffs`.
        why: What stays, in words, for people.
    """

    table: sa.Table
    time: str
    in_us: bool
    may_leave: Condition
    why: str


def cutoffs(settings: DatabaseSettings, now_us: int) -> dict[str, Any]:
    """
    Return the parameters of every rule: midnights in India, so that a day leaves as a whole.

    Never later than the midnight before today's: the floors of the settings keep a month for what months need.
    """

    def midnight_us(days: int) -> int:
        return (ist_day(now_us) - _EPOCH_DAY - days) * DAY_US - IST_OFFSET_US

    given: dict[str, Any] = {}
    ages = {
        "logs": settings.archive_after_days,
        "readings": settings.archive_readings_after_days,
        "trades": settings.archive_trades_after_days,
        "snapshots": settings.archive_snapshots_after_days,
        "violations": settings.archive_violations_after_days,
    }
    for name, days in ages.items():
        at_us = midnight_us(days) if days else None  # null is before nothing: never
        given[f"{name}_us"] = at_us
        given[f"{name}_s"] = None if at_us is None else at_us // 1_000_000
        given[f"{name}_date"] = dt.date.fromordinal(ist_day(now_us) - days).isoformat()
    return given


_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()


def year_of(value: int, in_us: bool) -> int:
    """Return the calendar year in India of a time; what lies before 1970 is nonsense and counts as 1970."""
    seconds = max(0, value // 1_000_000 if in_us else value)
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds + IST_S)).year


def _exists(alias: sa.FromClause, *conditions: Condition) -> Condition:
    return sa.exists().select_from(alias).where(*conditions)


# -- orders, and what belongs to them ----------------------------------------------------------------------------------


def _rests(status: sa.ColumnElement[Any]) -> Condition:
    """Unknown words are live orders, here as everywhere."""
    return sa.func.upper(sa.func.coalesce(status, fixed(""))).not_in([fixed(word) for word in TERMINAL_STATUSES])


def _order_may_leave(o: sa.FromClause) -> Condition:
    """
    A finished order, untouched for the whole time, that nothing alive points to.

    Its events and fills are as old: an order leaves together with them or not at all.
    """
    other, leg, child = orders.alias("other"), bracket_order_legs.alias("leg"), orders.alias("child")
    leg_order = orders.alias("leg_order")
    p, e, t, m = permits.alias("p"), order_events.alias("e"), trades.alias("t"), copy_mappings.alias("m")
    step, run = kill_steps.alias("step"), kill_runs.alias("run")
    live_permit = p.c.state.in_([fixed(state) for state in LIVE_PERMIT_STATES])
    return sa.and_(
        o.c.created_at < param("trades_s"),
        o.c.updated_at < param("trades_s"),
        sa.not_(_rests(o.c.status)),
        sa.not_(_exists(p, p.c.account == o.c.account_type, live_permit, p.c.order_id == o.c.id)),
        sa.not_(_exists(p, p.c.account == o.c.account_type, live_permit, p.c.correlation_id == o.c.correlation_id)),
        sa.not_(_exists(e, e.c.order_id == o.c.id, e.c.event_ts >= param("trades_s"))),
        sa.not_(_exists(t, t.c.order_id == o.c.id, t.c.trade_ts >= param("trades_s"))),
        sa.not_(
            _exists(
                leg,
                leg.c.parent_order_id == o.c.id,
                _rests(leg.c.status),
                # Version 3 often leaves a leg's own word at PENDING; the leg's order knows better.
                sa.not_(_exists(leg_order, leg_order.c.id == leg.c.leg_order_id, sa.not_(_rests(leg_order.c.status)))),
            )
        ),
        sa.not_(_exists(child, child.c.parent_order_id == o.c.id, _rests(child.c.status))),
        sa.not_(
            _exists(
                m.join(other, other.c.id == m.c.follower_order_id),
                m.c.leader_order_id == o.c.id,
                _rests(other.c.status),
            )
        ),
        sa.not_(
            _exists(
                m.join(other, other.c.id == m.c.leader_order_id),
                m.c.follower_order_id == o.c.id,
                _rests(other.c.status),
            )
        ),
        sa.not_(
            _exists(
                step.join(run, run.c.id == step.c.run_id),
                step.c.target == o.c.id,
                run.c.state != fixed("DONE"),
            )
        ),
    )


def _with_its_order(table: sa.Table, time: str) -> Condition:
    """Old enough, and its order has left, may leave, or was never here."""
    o = orders.alias("o")
    return sa.and_(
        table.c[time] < param("trades_s"),
        sa.not_(_exists(o, o.c.id == table.c.order_id, sa.not_(_order_may_leave(o)))),
    )


def _message(table: sa.Table) -> Condition:
    """As above; a message nobody has made anything of yet stays until somebody has."""
    return sa.and_(_with_its_order(table, "received_at"), table.c.is_processed == fixed(1))


def _trade() -> Condition:
    """As above; a wrong `trade_ts` must not carry off a fill of a session that counts."""
    return sa.and_(
        _with_its_order(trades, "trade_ts"),
        trades.c.created_at < param("trades_s"),
        sa.func.coalesce(trades.c.session_date, fixed("")) < param("trades_date"),
    )


# -- lists of the broker -----------------------------------------------------------------------------------------------


def _day_begins(time: sa.ColumnElement[Any], unit: int) -> sa.ColumnElement[Any]:
    """The midnight in India before *time*; *unit*: parts of a second."""
    return time - (time + fixed(IST_S * unit)) % fixed(DAY_S * unit)


def _header_may_leave(s: sa.FromClause) -> Condition:
    """
    Every list of the last days stays; of older days the first and the last complete one of each account and kind.

    After the time fills are kept for, those go too. The newest complete list of all stays whatever its age: it
    is what a check takes the position from.
    """
    earlier, later, newest = snapshots.alias("earlier"), snapshots.alias("later"), snapshots.alias("newest")
    begins = _day_begins(s.c.fetched_at_us, 1_000_000)

    def same(other: sa.FromClause) -> Condition:
        return sa.and_(
            other.c.account == s.c.account,
            other.c.kind == s.c.kind,
            other.c.complete == fixed(1),
        )

    before = sa.tuple_(earlier.c.fetched_at_us, earlier.c.id) < sa.tuple_(s.c.fetched_at_us, s.c.id)
    after = sa.tuple_(later.c.fetched_at_us, later.c.id) > sa.tuple_(s.c.fetched_at_us, s.c.id)
    between = sa.and_(
        _exists(earlier, same(earlier), earlier.c.fetched_at_us >= begins, before),
        _exists(later, same(later), later.c.fetched_at_us < begins + fixed(DAY_US), after),
    )
    overtaken = sa.and_(
        s.c.fetched_at_us < param("trades_us"),
        _exists(newest, same(newest), newest.c.fetched_at_us > s.c.fetched_at_us),
    )
    return sa.and_(
        s.c.fetched_at_us < param("snapshots_us"),
        sa.or_(s.c.complete == fixed(0), between, overtaken),
    )


def _list_row(table: sa.Table, kind: str) -> Condition:
    """
    A row leaves when its header has left or may; one of version 3 (without a header) is thinned in the same way.

    A position without a header counts as evidence until a complete list is newer: until then it stays.
    """
    header = snapshots.alias("header")
    stays = _exists(header, header.c.id == table.c.snapshot_id, sa.not_(_header_may_leave(header)))
    earlier, later, newest = table.alias("earlier"), table.alias("later"), table.alias("newest")
    begins = _day_begins(table.c.snapshot_ts, 1)

    def loose(other: sa.FromClause) -> Condition:
        return sa.and_(other.c.snapshot_id == fixed(0), other.c.account_type == table.c.account_type)

    between = sa.and_(
        _exists(earlier, loose(earlier), earlier.c.snapshot_ts >= begins, earlier.c.snapshot_ts < table.c.snapshot_ts),
        _exists(
            later,
            loose(later),
            later.c.snapshot_ts > table.c.snapshot_ts,
            later.c.snapshot_ts < begins + fixed(DAY_S),
        ),
    )
    overtaken = sa.and_(
        table.c.snapshot_ts < param("trades_s"),
        _exists(newest, loose(newest), newest.c.snapshot_ts > table.c.snapshot_ts),
    )
    thinned = sa.or_(between, overtaken)
    if kind == "positions":
        listed, any_list = snapshots.alias("listed"), snapshots.alias("any_list")
        mine = sa.and_(
            listed.c.account == table.c.account_type, listed.c.kind == fixed(kind), listed.c.complete == fixed(1)
        )
        none = sa.and_(
            any_list.c.account == table.c.account_type, any_list.c.kind == fixed(kind), any_list.c.complete == fixed(1)
        )
        settled = _exists(listed, mine, listed.c.fetched_at_us >= (table.c.snapshot_ts + fixed(1)) * fixed(1_000_000))
        thinned = sa.and_(thinned, sa.or_(settled, sa.not_(_exists(any_list, none))))
    return sa.and_(
        table.c.snapshot_ts < param("snapshots_s"),
        sa.or_(
            sa.and_(table.c.snapshot_id != fixed(0), sa.not_(stays)),
            sa.and_(table.c.snapshot_id == fixed(0), thinned),
        ),
    )


# -- what sweeps left --------------------------------------------------------------------------------------------------


def _reading() -> Condition:
    """The last reading of each session stays as long as fills do, and the newest of all for good."""
    r, later, newer = pnl_readings, pnl_readings.alias("later"), pnl_readings.alias("newer")
    after = sa.tuple_(later.c.at_us, later.c.id) > sa.tuple_(r.c.at_us, r.c.id)
    return sa.and_(
        r.c.at_us < param("readings_us"),
        r.c.session_date < param("readings_date"),
        sa.or_(
            _exists(later, later.c.account == r.c.account, later.c.session_date == r.c.session_date, after),
            sa.and_(
                r.c.at_us < param("trades_us"),
                _exists(newer, newer.c.account == r.c.account, newer.c.session_date > r.c.session_date),
            ),
        ),
    )


def _sweep() -> Condition:
    """The newest finished sweep of each account and kind stays: it is the heartbeat."""
    later = sweeps.alias("later")
    mine = sa.func.coalesce(sweeps.c.finished_at_us, sweeps.c.started_at_us)
    newer = _exists(
        later,
        later.c.account == sweeps.c.account,
        later.c.kind == sweeps.c.kind,
        later.c.finished_at_us > mine,
    )
    return sa.and_(
        sweeps.c.started_at_us < param("readings_us"), mine < param("readings_us"), newer
    )  # fmt: skip


def _live_watch() -> Condition:
    """
    A memory of a period that is over; what lasts for ever stays.

    The floor of the setting is longer than a month: a period whose memory nobody touched for that long has ended.
    """
    return sa.and_(live_watches.c.period != fixed(""), live_watches.c.updated_at_us < param("logs_us"))


def _difference() -> Condition:
    """One of an earlier session that nobody has seen since; the next look begins it anew."""
    return sa.and_(
        book_differences.c.last_at_us < param("logs_us"), book_differences.c.session_date < param("logs_date")
    )


def _unsolicited() -> Condition:
    """As long as its order: while the broker lists that, forgetting would find it a second time."""
    u, o = unsolicited_orders, orders.alias("o")
    return sa.and_(
        u.c.found_at_us < param("trades_us"),
        u.c.session_date < param("trades_date"),
        sa.not_(_exists(o, o.c.id == u.c.order_id, sa.not_(_order_may_leave(o)))),
    )


# -- what people were told ---------------------------------------------------------------------------------------------


def _alert_may_leave(a: sa.FromClause) -> Condition:
    """
    An old alert that was handed to the channels and has nothing left to tell, with its deliveries at rest as long.

    What is told once for ever stays for good: without its row it would be told again.
    """
    d = alert_deliveries.alias("d")
    return sa.and_(
        a.c.at_us < param("logs_us"),
        a.c.last_at_us < param("logs_us"),
        a.c.said_at_us < param("logs_us"),
        a.c.queued_at_us.is_not(None),
        a.c.untold == fixed(0),
        a.c.once.is_(None),
        sa.not_(_exists(d, d.c.alert_id == a.c.id, sa.or_(_on_its_way(d), d.c.next_at_us >= param("logs_us")))),
    )


def _on_its_way(d: sa.FromClause) -> Condition:
    return d.c.state.in_([fixed("WAITING"), fixed("SENDING")])


def _delivery() -> Condition:
    """It arrived or was given up, and its alert has left, may leave, or is told once for ever."""
    d, a = alert_deliveries, alerts.alias("a")
    return sa.and_(
        d.c.next_at_us < param("logs_us"),
        sa.not_(_on_its_way(d)),
        sa.not_(_exists(a, a.c.id == d.c.alert_id, a.c.once.is_(None), sa.not_(_alert_may_leave(a)))),
    )


# Headers before their rows: a list that is half gone must never look complete to whoever reads only this file.
# Orders after what belongs to them: their rules look at the order.
RULES: tuple[Rule, ...] = (
    Rule(audit_log, "ts", False, audit_log.c.ts < param("logs_s"), "younger than `archive_after_days`"),
    Rule(error_log, "occurred_at", False, error_log.c.occurred_at < param("logs_s"), "as above"),
    Rule(
        rate_limit_tracking, "window_end", False, sa.and_(
            rate_limit_tracking.c.window_end < param("logs_s"), rate_limit_tracking.c.window_start < param("logs_s")
        ), "as above",
    ),
    Rule(order_messages, "at_us", True, order_messages.c.at_us < param("logs_us"), "as above"),
    Rule(refusal_repeats, "at_us", True, refusal_repeats.c.at_us < param("logs_us"), "as above"),
    Rule(live_watches, "updated_at_us", True, _live_watch(), "as above; what lasts longer than a month"),
    Rule(book_differences, "last_at_us", True, _difference(), "as above"),
    Rule(
        alert_deliveries, "next_at_us", True, _delivery(), "as above; on its way; as long as its alert",
    ),
    Rule(alerts, "at_us", True, _alert_may_leave(alerts), "as above; not all told yet; told once for ever"),
    Rule(sweeps, "started_at_us", True, _sweep(), "younger than `archive_readings_after_days`; the newest finished one"),
    Rule(pnl_readings, "at_us", True, _reading(), "as above; the last one of each session; the newest"),
    Rule(
        snapshots, "fetched_at_us", True, _header_may_leave(snapshots),
        "younger than `archive_snapshots_after_days`; the first and last complete one of each day; the newest",
    ),
    Rule(positions, "snapshot_ts", False, _list_row(positions, "positions"), "as their header"),
    Rule(holdings, "snapshot_ts", False, _list_row(holdings, "holdings"), "as their header"),
    Rule(funds, "snapshot_ts", False, _list_row(funds, "funds"), "as their header"),
    Rule(order_events, "event_ts", False, _with_its_order(order_events, "event_ts"), "as long as their order"),
    Rule(
        order_modifications, "modified_at", False, _with_its_order(order_modifications, "modified_at"),
        "as long as their order",
    ),
    Rule(
        websocket_messages, "received_at", False, _message(websocket_messages),
        "as long as their order; not processed yet",
    ),
    Rule(
        postback_events, "received_at", False, _message(postback_events), "as long as their order; not processed yet"
    ),
    Rule(trades, "trade_ts", False, _trade(), "younger than `archive_trades_after_days`; as long as their order"),
    Rule(unsolicited_orders, "found_at_us", True, _unsolicited(), "as long as their order"),
    Rule(
        orders, "created_at", False, _order_may_leave(orders),
        "younger than `archive_trades_after_days`; live, or named by something live",
    ),
    Rule(
        risk_violations, "violated_at", False, risk_violations.c.violated_at < param("violations_s"),
        "for good, unless `archive_violations_after_days` says otherwise",
    ),
)  # fmt: skip
TABLES = tuple(rule.table for rule in RULES)
