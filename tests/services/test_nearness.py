"""How near approved orders come to their limits: measured from the journal, said once per tier and day, near misses kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskguard import admin
from riskguard.core.checks import CHECKS
from riskguard.core.usage import BY_HAND, CEILINGS, WITHOUT, part_of, tier_of
from riskguard.services.limits import nearness
from riskguard.services.limits.nearness import Nearness
from riskguard.store.session import StoreBusyError
from tests.core.tables import Row, table
from tests.core.test_rulebook import EXAMPLES
from tests.services.desk import ACCOUNT, DAY, START, Desk, rulebook

VALUE = 'check = "order_value"\norder_value_inr_max = "10000"'
BOOK = rulebook(order_value=VALUE)


def test_every_check_has_a_ceiling_or_a_reason_to_have_none() -> None:
    """A new check is sorted by whoever adds it; a field that is named is a field."""
    sorted_ = [*CEILINGS, *BY_HAND, *WITHOUT]

    assert sorted(sorted_) == sorted(check.name for check in CHECKS)
    for check in CHECKS:
        assert set(CEILINGS.get(check.name, ())) <= set(check.params.model_fields), check.name


@pytest.mark.parametrize("check", sorted((*CEILINGS, *BY_HAND)))
def test_a_part_of_a_limit_is_no_larger(check: str) -> None:
    """All of it is itself, none of it allows nothing, and what is not a ceiling stays."""
    from riskguard.core.checks import by_name

    params = by_name(check).params.read(EXAMPLES[check], where="a test")
    assert part_of(check, params, 10_000) == params
    none, half = part_of(check, params, 0), part_of(check, params, 5_000)
    for name in CEILINGS.get(check, ()):
        value = getattr(params, name)
        if type(value) is int:
            assert (getattr(none, name), getattr(half, name)) == (0, value // 2)
    if check == "order_rate":
        assert [each.messages_max - each.reserve for each in none.windows] == [0] * len(params.windows)  # type: ignore[attr-defined]
    for name in set(type(params).model_fields) - set(CEILINGS.get(check, ())) - {"windows", "buffer_pct"}:
        assert getattr(half, name) == getattr(params, name)


TIERS = table("""
    part_e2  tier
    0        0
    5000     0
    5001     50
    7500     50
    7501     75
    8501     85
    9000     85
    9001     90
    9500     90
    9501     95
    10000    95
""")


@pytest.mark.parametrize("row", TIERS, ids=str)
def test_landing_on_a_tier_is_not_past_it(row: Row) -> None:
    assert tier_of(int(row.part_e2)) == int(row.tier)


@pytest.fixture
def near(make_desk: Callable[..., Desk]) -> Desk:
    """₹10,000 an order, and a market at 100."""
    made = make_desk(text=BOOK)
    made.quote("100")
    made.sweep()
    return made


def said(desk: Desk) -> list[str]:
    """The warnings told, of this limit, in order."""
    found = [message for _, _, message in desk.alerts.said if "limit `order-value`" in message]
    desk.alerts.said.clear()
    return found


def buy(desk: Desk, quantity: int, **more: Any) -> None:
    assert desk.guard.check(desk.order(quantity=quantity, price="100", **more)).approved


def row(desk: Desk, limit: str = "order-value") -> tuple[Any, ...]:
    (found,) = desk.rows(
        "SELECT approved, near_misses, peak_pct_e2, peak, warned_pct FROM limit_days WHERE limit_id = ? "
        "ORDER BY session_date DESC LIMIT 1", limit,
    )  # fmt: skip
    return found


DAY_OF = table("""
    quantities  approved  near  peak   warned  told
    50          1         0     5000   0       -
    51          1         0     5100   50      50
    90          1         0     9000   85      85
    91          1         1     9100   90      90
    100         1         1     10000  95      95
    51,60,76    3         0     7600   75      75
    96,96,20    3         2     9600   95      95
