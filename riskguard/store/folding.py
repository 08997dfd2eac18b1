"""
What this process knows of its own commits, folded into the account it keeps: the next check need not load it anew.

Only what a transaction of this process has just written may be folded; anybody else's write moves a head.
"""

from __future__ import annotations

from riskguard.core.account import TimeLog, signature
from riskguard.core.book import Line
from riskguard.core.checks.order_to_trade_ratio import is_inside
from riskguard.core.decide import Decision
from riskguard.store.loader import ATTEMPTS_LOOKED_AT, Loaded, reserve
from riskguard.store.permits import PermitRow
from riskguard.store.violations import Loop, turn_of

SAME_ORDER_MAX = 20_000


def count_attempts(loaded: Loaded, strategy: str, count: int, now_us: int) -> None:
    """Count questions this process was asked and has only in memory."""
    log = loaded.account.attempts.setdefault(strategy, TimeLog())
    for _ in range(min(count, ATTEMPTS_LOOKED_AT)):
        log.add(now_us)


def fold_attempt(loaded: Loaded, decision: Decision) -> None:
    """Count one answered question."""
    account, strategy = loaded.account, decision.order.strategy
    account.attempts.setdefault(strategy, TimeLog()).add(decision.decided_at_us)
    turn = None if decision.approved else turn_of(decision)
    if turn is not None:
        count_refusals(loaded, turn, 1, decision.decided_at_us)


def count_refusals(loaded: Loaded, loop: Loop, count: int, now_us: int) -> None:
    """Count refusals of one loop, where a limit reads them."""
    if "cycles" not in loaded.account.limits.needs:
        return
    log = loaded.account.refused.setdefault(loop, TimeLog())
    for _ in range(min(count, ATTEMPTS_LOOKED_AT)):
        log.add(now_us)


def fold_grant(loaded: Loaded, decision: Decision, row: PermitRow) -> None:
    """Count the permit this process just committed."""
    fold_attempt(loaded, decision)
    account = loaded.account
    reserve(loaded, row)
    add_up(account.positions[(row.exchange_segment, row.security_id)][row.product], row.client_order_id)
    if len(account.same) > SAME_ORDER_MAX:
        account.same.clear()
        raise MemoryFullError
    account.same[signature(decision.adjusted_to or decision.order)] = row.granted_at_us
    for band_pct_e2 in account.day_orders:
        account.day_orders[band_pct_e2] += is_far(row, band_pct_e2)
    expires = row.expires_at_us
    loaded.next_expiry_us = expires if loaded.next_expiry_us is None else min(loaded.next_expiry_us, expires)


def add_up(line: Line, key: str) -> None:
    """
    Do what `line.refresh()` does, for one more order: whoever has a thousand working must not add all up for each.

    An exit of an OCO group counts with the others of it, and a line that was just begun has nothing derived yet.
    """
    added = line.working.get(key)
    if added is None or added.covers or (added.exit_group and added.reducing) or len(line.working) == 1:
        line.refresh()
    elif added.sign > 0:
        line.buying += added.remaining
    else:
        line.selling += added.remaining


def is_far(row: PermitRow, band_pct_e2: int) -> bool:
    """Say whether an order went out further than the band from the market; see `order_to_trade_ratio`."""
    price_e4 = row.trigger_price_e4 if row.price_e4 is None else row.price_e4
    if price_e4 is None:
        return False
    return row.reference_e4 is None or not is_inside(price_e4, row.reference_e4, band_pct_e2)


class MemoryFullError(Exception):
    """What is kept per process grew too large: drop it and read the database again."""


def fold_sent(loaded: Loaded, row: PermitRow, now_us: int) -> None:
    """Move a permit from granted to sent, and count its message."""
    account, key = loaded.account, (row.exchange_segment, row.security_id)
    loaded.expiries.pop(row.client_order_id, None)
    loaded.next_expiry_us = min(loaded.expiries.values(), default=None)
    account.granted -= 1
    account.sent.add(now_us)
    account.unanswered.setdefault(key, {})[row.client_order_id] = now_us


def fold_acknowledged(loaded: Loaded, row: PermitRow, order_id: str) -> None:
    """The broker answered: the order works and is not in doubt."""
    account, key = loaded.account, (row.exchange_segment, row.security_id)
    waiting = account.unanswered.get(key)
    if waiting is not None:
        waiting.pop(row.client_order_id, None)
        if not waiting:
            del account.unanswered[key]
    account.positions[key][row.product].working[row.client_order_id].order_id = order_id
