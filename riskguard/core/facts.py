"""
The facts a decision rests on: small, flat, and kept with it.

`Facts.of` reads them from an account; `recorded` writes them as canonical bytes; `Facts.replayed` reads those
back. A decision made from either must be the same: that is what `riskguard audit` replays.
"""

from __future__ import annotations

import json
from typing import Any

from riskguard.core.account import Account, TimeLog, signature
from riskguard.core.direction import Direction, direction, naked_short_units
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.pricing import is_fresh, quote_ttl_us, reference_price_e4, risk_price_e4
from riskguard.core.quote import Quote
from riskguard.core.state import TradingState

_KEPT = (
    "now_us", "known", "net_up", "net_down", "net_near", "buying", "selling", "long_other", "short_other",
    "sellable", "naked", "position_seen_us", "sweep_at_us", "sweep_interval_us", "pnl_e4", "pnl_at_us", "opening_equity_e4",
    "granted", "unanswered_since_us", "exits_live", "emergency_by", "state_said",
)  # fmt: skip
_NO_LOG = TimeLog()
_REDUCING = Direction.REDUCING


class Facts:
    """Everything the checks of one order may read. Quantities are signed where named `net`, else ≥ 0."""

    __slots__ = (
        *_KEPT,
        "_attempts",
        "_same",
        "_sent",
        "cancel_first",
        "direction",
        "instrument",
        "memo",
        "order",
        "quote",
        "reducing",
        "sent_counts",
        "state",
    )

    order: Order
    now_us: int
    instrument: Instrument | None
    known: bool
    net_up: int
    net_down: int
    net_near: int
    buying: int
    selling: int
    long_other: int
    short_other: int
    sellable: int
    naked: int  # short option units without cover that a HEDGING order would cover
    position_seen_us: int | None
    direction: Direction
    cancel_first: tuple[str, ...]
    reducing: bool
    quote: Quote | None
    state: TradingState
    state_said: str
    sweep_at_us: int | None
    sweep_interval_us: int
    pnl_e4: int | None
    pnl_at_us: int | None
    opening_equity_e4: int | None
    granted: int
    unanswered_since_us: int | None
    exits_live: int
    emergency_by: str
    memo: dict[str, int | None]
    sent_counts: dict[int, int]  # by window, permits granted left out
    _sent: TimeLog
    _attempts: TimeLog
    _same: dict[tuple[object, ...], int]

    @classmethod
    def of(cls, order: Order, account: Account, now_us: int, emergency_by: str = "") -> Facts:
        """Read what concerns *order* from *account*, once."""
        made = cls.__new__(cls)
        key = order.instrument
        made.order = order
        made.now_us = now_us
        made.instrument = instrument = account.instruments.get(key)
        seen_us = account.position_seen_us
        made.position_seen_us = seen_us
        made.known = known = seen_us is not None
        lines = account.positions.get(key)
        line = None
        made.long_other = made.short_other = 0
        if lines:
            line = lines.get(order.product)
            if len(lines) > 1 or line is None:
                made._add_other_products(order.product, account)
        if line is None:
            made.net_up = made.net_down = made.net_near = made.buying = made.selling = made.sellable = 0
        else:
            made.net_up, made.net_down, made.net_near = line.up, line.down, line.near
            made.buying, made.selling = line.buying, line.selling
            made.sellable = line.sellable() if order.product == "CNC" else 0
        made.direction, made.cancel_first = direction(
            order, line, known, instrument, account.positions, account.instruments
        )
        made.reducing = made.direction is _REDUCING
        made.naked = 0
        if made.direction is Direction.HEDGING and instrument is not None:
            made.naked = naked_short_units(instrument, account.positions, account.instruments)
        quote = account.quotes.get(key)
        if order.quote is not None and (quote is None or not is_fresh(quote, now_us, quote_ttl_us(instrument))):
            quote = order.quote  # evidence counts where the feed has nothing fresh
        made.quote = quote
        made.state = account.state
        made.state_said = ""
        if account.state or account.narrow:
            made._look_at_states(account)
        made.sweep_at_us = account.sweep_at_us
        made.sweep_interval_us = account.sweep_interval_us
        pnl = account.pnl
        if pnl is None:
            made.pnl_e4 = made.pnl_at_us = None
        else:
            made.pnl_e4, made.pnl_at_us = pnl.day_pnl_e4, pnl.at_us
        made.opening_equity_e4 = account.opening_equity_e4
        made.granted = account.granted
        waiting = account.unanswered.get(key)
        made.unanswered_since_us = min(waiting.values()) if waiting else None
        made.exits_live = account.reducing_live.get(key, 0)
        made.emergency_by = emergency_by
        made.memo = {}
        made.sent_counts = {}
        made._sent = account.sent
        made._attempts = account.attempts.get(order.strategy, _NO_LOG)
        made._same = account.same
        return made

    def _add_other_products(self, product: str, account: Account) -> None:
        """Limits add products with their sides apart: a long MARGIN row does not excuse a short INTRADAY one."""
        for other, line in account.positions[self.order.instrument].items():
            if other != product:
                self.long_other += max(0, line.up + line.buying)
                self.short_other += max(0, line.selling - line.down)

    def _look_at_states(self, account: Account) -> None:
        """Find the severest state of every scope that contains the order, and say whose it is."""
        order = self.order
        underlying = self.instrument.underlying if self.instrument is not None else ""
        inside = [
            cause
            for cause in account.causes
            if cause.scope.partition(":")[0] in ("GLOBAL", "GROUP", "ACCOUNT")
            or cause.scope
            in (
                f"SEGMENT:{order.exchange_segment}",
                f"STRATEGY:{order.strategy}",
                f"INSTRUMENT:{order.exchange_segment}:{order.security_id}",
                f"UNDERLYING:{underlying}",
            )
        ]
        self.state = max((cause.state for cause in inside), default=TradingState.ACTIVE)
        worst = [cause for cause in inside if cause.state == self.state]
        self.state_said = worst[0].sentence() if worst and self.state else ""

    # -- what only some checks ask for: computed at the first question, remembered for the record -------------

    def reference_e4(self) -> int | None:
        """P_ref: what the market shows, or None; see `core.pricing`."""
        memo = self.memo
        if "reference_e4" not in memo:
            memo["reference_e4"] = reference_price_e4(
                self.quote, self.order.sign, self.now_us, quote_ttl_us(self.instrument)
            )
        return memo["reference_e4"]

    def risk_price_e4(self) -> int | None:
        """P_risk: the worst price the order may trade at, or None when it cannot be known."""
        order = self.order
        if order.sign > 0 and order.order_type == "LIMIT":
            return order.price_e4  # needs no market at all
        quote = self.quote
        ask_e4 = None if quote is None else quote.ask_e4
        price_e4 = risk_price_e4(order, self.reference_e4(), ask_e4, self.instrument)
        evidence = order.quote
        if evidence is not None and evidence is not quote and price_e4 is not None:
            # Evidence that rides on the order can raise the price it is judged at, never lower it.
            seen = reference_price_e4(evidence, order.sign, self.now_us, quote_ttl_us(self.instrument))
            with_it = risk_price_e4(order, seen, evidence.ask_e4, self.instrument)
            return price_e4 if with_it is None else max(price_e4, with_it)
        return price_e4

    def sent_in(self, window_us: int) -> int:
        """Messages sent in the sliding window, permits granted and not yet sent included."""
        counts = self.sent_counts
        if window_us not in counts:
            counts[window_us] = self._sent.count(self.now_us, window_us)
        return counts[window_us] + self.granted

    def sent_leaves_us(self, count: int, window_us: int) -> int | None:
        """When the *count*-th newest message leaves the window."""
        name = f"leaves:{count}:{window_us}"
        if name not in self.memo:
            self.memo[name] = self._sent.leaves_us(count, window_us)
        return self.memo[name]

    def attempts_in(self, window_us: int) -> int:
        """Orders asked about by this strategy in the sliding window, refused ones included."""
        name = f"attempts:{window_us}"
        if name not in self.memo:
            self.memo[name] = self._attempts.count(self.now_us, window_us)
        return self.memo[name] or 0

    def same_order_us(self) -> int | None:
        """When the last approved order just like this one was approved."""
        if "same" not in self.memo:
            self.memo["same"] = self._same.get(signature(self.order))
        return self.memo["same"]

    # -- the record -----------------------------------------------------------------------------------------

    def recorded(self) -> dict[str, Any]:
        """Return the facts as JSON-ready data, exact."""
        instrument = self.instrument
        return {
            **{name: getattr(self, name) for name in _KEPT},
            "direction": self.direction.value,
            "cancel_first": list(self.cancel_first),
            "state": int(self.state),
            "quote": None if self.quote is None else list(self.quote),
            "evidence": None if self.order.quote is None else list(self.order.quote),
            "instrument": None if instrument is None else [getattr(instrument, name) for name in _INSTRUMENT],
            "memo": self.memo,
            "sent": [list(each) for each in sorted(self.sent_counts.items())],
        }

    @classmethod
    def replayed(cls, order: Order, kept: dict[str, Any]) -> Facts:
        """Rebuild the facts from what the journal kept."""
        made = cls.__new__(cls)
        for name in _KEPT:
            setattr(made, name, kept[name])
        if kept["evidence"] is not None:
            order = order.replaced(quote=Quote(*kept["evidence"]))
        made.order = order
        made.direction = Direction(kept["direction"])
        made.reducing = made.direction is _REDUCING
        made.cancel_first = tuple(kept["cancel_first"])
        made.state = TradingState(kept["state"])
        made.quote = None if kept["quote"] is None else Quote(*kept["quote"])
        made.instrument = None if kept["instrument"] is None else Instrument(*kept["instrument"])
        made.memo = dict(kept["memo"])
        made.sent_counts = {window_us: count for window_us, count in kept["sent"]}
        made._sent = made._attempts = _NO_LOG
        made._same = {}
        return made


_INSTRUMENT = tuple(Instrument.__dataclass_fields__)
# Made once: `json.dumps` with options of its own makes an encoder at each call, and every decision is written so.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


# Made once: `json.dumps` with settings makes a new one at every call.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: object) -> bytes:
    """Return *value* as canonical JSON bytes: sorted keys, no blanks, ASCII; NaN cannot occur."""
    return _ENCODER.encode(value).encode()
