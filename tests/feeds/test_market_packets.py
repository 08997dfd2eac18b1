"""The binary feed, packed by the server's layout and by the official client's, read back; and whatever bytes may come."""

from __future__ import annotations

import math
import struct

import pytest
from dhanhq.marketfeed import MarketFeed as Official
from hypothesis import given, settings
from hypothesis import strategies as st

from riskguard.core.calendar import IST_OFFSET_US
from riskguard.core.money import to_e4
from riskguard.feeds.market.packets import DISCONNECT, FULL, SIZES, Malformed, Packet, packets, price_e4
from riskguard.feeds.market.stamps import Stamps
from tests.core.tables import Row, table
from tests.feeds import market_server as wire

AT_S = 1_780_551_000
SECOND = 1_000_000


def one(frame: bytes) -> Packet:
    (found,) = packets(frame)
    assert isinstance(found, Packet)
    return found


def test_each_kind_of_packet_is_read() -> None:
    """Prices to the paisa, stamps as sent, the best level of the book, and nothing where there is nothing."""
    assert one(wire.ticker("NSE_EQ", "1333", 1650.05, AT_S)) == Packet(
        2, "NSE_EQ", "1333", to_e4("1650.05"), stamp_s=AT_S + wire.IST_S
    )
    assert one(wire.quote("BSE_FNO", "874315", 0.05, AT_S)).ltp_e4 == to_e4("0.05")
    found = one(wire.full("NSE_FNO", "49081", 24567.35, 24567.3, 24567.4, AT_S))
    assert (found.ltp_e4, found.bid_e4, found.ask_e4) == (to_e4("24567.35"), to_e4("24567.3"), to_e4("24567.4"))
    assert one(wire.previous_close("NSE_EQ", "1333", 1640.5)).close_e4 == to_e4("1640.5")
    assert one(wire.disconnection(805)).reason == 805
    assert not one(wire.open_interest("NSE_FNO", "49081")).has_price
    assert not one(wire.status()).has_price


def test_it_agrees_with_the_official_client() -> None:
    """The same bytes, read by dhanhq: price, best bid and ask, segment and id; its time of day is India's."""
    frame = wire.full("NSE_FNO", "49081", 24567.35, 24567.3, 24567.4, AT_S)
    theirs = Official.process_full(object.__new__(Official), frame)
    ours = one(frame)

    assert to_e4(theirs["LTP"]) == ours.ltp_e4
    assert to_e4(theirs["depth"][0]["bid_price"]) == ours.bid_e4
    assert to_e4(theirs["depth"][0]["ask_price"]) == ours.ask_e4
    assert (theirs["exchange_segment"], str(theirs["security_id"])) == (2, ours.security_id)
    assert theirs["LTT"] == "11:00:00"
    assert Official.process_ticker(object.__new__(Official), wire.ticker("NSE_EQ", "1", 99.95, AT_S))["LTP"] == "99.95"


def test_several_packets_in_one_frame() -> None:
    """They are told apart by their code's size; a length of 0 is taken for it, one of our unknown codes is stepped over."""
    unknown = struct.pack("<BHBi", 99, 20, 1, 7) + bytes(12)
    frame = wire.ticker("NSE_EQ", "1", 1, AT_S) + unknown + wire.full("NSE_EQ", "2", 2, 1, 3, AT_S) + wire.status()
    found = list(packets(frame))

    assert [each.code if isinstance(each, Packet) else "?" for each in found] == [2, "?", FULL, 7]
    zero = bytearray(wire.ticker("NSE_EQ", "1", 1, AT_S))
    zero[1:3] = b"\0\0"
    assert one(bytes(zero)).security_id == "1"


BROKEN = [
    b"\x02", wire.ticker("NSE_EQ", "1", 1, AT_S)[:-1], wire.full("NSE_EQ", "1", 1, 1, 1, AT_S)[:100],
    struct.pack("<BHBi", 2, 17, 1, 7) + bytes(8), struct.pack("<BHBi", 99, 3, 1, 7), struct.pack("<BHBi", 99, 60_000, 1, 7),
    b"\xff" * 50,
]  # fmt: skip


