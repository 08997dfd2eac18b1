"""
Who acts in a day: strategies good and bad, the operator, and whoever breaks things. One function each; `ACTIONS` weighs them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Final

from riskguard.brokers.paper import PaperSettings
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.state import TradingState
from riskguard.errors import BrokerError, PermitError
from riskguard.services.kill.killswitch import raise_flags
from tests.services.desk import ACCOUNT, CALL, COVER, FUTURE, SHARE, locked
from tests.simulator.day import Day, broker_id

# -- strategies ---------------------------------------------------------------------------------------------------


def _near_e4(day: Day, instrument: Instrument) -> int:
    """A price at, inside or outside the market, on the tick."""
    return max(500, day.world.price_e4(instrument) + 500 * day.chance.choice((-20, -4, 0, 0, 0, 4, 20)))


def cash(day: Day) -> None:
    """A share, either side, any small quantity, at a limit or at market; now and then too much."""
    side = day.chance.choice(("BUY", "SELL"))
    quantity = day.chance.choice((5, 10, 20, 40, 60, 110))
    price_e4 = None if day.chance.random() < 0.2 else _near_e4(day, SHARE)
    day.trade(day.order(SHARE, side, quantity, price_e4, strategy="cash"))


def stop(day: Day) -> None:
    """Protect what is held of the share with a stop."""
    held = day.truth.held(SHARE.key)
    if not held:
        return cash(day)
    sign = -1 if held > 0 else 1
    trigger_e4 = day.world.price_e4(SHARE) + sign * 10_000
    more = {"order_type": "STOP_LOSS", "trigger_price": str(trigger_e4 / 10_000), "strategy": "cash"}
    day.trade(day.order(SHARE, "SELL" if held > 0 else "BUY", abs(held), trigger_e4 + sign * 5_000, **more))
    return None


def buyer(day: Day) -> None:
    """Buy a call, or sell the one that is held."""
    held = day.truth.held(CALL.key)
    side = "SELL" if held > 0 and day.chance.random() < 0.6 else "BUY"
    quantity = 25 if held <= 25 or day.chance.random() < 0.5 else held
    day.trade(day.order(CALL, side, quantity, _near_e4(day, CALL), strategy="buyer"))


def spread(day: Day) -> None:
    """Buy the cover, then sell the call against it, whether or not the first was filled; sometimes the wrong way round."""
    legs = [(COVER, "BUY"), (CALL, "SELL")]
    if day.chance.random() < 0.3:
        legs.reverse()
    for instrument, side in legs:
        day.trade(day.order(instrument, side, 25, day.world.price_e4(instrument), strategy="spread"))
        if day.chance.random() < 0.6:
            day.world.pass_time(2)
            day.sweep()


def uncover(day: Day) -> None:
    """Try to sell the cover away from under a short call, as an exit or as more."""
    day.trade(day.order(COVER, "SELL", 25, day.world.price_e4(COVER), strategy="spread"))


def future(day: Day) -> None:
    """Trade the future in lots."""
    day.trade(day.order(FUTURE, day.chance.choice(("BUY", "SELL")), 25, _near_e4(day, FUTURE), strategy="future"))


def runaway(day: Day) -> None:
    """The same thing over and over, within one moment, until something says no and longer."""
    side, quantity = day.chance.choice(("BUY", "SELL")), day.chance.choice((10, 30, 250))
    for number in range(day.chance.randint(5, 16)):
        price_e4 = day.world.price_e4(SHARE) + 500 * number
        day.trade(day.order(SHARE, side, quantity, price_e4, strategy="runaway"))


def duplicate(day: Day) -> None:
    """Send what was sent before, under its own id, then under the same id something else."""
    if not day.sent:
        return cash(day)
    before = day.chance.choice(day.sent)
    again = day.ask(before)
    day.hold_to(not again.approved, f"an order that was sent is not approved again: {before!r}")
    other = day.ask(before.replaced(quantity=before.quantity + (25 if before.security_id != "1333" else 1)))
    codes = {each.code.value for each in other.rejects}
    day.hold_to("CLIENT_ORDER_ID_REUSED" in codes, f"the same id with other contents is refused as such: {codes}")
    return None


def asks_early(day: Day) -> None:
    """Get a permit and keep it; it is sent in a later step, or never."""
    decision = day.ask(day.order(SHARE, day.chance.choice(("BUY", "SELL")), 20, _near_e4(day, SHARE), strategy="slow"))
    if decision.approved:
        day.waiting.append(decision)


def sends_late(day: Day) -> None:
    """Send, or give back, what was approved in an earlier step."""
    if not day.waiting:
        return asks_early(day)
    decision = day.waiting.pop(0)
    if day.chance.random() < 0.2 and decision.permit is not None:
        with contextlib.suppress(PermitError):
            decision.permit.release()
        return None
    went = day.send(decision)
    day.say(f"    {'went out' if went else 'did not go out'}")
    return None


def cancel(day: Day) -> None:
    """Cancel something that rests; not under a halt, where what rests may be somebody's only protection."""
    resting = day.truth.live_orders()
    if resting and not day.halted:
        with contextlib.suppress(BrokerError):
            day.world.guard.cancel(ACCOUNT, broker_id(day.chance.choice(resting)), day.world.broker.cancel)


