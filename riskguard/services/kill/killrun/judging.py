"""Which resting orders add risk and which protect: by what they can still do to the position, whoever sent them."""

from __future__ import annotations

from dataclasses import dataclass, field

from riskguard.core.account import Account
from riskguard.core.book import Line
from riskguard.core.seen import SeenOrder
from riskguard.services.kill.tasks import holds

STOPS = ("STOP_LOSS", "STOP_LOSS_MARKET")
KILL_RUN = "kill-run"
"""The strategy name of every order a kill run sends."""


@dataclass(slots=True)
class Judged:
    """
    Attributes:
        adding: Live orders that may add risk, those that trade soonest first.
        unsure: Those that reduce only if the broader of two books is right: the broker's list has not caught up. Of what
            is no stop, only where that book is our own.
        kept: Those that can only take a position away.
        fits: Of each stop among *adding* that would protect were it smaller: how many units of it, by its id.
    """

    adding: list[SeenOrder] = field(default_factory=list)
    unsure: list[SeenOrder] = field(default_factory=list)
    kept: list[SeenOrder] = field(default_factory=list)
    fits: dict[str, int] = field(default_factory=dict)


def judge(orders: tuple[SeenOrder, ...], account: Account, scope: str = "") -> Judged:
    """
    Sort the live orders of *scope*.

    Together the kept exits of a line never exceed what it holds: two full stops would open a position where one closes
    it. Exits of one group count once, at the largest. Stops are kept before targets, the larger one before the smaller,
    and ours before anybody's. The largest stop that does not fit is made as large as what no kept stop guards (see
    `cancel`): no target takes that room, it would leave the line without protection there.
    """
    live = [
        each for each in orders if each.is_live and holds(scope, each.exchange_segment, each.security_id, each.product)
    ]
    entries = {each.group for each in live if _is_entry(each) and each.group and not each.filled}
    found = Judged()
    by_line: dict[tuple[str, str, str, str], list[SeenOrder]] = {}
    for order in live:
        if _is_entry(order):
            found.adding.append(order)
        elif order.group not in entries:  # its entry takes it along
            key = (order.exchange_segment, order.security_id, order.product, order.side)
            by_line.setdefault(key, []).append(order)
    for key, exits in by_line.items():
        line = account.positions.get(key[:2], {}).get(key[2])
        _judge_line(exits, line, found)
    found.adding.sort(key=_soonest)
    return found


def _judge_line(exits: list[SeenOrder], line: Line | None, found: Judged) -> None:
    """Keep what fits the position, protection first; the rest adds risk, or nobody can tell yet."""
    if line is None:
        found.adding += exits
        return
    near, far, told = _room(line, exits[0])
    own = {each.order_id for each in line.working.values() if each.strategy == KILL_RUN and each.order_id}
    groups: dict[str, int] = {}
    taken, awaited = 0, ""
    for order in sorted(exits, key=lambda each: _worth(each, own)):
        counted = groups.get(order.group, 0) if order.group else 0
        more = max(0, order.remaining - counted)
        if awaited and more and not is_stop(order) and order.order_id not in own:
            found.adding.append(order)
            continue
        if not order.remaining or (order.side not in ("BUY", "SELL")):
            found.adding.append(order)
        elif taken + more <= near:
            taken += more
            if order.group:
                groups[order.group] = max(counted, order.remaining)
            found.kept.append(order)
        elif not line.settled and taken + more <= (far if is_stop(order) else told):
            found.unsure.append(order)
        else:
            found.adding.append(order)
            if comes_back(order) and taken < near:
                awaited = awaited or order.order_id
    if awaited and taken < near:
        found.fits[awaited] = near - taken


def _room(line: Line, order: SeenOrder) -> tuple[int, int, int]:
    """
    Return how much an exit may take: surely, if the broader of the two books is the true one, and by our own fills.

    A fill the broker told us of is a fact, and its position list lags: a limit that is larger than what our fills leave
    crosses zero where it trades, and it may trade now. A stop waits for its price, and the line would be bare without it.
    """
    if order.side == "SELL" and order.product == "CNC":
        return line.sellable(), line.sellable(), line.sellable()
    near, far, told = (line.near, line.up, line.net) if order.side == "SELL" else (-line.near, -line.down, -line.net)
    return near, far, min(far, told)


def is_stop(order: SeenOrder) -> bool:
    """Say whether the order guards a position: a stop, or the stop leg of several."""
    return order.order_type in STOPS or order.leg == "STOP_LOSS"


def comes_back(order: SeenOrder) -> bool:
    """Say whether a stop that is cancelled for its size is placed again: a plain one, not a leg of several."""
    return order.kind == "ORDER" and is_stop(order)


def _worth(order: SeenOrder, own: set[str]) -> tuple[int, int, str]:
    """Sort what is kept first to the front; of stops the largest, so that small ones do not push out the one that guards."""
    if order.order_id in own:
        return 0, 0, order.order_id
    if is_stop(order):
        return 1, -order.remaining, order.order_id
    return (2 if order.group else 3), 0, order.order_id


def _is_entry(order: SeenOrder) -> bool:
    return order.leg == "ENTRY" and order.kind == "SUPER"


def _soonest(order: SeenOrder) -> int:
    """Working orders may fill any moment; a trigger of the broker's waits for its price."""
    return {"ORDER": 0, "SUPER": 0, "ALERT": 1, "FOREVER": 2}.get(order.kind, 0)
