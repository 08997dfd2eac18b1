"""
The answer to a case: approved or not, and which limit said what. A second `decide`, to be verified by eye.

All checks run and every refusal is kept. A limit in shadow mode, one that only warns, and one that warns exits are
watched, not enforced. A mandatory limit that is not there refuses what does not reduce. Source: checks.md §0, §3.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from riskguard.core.decide import Decision, decide
from riskguard.core.limits import Limit
from riskguard.core.scope import Scope
from tests.core.oracle import book
from tests.core.oracle.case import Case
from tests.core.oracle.prices import INDIA_US
from tests.core.oracle.rules import RULES, view

MANDATORY = (
    "order_validity", "order_value", "order_rate", "repeated_execution", "unconfirmed_in_flight", "data_freshness",
    "daily_loss", "sweep_heartbeat", "trading_state", "reconciliation",
)  # fmt: skip
"""checks.md §3."""

OF_SWEEPS = ("reconciliation",)
"""Asked by the sweep alone: of an order it wants only to be there."""

NEVER_ABSENT = ("trading_state", "order_validity")
"""Asked whatever the limits say: in shadow, warned of or deleted, they hold all the same, without parameters."""

Finding = tuple[str, str]


class Answer(NamedTuple):
    """`refused` and `watched`: (limit id, code); `asked`: the names of the checks that were put to the order."""

    approved: bool
    direction: str
    refused: frozenset[Finding]
    watched: frozenset[Finding]
    asked: tuple[str, ...]


class _BuiltIn:
    """The parameters of what is always asked: none."""

    hedge_premium_inr_max = None


def answer(case: Case, limits: Iterable[Limit]) -> Answer:
    """Put the order to every limit that holds it."""
    seen = view(case)
    inside = [limit for limit in limits if holds(limit.scope, case)]
    refused: set[Finding] = set()
    watched: set[Finding] = set()
    asked: list[str] = []
    for limit in inside:
        if limit.check.name in OF_SWEEPS:
            continue
        rule, for_exits = RULES[limit.check.name]
        if seen.reduces and for_exits == "exempt":
            continue
        asked.append(limit.check.name)
        code = rule(seen, limit.params, limit.scope)
        if code is not None:
            only_said = only_watches(limit, case.now_us) or (seen.reduces and for_exits == "warns")
            (watched if only_said else refused).add((limit.id, code))
    for name in NEVER_ABSENT:
        if not any(limit.check.name == name and not only_watches(limit, case.now_us) for limit in inside):
            code = RULES[name][0](seen, _BuiltIn, Scope("GLOBAL"))
            if code is not None:
                refused.add((f"built-in-{name}", code))
    configured = {limit.check.name for limit in inside} | set(NEVER_ABSENT)
    if not seen.reduces and not configured.issuperset(MANDATORY):
        refused.add(("", "LIMITS_NOT_CONFIGURED"))
    return Answer(not refused, seen.direction, frozenset(refused), frozenset(watched), tuple(asked))


def holds(scope: Scope, case: Case) -> bool:
    """Say whether the order lies in the scope; rows of other accounts and groups are never loaded into an account."""
    order, instrument = case.order, case.instrument
    match scope.kind:
        case "SEGMENT":
            return order.exchange_segment == scope.name
        case "STRATEGY":
            return order.strategy == scope.name
        case "INSTRUMENT":
            return f"{order.exchange_segment}:{order.security_id}" == scope.name
        case "UNDERLYING":
            return instrument is not None and book.hangs_on(instrument) == scope.name
    return True


def only_watches(limit: Limit, now_us: int) -> bool:
    """
    Say whether a breach is recorded and not enforced.

    A mandatory limit in shadow needs an acknowledgement with an end date; past it, it enforces again.
    """
    if limit.mode == "enforce" and limit.on_breach != "warn":
        return False
    if limit.check.name in NEVER_ABSENT:
        return True  # the built-in one is asked beside it
    if limit.acknowledged_until:
        today = date(1970, 1, 1) + timedelta(microseconds=now_us + INDIA_US)
        return today.isoformat() <= limit.acknowledged_until
    return limit.on_breach == "warn" or limit.check.name not in MANDATORY


def said_by(decision: Decision, asked: tuple[str, ...] = ()) -> Answer:
    """Return a decision of `decide` as an answer, to be compared with ours; *asked* is not its to say."""
    refused = frozenset((each.limit_id, each.code.value) for each in decision.rejects)
    watched = frozenset((each.limit_id, each.code.value) for each in decision.shadow_rejects)
    way = "" if decision.direction is None else decision.direction.value
    return Answer(decision.approved, way, refused, watched, asked)


def decided(case: Case) -> Decision:
    """Put the case to the real `decide`."""
    return decide(case.order, case.account, case.now_us, case.by, case.modifying, case.lowering)


def compared(case: Case) -> tuple[Answer, str]:
    """Return the oracle's answer, and in words where `decide` differs from it, "" where they agree."""
    ours = answer(case, case.account.limits.limits)
    theirs = said_by(decided(case), ours.asked)
    if ours == theirs:
        return ours, ""
    return ours, (
        f"case {case.number}: {case.order!r}\n"
        f"  direction: oracle {ours.direction}, decide {theirs.direction}\n"
        f"  only the oracle says {sorted((ours.refused - theirs.refused) | (ours.watched - theirs.watched))}\n"
        f"  only decide says     {sorted((theirs.refused - ours.refused) | (theirs.watched - ours.watched))}"
    )
