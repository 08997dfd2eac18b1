"""What people ask: how does each account stand, what was refused, and why. Reads only."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

from riskguard.core.calendar import Calendar
from riskguard.core.decide import Decision, judge
from riskguard.core.exposure import underlying_of
from riskguard.core.facts import Facts
from riskguard.core.limits import Limit, LimitSet, limit_from
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.reject import Reject
from riskguard.core.state import severest
from riskguard.errors import RulebookError, UnknownAccountError
from riskguard.ports import Clock
from riskguard.services.kill import backstop, latch
from riskguard.services.settings import read_settings
from riskguard.store import controls, halt, journal, loader, permits, runs
from riskguard.store.calendar import calendar
from riskguard.store.queries.overview import BY_CLIENT_ID, LAST_READING, VIOLATIONS
from riskguard.store.session import ACCOUNTS, GLOBAL, Session, Store

WAIT_S = 2.0


def status(store: Store, clock: Clock) -> dict[str, Any]:
    """Return how every account stands: the stable document of `riskguard status --json`."""
    now_us = clock.now_us()
    with store.session(durable=False, wait_s=WAIT_S) as session:
        settings = read_settings(session)
        rows = session.rows(ACCOUNTS)
        accounts = [_account_status(store, session, row, now_us) for row in rows]
        session.read_heads(GLOBAL)
        behind = store.is_behind(session.heads[GLOBAL].generation)
        store.roll_back(session)
    return {
        "database": store.place,
        "profile": settings.profile,
        "markets": _markets(now_us),
        "generation_ahead": behind,
        "halt_directories": [str(directory / halt.HALT) for directory in store.directories],
        "accounts": accounts,
    }


def _markets(now_us: int) -> list[dict[str, Any]]:
    """Say which markets trade now and when each opens next; `known` is False beyond the calendar's horizon."""
    today = Calendar.session_date(now_us)
    return [
        {
            "segment": segment,
            "open": calendar().is_open(segment, now_us),
            "next_open_us": calendar().next_open_us(segment, now_us),
            "known": calendar().known(segment, today),
        }
        for segment in calendar().segments
    ]


def _account_status(store: Store, session: Session, row: tuple[Any, ...], now_us: int) -> dict[str, Any]:
    name, role, group, broker = row
    session.read_heads(name, group)
    account = loader.load(session, name, group, now_us).account
    flags = latch.look(tuple(str(directory / halt.HALT) for directory in store.directories), name, now_us)
    causes = (*account.causes, *flags.causes)
    live = permits.live(session, name)
    losses = [limit for limit in account.limits.of("daily_loss")]
    limit_e4 = [each.params.limit_e4(account.opening_equity_e4) for each in losses]  # type: ignore[attr-defined]
    known = [each for each in limit_e4 if each is not None]
    return {
        "account": name,
        "role": role,
        "group": group,
        "broker": broker,
        "state": severest(causes).name,
        "causes": [
            {"scope": c.scope, "state": c.state.name, "code": c.code, "by": c.by, "detail": c.detail, "since_us": c.since_us}
            for c in causes
        ],
        "session_date": account.session_date,
        "day_pnl": None if account.pnl is None or account.pnl.day_pnl_e4 is None else to_text(account.pnl.day_pnl_e4),
        "day_pnl_detail": "no reading yet" if account.pnl is None else account.pnl.detail,
        "daily_loss_limit": to_text(min(known)) if known else None,
        "last_reading": _last_reading(session, name),
        "sweep_age_ms": None if account.sweep_at_us is None else (now_us - account.sweep_at_us) // 1000,
        "positions_age_ms": None if account.position_seen_us is None else (now_us - account.position_seen_us) // 1000,
        "positions": [
            {
                "exchange_segment": key[0], "security_id": key[1], "product": line.product, "net": line.net,
                "working_buy": line.buying, "working_sell": line.selling, "settled": line.settled,
            }
            for key, lines in sorted(account.positions.items())
            for line in lines.values()
            if not line.is_idle or line.net
        ],
        "permits_live": len(live),
        "permits_in_doubt": sum(1 for each in live if each.state in ("SENT", "UNKNOWN")),
        "limits": len(account.limits.limits),
        "kill_runs": [
            {
                "id": run.id, "plan": run.kill_plan, "state": run.state, "step": run.step, "detail": run.detail,
                "scope": run.scope, "halts": bool(run.halts), "blocked_by": run.blocked_by, "retry_at_us": run.retry_at_us,
            }
            for run in runs.open_kill_runs(session, name)
        ],
        "backstop": _backstop(session, name, account.session_date),
    }  # fmt: skip


def _backstop(session: Session, account: str, date: str) -> dict[str, Any] | None:
    """How the broker's own exit at a loss stands today; None when none was armed or tried."""
    found = backstop.standing(session, account, date)
    if found is None:
        return None
    loss = None if found.loss_e4 is None else to_text(found.loss_e4)
    return {
        "state": found.state,
        "loss": loss,
        "products": found.products,
        "detail": found.detail,
        "at_us": found.at_us,
    }


def _last_reading(session: Session, account: str) -> dict[str, Any] | None:
    """The newest P&L reading of any session: what the account made when it was last watched."""
    row = session.row(LAST_READING, account=account)
    if row is None:
        return None
    return {"session_date": row[0], "at_us": row[1], "day_pnl": None if row[2] is None else to_text(row[2])}


