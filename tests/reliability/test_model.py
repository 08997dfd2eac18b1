"""
A model of guard, kill, sweep and restart, played by hypothesis against the real thing: whatever order they come in, the answers
are the model's.

The model is four numbers: which scopes are killed, what the one instrument holds, what is reserved for it, what rests. Who acts: a
strategy in one process and another in a second, the operator, the sweep, plain SQL, the broker's own messages. A failure is shrunk
to the fewest steps that show it.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from riskguard import admin
from riskguard.core.state import TradingState
from riskguard.errors import PermitError, PermitNotSendableError, ReleaseRefusedError
from tests.reliability.actors import times
from tests.reliability.claiming import Claims
from tests.services.desk import ACCOUNT, EachDesk, rulebook
from tests.services.feeding import Feed, update

POSITION_MAX = 20
HOLD_S = 60
TEXT = rulebook(net_position=f'check = "net_position"\nposition_max = "{POSITION_MAX}"\nunit = "units"')
LOOSENING = (
    "UPDATE traders_control SET position_size_limit = position_size_limit * 10 WHERE position_size_limit IS NOT NULL",
    "DELETE FROM traders_control",
    "UPDATE traders_control SET kill_switch_status = 'INACTIVE' WHERE kill_switch_status <> 'INACTIVE'",
    "UPDATE permits SET quantity = 0",
    "DELETE FROM decisions",
)
_numbers = itertools.count()


class Play(RuleBasedStateMachine):
    """The desk and the model, step by step. `each_desk` is set by the test."""

    each_desk: EachDesk

    permits = Bundle("permits")

    @initialize()
    def begin(self) -> None:
        self.world = contextlib.ExitStack()
        self.desk = self.world.enter_context(self.each_desk(text=TEXT, hold_s=HOLD_S))
        self.killed: dict[str, int] = {}  # scope -> when
        self.held = 0
        self.reserved: dict[str, tuple[int, int]] = {}  # id -> signed quantity, when it expires
        self.desk.quote("100")
        self.other = self.desk.another_guard()
        self.feed = Feed(self.desk)
        self.desk.sweep()

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.other.close()
            self.desk.close()
            self.world.close()

    # -- what is done ---------------------------------------------------------------------------------------------

    @rule(
        target=permits, side=st.sampled_from(["BUY", "SELL"]), quantity=st.integers(1, POSITION_MAX + 5),
        elsewhere=st.booleans(),
    )  # fmt: skip
    def check(self, side: str, quantity: int, elsewhere: bool) -> Any:
        """
        An order that rests far from the market, so that nothing fills before it is meant to.

        It is asked *elsewhere* too: of the guard of another process, which has only the database to know from.
        """
        now_us = self.desk.clock.now_us()
        self.reserved = {name: kept for name, kept in self.reserved.items() if kept[1] > now_us}
        asked = self.desk.order(side, quantity, "50" if side == "BUY" else "200")
        decision = (self.other if elsewhere else self.desk.guard).check(asked)
        sign = 1 if side == "BUY" else -1
        same = sum(abs(signed) for signed, _ in self.reserved.values() if (signed > 0) == (sign > 0))
        fits = sign * self.held + same + quantity <= POSITION_MAX
        leaving = 0 < quantity <= -sign * self.held - same
        assert decision.approved is (not self.killed and (fits or leaving)), (
            decision.explain(),
            self.killed,
            self.held,
            self.reserved,
        )
        assert decision.recorded
        if not decision.approved:
            return multiple()
        self.reserved[str(asked.client_order_id)] = (sign * quantity, now_us + 10_000_000)
        return decision

    @rule(decision=consumes(permits))
    def send(self, decision: Any) -> None:
        """It goes out while its permit stands; it is cancelled at once, so that only the permit's way is the matter."""
        name = str(decision.order.client_order_id)
        kept = self.reserved.get(name)
        stands = kept is not None and kept[1] > self.desk.clock.now_us() and not self.killed
        try:
            with decision.permit.sending() as wire:
                wire.order_id = self.desk.broker.place(decision.approved_order)
        except PermitNotSendableError:
            assert not stands, (name, kept)
            return
        assert stands, (name, kept, self.killed)
        self.desk.broker.cancel(str(wire.order_id))
        self.desk.sweep()
        self.reserved.pop(name, None)
        assert self.desk.permit(name) == "CANCELLED"

    @rule(decision=consumes(permits))
    def ask_again(self, decision: Any) -> None:
        """The same order under the same id: yes only while its permit stands."""
        kept = self.reserved.get(str(decision.order.client_order_id))
        stands = kept is not None and kept[1] > self.desk.clock.now_us() and not self.killed
        assert self.desk.guard.check(decision.order).approved is stands

    @rule(quantity=st.integers(-5, 5).filter(bool))
    def fill(self, quantity: int) -> None:
        """Trade at the market and let the fill settle, where the limit and the state leave room."""
        if self.killed or abs(self.held + quantity) > POSITION_MAX // 2 or self.reserved:
            return
        self.desk.quote("100")
        self.desk.place(self.desk.order("BUY" if quantity > 0 else "SELL", abs(quantity), "100"))
        self.held += quantity
        self.desk.sweep()
        self.desk.sweep(6)

    @rule(account=st.sampled_from([ACCOUNT, ACCOUNT, None]))
    def kill(self, account: str | None) -> None:
        assert self.desk.kill(account, plan="halt").exit_status == 0
        self.killed[account or "GLOBAL"] = self.desk.clock.now_us()
        self.reserved.clear()  # nobody stands behind any of them: all are void

    @rule()
    def kill_by_sql(self) -> None:
        """Another program writes a kill row, without a flag and without asking anybody."""
        now_s = self.desk.clock.now_us() // 1_000_000
        self.desk.sql(
            "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
            "VALUES (?, 'KILL_SWITCH', 'ACTIVE', 1, ?, ?)", ACCOUNT, now_s, now_s,
        )  # fmt: skip
        self.killed[ACCOUNT] = now_s * 1_000_000
        self.reserved.clear()

    @rule(statement=st.sampled_from(LOOSENING))
    def loosen_by_sql(self, statement: str) -> None:
        """Another program lets go by itself: the database says no, or nothing of it counts."""
        with contextlib.suppress(sqlite3.Error, psycopg.Error):
            self.desk.sql(statement)

    @rule(body=st.sampled_from(["Traded", "Rejected", "Cancelled", "Pending"]), posted=st.booleans())
    def is_told(self, body: str, posted: bool) -> None:
        """The broker tells of an order nobody here sent: it is kept, and frees and holds nothing of ours."""
        told = update(f"X{next(_numbers)}", body, securityId="2885", tradedQty=0)
        if posted:
            self.feed.post(told)
        else:
            self.feed.tell(told)

    @rule(decision=consumes(permits))
    def give_back(self, decision: Any) -> None:
        """What is not wanted any more is given back: its room is free, and its id stays used."""
        name = str(decision.order.client_order_id)
        if self.desk.permit(name) != "GRANTED":
            return
        with contextlib.suppress(PermitError):
            decision.permit.release()
        self.reserved.pop(name, None)
        assert not self.desk.guard.check(decision.order).approved

    @rule(account=st.sampled_from([ACCOUNT, ACCOUNT, None]))
    def release(self, account: str | None) -> None:
        """A person lets go, once the hold is over."""
        scope = account or "GLOBAL"
        since_us = self.killed.get(scope)
        early = since_us is not None and self.desk.clock.now_us() - since_us < HOLD_S * 1_000_000
        try:
            admin.release(self.desk.store, account, by="priya", reason="looked at it", clock=self.desk.clock)
        except ReleaseRefusedError as e:
            assert early, e
            return
        assert not early
        self.killed.pop(scope, None)

    @rule(seconds=st.sampled_from([1, 11, 61]))
    def wait(self, seconds: int) -> None:
        self.desk.sweep(seconds)
        self.desk.quote("100")

    @rule(orderly=st.booleans())
    def restart(self, orderly: bool) -> None:
        """The process ends and another begins; permits given by the first are good in the second under their id alone."""
        if orderly:
            self.desk.guard.close()
        else:
            self.desk.guard.store.close()
        again = self.desk.beside(ACCOUNT)
        again._asked = self.desk._asked
        if self.desk._broker is not None:
            self.desk._broker.close()
        self.desk = again
        self.other.close()
        self.other = self.desk.another_guard()
        self.feed = Feed(self.desk)
        self.desk.quote("100")

    # -- what is always so ------------------------------------------------------------------------------------------

    @invariant()
    def state_is_the_models(self) -> None:
        if hasattr(self, "desk"):
            expected = TradingState.HALTED if self.killed else TradingState.ACTIVE
            assert self.desk.guard.state(ACCOUNT).state is expected, self.killed
            assert self.other.state(ACCOUNT).state is expected, self.killed

    @invariant()
    def what_is_out_never_passes_the_limit(self) -> None:
        """Whatever the model thinks: held and granted together, from the rows themselves."""
        if hasattr(self, "desk"):
            granted = dict(
                self.desk.rows("SELECT side, sum(quantity) FROM permits WHERE state = 'GRANTED' GROUP BY side")
            )
            assert self.held + granted.get("BUY", 0) <= POSITION_MAX >= granted.get("SELL", 0) - self.held, granted


