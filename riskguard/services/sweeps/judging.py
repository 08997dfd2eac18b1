"""
What a sweep's measurements mean for the account, under the lock: findings, causes, violations, tasks, durable memory.

Decides nothing: `core.assess` does. A kill is handed back, because it is pulled after the commit.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.assess import Action, Clear, Finding, Memory, assess, live_limits
from riskguard.core.limits import Limit
from riskguard.core.live.verdict import cause_of
from riskguard.core.pnl import DayPnl
from riskguard.core.pnl_views import PnlViews
from riskguard.core.quote import Quote
from riskguard.core.seen import Seen
from riskguard.core.state import NARROW, Cause, TradingState
from riskguard.errors import InputError
from riskguard.redaction import redacted
from riskguard.services.kill import tasks
from riskguard.services.sweeps.known import Known
from riskguard.services.sweeps.sight import view_of
from riskguard.store import books, controls, journal, permits, violations, watches
from riskguard.store.controls import LimitCause
from riskguard.store.session import Session

log = logging.getLogger("riskguard")

BROKEN: Final = "CHECK_BROKEN"
KILLED: Final = "KILL_SWITCH_ACTIVATED"
NOTHING_KNOWN: Final = Known()


@dataclass(slots=True)
class Judgement:
    """What was found, and the kills to pull once the transaction is committed."""

    findings: list[Finding] = field(default_factory=list)
    kills: list[Action] = field(default_factory=list)


def judge(
    session: Session, account: Account, pnl: DayPnl, seen: Seen | None, date: str, now_us: int,
    known: Known | None = None, *, quotes: dict[InstrumentKey, Quote] | None = None, views: PnlViews | None = None,
) -> Judgement:  # fmt: skip
    """
    Judge the account by what was seen and measured, and write what follows; inside the sweep's transaction.

    Args:
        known: What other sweeps brought. quotes: The freshest of every line; None: the shared marks.
        views: The day by the broker's figures and by equity; None: not measured.
    """
    limits = live_limits(account.limits.limits)
    if quotes is None:
        quotes = {key: quote for key in account.positions if (quote := books.mark(session, key)) is not None}
    before, unreadable = watches.read(session, account.name, date, limits)
    view = view_of(session, account, limits, pnl, quotes, seen, date, now_us, known or NOTHING_KNOWN, views)
    standing = controls.causes_of_limits(session, account.name)
    undone = _undone_kills(session, account, limits, before, now_us)
    memories = _as_it_stands(before, account, limits, standing, now_us, {each.limit.id for each in undone})
    judged = assess(view, memories, now_us, unreadable)
    if seen is not None and seen.failures:
        judged.findings.append(Finding("BROKER_READ_FAILED", "warning", "; ".join(seen.failures)))
    watches.save(session, account.name, date, limits, judged.memories, before, now_us)
    _clear(session, account, limits, judged.clears, standing, now_us)
    for action in judged.actions:
        _write(session, account, action, now_us)
    for limit, error in judged.broken:
        judged.findings += _broke(session, account, limit, error, now_us)
    return Judgement(judged.findings, [*undone, *(action for action in judged.actions if action.kill)])


def scope_of(account: Account, limit: Limit, scope: str = "") -> str:
    """Return where a cause of *limit* stands: *scope*, else the part of the account it is about, else all of it."""
    if scope:
        return scope
    return str(limit.scope) if limit.scope.kind in NARROW else f"ACCOUNT:{account.name}"


def _write(session: Session, account: Account, action: Action, now_us: int) -> None:
    """Write one action: the violation, the task, and the state unless the kill switch will."""
    limit, finding = action.limit, action.finding
    scope = scope_of(account, limit, action.scope)
    kill = action.kill and scope == f"ACCOUNT:{account.name}"
    did = KILLED if kill else action.state.name
    if action.state is TradingState.ACTIVE:
        did = f"TASK_{action.task.upper()}" if action.task else "NONE"
    action_kills_part = action.kill and not kill
    broken = violations.live_row(
        account.name, finding.code, limit.id, str(limit.scope), finding.measured_e4, finding.limit_e4, did,
        finding.message, now_us, limit.row_id, unit=finding.unit,
    )  # fmt: skip
    contents = {
        "action": did, "limit": limit.id, "finding": finding.message, "digest": account.limits.digest, "scope": scope,
        "violations": violations.claim([broken]),
    }  # fmt: skip
    head = journal.append(session, account.name, "STATE", contents, now_us)
    violations.write(session, [broken], head.sequence)
    if not kill and action.state is not TradingState.ACTIVE:
        cause = Cause(scope, action.state, action.cause, finding.message, "sweep", now_us)
        controls.raise_cause(session, account.name, cause, soft=action.soft, limit_id=limit.id)
        if scope == f"ACCOUNT:{account.name}":
            permits.void(session, account.name, action.state, now_us, finding.message)
    plan = action.task or (limit.plan if action_kills_part else "")
    if plan in tasks.PLANS:
        _request(session, account, limit, scope, plan, action.cause, finding.message, now_us)


def _request(
    session: Session, account: Account, limit: Limit, scope: str, plan: str, cause: str, why: str, now_us: int
) -> None:  # fmt: skip
    """Ask for the run of a plan without a halt; one about a scope no run can have stays a state only."""
    try:
        tasks.request(
            session, account.name, scope=scope, plan=plan, cause=cause, reason=why, now_us=now_us, limit_id=limit.id
        )  # fmt: skip
    except InputError as e:
        log.warning("limit %s of %s: no run follows: %s", limit.id, account.name, e)


def _clear(
    session: Session, account: Account, limits: list[Limit], clears: list[Clear], standing: list[LimitCause], now_us: int
) -> None:  # fmt: skip
    """Take soft causes back: those a check says are gone, and those of limits that are no longer enforced."""
    gone = {
        (each.limit.id, each.cause, scope_of(account, each.limit, each.scope)): each.message for each in clears
    }  # fmt: skip
    enforced = {limit.id for limit in limits if not limit.only_watches(now_us)}
    for each in standing:
        why = gone.get((each.limit_id, each.code, each.scope))
        if why is None and each.limit_id not in enforced:
            why = "its limit is no longer enforced"
        if each.is_soft and why is not None and controls.clear_soft(session, account.name, each.row, now_us):
            contents = {
                "action": "CLEARED", "limit": each.limit_id, "cause": each.code, "scope": each.scope, "finding": why,
            }  # fmt: skip
            journal.append(session, account.name, "STATE", contents, now_us)


def _broke(session: Session, account: Account, limit: Limit, error: Exception, now_us: int) -> list[Finding]:
    """A check that raises stops what adds risk until a person looks; said once while it stands."""
    scope = f"ACCOUNT:{account.name}"
    said = redacted(f"limit `{limit.id}` (`{limit.check.name}`) broke: {type(error).__name__}: {error}")[:300]
    if any(cause.code == BROKEN and limit.id in cause.detail for cause in account.causes):
        return []
    trace = "".join(traceback.format_exception(error))
    log.error("%s: %s\n%s", account.name, said, redacted(trace))
    cause = Cause(scope, TradingState.REDUCE_ONLY, BROKEN, said, "sweep", now_us)
    controls.raise_cause(session, account.name, cause, limit_id=limit.id)
    permits.void(session, account.name, TradingState.REDUCE_ONLY, now_us, said)
    contents = {"action": "REDUCE_ONLY", "limit": limit.id, "finding": said, "digest": account.limits.digest}
    journal.append(session, account.name, "STATE", contents, now_us)
    return [Finding(BROKEN, "critical", said, limit.id)]


def _undone_kills(
    session: Session, account: Account, limits: list[Limit], before: Mapping[str, Memory], now_us: int
) -> list[Action]:  # fmt: skip
    """
    Return the kills that were judged, written down, and halted nobody: whoever judged died before the switch.

    They are carried out as they were judged, whatever the market did since: its proof was given, and a person takes it
    back. Their violation stands already, and people were told of it.
    """
    found = []
    for limit in limits:
        if not before.get(limit.id, {}).get("tripped") or not _is_undone(account, limit, now_us):
            continue
        newest = violations.newest_breach(session, account.name, limit.id)
        if limit.on_breach == "kill" and newest is not None and newest[0] == KILLED:
            _, code, detail = newest
            finding = Finding(code, "critical", detail, limit.id)
            found.append(Action(TradingState.HALTED, limit, finding, kill=True, cause=cause_of(limit)))
    return found


def _is_undone(account: Account, limit: Limit, now_us: int) -> bool:
    """Say whether a trip of *limit* would have halted the account whole, and the account is not halted."""
    whole = limit.on_breach in ("halt", "kill") and limit.scope.kind not in NARROW
    return whole and not limit.only_watches(now_us) and account.state is not TradingState.HALTED


def _as_it_stands(
    memories: Mapping[str, Memory], account: Account, limits: list[Limit], standing: list[LimitCause], now_us: int,
    carried_out: set[str],
) -> dict[str, Memory]:  # fmt: skip
    """
    Return the memories with what they say was done, and does not stand, taken back.

    A cause that was raised and is gone: a person released it, and what still stands is found again. A kill that is
    *carried_out* now stands.
    """
    found = dict(memories)
    stands = {(each.limit_id, each.scope) for each in standing}
    for limit in limits:
        memory = found.get(limit.id)
        if not memory or limit.only_watches(now_us) or memory.get("silent") or limit.id in carried_out:
            continue
        here = (limit.id, scope_of(account, limit))
        kept = dict(memory)
        whole = limit.on_breach in ("halt", "kill") and limit.scope.kind not in NARROW
        undone = account.state is not TradingState.HALTED if whole else here not in stands
        if undone:
            kept.pop("tripped", None)
        raised = kept.get("raised")
        if isinstance(raised, dict):
            kept["raised"] = {scope: 1 for scope in raised if (limit.id, scope) in stands}
        elif raised and undone:
            del kept["raised"]
        found[limit.id] = kept
    return found
