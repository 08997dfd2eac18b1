"""
Defects to plant: each one a promise broken in the code for as long as a test runs. The days must find every one of them.

`FOUND` says on which day each was found when it was written down: that day is lived first, then the others in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from riskguard.core.quote import Quote
from riskguard.services.kill.killrun import covering, flatten, verify
from riskguard.services.orders import sending
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import folding, halt, loader, permits
from tests.simulator.world import World

Plant = Callable[[pytest.MonkeyPatch], None]


def reservations_count_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """What was let out and not sent takes no room of a limit."""
    patch.setattr(loader, "reserve", lambda *_: None)
    for name in ("fold_grant", "fold_sent", "fold_acknowledged"):
        patch.setattr(folding, name, lambda *_: None)


def flags_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    """A kill that reached its flag files alone halts nobody."""
    patch.setattr(halt, "standing", lambda _directories: [])


def sending_looks_at_nothing(patch: pytest.MonkeyPatch) -> None:
    """What was approved before a kill still goes out after it: it is not taken back, and nobody looks again at the wire."""
    patch.setattr(permits, "void", lambda *_: 0)
    patch.setattr(sending, "_unsendable", lambda *_: "")


def nobody_is_let_out(patch: pytest.MonkeyPatch) -> None:
    """An exit with a person behind it is refused like any order."""
    honest = RiskGuard.check
    patch.setattr(RiskGuard, "check", lambda self, order, emergency_exit=None: honest(self, order))


def a_flatten_forgets_futures(patch: pytest.MonkeyPatch) -> None:
    """The kill run says it is flat, and a future stands."""

    def some(*args: Any) -> list[Any]:
        return [
            each for each in covering.covered(*args) if each.instrument is None or each.instrument.kind[:3] != "FUT"
        ]

    for module in (flatten, verify):
        patch.setattr(module, "covered", some)


def a_quote_is_a_tick_off(patch: pytest.MonkeyPatch) -> None:
    """Positions are valued at another price than the market's."""
    honest = RiskGuard.quote

    def quote(self: RiskGuard, *key: str, **said: Any) -> Quote:
        made = honest(self, *key, **said)
        if made.ltp_e4 is not None:
            made = made._replace(ltp_e4=made.ltp_e4 + 500)
            self._quotes[key] = made  # type: ignore[index]
        return made

    patch.setattr(RiskGuard, "quote", quote)


def the_database_lets_everything_be_changed(patch: pytest.MonkeyPatch) -> None:
    """No trigger keeps plain SQL from loosening a limit or emptying the journal."""
    honest = World.sql

    def sql(self: World, statement: str, *values: object) -> int:
        for (name,) in self.outside.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            honest(self, f"DROP TRIGGER {name}")
        return honest(self, statement, *values)

    patch.setattr(World, "sql", sql)


FOUND: Final[dict[Plant, int]] = {
    reservations_count_for_nothing: 6, flags_are_not_looked_at: 4, sending_looks_at_nothing: 10, nobody_is_let_out: 2,
    a_flatten_forgets_futures: 59, a_quote_is_a_tick_off: 1, the_database_lets_everything_be_changed: 2,
}  # fmt: skip
