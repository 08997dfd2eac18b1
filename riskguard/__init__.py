"""
riskguard: a risk-control engine with a kill switch for people who trade by program.

    guard = RiskGuard.open("sqlite:///risk.db")
    decision = guard.check(order)

This module is the public door; everything else may move. Releasing a halt is `riskguard.admin`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riskguard.core.decide import Decision
    from riskguard.core.direction import Direction
    from riskguard.core.instrument import Instrument
    from riskguard.core.order import Order
    from riskguard.core.quote import Quote
    from riskguard.core.reject import Reject, RejectCode
    from riskguard.core.state import TradingState
    from riskguard.core.terms import OrderType, Product, Segment, Side, Validity
    from riskguard.errors import (
        BrokerError,
        BrokerRefusedError,
        BrokerUnavailableError,
        BrokerUnconfirmedError,
        DatabaseMissingError,
        DecisionUnknownError,
        InputError,
        KillNotTakenError,
        OrderInvalidError,
        OrderRefusedError,
        PermitError,
        PermitNotSendableError,
        QuoteInvalidError,
        ReleaseRefusedError,
        ReportInvalidError,
        RiskGuardError,
        RulebookError,
        SchemaMismatchError,
        SettingsError,
        StoreError,
        StoreUnavailableError,
        UnknownAccountError,
        UpgradeError,
    )
    from riskguard.integrations.guarded_dhan import GuardedDhan
    from riskguard.integrations.hooks import guarded, placing
    from riskguard.services.kill.killswitch import KillOutcome
    from riskguard.services.orders.guard import AccountState, RiskGuard
    from riskguard.services.orders.permits import Permit

__version__ = "0.1.0"

_HOMES = {
    "riskguard.core.decide": ("Decision",),
    "riskguard.core.direction": ("Direction",),
    "riskguard.core.instrument": ("Instrument",),
    "riskguard.core.order": ("Order",),
    "riskguard.core.quote": ("Quote",),
    "riskguard.core.reject": ("Reject", "RejectCode"),
    "riskguard.core.state": ("TradingState",),
    "riskguard.core.terms": ("OrderType", "Product", "Segment", "Side", "Validity"),
    "riskguard.errors": (
        "BrokerError", "BrokerRefusedError", "BrokerUnavailableError", "BrokerUnconfirmedError",
        "DatabaseMissingError", "DecisionUnknownError", "InputError", "KillNotTakenError", "OrderInvalidError",
        "OrderRefusedError",
        "PermitError", "PermitNotSendableError", "QuoteInvalidError", "ReleaseRefusedError", "ReportInvalidError",
        "RiskGuardError", "RulebookError", "SchemaMismatchError", "SettingsError", "StoreError",
        "StoreUnavailableError", "UnknownAccountError", "UpgradeError",
    ),
    "riskguard.integrations.guarded_dhan": ("GuardedDhan",),
    "riskguard.integrations.hooks": ("guarded", "placing"),
    "riskguard.services.orders.guard": ("AccountState", "RiskGuard"),
    "riskguard.services.kill.killswitch": ("KillOutcome",),
    "riskguard.services.orders.permits": ("Permit",),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AccountState",
    "BrokerError",
    "BrokerRefusedError",
    "BrokerUnavailableError",
    "BrokerUnconfirmedError",
    "DatabaseMissingError",
    "Decision",
    "DecisionUnknownError",
    "Direction",
    "GuardedDhan",
    "InputError",
    "Instrument",
    "KillNotTakenError",
    "KillOutcome",
    "Order",
    "OrderInvalidError",
    "OrderRefusedError",
    "OrderType",
    "Permit",
    "PermitError",
    "PermitNotSendableError",
    "Product",
    "Quote",
    "QuoteInvalidError",
    "Reject",
    "RejectCode",
    "ReleaseRefusedError",
    "ReportInvalidError",
    "RiskGuard",
    "RiskGuardError",
    "RulebookError",
    "SchemaMismatchError",
    "Segment",
    "SettingsError",
    "Side",
    "StoreError",
    "StoreUnavailableError",
    "TradingState",
    "UnknownAccountError",
    "UpgradeError",
    "Validity",
    "guarded",
    "placing",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: `import riskguard` alone costs next to nothing."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module `riskguard` has no attribute `{name}`")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
