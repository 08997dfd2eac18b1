"""Collar, band and stop gap: on the edge passes, a tick beyond does not; what exits are spared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import Account
from riskguard.core.checks import price_band, price_collar, stop_limit_gap
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.errors import RulebookError
from tests.core.builders import FUTURE, SHARE, account, ask, code, inr, line, option, order, order_of, quote
from tests.core.tables import Row, table

COLLARS: dict[str, Any] = {
    "share": {"collar_pct_max": "2.5"},
    "future": {"collar_pct_max": 1},
    "option": {"collar_pct_max": 10, "collar_ticks_max": 20},
}
CALL = replace(option(), stop_gap_pct_e2=2_000, stop_gap_abs_e4=inr("10"), lpp_pct_e2=4_000, lpp_abs_e4=inr("20"))
INSTRUMENTS = {"share": SHARE, "future": FUTURE, "option": option(), "call": CALL}


def asked_for(instrument: Instrument, text: str) -> Order:
    """An order written `SELL STOP_LOSS 95 100`: side, type, limit, trigger."""
    side, order_type, price, trigger = text.split()
    return order_of(
        instrument, side, 25, None if price == "-" else price, order_type=order_type,
        trigger_price=None if trigger == "-" else trigger,
    )  # fmt: skip


def market(instrument: Instrument, ltp: str | None = "100", *lines: Any, **more: Any) -> Account:
    quoted = None if ltp is None else quote(None, ltp, None)
    return account(*lines, instrument=instrument, quoted=quoted, **more)


WITHIN = table("""
    of      ltp   order                      expected              measured  limit
    share   100   BUY LIMIT 102.50 -         -                     -         -
    share   100   BUY LIMIT 102.55 -         PRICE_OUTSIDE_COLLAR  2.55      2.50
    share   100   BUY LIMIT 1 -              -                     -         -
    share   100   SELL LIMIT 97.50 -         -                     -         -
    share   100   SELL LIMIT 97.45 -         PRICE_OUTSIDE_COLLAR  2.55      2.50
    share   100   SELL LIMIT 900 -           -                     -         -
    share   0.50  BUY LIMIT 0.51 -           -                     -         -
    share   0.50  BUY LIMIT 0.55 -           PRICE_OUTSIDE_COLLAR  0.05      0.0125
    share   -     BUY LIMIT 1 -              PRICE_UNKNOWN         -         -
    share   -     SELL LIMIT 1 -             PRICE_UNKNOWN         -         -
    share   -     BUY MARKET - -             -                     -         -
    share   -     BUY STOP_LOSS_MARKET - 10  -                     -         -
    future  100   BUY LIMIT 101 -            -                     -         -
    future  100   BUY LIMIT 101.05 -         PRICE_OUTSIDE_COLLAR  1.05      1
    option  100   BUY LIMIT 110 -            -                     -         -
    option  100   BUY LIMIT 110.05 -         PRICE_OUTSIDE_COLLAR  10.05     10
    option  5     BUY LIMIT 6 -              -                     -         -
    option  5     BUY LIMIT 6.05 -           PRICE_OUTSIDE_COLLAR  1.05      1
    option  5     SELL LIMIT 4 -             -                     -         -
    option  5     SELL LIMIT 3.95 -          PRICE_OUTSIDE_COLLAR  1.05      1
    share   900   BUY STOP_LOSS 102.50 100   -                     -         -
    share   900   BUY STOP_LOSS 102.55 100   PRICE_OUTSIDE_COLLAR  2.55      2.50
    share   -     SELL STOP_LOSS 97.50 100   -                     -         -
    share   -     SELL STOP_LOSS 97.45 100   PRICE_OUTSIDE_COLLAR  2.55      2.50
""")


@pytest.mark.parametrize("row", WITHIN, ids=str)
def test_price_collar(row: Row) -> None:
    """By class, percent or ticks, the wider; a stop's limit against its trigger, whatever the market shows."""
    instrument = INSTRUMENTS[row.of]
    reject = ask(price_collar.CHECK, asked_for(instrument, row.order), market(instrument, row.opt("ltp")), **COLLARS)

    assert code(reject) == row.expected
    if reject is not None:
        assert reject.max_quantity == 0 and reject.hint
        assert (reject.measured_raw, reject.limit_raw) == (row.e4("measured"), row.e4("limit"))
        assert reject.headroom is None or reject.headroom < 0


