"""
Copies of a leader's orders: every follower judged before the leader's order goes, or after a leader who trades in
the broker's app.

    copies = guard.check_copies(order)                 # a leader who asks first
    copies = guard.check_copies(LeaderFill(...))       # a fill of a leader who did not

The answer holds the leader's decision (when it was asked) and one per follower; each approved one has a permit of
its own. Sending them is the caller's: a copy is an order like any other. (Trading other people's accounts needs
registration: see the README.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from riskguard.core.copying import CopyRule, entry_quantity, exit_quantity, is_beyond, ratio_of, worst_price_e4
from riskguard.core.decide import Decision, decide
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.state import TradingState
from riskguard.errors import InputError
from riskguard.services.kill import latch
from riskguard.services.kill.followers import copies_go_on
from riskguard.services.orders.restating import restate
from riskguard.store import copies, journal, loader, supply
from riskguard.store.copy_rules import RECORDED_FILL, read_rules
from riskguard.store.loader import Loaded
from riskguard.store.session import Session

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard


Mode = Literal["any", "all"]


@dataclass(frozen=True, slots=True)
class LeaderFill:
    """One fill of a leader who trades without asking: `price` in rupees, `at_us` when it traded, microseconds UTC."""

    account: str
    order_id: str
    exchange_segment: str
    security_id: str
    side: str
    product: str
    quantity: int
    price: str | int | Decimal
    at_us: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A follower that gets no copy, and why. Skipping an exit does not happen."""

    follower: str
    why: str


