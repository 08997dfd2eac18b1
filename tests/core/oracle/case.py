"""One case: an order, the account it is asked of, and when."""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.core.account import Account
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order


@dataclass(slots=True)
class Case:
    """What `decide` is given; `number` finds the case again (see `cases.case`)."""

    order: Order
    account: Account
    now_us: int
    by: str = ""  # the person behind an exit
    modifying: str = ""  # key of the working order this one takes the place of
    lowering: bool = False
    number: int = 0

    @property
    def instrument(self) -> Instrument | None:
        return self.account.instruments.get(self.order.instrument)