STEPS = times(14, 50)


def machine_of(each_desk: EachDesk) -> type[Play]:
    """Return the play with its desks: hypothesis makes the instances."""
    return type("Machine", (Play,), {"each_desk": staticmethod(each_desk)})


@pytest.mark.claim(
    "I2", "plays of checks, sends, kills, releases, sweeps and restarts", of="plays", ci=18, soak=120, seconds=130
)
def test_whatever_order_they_come_in(claim: Claims, each_desk: EachDesk) -> None:
    """They answer as four numbers say they must, and never pass the limit together."""
    shown = claim("I2")
    run_state_machine_as_test(
        machine_of(each_desk),
        settings=settings(
            max_examples=shown.figure, stateful_step_count=STEPS, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    shown.trials(shown.figure)
    shown.counted(steps_at_most=shown.figure * STEPS)


def test_the_control_a_model_that_forgets_a_halt_disagrees(each_desk: EachDesk) -> None:
    """The play can fail: where the model lifts a halt with the process that saw it, the desk does not."""
    machine = machine_of(each_desk)()
    machine.begin()
    try:
        machine.kill(ACCOUNT)
        machine.restart(orderly=False)
        machine.state_is_the_models()  # both say HALTED
        machine.killed.clear()
        with pytest.raises(AssertionError):
            machine.state_is_the_models()
    finally:
        machine.teardown()
