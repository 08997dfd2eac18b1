"""
Limits: a check with parameters, a scope, an action on breach, an author and a reason.

A set of limits compiles to a *plan* per (segment, security, strategy): limits out of scope cost nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from riskguard.core.calendar import DAY_US, ist_us
from riskguard.core.order import Order
from riskguard.core.params import Params
from riskguard.core.passing import Line, Questions
from riskguard.core.reject import Reject
from riskguard.core.scope import Scope
from riskguard.errors import RulebookError

if TYPE_CHECKING:
    from riskguard.core.facts import Facts
    from riskguard.core.live.view import View

ON_BREACH: Final = ("warn", "reject", "reduce_only", "halt", "kill")
MODES: Final = ("enforce", "shadow")
PLANS: Final = ("halt", "cancel", "flatten", "broker")

PERIODS: Final = ("day", "week", "month", "ever")

PLANS_CACHED_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Check:
    """
    One kind of rule.

    Args:
        run: Pure function of the facts and the parameters; a Reject, or None for "no objection".
        exits: What it does for REDUCING orders: False exempts them altogether.
        mandatory: Its absence refuses INCREASING orders.
        scoped: Its measure adds up over the limit's scope: `run` is called with the scope as third argument.
        over: Instead of that, gives the question of one limit; None where its scope adds nothing up and `run` will do.
        warns_exits: REDUCING orders are asked too, and let out with a warning.
        judge: What the sweep asks instead, or besides: (view, limit, parameters, memory, now) -> Verdict.
        period: How long the sweep's memory of it lasts: the session's day, its week or month, or for ever.
        plan: What follows a breach unless the limit says otherwise.
        needs: What the store must have ready: `marks`, `spots`, `funds`, `margin`, `day`, `cycles`, `peers`.
        halts: Whose trading stops on a breach that halts: the ACCOUNT's, or the order's STRATEGY's.
        passes: When `run` surely has no objection, as one line of Python; "" where it is always asked. See `core.passing`.
        v3_column: The column of `traders_control` that is the only store of parameter `v3_field`.
    """

    name: str
    params: type[Params]
    run: Callable[..., Reject | None]
    exits: bool
    mandatory: bool = False
    live: bool = False  # also looked at by the sweep
    never_shadow: bool = False
    v3_column: str = ""
    v3_field: str = ""
    on_breach: str = "reject"
    scoped: bool = False
    needs: tuple[str, ...] = ()
    halts: str = "ACCOUNT"
    over: Callable[[Any, Scope], Callable[[Facts, Any], Reject | None] | None] | None = None
    warns_exits: bool = False
    judge: Callable[[View, Limit, Any, Mapping[str, Any], int], Any] | None = None
    period: str = "day"
    plan: str = "cancel"
    scopes: tuple[str, ...] = ()
    passes: Line = ""

    @property
    def asks_orders(self) -> bool:
        """Whether it has anything to ask of an order; most live checks have not."""
        return self.run is not unasked

    def question(self, scope: Scope, params: Params) -> Callable[[Facts, Any], Reject | None]:
        """Return the question a limit of *scope* and *params* asks."""
        if self.over is not None:
            return self.over(params, scope) or self.run
        return _over(self.run, scope) if self.scoped else self.run


def unasked(facts: Facts, params: Any) -> Reject | None:
    """What a check that only the sweep asks has to say of an order: nothing."""
    return None


WHOLE: Final = ("ACCOUNT", "GROUP", "GLOBAL")
"""Scopes of what is true of an account whole: over the wider two it is asked of each account by itself."""


def live_check(name: str, params: type[Params], judge: Callable[..., Any], **rest: Any) -> Check:
    """Return a check only the sweep asks; over an account whole unless *rest* says otherwise."""
    rest = {"on_breach": "reduce_only", "scopes": WHOLE, **rest}
    return Check(name, params, unasked, exits=False, live=True, judge=judge, **rest)


def _over(run: Callable[..., Reject | None], scope: Scope) -> Callable[[Facts, Any], Reject | None]:
    return lambda facts, params: run(facts, params, scope)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit in force, as `traders_control` and its rulebook say."""

    id: str
    check: Check
    params: Params
    scope: Scope
    on_breach: str = "reject"
    mode: str = "enforce"
    plan: str = "cancel"  # what a kill by this limit does
    row_id: int | None = None
    set_by: str = ""
    why: str = ""
    source: str = ""
    acknowledged_by: str = ""  # who answers for a mandatory limit that only watches
    acknowledged_until: str = ""  # the last day (IST) it may, ISO text; "" for none
    asked: Ask = field(init=False, repr=False, compare=False)  # made once: every plan it is part of holds the same

    def __post_init__(self) -> None:
        question = self.check.question(self.scope, self.params)
        object.__setattr__(self, "asked", Ask(question, self.params.plain(), self, str(self.scope)))

    def canonical(self) -> list[Any]:
        """Return what decides: wording, author and row number do not change a decision."""
        parameters = self.params.model_dump(mode="json")
        decides = [self.id, self.check.name, parameters, str(self.scope), self.on_breach, self.mode, self.plan]
        return [*decides, self.acknowledged_until] if self.acknowledged_until else decides

    def only_watches(self, now_us: int) -> bool:
        """
        Say whether a breach at *now_us* is recorded and not enforced.

        A mandatory limit only watches while an acknowledgement holds, any limit with one no longer than that: past its
        last day it enforces again, without anybody doing anything.
        """
        if self.mode == "enforce" and self.on_breach != "warn":
            return False
        if self.check.never_shadow:
            return True  # the built-in one is asked beside it
        if not self.acknowledged_until:
            return self.on_breach == "warn" or not self.check.mandatory
        return now_us < ist_us(date.fromisoformat(self.acknowledged_until)) + DAY_US


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One question of a plan: what to run, with which parameters, and whose limit it is. Read for every order."""

    run: Callable[[Facts, Any], Reject | None]
    params: Params
    limit: Limit
    scope: str  # of the limit, as text


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The questions for one kind of order, in order of precedence.

    What is put to an order is `of_any`, to one that reduces `of_exits`: the same, joined once they are asked often.
    """

    every: tuple[Ask, ...]
    exits: tuple[Ask, ...]
    missing: tuple[str, ...]  # mandatory checks without a limit
    digest: str
    of_any: Questions = field(compare=False, repr=False)
    of_exits: Questions = field(compare=False, repr=False)


