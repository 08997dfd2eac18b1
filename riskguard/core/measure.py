"""
What the limits on a measure answer: refused above the limit, refused when it cannot be measured.

Shared by the checks of exposure, money and risk, so that each says what it measures and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from riskguard.core.facts import Facts
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.core.scope import Scope
from riskguard.core.sizing import most_passing

PUSH = "push a quote with `guard.quote(...)`"


def above(
    facts: Facts, code: RejectCode, measure: Callable[[int], int | None], limit: int, *, unit: str = RUPEES,
    detail: str, unknown: str = "", hint: str = "",
) -> Reject | None:  # fmt: skip
    """
    Refuse when *measure* of the order's quantity is above *limit*, or is not known; on it is allowed.

    *measure* must not fall again once it has risen: the quantity that would pass is searched for on it. *unknown*
    names what else cannot be valued.
    """
    quantity = facts.order.quantity
    measured = measure(quantity)
    if measured is None:
        return unvalued(facts, limit, unknown, unit)
    if measured <= limit:
        return None
    return Reject(
        code, measured=measured, limit=limit, unit=unit, detail=detail, hint=hint,
        max_quantity=most_passing(measure, limit, quantity, facts.instrument),
    )  # fmt: skip


def position_unknown(facts: Facts, scope: Scope, limit: int | None, unit: str) -> Reject | None:
    """Refuse when an account of *scope* has no complete position list; None when all have one."""
    name = facts.unseen(scope)
    if not name:
        return None
    whose = "" if name == facts.order.account else f" of account `{name}`"
    return Reject(
        RejectCode.POSITION_UNKNOWN, limit=limit, unit=unit, max_quantity=0,
        detail=f"no complete position list{whose} was fetched yet",
        hint="run a sweep, or report positions with `guard.report_positions(...)`",
    )  # fmt: skip


def unvalued(facts: Facts, limit: int | None, unknown: str = "", unit: str = RUPEES) -> Reject:
    """Refuse what cannot be valued: *unknown*, a line or order of the book, else the order itself."""
    instrument = facts.instrument
    if unknown:
        code, detail, hint = RejectCode.PRICE_UNKNOWN, f"`{unknown}` is in the book and cannot be valued", PUSH
        hint += ", or import its instrument"
    elif instrument is None:
        code, detail = RejectCode.INSTRUMENT_UNKNOWN, f"{':'.join(facts.order.instrument)} is not among the instruments"
        hint = "import the instrument master, or check the segment"
    elif instrument.multiplier is None:
        code, hint = RejectCode.MULTIPLIER_UNKNOWN, "give the instrument its multiplier"
        detail = "no table says how much one unit of this contract stands for"
    else:
        code, detail = RejectCode.PRICE_UNKNOWN, f"no fresh price to value a {facts.order.order_type} order at"
        hint = f"{PUSH}, or use a LIMIT order"
    return Reject(code, limit=limit, unit=unit, max_quantity=0, detail=detail, hint=hint)


def equity_unknown(equity_e4: int | None) -> Reject:
    """Refuse what is limited by a part of equity when nobody knows it, or there is none."""
    return Reject(
        RejectCode.EQUITY_UNKNOWN, unit=RUPEES, max_quantity=0,
        detail="equity is unknown" if equity_e4 is None else "equity is used up",
        hint="run a sweep with fresh marks, or set the day's baseline with `riskguard baseline set`",
    )  # fmt: skip
