"""Quotes: unknown is None, never zero; a crossed or empty one does not exist."""

from __future__ import annotations

from decimal import Decimal

import pytest

from riskguard.core.quote import AT_US_MAX, Quote
from riskguard.errors import QuoteInvalidError, shown
from tests.core.tables import Row, table

QUOTES = table("""
    bid     ltp     ask     made
    99      100     101     yes
    -       100     -       yes
    99      -       -       yes
    -       -       101     yes
    100     100     100     yes
    100.05  100     100     no
    -       -       -       no
    0       100     101     no
    99      0       101     no
    99      100     0       no
    -1      100     101     no
    NaN     100     101     no
    99      1e400   101     no
    99      100     101.00001  no
    0.0001  100     10000000   yes
    0.0001  100     10000000.0001  no
    200     100     300     yes
""")


@pytest.mark.parametrize("row", QUOTES, ids=str)
def test_prices_of_a_quote(row: Row) -> None:
    """At least one price, each above zero and below ₹1 crore, bid at or below ask; the last may lie anywhere."""
    prices = {name: row.opt(name) for name in ("bid", "ltp", "ask")}
    if row.has("made"):
        made = Quote.of(at_us=1, **prices)
        assert (made.bid_e4, made.ltp_e4, made.ask_e4) == (row.e4("bid"), row.e4("ltp"), row.e4("ask"))
    else:
        with pytest.raises(QuoteInvalidError):
            Quote.of(at_us=1, **prices)


PRICES = [1.0, float("nan"), True, b"1", Decimal("NaN"), Decimal("sNaN"), Decimal("1E+999999"), 10**5000, [1]]


@pytest.mark.parametrize("price", PRICES, ids=shown)
def test_prices_are_text_int_or_decimal(price: object) -> None:
    """Anything else is refused in one line, whatever it is."""
    with pytest.raises(QuoteInvalidError) as caught:
        Quote.of(ltp=price, at_us=1)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("at_us", [0, -1, True, 1.0, "1", Decimal(1), AT_US_MAX])
def test_the_last_trade_has_its_own_time_or_none(at_us: object) -> None:
    """A whole number of microseconds above zero; None where the feed does not say."""
    assert Quote.of(ltp="1", at_us=1, ltp_at_us=AT_US_MAX - 1).ltp_at_us == AT_US_MAX - 1
    assert Quote.of(ltp="1", at_us=1).ltp_at_us is None
    with pytest.raises(QuoteInvalidError, match="the time of the last trade"):
        Quote.of(ltp="1", at_us=1, ltp_at_us=at_us)  # type: ignore[arg-type]


def test_circuit_limits_that_cross_are_none() -> None:
    """Equal is a market without room; one of them alone is one."""
    assert Quote.of(ltp="1", at_us=1, lower_band="2", upper_band="2").lower_band_e4 == 20_000
    assert Quote.of(ltp="1", at_us=1, upper_band="2").lower_band_e4 is None
    with pytest.raises(QuoteInvalidError, match=r"^`lower_band` 2\.0001 is above `upper_band` 2\.00"):
        Quote.of(ltp="1", at_us=1, lower_band="2.0001", upper_band="2")


@pytest.mark.parametrize("at_us", [0, -1, True, 1.0, None, "1", Decimal(1), float("nan")])
def test_a_quote_says_when_it_was_true(at_us: object) -> None:
    """A whole number of microseconds above zero."""
    with pytest.raises(QuoteInvalidError):
        Quote.of(ltp=1, at_us=at_us)  # type: ignore[arg-type]
    assert Quote.of(ltp=1, at_us=1).at_us == 1
