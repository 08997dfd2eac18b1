"""
How much of a leader's order a follower copies: whole lots, rounded down, never up.

Below one lot an entry is skipped; a leader who goes flat closes the follower fully; a part of the leader's position
closed closes the same part of the follower's. Source: checks.md §1 "Copy trading", §5.15.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from riskguard.core.money import SCALE, to_e4, to_text
from riskguard.core.params import Inr, Seconds

Ratio = Annotated[
    int, BeforeValidator(lambda value: to_e4(value, most=1_000 * SCALE)), Field(gt=0),
    PlainSerializer(to_text, return_type=str),
]  # fmt: skip
"""A plain number with up to four places (text, int or Decimal), 1/10000 inside."""

Percent = Annotated[
    int,
    BeforeValidator(lambda value: to_e4(value, most=100 * SCALE)),
    Field(ge=0),
    PlainSerializer(to_text, return_type=str),
]
"""Percent with up to four places, 1/10000 of a percent inside."""


class CopyRule(BaseModel):
    """
    How one follower copies one leader.

    Attributes:
        sizing: capital_proportional (follower's capital over the leader's), fixed_ratio (`ratio`), risk_based
            (`risk_inr` over what one unit loses at the order's stop).
        ratio: Follower units per leader unit, for fixed_ratio.
        risk_inr: Rupees an entry may lose at its stop, for risk_based.
        copy_delay_s: An entry older than this is not copied any more; exits always are.
        copy_slippage_pct: An entry is not copied once the market is this far worse than the leader's price.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    leader: str
    follower: str
    sizing: Literal["capital_proportional", "fixed_ratio", "risk_based"]
    ratio: Ratio | None = None
    risk_inr: Inr | None = None
    copy_delay_s: Seconds
    copy_slippage_pct: Percent

    @model_validator(mode="after")
    def _whole(self) -> CopyRule:
        if self.leader == self.follower:
            raise ValueError("an account does not copy itself")
        if (self.sizing == "fixed_ratio") != (self.ratio is not None):
            raise ValueError("`ratio` belongs to fixed_ratio, and fixed_ratio wants it")
        if (self.sizing == "risk_based") != (self.risk_inr is not None):
            raise ValueError("`risk_inr` belongs to risk_based, and risk_based wants it")
        return self


def entry_quantity(
    rule: CopyRule,
    quantity: int,
    lot: int,
    leader_capital_e4: int | None,
    follower_capital_e4: int | None,
    unit_risk_e4: int | None,
) -> tuple[int, str]:
    """
    Return (units to copy, why none) for a leader's entry of *quantity* units; the units are whole lots, rounded down.

    *unit_risk_e4* is what one unit loses between entry and stop, multiplier included, in 1/10000 rupee.
    """
    if rule.sizing == "fixed_ratio":
        assert rule.ratio is not None
        units = quantity * rule.ratio // SCALE
    elif rule.sizing == "capital_proportional":
        if not leader_capital_e4 or leader_capital_e4 <= 0 or not follower_capital_e4 or follower_capital_e4 <= 0:
            return 0, "the capital of leader or follower is unknown"
        units = quantity * follower_capital_e4 // leader_capital_e4
    else:
        assert rule.risk_inr is not None
        if not unit_risk_e4:
            return 0, "the order has no stop to size its risk by"
        units = rule.risk_inr // unit_risk_e4
    whole = units - units % lot
    return (whole, "") if whole > 0 else (0, f"{units} units are less than one lot of {lot}")


def exit_quantity(leader_before: int, closed: int, follower_held: int, lot: int) -> int:
    """
    Return how many units the follower closes when the leader closes *closed* of |leader_before|.

    All of it when the leader goes flat, or holds nothing known to compare with; else the same part, whole lots
    rounded down. Never more than the follower holds.
    """
    held = abs(follower_held)
    if closed >= abs(leader_before) or not leader_before:
        return held
    units = held * closed // abs(leader_before)
    return min(held, units - units % lot)


def is_beyond(price_e4: int, market_e4: int, sign: int, slippage_pct_e4: int) -> bool:
    """Say whether the market is worse than the leader's price by more than the slippage allowed."""
    return (market_e4 - price_e4) * sign * 100 * SCALE > price_e4 * slippage_pct_e4


def worst_price_e4(price_e4: int, sign: int, slippage_pct_e4: int, tick_e4: int) -> int:
    """Return the leader's price with the slippage allowed on top, on the tick, never past it."""
    moved = price_e4 * (100 * SCALE + sign * slippage_pct_e4)
    if sign > 0:
        worst_e4 = moved // (100 * SCALE)
        return max(tick_e4, worst_e4 - worst_e4 % tick_e4) if tick_e4 else worst_e4
    worst_e4 = -(moved // -(100 * SCALE))
    return worst_e4 + -worst_e4 % tick_e4 if tick_e4 else worst_e4


def ratio_of(follower_units: int, leader_units: int) -> Decimal:
    """Return follower units per leader unit, four places: what `copy_mappings.capital_ratio` keeps."""
    return (Decimal(follower_units) / Decimal(leader_units)).quantize(Decimal("0.0001")) if leader_units else Decimal(0)
