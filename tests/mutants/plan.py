"""
Which files are mutated, and which tests each group of them has to answer to.

The modules that decide: what an order is asked, how a position is valued and counted, what a breach does, who may release.
A group's tests are the quick ones that are about it; a mutant that only an hour of generated cases finds is not well tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEAST_PCT: Final = 95
"""Of each group's mutants so many are to be killed, equivalent ones left out."""

CASES: Final = "tests/mutants/few_cases.py"
DECIDE: Final = ("tests/core/test_decide.py", "tests/core/test_direction.py", "tests/core/checks")

LIVE: Final = (
    "tests/core/test_assess.py",
    *(f"tests/core/live/test_{name}.py" for name in ("said", "books", "health", "losses", "profits", "view", "edges")),
)
"""Without the test that reads the sources: the mutants stand in them."""


@dataclass(frozen=True)
class Group:
    """Files to mutate (globs from the root), and the tests (files, folders) that are run on each mutant."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


def checks(*names: str, more: tuple[str, ...] = ()) -> Group:
    """Some of the checks, each a file; all of them in one run would be the better part of an hour."""
    return Group((*(f"riskguard/core/checks/{name}.py" for name in names), *more), ("tests/core/checks", CASES))


GROUPS: Final[dict[str, Group]] = {
    "decide": Group(
        (
            "riskguard/core/decide.py", "riskguard/core/direction.py", "riskguard/core/state.py",
            "riskguard/core/scope.py", "riskguard/core/expiry.py",
        ),
        (*DECIDE, "tests/core/test_limits.py", "tests/core/test_bhavcopy.py", CASES),
    ),
    "release": Group(("riskguard/core/release.py",), ("tests/core/test_release.py",)),
    "money": Group(
        ("riskguard/core/money.py", "riskguard/core/pricing.py"),
        ("tests/core/test_money.py", "tests/core/test_pricing.py", "tests/core/test_quote.py", CASES),
    ),
    "checks-grid": checks(
        "order_validity", "permission", "lot_size", "freeze_quantity", "price_tick", "stop_limit_gap", "price_band",
        "price_collar", "order_quantity", "order_value",
    ),
    "checks-money": checks(
        "daily_loss", "projected_daily_loss", "stop_required", "risk_per_trade", "margin_available",
        more=("riskguard/core/measure.py",),
    ),
    "checks-book": checks(
        "net_position", "position_value", "gross_exposure", "net_exposure", "leverage", "concentration",
        "open_order_value", "open_order_count", "naked_short_option", "time_to_flat", "self_trade",
    ),
    "checks-time": checks(
        "trading_state", "trading_window", "data_freshness", "clock_skew", "signal_age", "sweep_heartbeat",
        "unconfirmed_in_flight",
    ),
    "checks-pace": checks(
        "order_rate", "attempt_rate", "duplicate_order", "modification_count", "order_to_trade_ratio",
        "repeated_execution", "__init__",
    ),
    "exposure": Group(
        ("riskguard/core/exposure/*.py",),
        ("tests/core/test_exposure.py", "tests/core/checks/test_exposures.py", "tests/core/checks/test_risk.py", CASES),
    ),
    "pnl": Group(("riskguard/core/pnl.py",), ("tests/core/test_pnl.py", "tests/core/test_pnl_parts.py")),
    "live": Group(("riskguard/core/assess.py", "riskguard/core/live/*.py"), LIVE),
    "marks": Group(
        ("riskguard/core/marking.py", "riskguard/core/pnl_parts.py", "riskguard/core/pnl_views.py", "riskguard/core/book.py"),
        tuple(f"tests/core/test_{name}.py" for name in ("marking", "pnl", "pnl_parts", "pnl_views", "book")),
    ),
    "legs": Group(
        tuple(f"riskguard/core/{name}.py" for name in ("adjust", "basket", "change", "copying", "sizing")),
        tuple(f"tests/core/test_{name}.py" for name in ("adjust", "basket", "change", "copying", "sizing")),
    ),
    "told": Group(
        ("riskguard/core/news.py", "riskguard/core/usage.py", "riskguard/core/seen.py"),
        ("tests/core/test_news.py", "tests/core/test_usage.py"),
    ),
    "account": Group(
        tuple(f"riskguard/core/{name}.py" for name in ("account", "facts", "passing")),
        (
            *(f"tests/core/test_{name}.py" for name in ("account", "facts", "passing", "adjust", "basket", "change")),
            *DECIDE, CASES,
        ),
    ),
    "orders": Group(
        tuple(f"riskguard/core/{name}.py" for name in ("order", "quote", "reject", "instrument", "terms")),
        (
            *(f"tests/core/test_{name}.py" for name in ("order", "quote", "reject", "instrument", "pricing")),
            "tests/core/checks", CASES,
        ),
    ),
    "rules": Group(
        tuple(f"riskguard/core/{name}.py" for name in ("limits", "params", "rulebook")),
        tuple(f"tests/core/test_{name}.py" for name in ("limits", "params", "rulebook", "rulebook_said")),
    ),
    "charges": Group(
        ("riskguard/core/charges/*.py",),
        tuple(f"tests/core/test_{name}.py" for name in ("charges_said", "charges", "charges_estimate")),
    ),
    "days": Group(
        tuple(f"riskguard/core/{name}.py" for name in ("calendar", "calendar_text", "market", "ticks", "bhavcopy")),
        tuple(
            f"tests/core/test_{name}.py"
            for name in ("calendar", "calendar_text", "calendar_shipped", "market", "ticks", "bhavcopy")
        ),
    ),
}  # fmt: skip