LEAVING = table("""
    why                           band      order                      expected
    twice the collar              -         SELL LIMIT 95 -            -
    twice the collar              -         SELL LIMIT 94.95 -         PRICE_OUTSIDE_COLLAR
    a buy alike                   -         BUY LIMIT 105 -            -
    a buy alike                   -         BUY LIMIT 105.05 -         PRICE_OUTSIDE_COLLAR
    the band stops it before      96 104    SELL LIMIT 1 -             -
    the band stops it before      96 104    BUY LIMIT 900 -            -
    a band wider than the collar  90 110    SELL LIMIT 94.95 -         PRICE_OUTSIDE_COLLAR
    a band just as wide           95 105    SELL LIMIT 1 -             -
    a tick wider                  94.95 105.05  SELL LIMIT 1 -         PRICE_OUTSIDE_COLLAR
    stops are never blocked       -         SELL STOP_LOSS 1 100       -
    stops are never blocked       -         SELL STOP_LOSS_MARKET - 1  -
""")


@pytest.mark.parametrize("row", LEAVING, ids=str)
def test_exits_get_twice_the_collar(row: Row) -> None:
    """checks.md §5.10; and never a refusal for want of a reference."""
    share = SHARE
    if row.band != "-":
        lower, upper = row.band.split()
        share = replace(SHARE, lower_band_e4=inr(lower), upper_band_e4=inr(upper))
    held = line(25 if row.order.startswith("SELL") else -25)
    asked = asked_for(share, row.order)

    assert code(ask(price_collar.CHECK, asked, market(share, "100", held), **COLLARS)) == row.expected
    assert ask(price_collar.CHECK, asked, market(share, None, held), **COLLARS) is None
    assert price_collar.CHECK.exits


def test_evidence_opens_no_collar() -> None:
    """checks.md §5.7: what a strategy says the market shows is no reference; the feed's is, whatever rides along."""
    alone = order(price="102", quote=quote(None, "102", None))
    assert code(ask(price_collar.CHECK, alone, market(SHARE, None), **COLLARS)) == "PRICE_UNKNOWN"
    assert ask(price_collar.CHECK, alone, market(SHARE, "100"), **COLLARS) is None
    beyond = order(price="103", quote=quote(None, "103", None))
    assert code(ask(price_collar.CHECK, beyond, market(SHARE, "100"), **COLLARS)) == "PRICE_OUTSIDE_COLLAR"
    stale = account(quoted=quote(None, "100", None, age_s=60))
    assert code(ask(price_collar.CHECK, alone, stale, **COLLARS)) == "PRICE_UNKNOWN"


def test_the_feeds_own_quote_sent_along_is_still_the_feeds() -> None:
    """Evidence that is the very quote of the feed takes nothing away: the collar is judged by the feed."""
    shown = quote("99.95", "100", "100.05")
    of = account(quoted=shown)
    for price, expected in (("102.50", "-"), ("102.55", "PRICE_OUTSIDE_COLLAR")):
        asked = order("BUY", 10, price, quote=shown)
        assert code(ask(price_collar.CHECK, asked, of, **COLLARS)) == expected
        assert code(ask(price_collar.CHECK, asked, account(), **COLLARS)) == "PRICE_UNKNOWN"


def test_an_unknown_instrument_has_no_class() -> None:
    """It is `order_validity` that refuses it."""
    of = account()
    of.instruments.clear()
    assert ask(price_collar.CHECK, order(price="900"), of, **COLLARS) is None


@pytest.mark.parametrize(
    "collar", [{}, {"collar_pct_max": 0}, {"collar_pct_max": "0.001"}, {"collar_ticks_max": 0}, 5, None]
)
def test_a_class_without_a_collar_is_refused(collar: Any) -> None:
    """Nothing unwritten is wide open."""
    with pytest.raises(RulebookError):
        price_collar.Parameters.read({**COLLARS, "share": collar}, where="the test")
    with pytest.raises(RulebookError):
        price_collar.Parameters.read({"share": COLLARS["share"]}, where="the test")


CIRCUITS = table("""
    order                          expected            measured
    BUY LIMIT 110 -                -                   -
    BUY LIMIT 110.05 -             PRICE_OUTSIDE_BAND  0.05
    BUY LIMIT 90 -                 -                   -
    BUY LIMIT 89.95 -              PRICE_OUTSIDE_BAND  0.05
    SELL LIMIT 90 -                -                   -
    SELL LIMIT 80 -                PRICE_OUTSIDE_BAND  10
    SELL LIMIT 110.05 -            PRICE_OUTSIDE_BAND  0.05
    BUY MARKET - -                 -                   -
    BUY STOP_LOSS 110 105          -                   -
    BUY STOP_LOSS 110.05 105       PRICE_OUTSIDE_BAND  0.05
    SELL STOP_LOSS 95 110          -                   -
    SELL STOP_LOSS 95 110.05       PRICE_OUTSIDE_BAND  0.05
    SELL STOP_LOSS_MARKET - 90     -                   -
    SELL STOP_LOSS_MARKET - 89.95  PRICE_OUTSIDE_BAND  0.05
""")


