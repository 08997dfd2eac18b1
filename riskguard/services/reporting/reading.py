"""Reads a day out of the database, in one transaction, into a `DayReport`. Nothing is written."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

from riskguard.core.calendar import DAY_US, ist_us
from riskguard.core.limits import LimitSet
from riskguard.core.money import rupees, to_e4
from riskguard.core.state import severest
from riskguard.errors import SettingsError, UnknownAccountError
from riskguard.ports import Clock
from riskguard.services.alerts import records
from riskguard.services.kill import latch
from riskguard.services.overview import kept_limits
from riskguard.services.reporting.curve import Pnl, Point, summed_up
from riskguard.services.reporting.day import (
    Breach,
    Charge,
    Charges,
    Count,
    DayReport,
    Kill,
    LimitUse,
    Line,
    Orders,
    Refusals,
    Release,
    Step,
    Told,
)
from riskguard.store import controls, halt, loader
from riskguard.store.queries.day_report import (
    AT_BROKER,
    BOOK,
    CHARGE_LINES,
    CHARGES,
    DECIDED,
    EQUITY,
    KILLS,
    LAST_ORDER,
    LIMIT_DAYS,
    OUTCOMES,
    READINGS,
    RELEASES,
    REPEATS,
    STEPS,
    VIOLATIONS,
)
from riskguard.store.session import ACCOUNTS, Session, Store, clock_of
from riskguard.store.spelling import Prepared

WAIT_S: Final = 5.0
LISTED_MAX: Final = 200
REFUSED: Final = "ORDER_REJECTED"


def day_report(store: Store, account: str, date: str, *, clock: Clock | None = None) -> DayReport:
    """
    Return the report of one account's session; of a day on which nothing was recorded it is empty, not an error.

    Raises SettingsError (*date* is none), UnknownAccountError, StoreError.
    """
    try:
        day = dt.date.fromisoformat(date)
    except ValueError:
        raise SettingsError(f"date `{date[:20]}`: wants one like 2026-11-23") from None
    from_us = ist_us(day)
    when = {"account": account, "session_date": day.isoformat(), "from_us": from_us, "to_us": from_us + DAY_US}
    now_us = clock_of(store, clock).now_us()
    with store.reading(WAIT_S) as session:
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account not in known:
            raise UnknownAccountError(account, known)
        return _read(session, when, now_us)


def _ask(session: Session, statement: Prepared, when: dict[str, Any]) -> list[tuple[Any, ...]]:
    seconds = {"from_s": when["from_us"] // 1_000_000, "to_s": when["to_us"] // 1_000_000}
    return session.rows(statement, **{**when, **seconds})


def _read(session: Session, when: dict[str, Any], now_us: int) -> DayReport:
    readings = _ask(session, READINGS, when)
    detail = readings[-1][4] if readings else "no reading: nobody watched that day"
    pnl = summed_up([Point(row[0], row[1], bool(row[3])) for row in readings], detail)
    violations = _ask(session, VIOLATIONS, when)
    repeats = {row[0]: int(row[1]) for row in _ask(session, REPEATS, when)}
    breaches = [row for row in violations if row[7] != REFUSED]
    span = {"account": when["account"], "since_us": when["from_us"], "until_us": when["to_us"]}
    told = records.recent(session, **span, most=LISTED_MAX)
    limits, limits_are_of = _limits(session, when, pnl)
    return DayReport(
        account=when["account"],
        date=when["session_date"],
        made_us=now_us,
        state=_state(session, when["account"], now_us) if when["session_date"] == loader.session_date(now_us) else "",
        pnl=pnl,
        limits=limits,
        limits_are_of=limits_are_of,
        orders=_orders(session, when, sum(repeats.values())),
        refusals=_refusals([row for row in violations if row[7] == REFUSED], repeats),
        breaches=tuple(_breach(row) for row in breaches[-LISTED_MAX:]),
        breaches_left_out=max(0, len(breaches) - LISTED_MAX),
        kills=tuple(_kill(session, row) for row in _ask(session, KILLS, when)),
        releases=tuple(Release(*row) for row in _ask(session, RELEASES, when)),
        lines=tuple(Line(*row) for row in _ask(session, BOOK, when)),
        charges=_charges(session, when, readings),
        alerts=tuple(_told(each) for each in reversed(told)),
        alerts_left_out=records.count(session, **span) - len(told),
    )


def _state(session: Session, account: str, now_us: int) -> str:
    group = loader.group_of(session, account) or ""
    places = tuple(str(directory / halt.HALT) for directory in session.store.directories)
    causes = (
        *controls.kill_causes(session, account, group), *controls.standing_causes(session, account, group),
        *latch.look(places, account, now_us).causes,
    )  # fmt: skip
    return severest(causes).name


def _limits(session: Session, when: dict[str, Any], pnl: Pnl) -> tuple[tuple[LimitUse, ...], str]:
    """What orders used of each limit, and what the worst reading used of each loss limit."""
    standing, are_of = _limit_set(session, when)
    used = [
        LimitUse(limit_id, check, peak_e2, _in_rupees(peak), *counts)
        for limit_id, check, peak_e2, peak, *counts in _ask(session, LIMIT_DAYS, when)
    ]
    row = session.row(EQUITY, account=when["account"], session_date=when["session_date"])
    loss_e4 = None if pnl.worst_e4 is None else max(0, -pnl.worst_e4)  # what was widened is no loss
    for limit in standing.of("daily_loss"):
        limit_e4 = limit.params.limit_e4(None if row is None else row[0])  # type: ignore[attr-defined]
        if not limit_e4 or loss_e4 is None:
            continue
        peak = f"{rupees(loss_e4)} of {rupees(limit_e4)}"
        used.append(LimitUse(limit.id, "daily_loss", loss_e4 * 10_000 // limit_e4, peak, 0, 0, 0))
    return tuple(sorted(used, key=lambda each: (-each.peak_pct_e2, each.limit_id))), are_of


def _in_rupees(peak: str) -> str:
    """Write `750611.25 inr` as people do; other units stay."""
    number, _, unit = peak.partition(" ")
    return _said(number, unit) if unit == "inr" else peak


def _limit_set(session: Session, when: dict[str, Any]) -> tuple[LimitSet, str]:
    """The limits the day's last order was judged by; those of now where there was none, or they cannot be read."""
    last = _ask(session, LAST_ORDER, when)
    if last:
        kept = kept_limits(session, json.loads(last[0][0])["limits"], {})
        if kept is not None:
            return kept, "the day"
    account = when["account"]
    return controls.limits(session, account, loader.group_of(session, account) or ""), "now"


