"""How much of a limit an order used: the least part of it that still passes, by asking the check itself."""

from __future__ import annotations

import pytest

from riskguard.core.account import Account
from riskguard.core.checks import by_name
from riskguard.core.facts import Facts
from riskguard.core.limits import LimitSet
from riskguard.core.usage import WHOLE, Gauge, Recalled, Used, gauges, part_of, tier_of
from tests.core.builders import NOW, SECOND, account, limit, order
from tests.core.tables import Row, table
from tests.core.test_rulebook import EXAMPLES

MARGIN = EXAMPLES["margin_available"]
VALUE = limit("order_value", order_value_inr_max="10000")


def facts_of(quantity: int, price: str = "100", of: Account | None = None) -> Facts:
    return Facts.of(order(quantity=quantity, price=price), account() if of is None else of, NOW)


USED = table("""
    quantity  known_e2  expected  measured
    1         0         100       100.00 inr
    50        0         5000      5000.00 inr
    100       0         10000     10000.00 inr
    101       0         -         -
    50        5000      5000      -
    50        4999      5000      5000.00 inr
    91        9000      9100      9100.00 inr
    90        9500      9000      -
    91        9500      9500      -
    95        9500      9500      -
    96        9500      9600      9600.00 inr
""")


@pytest.mark.parametrize("row", USED, ids=str)
def test_the_least_part_that_passes(row: Row) -> None:
    """₹10,000 an order. What is not more than is known, or than a near miss begins with, is not searched for."""
    found = Gauge(VALUE).used(facts_of(row.number("quantity")), row.number("known_e2"))

    expected = row.opt_number("expected")
    assert found == (None if expected is None else Used(expected, row.opt("measured") or ""))


def test_it_is_rounded_up() -> None:
    """A hair over half is more than half: a rounding may warn early, never late."""
    assert Gauge(VALUE).used(facts_of(50, "100.05")) == Used(5003, "5002.50 inr")


def test_nobody_can_say() -> None:
    """What even no limit at all lets pass, what cannot be measured, what breaks: nothing is said, and nothing raises."""
    exit_of_all = Facts.of(order("SELL", 10), account(), NOW)
    open_orders = limit("open_order_count", open_orders_max=2)
    assert Gauge(open_orders).used(facts_of(1)) == Used(5000, "1 orders")
    assert Gauge(limit("modification_count", modifications_max=3)).used(exit_of_all) is None
    blind = facts_of(1)
    blind.memo = None  # type: ignore[assignment]
    assert Gauge(open_orders).used(blind) is None


def test_only_what_has_a_ceiling_gets_a_gauge() -> None:
    """A named one, or one of those sorted by hand; a switch or a list has nothing to be near to."""
    rate = limit("order_rate", windows=[{"messages_max": 10, "reserve": 2, "per_s": 1}])
    margin = limit("margin_available", **MARGIN)
    limits = (VALUE, rate, margin, limit("trading_state"), limit("duplicate_order", within_s=2))

    assert [each.limit for each in gauges(limits)] == [VALUE, rate, margin]


def test_a_part_of_a_window_and_of_a_buffer() -> None:
    """The reserve for exits is nobody's to use, so it stays; a buffer grows as what may be used shrinks."""
    rate = by_name("order_rate").params.read({"windows": [{"messages_max": 10, "reserve": 2, "per_s": 1}]}, where="x")
    assert [part_of("order_rate", rate, part).windows[0].messages_max for part in (0, 5_000, WHOLE)] == [2, 6, 10]  # type: ignore[attr-defined]
    margin = by_name("margin_available").params.read(MARGIN, where="x")
    whole = margin.buffer_pct  # type: ignore[attr-defined]
    parts = [part_of("margin_available", margin, part).buffer_pct for part in (0, 5_000, WHOLE)]  # type: ignore[attr-defined]
    assert parts == [WHOLE, WHOLE - (WHOLE - whole) // 2, whole]
    loss = by_name("risk_per_trade").params.read({"risk_inr_max": "100"}, where="x")
    assert part_of("risk_per_trade", loss, 2_500).risk_inr_max == 250_000  # type: ignore[attr-defined]
    assert part_of("risk_per_trade", loss, 2_500).risk_pct_max is None  # type: ignore[attr-defined]
    assert type(part_of("risk_per_trade", loss, 2_500).risk_inr_max) is int  # type: ignore[attr-defined]


def test_facts_of_a_record_do_not_look_for_when_a_window_frees_up() -> None:
    """A record does not hold it, and the answer to "how much" does not need it."""
    of = account(limits=LimitSet(()))
    of.sent.add(NOW - SECOND // 2)
    live = Facts.of(order(), of, NOW)
    assert live.sent_leaves_us(1, SECOND) is not None
    again = Recalled.replayed(live.order, live.recorded())
    assert again.sent_leaves_us(1, SECOND) is None and again.attempt_leaves_us(1, SECOND) is None


def test_landing_on_a_tier_is_not_past_it() -> None:
    """50, 75, 85, 90, 95 per cent: a hundredth of one more is past it."""
    for tier, before in ((50, 0), (75, 50), (85, 75), (90, 85), (95, 90)):
        assert (tier_of(tier * 100), tier_of(tier * 100 + 1)) == (before, tier)
    assert tier_of(WHOLE) == 95


def test_a_gauge_keeps_the_parts_it_made() -> None:
    """Making one costs more than asking it: the second order of the day asks with the same ones."""
    gauge = Gauge(VALUE)
    gauge.used(facts_of(50))
    made = [id(each) for each in gauge._parts.values()]
    gauge.used(facts_of(50))
    assert [id(each) for each in gauge._parts.values()] == made and len(made) > 5
