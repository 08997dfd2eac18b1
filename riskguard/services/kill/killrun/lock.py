"""
BROKER LOCK: the broker's own switch, last. It is taken only of a flat, order-free account, and counts once it reads back.
"""

from __future__ import annotations

from riskguard.ports import BrokerLock
from riskguard.redaction import redacted
from riskguard.services.kill.killrun.ending import finish
from riskguard.services.kill.killrun.judging import judge
from riskguard.services.kill.killrun.plans import back_off_us
from riskguard.services.kill.killrun.round import NOT_NOW, Round
from riskguard.services.kill.powers import lock_of

LOCK_TRIES_MAX = 5
ALONE = "LOCKED_LOCALLY"
"""What stands when the broker's switch does not: the local latch. It holds; other programs of the account it cannot."""


def lock(round_: Round) -> None:
    """Do one round of locking: ask, then believe only what is read back."""
    broker = lock_of(round_.broker)
    if broker is None:
        finish(round_, f"flat, nothing pending; {ALONE}: this broker has no switch of its own")
        return
    judged = judge(round_.seen.orders or (), round_.account)
    if judged.adding or judged.unsure:
        round_.move("OPEN", "CANCEL", f"{len(judged.adding) + len(judged.unsure)} orders appeared that may add risk")
        return
    is_on, said = read(broker)
    if is_on:
        finish(round_, "flat, nothing pending, locked at the broker", locked=True)
        return
    prevented = _prevented(round_)
    if prevented:
        finish(round_, f"{ALONE}: the broker locks only a flat account without orders; {prevented}")
        return
    tries = round_.tries("LOCK", "SWITCH")
    refused = bool(tries) and tries[-1].state == "FAILED" and not tries[-1].detail.startswith(NOT_NOW)
    if refused or len(tries) >= LOCK_TRIES_MAX:
        why = tries[-1].detail if refused else said
        finish(round_, f"flat, nothing pending; {ALONE}: the broker's switch does not read as on: {why}")
        return
    if tries and round_.now_us - tries[-1].at_us < back_off_us(len(tries), LOCK_TRIES_MAX + 1):
        round_.late(f"the broker's switch does not read as on yet: {said}")
        return
    if not round_.pace.take():
        round_.wake_us = round_.pace.frees_us
        return
    step_id = round_.intend("LOCK", "SWITCH", "the broker's own switch on")
    if step_id is None:
        return
    round_.write(step_id, broker.lock, message="NEW")
    is_on, said = read(broker)
    if is_on:
        finish(round_, "flat, nothing pending, locked at the broker", locked=True)
    else:
        round_.move("OPEN", "LOCK", f"the broker's switch does not read as on yet: {said}")


def read(broker: BrokerLock) -> tuple[bool | None, str]:
    """Return whether the switch reads as on (None: it cannot be read), and what was read, in words."""
    try:
        is_on = broker.is_locked()
    except Exception as e:
        return None, redacted(f"{type(e).__name__}: {e}")
    return (True, "on") if is_on is True else (False, "off")


def _prevented(round_: Round) -> str:
    """Name what is kept and so prevents the lock; empty where nothing is."""
    lines = [
        f"{key[1]} {line.product} {line.near or line.up or line.down}"
        for key, products in round_.account.positions.items()
        for line in products.values()
        if line.up or line.down
    ]
    resting = [order.order_id for order in round_.seen.orders or () if order.is_live]
    said = []
    if lines:
        said.append(f"kept: {', '.join(lines[:5])}" + (" …" if len(lines) > 5 else ""))
    if resting:
        said.append(f"resting: {', '.join(resting[:5])}" + (" …" if len(resting) > 5 else ""))
    return "; ".join(said)
