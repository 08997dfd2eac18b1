"""How much a follower copies: whole lots rounded down, never up; a leader gone flat closes it fully."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from riskguard.core.copying import CopyRule, entry_quantity, exit_quantity, is_beyond, ratio_of, worst_price_e4
from tests.core.tables import Row, table


def rule(**changes: object) -> CopyRule:
    fields = {
        "leader": "leader", "follower": "f", "sizing": "fixed_ratio", "ratio": "0.5", "copy_delay_s": 5,
        "copy_slippage_pct": "0.5",
    }  # fmt: skip
    return CopyRule.model_validate({**fields, **changes})


FIXED = table("""
    ratio  quantity  lot  expected
    0.5         100    1        50
    0.5         101    1        50
    0.5          75   25        25
    0.5          50   25        25
    0.5          49   25         0
    2            25   25        50
    0.3333      100    1        33
    1             1    1         1
    0.9999        1    1         0
""")


@pytest.mark.parametrize("row", FIXED, ids=str)
def test_a_fixed_ratio_is_rounded_down_to_lots(row: Row) -> None:
    """Below one lot there is no copy, and the answer says so."""
    units, why = entry_quantity(rule(ratio=row.ratio), row.number("quantity"), row.number("lot"), None, None, None)

    assert units == row.number("expected") and type(units) is int
    assert bool(why) is (units == 0)


CAPITAL = table("""
    leader  follower  quantity  expected
    100000     50000       100        50
    100000     49999       100        49
    100000    300000       100       300
         0     50000       100         0
    100000         0       100         0
         -     50000       100         0
    100000         -       100         0
         1         1       100       100
        -1         1       100         0
         1        -1       100         0
""")


@pytest.mark.parametrize("row", CAPITAL, ids=str)
def test_capital_proportional(row: Row) -> None:
    """Unknown or no capital copies nothing: it is not a ratio of one."""
    of = rule(sizing="capital_proportional", ratio=None)
    leader, follower = row.opt_number("leader"), row.opt_number("follower")

    units, why = entry_quantity(of, row.number("quantity"), 1, leader, follower, None)
    assert units == row.number("expected") and type(units) is int
    assert why == ("" if units else "the capital of leader or follower is unknown")


RISK = table("""
    risk  unit_risk_e4  lot  expected
    1000         50000    1       200
    1000         50001    1       199
    1000         50000   75       150
     100       1000001    1         0
    1000             0    1         0
    1000             -    1         0
""")


@pytest.mark.parametrize("row", RISK, ids=str)
def test_risk_based(row: Row) -> None:
    """Rupees over what a unit loses at its stop; without a stop there is nothing to size by."""
    of = rule(sizing="risk_based", ratio=None, risk_inr=row.risk)

    units, why = entry_quantity(of, 10, row.number("lot"), None, None, row.opt_number("unit_risk_e4"))
    assert units == row.number("expected") and type(units) is int
    no_stop = row.opt("unit_risk_e4") in (None, "0")
    none = "the order has no stop to size its risk by" if no_stop else "0 units are less than one lot of 1"
    assert why == ("" if units else none)


EXITS = table("""
    before  closed  held  lot  expected
       100     100    50    1        50
       100      99    50    1        49
       100      50    50    1        25
       100      50    75   25        25
       100      10    75   25         0
       100     200    50    1        50
      -100      50   -50    1        25
         0      10    30    1        30
         0       0    30    1        30
       100     100    30   25        30
       100      99    30   25        25
""")


@pytest.mark.parametrize("row", EXITS, ids=str)
def test_exits_follow_in_part_and_close_fully_when_the_leader_is_flat(row: Row) -> None:
    """A part is rounded down to lots; the whole is not rounded at all."""
    asked = [row.number(name) for name in ("before", "closed", "held", "lot")]
    closed = exit_quantity(*asked)
    assert closed == row.number("expected") and type(closed) is int


SLIPPED = table("""
    market  sign  beyond
     1005      1  no
     1005.05   1  yes
      995     -1  no
      994.95  -1  yes
      900      1  no
     1100     -1  no
""")


@pytest.mark.parametrize("row", SLIPPED, ids=str)
def test_slippage_is_measured_against_us(row: Row) -> None:
    """Half a percent of 1000 exactly is allowed; a better market is never beyond."""
    market_e4 = row.e4("market")
    assert market_e4 is not None

    assert is_beyond(10_000_000, market_e4, row.number("sign"), 5_000) is row.has("beyond")


@pytest.mark.parametrize(("sign", "expected"), [(1, 10_050_000), (-1, 9_950_000)])
def test_the_worst_price_is_on_the_tick_and_not_past_the_slippage(sign: int, expected: int) -> None:
    """1000 ± 0.5 % is on the tick; 1000.10 ± 0.5 % is rounded back towards the leader's price."""
    assert worst_price_e4(10_000_000, sign, 5_000, 500) == expected
    odd = worst_price_e4(10_001_000, sign, 5_000, 500)
    assert odd % 500 == 0
    assert not is_beyond(10_001_000, odd, sign, 5_000)
    free = worst_price_e4(10_000_001, sign, 5_000, 0)
    assert type(odd) is type(free) is int
    assert free == 10_000_001 + sign * 50_000, "without a tick rounded towards the leader's price"


WRONG = [
    {"ratio": None}, {"ratio": "0"}, {"ratio": "-1"}, {"ratio": 0.5}, {"sizing": "risk_based"},
    {"sizing": "capital_proportional"}, {"sizing": "double"}, {"leader": "f"}, {"risk_inr": "5"}, {"copy_delay_s": 0}, {"extra": 1},
    {"copy_slippage_pct": "NaN"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_malformed_rule_is_refused(wrong: dict[str, object]) -> None:
    """A ratio that does not belong, a sizing that does not exist, an account that copies itself."""
    with pytest.raises(ValidationError):
        rule(**wrong)


def test_a_rule_reads_back_what_it_wrote() -> None:
    """It is kept as JSON in a config row."""
    for each in (rule(), rule(sizing="risk_based", ratio=None, risk_inr="250.5")):
        assert CopyRule.model_validate_json(each.model_dump_json()) == each


def test_the_ratio_kept_is_what_came_of_it() -> None:
    assert (str(ratio_of(25, 75)), str(ratio_of(0, 75)), str(ratio_of(1, 0))) == ("0.3333", "0.0000", "0")
