"""
What the judgement sees: the account, this look, and what only some limits ask for, read inside the sweep's transaction.

What no limit in force asks for is not read. None is "not known": a reader that cannot say leaves it out.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Final

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.instrument import root_of
from riskguard.core.limits import Limit
from riskguard.core.live.trips import DayFills, Fill, LineKey, walk
from riskguard.core.live.view import Basket, Leg, Parts, Peer, View
from riskguard.core.money import to_e4
from riskguard.core.params import as_decimal
from riskguard.core.pnl import DayPnl
from riskguard.core.pnl_parts import Part
from riskguard.core.pnl_views import PnlViews
from riskguard.core.quote import Quote
from riskguard.core.seen import Seen
from riskguard.core.state import NARROW, severest
from riskguard.errors import SettingsError
from riskguard.services.sweeps.known import Known
from riskguard.store import books, controls, loader, supply
from riskguard.store.bounds import LIVE_PERMIT_STATES
from riskguard.store.calendar import calendar
from riskguard.store.copy_rules import read_rules
from riskguard.store.queries.logins import ACTIVE
from riskguard.store.queries.sight import COPIED, FILLS, FILLS_COUNT, IN_GROUP, LAST_KNOWN, LEGS
from riskguard.store.session import ACCOUNTS, GLOBAL, Session

FILL_CHECKS: Final = frozenset({"loss_streak", "cooldown", "trades_per_day", "position_loss"})
HOUR_CHECKS: Final = frozenset({"feed_health", "token_expiry", "square_off_time", "expiry_day"})
STOPS: Final = frozenset({"STOP_LOSS", "STOP_LOSS_MARKET"})
DAYS_KEPT_MAX: Final = 64


# By (file, account, session date): (fills counted, what they came to). A sweep without a new fill walks none again.
_walked: OrderedDict[tuple[str, str, str], tuple[int, DayFills]] = OrderedDict()
# By (file, session date): shares with futures. The instrument file is a hundred thousand rows, and changes overnight.
_auction: OrderedDict[tuple[str, str], frozenset[str]] = OrderedDict()


def view_of(
    session: Session, account: Account, limits: list[Limit], pnl: DayPnl, quotes: dict[InstrumentKey, Quote],
    seen: Seen | None, date: str, now_us: int, known: Known, views: PnlViews | None = None,
) -> View:  # fmt: skip
    """Return the view the live limits *limits* judge by."""
    names = {limit.check.name for limit in limits}
    more: dict[str, Any] = {}
    if names & HOUR_CHECKS:
        more["calendar"] = calendar()
        if "square_off_time" in names and account.auction_names is None:
            account.auction_names = _auction_names(session, date)
    if names & {"weekly_loss", "monthly_loss"}:
        more["days"] = _earlier_days(session, account.name, date)
    if names & FILL_CHECKS:
        more["fills"] = day_fills(session, account, date)
    if "orphan_leg" in names:
        more["baskets"] = _baskets(session, account.name, now_us)
    groups = {limit.scope.name for limit in limits if limit.scope.kind == "GROUP"}
    if groups == {loader.group_of(session, account.name)}:  # of another group's accounts nothing is known here
        more["peers"] = _peers(session, account.name, date)
    if any(limit.scope.kind == "GLOBAL" and limit.check.name == "daily_loss" for limit in limits):
        more["everybody"] = _everybody(session, account.name, date)
    if names & {"leader_halt", "orphan_follower"}:
        more["leader"] = _leader(session, account.name, date)
    if "orphan_follower" in names:
        since_s = loader.midnight_us(now_us) // 1_000_000
        rows = session.rows(COPIED, account=account.name, session_date=date, since_s=since_s)
        more["copied"] = frozenset((segment, security) for segment, security in rows)
    if "token_expiry" in names:
        row = session.row(ACTIVE, account=account.name)
        more["token_until_us"] = None if row is None or row[1] is None else int(row[1]) * 1_000_000
    if views is not None:
        more |= {"broker_pnl_e4": views.broker.total_e4, "equity_pnl_e4": views.equity.total_e4}
        more |= {"broker_at_us": account.position_seen_us, "equity_at_us": known.funds_at_us}
        more["compared_e4"] = views.compared
    made = View(
        account, now_us, pnl, quotes=quotes, seen=seen, funds=known.funds, funds_at_us=known.funds_at_us,
        parts=_parts(pnl), realised_e4=pnl.net_realised_e4, health=known.health, profile=known.profile,
        profile_at_us=known.profile_at_us, unexplained=known.unexplained, unexplained_at_us=known.unexplained_at_us,
        unsolicited=known.unsolicited,
    )  # fmt: skip
    return replace(made, **more)


def _parts(pnl: DayPnl) -> Parts | None:
    """Return the day by strategy and segment where it was measured so."""
    if not pnl.segments and not pnl.strategies:
        return None
    every = (*pnl.segments, *pnl.strategies)
    return Parts(_nets(pnl.strategies), _nets(pnl.segments), all(each.fresh for each in every))


def _nets(parts: tuple[Part, ...]) -> dict[str, int | None]:
    return {part.name: part.net_e4 for part in parts}


def day_fills(session: Session, account: Account, date: str) -> DayFills:
    """Return the day's entries, round trips and average prices; walked again only when a fill came in."""
    row = session.row(FILLS_COUNT, account=account.name, session_date=date)
    count = 0 if row is None else int(row[0])
    key = (str(session.store.url), account.name, date)
    kept = _walked.get(key)
    if kept is not None and kept[0] == count:
        return kept[1]
    carried: dict[LineKey, tuple[int, int | None]] = {
        (*instrument, line.product): (line.start, line.previous_close_e4)
        for instrument, lines in account.positions.items()
        for line in lines.values()
        if line.start
    }
    multipliers = {key: instrument.multiplier for key, instrument in account.instruments.items()}
    since_s = _midnight_s(date)
    rows = session.rows(FILLS, account=account.name, session_date=date, since_s=since_s)
    made = walk([_fill(each) for each in rows], carried, multipliers)
    _keep(_walked, key, (count, made))
    return made