# -- the operator --------------------------------------------------------------------------------------------------


def kill(day: Day) -> None:
    """Pull the switch, between a check and its sending too; then a strategy goes on as if nothing had happened."""
    early: Order = day.order(SHARE, "BUY", 5, day.world.price_e4(SHARE), strategy="early")
    decision = day.ask(early)
    account = None if day.chance.random() < 0.25 else ACCOUNT
    day.kill(account, day.chance.choice(("halt", "cancel", "cancel", "flatten", "flatten")))
    if decision.approved:
        day.send(decision)
    cash(day)
    for _ in range(day.chance.randint(0, 5)):
        day.world.pass_time(2)
        day.sweep()
        day.look()


def release(day: Day) -> None:
    """Wait out the hold and release, often twice: what a loss or a runaway stopped comes back in two steps."""
    for _ in range(day.chance.choice((1, 2, 2))):
        day.world.pass_time(day.chance.choice((5, 61, 61, 1801)))
        day.sweep()
        day.release(None if "GLOBAL" in day.halted and day.chance.random() < 0.7 else ACCOUNT)
    day.state()


# -- whoever breaks things --------------------------------------------------------------------------------------------


def restart(day: Day) -> None:
    """The process ends, in order or not, and another one begins; permits in its hands are gone with it."""
    day.world.restart(orderly=day.chance.random() < 0.5)
    day.waiting.clear()
    day.state()


def broker_fault(day: Day) -> None:
    """Something at the broker answers wrongly, some times; then a strategy meets it."""
    operation, how = day.chance.choice(
        (("place", "silent"), ("place", "lost"), ("place", "refuse"), ("place", "fail"), ("place", "reject"), ("place", "hang"),
         ("cancel", "deaf"), ("cancel", "refuse"), ("cancel", "fail"), ("cancel", "silent"), ("modify", "refuse"),
         ("modify", "lost"), ("modify", "silent"), ("modify", "deaf"), ("orders", "fail"), ("positions", "fail"),
         ("trades", "fail"), ("all", "fail"))
    )  # fmt: skip
    times = day.chance.randint(1, 4)
    day.world.broker.behave(operation, how, times)
    day.say(f"    {operation} {how} x{times}")
    cash(day)


def broker_manners(day: Day) -> None:
    """The lists lag, orders take a while, fills come in parts."""
    chance = day.chance
    settings = PaperSettings(
        hang_s=0, hang_acts=chance.random() < 0.5, position_lag_s=chance.choice((0, 0, 2, 8)),
        transit_s=chance.choice((0, 0, 1, 5)), order_lag_s=chance.choice((0, 0, 3)), cancel_s=chance.choice((0, 0, 2)),
        fill_quantity_max=chance.choice((None, None, 3, 7)),
    )  # fmt: skip
    day.world.behave(settings)


