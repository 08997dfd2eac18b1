"""Every block of docs/how-to/orders.md runs, on a real desk, in the order a reader meets it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from riskguard.core.copying import CopyRule
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store.copy_rules import save_rule
from tests.services.desk import CALL, COVER, Desk, rulebook

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "orders.md"


def test_every_block_runs(make_desk: Callable[..., Desk]) -> None:
    """Basket, change, cancel, margin, copies of an order and of a fill: approved and sent where the page sends."""
    text = rulebook(naked_short_option='check = "naked_short_option"\nnaked_lots_max = "none"')
    desk = make_desk(text=text, accounts=("leader", "follower"), group="family")
    brokers = {name: desk.join_market(name) for name in ("leader", "follower")}
    for instrument, price in ((CALL, "100"), (COVER, "50")):
        desk.quote(price, instrument)
    desk.quote("100")
    rule = {"leader": "leader", "follower": "follower", "sizing": "fixed_ratio", "ratio": "0.5", "copy_delay_s": 5,
            "copy_slippage_pct": "0.5"}  # fmt: skip
    with desk.store.session() as session:
        save_rule(session, CopyRule.model_validate(rule), desk.clock.now_us())
    desk.clock.advance(2)
    for name, broker in brokers.items():
        Sweeper(desk.guard, name, broker).sweep()
    desk.place(desk.order(quantity=60, price="90", client_order_id="my-order-1"))
    working = brokers["leader"].orders()[0]

    names = {
        "guard": desk.guard, "broker": brokers["leader"], "brokers": brokers, "order_id": working.order_id,
        "order": desk.order(quantity=40), "at_us": desk.clock.now_us(),
        "sell_call": desk.order_of(CALL, "SELL", 25, "100"), "buy_call": desk.order_of(COVER, "BUY", 25, "50"),
    }  # fmt: skip
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for block in blocks:
        names["order"] = desk.order(quantity=40)
        exec(compile(block, PAGE.name, "exec"), names)

    assert len(blocks) == 6
    assert names["basket"].reordered  # type: ignore[attr-defined]
    by_id = {each.order_id: each for each in brokers["leader"].orders()}
    assert by_id[working.order_id].status == "CANCELLED" and by_id[working.order_id].quantity == 90
    assert desk.one("SELECT count(*) FROM margin_requirements") == 2
    assert len(brokers["follower"].orders()) == 1
