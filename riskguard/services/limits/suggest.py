"""
What history suggests for the limits in force: per limit a number, the quantile behind it, how much was seen, and why.

What approved orders used of a limit is measured on the facts their decisions were made on (`core.usage`), the day's
loss on the sweep's own readings. Nothing is suggested from too little, and nothing is changed: what comes out is a
rulebook to read, edit and plan. A suggestion that loosens a mandatory limit says so in capitals.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, Final

from riskguard.core.calendar import DAY_US
from riskguard.core.limits import Limit
from riskguard.core.money import SCALE
from riskguard.core.params import Params
from riskguard.core.rulebook import written
from riskguard.core.usage import CEILINGS, WHOLE, gauges
from riskguard.errors import RulebookError, UnknownAccountError
from riskguard.services.limits.nearness import asked_of
from riskguard.services.limits.rulebooks import standing
from riskguard.store import loader
from riskguard.store.queries.limit_history import CHUNK, LOWEST, NEAR, OLDER, REFUSED, TRADES
from riskguard.store.session import ACCOUNTS, Store

WAIT_S: Final = 2.0
ENTRIES_MAX: Final = 50_000
"""Journal entries looked at, newest first: about half a minute of work, and more than a busy month."""

ORDERS_MIN: Final = 100
DAYS_MIN: Final = 5
PEAK_DAYS_MIN: Final = 10
"""Less than two weeks of sessions is one market mood."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a number is drawn from what was used: of all orders, or of each day's largest."""

    of_days: bool
    quantile_pct: int
    times_pct: int
    reason: str


ORDER: Final = Rule(False, 99, 200, "twice what 99 of 100 orders need: a slipped zero is ten times")
STANDING: Final = Rule(True, 95, 150, "half more than what 19 of 20 days came to at most")
LOSS: Final = Rule(
    True, 90, 125, "a quarter more than the worst moment of 9 of 10 days: what is worse is not a usual day"
)
RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(("order_quantity", "order_value", "risk_per_trade"), ORDER),
    **dict.fromkeys(
        (
            "attempt_rate", "concentration", "gross_exposure", "leverage", "naked_short_option", "net_exposure",
            "net_position", "open_order_count", "open_order_value", "position_value", "time_to_flat",
        ),
        STANDING,
    ),
    "daily_loss": LOSS,
}  # fmt: skip
"""Checks whose number is a trader's own. The others are the exchange's, the broker's, or a time to be told within."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    What is suggested for one limit; `kind` is tighten, loosen, keep, `too little history` or `not suggested`.

    `current` and `suggested` are as a rulebook writes them; `suggested` is "" where nothing is. `samples` counts
    orders, or days where the quantile is of days.
    """

    limit_id: str
    check: str
    mandatory: bool
    kind: str
    current: str
    suggested: str
    quantile_pct: int | None
    samples: int
    days: int
    near_misses: int
    refused: int
    reason: str


@dataclass(frozen=True, slots=True)
class Suggested:
    """Every suggestion, and the whole rulebook that holds them."""

    suggestions: tuple[Suggestion, ...]
    toml: str


@dataclass(slots=True)
class _History:
    used: dict[str, dict[str, list[int]]]  # limit -> date -> parts used, 1/100 percent
    losses_e4: dict[str, int]  # date -> the worst loss, 0 for a day without one
    near: dict[str, int]
    refused: dict[str, int]
    trades: int