def _fill(row: tuple[Any, ...]) -> Fill:
    (
        segment,
        security,
        product,
        side,
        quantity,
        price,
        at_s,
        order_id,
        client_id,
        listed_type,
        asked_type,
        strategy,
    ) = row
    name, _, number = str(client_id or "").rpartition(".")
    return Fill(
        (segment, security, product), 1 if side == "BUY" else -1, quantity, to_e4(as_decimal(price)), at_s * 1_000_000,
        str(order_id), name if number.isdigit() else str(client_id or ""), strategy or "",
        (asked_type or listed_type) in STOPS,
    )  # fmt: skip


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > DAYS_KEPT_MAX:
        kept.popitem(last=False)


def _midnight_s(date: str) -> int:
    day = dt.datetime.fromisoformat(date).replace(tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    return int(day.timestamp())


def _auction_names(session: Session, date: str) -> frozenset[str]:
    """Return the shares that stop for the closing auction: those with a future."""
    key = (str(session.store.url), date)
    found = _auction.get(key)
    if found is None:
        rows = session.rows(supply.SHARE_FUTURES, today=date)
        found = frozenset(str(row[0] or root_of(str(row[1] or row[2]))) for row in rows) - {""}
        _keep(_auction, key, found)
    return found


def _earlier_days(session: Session, account: str, date: str) -> dict[str, int | None]:
    """Return each earlier session of this month and ISO week with its last known P&L; None: it never was."""
    today = dt.date.fromisoformat(date)
    first = min(today.replace(day=1), today - dt.timedelta(days=today.weekday()))
    found: dict[str, int | None] = {}
    for ordinal in range(first.toordinal(), today.toordinal()):
        day = dt.date.fromordinal(ordinal).isoformat()
        row = session.row(LAST_KNOWN, account=account, session_date=day)
        if row is not None:
            found[day] = int(row[0])
        elif books.baseline(session, account, day) is not None:
            found[day] = None
    return found


def _baskets(session: Session, account: str, now_us: int) -> tuple[Basket, ...]:
    made: dict[str, Basket] = {}
    since_us = loader.midnight_us(now_us)
    for name, segment, security, product, side, quantity, filled, state, at_us in session.rows(
        LEGS, account=account, since_us=since_us
    ):
        sign = 1 if side == "BUY" else -1
        leg = Leg((segment, security), product, sign * quantity, sign * filled, state in LIVE_PERMIT_STATES)
        basket = made.get(name, Basket(name, at_us, ()))
        made[name] = replace(basket, legs=(*basket.legs, leg))
    return tuple(made.values())


def _peers(session: Session, account: str, date: str) -> tuple[Peer, ...] | None:
    """Return the other accounts of the group; None for an account of none."""
    group = loader.group_of(session, account)
    if not group:
        return None
    return tuple(
        _peer(session, name, role, date, group)
        for name, role in session.rows(IN_GROUP, group_name=group)
        if name != account
    )


def _everybody(session: Session, account: str, date: str) -> tuple[Peer, ...]:
    """Return all other accounts, of whatever group."""
    return tuple(
        _peer(session, name, role, date, group or "")
        for name, role, group, _broker in session.rows(ACCOUNTS)
        if name not in (account, GLOBAL)
    )


def _peer(session: Session, name: str, role: str, date: str, group: str) -> Peer:
    causes = (*controls.kill_causes(session, name, group), *controls.standing_causes(session, name, group))
    wide = tuple(each for each in causes if each.scope.partition(":")[0] not in NARROW)
    row = session.row(loader.LAST_PNL, account=name, session_date=date)
    begun = books.baseline(session, name, date)
    opening_e4 = None if begun is None else begun[1]
    if row is None:
        return Peer(name, role, severest(wide), None, None, False, opening_e4=opening_e4)
    return Peer(name, role, severest(wide), row[0], row[1], bool(row[2]), opening_e4=opening_e4)


def _leader(session: Session, account: str, date: str) -> Peer | None:
    """Return whom *account* copies, with its book; None when nobody, or when its rule cannot be read."""
    try:
        names = {rule.leader for rule in read_rules(session) if rule.follower == account}
    except SettingsError:  # whoever copies is told so with each copy, and by `riskguard copies`
        return None
    known = {row[0] for row in session.rows(ACCOUNTS)}
    if len(names) != 1 or not names <= known:
        return None
    (name,) = names
    peer = _peer(session, name, "leader", date, loader.group_of(session, name) or "")
    if books.baseline(session, name, date) is None:
        return peer
    nets: dict[InstrumentKey, int] = {}
    for row in session.rows(books.LINES, account=name, session_date=date):
        nets[row[0], row[1]] = nets.get((row[0], row[1]), 0) + row[3] + row[5]
    return replace(peer, nets=nets)
