"""Exits as they can be sent: tick, band, stop gap, in that order; and what is left as it was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.adjust import adjusted, protection_e4, stop_gap_e4
from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from tests.core.builders import FUTURE, NOW, SHARE, account, facts, inr, line, option, order_of, quote
from tests.core.tables import Row, table

CALL = replace(option(), stop_gap_pct_e2=2_000, stop_gap_abs_e4=inr("10"), lpp_pct_e2=4_000, lpp_abs_e4=inr("20"))


def leaving(instrument: Instrument, text: str, *, band: tuple[str, str] | None = None, **more: Any) -> Facts:
    """An exit of *instrument* written `SELL STOP_LOSS 95 100`; what is held fits it."""
    side, order_type, price, trigger = text.split()
    asked = order_of(
        instrument, side, 25, None if price == "-" else price, order_type=order_type, product="MARGIN",
        trigger_price=None if trigger == "-" else trigger,
    )  # fmt: skip
    held = line(25 if side == "SELL" else -25, product="MARGIN")
    if band is not None:
        instrument = replace(instrument, lower_band_e4=inr(band[0]), upper_band_e4=inr(band[1]))
    found = facts(asked, account(held, instrument=instrument, **more))
    assert found.reducing
    return found


def sent(found: Facts) -> str:
    """What goes out, written as it was asked; `as asked` when nothing was changed."""
    made = adjusted(found)
    if made is None:
        return "as asked"
    prices = ["-" if each is None else to_text(each) for each in (made.price_e4, made.trigger_price_e4)]
    return f"{made.side} {made.order_type} {prices[0]} {prices[1]}"


TICKS = table("""
    asked                        sent
    SELL LIMIT 100 -             as asked
    SELL LIMIT 100.01 -          SELL LIMIT 100.05 -
    BUY LIMIT 100.04 -           BUY LIMIT 100.00 -
    BUY LIMIT 0.04 -             BUY LIMIT 0.05 -
    SELL STOP_LOSS 99.98 100.01  SELL STOP_LOSS 100.00 100.05
    BUY STOP_LOSS 100.04 100.01  BUY STOP_LOSS 100.00 100.00
    SELL STOP_LOSS_MARKET - 9.99  SELL STOP_LOSS_MARKET - 10.00
    SELL MARKET - -              as asked
""")


@pytest.mark.parametrize("row", TICKS, ids=str)
def test_to_the_passive_tick(row: Row) -> None:
    """A buy down, a sell up, so that it never pays more; a buy below the first tick gets the first."""
    assert sent(leaving(FUTURE, row.asked)) == row.sent


BANDS = table("""
    asked                         sent
    SELL LIMIT 90 -               as asked
    SELL LIMIT 89.95 -            SELL LIMIT 90.00 -
    SELL LIMIT 1 -                SELL LIMIT 90.00 -
    SELL LIMIT 110 -              as asked
    SELL LIMIT 110.05 -           SELL LIMIT 110.00 -
    BUY LIMIT 110 -               as asked
    BUY LIMIT 200 -               BUY LIMIT 110.00 -
    BUY LIMIT 89.95 -             BUY LIMIT 90.00 -
    SELL STOP_LOSS 80 85          SELL STOP_LOSS 90.00 90.00
    BUY STOP_LOSS 130 105         BUY STOP_LOSS 110.00 105.00
    SELL STOP_LOSS_MARKET - 85    SELL STOP_LOSS_MARKET - 90.00
    SELL LIMIT 89.91 -            SELL LIMIT 90.00 -
""")


@pytest.mark.parametrize("row", BANDS, ids=str)
def test_into_the_band(row: Row) -> None:
    """On an edge it stays; beyond it, it goes to the edge: nothing trades beyond it today."""
    assert sent(leaving(FUTURE, row.asked, band=("90", "110"))) == row.sent


def test_a_band_off_the_grid_is_narrowed_to_it() -> None:
    """What is sent is on the tick and inside."""
    assert sent(leaving(FUTURE, "SELL LIMIT 1 -", band=("89.97", "110.03"))) == "SELL LIMIT 90.00 -"
    assert sent(leaving(FUTURE, "BUY LIMIT 200 -", band=("89.97", "110.03"))) == "BUY LIMIT 110.00 -"


def test_a_band_of_one_price_is_a_band() -> None:
    """Upside down by a tick it is none."""
    assert sent(leaving(FUTURE, "SELL LIMIT 80 -", band=("100", "100"))) == "SELL LIMIT 100.00 -"
    assert sent(leaving(FUTURE, "SELL LIMIT 80 -", band=("100.05", "100"))) == "as asked"


@pytest.mark.parametrize(("tick_e4", "expected"), [(0, "as asked"), (1, "as asked"), (2, "SELL LIMIT 100.0002 -")])
def test_without_a_tick_every_price_is_on_it(tick_e4: int, expected: str) -> None:
    """1/10000 rupee is the finest there is: a tick of it, and none, move nothing."""
    assert sent(leaving(replace(FUTURE, tick_e4=tick_e4), "SELL LIMIT 100.0001 -")) == expected


@pytest.mark.parametrize("band", [("110", "90"), ("100.01", "100.04")], ids=str)
def test_a_band_that_holds_no_price_is_no_band(band: tuple[str, str]) -> None:
    """A feed's nonsense must not move an exit."""
    assert sent(leaving(FUTURE, "SELL LIMIT 80 -", band=band)) == "as asked"


