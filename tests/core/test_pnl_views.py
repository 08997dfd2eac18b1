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


def other(number: int, total: str | None = "-7") -> LinePnl:
    return replace(line(total), security_id=str(number), name=f"N{number}")


def shown(number: int, realised: str | None = "0", unrealised: str | None = "-7", net: int = 10) -> SeenPosition:
    return replace(row_of(realised, unrealised, net), security_id=str(number))


def test_every_row_is_counted() -> None:
    """The sum is that of all rows, and what a person said is added: a transfer the broker does not count."""
    rows, ours = [shown(1), shown(2, "3", "-4"), shown(3)], [other(1), other(2), other(3)]
    figure, compared, _ = broker_view(rows, ours, {}, inr("5"), inr("2"))

    assert figure == Figure(-inr("7") - inr("1") - inr("7") - inr("5") + inr("2"))
    assert compared == (-inr("21"), -inr("15"))


def test_what_cannot_be_counted_is_named_and_the_rest_is_still_looked_at() -> None:
    """By its name, or where it is; the first five of it. What follows is compared, and may prove its base."""
    rows = [shown(1, None), shown(2, None), shown(3, "0", "-500"), shown(4)]
    carried = dict.fromkeys([("NSE_EQ", "3", "MARGIN"), ("NSE_EQ", "4", "MARGIN")], False)
    figure, compared, proven = broker_view(rows, [other(1), other(3), other(4)], carried, None)

    assert figure.reason == (
        "N1: the broker gives no figure; NSE_EQ:2: the broker gives no figure; "
        "N3: carried in, and the broker's base is not proven; the day's charges are not known"
    )
    assert (compared, proven) == ((-inr("7"), -inr("7")), (("NSE_EQ", "4", "MARGIN"),))
    nobodys = broker_view([shown(3, "0", "-500")], [], carried, 0)[0]
    assert nobodys.reason == "NSE_EQ:3: carried in, and the broker's base is not proven"


def test_a_flat_line_of_ours_without_a_figure_is_missed() -> None:
    """We know that something was dealt in it; of a flat row we know nothing of, nothing is missed."""
    flat = shown(1, None, net=0)
    assert broker_view([flat], [other(1)], {}, 0)[0].reason == "N1: the broker gives no figure"
    assert broker_view([flat], [], {}, 0)[0] == Figure(0)


def test_five_reasons_are_said_and_more_are_counted() -> None:
    """Five are all; of seven the last two are a number."""
    for count, more in ((5, ""), (6, " and 1 more"), (7, " and 2 more")):
        figure, _, _ = broker_view([], [other(number) for number in range(count)], {}, 0)
        assert figure.reason == "; ".join(f"N{number}: not in the broker's list" for number in range(5)) + more


def test_near_is_a_percent_of_what_the_line_stands_for() -> None:
    """In rupees: a hundred units a point make a contract of 1,000 points worth 1,00,000, short or long."""
    for net in (10, -10):
        ours = replace(line("-50", net=net), multiplier=100)
        assert broker_view([row_of("0", "-1050", net)], [ours], {KEY: False}, 0)[2] == (KEY,)
        assert broker_view([row_of("0", "-1050.01", net)], [ours], {KEY: False}, 0)[2] == ()


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


def test_what_equity_lacks_is_named() -> None:
    """Everything that is missing, and nothing else; without funds both of theirs."""
    begun, free, used, gain = "what the day began with", "free money", "money in use", "the gain on what is open"
    nothing, all_of_it = SeenFunds(None, None, None), SeenFunds(inr("9"), None, inr("1"))
    for opening_e4, funds, gain_e4, missing in (
        (None, None, None, [begun, free, used, gain]), (None, nothing, None, [begun, free, used, gain]),
        (None, all_of_it, 0, [begun]), (0, SeenFunds(None, None, 0), 0, [free]), (0, SeenFunds(0, None, None), 0, [used]),
        (0, all_of_it, None, [gain]), (0, None, 0, [free, used]),
    ):  # fmt: skip
        assert equity_view(opening_e4, funds, 0, gain_e4) == Figure(None, f"equity: {', '.join(missing)} not known")
    assert equity_view(0, all_of_it, 0, 0) == Figure(inr("10"))


def test_the_worse_of_the_others_stands_in() -> None:
    """While ours is unknown; with neither there is nothing, and it says why."""
    unknown = Figure(None, "no mark")

    def stands(broker: Figure, equity: Figure) -> Figure:
        return PnlViews(unknown, broker, equity).stand_in()

    assert stands(Figure(inr("-10")), Figure(inr("-20"))).total_e4 == inr("-20")
    assert stands(Figure(inr("-30")), Figure(inr("-20"))).total_e4 == inr("-30")
    assert stands(Figure(None, "a"), Figure(inr("5"))).total_e4 == inr("5")
    assert stands(Figure(None, "a"), Figure(None, "b")) == Figure(None, "a; b")
    alike = Figure(inr("-10"), "ours")
    assert stands(alike, Figure(inr("-10"), "theirs")) == alike
