"""Goal: a kill closes each product as itself or leaves it, and never makes a position out of one: deliveries, MTF, covers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.core.seen import SeenHolding
from riskguard.core.state import TradingState
from riskguard.services.feeds.portfolio import save_holdings
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.kill.killrun.lock import ALONE
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SHARE, Desk
from tests.services.killing import drive, hold, net_of, quote_all, told

SHARE_ID, FUTURE_ID, CALL_ID, COVER_ID = "1333", "35001", "50001", "50002"
NAMES = {"share": SHARE_ID, "future": FUTURE_ID, "call": CALL_ID, "cover": COVER_ID}

PRODUCTS = table("""
    closes   book                         ends         left                             sent
    -        share+10,share+5:CNC         DONE         share:CNC=5                      SELL:share:INTRADAY:10
    -        share+10:CNC                 DONE         share:CNC=10                     -
    CNC      share+10:CNC                 DONE         -                                SELL:share:CNC:10
    -        share^+10:CNC,share-4:CNC    DONE         share:CNC=6                      -
    CNC      share^+10:CNC,share-10:CNC   DONE         -                                -
    -        share+10:MTF                 DONE         share:MTF=10                     -
    MTF      share+10:MTF,share+4:CNC     DONE         share:CNC=4                      SELL:share:MTF:10
    -        share-10,share+6:CNC         DONE         share:CNC=6                      BUY:share:INTRADAY:10
    -        future^+25,share+3           DONE         future:MARGIN=25                 SELL:share:INTRADAY:3
    MARGIN   future^+25                   DONE         -                                SELL:future:MARGIN:25
    -        call-25,future+25            DONE         -                                BUY:call:MARGIN:25,SELL:future:MARGIN:25
    -        call^-25,future+25           DONE         call:MARGIN=-25                  SELL:future:MARGIN:25
    -        call-25,cover+25             DONE         -                                BUY:call:MARGIN:25,SELL:cover:MARGIN:25
    -        call^-25,cover+25            HEDGE_FIRST  call:MARGIN=-25,cover:MARGIN=25  -
    MARGIN   call^-25,cover+25            DONE         -                                BUY:call:MARGIN:25,SELL:cover:MARGIN:25
""")


def named(words: str) -> dict[str, int]:
    """`share:CNC=5,…` as `net_of` says it."""
    found = {}
    for word in words.split(",") if words != "-" else ():
        line, _, units = word.partition("=")
        name, _, product = line.partition(":")
        found[f"{NAMES[name]}:{product}"] = int(units)
    return found


def brought(desk: Desk, row: Row) -> None:
    """Hold what the row says, what was carried in from the day before first."""
    words = row.book.split(",")
    carried = [word for word in words if "^" in word]
    for word in carried:
        hold(desk, word)
    if carried:
        desk.clock.advance(86_400)
    quote_all(desk)
    for word in words:
        if "^" not in word:
            hold(desk, word)
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    if row.closes != "-":
        desk.configure("flatten_products", row.closes)


@pytest.mark.parametrize("row", PRODUCTS, ids=lambda row: f"{row.closes}|{row.book}")
def test_each_product_is_closed_as_itself_or_left(make_desk: Callable[..., Desk], row: Row) -> None:
    """
    An exit carries the product of its line and no more than it holds; a delivery sale is not a short and is not bought back;
    a long future covers no short option: it goes without asking for one to be closed first.
    """
    desk = make_desk()
    desk.sweep()
    brought(desk, row)
    before = len(desk.broker.orders())
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker, desk.alerts)

    run = drive(
        desk, runner, s_max=60, move=lambda: quote_all(desk),
        until=lambda each: each.state == "DONE" or each.blocked_by == row.ends,
    )  # fmt: skip

    assert row.ends in (run.state, run.blocked_by), run
    by_id = {number: name for name, number in NAMES.items()}
    sent = [
        f"{each.side}:{by_id[each.security_id]}:{each.product}:{each.quantity}"
        for each in desk.broker.orders()[before:]
    ]
    assert sorted(sent) == sorted(row.sent.split(",") if row.sent != "-" else [])
    assert {line: units for line, units in net_of(desk).items() if units > 0 or not line.endswith(":CNC")} == named(
        row.left
    )
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    if row.ends == "HEDGE_FIRST":
        assert "flatten_products" in run.detail and "short option" in run.detail, "the hint says the way out"


def test_holdings_are_not_touched_and_what_is_kept_locks_locally(make_desk: Callable[..., Desk]) -> None:
    """Shares of the demat account are no position: nothing sells them; a kept delivery prevents the broker's lock."""
    desk = make_desk()
    desk.sweep()
    quote_all(desk)
    with desk.store.session() as session:
        shares = (SeenHolding(*SHARE.key, 40, 40, isin="INE040A01034"),)
        save_holdings(session, ACCOUNT, desk.clock.now_us(), shares, "test")
    hold(desk, "share+4:CNC")
    desk.sweep()
    desk.sweep(6)
    before = len(desk.broker.orders())
    desk.kill(plan="broker")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker, desk.alerts)

    run = drive(desk, runner, s_max=60, move=lambda: quote_all(desk), until=lambda each: each.state == "DONE")

    assert (len(desk.broker.orders()), net_of(desk)) == (before, {f"{SHARE_ID}:CNC": 4})
    assert ALONE in run.detail and not told(desk)["locked"]
