"""A leader and its followers: sized, judged each under its own limits, together or one by one, written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from riskguard.brokers.paper import PaperBroker
from riskguard.core.copying import CopyRule
from riskguard.errors import InputError, SettingsError
from riskguard.services import overview
from riskguard.services.orders.copying import LeaderFill
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store.copy_rules import save_rule
from tests.services.desk import SECOND, SHARE, Desk, rulebook

TIGHT = rulebook(net_position='check = "net_position"\nposition_max = "100"\nunit = "units"')
FOLLOWERS = ("follower-a", "follower-b")


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Iterator[Desk]:
    """A leader and two followers; `a` copies half, `b` double, each up to 100 units. All are watched."""
    made = make_desk(text=TIGHT, accounts=("leader", *FOLLOWERS), group="family")
    made.quote("100")
    copy_by(made, "follower-a", ratio="0.5")
    copy_by(made, "follower-b", ratio="2")
    watch(made)
    yield made


def copy_by(desk: Desk, follower: str, **changes: Any) -> None:
    fields = {
        "leader": "leader", "follower": follower, "sizing": "fixed_ratio", "copy_delay_s": 5, "copy_slippage_pct": "0.5",
    }  # fmt: skip
    with desk.store.session() as session:
        save_rule(session, CopyRule.model_validate({**fields, **changes}), desk.clock.now_us())


def watch(desk: Desk, after_s: float = 2) -> None:
    """Let every account be swept once."""
    desk.clock.advance(after_s)
    for name in ("leader", *FOLLOWERS):
        Sweeper(desk.guard, name, brokers(desk)[name]).sweep()


def brokers(desk: Desk) -> dict[str, PaperBroker]:
    found: dict[str, PaperBroker] = desk.__dict__.setdefault("_copy_brokers", {})
    for name in ("leader", *FOLLOWERS):
        if name not in found:
            found[name] = desk.join_market(name)
    return found


def send(desk: Desk, *decisions: Any) -> None:
    for decision in decisions:
        with decision.permit.sending() as wire:
            wire.order_id = brokers(desk)[decision.order.account].place(decision.approved_order)


def hold(desk: Desk, quantity: int) -> Any:
    """Let the leader buy and the followers copy, all of it filled and settled."""
    copies = desk.guard.check_copies(desk.order(quantity=quantity, price="100"))
    send(desk, copies.leader, *copies.approved)
    watch(desk)
    watch(desk, 6)
    return copies


def codes(decisions: Any) -> list[list[str]]:
    return [[each.code.value for each in decision.rejects] for decision in decisions]


def test_every_follower_is_sized_and_judged(desk: Desk) -> None:
    """40 of the leader are 20 of the one who halves and 80 of the one who doubles; each holds its own permit."""
    copies = desk.guard.check_copies(desk.order(quantity=40))

    assert copies.leader is not None and copies.leader.approved
    assert {name: [each.order.quantity for each in found] for name, found in copies.followers.items()} == {
        "follower-a": [20], "follower-b": [80],
    }  # fmt: skip
    assert desk.rows("SELECT account, quantity FROM permits ORDER BY account") == [
        ("follower-a", 20), ("follower-b", 80), ("leader", 40),
    ]  # fmt: skip


def test_any_skips_the_follower_that_is_refused(desk: Desk) -> None:
    """51 doubled is 102, above its 100: refused under its own limit, and the others go on."""
    copies = desk.guard.check_copies(desk.order(quantity=51), mode="any")

    assert copies.leader is not None and copies.leader.approved
    assert codes(copies.followers["follower-b"]) == [["NET_POSITION_ABOVE_LIMIT"]]
    assert codes(copies.followers["follower-a"]) == [[]]
    assert desk.rows("SELECT follower_account, status, follower_quantity FROM copy_mappings ORDER BY 1") == [
        ("follower-a", "pending", 25), ("follower-b", "failed", 0),
    ]  # fmt: skip


def test_all_means_together_or_nobody(desk: Desk) -> None:
    """One refusal: no permit for anybody, every refusal on disk and the others say whose it was. 50 passes whole."""
    copies = desk.guard.check_copies(desk.order(quantity=51), mode="all")

    assert codes([copies.leader]) == [["COPY_REFUSED"]]
    assert codes(copies.followers["follower-a"]) == [["COPY_REFUSED"]]
    assert codes(copies.followers["follower-b"]) == [["NET_POSITION_ABOVE_LIMIT"]]
    assert desk.one("SELECT count(*) FROM permits") == 0
    assert desk.one("SELECT count(*) FROM risk_violations") == 3

    whole = desk.guard.check_copies(desk.order(quantity=50), mode="all")
    assert whole.leader is not None and whole.leader.approved and len(whole.approved) == 2
    assert desk.one("SELECT count(*) FROM permits") == 3
    assert all(each["wrong"] is None and not each["replay_disagrees"] for each in overview.verify(desk.store))


def test_a_refused_leader_is_not_copied(desk: Desk) -> None:
    """Mode `any` too: there is nothing to copy."""
    copies = desk.guard.check_copies(desk.order(quantity=101))

    assert codes([copies.leader]) == [["NET_POSITION_ABOVE_LIMIT"]]
    assert copies.followers == {}
    assert {each.follower for each in copies.skipped} == set(FOLLOWERS)


def test_lots_are_rounded_down_and_less_than_one_is_skipped(desk: Desk) -> None:
    """Half of one share is none: no copy, a mapping that says why, and no order of one."""
    copies = desk.guard.check_copies(desk.order(quantity=1))

    assert [each.follower for each in copies.skipped] == ["follower-a"]
    assert desk.rows("SELECT status, follower_quantity FROM copy_mappings WHERE follower_account = 'follower-a'") == [
        ("cancelled", 0)
    ]


def test_the_mapping_learns_the_brokers_ids(desk: Desk) -> None:
    """Until the broker lists the orders it holds what we tell the broker; afterwards the broker's own ids."""
    copies = desk.guard.check_copies(desk.order(quantity=40, price="90"))
    send(desk, copies.leader, *copies.approved)
    watch(desk)

    (order,) = brokers(desk)["leader"].orders()
    (half,) = brokers(desk)["follower-a"].orders()
    assert desk.rows(
        "SELECT leader_order_id, follower_order_id, status FROM copy_mappings WHERE follower_account = 'follower-a'"
    ) == [(order.order_id, half.order_id, "placed")]
    assert desk.rows("SELECT follower_order_id FROM v_active_orders WHERE id = ?", order.order_id)


