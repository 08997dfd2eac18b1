"""What a sweep may judge by: scopes over the book, what is open, accounts added up, parts of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riskguard.core.live.view import Parts, Peer, View
from riskguard.core.pnl import DayPnl
from riskguard.core.scope import Scope
from riskguard.core.state import TradingState
from tests.core.builders import FUTURE, NOW, SHARE, account, inr, line, option, quote

HELD = [
    ("ACCOUNT:leader", True), ("GLOBAL", True), ("GROUP:desk", True), ("SEGMENT:NSE_EQ", True), ("SEGMENT:NSE_FNO", False),
    ("INSTRUMENT:NSE_EQ:1333", True), ("INSTRUMENT:NSE_EQ:1334", False), ("INSTRUMENT:NSE_FNO:1333", False),
    ("UNDERLYING:HDFCBANK", True), ("UNDERLYING:NIFTY", False), ("STRATEGY:dip", False),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "inside"), HELD)
def test_what_lies_in_a_scope(scope: str, inside: bool) -> None:
    """A share is its own underlying; whose strategy an instrument is the book does not know, nor what nobody lists is."""
    view = View(account(line(10)), NOW, DayPnl(0, 0, True))
    assert view.holds(Scope.parse(scope), SHARE.key) is inside
    assert view.holds(Scope.parse(scope.replace("1333", "9")), ("NSE_EQ", "9")) is (inside and "HDFC" not in scope)
    assert [key for key, _ in view.open_lines(Scope.parse(scope))] == ([SHARE.key] if inside else [])


def test_an_underlying_is_the_contracts_own() -> None:
    view = View(account(line(25, product="MARGIN"), instrument=FUTURE), NOW, DayPnl(0, 0, True))
    assert view.holds(Scope("UNDERLYING", "NIFTY"), FUTURE.key)
    assert not view.holds(Scope("UNDERLYING", "NIFTY-FUT"), FUTURE.key)


def test_what_is_open_in_a_stable_order() -> None:
    """By instrument and product; flat lines never, shares for delivery only where they are asked for."""
    of = account(
        line(-3, product="MARGIN"), line(10), line(7, product="CNC"), line(0, product="CO"),
        others=((FUTURE, line(25, product="MARGIN")),),
    )  # fmt: skip
    view = View(of, NOW, DayPnl(0, 0, True))

    assert [(key[1], each.product) for key, each in view.open_lines()] == [
        ("1333", "INTRADAY"), ("1333", "MARGIN"), ("35001", "MARGIN"),
    ]  # fmt: skip
    assert [each.product for _, each in view.open_lines(Scope("SEGMENT", "NSE_EQ"), delivery=True)] == [
        "CNC", "INTRADAY", "MARGIN",
    ]  # fmt: skip


def peer(pnl: str | None, opening: str | None = "100", age_s: int = 0, fresh: bool = True) -> Peer:
    figures = [None if each is None else inr(each) for each in (pnl, opening)]
    at_us = None if pnl is None else NOW - age_s * 1_000_000
    return Peer("other", "follower", TradingState.ACTIVE, figures[0], at_us, fresh, None, figures[1])


def test_accounts_are_added_up_where_all_are_known() -> None:
    """The day and the equity of a GROUP are its accounts', of GLOBAL everybody's; one that is not known makes it unknown."""
    of = account()
    of.opening_equity_e4 = inr("1000")
    group, everybody, own = Scope("GROUP", "desk"), Scope("GLOBAL"), Scope("ACCOUNT", "leader")
    view = View(of, NOW, DayPnl(inr("-5"), 0, True), peers=(peer("2"),), everybody=(peer("2"), peer("-7", "50", 60)))

    assert [view.summed_e4(each) for each in (group, everybody, own)] == [
        (inr("-3"), True), (inr("-10"), True), (inr("-5"), True),
    ]  # fmt: skip
    assert view.day_e4(group) == (inr("-3"), True) and view.day_e4(everybody) == (inr("-5"), True)
    assert [view.opening_e4(each) for each in (group, everybody, own)] == [inr("1100"), inr("1150"), inr("1000")]
    for others in ((peer("2", age_s=61),), (peer("2", fresh=False),)):
        assert replace(view, peers=others).summed_e4(group) == (inr("-3"), False)
    assert replace(view, peers=(peer(None), peer("1"))).summed_e4(group) == (None, False)
    assert replace(view, peers=None).summed_e4(group) == (None, False) == replace(view, peers=None).day_e4(group)
    assert replace(view, pnl=DayPnl(None, 0, False)).summed_e4(group) == (None, False)
    assert replace(view, pnl=DayPnl(1, 0, False)).summed_e4(own) == (1, False)
    assert replace(view, peers=None).opening_e4(group) is None
    assert replace(view, peers=(peer("1", None),)).opening_e4(group) is None
    of.opening_equity_e4 = None
    assert view.opening_e4(group) is None and view.equity_e4 is None


def test_a_peer_whose_reading_has_no_time_is_unknown() -> None:
    """Nobody can say that it is of today."""
    timeless = replace(peer("2"), pnl_at_us=None)
    assert View(account(), NOW, DayPnl(0, 0, True), peers=(timeless,)).summed_e4(Scope("GROUP", "desk")) == (
        None,
        False,
    )


def test_the_mark_of_an_instrument_is_by_its_kind() -> None:
    """Of an option the middle, for 30 s; of a share the last trade, for 5; without a quote there is none."""
    call = option()
    for age_s, kind, expected in (
        (5, SHARE, (inr("90"), True)), (6, SHARE, (inr("90"), False)), (30, call, (inr("100"), True)),
        (31, call, (inr("100"), False)),
    ):  # fmt: skip
        view = View(
            account(instrument=call), NOW, DayPnl(0, 0, True), quotes={kind.key: quote("99", "90", "101", age_s)}
        )
        assert view.mark(kind.key) == expected
        assert view.mark(FUTURE.key) == (None, False)


def test_a_part_is_known_where_parts_are() -> None:
    """One that is missing made nothing, one of None is unknown; an instrument is no part that is measured."""
    view = View(
        account(), NOW, DayPnl(inr("-5"), 0, True), parts=Parts({"dip": 7, "odd": None}, {"NSE_EQ": -9}, fresh=False)
    )

    assert view.day_e4(Scope("STRATEGY", "dip")) == (7, False) and view.day_e4(Scope("SEGMENT", "NSE_EQ")) == (
        -9,
        False,
    )
    assert view.day_e4(Scope("STRATEGY", "odd")) == (None, False)
    assert view.day_e4(Scope("STRATEGY", "none")) == (0, False) == view.day_e4(Scope("SEGMENT", "dip"))
    assert view.day_e4(Scope("INSTRUMENT", "NSE_EQ:1333")) == (None, False)
    assert replace(view, parts=None).day_e4(Scope("STRATEGY", "dip")) == (None, False)