@dataclass(frozen=True, slots=True)
class CopyDecision:
    """
    The answer for a leader and its followers.

    Attributes:
        leader: The leader's own decision; None when it was not asked (a fill).
        followers: By account, the decisions in the order to send them (a flip is two: the exit first).
        skipped: Followers that get no copy.
    """

    leader: Decision | None
    followers: dict[str, tuple[Decision, ...]]
    skipped: tuple[Skipped, ...]

    @property
    def approved(self) -> tuple[Decision, ...]:
        """Every approved decision of followers, in the order to send them."""
        return tuple(each for decisions in self.followers.values() for each in decisions if each.approved)

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-ready data."""
        return {
            "leader": None if self.leader is None else self.leader.as_dict(),
            "followers": {name: [each.as_dict() for each in found] for name, found in self.followers.items()},
            "skipped": [{"follower": each.follower, "why": each.why} for each in self.skipped],
        }


@dataclass(frozen=True, slots=True)
class _Move:
    """What the leader does: how much of what it held it closes, and how much it opens."""

    order: Order  # the leader's, or one like its fill
    before: int
    closes: int
    opens: int
    instrument: Instrument | None
    price_e4: int | None
    fill: LeaderFill | None
    is_recorded: bool


def check_copies(guard: RiskGuard, asked: Order | LeaderFill, *, mode: Mode = "any") -> CopyDecision:
    """
    Judge every follower's copy of a leader's order, or of its fill.

    Args:
        asked: The leader's order, before it is sent: it is judged too. Or a fill that has happened: only the
            followers are judged, and entries the market has left behind are skipped.
        mode: `any` skips followers that are refused; `all` approves leader and followers together or nobody. A fill
            has happened: there it is always `any`.

    Raises:
        InputError: No such mode, or a malformed fill. UnknownAccountError, SettingsError: see `read_rules`.
    """
    if mode not in ("any", "all"):
        raise InputError(f"mode `{mode}` is not one of `any`, `all`")
    if isinstance(asked, Order) and asked.client_order_id is None:
        asked = asked.replaced(
            client_order_id=f"rg-{hashlib.sha256(repr(guard.clock.elapsed_us()).encode()).hexdigest()[:24]}"
        )
    guard.kept.leave_the_parent()
    with guard.store.session(durable=False, wait_s=2.0) as session:
        now_us = guard.clock.now_us()
        move = _move(guard, session, asked, now_us)
        rules = read_rules(session, move.order.account)
        leader_stopped = _is_stopped(guard, session, move.order.account, now_us) and not copies_go_on(session)
        planned, skipped = _planned(guard, session, move, rules, leader_stopped, now_us)
        guard.store.roll_back(session)
    if isinstance(asked, LeaderFill):
        followers = {rule.follower: _each(guard, orders, move) for rule, orders in planned}
        leader = None
    elif mode == "all":
        leader, followers = _together(guard, asked, [(rule, orders) for rule, orders in planned])
    else:
        leader = guard.check(asked)
        followers = {rule.follower: _each(guard, orders, move) for rule, orders in planned} if leader.approved else {}
        if not leader.approved:
            skipped += [Skipped(rule.follower, "the leader's own order was refused") for rule, _orders in planned]
    _note(guard, move, planned, followers, skipped, rules)
    return CopyDecision(leader, followers, tuple(skipped))


def _move(guard: RiskGuard, session: Session, asked: Order | LeaderFill, now_us: int) -> _Move:
    """Say what the leader does to its own position."""
    fill = asked if isinstance(asked, LeaderFill) else None
    order = asked if isinstance(asked, Order) else _like(asked)
    loaded = guard.kept.open(session, order.account, now_us)
    loader.know_instrument(session, loaded, order.instrument)
    line = loaded.account.positions.get(order.instrument, {}).get(order.product)
    recorded = False
    if fill is None:
        before = 0 if line is None else line.near
    else:
        row = session.row(
            RECORDED_FILL, account=fill.account, order_id=fill.order_id, security_id=fill.security_id,
            exchange_segment=fill.exchange_segment, side=fill.side,
        )  # fmt: skip
        recorded = bool(row and row[0])
        # A recorded fill is in the book already; one we were only told of is not.
        before = (0 if line is None else line.net) - (order.sign * order.quantity if recorded else 0)
    closes = min(order.quantity, max(0, -before * order.sign))
    return _Move(
        order, before, closes, order.quantity - closes, loaded.account.instruments.get(order.instrument),
        order.price_e4, fill, recorded,
    )  # fmt: skip


def _like(fill: LeaderFill) -> Order:
    """Return the order a fill would have been: a LIMIT order at its price."""
    if type(fill.at_us) is not int or fill.at_us <= 0:
        raise InputError(f"`at_us` = {fill.at_us!r}: wants microseconds since 1970 UTC")
    return Order(
        account=fill.account, exchange_segment=fill.exchange_segment, security_id=fill.security_id, side=fill.side,
        product=fill.product, order_type="LIMIT", quantity=fill.quantity, price=fill.price,
    )  # fmt: skip


def _is_stopped(guard: RiskGuard, session: Session, leader: str, now_us: int) -> bool:
    loaded = guard.kept.open(session, leader, now_us)
    flags = latch.look(guard.halt_directories, leader, now_us)
    with latch.obeyed(loaded.account, flags):
        return loaded.account.state is not TradingState.ACTIVE


def _planned(
    guard: RiskGuard, session: Session, move: _Move, rules: list[CopyRule], leader_stopped: bool, now_us: int
) -> tuple[list[tuple[CopyRule, tuple[Order, ...]]], list[Skipped]]:
    """Size every follower's copy: exits always, entries where they are still worth copying."""
    planned: list[tuple[CopyRule, tuple[Order, ...]]] = []
    skipped: list[Skipped] = []
    capital_e4 = copies.capital_e4(session, move.order.account)
    lot = move.instrument.lot_size if move.instrument is not None else 1
    for rule in rules:
        loaded = guard.kept.open(session, rule.follower, now_us)
        line = loaded.account.positions.get(move.order.instrument, {}).get(move.order.product)
        held = 0 if line is None else line.near
        orders: list[Order] = []
        if move.closes and held * move.order.sign < 0:
            units = exit_quantity(move.before, move.closes, held, lot)
            if units:
                orders.append(_exit(move, rule, units))
        why = ""
        if move.opens:
            why = _entry_skipped(guard, session, move, rule, leader_stopped, now_us)
            if not why:
                units, why = entry_quantity(
                    rule, move.opens, lot, capital_e4, copies.capital_e4(session, rule.follower), _unit_risk_e4(move)
                )
                if units:
                    orders.append(_entry(move, rule, units))
        if orders:
            planned.append((rule, tuple(orders)))
        if why or not orders:
            skipped.append(Skipped(rule.follower, why or "it holds nothing the leader's exit would close"))
    return planned, skipped


