"""Where a limit or a state holds: GLOBAL ⊃ GROUP ⊃ ACCOUNT ⊃ {SEGMENT, STRATEGY} ⊃ INSTRUMENT or underlying."""

from __future__ import annotations

from typing import NamedTuple

from riskguard.core.order import Order

KINDS = ("GLOBAL", "GROUP", "ACCOUNT", "SEGMENT", "STRATEGY", "UNDERLYING", "INSTRUMENT")
GLOBAL = "GLOBAL"


class Scope(NamedTuple):
    """A kind and what it names; `INSTRUMENT` names `segment:security_id`, `GLOBAL` names nothing."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read `KIND` or `KIND:name`; raises ValueError for a kind that does not exist."""
        kind, _, name = text.partition(":")
        if kind not in KINDS or (kind == GLOBAL) != (name == ""):
            raise ValueError(f"`{text}` is no scope; write one of GLOBAL, " + ", ".join(f"{k}:…" for k in KINDS[1:]))
        return cls(kind, name)

    def holds(self, order: Order, underlying: str) -> bool:
        """
        Say whether *order* is inside. GLOBAL, GROUP and ACCOUNT always are: rows of other accounts and
        groups are never loaded into an account in the first place.
        """
        if self.kind == "SEGMENT":
            return self.name == order.exchange_segment
        if self.kind == "STRATEGY":
            return self.name == order.strategy
        if self.kind == "INSTRUMENT":
            return self.name == f"{order.exchange_segment}:{order.security_id}"
        if self.kind == "UNDERLYING":
            return self.name == underlying
        return True