@pytest.mark.parametrize("frame", BROKEN, ids=lambda frame: frame.hex()[:24])
def test_what_is_cut_or_unknown_is_counted_not_guessed(frame: bytes) -> None:
    """A packet of another length than its code's ends the frame: what follows cannot be told from its middle."""
    good = wire.ticker("NSE_EQ", "5", 5, AT_S)

    assert [type(each) for each in packets(frame)] == [Malformed]
    assert [type(each) for each in packets(good + frame)] == [Packet, Malformed]


def test_a_segment_nobody_knows_is_no_packet_of_a_price() -> None:
    """Code 6 has no name: a price without an instrument is of no use, and of the wrong one a danger."""
    frame = bytearray(wire.ticker("NSE_EQ", "1", 1, AT_S))
    frame[3] = 6

    assert [type(each) for each in packets(bytes(frame))] == [Malformed]


PRICES = table("""
    rupees       segment       meant
    1650.05      NSE_EQ        1650.05
    24567.35     NSE_FNO       24567.35
    131072.05    NSE_EQ        131072.05
    0.05         NSE_FNO       0.05
    83.4125      NSE_CURRENCY  83.4125
    83.4125      NSE_EQ        83.41
    0.001        NSE_EQ        -
    0            NSE_EQ        -
    -5           NSE_EQ        -
    nan          NSE_EQ        -
    inf          NSE_EQ        -
    -inf         NSE_EQ        -
    10000000     NSE_EQ        10000000
    10000001     NSE_EQ        -
    3e38         NSE_EQ        -
""")


@pytest.mark.parametrize("row", PRICES, ids=str)
def test_a_float_is_what_it_was_meant_to_say(row: Row) -> None:
    """Rounded to the paisa, four places for currency; what is no price is unknown, never zero."""
    (sent,) = struct.unpack("<f", struct.pack("<f", float(row.rupees)))

    assert price_e4(sent, row.segment) == row.e4("meant")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.lists(st.sampled_from(list(SIZES))).map(
    lambda codes: b"".join(struct.pack("<BHBi", code, SIZES[code], 1, 1) + bytes([code]) * (SIZES[code] - 8) for code in codes)
)))  # fmt: skip
def test_any_bytes_are_read(frame: bytes) -> None:
    """Total and bounded: never an exception, every price in reach, and never more packets than bytes."""
    found = list(packets(frame))

    assert len(found) <= len(frame)
    for each in found:
        if isinstance(each, Packet):
            assert all(price is None or price > 0 for price in (each.ltp_e4, each.bid_e4, each.ask_e4, each.close_e4))
            assert each.code == DISCONNECT or each.reason is None


# -- what stamps mean ---------------------------------------------------------------------------------------------------


def read(stamps: Stamps, *pairs: tuple[int, int]) -> list[int]:
    """Read stamps (seconds from now as UTC) received at a second; returns how old each is taken to be, in seconds."""
    ages = []
    for stamp_s, received_s in pairs:
        received_us = (AT_S + received_s) * SECOND
        traded_us = stamps.traded_us(AT_S + stamp_s, received_us)
        assert traded_us is not None
        ages.append((received_us - traded_us) // SECOND)
    return ages


IST_S = IST_OFFSET_US // SECOND


def test_stamps_are_indias_clock_until_proven_otherwise() -> None:
    """A stamp of this moment in India is fresh; a stamp of this moment in UTC reads as old, which refuses and never kills."""
    assert read(Stamps(), (IST_S, 0), (IST_S + 1, 2)) == [0, 1]
    assert read(Stamps(), (0, 0)) == [IST_S]
    assert Stamps().traded_us(None, 0) is None


def test_stamps_that_keep_step_with_our_clock_are_utc() -> None:
    """Twenty seconds of live stamps prove it; one old trade sent again and again does not, nor does what is proven change."""
    assert read(Stamps(), (0, 0), (10, 10), (20, 20), (21, 21)) == [IST_S, IST_S, 0, 0]
    assert read(Stamps(), (0, 0), (0, 4), (19, 19), (0, 60)) == [IST_S, IST_S + 4, IST_S, IST_S + 60]
    assert read(Stamps(), (IST_S, 0), (0, 0), (20, 20), (60, 60)) == [0, IST_S, IST_S, IST_S]


def test_a_stamp_is_never_infinite() -> None:
    """Whatever 32 bits hold is a time of day of some year, and the rules of ticks keep it out."""
    found = Stamps().traded_us(2**32 - 1, AT_S * SECOND)
    assert found is not None and math.isfinite(found)
