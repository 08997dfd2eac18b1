"""What is lost if every stop is hit, and in a move where there is none."""

from __future__ import annotations

from collections.abc import Iterable

from riskguard.core.account import Account
from riskguard.core.book import Working
from riskguard.core.exposure.held import held_in, name_of
from riskguard.core.exposure.prices import notional_e4, unit_value_e4
from riskguard.core.instrument import Instrument
from riskguard.core.scope import Scope


def losses_at_stops(account: Account, scope: Scope, percent_e2: int) -> tuple[int, str]:
    """
    Return (what is lost if every stop of *scope* is hit, what cannot be valued), in 1/10000 rupee ≥ 0.

    Measured from the mark: what is already lost or won is in the day's P&L. Orders that would open count as filled.
    What no stop covers loses in a move of *percent_e2* (1/100 percent) of its price or underlying; see
    `scenario_e4`. Of one line the worse side counts.
    """
    loss_e4 = 0
    for held in held_in(account, scope):
        instrument = held.owner.instruments.get(held.key)
        working = [] if held.line is None else list(held.line.working.values())
        sides = [
            _side_loss_e4(account, scope, instrument, sign, units, working, percent_e2)
            for sign, units in ((1, held.net_up), (-1, -held.net_down))
        ]
        if sides[0] is None or sides[1] is None:
            return 0, name_of(instrument, held.key)
        loss_e4 += max(sides[0], sides[1])
    return loss_e4, ""


def _side_loss_e4(
    account: Account, scope: Scope, instrument: Instrument | None, sign: int, units: int, working: list[Working],
    percent_e2: int,
) -> int | None:  # fmt: skip
    """What one side of a line may lose: what is held, and what would open; None when it cannot be valued."""
    opening = [each for each in working if each.sign == sign and not each.reducing]
    if units <= 0 and not opening:
        return 0
    if instrument is None or instrument.multiplier is None:
        return None
    loss_e4 = 0
    if units > 0:
        mark = unit_value_e4(account, scope, instrument, 1, None)
        bare_e4 = scenario_e4(account, scope, instrument, sign, None, percent_e2)
        if mark is None or bare_e4 is None:
            return None
        loss_e4 = _at_stops(units, sign, mark, bare_e4, instrument.multiplier, working)
    for each in opening:
        bare_e4 = scenario_e4(account, scope, instrument, sign, each.worst_price_e4, percent_e2)
        if bare_e4 is None:
            return None
        loss_e4 += each.remaining * bare_e4
    return loss_e4


def _at_stops(units: int, sign: int, mark_e4: int, bare_e4: int, multiplier: int, working: Iterable[Working]) -> int:
    """What *units* held on the side of *sign* lose: the stops that cost most first, for which fires is not ours."""
    covered: dict[str, tuple[int, int]] = {}
    for each in working:
        if not each.protective or each.sign == sign or each.trigger_price_e4 is None:
            continue
        # A stop with a limit may fill as far as its limit.
        fills = [price_e4 for price_e4 in (each.trigger_price_e4, each.price_e4) if price_e4 is not None]
        worst_e4 = (min(fills) if sign > 0 else max(fills)) * multiplier
        beyond_e4 = max(0, (mark_e4 - worst_e4) * sign)
        name = f"group {each.exit_group}" if each.exit_group else f"order {each.key}"
        before = covered.get(name)
        if before is not None:  # legs of one OCO: one of them fires, say the worse one, for the fewer units
            beyond_e4, left = max(beyond_e4, before[0]), min(each.remaining, before[1])
        else:
            left = each.remaining
        covered[name] = beyond_e4, left
    loss_e4 = 0
    for beyond_e4, remaining in sorted(covered.values(), reverse=True):
        taken = min(units, remaining)
        loss_e4 += taken * beyond_e4
        units -= taken
    return loss_e4 + units * bare_e4


def scenario_e4(
    account: Account, scope: Scope, instrument: Instrument, sign: int, price_e4: int | None, percent_e2: int
) -> int | None:
    """
    Return what one unit without a stop loses when the market moves *percent_e2* (1/100 percent) against it.

    In 1/10000 rupee, rounded up; None unknown. An option loses as its underlying moves, a bought one no more than
    its premium.
    """
    value_e4 = unit_value_e4(account, scope, instrument, 1, price_e4)
    if instrument.is_option:
        notional = notional_e4(account, instrument)
        if sign < 0:
            return None if notional is None else -(notional * percent_e2 // -10_000)
        if value_e4 is None or notional is None:
            return value_e4
        return min(value_e4, -(notional * percent_e2 // -10_000))
    return None if value_e4 is None else -(value_e4 * percent_e2 // -10_000)