""")


@pytest.mark.parametrize("row_", DAY_OF, ids=str)
def test_one_sweep_says_the_highest_tier_and_counts_every_order(near: Desk, row_: Row) -> None:
    """On a tier nothing is said, past it the tier is; a near miss used more than nine tenths."""
    for number, quantity in enumerate(row_.quantities.split(",")):
        buy(near, int(quantity), strategy=f"s{number}")
    near.sweep()

    names = ("approved", "near", "peak", "warned")
    approved, misses, peak_e2, peak, warned = row(near)
    assert (approved, misses, peak_e2, warned) == tuple(row_.number(name) for name in names)
    assert peak == f"{row_.number('peak')}.00 inr"
    assert ["past" in each and f" {row_.told} %" in each for each in said(near)] == ([True] if row_.opt("told") else [])


def test_each_tier_is_told_once_a_day(near: Desk) -> None:
    """Again the same, and less: silence. Higher: told. A new process: silence. The next day: told anew."""
    buy(near, 60)
    near.sweep()
    assert len(said(near)) == 1
    buy(near, 70, strategy="again")
    near.sweep()
    assert said(near) == []
    buy(near, 80, strategy="more")
    near.sweep()
    assert ["past 75 %" in each for each in said(near)] == [True]
    head = near.one("SELECT sequence FROM account_heads WHERE account = ?", ACCOUNT)
    before = row(near)
    assert Nearness(near.store, ACCOUNT).count(head, near.clock.now_us()) == []
    assert row(near) == before
    near.clock.at_us = START + DAY
    near.quote("100")
    near.sweep()
    buy(near, 60, strategy="tomorrow")
    near.sweep()
    assert ["past 50 %" in each for each in said(near)] == [True]


def test_refusals_and_exits_use_nothing(near: Desk) -> None:
    """What did not go out came near to nothing, and leaving is no use of a limit."""
    near.hold(60)
    near.alerts.said.clear()
    before = row(near)
    assert not near.guard.check(near.order(quantity=101, price="100")).approved
    assert near.guard.check(near.order("SELL", 60)).approved
    near.sweep()

    assert row(near) == before and said(near) == []


def test_two_sweepers_do_not_count_twice(near: Desk) -> None:
    """Two processes look at the same entries: the second finds them counted, also when it looked before the first wrote."""
    buy(near, 60)
    head, now_us = near.one("SELECT sequence FROM account_heads WHERE account = ?", ACCOUNT), near.clock.now_us()
    first, second = Nearness(near.store, ACCOUNT), Nearness(near.store, ACCOUNT)
    save = second._save

    def late(*args: Any) -> Any:
        first.count(head, now_us)
        return save(*args)

    second._save = late  # type: ignore[method-assign]
    assert second.count(head, now_us) == []
    assert row(near)[0] == 1
    second._save = save  # type: ignore[method-assign]
    assert second.count(head, now_us) == []
    assert row(near)[0] == 1


def test_more_than_a_sweep_can_count_is_counted_by_the_next(near: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out, and nothing counted twice, where a sweep stops half-way."""
    monkeypatch.setattr(nearness, "ENTRIES_MAX", 2)
    for number in range(5):
        buy(near, 60 + number, strategy=f"s{number}")
    counts = []
    for _ in range(4):
        near.sweep()
        counts.append(row(near)[0])

    assert counts == [2, 4, 5, 5]
    assert row(near)[2] == 6400


def test_a_database_that_is_busy_costs_no_sweep(near: Desk) -> None:
    """The count waits; what it would have said is said by the next sweep."""
    buy(near, 60)
    near.sweeper.nearness.store = near.another_guard(deadline_ms=1).store
    near.sweeper._journaled_to = near.one("SELECT sequence FROM account_heads WHERE account = ?", ACCOUNT)
    with near.unwritable(), pytest.raises(StoreBusyError):
        near.sweeper.nearness.count(near.sweeper._journaled_to, near.clock.now_us())
    near.sweep()

    assert ["past 50 %" in each for each in said(near)] == [True]


def test_limits_of_a_part_and_of_windows_are_measured(near: Desk) -> None:
    """Of one strategy, of lots by position, of a rate with its reserve: each by its own check."""
    text = rulebook(
        order_value=VALUE,
        net_position='check = "net_position"\nposition_max = "200"\nunit = "units"\nscope = "STRATEGY:a"',
        order_rate='check = "order_rate"\nwindows = [{ messages_max = 10, reserve = 2, per_s = 60 }]',
    )
    admin.apply_rulebook(near.store, text, account=ACCOUNT, by="asha", approver="meera", clock=near.clock)
    buy(near, 40, strategy="a")
    buy(near, 41, strategy="b")
    near.sweep()

    assert row(near, "net-position")[:3] == (1, 0, 2000)
    assert row(near, "order-rate")[:3] == (2, 0, 2500)  # the second of eight
