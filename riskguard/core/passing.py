"""
The questions of a plan in one piece, for the usual answer: no objection.

Asked one by one, ten checks are ten calls that read the same facts again and again; that was half of a decision. So a
check may also say in one line of Python when it *surely* has no objection (`Check.passes`), and a plan joins the lines
of its checks to one function, with the limits' numbers in it. For two of ten checks it reads:

    def doubts_of(facts):
        order, now_us = facts.order, facts.now_us
        …
        doubts = ()
        …
        if not (facts.sweep_at_us is not None and now_us - facts.sweep_at_us <= 3 * facts.sweep_interval_us):
            doubts += (3,)
        if not (facts.pnl_e4 is not None and facts.pnl_e4 > -50000000):
            doubts += (4,)
        …
        return doubts

It returns the places of the questions that may have an objection, and those are asked the ordinary way: a line that is
too strict costs time, never an answer. One that is too lax would let an order out, so each is held against its check over
the oracle's cases, and each is widened in its turn to see that this is noticed (tests/core/test_passing.py).

The words come from the files of the checks alone. Of a limit only whole numbers, names and None go in, as Python
writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from riskguard.core.direction import Direction
from riskguard.core.state import TradingState

if TYPE_CHECKING:
    from riskguard.core.facts import Facts
    from riskguard.core.limits import Ask

Doubts = Callable[["Facts"], tuple[int, ...]]
Line = str | Callable[[Any], str]
"""A condition over `facts`, `order`, `instrument`, `now_us`, `reducing` and `params`; or what writes one for parameters."""

JOINED_AFTER: Final = 8
"""Orders a set of questions is put to one by one, before they are joined."""

_NAMES: Final = {"ACTIVE": TradingState.ACTIVE, "SHORT_DELIVERY": Direction.SHORT_DELIVERY}
"""What a line may name besides the facts: members of an enum cost a call each time they are looked up in it."""

_PARAMETER: Final = re.compile(r"\bparams\.(\w+)")
_HEAD: Final = (
    "def doubts_of(facts):\n"
    "    order, instrument = facts.order, facts.instrument\n"
    "    now_us, reducing, quantity = facts.now_us, facts.reducing, order.quantity\n"
    "    doubts = ()\n"
)  # fmt: skip


class Questions:
    """
    What a plan asks, joined once it turns out to be asked often: making the function costs as much as ten answers.

    Attributes:
        asks: The questions, in order of precedence.
        doubts_of: The places of those that may have an objection; all of them until they are joined.
    """

    __slots__ = ("_left", "asks", "doubts_of")

    def __init__(self, asks: tuple[Ask, ...]) -> None:
        self.asks = asks
        self.doubts_of: Doubts = self._one_by_one
        self._left = JOINED_AFTER

    def _one_by_one(self, facts: Facts) -> tuple[int, ...]:
        self._left -= 1
        if self._left <= 0:
            self.doubts_of = joined(self.asks)
        return tuple(range(len(self.asks)))


def joined(asks: Sequence[Ask]) -> Doubts:
    """Return one function for *asks*: the places of those that may have an objection, ascending."""
    names: dict[str, Any] = dict(_NAMES)
    for number, ask in enumerate(asks):
        names[f"run_{number}"], names[f"params_{number}"] = ask.run, ask.params
    # The one place of `core/` that makes code of text; see the module for where the text comes from.
    exec(compile(source(asks), "<the limits of an account>", "exec"), names)
    made: Doubts = names["doubts_of"]
    return made


def source(asks: Sequence[Ask]) -> str:
    """Return the function as Python."""
    said = [_HEAD]
    for number, ask in enumerate(asks):
        condition = line_of(ask) or f"run_{number}(facts, params_{number}) is None"
        said.append(f"    if not ({condition}):\n        doubts += ({number},)\n")
    said.append("    return doubts\n")
    return "".join(said)


def line_of(ask: Ask) -> str:
    """Return when the limit of *ask* surely has no objection, with its numbers in it; "" where nothing says so."""
    check = ask.limit.check
    if not check.passes or ask.run is not check.run:  # what adds up over a scope asks something else
        return ""
    line = check.passes if isinstance(check.passes, str) else check.passes(ask.params)
    return _PARAMETER.sub(lambda found: _literal(getattr(ask.params, found[1])), line)


def _literal(value: object) -> str:
    if value is not None and type(value) not in (int, str, bool):
        raise TypeError(f"`{value!r}` cannot stand in a line: write it with a function of the parameters")
    return f"({value!r})"
