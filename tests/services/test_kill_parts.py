"""The parts of a kill run that only decide: which orders stay, which lines go and in what order, at what price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskguard.core.account import Account
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenOrder
from riskguard.services.kill.killrun import KillRunner, covered, prices, reasons
from riskguard.services.kill.killrun.covering import kept
from riskguard.services.kill.killrun.judging import judge
from riskguard.services.kill.killrun.plans import REPRICES_MAX
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, CALL, COVER, FUTURE, SHARE, Desk, e4, rulebook
from tests.services.killing import Judge, drive, hold, quote_all, rest, told

PLACES = {"share": SHARE, "future": FUTURE, "call": CALL, "cover": COVER}


def account(words: str) -> Account:
    """`share+10:INTRADAY` … with `^` before what was carried in."""
    made = Account(ACCOUNT, "2025-06-02")
    for word in [] if words == "-" else words.split():
        name, _, product = word.partition(":")
        quantity = int(name.lstrip("^abcdefghijklmnopqrstuvwxyz"))
        instrument = PLACES[name.lstrip("^").rstrip("+-0123456789")]
        line = made.line(instrument.key, product)
        line.start, line.filled = (quantity, 0) if name.startswith("^") else (0, quantity)
        line.seen, line.seen_us = quantity, 10**15
        line.refresh()
        made.instruments[instrument.key] = instrument
    return made


def order(number: int, word: str) -> SeenOrder:
    """`sell10`, `stop10`, `target10@g`, `entry10@g` (`/4`: so much has filled), `alert10`, each of the share intraday."""
    name, _, group = word.partition("@")
    kind = name.rstrip("0123456789/")
    whole, _, filled = name[len(kind) :].partition("/")
    side = "BUY" if kind in ("buy", "entry", "alert") else "SELL"
    return SeenOrder(
        order_id=f"{number}", correlation_id="", exchange_segment="NSE_EQ", security_id="1333", side=side,
        product="INTRADAY", order_type="STOP_LOSS" if kind == "stop" else "LIMIT", quantity=int(whole),
        filled=int(filled or 0), price_e4=e4("100"), trigger_price_e4=e4("90") if kind == "stop" else None,
        status="PENDING", is_live=True, kind="ALERT" if kind == "alert" else "SUPER" if group else "ORDER", group=group,
        leg={"entry": "ENTRY", "target": "TARGET", "stop": "STOP_LOSS"}.get(kind, "") if group else "",
    )  # fmt: skip


JUDGED = table("""
    held  orders                          keeps
    0     sell10                          -
    10    sell10                          1
    10    sell11                          -
    10    sell6 sell4                     1 2
    10    sell6 sell5                     1
    10    sell10 stop10                   2
    10    target10@g stop10@g             1 2
    10    target10@g stop10@g sell1       1 2
    10    target6@g stop6@g sell4         1 2 3
    10    buy5 stop10                     2
    10    entry5@g target5@g stop5@g      -
    4     entry10/4@g target4@g stop4@g   2 3
    10    alert5                          -
    10    stop4 stop6 stop1               1 2
    10    stop1 stop1 sell4 sell4 stop10  5
    10    stop10 stop10 sell4             1
    10    sell4 stop11                    -
    10    sell4 stop4 stop11              2
    10    target4@g stop4@g stop11        1 2
""")


@pytest.mark.parametrize("row", JUDGED, ids=str)
def test_what_stays_never_exceeds_what_is_held(row: Row) -> None:
    """Protection first, a group once at its largest; an entry goes, and takes its legs along unless it has filled."""
    held = account("-" if row.held == "0" else f"share+{row.held}:INTRADAY")
    seen = tuple(order(number, word) for number, word in enumerate(row.orders.split(), 1))
    found = judge(seen, held)

    assert {each.order_id for each in found.kept} == set((row.opt("keeps") or "").split())
    assert not found.unsure


LATE = table("""
    filled  list  orders         keeps  waits  ends
    15      20    sell15         1      -      -
    15      20    sell20         -      -      1
    15      20    sell16         -      -      1
    15      20    stop20         -      1      -
    15      20    stop21         -      -      1
    20      15    sell20         -      1      -
    20      15    sell21         -      -      1
    20      0     stop20 sell20  -      1 2    -
    0       20    sell20         -      -      1
    0       20    stop20         -      1      -
    -5      20    sell5          -      -      1
