"""
What charges come to where the table alone does not say: what nobody can classify, and shares of a day's total.

Charges are not additive over fills. What is booked is the day's total; a share of it is an estimate, made so that
the shares add up to the total exactly.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from riskguard.core.charges.notes import (
    STANDARD_PLAN,
    ChargeFill,
    ChargeNote,
    Plan,
    Settlement,
)
from riskguard.core.charges.table import ChargeTable

Key = TypeVar("Key", bound=Hashable)


def charge_surely(
    table: ChargeTable, fills: Sequence[ChargeFill], settlements: Sequence[Settlement] = (), plan: Plan = STANDARD_PLAN
) -> ChargeNote:
    """
    Return the day's charges also where an instrument cannot be classified: as the kind of its segment that costs most.

    A segment the table does not have is taken as the dearest kind of any segment. Either is named in `unknown`: a
    loss limit may trip early, not late. Nothing is left out, and nothing raises for what is not known.

    Raises:
        ValueError: Fills of more than one date.
    """
    priced, said = surely_known(table, fills, plan)
    settled = []
    for event in settlements:
        if event.kind in table.kinds(event.exchange_segment):
            settled.append(event)
        else:
            said.append(f"{event.exchange_segment} `{event.kind}`: what its expiry costs is not known, taken as 0")
    note = table.charge_day(priced, settled, plan)
    return replace(note, unknown=tuple(sorted({*note.unknown, *said}))) if said else note


def surely_known(
    table: ChargeTable, fills: Sequence[ChargeFill], plan: Plan = STANDARD_PLAN
) -> tuple[list[ChargeFill], list[str]]:
    """Return *fills* with those nobody can classify as the kind that costs most, and what had to be said of it."""
    groups: dict[tuple[str, str], list[ChargeFill]] = {}
    for fill in fills:
        groups.setdefault((fill.exchange_segment, fill.kind), []).append(fill)
    priced: list[ChargeFill] = []
    said: list[str] = []
    for (segment, kind), own in groups.items():
        if kind in table.kinds(segment):
            priced += own
            continue
        dearest = _dearest(table, segment, own, plan)
        priced += dearest
        taken = dearest[0]
        said.append(
            f"{segment} `{kind}`: not in the table of charges, taken as {taken.exchange_segment} {taken.kind}, the dearest"
        )
    return priced, said


def _dearest(table: ChargeTable, segment: str, fills: Sequence[ChargeFill], plan: Plan) -> list[ChargeFill]:
    places = [segment] if table.kinds(segment) else sorted(table.segments)
    tried = (
        [replace(fill, exchange_segment=place, kind=kind) for fill in fills]
        for place in places
        for kind in sorted(table.kinds(place))
    )
    return max(tried, key=lambda each: table.charge_day(each, (), plan).ledger_e4)


def shared_out(
    table: ChargeTable, note: ChargeNote, groups: Mapping[Key, Sequence[ChargeFill]], plan: Plan = STANDARD_PLAN
) -> dict[Key, int]:
    """
    Share the note out over *groups* of its fills, in 1/10000 rupee; the shares add up to the note's total exactly.

    Each group's weight is what its fills would have cost alone. What rounding leaves goes to the heaviest.
    """
    weights = {key: charge_surely(table, own, (), plan).total_e4 for key, own in groups.items()}
    total, whole = note.total_e4, sum(weights.values())
    if not weights:
        return {}
    shares = {key: total * weight // whole if whole else total // len(weights) for key, weight in weights.items()}
    heaviest = max(weights, key=lambda key: weights[key])
    shares[heaviest] += total - sum(shares.values())
    return shares
