"""
Three views of one day: ours, the broker's, and the change of equity. None stands alone: where they part, somebody looks.

The broker's figure is realised + unrealised of its position list, which is before charges: ours come off, so that the
two are on one definition. A carried row counts only once its base is proven, because nobody says whether a broker counts
it from yesterday's settlement or from what it once cost: proven means that it agreed with us while both were at hand.
Equity's change is free money + money in use − what the day began with − deposits + payouts, and the gain on what is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from riskguard.core.pnl_parts import REASONS_MAX, LinePnl
from riskguard.core.seen import SeenFunds, SeenPosition

BASE_TOLERANCE_PCT = 1
"""Of the line's value: two price sources of one second differ by less, settlement and cost mostly by more."""
BASE_TOLERANCE_MIN_E4 = 100_000
"""₹10: a small line's prices jump by a tick."""

LineKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A day's P&L by one view, in 1/10000 rupee; None is unknown, and `reason` says why."""

    total_e4: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PnlViews:
    """
    See the module. `compared`: (ours, the broker's) over the rows both have, before charges, for `pnl_divergence`; None
    where no row can be compared. `newly_proven`: carried lines whose base this look proved.
    """

    ours: Figure
    broker: Figure
    equity: Figure
    compared: tuple[int, int] | None = None
    newly_proven: tuple[LineKey, ...] = ()

    def stand_in(self) -> Figure:
        """Return what stands in while ours is unknown: the worse of the others that is known. It never flattens."""
        known = [(each.total_e4, each) for each in (self.broker, self.equity) if each.total_e4 is not None]
        if not known:
            return Figure(None, "; ".join(each.reason for each in (self.broker, self.equity) if each.reason))
        return min(known, key=lambda each: each[0])[1]


def broker_view(
    rows: Iterable[SeenPosition] | None, lines: Iterable[LinePnl], carried: Mapping[LineKey, bool], charges_e4: int | None,
    adjustment_e4: int = 0,
) -> tuple[Figure, tuple[int, int] | None, tuple[LineKey, ...]]:  # fmt: skip
    """
    Return the broker's figure, what of it can be compared with ours, and the carried lines it proved.

    Args:
        rows: Its last complete list; None: never seen.
        carried: The lines that were carried in, and whether their base was proven before.
        charges_e4: Ours; None: unknown, and then so is the figure.
    """
    if rows is None:
        return Figure(None, "the broker's list was never seen"), None, ()
    ours = {(*line.key, line.product): line for line in lines}
    total, our_part, their_part, comparable = 0, 0, 0, False
    proven: list[LineKey] = []
    wrong: list[str] = []
    for row in rows:
        key = (row.exchange_segment, row.security_id, row.product)
        line = ours.get(key)
        name = line.name if line is not None else f"{row.exchange_segment}:{row.security_id}"
        if row.realised_e4 is None or row.unrealised_e4 is None:
            if row.net or line is not None:
                wrong.append(f"{name}: the broker gives no figure")
            continue
        theirs_e4 = row.realised_e4 + row.unrealised_e4
        if key in carried and not carried[key]:
            if line is None or not _agree(theirs_e4, line):
                wrong.append(f"{name}: carried in, and the broker's base is not proven")
                continue
            proven.append(key)
        total += theirs_e4
        if line is not None and line.total_e4 is not None:
            our_part, their_part, comparable = our_part + line.total_e4, their_part + theirs_e4, True
    listed = {(row.exchange_segment, row.security_id, row.product) for row in rows}
    wrong += [f"{line.name}: not in the broker's list" for key, line in ours.items() if key not in listed]
    if charges_e4 is None:
        wrong.append("the day's charges are not known")
    more = f" and {len(wrong) - REASONS_MAX} more" if len(wrong) > REASONS_MAX else ""
    figure = Figure(None, "; ".join(wrong[:REASONS_MAX]) + more)
    if not wrong and charges_e4 is not None:
        figure = Figure(total - charges_e4 + adjustment_e4)
    return figure, (our_part, their_part) if comparable else None, tuple(proven)


def _agree(theirs_e4: int, line: LinePnl) -> bool:
    """Say whether the broker's figure of a carried line is ours, as near as two price sources come."""
    if line.total_e4 is None or not line.fresh:
        return False
    if line.multiplier is None or (line.net and line.mark_e4 is None):
        return False  # nobody knows what the line is worth, so nobody knows what "near" is
    value_e4 = 0 if line.mark_e4 is None else abs(line.net) * line.mark_e4 * line.multiplier
    tolerance_e4 = max(BASE_TOLERANCE_MIN_E4, value_e4 * BASE_TOLERANCE_PCT // 100)
    return abs(theirs_e4 - line.total_e4) <= tolerance_e4


def equity_view(
    opening_e4: int | None, funds: SeenFunds | None, flows_e4: int, unrealised_e4: int | None
) -> Figure:  # fmt: skip
    """
    Return the change of equity since the day began; deposits (> 0) and payouts (< 0) in *flows_e4* are no gain.

    *unrealised_e4* is the gain on what is open, since the day began: funds do not show it.
    """
    missing = [
        name
        for name, value in (
            ("what the day began with", opening_e4),
            ("free money", None if funds is None else funds.available_e4),
            ("money in use", None if funds is None else funds.used_e4),
            ("the gain on what is open", unrealised_e4),
        )
        if value is None
    ]
    if missing or opening_e4 is None or funds is None or unrealised_e4 is None:
        return Figure(None, f"equity: {', '.join(missing)} not known")
    assert funds.available_e4 is not None and funds.used_e4 is not None
    return Figure(funds.available_e4 + funds.used_e4 - opening_e4 - flows_e4 + unrealised_e4)