def clock_jump(day: Day) -> None:
    """Somebody sets the wall clock; waiting time goes on."""
    seconds = day.chance.choice((-20, -3, 3, 60, 300))
    day.world.clock.jump(seconds)
    day.jumped = True
    day.say(f"    by {seconds} s")
    day.state()


def tamper(day: Day) -> None:
    """Plain SQL loosens, forgets and rewrites: the database says no, or the next check does."""
    for statement in (
        "UPDATE traders_control SET position_size_limit = position_size_limit * 10 "
        "WHERE position_size_limit IS NOT NULL AND is_active = 1",
        "DELETE FROM traders_control",
        "DELETE FROM decisions",
        "UPDATE decisions SET approved = 1 - approved",
        "UPDATE traders_control SET kill_switch_status = 'INACTIVE', is_active = 0 WHERE control_type = 'KILL_SWITCH' "
        "AND kill_switch_status <> 'INACTIVE'",
    ):
        try:
            changed = day.world.sql(statement)
        except sqlite3.Error:
            continue
        day.hold_to(changed == 0 or "KILL_SWITCH" in statement, f"`{statement}` changes nothing ({changed} rows)")
    day.state()
    more = 101 - min(0, day.truth.held(SHARE.key))
    too_much = day.ask(day.order(SHARE, "BUY", more, day.world.price_e4(SHARE), strategy="greedy"))
    day.hold_to(not too_much.approved, "the limit is what it was before it was tampered with")


def sql_kill(day: Day) -> None:
    """Another program writes a kill row, without a flag."""
    now_s = day.world.clock.now_us() // 1_000_000
    day.world.clock.advance(0.2)
    day.world.sql(
        "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
        "VALUES (?, 'KILL_SWITCH', 'ACTIVE', 1, ?, ?)", ACCOUNT, now_s, now_s,
    )  # fmt: skip
    day.note_kill(ACCOUNT)
    cash(day)


def flag_kill(day: Day) -> None:
    """A kill that reached only its flag files."""
    day.world.clock.advance(0.2)
    raise_flags(day.world.url, ACCOUNT, by="desk", reason="flag alone", plan="cancel")
    day.note_kill(ACCOUNT)
    if day.chance.random() < 0.5:
        day.world.restart(orderly=False)
        day.waiting.clear()
    cash(day)


def busy(day: Day) -> None:
    """Another program holds the lock while an order asks: no, and nothing is reserved."""
    store = day.world.guard.store
    patience, store.deadline_s = store.deadline_s, 0.005
    try:
        with locked(day.world.path):
            decision = day.ask(day.order(SHARE, "BUY", 5, day.world.price_e4(SHARE)))
            day.hold_to(not decision.approved and not decision.recorded, "nobody says yes without the database")
    finally:
        store.deadline_s = patience
    if day.state() is TradingState.ACTIVE:
        cash(day)


ACTIONS: Final[dict[str, tuple[int, Callable[[Day], None]]]] = {
    "cash": (16, cash), "stop": (6, stop), "buyer": (8, buyer), "spread": (7, spread), "uncover": (3, uncover),
    "future": (5, future), "runaway": (3, runaway), "duplicate": (4, duplicate), "asks early": (4, asks_early),
    "sends late": (4, sends_late), "cancel": (4, cancel), "kill": (6, kill), "release": (9, release), "restart": (4, restart),
    "broker fault": (6, broker_fault), "broker manners": (4, broker_manners), "clock jump": (2, clock_jump),
    "tamper": (3, tamper), "SQL kill": (1, sql_kill), "flag kill": (1, flag_kill), "busy": (1, busy),
}  # fmt: skip
"""By name: how often, and what."""
