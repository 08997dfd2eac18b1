"""Reference price and risk price, rule by rule. checks.md §0."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4
from riskguard.core.order import Order
from riskguard.core.pricing import (
    CLOCK_SKEW_MAX_US,
    entry_price_e4,
    is_fresh,
    quote_ttl_us,
    reference_price_e4,
    risk_price_e4,
    supersedes,
)
from riskguard.core.quote import Quote
from tests.core.builders import NOW, SECOND, SHARE, option, order
from tests.core.tables import Row, table

OPTION = option()

REFERENCES = table("""
    why                              bid    ltp     ask     buy     sell
    last inside                      99     100     101     100     100
    last on the bid                  99     99      101     99      99
    last on the ask                  99     101     101     101     101
    last below the bid: mid          99     98.95   101     100     100
    last above the ask: mid          99     101.05  101     100     100
    no last: mid                     99     -       101     100     100
    an odd mid goes up               99     -       99.0001  99.0001  99.0001
    locked                           100    90      100     100     100
    only the ask: the far touch      -      90      101     101     90
    only the bid: the far touch      99     90      -       90      99
    only the ask, no last            -      -       101     101     -
    only the bid, no last            99     -       -       -       99
    only the last                    -      90      -       90      90
""")


def quoted(row: Row, at_us: int = NOW) -> Quote:
    return Quote.of(bid=row.opt("bid"), ltp=row.opt("ltp"), ask=row.opt("ask"), at_us=at_us)


@pytest.mark.parametrize("row", REFERENCES, ids=str)
def test_reference_price(row: Row) -> None:
    """Last inside the quote, else mid, else the touch the order would hit, else the last, else nothing."""
    for side, sign in (("buy", 1), ("sell", -1)):
        assert reference_price_e4(quoted(row), sign, NOW, 5 * SECOND) == row.e4(side)
    assert reference_price_e4(None, 1, NOW, 5 * SECOND) is None


AGES = table("""
    instrument  age_us      fresh
    share       0           yes
    share       5_000_000   yes
    share       5_000_001   no
    share       -2_000_000  yes
    share       -2_000_001  no
    option      30_000_000  yes
    option      30_000_001  no
    unknown     5_000_000   yes
    unknown     5_000_001   no
""")


@pytest.mark.parametrize("row", AGES, ids=str)
def test_a_stale_or_future_quote_is_no_price(row: Row) -> None:
    """On its time to live it still counts; so does a stamp up to two seconds ahead."""
    instrument = {"share": SHARE, "option": OPTION, "unknown": None}[row.instrument]
    ttl_us = quote_ttl_us(instrument)
    seen = Quote.of(ltp="100", at_us=NOW - row.number("age_us"))

    assert is_fresh(seen, NOW, ttl_us) is row.has("fresh")
    assert reference_price_e4(seen, 1, NOW, ttl_us) == (to_e4("100") if row.has("fresh") else None)


RISKS = table("""
    order                              reference  ask    band   share    option
    BUY LIMIT 100 -                    -          -      -      100      100
    BUY LIMIT 100 -                    90         200    -      100      100
    SELL LIMIT 100 -                   -          -      -      100      100
    SELL LIMIT 100 -                   100.05     -      -      100.05   100.05
    SELL LIMIT 100 -                   99.95      -      -      100      100
    BUY MARKET - -                     -          101    -      -        -
    BUY MARKET - -                     100        -      -      105      120
    BUY MARKET - -                     100        102    -      107.1    122.4
    BUY MARKET - -                     100        99     -      105      120
    BUY MARKET - -                     100        -      104    104      104
    BUY MARKET - -                     100        -      130    105      120
    BUY MARKET - -                     0.0001     -      -      0.0002   0.0002
    SELL MARKET - -                    100        101    -      100      100
    SELL MARKET - -                    -          101    -      -        -
    BUY STOP_LOSS 100 99               -          -      -      100      100
    BUY STOP_LOSS 100 100              200        -      -      100      100
    SELL STOP_LOSS 99 100              -          -      -      100      100
    SELL STOP_LOSS 99 100              100.05     -      -      100.05   100.05
    SELL STOP_LOSS 99 100              99.95      -      -      100      100
    BUY STOP_LOSS_MARKET - 100         -          -      -      105      120
    BUY STOP_LOSS_MARKET - 100         200        300    -      105      120
    BUY STOP_LOSS_MARKET - 100         -          -      102    102      102
    SELL STOP_LOSS_MARKET - 100        -          -      -      100      100
    SELL STOP_LOSS_MARKET - 100        100.05     -      -      100.05   100.05
    SELL STOP_LOSS_MARKET - 100        99.95      -      -      100      100
