"""
One seeded day: what can be done in it, what must be true after each step, and how it ends.

A day is a sequence of steps drawn from its seed. Whoever acts goes through `ask`, `send`, `sweep`, `kill` and `release`, and
each of them looks at once whether a promise was broken. `Broken` says which, in which step of which seed.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from riskguard import admin
from riskguard.brokers.paper import PaperSettings
from riskguard.brokers.paper.events import Event
from riskguard.brokers.paper.orders import order_id
from riskguard.core.decide import Decision
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.state import TradingState
from riskguard.errors import BrokerError, PermitNotSendableError, ReleaseRefusedError
from riskguard.services import overview
from tests.services.desk import ACCOUNT, CALL, COVER, DAY, FUTURE, SECOND, SHARE
from tests.services.killing import Judge, Rounds
from tests.simulator.truth import Truth
from tests.simulator.world import FIRST_E4, INSTRUMENTS, OPENS_US, POSITION_MAX, World

STEPS: Final = 16
CLOSES_US: Final = OPENS_US + (6 * 3600 + 10 * 60) * SECOND
"""15:25 in India."""
SETTLING_ROUNDS_MAX: Final = 60
TRANSIT_S_MAX: Final = 6
"""Longer than any order is on its way: see `broker_manners`."""
NEEDS_A_PERSON: Final = ("EXIT_UNANSWERED", "HEDGE_FIRST")
"""An exit nobody answered is not sent twice, and a cover stays while the plan keeps what it covers."""
LIVE: Final = "state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN')"


class Broken(AssertionError):
    """A promise was broken; the message names the seed, the step and the promise."""


@dataclass
class Halt:
    """
    A stretch in which riskguard said that the account is halted.

    `after` is the number of the last event before it and `to` that of its last one: the wall clock may jump back.
    """

    from_us: int
    after: int
    plans: set[str]
    carried: dict[Any, int]
    to: int | None = None


@dataclass
class Day:
    """See the module. `echo` prints each step as it happens."""

    world: World
    seed: int
    chance: random.Random
    echo: bool = False
    step: int = 0
    done: list[str] = field(default_factory=list)
    halted: dict[str, set[str]] = field(default_factory=dict)  # by scope: plans of kills acknowledged, not released
    reducing: bool = False  # a release said REDUCE_ONLY
    halts: list[Halt] = field(default_factory=list)
    carried: dict[Any, int] = field(default_factory=dict)  # what came in from the day before
    waiting: list[Decision] = field(default_factory=list)  # approved and not sent yet
    sent: list[Order] = field(default_factory=list)
    looks: list[tuple[int, int]] = field(default_factory=list)  # see Rounds: the sweeps that saw everything
    seen_until_us: int = -1  # what filled up to then, the last sweep that saw everything could see: waiting time
    fill_seen_us: int = 0  # waiting time of the last step in which something filled
    jumped: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    _number: int = 0

    def __post_init__(self) -> None:
        self.truth = Truth(self.world.events)

    # -- saying -------------------------------------------------------------------------------------------------

    def say(self, what: str) -> None:
        minute = (self.world.clock.now_us() - OPENS_US) / (60 * SECOND)
        line = f"{self.step:3} {minute:7.2f} min  {what}"
        self.done.append(line)
        if self.echo:
            print(line)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def hold_to(self, kept: bool, promise: str) -> None:
        """Raise Broken unless *kept*."""
        if not kept:
            last = "\n".join(self.done[-12:])
            raise Broken(
                f"seed {self.seed}, step {self.step}: {promise}\n{last}\nreplay: python -m tests.simulator {self.seed}"
            )

    def read(self) -> list[Event]:
        """Take in what the broker's log has new, and note when something had filled."""
        fresh = self.truth.read()
        if any(each.what == "FILLED" for each in fresh):
            self.fill_seen_us = self.world.clock.elapsed_us()
        return fresh

    # -- what everybody does through here ---------------------------------------------------------------------------

    def order(self, instrument: Instrument, side: str, quantity: int, price_e4: int | None, **more: Any) -> Order:
        """Make an order with an id of its own; a MARKET order without a price."""
        self._number += 1
        fields: dict[str, Any] = {
            "account": ACCOUNT, "client_order_id": f"d-{self._number}", "exchange_segment": instrument.exchange_segment,
            "security_id": instrument.security_id, "side": side, "quantity": quantity,
            "product": "INTRADAY" if instrument is SHARE else "MARGIN",
            "order_type": "MARKET" if price_e4 is None else "LIMIT",
            "price": None if price_e4 is None else to_text(price_e4),
        }  # fmt: skip
        return Order(**{**fields, **more})

    def ask(self, order: Order, *, emergency: str | None = None) -> Decision:
        """Check one order and hold the answer to what was acknowledged before."""
        self.read()
        decision = self.world.guard.check(order, emergency_exit=emergency)
        self.count("approved" if decision.approved else "refused")
        self.hold_to(decision.approved or bool(decision.rejects), "a refusal says why")
        self.hold_to(
            not any(each.code.value == "CHECK_BROKEN" for each in decision.rejects),
            f"no check breaks: {decision.explain()}",
        )
        # What another exit has to make room for is only a promise: it is held to when it is sent.
        if decision.approved and (self.halted or self.reducing) and not decision.cancel_first:
            takes_away = self.truth.reduces(order.instrument, order.side, order.quantity)
            self.hold_to(
                takes_away, f"nothing that adds risk is approved under {[*self.halted] or 'REDUCE_ONLY'}: {order!r}"
            )
        if decision.approved and self.halted:
            self.hold_to(emergency is not None, f"no approval while halted: {order!r}")
        return decision

    def send(self, decision: Decision) -> bool:
        """Send an approved order; says whether the broker took it."""
        assert decision.permit is not None
        correlation_id = decision.approved_order.correlation_id
        emergency = decision.permit.row.emergency_by
        asked = decision.adjusted_to or decision.order
        self.read()
        takes_away = self.truth.reduces(asked.instrument, asked.side, asked.quantity)
        try:
            with decision.permit.sending() as wire:
                wire.order_id = self.world.broker.place(decision.approved_order)
        except PermitNotSendableError:
            self.read()
            self.hold_to(self.truth.placed[correlation_id] <= 1, "an order goes out at most once")
            return False
        except BrokerError as e:
            self.say(f"    the broker: {type(e).__name__}")
        self.read()
        reached = self.truth.placed[correlation_id]
        self.hold_to(reached <= 1, "an order goes out at most once")
        self.hold_to(
            not (reached and self.halted and not emergency), "what was not sent before a kill is not sent after it"
        )
        if decision.cancel_first and reached and (self.halted or self.reducing):
            self.hold_to(takes_away, f"an exit that waited for room closes what is held: {asked!r}")
        self.sent.append(decision.order)
        self.count("sent")
        return bool(reached)

    def trade(self, order: Order) -> bool:
        decision = self.ask(order)
        return decision.approved and self.send(decision)

    def sweep(self, *, now: bool = False) -> Any:
        """Let the sweep run, and hold its figures to the ledger."""
        self.world.clock.advance(0.2)
        self.world.tell(market=False)
        from_us = self.world.clock.now_us()
        self.read()
        after = len(self.truth.events)
        report = self.world.sweeper.sweep(now=now)
        fresh = self.read()
        if report.killed:
            self.say("    the sweep kills: " + "; ".join(each.message for each in report.findings[:2]))
            self._halt(ACCOUNT, "flatten", from_us, after)
            self.count("killed by loss")
        if report.pnl is not None and not report.failures:
            # A quote older than the one held is ignored: until time has caught up the marks are the old ones.
            is_quoted = self.world.clock.now_us() >= self.world.quoted_us
            if is_quoted and not any(each.what == "PLACED" for each in fresh):
                self._compare(report.pnl)
            self.seen_until_us = self.world.clock.elapsed_us() - self.world.settings.position_lag_us
            self.looks.append((from_us, self.truth.events[-1].number if self.truth.events else 0))
            self.jumped = not is_quoted
        return report

    def _compare(self, pnl: Any) -> None:
        worth_e4 = self.truth.worth_e4(self.world.market.prices_e4)
        self.hold_to(pnl.realised_e4 is not None and pnl.unrealised_e4 is not None, f"the day's P&L is known: {pnl}")
        said_e4 = pnl.realised_e4 + pnl.unrealised_e4
        self.hold_to(said_e4 == worth_e4, f"P&L {said_e4} equals the ledger's {worth_e4}: {pnl.lines}")
        self.hold_to(pnl.total_e4 == said_e4 - pnl.charges_e4 + pnl.adjustment_e4, f"the parts add up: {pnl}")
        self.count("P&L compared")

    def kill(self, account: str | None, plan: str) -> None:
        self.world.clock.advance(0.2)
        from_us = self.world.clock.now_us()
        outcome = self.world.guard.kill(account, by="desk", reason="simulated", plan=plan)
        self.hold_to(outcome.exit_status == 0, f"a kill is taken: {outcome.report()}")
        self._halt(account or "GLOBAL", plan, from_us)
        self.count("killed")

    def _halt(self, scope: str, plan: str, from_us: int, after: int | None = None) -> None:
        self.read()
        self.halted.setdefault(scope, set()).add(plan)
        number = len(self.truth.events) if after is None else after
        if self.halts and self.halts[-1].to is None:
            if self.halts[-1].plans != {"halt"} or plan == "halt":
                self.halts[-1].plans.add(plan)
                return
            self.halts[-1].to = number  # nobody was to touch an order before this one
        self.halts.append(Halt(from_us, number, {plan}, dict(self.carried)))

    def note_kill(self, scope: str, plan: str = "cancel") -> None:
        """A kill that did not come through `kill`: a flag alone, a row by SQL."""
        self._halt(scope, plan, self.world.clock.now_us())

    def release(self, account: str | None) -> bool:
        """Try to release; says whether it was."""
        self.read()
        scope = account or "GLOBAL"
        try:
            released = admin.release(
                self.world.guard.store, account, by="priya", reason="looked at it", approver="ravi", typed_scope=scope,
                clock=self.world.clock,
            )  # fmt: skip
        except ReleaseRefusedError as e:
            self.say(f"    refused: {e}")
            return False
        self.halted.pop(scope, None)  # and with the kills their runs end: what they had not closed yet stays
        # Of GLOBAL it says how GLOBAL stands; an account may have a halt of its own.
        if account is not None and released.state is not TradingState.HALTED:
            self.hold_to(not self.halted, f"a release of {scope} lifts no other halt: {[*self.halted]}")
            self.reducing = released.state is TradingState.REDUCE_ONLY
        if not self.halted and self.halts and self.halts[-1].to is None:
            self.halts[-1].to = len(self.truth.events)
        self.count("released")
        return True

    # -- what is true after every step ------------------------------------------------------------------------------------

    def carry(self, instrument: Instrument, quantity: int) -> None:
        """Come into the day with a position."""
        close_e4 = FIRST_E4[instrument.key]
        self.world.broker.carry(*instrument.key, "MARGIN", quantity, close_e4)
        line = (*instrument.key, "MARGIN")
        self.truth.net[line] += quantity
        self.truth.cash_e4 -= quantity * close_e4
        self.carried[line] = quantity

    def look(self) -> None:
        """Hold the world to the promises about what is reserved, resting and held."""
        self.read()
        granted = {
            (segment, security, side): quantity
            for segment, security, side, quantity in self.world.outside.execute(
                # An exit that waits for the room of another one is not sent while that one is there.
                "SELECT exchange_segment, security_id, side, sum(quantity) FROM permits "  # noqa: S608
                f"WHERE account = ? AND {LIVE} AND state = 'GRANTED' AND cancel_first = '[]' GROUP BY 1, 2, 3",
                (ACCOUNT,),
            )
        }
        for instrument in INSTRUMENTS:
            held = self.truth.held(instrument.key)
            buys, sells = self.truth.resting(instrument.key)
            up = held + buys + granted.get((*instrument.key, "BUY"), 0)
            down = -held + sells + granted.get((*instrument.key, "SELL"), 0)
            reach = max(up if buys or up > held else 0, down if sells or down > -held else 0, abs(held))
            self.hold_to(
                reach <= POSITION_MAX, f"{instrument.symbol} can reach {reach} of {POSITION_MAX}: limits hold together"
            )
        naked = max(0, -self.truth.held(CALL.key)) - max(0, self.truth.held(COVER.key))
        self.hold_to(naked <= 0, f"{naked} short calls have no cover")

    def state(self) -> TradingState:
        state = self.world.guard.state(ACCOUNT).state
        if self.halted:
            self.hold_to(state is TradingState.HALTED, f"a halt stands until it is released, not {state.name}")
        return state

    def try_exit(self) -> None:
        """Where everything is settled an exit of exactly what is held is let out: by the state, or by a person."""
        self.world.pass_time(2)
        self.read()
        if self.truth.live_orders() or not self._is_settled():
            return
        for instrument in INSTRUMENTS:
            held = self.truth.held(instrument.key)
            other = {CALL: COVER, COVER: CALL}.get(instrument)
            if not held or (held > 0 and other is not None and self.truth.held(other.key) < 0):
                continue  # it covers a short option, which goes first
            state = self.state()
            order = self.order(instrument, "SELL" if held > 0 else "BUY", abs(held), self.world.price_e4(instrument))
            decision = self.ask(order, emergency="priya" if state is TradingState.HALTED else None)
            what = f"an exit of {held} {instrument.symbol}"
            self.hold_to(decision.approved, f"{what} is let out of {state.name}: {decision.explain()}")
            self.count("exits let out")
            self.say(f"    exit of {held} {instrument.symbol} under {state.name}")
            if self.chance.random() < 0.7:
                self.send(decision)
            return

    def _is_settled(self) -> bool:
        clock = self.world.clock
        if self.jumped or self.seen_until_us < self.fill_seen_us + SECOND or clock.at_us >= CLOSES_US + DAY // 4:
            return False
        live = self.world.outside.execute(f"SELECT count(*) FROM permits WHERE {LIVE}").fetchone()[0]  # noqa: S608
        runs = self.world.outside.execute("SELECT count(*) FROM kill_runs WHERE state <> 'DONE'").fetchone()[0]
        return not live and not runs

    # -- the end -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Mend the broker, let the kill runs end, cancel what rests; then everything adds up."""
        world = self.world
        self.step += 1
        self.say("the day ends")
        world.broker.behave("all", "ok")
        world.behave(PaperSettings(hang_s=0))
        runs = self._rest("SELECT id, kill_plan, state, step, detail, blocked_by FROM kill_runs WHERE state <> 'DONE'")
        asking = [run for run in runs if run[2] == "BLOCKED" and run[5] in NEEDS_A_PERSON]
        # Two kills of one account close a position once: the later run waits for the one that has sent its exit.
        waiting = [run for run in runs if any(run[4].endswith(f"are left to kill run {each[0]}") for each in asking)]
        stuck = [run for run in runs if run not in asking and run not in waiting]
        self.hold_to(not stuck, f"every kill run ends, or says what a person must decide: {runs}")
        self._judge_halts()
        if not runs and any("flatten" in plans for plans in self.halted.values()):
            # What was carried in is another day's decision: a plan closes it only where it names the product.
            left = {line: net for line, net in self.truth.net.items() if net and line not in self.carried}
            self.hold_to(not left, f"a kill that flattens leaves nothing: {left}")
        last_us = max((each.at_us for each in self.truth.events), default=0)
        if world.clock.now_us() < last_us:
            # Set back, the clock has to come to where the last order reaches the market: none is cancelled on its way there.
            world.pass_time(TRANSIT_S_MAX + (last_us - world.clock.now_us()) / SECOND)
            self.read()
        for number in self.truth.live_orders():
            with contextlib.suppress(BrokerError):
                world.guard.cancel(ACCOUNT, broker_id(number), world.broker.cancel)
        # What nobody ever answered, and the broker never showed, stays reserved to the end of the day.
        lost = tuple(name for name, reached in self._reached().items() if not reached)
        never = f"AND client_order_id NOT IN ({', '.join('?' * len(lost))})"
        live = self._rest(f"SELECT client_order_id, state, detail FROM permits WHERE {LIVE} {never}", *lost)  # noqa: S608
        self.hold_to(not live, f"every permit settles: {live}")
        self.hold_to(not self.truth.live_orders(), "what was cancelled is gone")
        self.try_exit()
        self._night()

    def _reached(self) -> dict[str, int]:
        """Return how often each order of unknown fate was placed at the broker."""
        rows = self.world.outside.execute("SELECT client_order_id, correlation_id FROM permits WHERE state = 'UNKNOWN'")
        return {name: self.truth.placed[correlation_id] for name, correlation_id in rows}

    def _rest(self, query: str, *values: object) -> list[Any]:
        """Sweep until *query* finds nothing more, or long enough; returns what it finds."""
        found: list[Any] = []
        for number in range(SETTLING_ROUNDS_MAX):
            self.world.pass_time(3 if number < 20 else 30)
            self.sweep()
            self.look()
            found = self.world.outside.execute(query, values).fetchall()
            if number >= 1 and not found:
                break
        return found

    def _judge_halts(self) -> None:
        asked = "SELECT target, min(at_us) FROM kill_steps WHERE step = 'CANCEL' AND state <> 'INTENDED' GROUP BY 1"
        at_us = dict(self.world.outside.execute(asked).fetchall())
        asked_us = {number: at_us[name] for number in self.truth.orders if (name := broker_id(number)) in at_us}
        for halt in self.halts:
            # The plan `halt` touches no order: what was there before it goes on.
            looks = [] if halt.plans == {"halt"} else self.looks
            rounds = Rounds(looks, asked_us)
            wrong = Judge(self.truth.events[: halt.to], halt.from_us, rounds, halt.after).replay(halt.carried)
            grown = self._grown_since(halt)
            wrong = [each for each in wrong if not any(each.startswith(f"naked: {line}") for line in grown)]
            self.hold_to(not wrong, f"nothing is naked, crossed or hammered by the kill: {wrong}")

    def _grown_since(self, halt: Halt) -> set[Any]:
        """Return the lines an order of before the kill still added to: the market was quicker than the cancellation."""
        net, placed, grown = dict(halt.carried), {}, set()
        orders: dict[str, dict[str, Any]] = {}
        for event in self.truth.events[: halt.to]:
            if event.what == "PLACED":
                orders[event.order_id], placed[event.order_id] = event.fields, event.number
            elif event.what == "FILLED":
                order = orders[event.order_id]
                line = (order["exchange_segment"], order["security_id"], order["product"])
                before = net.get(line, 0)
                net[line] = before + event.fields["quantity"] * (1 if order["side"] == "BUY" else -1)
                if event.number > halt.after >= placed[event.order_id] and abs(net[line]) > abs(before):
                    grown.add(line)
        return grown

    def _night(self) -> None:
        """The journal verifies and replays; a halt is there in the morning, and no reservation is."""
        world = self.world
        for found in overview.verify(world.guard.store):
            self.hold_to(found["wrong"] is None and not found["replay_disagrees"], f"the journal verifies: {found}")
        world.clock.advance((OPENS_US + DAY + 60 * SECOND - world.clock.now_us()) / SECOND)
        world.pass_time(1)
        began_us = world.clock.now_us()
        world.sweeper.sweep()
        # What a kill run that was blocked sends in the morning is the morning's.
        old = f"SELECT client_order_id, state FROM permits WHERE {LIVE} AND coalesce(sent_at_us, 0) < ?"  # noqa: S608
        live = world.outside.execute(old, (began_us,)).fetchall()
        self.hold_to(not live, f"no reservation outlives its day: {live}")
        self.state()
        if self.halted:
            self.ask(self.order(SHARE, "BUY", 1, world.price_e4(SHARE)))


