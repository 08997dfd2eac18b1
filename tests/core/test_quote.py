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
    assert [Quote.of(ltp="1", at_us=1, ltp_at_us=each).ltp_at_us for each in (1, AT_US_MAX - 1)] == [1, AT_US_MAX - 1]
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


SAID: list[tuple[dict[str, object], str]] = [
    ({}, "a quote wants at least one of `ltp`, `bid`, `ask`"),
    ({"ltp": 0}, "`ltp` = 0: wants a price above 0"),
    ({"bid": -1}, "`bid` = -1: wants a price above 0"),
    ({"ask": "x"}, "`ask` = 'x': is not a plain decimal number like `1650.05`"),
    ({"ltp": "10000000.0001"}, "`ltp` = '10000000.0001': is beyond ±10000000"),
    ({"bid": "100.05", "ask": 100}, "`bid` 100.05 is above `ask` 100.00: a crossed quote"),
    ({"ltp": 1, "at_us": 0}, "`at` = 0: wants the time the quote was true"),
    ({"ltp": 1, "at_us": AT_US_MAX}, f"`at` = {AT_US_MAX}: wants the time the quote was true"),
    ({"ltp": 1, "ltp_at_us": 0}, "`ltp_at_us` = 0: wants the time of the last trade"),
    ({"ltp": 1, "lower_band": 0}, "`lower_band` = 0: wants a price above 0"),
    ({"ltp": 1, "upper_band": "x"}, "`upper_band` = 'x': is not a plain decimal number like `1650.05`"),
    ({"ltp": 1, "lower_band": 3, "upper_band": 2}, "`lower_band` 3.00 is above `upper_band` 2.00"),
]


@pytest.mark.parametrize(("given", "said"), SAID, ids=str)
def test_what_is_wrong_is_said_to_the_letter(given: dict[str, object], said: str) -> None:
    """The field, the value, and what would be right."""
    with pytest.raises(QuoteInvalidError) as caught:
        Quote.of(**{"at_us": 1, **given})  # type: ignore[arg-type]
    assert str(caught.value) == said


def test_a_quote_keeps_all_it_was_given() -> None:
    """With circuits, with one of them, and without."""
    times = {"at_us": 5, "ltp_at_us": 4, "is_indicative": True}
    assert Quote.of(ltp=2, bid=1, ask=3, **times) == Quote(20_000, 10_000, 30_000, 5, None, None, 4, True)  # type: ignore[arg-type]
    assert Quote.of(ltp=2, lower_band=1, upper_band=3, **times) == Quote(20_000, None, None, 5, 10_000, 30_000, 4, True)  # type: ignore[arg-type]
    assert Quote.of(bid=2, lower_band=1, at_us=5) == Quote(None, 20_000, None, 5, 10_000, None, None, False)
    assert Quote.of(ask=2, upper_band=1, at_us=AT_US_MAX - 1) == Quote(None, None, 20_000, AT_US_MAX - 1, None, 10_000)


MOST = 10_000_000 * 10_000
WHOLE = Quote(20_000, 10_000, 30_000, 5, 10_000, 30_000, 4)


@pytest.mark.parametrize("field", ["ltp_e4", "bid_e4", "ask_e4", "lower_band_e4", "upper_band_e4"])
def test_what_was_built_by_hand_is_looked_at(field: str) -> None:
    """Each price: a whole number of 1/10000 rupee from 1 to a crore, or None."""
    assert all(WHOLE._replace(**{field: good}).is_whole() for good in (None, 1, MOST))
    assert not any(WHOLE._replace(**{field: bad}).is_whole() for bad in (0, -1, MOST + 1, 1.5, "1", True))


@pytest.mark.parametrize("field", ["at_us", "ltp_at_us"])
def test_times_built_by_hand_are_looked_at(field: str) -> None:
    """Each time; only that of the last trade may be missing."""
    assert all(WHOLE._replace(**{field: good}).is_whole() for good in (1, AT_US_MAX - 1))
    assert not any(WHOLE._replace(**{field: bad}).is_whole() for bad in (0, -1, AT_US_MAX, 1.5, "1", True))
    assert WHOLE._replace(**{field: None}).is_whole() == (field == "ltp_at_us")