PROTECTED = table("""
    asked             sent
    SELL LIMIT 60 -   as asked
    SELL LIMIT 59.95 -  SELL LIMIT 60.00 -
    BUY LIMIT 140 -   as asked
    BUY LIMIT 141 -   BUY LIMIT 140.00 -
    SELL LIMIT 150 -  as asked
    BUY LIMIT 50 -    as asked
""")


@pytest.mark.parametrize("row", PROTECTED, ids=str)
def test_into_the_limit_price_protection_from_the_aggressive_side(row: Row) -> None:
    """40 % of ₹100 either way; a target beyond it is left alone: the reference is our guess."""
    assert sent(leaving(CALL, row.asked, quoted=quote("99", "100", "101"))) == row.sent
    assert sent(leaving(CALL, row.asked)) == "as asked"  # without a market there is nothing to clip by


@pytest.mark.parametrize(
    ("known", "edge"), [({"lpp_pct_e2": 4_000}, "60.00"), ({"lpp_abs_e4": inr("30")}, "70.00"), ({}, None)]
)
def test_one_number_of_the_protection_is_enough(known: dict[str, int], edge: str | None) -> None:
    """A percentage alone, an absolute width alone; with neither there is no rule."""
    found = leaving(replace(option(), **known), "SELL LIMIT 1 -", quoted=quote("99", "100", "101"))  # type: ignore[arg-type]
    assert sent(found) == ("as asked" if edge is None else f"SELL LIMIT {edge} -")


STOPS = table("""
    asked                          sent
    SELL STOP_LOSS 80 100          as asked
    SELL STOP_LOSS 79.95 100       SELL STOP_LOSS 80.00 100.00
    BUY STOP_LOSS 120 100          as asked
    BUY STOP_LOSS 120.05 100       BUY STOP_LOSS 120.00 100.00
    SELL STOP_LOSS 30 40           as asked
    SELL STOP_LOSS 29.95 40        SELL STOP_LOSS 30.00 40.00
    SELL STOP_LOSS_MARKET - 100    SELL STOP_LOSS 80.00 100.00
    BUY STOP_LOSS_MARKET - 100     BUY STOP_LOSS 120.00 100.00
    SELL STOP_LOSS_MARKET - 5      SELL STOP_LOSS 0.05 5.00
    SELL STOP_LOSS_MARKET - 0.05   SELL STOP_LOSS 0.05 0.05
    SELL STOP_LOSS_MARKET - 60.01  SELL STOP_LOSS 48.05 60.05
""")


@pytest.mark.parametrize("row", STOPS, ids=str)
def test_a_stop_of_an_option_has_a_limit_near_its_trigger(row: Row) -> None:
    """20 % of the trigger, at least ₹10; a market stop becomes a stop with the widest limit that is taken."""
    assert sent(leaving(CALL, row.asked)) == row.sent


def test_without_a_known_gap_a_market_stop_of_an_option_gets_the_protection() -> None:
    """20 % where no table knows, the table's number where it does; a limit of its own stays as it is."""
    assert sent(leaving(option(), "SELL STOP_LOSS_MARKET - 100")) == "SELL STOP_LOSS 80.00 100.00"
    known = replace(option(), protection_pct_e2=500)
    assert sent(leaving(known, "SELL STOP_LOSS_MARKET - 100")) == "SELL STOP_LOSS 95.00 100.00"
    assert sent(leaving(option(), "SELL STOP_LOSS 1 100")) == "as asked"


def test_the_limit_of_a_stop_stays_in_the_band() -> None:
    """The gap would allow 80, the band ends at 90."""
    assert sent(leaving(CALL, "SELL STOP_LOSS_MARKET - 100", band=("90", "110"))) == "SELL STOP_LOSS 90.00 100.00"