def limits(store: Store, account: str | None) -> list[dict[str, Any]]:
    """Return the limits in force for one account, or for all."""
    found = []
    with store.session(durable=False, wait_s=WAIT_S) as session:
        known = {row[0]: row[2] for row in session.rows(ACCOUNTS)}
        if account is not None and account not in known:
            raise UnknownAccountError(account, tuple(known))
        for name in (account,) if account is not None else known:
            found += [
                {"account": name, **controls.shown_limit(each)}
                for each in controls.limits(session, name, known[name]).limits
            ]
        store.roll_back(session)
    return found


def violations(store: Store, *, account: str | None, since_s: int, most: int = 200) -> list[dict[str, Any]]:
    """Return violations since an epoch second, newest first."""
    from riskguard.store.tables.control import risk_violations  # here: no other command of these declares tables

    names = [column.name for column in risk_violations.columns]
    with store.session(durable=False, wait_s=WAIT_S) as session:
        rows = session.rows(VIOLATIONS, since_s=since_s, account=account, most=most)
        store.roll_back(session)
    return [dict(zip(names, row, strict=True)) for row in rows]


def explain(store: Store, client_order_id: str, account: str | None) -> list[dict[str, Any]]:
    """
    Return what was decided on a client order id, what became of it, and whether replaying it agrees.

    One answer per account that used the id; empty when nobody did.
    """
    found = []
    with store.session(durable=False, wait_s=WAIT_S) as session:
        for owner, sequence, approved, text in session.rows(
            BY_CLIENT_ID, client_order_id=client_order_id, account=account
        ):
            body = json.loads(text)
            permit = permits.one(session, owner, client_order_id)
            found.append(
                {
                    "account": owner,
                    "client_order_id": client_order_id,
                    "sequence": sequence,
                    "approved": bool(approved),
                    "decided_at_us": body["at_us"],
                    "order": body["order"],
                    "direction": None if body["facts"] is None else body["facts"]["direction"],
                    "rejects": [Reject.restored(kept).as_dict() for kept in body["rejects"]],
                    "limits_digest": body["limits"],
                    "facts": body["facts"],
                    "permit": None
                    if permit is None
                    else {
                        "state": permit.state, "order_id": permit.order_id, "correlation_id": permit.correlation_id,
                        "filled": permit.filled_quantity, "detail": permit.detail,
                    },
                    "replay_agrees": replay(session, body),
                }
            )  # fmt: skip
        store.roll_back(session)
    return found


def replay(session: Session, body: dict[str, Any]) -> bool | None:
    """
    Decide again on the kept facts and limits; True when the same refusals, or the same order, come out, None when nothing was kept.
    """
    if body.get("facts") is None:
        return None
    decided = decide_again(session, body)
    if decided is None or [each.kept() for each in decided.rejects] != body["rejects"]:
        return False
    adjusted_to = None if decided.adjusted_to is None else decided.adjusted_to.arguments()
    return bool(adjusted_to == body["adjusted_to"])


def decide_again(session: Session, body: dict[str, Any]) -> Decision | None:
    """Return the decision the kept facts and limits give today; None when the limits cannot be read any more."""
    limits = kept_limits(session, body["limits"], {each["limit_id"]: each["row_id"] for each in body["rejects"]})
    if limits is None:
        return None
    order = Order.from_mapping(body["order"])
    facts = Facts.replayed(order, body["facts"])
    underlying = "" if facts.instrument is None else underlying_of(facts.instrument)
    return judge(facts, limits.plan(order, underlying))


def kept_limits(session: Session, digest: str, row_ids: dict[str, int | None]) -> LimitSet | None:
    """Return the limits a decision was made under; None when they cannot be read any more."""
    kept = session.row(journal.LIMITS_OF, digest=digest)
    if kept is None:
        return None
    try:
        return _limits(kept[0], frozenset(row_ids.items()))
    except RulebookError:
        return None


@lru_cache(maxsize=64)
def _limits(kept: str, row_ids: frozenset[tuple[str, int | None]]) -> LimitSet:
    """Read a set of limits as it was kept: a day's decisions were made under the same one or two, with the same rows."""
    row_id_of = dict(row_ids)
    limits = [_limit(json.dumps(each)) for each in json.loads(kept)]
    return LimitSet(tuple(replace(each, row_id=row_id_of.get(each.id)) for each in limits))


@lru_cache(maxsize=1_024)
def _limit(kept: str) -> Limit:
    """Read a limit as it was kept: a limit never changes, and a journal has the same few in row after row."""
    limit_id, check, parameters, scope, on_breach, mode, plan, *until = json.loads(kept)
    known = {key: value for key, value in parameters.items() if value is not None}
    return limit_from(
        id=limit_id, check=check, parameters=known, scope=scope, on_breach=on_breach, mode=mode, plan=plan,
        row_id=None, acknowledged_until=until[0] if until else "",
    )  # fmt: skip


def verify(store: Store, *, with_replay: bool = True) -> list[dict[str, Any]]:
    """
    Verify every account's journal with all that hangs on it, and replay its order decisions; one entry per account.

    `services.audit.verify` says more.
    """
    from riskguard.services.audit.verify import verify as audited

    return [
        {
            "account": each.account, "rows": each.rows, "replay_disagrees": each.replay_disagrees,
            "wrong": None if (wrong := each.first_wrong) is None else wrong.detail,
        }
        for each in audited(store, replay=with_replay).accounts
    ]  # fmt: skip