@dataclass(slots=True)
class LimitSet:
    """Every limit that can concern one account."""

    limits: tuple[Limit, ...]
    digest: str = field(init=False)
    needs: frozenset[str] = field(init=False)
    plans: dict[tuple[object, ...], Plan] = field(init=False, default_factory=dict)
    _asked: dict[tuple[Ask, ...], Questions] = field(init=False, default_factory=dict)
    _of: dict[str, tuple[Limit, ...]] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(self.canonical().encode()).hexdigest()
        needs = {need for limit in self.limits for need in limit.check.needs}
        for limit in self.limits:
            if limit.check.scoped and limit.scope.kind in ("GROUP", "GLOBAL"):
                needs |= {"peers"} if limit.scope.kind == "GROUP" else {"peers", "everybody"}
            if limit.check.scoped and limit.scope.kind == "STRATEGY":
                needs.add("attributed")
        self.needs = frozenset(needs)

    def canonical(self) -> str:
        """Return the set as canonical JSON: sorted, so that row order does not change the digest."""
        listed = sorted((each.canonical() for each in self.limits), key=json.dumps)
        return json.dumps(listed, sort_keys=True, separators=(",", ":"))

    def of(self, check: str) -> list[Limit]:
        """Return the limits of one check; found once, since every reading of an account asks, and a desk has a thousand."""
        found = self._of.get(check)
        if found is None:
            found = self._of[check] = tuple(limit for limit in self.limits if limit.check.name == check)
        return list(found)

    def plan(self, order: Order, underlying: str) -> Plan:
        """Return the plan for *order*; compiled once per instrument and strategy."""
        # The underlying is part of it: an instrument imported later brings its underlying's limits.
        key = (order.instrument, order.strategy, underlying)
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= PLANS_CACHED_MAX:
                self.plans.clear()
                self._asked.clear()
            plan = self.plans[key] = self._compile(order, underlying)
        return plan

    def _compile(self, order: Order, underlying: str) -> Plan:
        # Here rather than at the top: the registry imports every check, and each check imports this module.
        from riskguard.core.checks import ALWAYS, CHECKS, MANDATORY

        inside = [limit for limit in self.limits if limit.scope.holds(order, underlying)]
        enforced = {limit.check.name for limit in inside if limit.mode == "enforce" and limit.on_breach != "warn"}
        inside += [limit for limit in ALWAYS if limit.check.name not in enforced]
        present = {limit.check.name for limit in inside}
        place = {check.name: number for number, check in enumerate(CHECKS)}
        asked = [limit for limit in inside if limit.check.asks_orders]
        asked.sort(key=lambda limit: (place[limit.check.name], limit.id))
        every = tuple(limit.asked for limit in asked)
        exits = tuple(limit.asked for limit in asked if limit.check.exits)
        return Plan(
            every, exits, tuple(name for name in MANDATORY if name not in present), self.digest,
            self._questions(every), self._questions(exits),
        )  # fmt: skip

    def _questions(self, asks: tuple[Ask, ...]) -> Questions:
        """Plans of a hundred instruments mostly ask the same: they share it."""
        made = self._asked.get(asks)
        if made is None:
            made = self._asked[asks] = Questions(asks)
        return made


NO_LIMITS = LimitSet(())


def limit_from(
    *,
    id: str,
    check: str,
    parameters: Mapping[str, Any],
    scope: str | Scope,
    **rest: Any,
) -> Limit:
    """
    Build a limit from plain data; the one door for rulebooks and stored rows.

    Raises RulebookError: unknown check or key (with a suggestion), missing or malformed parameter.
    """
    from riskguard.core.checks import by_name

    found = by_name(check)
    parsed = found.params.read(parameters, where=f"limit `{id}`")
    where = Scope.parse(scope) if isinstance(scope, str) else scope
    if found.scopes and where.kind not in found.scopes:
        # What cannot be measured over a scope would stand there and never fire.
        raise RulebookError(
            f"limit `{id}`: `{check}` cannot be measured over `{where}`: scope it to one of {', '.join(found.scopes)}"
        )
    return Limit(id=id, check=found, params=parsed, scope=where, **{"plan": found.plan, **rest})