def test_asked_again_it_answers_what_stands(desk: Desk) -> None:
    """The same leader order: the same permits for everybody, one mapping each."""
    order = desk.order(quantity=40, client_order_id="mine")
    first, again = desk.guard.check_copies(order), desk.guard.check_copies(order)

    assert [each.sequence for each in again.approved] == [each.sequence for each in first.approved]
    assert desk.one("SELECT count(*) FROM permits") == 3
    assert desk.one("SELECT count(*) FROM copy_mappings") == 2


@pytest.mark.parametrize(("sold", "closed"), [(40, (20, 80)), (20, (10, 40)), (39, (19, 78))])
def test_exits_close_the_same_part_and_all_when_the_leader_is_flat(
    desk: Desk, sold: int, closed: tuple[int, int]
) -> None:
    """40 held: selling all closes all, half closes half, rounded down."""
    hold(desk, 40)

    copies = desk.guard.check_copies(desk.order("SELL", sold, "100"))
    assert tuple(sum(each.order.quantity for each in copies.followers[name]) for name in FOLLOWERS) == closed
    assert {each.direction.value for each in copies.approved} == {"REDUCING"}


def test_a_flip_is_copied_as_two_orders_the_exit_first(desk: Desk) -> None:
    """Long 40, sells 60: each follower first closes all it has, then opens its part of the 20 beyond."""
    hold(desk, 40)

    copies = desk.guard.check_copies(desk.order("SELL", 60, "100"))
    found = copies.followers["follower-a"]
    assert (found[0].order.quantity, found[0].direction.value) == (20, "REDUCING")
    assert [each.order.quantity for each in found] == [20, 10]


def fill(desk: Desk, side: str, quantity: int, price: str = "100", age_s: float = 0) -> LeaderFill:
    return LeaderFill(
        "leader", f"app-{side}-{quantity}", "NSE_EQ", "1333", side, "INTRADAY", quantity, price,
        desk.clock.now_us() - round(age_s * SECOND),
    )  # fmt: skip


def test_a_leader_who_trades_in_the_app_is_followed(desk: Desk) -> None:
    """Nobody asked the leader: only the followers are judged, at the leader's price plus the slippage allowed."""
    copies = desk.guard.check_copies(fill(desk, "BUY", 40))

    assert copies.leader is None
    assert [(each.order.quantity, str(each.order.price)) for each in copies.approved] == [
        (20, "100.50"),
        (80, "100.50"),
    ]


