"""The day's loss before the trade: reaching the limit refuses, unknown refuses, exits are exempt."""

from __future__ import annotations

from typing import Any

import pytest

from riskguard.core.account import PnlReading
from riskguard.core.checks.daily_loss import CHECK, Parameters
from riskguard.errors import RulebookError
from tests.core.builders import LOSS, NOW, account, ask, code, inr, order
from tests.core.tables import Row, table

LIMITS = table("""
    why                                inr   pct  equity  pnl        expected            limit
    flat                               5000  -    -       0          -                   -
    a profit                           5000  -    -       9000       -                   -
    a paisa before it                  5000  -    -       -4999.99   -                   -
    reached                            5000  -    -       -5000      DAILY_LOSS_REACHED  5000
    past it                            5000  -    -       -5000.01   DAILY_LOSS_REACHED  5000
    unknown is not zero                5000  -    -       -          PNL_UNKNOWN         5000
    a percent of the day's start       -     5    100000  -4999.99   -                   -
    a percent reached                  -     5    100000  -5000      DAILY_LOSS_REACHED  5000
    the tighter of two: rupees         4000  5    100000  -4000      DAILY_LOSS_REACHED  4000
    the tighter of two: percent        6000  5    100000  -5000      DAILY_LOSS_REACHED  5000
    a percent of the unknown           -     5    -       0          PNL_UNKNOWN         -
    a percent of nothing               -     5    0       0          PNL_UNKNOWN         -
    a percent of a debt                -     5    -1000   0          PNL_UNKNOWN         -
    a percent of next to nothing       -     5    0.0010  0          -                   -
    a percent of next to nothing       -     5    0.0010  -0.0001    DAILY_LOSS_REACHED  0.0001
""")


@pytest.mark.parametrize("row", LIMITS, ids=str)
def test_reaching_the_limit_trips_it(row: Row) -> None:
    """On the limit is refused, here and in the sweep; a percentage is of day-start equity, rounded down."""
    given: dict[str, Any] = {"daily_loss_inr_max": row.opt("inr"), "daily_loss_pct_max": row.opt_number("pct")}
    of = account(pnl=PnlReading(row.e4("pnl"), NOW, fresh_marks=True), opening_equity_e4=row.e4("equity"))
    reject = ask(CHECK, order(), of, **LOSS, **{name: value for name, value in given.items() if value is not None})

    assert code(reject) == row.expected
    if reject is not None:
        assert reject.limit_raw == row.e4("limit")
        assert reject.max_quantity == 0
        pnl_e4 = row.e4("pnl")
        reached = row.expected == "DAILY_LOSS_REACHED"
        assert reject.measured_raw == (-pnl_e4 if reached and pnl_e4 is not None else None)
        assert reached or ("profit" in reject.detail) is (pnl_e4 is None)


def test_no_reading_at_all_is_unknown() -> None:
    """Before the first sweep of the day nothing that adds risk goes out."""
    assert code(ask(CHECK, order(), account(pnl=None), daily_loss_inr_max="5000", **LOSS)) == "PNL_UNKNOWN"
    assert not CHECK.exits and CHECK.mandatory and CHECK.live
    assert (CHECK.v3_column, CHECK.on_breach) == ("daily_loss_limit", "kill")


MALFORMED = [
    {}, {"daily_loss_inr_max": "0"}, {"daily_loss_inr_max": "-1"}, {"daily_loss_inr_max": 5.0},
    {"daily_loss_inr_max": "NaN"},
    {"daily_loss_pct_max": 0}, {"daily_loss_pct_max": 101}, {"daily_loss_pct_max": "5"}, {"daily_loss_pct_max": True},
    {"daily_loss_inr_max": "5000", "warn_at_pct": [100]}, {"daily_loss_inr_max": "5000", "warn_at_pct": [0]},
    {"daily_loss_inr_max": "5000", "at_once_pct": 99}, {"daily_loss_inr_max": "5000", "reduce_only_at_pct": 101},
    {"daily_loss_inr_max": "5000", "daily_los_pct_max": 5},
]  # fmt: skip


@pytest.mark.parametrize("given", MALFORMED, ids=str)
def test_a_limit_that_means_nothing_is_refused(given: dict[str, Any]) -> None:
    """Zero is no limit, a float no sum, and a misspelt key no parameter."""
    with pytest.raises(RulebookError):
        Parameters.read({**LOSS, **given}, where="the test")
    edge = Parameters.read(
        {**LOSS, "daily_loss_pct_max": 100, "at_once_pct": 100, "reduce_only_at_pct": 100}, where="the test"
    )
    assert edge.limit_e4(inr("1000")) == inr("1000")


def test_the_tighter_of_two_is_unknown_when_one_of_them_is() -> None:
    """Rupees and percent are set and equity is unknown: which one binds is not known."""
    of = account(pnl=PnlReading(-inr("900"), NOW, fresh_marks=True), opening_equity_e4=None)

    assert code(ask(CHECK, order(), of, daily_loss_inr_max="5000", daily_loss_pct_max=1, **LOSS)) == "PNL_UNKNOWN"


BINDING = table("""
    inr  pct  equity_e4  sweep   order
    5    -    -          50000   50000
    5    5    -          50000   -
    5    5    -1         50000   -
    5    5    0          50000   -
    5    5    1          1       1
    5    5    39         1       1
    5    5    40         2       2
    5    5    2000000    50000   50000
    -    5    0          -       -
    -    5    1          1       1
""")


@pytest.mark.parametrize("row", BINDING, ids=str)
def test_which_limit_binds(row: Row) -> None:
    """The sweep goes by the one that is known, an order needs both; a part of equity is never less than 1/10000 rupee."""
    given: dict[str, Any] = {"daily_loss_inr_max": row.opt("inr"), "daily_loss_pct_max": row.opt_number("pct")}
    params = Parameters.read({**LOSS, **{name: value for name, value in given.items() if value}}, where="the test")
    equity_e4 = row.opt_number("equity_e4")

    assert params.limit_e4(equity_e4) == row.opt_number("sweep")
    assert params.binding_e4(equity_e4) == row.opt_number("order")
