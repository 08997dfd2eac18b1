"""FLATTEN: close what the plan covers, in an order that never leaves a short option without its cover."""

from __future__ import annotations

from riskguard.services.kill.killrun import aside, exit_all, sharing
from riskguard.services.kill.killrun.closing import close
from riskguard.services.kill.killrun.covering import covered
from riskguard.services.kill.killrun.plans import SECOND_US
from riskguard.services.kill.killrun.reasons import Reason
from riskguard.services.kill.killrun.round import Round


def flatten(round_: Round) -> None:
    """
    Do one round of closing: each line as far as it can go now; BLOCKED when none can go any further.

    Lines that another run of the account closes are left to it; this one waits, and is not late for them.
    """
    lines = covered(round_.account, round_.scope, round_.options.flatten_products)
    first = [run for run in (sharing.left_to(round_, each) for each in lines) if run is not None]
    if first:
        lines = [each for each in lines if sharing.left_to(round_, each) is None]
    if first and not lines:
        if any(run.state == "BLOCKED" for run in first):
            aside.restore_all(round_)  # what this run took aside before the other one came, and nobody exits now
        round_.move("OPEN", "FLATTEN", f"{len(first)} positions to close are left to kill run {first[0].id}")
        return
    if round_.others.is_sending:
        round_.wake_us = round_.now_us + SECOND_US
        round_.move("OPEN", "FLATTEN", "another run of the account is sending: its answer first")
        return
    if exit_all.is_at_it(round_):
        return
    blocked: list[Reason] = []
    if not lines:
        if round_.clean("flat"):
            round_.move("OPEN", "VERIFY", "flat")
        return
    round_.mirror(list(dict.fromkeys(each.key for each in lines)))
    moving = 0
    for each in lines:
        # What was seen may have been replaced in the middle of the round: the line of now counts.
        line = round_.account.positions.get(each.key, {}).get(each.line.product)
        if line is None or not (line.up or line.down):
            moving += 1
            continue
        reason = close(round_, each._replace(line=line))
        if reason is None:
            moving += 1
        else:
            blocked.append(reason)
    naked = None if moving == len(lines) else aside.restore_all(round_)
    if naked is not None:
        blocked.insert(0, naked)
    said = f"{len(lines)} positions to close"
    if blocked and not moving:
        retries = [each.retry_us for each in blocked]
        worst = blocked[0]
        later = None if None in retries else min(each for each in retries if each is not None)
        more = f" (and {len(blocked) - 1} more)" if len(blocked) > 1 else ""
        round_.block(Reason(worst.code, f"{said}: {worst.said}{more}", later))
    else:
        round_.late(f"{said}: {blocked[0].said}" if blocked else said)
