"""
Naked short options: sold option lots that no bought option covers, after this order.

A long covers a short of the same account, underlying and type that expires no later; futures cover none, working buys
not yet. Only a sale can uncover, so buys pass. On the ceiling is allowed, and a ceiling of "none" lets only covered
sales through. Exits are exempt, but the sale of a cover (UNHEDGING) is no exit.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from riskguard.core import measure
from riskguard.core.direction import Direction
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.scope import Scope

NONE = "none"


def _lots(value: object) -> object:
    if type(value) is int and value == 0:
        raise ValueError(f'write "{NONE}" for none at all')
    return 0 if type(value) is str and value == NONE else value


Lots = Annotated[
    int,
    BeforeValidator(_lots),
    Field(ge=0, le=10**9),
    PlainSerializer(lambda lots: lots or NONE),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10**9}, {"const": NONE}]}),
]
"""Lots, or "none": a limit of 0 in a rulebook is a number somebody forgot to fill in."""


class Parameters(Params):
    naked_lots_max: Lots


def check(facts: Facts, params: Parameters, scope: Scope) -> Reject | None:
    """Refuse a sale that would leave more uncovered lots in *scope* than the ceiling; a part of a lot counts as one."""
    instrument, limit = facts.instrument, params.naked_lots_max
    if facts.order.sign > 0 or (instrument is not None and not instrument.is_option):
        return None
    unknown = measure.position_unknown(facts, scope, limit, "lots")
    if unknown is not None:
        return unknown
    if instrument is None:
        return measure.unvalued(facts, limit, unit="lots")
    book = facts.uncovered(scope)
    if book.unknown:
        return Reject(
            RejectCode.INSTRUMENT_UNKNOWN, limit=limit, unit="lots", max_quantity=0,
            detail=f"`{book.unknown}` is sold in the book, and nobody knows whether it is an option",
            hint="import the instrument master",
        )  # fmt: skip
    uncovers = facts.direction is Direction.UNHEDGING
    return measure.above(
        facts, RejectCode.NAKED_SHORT_ABOVE_LIMIT, book.after, limit, unit="lots",
        detail="sold option lots without cover after this order",
        hint="it covers a short option: close the short first" if uncovers else "buy the cover first",
    )  # fmt: skip


CHECK = Check("naked_short_option", Parameters, check, exits=False, scoped=True)
