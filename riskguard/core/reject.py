"""Why an order is refused: stable codes in order of precedence, and the numbers behind each."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from riskguard.core.money import rupees, to_decimal


class RejectCode(StrEnum):
    """
    Every reason to refuse, the weightiest first: the order here is the order of `Decision.rejects`.

    The words are stable: programs compare them, violations store them. `docs/codes.md` explains each.
    """

    CLIENT_ORDER_ID_REUSED = "CLIENT_ORDER_ID_REUSED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    STORE_BUSY = "STORE_BUSY"
    TRADING_HALTED = "TRADING_HALTED"
    REDUCE_ONLY = "REDUCE_ONLY"
    PERMIT_VOID = "PERMIT_VOID"
    CHECK_BROKEN = "CHECK_BROKEN"
    LIMITS_NOT_CONFIGURED = "LIMITS_NOT_CONFIGURED"
    BASKET_REFUSED = "BASKET_REFUSED"
    COPY_REFUSED = "COPY_REFUSED"
    INSTRUMENT_UNKNOWN = "INSTRUMENT_UNKNOWN"
    CONTRACT_EXPIRED = "CONTRACT_EXPIRED"
    NOT_PERMITTED = "NOT_PERMITTED"
    OUTSIDE_TRADING_WINDOW = "OUTSIDE_TRADING_WINDOW"
    DISCLOSED_QUANTITY_OUT_OF_RANGE = "DISCLOSED_QUANTITY_OUT_OF_RANGE"
    SHORT_DELIVERY = "SHORT_DELIVERY"
    MULTIPLIER_UNKNOWN = "MULTIPLIER_UNKNOWN"
    NOT_A_LOT_MULTIPLE = "NOT_A_LOT_MULTIPLE"
    ABOVE_FREEZE_QUANTITY = "ABOVE_FREEZE_QUANTITY"
    NOT_A_TICK_MULTIPLE = "NOT_A_TICK_MULTIPLE"
    STOP_ORDER_NOT_TAKEN = "STOP_ORDER_NOT_TAKEN"
    STOP_LIMIT_GAP_ABOVE_LIMIT = "STOP_LIMIT_GAP_ABOVE_LIMIT"
    PRICE_OUTSIDE_BAND = "PRICE_OUTSIDE_BAND"
    PRICE_OUTSIDE_COLLAR = "PRICE_OUTSIDE_COLLAR"
    POSITION_UNKNOWN = "POSITION_UNKNOWN"
    SNAPSHOT_STALE = "SNAPSHOT_STALE"
    CLOCK_SKEW = "CLOCK_SKEW"
    SIGNAL_STALE = "SIGNAL_STALE"
    PRICE_UNKNOWN = "PRICE_UNKNOWN"
    SWEEP_STALE = "SWEEP_STALE"
    PNL_UNKNOWN = "PNL_UNKNOWN"
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN"
    MARGIN_UNKNOWN = "MARGIN_UNKNOWN"
    DAILY_LOSS_REACHED = "DAILY_LOSS_REACHED"
    PROJECTED_LOSS_REACHED = "PROJECTED_LOSS_REACHED"
    STOP_REQUIRED = "STOP_REQUIRED"
    RISK_PER_TRADE_ABOVE_LIMIT = "RISK_PER_TRADE_ABOVE_LIMIT"
    ORDER_QUANTITY_ABOVE_LIMIT = "ORDER_QUANTITY_ABOVE_LIMIT"
    ORDER_VALUE_ABOVE_LIMIT = "ORDER_VALUE_ABOVE_LIMIT"
    NET_POSITION_ABOVE_LIMIT = "NET_POSITION_ABOVE_LIMIT"
    NAKED_SHORT_ABOVE_LIMIT = "NAKED_SHORT_ABOVE_LIMIT"
    POSITION_VALUE_ABOVE_LIMIT = "POSITION_VALUE_ABOVE_LIMIT"
    GROSS_EXPOSURE_ABOVE_LIMIT = "GROSS_EXPOSURE_ABOVE_LIMIT"
    NET_EXPOSURE_ABOVE_LIMIT = "NET_EXPOSURE_ABOVE_LIMIT"
    LEVERAGE_ABOVE_LIMIT = "LEVERAGE_ABOVE_LIMIT"
    CONCENTRATION_ABOVE_LIMIT = "CONCENTRATION_ABOVE_LIMIT"
    MARGIN_NOT_ENOUGH = "MARGIN_NOT_ENOUGH"
    OPEN_ORDER_VALUE_ABOVE_LIMIT = "OPEN_ORDER_VALUE_ABOVE_LIMIT"
    OPEN_ORDER_COUNT_ABOVE_LIMIT = "OPEN_ORDER_COUNT_ABOVE_LIMIT"
    TIME_TO_FLAT_ABOVE_LIMIT = "TIME_TO_FLAT_ABOVE_LIMIT"
    SELF_TRADE = "SELF_TRADE"
    UNCONFIRMED_IN_FLIGHT = "UNCONFIRMED_IN_FLIGHT"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    REPEATED_EXECUTION = "REPEATED_EXECUTION"
    MODIFICATIONS_ABOVE_LIMIT = "MODIFICATIONS_ABOVE_LIMIT"
    ORDER_TO_TRADE_RATIO_ABOVE_LIMIT = "ORDER_TO_TRADE_RATIO_ABOVE_LIMIT"
    ORDER_RATE_ABOVE_LIMIT = "ORDER_RATE_ABOVE_LIMIT"
    ATTEMPT_RATE_ABOVE_LIMIT = "ATTEMPT_RATE_ABOVE_LIMIT"


PRECEDENCE: Final = {code: place for place, code in enumerate(RejectCode)}

RUPEES: Final = "inr"
"""The one unit whose raw numbers are 1/10000 rupee; all others (units, lots, s, messages …) are plain."""


class Reject:
    """
    One refusal by one limit.

    `measured`, `limit` and `headroom` are in `unit`: Decimal rupees for `inr`, whole numbers otherwise; None
    means it could not be measured. `max_quantity` is what would have passed this limit (0: nothing would),
    `frees_at_us` when time alone frees it (None: time alone does not).
    """

    __slots__ = (
        "check",
        "code",
        "detail",
        "frees_at_us",
        "hint",
        "limit_id",
        "limit_raw",
        "max_quantity",
        "measured_raw",
        "row_id",
        "scope",
        "unit",
    )

    def __init__(
        self,
        code: RejectCode,
        *,
        measured: int | None = None,
        limit: int | None = None,
        unit: str = "",
        max_quantity: int | None = None,
        frees_at_us: int | None = None,
        detail: str = "",
        hint: str = "",
    ) -> None:
        self.code = code
        self.measured_raw = measured
        self.limit_raw = limit
        self.unit = unit
        self.max_quantity = max_quantity
        self.frees_at_us = frees_at_us
        self.detail = detail
        self.hint = hint
        # Filled in by `decide`, which knows which limit asked.
        self.check = ""
        self.limit_id = ""
        self.scope = ""
        self.row_id: int | None = None

    @property
    def measured(self) -> Decimal | int | None:
        return self._shown(self.measured_raw)

    @property
    def limit(self) -> Decimal | int | None:
        return self._shown(self.limit_raw)

    @property
    def headroom(self) -> Decimal | int | None:
        """What the limit leaves after this order: negative by how much it is over; None when unmeasured."""
        if self.measured_raw is None or self.limit_raw is None:
            return None
        return self._shown(self.limit_raw - self.measured_raw)

    @property
    def message(self) -> str:
        """One line for people: what, how much of how much, whose limit, what would pass, the way out."""
        parts = [self.detail or self.code.value.lower().replace("_", " ")]
        if self.measured_raw is not None and self.limit_raw is not None:
            parts.append(f"{self._text(self.measured_raw)} against a limit of {self._text(self.limit_raw)}")
        if self.limit_id:
            parts.append(f"limit `{self.limit_id}` ({self.scope})")
        if self.max_quantity is not None and self.max_quantity > 0:
            parts.append(f"up to {self.max_quantity} would pass")
        if self.hint:
            parts.append(self.hint)
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the refusal as JSON-ready data; rupees as text."""
        return {
            "code": self.code.value,
            "check": self.check,
            "limit_id": self.limit_id,
            "scope": self.scope,
            "measured": _plain(self.measured),
            "limit": _plain(self.limit),
            "unit": self.unit,
            "headroom": _plain(self.headroom),
            "max_quantity": self.max_quantity,
            "frees_at_us": self.frees_at_us,
            "message": self.message,
        }

    def kept(self) -> dict[str, Any]:
        """Return what the journal keeps; `Reject.restored` reads it back, replay must find it again."""
        return {name: getattr(self, name) for name in _KEPT} | {"code": self.code.value}

    @classmethod
    def restored(cls, kept: dict[str, Any]) -> Reject:
        """Rebuild a refusal from the journal."""
        made = cls(RejectCode(kept["code"]))
        for name in _KEPT:
            setattr(made, name, kept[name])
        return made

    def __repr__(self) -> str:
        return f"<Reject {self.code.value}: {self.message}>"

    def _shown(self, raw: int | None) -> Decimal | int | None:
        return to_decimal(raw) if self.unit == RUPEES and raw is not None else raw

    def _text(self, raw: int) -> str:
        return rupees(raw) if self.unit == RUPEES else f"{raw} {self.unit}".rstrip()


_KEPT: Final = (
    "check", "detail", "frees_at_us", "hint", "limit_id", "limit_raw", "max_quantity", "measured_raw", "row_id",
    "scope", "unit",
)  # fmt: skip


def _plain(value: Decimal | int | None) -> str | int | None:
    return str(value) if isinstance(value, Decimal) else value