def _entry_skipped(
    guard: RiskGuard, session: Session, move: _Move, rule: CopyRule, leader_stopped: bool, now_us: int
) -> str:
    if leader_stopped:
        return "the leader is stopped: copies that add risk wait for its release"
    if move.fill is None:
        return ""
    if now_us - move.fill.at_us > rule.copy_delay_s:
        return f"the fill is {(now_us - move.fill.at_us) // 1_000_000} s old"
    quote = guard.newest_quote(session, move.order.instrument)
    market_e4 = None if quote is None else (quote.ask_e4 if move.order.sign > 0 else quote.bid_e4) or quote.ltp_e4
    if market_e4 is None or move.price_e4 is None:
        return ""
    if is_beyond(move.price_e4, market_e4, move.order.sign, rule.copy_slippage_pct):
        return f"the market is at {to_text(market_e4)}, beyond the slippage allowed from {to_text(move.price_e4)}"
    return ""


def _unit_risk_e4(move: _Move) -> int | None:
    order = move.order
    if (
        order.stop_loss_e4 is None
        or order.price_e4 is None
        or move.instrument is None
        or not move.instrument.multiplier
    ):
        return None
    return abs(order.price_e4 - order.stop_loss_e4) * move.instrument.multiplier


def _copied(move: _Move, rule: CopyRule, part: str, **changes: Any) -> Order:
    """The leader's order in the follower's account, under an id that asking again finds again."""
    named = (
        move.order.client_order_id
        if move.fill is None
        else f"{move.fill.order_id}|{move.fill.at_us}|{move.order.quantity}"
    )
    told = f"{move.order.account}|{named}|{rule.follower}|{part}"
    name = f"rgc-{hashlib.sha256(told.encode()).hexdigest()[:24]}"
    return move.order.replaced(account=rule.follower, client_order_id=name, disclosed_quantity=0, quote=None, **changes)


def _exit(move: _Move, rule: CopyRule, units: int) -> Order:
    if move.fill is None:
        return _copied(move, rule, "exit", quantity=units, stop_loss=None)
    # The leader is out: the follower follows at the market, whatever it has become.
    return _copied(move, rule, "exit", quantity=units, order_type="MARKET", price=None, stop_loss=None)


def _entry(move: _Move, rule: CopyRule, units: int) -> Order:
    if move.fill is None or move.price_e4 is None:
        return _copied(move, rule, "entry", quantity=units)
    tick_e4 = move.instrument.tick_e4 if move.instrument is not None else 0
    worst_e4 = worst_price_e4(move.price_e4, move.order.sign, rule.copy_slippage_pct, tick_e4)
    return _copied(move, rule, "entry", quantity=units, price=to_text(worst_e4))


def _each(guard: RiskGuard, orders: tuple[Order, ...], move: _Move) -> tuple[Decision, ...]:
    """Ask for one follower's orders one after the other; a flip's entry is not asked when its exit was refused."""
    found: list[Decision] = []
    for order in orders:
        decision = guard.check(order, emergency_exit=_leader_exit(move, order, len(orders)))
        found.append(decision)
        if not decision.approved:
            break
    return tuple(found)


def _leader_exit(move: _Move, order: Order, orders: int) -> str | None:
    """An exit that copies a recorded leader fill passes a halt once it is verified as reducing. Source: checks.md §5.2."""
    is_exit = bool(move.closes) and (order.order_type == "MARKET" or orders == 1)
    if move.fill is None or not move.is_recorded or not is_exit:
        return None
    return f"leader_exit {move.order.account} {move.fill.order_id}"