def suggest(store: Store, account: str, now_us: int, *, days: int = 30) -> Suggested:
    """
    Return a suggestion for each limit of *account* from its last *days* days. Reads only.

    Raises UnknownAccountError, StoreError.
    """
    since_us = now_us - days * DAY_US
    with store.session(durable=False, wait_s=WAIT_S) as session:
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account not in known:
            raise UnknownAccountError(account, known)
        limits = standing(session, account)
        since = {"since_date": loader.session_date(since_us)}
        history = _History(
            {},
            {date: max(0, -int(lowest)) for date, lowest in session.rows(LOWEST, account=account, **since)},
            {limit_id: int(count) for limit_id, count in session.rows(NEAR, account=account, **since)},
            dict(session.rows(REFUSED, account=account, since_s=since_us // 1_000_000)),
            int(session.rows(TRADES, account=account, since_s=since_us // 1_000_000)[0][0]),
        )
        store.roll_back(session)
    history.used = _used(store, account, limits, since_us)
    made = [_suggestion(limit, history) for limit in limits]
    notes = {each.limit_id: _note(each) for each, _ in made if each.suggested}
    toml = written(f"suggested-{account}", tuple(limit for _, limit in made), account=account, notes=notes)
    return Suggested(tuple(each for each, _ in made), toml)


def _used(store: Store, account: str, limits: tuple[Limit, ...], since_us: int) -> dict[str, dict[str, list[int]]]:
    """Read the journal backwards, a chunk at a time: each reading holds the lock only for itself."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    measured = gauges(limit for limit in limits if limit.check.name in RULES)
    before, seen = 2**62, 0
    while seen < ENTRIES_MAX:
        with store.session(durable=False, wait_s=WAIT_S) as session:
            rows = session.rows(OLDER, account=account, before=before)
            store.roll_back(session)
        for sequence, kind, approved, at_us, body in rows:
            before, seen = sequence, seen + 1
            if at_us < since_us:
                return found
            if approved and kind in ("ORDER", "MODIFY"):
                for gauge, facts in asked_of(json.loads(body), measured):
                    each = gauge.used(facts)
                    if each is not None:
                        found[gauge.limit.id][loader.session_date(at_us)].append(each.part_e2)
        if len(rows) < CHUNK:
            break
    return found


def _suggestion(limit: Limit, history: _History) -> tuple[Suggestion, Limit]:
    """Return what is suggested, and the limit as it would be: the standing one where nothing is."""
    rule = RULES.get(limit.check.name)
    if rule is None:
        return _none(
            limit, history, "not suggested", "no number of yours: the exchange's, the broker's, or none"
        ), limit
    if limit.check.name == "daily_loss":
        samples, days = sorted(history.losses_e4.values()), len(history.losses_e4)
    else:
        by_date = history.used.get(limit.id, {})
        days = len(by_date)
        parts = (
            [max(each) for each in by_date.values()]
            if rule.of_days
            else [one for each in by_date.values() for one in each]
        )
        samples = sorted(parts)
    wants = _wants(rule, len(samples), days)
    if wants:
        return _none(limit, history, "too little history", wants, len(samples), days, rule), limit
    at = samples[-(-len(samples) * rule.quantile_pct // 100) - 1]
    if at == 0:
        return _none(limit, history, "keep", "nothing of it was used", len(samples), days, rule), limit
    fields = _fields(limit, at, rule)
    if fields is None:
        return _none(
            limit, history, "not suggested", "a percentage of equity: set it by hand", len(samples), days, rule
        ), limit
    return _judged(limit, history, rule, fields, len(samples), days)


def _wants(rule: Rule, samples: int, days: int) -> str:
    """Say what is missing for a suggestion, "" for nothing."""
    if rule.of_days:
        return "" if days >= PEAK_DAYS_MIN else f"seen on {days} days; wants {PEAK_DAYS_MIN}"
    if samples >= ORDERS_MIN and days >= DAYS_MIN:
        return ""
    return f"{samples} approved orders on {days} days; wants {ORDERS_MIN} on {DAYS_MIN}"


def _fields(limit: Limit, at: int, rule: Rule) -> dict[str, int] | None:
    """Return the new raw value of each field; *at* is a part of the limit, of the daily loss 1/10000 rupee."""
    params = limit.params
    if limit.check.name == "daily_loss":
        inr = getattr(params, "daily_loss_inr_max", None)
        return None if inr is None else {"daily_loss_inr_max": _rounded(-(-at * rule.times_pct // 100), SCALE)}
    found = {}
    for name in CEILINGS[limit.check.name]:
        value = getattr(params, name)
        if type(value) is int:
            wanted = -(-value * at * rule.times_pct // (WHOLE * 100))
            found[name] = _rounded(wanted, _step(limit.check.name, name, params))
    return found


def _step(check: str, name: str, params: Params) -> int:
    """Return the smallest sensible step of a raw value: a rupee, a unit, a hundredth of a percent, a second."""
    if name.endswith("_s_max"):
        return 1_000_000
    if name.endswith("_inr_max") or (check == "net_position" and name == "position_max"):
        return SCALE
    return 1


def _rounded(raw: int, step: int) -> int:
    """Round up to two digits, and to a whole step: nobody reviews a limit of ₹1,03,417.25."""
    whole = max(1, -(-raw // step))
    unit = int(10 ** max(0, len(str(whole)) - 2))
    return -(-whole // unit) * unit * step


def _judged(
    limit: Limit, history: _History, rule: Rule, fields: dict[str, int], samples: int, days: int
) -> tuple[Suggestion, Limit]:
    old = {name: getattr(limit.params, name) for name in fields}
    near, refused = history.near.get(limit.id, 0), history.refused.get(limit.id, 0)
    looser = any(fields[name] > old[name] for name in fields)
    same = fields == old
    if same or (looser and not near and not refused):
        return _none(limit, history, "keep", "it leaves room, and stopped nothing", samples, days, rule), limit
    try:
        given = limit.params.model_dump(mode="json", exclude_none=True)
        given |= limit.params.model_copy(update=fields).model_dump(mode="json", include=set(fields))
        params = limit.check.params.read(given, where=f"limit `{limit.id}`")
    except RulebookError as e:
        return _none(limit, history, "not suggested", str(e), samples, days, rule), limit
    new = replace(limit, params=params)
    kind = "loosen" if looser else "tighten"
    said = rule.reason
    if looser:
        said += f"; {refused} refused and {near} near misses"
        if limit.check.mandatory:
            said = "LOOSENS a mandatory limit: " + said
    made = Suggestion(
        limit.id, limit.check.name, limit.check.mandatory, kind, _shown(limit, fields), _shown(new, fields),
        rule.quantile_pct, samples, days, near, refused,
        f"{said} ({rule.quantile_pct} % quantile of {samples} {'days' if rule.of_days else 'orders'}, "
        f"{history.trades} trades)",
    )  # fmt: skip
    return made, new


def _none(
    limit: Limit, history: _History, kind: str, reason: str, samples: int = 0, days: int = 0, rule: Rule | None = None
) -> Suggestion:
    return Suggestion(
        limit.id, limit.check.name, limit.check.mandatory, kind, "", "", None if rule is None else rule.quantile_pct,
        samples, days, history.near.get(limit.id, 0), history.refused.get(limit.id, 0), reason,
    )  # fmt: skip


def _shown(limit: Limit, fields: dict[str, int]) -> str:
    given: dict[str, Any] = limit.params.model_dump(mode="json", include=set(fields), exclude_none=True)
    return ", ".join(f"{name}={value}" for name, value in given.items())


def _note(each: Suggestion) -> str:
    return f"{each.kind}: {each.current} → {each.suggested}\n{each.reason}"
