"""
Parts of a day's P&L: by line, segment, strategy, and summed over a group of accounts. Unknown is None, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

InstrumentKey = tuple[str, str]
UNATTRIBUTED = ""
"""The strategy of what nobody asked riskguard about, and of what was carried in."""

REASONS_MAX = 5


@dataclass(frozen=True, slots=True)
class LinePnl:
    """
    One line of the book: what it made today, before charges, in 1/10000 rupee; None is unknown, and `reason` says why.

    `mark_e4` is what the open quantity was valued at, None when nothing is open. `share_e4` is what a strategy's open
    quantity counts at: the mark, or in a line that is flat the average of all its prices, so that who closed another's
    position shares the gain with him. `reason` also names why a known figure is not fresh.
    """

    exchange_segment: str
    security_id: str
    product: str
    name: str
    net: int
    total_e4: int | None
    realised_e4: int | None
    unrealised_e4: int | None
    mark_e4: int | None = None
    share_e4: int | None = None
    multiplier: int | None = 1
    fresh: bool = True
    reason: str = ""

    @property
    def key(self) -> InstrumentKey:
        return (self.exchange_segment, self.security_id)


@dataclass(frozen=True, slots=True)
class Part:
    """What a segment, a strategy or a group made today, charges not yet taken off; None is unknown, with the reason."""

    name: str
    total_e4: int | None
    realised_e4: int | None = None
    unrealised_e4: int | None = None
    charges_e4: int | None = None
    fresh: bool = True
    reason: str = ""

    @property
    def net_e4(self) -> int | None:
        """The total less its charges."""
        return None if self.total_e4 is None or self.charges_e4 is None else self.total_e4 - self.charges_e4


@dataclass(frozen=True, slots=True)
class Attributed:
    """Today's fills of one strategy in one line: quantities, and quantity × price in 1/10000 rupee."""

    strategy: str
    exchange_segment: str
    security_id: str
    product: str
    bought: int
    sold: int
    buy_value_e4: int
    sell_value_e4: int


def summed(name: str, lines: Iterable[LinePnl]) -> Part:
    """Add lines up; one unknown line makes the sum unknown, and the first few are named."""
    total = realised = unrealised = 0
    unknown: list[str] = []
    stale: list[str] = []
    for each in lines:
        if each.total_e4 is None or each.realised_e4 is None or each.unrealised_e4 is None:
            unknown.append(each.reason)
            continue
        total, realised, unrealised = (
            total + each.total_e4,
            realised + each.realised_e4,
            unrealised + each.unrealised_e4,
        )
        if not each.fresh:
            stale.append(each.reason)
    if unknown:
        return Part(name, None, fresh=False, reason=_listed(unknown, "; "))
    reason = f"no fresh mark: {_listed(stale, ', ')}" if stale else ""
    return Part(name, total, realised, unrealised, fresh=not stale, reason=reason)


def _listed(reasons: list[str], between: str) -> str:
    more = f" and {len(reasons) - REASONS_MAX} more" if len(reasons) > REASONS_MAX else ""
    return between.join(reasons[:REASONS_MAX]) + more


def by_segment(lines: Iterable[LinePnl], charges_e4: Mapping[str, int] | None) -> tuple[Part, ...]:
    """Return the day by exchange segment, in order of name; a segment that only paid charges is one too. None: unknown."""
    found: dict[str, list[LinePnl]] = {segment: [] for segment in charges_e4 or ()}
    for each in lines:
        found.setdefault(each.exchange_segment, []).append(each)
    return tuple(
        replace(summed(segment, own), charges_e4=_share(charges_e4, segment)) for segment, own in sorted(found.items())
    )


def _share(charges_e4: Mapping[str, int] | None, name: str) -> int | None:
    """Return what a part paid: nothing where it dealt in nothing, unknown where the day's charges are."""
    return None if charges_e4 is None else charges_e4.get(name, 0)


def by_strategy(
    lines: Iterable[LinePnl], attributed: Iterable[Attributed], charges_e4: Mapping[str, int] | None
) -> tuple[Part, ...]:
    """
    Return the day by strategy: each its own fills of today, with what of them is open at the line's mark.

    What nobody asked riskguard about, and what was carried in, is one part named "": the line less its strategies, so
    that the parts always add up to the day. *charges_e4* are the strategies' shares of the day's charges; None: unknown.
    """
    rest = {(*each.key, each.product): each for each in lines}
    left = {key: each.total_e4 for key, each in rest.items()}
    sums: dict[str, int | None] = {}
    reasons: dict[str, list[str]] = {}
    stale: set[str] = set()
    for own in attributed:
        key = (own.exchange_segment, own.security_id, own.product)
        line = rest.get(key)
        sums.setdefault(own.strategy, 0)
        open_quantity = own.bought - own.sold
        if line is None or line.total_e4 is None or line.multiplier is None or line.share_e4 is None:
            sums[own.strategy] = None
            reasons.setdefault(own.strategy, []).append(
                line.reason if line is not None else f"{key[0]}:{key[1]}: no line"
            )
            continue
        made_e4 = own.sell_value_e4 - own.buy_value_e4 + open_quantity * line.share_e4
        made_e4 *= line.multiplier
        total, remaining = sums[own.strategy], left[key]
        sums[own.strategy] = None if total is None else total + made_e4
        left[key] = None if remaining is None else remaining - made_e4
        if open_quantity and not line.fresh:
            stale.add(own.strategy)
    return _parts(sums, left, rest, reasons, stale, charges_e4)


def _parts(
    sums: dict[str, int | None], left: Mapping[tuple[str, str, str], int | None],
    lines: Mapping[tuple[str, str, str], LinePnl], reasons: Mapping[str, list[str]], stale: set[str],
    charges_e4: Mapping[str, int] | None,
) -> tuple[Part, ...]:  # fmt: skip
    nobody = 0
    unknown: list[str] = []
    for key, value_e4 in left.items():
        if value_e4 is None:
            unknown.append(lines[key].reason)
        else:
            nobody += value_e4
    sums[UNATTRIBUTED] = None if unknown else nobody
    given = {**reasons, UNATTRIBUTED: unknown}
    return tuple(
        Part(
            name, total, charges_e4=_share(charges_e4, name), fresh=total is not None and name not in stale,
            reason=_listed(given.get(name, []), "; "),
        )
        for name, total in sorted(sums.items())
    )  # fmt: skip


def of_group(name: str, totals_e4: Mapping[str, tuple[int | None, bool, str]]) -> Part:
    """Add accounts up: (day P&L after charges, fresh, reason) by account. One unknown account makes it unknown."""
    unknown = [
        f"{account}: {reason or 'not measured'}" for account, (total, _, reason) in totals_e4.items() if total is None
    ]
    if unknown or not totals_e4:
        return Part(name, None, fresh=False, reason=_listed(unknown, "; ") or "no account was measured")
    fresh = all(is_fresh for _, is_fresh, _ in totals_e4.values())
    return Part(name, sum(total for total, _, _ in totals_e4.values() if total is not None), charges_e4=0, fresh=fresh)