def _orders(session: Session, when: dict[str, Any], repeats: int) -> Orders:
    decided = {bool(row[0]): int(row[1]) for row in _ask(session, DECIDED, when)}
    approved, refused = decided.get(True, 0), decided.get(False, 0)
    return Orders(
        asked=approved + refused + repeats,
        approved=approved,
        refused=refused,
        repeats=repeats,
        by_outcome=tuple(Count(*row) for row in _ask(session, OUTCOMES, when)),
        at_broker=tuple(Count(*row) for row in _ask(session, AT_BROKER, when)),
    )


def _refusals(rows: list[tuple[Any, ...]], repeats: dict[int, int]) -> tuple[Refusals, ...]:
    by_code: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        by_code.setdefault(str(row[2]), []).append(row)
    found = [
        Refusals(
            code=code,
            refusals=len(mine),
            repeats=sum(repeats.get(row[0], 0) for row in mine),
            strategies=tuple(sorted({str(row[9]) for row in mine if row[9]})),
            first_us=min(row[1] for row in mine),
            last_us=max(row[1] for row in mine),
            example=str(mine[-1][8] or ""),
        )
        for code, mine in by_code.items()
    ]
    return tuple(sorted(found, key=lambda each: (-(each.refusals + each.repeats), each.code)))


def _breach(row: tuple[Any, ...]) -> Breach:
    _id, at_us, code, limit_id, measured, limit, unit, action, detail, _strategy = row
    return Breach(
        at_us, str(code), limit_id or "", _said(measured, unit), _said(limit, unit), action or "", detail or ""
    )


def _said(text: str | None, unit: str | None) -> str:
    if text is None:
        return ""
    if unit == "inr":
        try:
            return rupees(to_e4(text))
        except ValueError:
            return f"₹{text}"
    return f"{text} {unit or ''}".strip()


def _kill(session: Session, row: tuple[Any, ...]) -> Kill:
    run_id, kill_id, scope, halts, plan, cause, by, reason, started_us, ended_us, state, step, detail = row
    steps = tuple(Step(*each) for each in session.rows(STEPS, run_id=run_id))
    return Kill(
        kill_id, scope, bool(halts), plan, cause, by, reason, started_us, ended_us, state, step, detail, steps
    )  # fmt: skip


def _charges(session: Session, when: dict[str, Any], readings: list[tuple[Any, ...]]) -> Charges:
    """What the readings took off, and what it is made of where that was kept."""
    book = _ask(session, BOOK, when)
    lines: list[Charge] = []
    doubts: list[str] = []
    for segment, doubt, *amounts in _ask(session, CHARGES, when):
        doubts += [str(each) for each in json.loads(doubt)]
        lines += [
            Charge(segment, name.removesuffix("_e4").replace("_", " "), amount)
            for name, amount in zip(CHARGE_LINES, amounts, strict=True)
            if amount
        ]
    return Charges(
        total_e4=readings[-1][2] if readings else None,
        turnover_e4=sum(row[8] + row[9] for row in book),
        fills=sum(row[10] for row in book),
        lines=tuple(lines),
        doubts=tuple(dict.fromkeys(doubts)),
    )


def _told(each: dict[str, Any]) -> Told:
    words = {"SENT": "sent", "WAITING": "waits", "SENDING": "being sent", "GIVEN_UP": "given up"}
    channels = dict.fromkeys(f"{one['channel']}: {words[one['state']]}" for one in each["deliveries"])
    return Told(
        each["at_us"], each["severity"], each["account"], each["code"], each["message"], each["came_again"],
        ", ".join(channels),
    )  # fmt: skip