def _together(
    guard: RiskGuard, asked: Order, planned: Sequence[tuple[CopyRule, tuple[Order, ...]]]
) -> tuple[Decision, dict[str, tuple[Decision, ...]]]:
    """Decide leader and followers in one transaction: all of them, or nobody."""
    everyone = [asked, *(order for _rule, orders in planned for order in orders)]
    found: list[Decision] = []

    def ask() -> Decision:
        found[:] = _attempt(guard, everyone)
        return found[0]

    one = guard.answered(asked, ask)
    if not found or one is not found[0]:
        found[:] = [one, *(Decision(order, one.rejects, one.decided_at_us) for order in everyone[1:])]
    by_id = {(each.order.account, each.client_order_id): each for each in found}
    followers = {
        rule.follower: tuple(by_id[order.account, order.client_order_id] for order in orders)
        for rule, orders in planned
    }
    return found[0], followers


def _attempt(guard: RiskGuard, orders: list[Order]) -> list[Decision]:
    with guard.store.session(durable=False) as session:
        now_us = guard.clock.now_us()
        before = session.savepoint()
        found = [_one(guard, session, order, now_us) for order in orders]
        if all(each.approved for each in found):
            before.release()
        else:
            session.make_durable()
            # What was granted on the way is taken back with its journal entries; the refusals are written instead.
            before.back()
            session.heads.clear()
            refused = ", ".join(sorted({each.order.account for each in found if not each.approved}))
            found = [each if not each.approved else _not_alone(each, refused) for each in found]
            for each in found:
                loaded = guard.kept.open(session, each.order.account, now_us)
                if not each.recorded:
                    guard.refuse(session, loaded, each)
    for each in found:
        each.recorded = True
    return found


def _one(guard: RiskGuard, session: Session, order: Order, now_us: int) -> Decision:
    flags = latch.look(guard.halt_directories, order.account, now_us)
    loaded: Loaded = guard.kept.open(session, order.account, now_us)
    known = journal.known(session, order.account, order.client_order_id)
    if known is not None:
        return restate(guard, session, loaded, order, known, now_us)
    loader.know_instrument(session, loaded, order.instrument)
    quote = guard.newest_quote(session, order.instrument)
    if quote is not None:
        loaded.account.quotes[order.instrument] = quote
    supply.at_check(session, loaded, order, now_us, guard.newest_quote)
    with latch.obeyed(loaded.account, flags):
        decision = decide(order, loaded.account, now_us)
    if decision.approved:
        guard.grant(session, loaded, decision, "")
    return decision


def _not_alone(decision: Decision, refused: str) -> Decision:
    reject = Reject(
        RejectCode.COPY_REFUSED, max_quantity=0, detail=f"refused for {refused}: in mode `all` nobody trades alone",
        hint="mode `any` skips followers that are refused",
    )  # fmt: skip
    # Without its facts: they gave an approval, and replaying them would again.
    return Decision(decision.order, (reject,), decision.decided_at_us, None, decision.limits_digest)


def _note(
    guard: RiskGuard, move: _Move, planned: Sequence[tuple[CopyRule, tuple[Order, ...]]],
    followers: dict[str, tuple[Decision, ...]], skipped: list[Skipped], rules: list[CopyRule],
) -> None:  # fmt: skip
    """Write one mapping per follower: what was approved, refused or skipped. Losing one loses no order."""
    sized = {rule.follower: sum(order.quantity for order in orders) for rule, orders in planned}
    why = {each.follower: each.why for each in skipped}
    with guard.store.session(durable=False, wait_s=2.0) as session:
        for rule in rules:
            decisions = followers.get(rule.follower, ())
            approved = [each for each in decisions if each.approved]
            status = "pending" if approved else "failed" if decisions else "cancelled"
            said = "; ".join(each.explain() for each in decisions if not each.approved) or why.get(rule.follower, "")
            copies.note(
                session, leader=copies.leader_name(move.order, None if move.fill is None else move.fill.order_id),
                follower=rule.follower, leader_quantity=move.order.quantity,
                follower_quantity=sum(each.order.quantity for each in approved), sizing=rule.sizing,
                ratio=float(ratio_of(sized.get(rule.follower, 0), move.order.quantity)), status=status, why=said,
                follower_order=approved[-1].permit.row.correlation_id if approved and approved[-1].permit else None,  # type: ignore[attr-defined]
                now_us=guard.clock.now_us(),
            )  # fmt: skip
