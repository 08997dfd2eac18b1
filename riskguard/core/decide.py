"""The one decision: a total function of an order, an account and a time."""

from __future__ import annotations

from typing import Any, Protocol

from riskguard.core.account import Account
from riskguard.core.adjust import adjusted
from riskguard.core.direction import Direction
from riskguard.core.facts import Facts
from riskguard.core.limits import ON_BREACH, Ask, Limit, Plan
from riskguard.core.order import Order
from riskguard.core.reject import PRECEDENCE, Reject, RejectCode
from riskguard.errors import OrderRefusedError, PermitNotSendableError

Rejects = tuple[Reject, ...]

_new = object.__new__
_NOTHING: Rejects = ()


class Sendable(Protocol):
    """What an approved order holds: the reservation, and the way to the wire (`services.permits.Permit`)."""

    @property
    def approved_order(self) -> Any: ...

    def sending(self) -> Any: ...

    def release(self) -> None: ...


class Decision:
    """
    The answer to one order. `approved` is the only yes; everything else says why not.

    Attributes:
        approved: May be sent, through `permit.sending()`.
        recorded: On disk. A refusal with False is in the spool file and is adopted later.
        rejects: Every refusal, weightiest first; empty when approved.
        shadow_rejects: What limits in shadow mode would have refused; not enforced.
        direction: REDUCING, INCREASING, FLIP …, computed from the book.
        cancel_first: Protective orders that must be gone before this exit is sent.
        sequence: Place in the account's journal; None when not recorded, or a repeat.
        repeat_of: Id of the violation this refusal repeats (written less than 1 s before).
        permit: The reservation; only an approved order has one.
    """

    __slots__ = (
        "adjusted_to",
        "approved",
        "cancel_first",
        "decided_at_us",
        "direction",
        "facts",
        "limits_digest",
        "order",
        "permit",
        "recorded",
        "rejects",
        "repeat_of",
        "sequence",
        "shadow_rejects",
    )

    def __init__(
        self,
        order: Order,
        rejects: tuple[Reject, ...],
        decided_at_us: int,
        facts: Facts | None = None,
        limits_digest: str = "",
        shadow_rejects: tuple[Reject, ...] = (),
    ) -> None:
        self.order = order
        self.rejects = rejects
        self.approved = not rejects
        self.shadow_rejects = shadow_rejects
        self.decided_at_us = decided_at_us
        self.facts = facts
        self.limits_digest = limits_digest
        self.adjusted_to: Order | None = None
        if facts is None:
            self.direction: Direction | None = None
            self.cancel_first: tuple[str, ...] = ()
        else:
            self.direction = facts.direction
            self.cancel_first = facts.cancel_first
        self.recorded = False
        self.sequence: int | None = None
        self.repeat_of: int | None = None
        self.permit: Sendable | None = None

    @property
    def client_order_id(self) -> str | None:
        return self.order.client_order_id

    @property
    def approved_order(self) -> Any:
        """The object a broker adapter accepts. Raises PermitNotSendableError unless approved."""
        if not self.approved or self.permit is None:
            raise PermitNotSendableError(str(self.client_order_id), "it was refused: " + self.explain())
        return self.permit.approved_order

    def explain(self) -> str:
        """Return the whole answer in plain words, one line per reason."""
        if self.approved:
            said = f"approved as {self.direction.value if self.direction else 'unknown'}"
            if self.adjusted_to is not None:
                said += f", adjusted to {self.adjusted_to!r}"
            return said
        return "\n".join(f"{each.code.value}: {each.message}" for each in self.rejects)

    def raise_for_reject(self) -> None:
        """Raise OrderRefusedError with this decision unless it is approved."""
        if not self.approved:
            raise OrderRefusedError(self, self.explain())

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-ready data: the stable document of `riskguard check --json`."""
        return {
            "account": self.order.account,
            "client_order_id": self.client_order_id,
            "approved": self.approved,
            "recorded": self.recorded,
            "sequence": self.sequence,
            "repeat_of": self.repeat_of,
            "decided_at_us": self.decided_at_us,
            "direction": self.direction.value if self.direction else None,
            "cancel_first": list(self.cancel_first),
            "adjusted_to": self.adjusted_to.arguments() if self.adjusted_to is not None else None,
            "limits_digest": self.limits_digest,
            "rejects": [each.as_dict() for each in self.rejects],
            "shadow_rejects": [each.as_dict() for each in self.shadow_rejects],
        }

    def __repr__(self) -> str:
        said = "approved" if self.approved else "refused " + ", ".join(each.code.value for each in self.rejects)
        return f"<Decision {self.client_order_id}: {said}>"


def decide(
    order: Order, account: Account, now_us: int, emergency_by: str = "", modifying: str = "", lowering: bool = False
) -> Decision:
    """
    Ask every limit in scope and keep every refusal.

    Total: the same values give the same answer, on any machine, at any time. No mandatory limit is a
    refusal, never a free pass. *emergency_by* names the person behind an exit from a halted account.
    *modifying* names the working order this one takes the place of; see `core.change`.
    """
    facts = Facts.of(order, account, now_us, emergency_by, modifying, lowering)
    instrument = facts.instrument
    underlying = (
        "" if instrument is None else instrument.underlying or instrument.symbol
    )  # see `exposure.underlying_of`
    limits = account.limits
    plan = limits.plans.get((order.instrument, order.strategy, underlying))  # mostly it is there, without a call
    return judge(facts, limits.plan(order, underlying) if plan is None else plan)


def judge(facts: Facts, plan: Plan) -> Decision:
    """Decide on *facts* alone: what `decide` does live and what replay does years later."""
    questions = plan.of_exits if facts.reducing else plan.of_any
    asks, doubts_of = questions.asks, questions.doubts_of
    found: list[tuple[Reject, Limit]] = []
    try:
        for place in doubts_of(facts):
            ask = asks[place]
            run = ask.run  # called as `ask.run(…)` it would be sought as a method first
            reject = run(facts, ask.params)
            if reject is not None:
                found.append((reject, ask.limit))
    except Exception:
        found = _one_by_one(facts, asks)
    rejects = shadow = _NOTHING
    if found or plan.missing:
        rejects, shadow = _weighed(facts, plan, found)
    # As `Decision(…)` makes it, without a call of the class: the usual answer is a twentieth cheaper so.
    decision = _new(Decision)
    decision.order = facts.order
    decision.rejects, decision.shadow_rejects = rejects, shadow
    decision.approved = not rejects
    decision.decided_at_us = facts.now_us
    decision.facts = facts
    decision.limits_digest = plan.digest
    decision.direction, decision.cancel_first = facts.direction, facts.cancel_first
    decision.recorded = False
    decision.adjusted_to = decision.sequence = decision.repeat_of = decision.permit = None
    if facts.reducing and not rejects:
        decision.adjusted_to = adjusted(facts)
    return decision


def _one_by_one(facts: Facts, asks: tuple[Ask, ...]) -> list[tuple[Reject, Limit]]:
    """Ask again, each on its own: a check that breaks refuses orders that add risk, and only speaks for itself."""
    found: list[tuple[Reject, Limit]] = []
    for ask in asks:
        limit = ask.limit
        try:
            reject = ask.run(facts, ask.params)
        except Exception as e:
            if facts.reducing and limit.check.name != "trading_state":
                continue
            reject = Reject(
                RejectCode.CHECK_BROKEN,
                detail=f"check `{limit.check.name}` broke: {type(e).__name__}: {e}"[:200],
                hint="its limit cannot be judged; orders that reduce still pass",
            )
        if reject is not None:
            found.append((reject, limit))
    return found


def _weighed(facts: Facts, plan: Plan, found: list[tuple[Reject, Limit]]) -> tuple[Rejects, Rejects]:
    """Return what is enforced, the weightiest first, and what is only noted; a shadow finding alone approves."""
    enforced: list[Reject] = []
    shadow: list[Reject] = []
    for reject, limit in found:
        reject.check = limit.check.name
        reject.limit_id = limit.id
        reject.scope = limit.asked.scope
        reject.row_id = limit.row_id
        watched = limit.only_watches(facts.now_us) or (limit.check.warns_exits and facts.reducing)
        (shadow if watched else enforced).append(reject)
    if plan.missing and not facts.reducing:
        enforced.append(
            Reject(
                RejectCode.LIMITS_NOT_CONFIGURED,
                detail=f"no limit for {', '.join(plan.missing)}",
                hint="write them with `riskguard limits apply`, or `riskguard init` for the defaults",
            )
        )
    if len(enforced) > 1:
        enforced.sort(key=lambda reject: PRECEDENCE[reject.code])
    return tuple(enforced), tuple(shadow)


def breach_of(decision: Decision, plan: Plan) -> Limit | None:
    """Return the enforced limit whose action goes furthest beyond refusing, or None."""
    return next(iter(breaches_of(decision, plan)), None)


def breaches_of(decision: Decision, plan: Plan) -> tuple[Limit, ...]:
    """
    Return the enforced limits whose action goes beyond refusing, the severest first.

    All of them: one may stop the strategy and another the account.
    """
    by_id = {ask.limit.id: ask.limit for ask in plan.every}
    # What could not be measured was refused, but breached nothing.
    measured = [each for each in decision.rejects if each.measured_raw is not None]
    limits = [by_id[each.limit_id] for each in measured if each.limit_id in by_id]
    severe = [limit for limit in limits if ON_BREACH.index(limit.on_breach) > ON_BREACH.index("reject")]
    return tuple(sorted(severe, key=lambda limit: -ON_BREACH.index(limit.on_breach)))