""")


@pytest.mark.parametrize("row", LATE, ids=str)
def test_while_the_list_is_late_a_stop_waits_and_a_limit_is_held_to_our_fills(row: Row) -> None:
    """Fills are facts, and the list of positions lags them: a limit above what they leave crosses zero where it trades."""
    held = account("share+1:INTRADAY")
    line = held.line(SHARE.key, "INTRADAY")
    line.filled, line.seen, line.last_fill_us = int(row.filled), int(row.list), 10**15
    line.refresh()
    found = judge(tuple(order(number, word) for number, word in enumerate(row.orders.split(), 1)), held)

    said = ([each.order_id for each in part] for part in (found.kept, found.unsure, found.adding))
    assert list(said) == [(row.opt(what) or "").split() for what in ("keeps", "waits", "ends")]


ORDERED = table("""
    book                                                       products  closes                       keeps
    share+10:INTRADAY cover+25:MARGIN future+25:MARGIN call-25:MARGIN  -  50001 35001 50002 1333      -
    ^future+25:MARGIN share+10:INTRADAY                        -         1333                         35001
    ^future+25:MARGIN share+10:INTRADAY                        MARGIN    35001 1333                   -
    share+10:CNC ^call-25:MARGIN                               -         -                            1333 50001
    share+10:CNC                                               CNC       1333                         -
    share-10:CNC                                               CNC       -                            -
    share+10:MTF                                               -         -                            1333
""")


@pytest.mark.parametrize("row", ORDERED, ids=str)
def test_what_a_flatten_closes_and_in_what_order(row: Row) -> None:
    """Short options, futures, long options, shares; carried lines and delivery stay unless named. A delivery sale is none."""
    held = account(row.book)
    products = frozenset((row.opt("products") or "").split())
    assert [each.key[1] for each in covered(held, "", products)] == (row.opt("closes") or "").split()
    assert {each.key[1] for each in kept(held, "", products)} == set((row.opt("keeps") or "").split())


PRICED = table("""
    side  ltp  bid  ask    lower  upper  tries  price
    SELL  100  -    -      -      -      0      98.75
    SELL  100  -    -      -      -      1      97.5
    SELL  100  -    -      -      -      2      95
    SELL  100  -    -      -      -      9      95
    SELL  100  99   101    -      -      0      97.75
    BUY   100  99   101    -      -      0      102.30
    BUY   100  -    -      -      -      2      105
    SELL  100  -    -      99     -      2      99
    BUY   100  -    -      -      101    2      101
    SELL  100  -    -      98.72  -      2      98.75
    SELL  0.05  -   -      -      -      2      0.05
""")


@pytest.mark.parametrize("row", PRICED, ids=str)
def test_the_price_of_an_exit(row: Row) -> None:
    """Past the touch by a quarter, a half, then all of 5 %; on the tick, against us; never outside the band."""
    quote = Quote(row.e4("ltp"), row.e4("bid"), row.e4("ask"), 10**15, row.e4("lower"), row.e4("upper"))
    sign = -1 if row.side == "SELL" else 1

    assert prices.protected_e4(quote, sign, SHARE, 10**15, row.number("tries")) == row.e4("price")
    assert prices.protected_e4(quote, sign, SHARE, 10**15 + 6_000_000, 0) is None  # too old to go by


CODES = table("""
    said                                              code
    DH-901 Invalid_Authentication                     TOKEN
    the access token has expired                      TOKEN
    JSONDecodeError: Unexpected token < at 0          EXIT_REFUSED
    EXCH:16052 order from unregistered source         IP
    DH-911 invalid IP                                 IP
    RMS: margin exceeds                               EXIT_REFUSED
    waited 808 ms                                     EXIT_REFUSED