@pytest.mark.parametrize("row", CIRCUITS, ids=str)
def test_the_circuit_band(row: Row) -> None:
    """Limit and trigger inside [90, 110]; no market is needed for it."""
    share = replace(SHARE, lower_band_e4=inr("90"), upper_band_e4=inr("110"))
    reject = ask(price_band.CHECK, asked_for(share, row.order), market(share, None))

    assert code(reject) == row.expected
    assert reject is None or (reject.measured_raw, reject.limit_raw) == (row.e4("measured"), 0)


def test_one_edge_may_be_known_alone_and_none_is_no_band() -> None:
    below = replace(SHARE, lower_band_e4=inr("90"))
    assert code(ask(price_band.CHECK, order(price="89.95"), market(below))) == "PRICE_OUTSIDE_BAND"
    assert ask(price_band.CHECK, order(price="9000"), market(below)) is None
    above = replace(SHARE, upper_band_e4=inr("110"))
    assert code(ask(price_band.CHECK, order(price="110.05"), market(above))) == "PRICE_OUTSIDE_BAND"
    assert ask(price_band.CHECK, order(price="0.05"), market(above)) is None
    unknown = account()
    unknown.instruments.clear()
    assert ask(price_band.CHECK, order(price="9000"), unknown) is None
    assert ask(price_band.CHECK, order(price="9000"), market(SHARE, None)) is None
    assert not price_band.CHECK.exits  # `core.adjust` clips them


PROTECTED = table("""
    ltp  order                    expected            measured  limit
    100  BUY LIMIT 140 -          -                   -         -
    100  BUY LIMIT 140.05 -       PRICE_OUTSIDE_BAND  40.05     40
    100  SELL LIMIT 60 -          -                   -         -
    100  SELL LIMIT 59.95 -       PRICE_OUTSIDE_BAND  40.05     40
    100  BUY LIMIT 59.95 -        PRICE_OUTSIDE_BAND  40.05     40
    20   BUY LIMIT 40 -           -                   -         -
    20   BUY LIMIT 40.05 -        PRICE_OUTSIDE_BAND  20.05     20
    -    BUY LIMIT 100 -          PRICE_UNKNOWN       -         -
    -    BUY MARKET - -           -                   -         -
    100  BUY STOP_LOSS 220 200    -                   -         -
""")


@pytest.mark.parametrize("row", PROTECTED, ids=str)
def test_the_limit_price_protection(row: Row) -> None:
    """Reference ± max(40 %, ₹20); stops have their gap instead; without a reference it cannot be judged."""
    reject = ask(price_band.CHECK, asked_for(CALL, row.order), market(CALL, row.opt("ltp")))

    assert code(reject) == row.expected
    if reject is not None:
        assert (reject.measured_raw, reject.limit_raw) == (row.e4("measured"), row.e4("limit"))


GAPS = table("""
    of      order                         expected                    measured  limit
    call    BUY STOP_LOSS 120 100         -                           -         -
    call    BUY STOP_LOSS 120.05 100      STOP_LIMIT_GAP_ABOVE_LIMIT  20.05     20
    call    SELL STOP_LOSS 80 100         -                           -         -
    call    SELL STOP_LOSS 79.95 100      STOP_LIMIT_GAP_ABOVE_LIMIT  20.05     20
    call    BUY STOP_LOSS 60 50           -                           -         -
    call    BUY STOP_LOSS 60.05 50        STOP_LIMIT_GAP_ABOVE_LIMIT  10.05     10
    call    BUY LIMIT 900 -               -                           -         -
    call    BUY STOP_LOSS_MARKET - 100    STOP_ORDER_NOT_TAKEN        -         -
    option  BUY STOP_LOSS_MARKET - 100    STOP_ORDER_NOT_TAKEN        -         -
    option  BUY STOP_LOSS 900 100         -                           -         -
    future  BUY STOP_LOSS_MARKET - 100    -                           -         -
    share   SELL STOP_LOSS_MARKET - 100   -                           -         -
""")


@pytest.mark.parametrize("row", GAPS, ids=str)
def test_the_gap_of_a_stop(row: Row) -> None:
    """max(20 % of the trigger, ₹10) where the table knows one; no market stop of an option anywhere."""
    instrument = INSTRUMENTS[row.of]
    reject = ask(stop_limit_gap.CHECK, asked_for(instrument, row.order), market(instrument, None))

    assert code(reject) == row.expected
    assert not stop_limit_gap.CHECK.exits  # `core.adjust` moves them
    if reject is not None:
        assert reject.hint and reject.max_quantity == 0
        assert (reject.measured_raw, reject.limit_raw) == (row.e4("measured"), row.e4("limit"))
