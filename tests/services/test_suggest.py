"""What history suggests: drawn from real decisions, refused from too little, never looser without saying so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import pytest

from riskguard.core.rulebook import changes, parse
from riskguard.errors import UnknownAccountError
from riskguard.services.limits import rulebooks, suggest
from riskguard.services.limits.suggest import Suggestion
from riskguard.store import controls
from tests.services.desk import ACCOUNT, DAY, START, Desk, rulebook

BOOK = rulebook(
    order_value='check = "order_value"\norder_value_inr_max = "100000"',
    net_position='check = "net_position"\nposition_max = "10000"\nunit = "units"',
)


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    made = make_desk(text=BOOK)
    made.quote("100")
    made.sweep()
    return made


def history(desk: Desk, days: int, orders: int, quantity: int = 100) -> None:
    """So many approved orders on each of so many days; each released, so that none stays in the way."""
    for day in range(days):
        desk.clock.at_us = START + day * DAY
        desk.quote("100")
        desk.sweep()
        for number in range(orders):
            decision = desk.guard.check(desk.order(quantity=quantity, price="100", strategy=f"{day}-{number}"))
            assert decision.approved, decision.explain()
            decision.permit.release()
        desk.sweep()


def found(desk: Desk, limit_id: str, **how: Any) -> Suggestion:
    (one,) = [
        each
        for each in suggest.suggest(desk.store, ACCOUNT, desk.clock.now_us(), **how).suggestions
        if each.limit_id == limit_id
    ]
    return one


def losses(desk: Desk, worst_inr: list[int]) -> None:
    """P&L readings as sweeps leave them: the worst of each day, and a better one beside it."""
    desk.sql("DELETE FROM pnl_readings")
    for day, worst in enumerate(worst_inr):
        session = (date(2025, 5, 10) + timedelta(days=day)).isoformat()
        for at, pnl in ((0, -worst * 10_000), (1, 5_000_000)):
            desk.sql(
                "INSERT INTO pnl_readings (account, session_date, at_us, day_pnl_e4, charges_e4, fresh_marks) "
                "VALUES ('leader', ?, ?, ?, 0, 1)", session, START - (20 - day) * DAY + at, pnl,
            )  # fmt: skip


@pytest.mark.parametrize(
    ("days", "orders", "kind"), [(5, 20, "tighten"), (5, 19, "too little history"), (4, 30, "too little history")]
)
def test_a_hundred_orders_on_five_days_are_wanted(desk: Desk, days: int, orders: int, kind: str) -> None:
    """One less of either suggests nothing, and says what is missing."""
    history(desk, days, orders)

    each = found(desk, "order-value")
    assert each.kind == kind
    assert (each.samples, each.days) == (days * orders, days)
    if kind == "tighten":
        # 100 units at 100 are ₹10,000; twice that.
        assert (each.current, each.suggested) == ("order_value_inr_max=100000.00", "order_value_inr_max=20000.00")
        assert each.quantile_pct == 99 and "twice" in each.reason
    else:
        assert each.suggested == "" and "wants 100 on 5" in each.reason


def test_the_quantile_leaves_the_one_slip_out(desk: Desk) -> None:
    """One order in a hundred of ten times the size does not make the limit; two do."""
    history(desk, 5, 20)
    one = desk.guard.check(desk.order(quantity=900, price="100", strategy="slip"))
    assert one.approved
    assert found(desk, "order-value").suggested == "order_value_inr_max=20000.00"
    two = desk.guard.check(desk.order(quantity=900, price="100", strategy="slip2"))
    assert two.approved
    assert found(desk, "order-value").kind == "keep"  # twice ₹90,000 is more than stands, and nothing was stopped


def test_only_the_days_asked_for_count(desk: Desk) -> None:
    """Five days ago is within six days and not within three."""
    history(desk, 5, 20)

    assert found(desk, "order-value", days=6).samples == 100
    assert found(desk, "order-value", days=2).samples < 100


def test_a_position_wants_ten_days(desk: Desk) -> None:
    """Of each day its largest counts: ten days are ten samples, nine are too few."""
    history(desk, 9, 1)
    assert found(desk, "net-position").kind == "too little history"
    desk.clock.at_us = START + 9 * DAY
    desk.quote("100")
    desk.sweep()
    assert desk.guard.check(desk.order(quantity=100, price="100")).approved

    each = found(desk, "net-position")
    assert (each.kind, each.samples, each.suggested) == ("tighten", 10, "position_max=150.00")


LOSSES = [
    ([1000] * 9, "too little history", ""),
    ([1000] * 10, "tighten", "daily_loss_inr_max=1300.00"),  # 1,250, rounded up to two digits
    ([0] * 9 + [4000], "keep", ""),  # nine of ten days lost nothing: there is nothing to go by
    ([3000] * 9 + [5000], "tighten", "daily_loss_inr_max=3800.00"),
    ([5000] * 10, "keep", ""),
]


@pytest.mark.parametrize(("worst", "kind", "suggested"), LOSSES)
def test_the_days_loss_is_drawn_from_its_worst_moments(desk: Desk, worst: list[int], kind: str, suggested: str) -> None:
    """The ninth of ten days' worst, and a quarter more."""
    losses(desk, worst)

    each = found(desk, "daily-loss")
    assert (each.kind, each.suggested) == (kind, suggested)