""")


@pytest.mark.parametrize("row", CODES, ids=str)
def test_what_the_brokers_words_are_about(row: Row) -> None:
    assert reasons.refused("EXIT_REFUSED", row.said).code == row.code


def test_a_rule_about_prices_does_not_keep_an_exit_in(make_desk: Callable[..., Desk]) -> None:
    """A collar tighter than the exchange's protection refuses the limit: the exit goes at market, once."""
    wide = '{ collar_pct_max = "5", collar_ticks_max = 20 }'
    collar = f'check = "price_collar"\nshare = {{ collar_pct_max = "0.1" }}\nfuture = {wide}\noption = {wide}'
    desk = make_desk(text=rulebook(price_collar=collar))
    desk.sweep()
    quote_all(desk)
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    run = drive(desk, runner, s_max=40, move=lambda: quote_all(desk), until=lambda run: run.state == "DONE")

    sales = [(each.order_type, each.quantity, each.status) for each in desk.broker.orders() if each.side == "SELL"]
    assert run.state == "DONE" and sales == [("MARKET", 10, "TRADED")]


def test_re_pricing_is_bounded(desk: Desk) -> None:
    """The broker takes every change and makes none: after twenty of its twenty-five the exit is a person's."""
    quote_all(desk)
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    desk.broker.behave("modify", "deaf")
    desk.kill(plan="flatten")
    from_us = desk.clock.now_us()
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)

    def move() -> None:
        """The market stands at 90; what this process was told is 100 until its exit rests, and then the truth."""
        rests = any(each.is_live for each in desk.broker.orders())
        desk.broker.set_quote("NSE_EQ", "1333", Quote.of(ltp="90", at_us=desk.clock.now_us()))
        desk.guard.quote("NSE_EQ", "1333", ltp="90" if rests else "100", at=desk.clock.now_us())

    run = drive(desk, runner, s_max=60, move=move, until=lambda run: run.blocked_by == "NOT_FILLED")
    asked: list[Any] = [each for each in desk.broker.events() if each.fields.get("operation") == "modify"]

    assert run.blocked_by == "NOT_FILLED", run
    assert 1 <= len(asked) <= REPRICES_MAX < 25
    assert Judge(desk.broker.events(), from_us).replay({}) == []
    assert len([each for each in desk.broker.orders() if each.is_live]) == 1


def test_an_unknown_entry_does_not_keep_an_exit_waiting(desk: Desk) -> None:
    """A buy nobody answered may still come; the ten that are held go at once, and what comes later is closed then."""
    from riskguard.errors import BrokerUnconfirmedError

    quote_all(desk)
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    desk.broker.behave("place", "lost", 1)
    with pytest.raises(BrokerUnconfirmedError):
        desk.guard.place(desk.order("BUY", 3, "100"), desk.broker.place)
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    run = drive(desk, runner, s_max=60, move=lambda: quote_all(desk), until=lambda run: run.state == "DONE")

    assert run.state == "DONE" and told(desk)["held"] == {}


def test_a_step_keeps_what_the_lists_showed_afterwards(desk: Desk) -> None:
    """Intent, attempt, answer, and what was read back: an answer alone proves nothing."""
    quote_all(desk)
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    rest(desk, "buy10@90")
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    drive(desk, runner, s_max=30, move=lambda: quote_all(desk), until=lambda run: run.state == "DONE")

    rows = desk.rows("SELECT step, state, token > 0, read_back FROM kill_steps ORDER BY id")
    assert rows == [("CANCEL", "DONE", 1, "CANCELLED 0/10"), ("FLATTEN", "DONE", 1, rows[1][3])]
    assert rows[1][3].endswith("TRADED 10/10")