def broker_id(number: str) -> str:
    """Return the broker's id of an order of its event log."""
    return order_id(int(number))


def live_day(template: Path, directory: Path, seed: int, *, echo: bool = False) -> Day:
    """Live the day of *seed* from opening to the next morning; raises Broken. Returns it for its counts."""
    from tests.simulator.people import ACTIONS  # they act on a Day

    chance = random.Random(seed)
    world = World(template, directory, chance)
    day = Day(world, seed, chance, echo)
    try:
        if chance.random() < 0.25:
            day.carry(FUTURE, 25)
        world.pass_time(1)
        day.sweep()
        names, weights = list(ACTIONS), [weight for weight, _act in ACTIONS.values()]
        for number in range(1, STEPS + 1):
            day.step = number
            world.pass_time(chance.choice((0.3, 1, 2, 2, 3, 6, 12, 45, 300, 1500)))
            if world.clock.now_us() >= CLOSES_US:
                break
            (name,) = chance.choices(names, weights)
            day.say(name)
            day.count(name)
            try:
                ACTIONS[name][1](day)
            except Broken:
                raise
            except Exception as e:
                raise Broken(f"seed {seed}, step {number}: `{name}` raised {type(e).__name__}: {e}") from e
            day.look()
            if chance.random() < 0.6:
                day.sweep(now=chance.random() < 0.2)
                day.look()
            if chance.random() < 0.25:
                day.try_exit()
        day.settle()
    finally:
        world.close()
    return day