@pytest.mark.parametrize(
    ("age_s", "market", "copied"),
    [(5, "100", True), (5.1, "100", False), (0, "100.50", True), (0, "100.55", False), (0, "99", True)],
)
def test_an_entry_the_market_left_behind_is_skipped(desk: Desk, age_s: float, market: str, copied: bool) -> None:
    """5 s and half a percent are the edge; a better market is no reason to skip."""
    desk.quote(market)
    copies = desk.guard.check_copies(fill(desk, "BUY", 40, age_s=age_s))

    assert bool(copies.approved) is copied
    assert bool(copies.skipped) is not copied


def test_exits_are_never_skipped(desk: Desk) -> None:
    """An hour late and five percent away the follower still gets out, at the market."""
    hold(desk, 40)
    desk.quote("95")
    copies = desk.guard.check_copies(fill(desk, "SELL", 40, age_s=3600))

    assert [(each.order.quantity, each.order.order_type) for each in copies.approved] == [
        (20, "MARKET"),
        (80, "MARKET"),
    ]


def test_a_stopped_leaders_entries_stop_and_its_exits_do_not(desk: Desk) -> None:
    """A halted leader: nothing that adds risk is copied; what closes reaches every follower."""
    hold(desk, 40)
    desk.kill("leader")

    entry = desk.guard.check_copies(fill(desk, "BUY", 10))
    assert not entry.approved and {each.follower for each in entry.skipped} == set(FOLLOWERS)
    assert len(desk.guard.check_copies(fill(desk, "SELL", 40)).approved) == 2


def test_a_recorded_leader_exit_passes_a_follower_that_is_halted(desk: Desk) -> None:
    """The fill is in the trades: its copy carries the leader's exit past the halt. One only claimed does not."""
    hold(desk, 40)
    desk.kill("follower-a")
    claimed = desk.guard.check_copies(fill(desk, "SELL", 40))
    assert codes(claimed.followers["follower-a"]) == [["TRADING_HALTED"]]

    order_id = desk.past(desk.order("SELL", 20, "100"), brokers(desk)["leader"])
    watch(desk)
    told = LeaderFill("leader", order_id, *SHARE.key, "SELL", "INTRADAY", 20, "100", desk.clock.now_us())
    passed = desk.guard.check_copies(told)
    assert [each.order.quantity for each in passed.followers["follower-a"]] == [10]
    assert codes(passed.followers["follower-a"]) == [[]]


def test_capital_is_what_the_broker_last_said(desk: Desk) -> None:
    """Proportional to funds; without a word about funds there is no copy, not a copy of one to one."""
    copy_by(desk, "follower-a", sizing="capital_proportional")
    copies = desk.guard.check_copies(desk.order(quantity=40))
    assert [each.order.quantity for each in copies.followers["follower-a"]] == [40]

    desk.sql("DELETE FROM funds WHERE account_type = 'follower-a'")
    without = desk.guard.check_copies(desk.order(quantity=10, price="99"))
    assert [each.follower for each in without.skipped] == ["follower-a"]
    assert "capital" in without.skipped[0].why


@pytest.mark.parametrize(("stop", "units"), [("99", 50), ("98", 25), (None, 0)])
def test_risk_decides_the_size_where_the_rule_says_so(desk: Desk, stop: str | None, units: int) -> None:
    """₹50 at risk: 50 units with a stop a rupee away, 25 with two, none without a stop."""
    copy_by(desk, "follower-a", sizing="risk_based", risk_inr="50")
    copies = desk.guard.check_copies(desk.order(quantity=10, stop_loss=stop))

    assert sum(each.order.quantity for each in copies.followers.get("follower-a", ())) == units


def test_malformed_questions(desk: Desk) -> None:
    """A mode that does not exist, a rule nobody can read."""
    with pytest.raises(InputError, match="mode"):
        desk.guard.check_copies(desk.order(), mode="some")  # type: ignore[arg-type]
    desk.sql("UPDATE config SET value = '{\"ratio\": -1}' WHERE key = 'riskguard.copy.follower-a'")
    with pytest.raises(SettingsError, match=r"riskguard\.copy\.follower-a"):
        desk.guard.check_copies(desk.order())