def test_a_market_stop_of_a_future_is_taken_as_it_is() -> None:
    assert sent(leaving(FUTURE, "SELL STOP_LOSS_MARKET - 100")) == "as asked"


def test_everything_but_prices_and_type_stays() -> None:
    """Ids, strategy, group, product, quantity and evidence go out as they were asked."""
    asked = order_of(
        CALL, "SELL", 25, None, order_type="STOP_LOSS_MARKET", trigger_price="100", product="MARGIN", strategy="dip",
        exit_group="g", client_order_id="a-1", quote=quote("99", "100", "101"),
    )  # fmt: skip
    made = adjusted(facts(asked, account(line(25, product="MARGIN"), instrument=CALL)))

    assert isinstance(made, Order) and made.quote == asked.quote
    same = {"order_type": "STOP_LOSS", "price": "80.00"}
    assert made.arguments() == asked.arguments() | same


def test_an_unknown_instrument_has_nothing_to_be_mended_by() -> None:
    of = account(line(10), instrument=SHARE)
    of.instruments.clear()
    from tests.core.builders import order

    assert adjusted(facts(order("SELL", 10, "100.0001"), of)) is None


def test_bands_are_of_their_day() -> None:
    """The feed's of today win over the instrument's, yesterday's say nothing, evidence counts where nobody else does."""
    day_us = 86_400_000_000
    today = Quote.of(ltp="100", at_us=NOW, lower_band="95", upper_band="105")
    before = Quote.of(ltp="100", at_us=NOW - day_us, lower_band="95", upper_band="105")
    banded = replace(FUTURE, lower_band_e4=inr("90"), upper_band_e4=inr("110"))
    asked = order_of(FUTURE, "BUY", 25, "100")

    assert facts(asked, account(instrument=banded, quoted=today)).bands_e4() == (inr("95"), inr("105"))
    assert facts(asked, account(instrument=banded, quoted=before)).bands_e4() == (inr("90"), inr("110"))
    assert facts(asked, account(instrument=FUTURE, quoted=before)).bands_e4() == (None, None)
    with_evidence = asked.replaced(quote=today)
    assert facts(with_evidence, account(instrument=FUTURE)).bands_e4() == (inr("95"), inr("105"))
    assert facts(with_evidence, account(instrument=banded)).bands_e4() == (inr("90"), inr("110"))


def test_the_wider_of_percent_and_absolute_rounded_down() -> None:
    """Neither known is no rule; one alone is the rule."""
    assert stop_gap_e4(FUTURE, inr("100")) is None and protection_e4(FUTURE, inr("100")) is None
    assert stop_gap_e4(CALL, inr("50")) == inr("10")
    assert stop_gap_e4(CALL, inr("50.05")) == inr("10.01")
    assert stop_gap_e4(replace(FUTURE, stop_gap_pct_e2=333), 10_001) == 333
    assert protection_e4(replace(FUTURE, lpp_abs_e4=inr("1.50")), inr("100")) == inr("1.50")
    assert protection_e4(replace(FUTURE, lpp_abs_e4=5), inr("100")) == 5
    assert stop_gap_e4(replace(FUTURE, stop_gap_pct_e2=333), 1) == 0


def test_what_no_price_can_mend_goes_out_as_it_was_asked() -> None:
    """A limit beyond the dearest price there is cannot be written: the exchange has the last word on the market stop."""
    protected = replace(CALL, stop_gap_pct_e2=None, stop_gap_abs_e4=None)
    assert sent(leaving(protected, "BUY STOP_LOSS_MARKET - 9999999.95")) == "as asked"
    assert sent(leaving(protected, "BUY STOP_LOSS_MARKET - 100")) == "BUY STOP_LOSS 120.00 100.00"


def test_a_stop_loss_does_not_keep_an_exit_from_being_mended() -> None:
    """Moved into the band past its own `stop_loss`, an exit loses that: it opens nothing a stop could give up."""
    held = line(25, product="MARGIN")
    banded = replace(FUTURE, lower_band_e4=inr("95"), upper_band_e4=inr("110"))
    for stop, left in (("94.95", None), ("95.05", inr("95.05"))):
        asked = order_of(FUTURE, "SELL", 25, "90", product="MARGIN", stop_loss=stop)
        made = adjusted(facts(asked, account(held, instrument=banded)))
        assert made is not None and made.price_e4 == inr("95") and made.stop_loss_e4 == left