def test_loosening_a_mandatory_limit_says_so(desk: Desk) -> None:
    """Only where it stopped something, or nearly: with the numbers, in capitals, in the text and in the file."""
    history(desk, 5, 20, quantity=800)
    assert found(desk, "order-value").kind == "keep" or found(desk, "order-value").near_misses == 0
    assert not desk.guard.check(desk.order(quantity=1001, price="100")).approved
    made = suggest.suggest(desk.store, ACCOUNT, desk.clock.now_us())
    (each,) = [one for one in made.suggestions if one.limit_id == "order-value"]

    assert (each.kind, each.suggested, each.refused) == ("loosen", "order_value_inr_max=160000.00", 1)
    assert "LOOSENS a mandatory limit" in each.reason
    assert re.search(r"# .*LOOSENS a mandatory limit.*\n\[\[limit\]\]\nid = \"order-value\"", made.toml)


def test_the_file_is_a_rulebook_that_changes_only_what_was_suggested(desk: Desk) -> None:
    """`limits plan` takes it: every other limit stays as it stands, to the row."""
    history(desk, 5, 20)
    made = suggest.suggest(desk.store, ACCOUNT, desk.clock.now_us())
    book = parse(made.toml, account=ACCOUNT)
    with desk.store.session() as session:
        standing = rulebooks.standing(session, ACCOUNT)
        desk.store.roll_back(session)
    found = {each.limit_id: each.kind for each in changes(standing, book)}

    suggested = {each.limit_id: each.kind for each in made.suggestions if each.suggested}
    assert suggested and {name: kind for name, kind in found.items() if kind != "keep"} == suggested
    assert all(asdict(each)["limit_id"] for each in made.suggestions)


def test_numbers_that_are_not_ours_are_left_alone(desk: Desk) -> None:
    """The broker's rates and the exchange's lots are not drawn from what was used."""
    history(desk, 5, 20)

    for limit_id in ("order-rate", "lot-size", "data-freshness", "trading-state"):
        assert found(desk, limit_id).kind == "not suggested"


def test_nothing_is_written(desk: Desk) -> None:
    """Not a row: it is asked, not done."""
    history(desk, 2, 2)
    reads = ("SELECT * FROM traders_control", "SELECT * FROM decisions", "SELECT * FROM limit_days")
    before = [desk.rows(each) for each in reads]
    with desk.store.session() as session:
        digest = controls.limits(session, ACCOUNT, "").digest
        desk.store.roll_back(session)
    suggest.suggest(desk.store, ACCOUNT, desk.clock.now_us())

    assert [desk.rows(each) for each in reads] == before
    with desk.store.session() as session:
        assert controls.limits(session, ACCOUNT, "").digest == digest
        desk.store.roll_back(session)


def test_an_unknown_account_is_named(desk: Desk) -> None:
    with pytest.raises(UnknownAccountError):
        suggest.suggest(desk.store, "laeder", desk.clock.now_us())
