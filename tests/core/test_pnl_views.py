"""Ours, the broker's and equity's view of one day: when each is known, and what stands in when ours is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riskguard.core.money import to_text
from riskguard.core.pnl_parts import LinePnl
from riskguard.core.pnl_views import Figure, PnlViews, broker_view, equity_view
from riskguard.core.seen import SeenFunds, SeenPosition
from tests.core.builders import SHARE, inr
from tests.core.tables import Row, table

KEY = (*SHARE.key, "MARGIN")


def line(total: str | None, net: int = 10, mark: str = "100", fresh: bool = True) -> LinePnl:
    total_e4 = None if total is None else inr(total)
    return LinePnl(*KEY, "HDFCBANK", net, total_e4, 0, total_e4, inr(mark), inr(mark), 1, fresh)


def row_of(realised: str | None, unrealised: str | None, net: int = 10) -> SeenPosition:
    figures = [None if each is None else inr(each) for each in (realised, unrealised)]
    return SeenPosition(*KEY, net, None, *figures)


def text(figure: Figure) -> str:
    return "-" if figure.total_e4 is None else to_text(figure.total_e4)


BROKER = table("""
    goal                                    ours     realised  unrealised  carried   expected  proven
    opened today: its figure less charges   -50      20        -70         -         -55.00    no
    a figure it does not give               -50      -         -70         -         -         no
    the other it does not give              -50      20        -           -         -         no
    zero is a figure                        -50      0         0           -         -5.00     no
    carried, and it agrees                  -50      0         -50         unproven  -55.00    yes
    carried, and it agrees within ₹10       -50      0         -60         unproven  -65.00    yes
    carried, ₹10.01 apart                   -50      0         -60.01      unproven  -         no
    carried, proven before: any figure      -50      0         -500        proven    -505.00   yes
    carried, and ours is not known          -        0         -50         unproven  -         no
""")


@pytest.mark.parametrize("row", BROKER, ids=str)
def test_the_brokers_figure(row: Row) -> None:
    """Realised and unrealised, less our charges; a carried row only once its base is proven."""
    carried = {} if row.opt("carried") is None else {KEY: row.carried == "proven"}
    ours = line(row.opt("ours"))
    figure, _compared, proven = broker_view(
        [row_of(row.opt("realised"), row.opt("unrealised"))], [ours], carried, inr("5")
    )

    assert text(figure) == row.expected
    assert (figure.reason == "") == (row.opt("expected") is not None)
    newly = row.has("proven") and row.carried == "unproven"
    assert proven == ((KEY,) if newly else ())


def test_a_large_line_may_differ_by_a_percent() -> None:
    """₹1,00,000 of shares: ₹1,000 apart proves the base, a paisa more does not; a stale mark of ours proves nothing."""
    big = line("-50", net=1000)
    near, far = row_of("0", "-1050", 1000), row_of("0", "-1050.01", 1000)

    assert broker_view([near], [big], {KEY: False}, 0)[2] == (KEY,)
    assert broker_view([far], [big], {KEY: False}, 0)[2] == ()
    assert broker_view([near], [replace(big, fresh=False)], {KEY: False}, 0)[2] == ()


def test_only_what_both_have_is_compared() -> None:
    """Ours and the broker's part, before charges; a line the broker does not list makes its figure unknown."""
    other = replace(line("-7"), security_id="1", name="OTHER")
    figure, compared, _ = broker_view([row_of("0", "-48")], [line("-50"), other], {}, inr("5"))

    assert compared == (inr("-50"), inr("-48"))
    assert (figure.total_e4, figure.reason) == (None, "OTHER: not in the broker's list")
    assert broker_view([row_of(None, None)], [line("-50")], {}, 0)[1] is None
    assert broker_view(None, [line("-50")], {}, 0)[0] == Figure(None, "the broker's list was never seen")


def test_a_row_of_nobodys_is_counted_and_compared_with_nothing() -> None:
    """The broker lists a line our book does not have, or cannot value: its figure is in the sum and in no comparison."""
    assert broker_view([row_of("0", "-50")], [], {}, 0) == (Figure(inr("-50")), None, ())
    assert broker_view([row_of("0", "-50")], [line(None)], {}, 0) == (Figure(inr("-50")), None, ())


def test_a_line_nobody_can_value_proves_no_base() -> None:
    """Without a multiplier, or open without a mark, nobody knows what "near" is; flat it needs no mark."""
    for changed, proven in (
        ({"multiplier": None}, ()), ({"mark_e4": None}, ()), ({"mark_e4": None, "net": 0}, (KEY,)), ({}, (KEY,)),
    ):  # fmt: skip
        ours = replace(line("-50"), **changed)  # type: ignore[arg-type]
        assert broker_view([row_of("0", "-50")], [ours], {KEY: False}, 0)[2] == proven


def test_a_flat_row_without_figures_says_nothing() -> None:
    """A line nobody holds or traded is not missed; unknown charges make the figure unknown."""
    flat = SeenPosition("NSE_EQ", "99", "CNC", 0)
    assert broker_view([flat, row_of("0", "-50")], [line("-50")], {}, 0)[0].total_e4 == inr("-50")
    assert broker_view([row_of("0", "-50")], [line("-50")], {}, None)[0].total_e4 is None


EQUITY = table("""
    goal                                   opening  free    used   flows  open   expected
    nothing happened                       100000   100000  0      0      0      0.00
    a loss taken                           100000   98000   1000   0      0      -1000.00
    an open loss besides                   100000   99000   1000   0      -300   -300.00
    a deposit is no gain                   100000   150000  0      50000  0      0.00
    a payout is no loss                    100000   80000   0      -20000  0     0.00
    the start is not known                 -        100000  0      0      0      -
    free money is not known                100000   -       0      0      0      -
    money in use is not known              100000   100000  -      0      0      -
    the open gain is not known             100000   100000  0      0      -      -
""")


@pytest.mark.parametrize("row", EQUITY, ids=str)
def test_the_change_of_equity(row: Row) -> None:
    """Cash flows are neutral; what is not known is not zero."""

    def known(name: str) -> int | None:
        return None if row.opt(name) is None else inr(getattr(row, name))

    seen = SeenFunds(known("free"), None, known("used"))
    figure = equity_view(known("opening"), seen, known("flows") or 0, known("open"))

    assert text(figure) == row.expected
    assert (figure.reason == "") == (row.opt("expected") is not None)


def test_the_worse_of_the_others_stands_in() -> None:
    """While ours is unknown; with neither there is nothing, and it says why."""
    unknown = Figure(None, "no mark")

    def stands(broker: Figure, equity: Figure) -> Figure:
        return PnlViews(unknown, broker, equity).stand_in()

    assert stands(Figure(inr("-10")), Figure(inr("-20"))).total_e4 == inr("-20")
    assert stands(Figure(inr("-30")), Figure(inr("-20"))).total_e4 == inr("-30")
    assert stands(Figure(None, "a"), Figure(inr("5"))).total_e4 == inr("5")
    assert stands(Figure(None, "a"), Figure(None, "b")) == Figure(None, "a; b")
