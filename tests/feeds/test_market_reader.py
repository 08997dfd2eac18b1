"""Quotes that are asked for: what a recorded answer means, every shape of a refusal, and what is no answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskguard.core.money import to_e4
from riskguard.core.ticks import Fault, Track, take
from riskguard.errors import BrokerError, BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError
from riskguard.feeds.market.access import Access
from riskguard.feeds.market.reader import QuoteReader
from tests.core.test_calendar import at
from tests.feeds.market_server import CLIENT, TOKEN, QuoteServer

ANSWERS = Path(__file__).parents[1] / "data" / "market_feed"
KEY = ("NSE_FNO", "49081")
NOW_US = at("2026-06-04 11:00")


class Told:
    """Wall time as told."""

    def now_us(self) -> int:
        return NOW_US

    def elapsed_us(self) -> int:
        return 0


@pytest.fixture
def server() -> Iterator[QuoteServer]:
    made = QuoteServer()
    yield made
    made.stop()


@pytest.fixture
def reader(server: QuoteServer) -> Iterator[QuoteReader]:
    made = QuoteReader(lambda: Access(CLIENT, TOKEN), Told(), url=server.url, timeout_s=20)
    yield made
    made.close()


def recorded(name: str) -> bytes:
    """Return the body of a recorded answer."""
    return json.dumps(json.loads((ANSWERS / name).read_text())["body"]).encode()


def test_a_recorded_answer_after_the_close_has_circuits_and_no_price(server: QuoteServer, reader: QuoteReader) -> None:
    """Zeros everywhere but in the circuit: unknown, kept out, and never a price of nothing."""
    server.instead = (200, recorded("marketfeed_quote_market_closed.json"))

    (tick,) = reader.read([KEY]).values()
    assert (tick.ltp_e4, tick.bid_e4, tick.ask_e4, tick.traded_us) == (None, None, None, None)
    assert (tick.lower_band_e4, tick.upper_band_e4) == (to_e4("0.05"), to_e4("20.05"))
    assert take(Track(), tick).faults == (Fault.NO_PRICE,)


def test_a_recorded_answer_without_the_instrument_is_no_price(server: QuoteServer, reader: QuoteReader) -> None:
    """An id the broker does not know is simply missing."""
    server.instead = (200, recorded("marketfeed_ltp_empty.json"))

    assert reader.read([KEY]) == {}


def test_a_quote_is_read_exactly(server: QuoteServer, reader: QuoteReader) -> None:
    """Decimals never pass through a float; the last trade's time is India's."""
    server.show(
        KEY, 24567.35, 24567.3, 24567.4, "04/06/2026 10:59:58", upper_circuit_limit=27000.05, lower_circuit_limit=22000
    )

    (tick,) = reader.read([KEY]).values()
    assert (tick.ltp_e4, tick.bid_e4, tick.ask_e4) == (to_e4("24567.35"), to_e4("24567.3"), to_e4("24567.4"))
    assert tick.traded_us == at("2026-06-04 10:59:58") and tick.received_us == NOW_US
    assert (tick.lower_band_e4, tick.upper_band_e4) == (to_e4("22000"), to_e4("27000.05"))


TIMES = [
    ("2026-06-04 10:59:58", True),
    ("", False),
    ("yesterday", False),
    ("04/06/2026", False),
    ("32/06/2026 10:00:00", False),
]


@pytest.mark.parametrize(("text", "known"), TIMES)
def test_a_time_nobody_can_read_is_not_known(server: QuoteServer, reader: QuoteReader, text: str, known: bool) -> None:
    """A guess would make an old price fresh."""
    server.show(KEY, 100.0, 99.9, 100.1, text)

    (tick,) = reader.read([KEY]).values()
    assert (tick.traded_us is not None) == known


REFUSED = [
    (200, b'{"errorCode": 806, "errorMessage": "Data APIs not subscribed"}', "806"),
    (200, b'{"data": {"806": "Data APIs not subscribed"}, "status": "failed"}', "806"),
    (401, b'{"errorType": "Invalid_Authentication", "errorCode": "DH-901", "errorMessage": "expired"}', "DH-901"),
    (429, b'{"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": "too many"}', "DH-904"),
    (500, b'{"status": "success", "data": {}}', "HTTP 500"),
    (200, b'{"status": "failure", "remarks": "no"}', "no"),
    (404, b'{"timestamp": "x", "status": 404, "error": "Not Found"}', "404"),
]


@pytest.mark.parametrize(("status", "body", "said"), REFUSED)
def test_a_refusal_is_one_under_any_status_and_shape(
    server: QuoteServer, reader: QuoteReader, status: int, body: bytes, said: str
) -> None:
    """The code stands in the message, the token never does."""
    server.instead = (status, body)

    with pytest.raises(BrokerRefusedError, match=said) as caught:
        reader.read([KEY])
    assert TOKEN not in str(caught.value)


STRANGE = [b"", b"<html>busy</html>", b"[]", b"null", b'{"status": "success"}', b'{"status": "success", "data": {"NSE_FNO": []}}',
           b'{"status": "success", "data": [1]}', b"[" * 100_000, b"[1e-4009999999999999999999]", b"\xff\xfe"]  # fmt: skip


@pytest.mark.parametrize("body", STRANGE, ids=lambda body: body[:30])
def test_what_cannot_be_read_is_no_answer(server: QuoteServer, reader: QuoteReader, body: bytes) -> None:
    """Never "no prices": whoever asked must know that nobody answered. The next call works."""
    server.instead = (200, body)
    with pytest.raises(BrokerUnconfirmedError):
        reader.read([KEY])

    server.instead = None
    server.show(KEY, 100.0, 99.9, 100.1)
    assert KEY in reader.read([KEY])


ODD = [
    ("NaN", None), ("Infinity", None), ("-5", None), ("0", None), ('"100"', None), ("true", None), ("null", None), ("1e400", None),
    ("1e-9", None), ("[1]", None), ("10000000.01", None), ("100", "100"), ("100.05", "100.05"), ("83.41250", "83.4125"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "price"), ODD)
def test_a_number_that_is_no_price_is_unknown(
    server: QuoteServer, reader: QuoteReader, number: str, price: str | None
) -> None:
    """Whatever JSON may hold where a price should be."""
    body = f'{{"status": "success", "data": {{"NSE_FNO": {{"49081": {{"last_price": {number}, "depth": {number}}}}}}}}}'
    server.instead = (200, body.encode())

    (tick,) = reader.read([KEY]).values()
    assert tick.ltp_e4 == (None if price is None else to_e4(price))


def test_ids_that_are_no_numbers_are_not_asked_for(server: QuoteServer, reader: QuoteReader) -> None:
    """One bad id of ours must not spoil the answer for the others, and asking for nothing asks nobody."""
    server.show(KEY, 100.0, 99.9, 100.1)

    assert set(reader.read([KEY, ("NSE_EQ", "INFY"), ("NSE_EQ", "१२")])) == {KEY}
    assert server.asked == [{"NSE_FNO": [49081]}]
    assert reader.read([("NSE_EQ", "INFY")]) == {}
    assert len(server.asked) == 1


def test_nobody_there_and_nobody_answering_are_told_apart() -> None:
    """Not reached: nothing left this host. Reached and silent: not known, within the time allowed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v2"
        reader = QuoteReader(lambda: Access(CLIENT, TOKEN), Told(), url=url, timeout_s=0.2)
        with pytest.raises(BrokerUnconfirmedError, match="no answer"):
            reader.read([KEY])
    with pytest.raises(BrokerUnavailableError):
        reader.read([KEY])
    reader.close()


def test_requests_are_counted_as_they_leave(server: QuoteServer) -> None:
    """Also one that is refused: the broker counts those as well."""
    counted = threading.Semaphore(0)
    reader = QuoteReader(lambda: Access(CLIENT, TOKEN), Told(), url=server.url, timeout_s=20, on_call=counted.release)
    server.instead = (429, b'{"errorCode": "DH-904"}')
    with pytest.raises(BrokerError):
        reader.read([KEY])
    assert counted.acquire(blocking=False) and not counted.acquire(blocking=False)
    reader.close()