""")


def asked(text: str) -> Order:
    side, order_type, price, trigger = text.split()
    return order(
        side,
        1,
        None if price == "-" else price,
        order_type=order_type,
        trigger_price=None if trigger == "-" else trigger,
    )


@pytest.mark.parametrize("row", RISKS, ids=str)
def test_risk_price(row: Row) -> None:
    """The worst it may trade at: protection 5 % (options 20 %) over the ask, never past the upper band."""
    band_e4 = row.e4("band")
    share = Instrument("NSE_EQ", "1333", "HDFCBANK", upper_band_e4=band_e4)

    assert risk_price_e4(asked(row.order), row.e4("reference"), row.e4("ask"), share) == row.e4("share")
    assert risk_price_e4(asked(row.order), row.e4("reference"), row.e4("ask"), option(upper_band_e4=band_e4)) == row.e4(
        "option"
    )
    if band_e4 is None:
        assert risk_price_e4(asked(row.order), row.e4("reference"), row.e4("ask"), None) == row.e4("share")


CIRCUITS = table("""
    order                        ask  instrument  quote  risk
    BUY MARKET - -               100  -           -      105
    BUY MARKET - -               100  103         -      103
    BUY MARKET - -               100  103         102    103
    BUY MARKET - -               100  103         104    104
    BUY MARKET - -               100  103         120    105
    BUY MARKET - -               100  -           103    105
    BUY MARKET - -               104  103         -      104
    BUY STOP_LOSS_MARKET - 100   -    103         -      103
    BUY STOP_LOSS_MARKET - 100   -    103         104    104
""")


@pytest.mark.parametrize("row", CIRCUITS, ids=str)
def test_a_circuit_widened_in_the_day_lowers_no_price(row: Row) -> None:
    """Of the instrument's upper circuit and what the quote says of it the higher holds, and never less than the ask."""
    share = Instrument("NSE_EQ", "1333", "HDFCBANK", upper_band_e4=row.e4("instrument"))

    assert risk_price_e4(asked(row.order), row.e4("ask"), row.e4("ask"), share, row.e4("quote")) == row.e4("risk")


ENTRIES = table("""
    side  type              price  trigger  reference  protection  entry
    BUY   LIMIT             100    -        99         -           777
    BUY   MARKET            -      -        99         -           777
    SELL  LIMIT             100    -        99         -           100
    SELL  STOP_LOSS         98     99       100        -           98
    SELL  MARKET            -      -        100        3           97
    SELL  MARKET            -      -        100        -           95
    SELL  MARKET            -      -        99.9999    3           96.9999
    SELL  MARKET            -      -        -          3           -
    SELL  STOP_LOSS_MARKET  -      90       100        3           87.3
    SELL  STOP_LOSS_MARKET  -      90       -          3           87.3
    SELL  MARKET            -      -        0.0001     3           0.0001
""")


@pytest.mark.parametrize("row", ENTRIES, ids=str)
def test_where_an_order_opens_at_the_worst(row: Row) -> None:
    """A buy at its risk price; a sale at its limit, else below market or trigger by the protection, never at nothing."""
    protection = None if row.opt("protection") is None else 100 * int(row.protection)
    instrument = replace(SHARE, protection_pct_e2=protection)
    made = order(row.side, 1, row.opt("price"), order_type=row.type, trigger_price=row.opt("trigger"))
    reference_e4 = None if row.opt("reference") is None else to_e4(row.reference)

    entry_e4 = entry_price_e4(made, to_e4("777"), reference_e4, instrument)

    assert entry_e4 == (None if row.opt("entry") is None else to_e4(row.entry))


SUPERSEDES = table("""
    told_us  stands_us  takes
    0        0          yes
    1        0          yes
    -1       0          no
    0        skew       no
    0        skew+1     yes
    skew     skew       yes
    skew+1   skew       yes
    skew-1   skew       no
""")


@pytest.mark.parametrize("row", SUPERSEDES, ids=str)
def test_an_older_quote_takes_no_newer_ones_place(row: Row) -> None:
    """Except that of one stamped further in the future than clocks may be apart: its clock is wrong, not ours."""

    def at(text: str) -> Quote:
        offset_us = CLOCK_SKEW_MAX_US + int(text[4:] or 0) if text.startswith("skew") else int(text)
        return Quote.of(ltp="100", at_us=NOW + offset_us)

    assert supersedes(at(row.told_us), at(row.stands_us), NOW) is row.has("takes")
