"""
Which ticks of a market feed become marks, and which are kept out, and why. Pure: times come with the tick.

A mark decides whether an account is flattened, and feeds send nonsense: stamps of 1970, last week's price as the first tick of
the day, time that runs backwards, zeros, and now and then a price from nowhere. What is kept out leaves the quote that stands,
which then grows old: an old mark lets an account reduce, never flatten (`core.marking`).

Nothing is kept out for ever. A price far from the last one is taken as soon as another tick, at least a second later, says the
same: a crash is seen a second late, a single slip never.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from riskguard.core.calendar import ist_day
from riskguard.core.money import PRICE_MAX_E4
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.core.quote import Quote

CONFIRM_US: Final = 1_000_000
"""How much later another tick must agree with a wild one."""
PERSIST_US: Final = 15_000_000
"""A repetition of the very same tick proves nothing, unless it goes on for this long: a locked circuit looks like that."""
PERSIST_TICKS: Final = 3

JUMP_PCT: Final = 10
"""From one tick to the next; exchanges halt or band what moves further in a moment."""
OPEN_JUMP_PCT: Final = 20
"""From the previous close to the first tick: the widest circuit of a share without derivatives."""
JUMP_LEAST_E4: Final = 2_000
"""₹0.20: of a share at ₹1 ten percent are two ticks."""
OPTION_JUMP_PCT: Final = 50
OPTION_JUMP_LEAST_E4: Final = 50_000
"""₹5: a premium doubles between two ticks when it is small."""
AGREE_PCT: Final = 2
OPTION_AGREE_PCT: Final = 20
SPREAD_PCT_MAX: Final = 20
"""Beyond this the two sides of a book say nothing of where the market is."""


class Fault(StrEnum):
    """Why a tick, or a part of it, was kept out."""

    NO_PRICE = "no price: zero, negative, not a number, or beyond any price"
    CROSSED = "bid above ask: both sides left out"
    AHEAD = "traded in the future"
    BACKWARD = "traded before what is held"
    OLD_DAY = "traded on another day"
    UNTIMED = "nothing says when it was true"
    OLDER = "two far sides, and a last trade older than what is held"
    UNPROVEN = "the first price, and nothing to hold it against yet"
    WILD = "far from the last price, and not confirmed yet"


class Tick(NamedTuple):
    """
    What a feed sent of one instrument, in 1/10000 rupee and microseconds UTC. None: it did not say; a price of 0 or below
    counts as that too. `traded_us` is when the last trade was; `received_us` when this host had the tick in hand.
    """

    ltp_e4: int | None
    bid_e4: int | None
    ask_e4: int | None
    traded_us: int | None
    received_us: int
    lower_band_e4: int | None = None
    upper_band_e4: int | None = None


Prices = tuple[int | None, int | None]
"""The last trade and the middle of the book."""


class Suspect(NamedTuple):
    """Prices that wait for another tick to say the same."""

    prices: Prices
    since_us: int
    tick: Tick
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """What is known of one instrument: the quote that stands, the newest trade taken, and a price in doubt."""

    quote: Quote | None = None
    traded_us: int | None = None
    close_e4: int | None = None  # the previous session's, where the feed says it
    suspect: Suspect | None = None


class Taken(NamedTuple):
    """
    The answer to one tick. `quote` is the new one, None when the old one stands; `faults` names what was kept out,
    also of a tick the rest of which was taken.
    """

    track: Track
    quote: Quote | None
    faults: tuple[Fault, ...] = ()


def take(track: Track, tick: Tick, *, is_option: bool = False) -> Taken:
    """
    Hold *tick* against what is known and return what becomes of it. Total: any tick gets an answer.

    The time a quote was true: now, if the book has two near sides, because it is the market of this moment whenever the last
    trade was; else the time of that trade.
    """
    faults: list[Fault] = []
    if track.quote is not None and tick.received_us < track.quote.at_us - CLOCK_SKEW_MAX_US:
        track = Track(close_e4=track.close_e4)  # our clock was set back: what is held was stamped by the wrong one
    ltp_e4, bid_e4, ask_e4 = map(_price, (tick.ltp_e4, tick.bid_e4, tick.ask_e4))
    traded_us = tick.traded_us
    if traded_us is not None and traded_us > tick.received_us + CLOCK_SKEW_MAX_US:
        return Taken(track, None, (Fault.AHEAD,))
    if traded_us is not None and ist_day(traded_us) != ist_day(tick.received_us):
        faults.append(Fault.OLD_DAY)
        ltp_e4 = traded_us = None
    if traded_us is not None and track.traded_us is not None and traded_us < track.traded_us:
        return Taken(track, None, (Fault.BACKWARD,))
    if bid_e4 is not None and ask_e4 is not None and bid_e4 > ask_e4:
        faults.append(Fault.CROSSED)
        bid_e4 = ask_e4 = None
    middle_e4 = _middle(bid_e4, ask_e4)
    if ltp_e4 is None and bid_e4 is None and ask_e4 is None:
        return Taken(track, None, (*faults, Fault.NO_PRICE) if Fault.OLD_DAY not in faults else tuple(faults))
    if middle_e4 is None and (traded_us is None or ltp_e4 is None):
        return Taken(track, None, (*faults, Fault.UNTIMED))
    at_us = tick.received_us if middle_e4 is not None else min(traded_us or 0, tick.received_us)
    made = _with_bands(
        Quote(ltp_e4, bid_e4, ask_e4, at_us, _price(tick.lower_band_e4), _price(tick.upper_band_e4), traded_us), track
    )
    if track.quote is not None and made.at_us < track.quote.at_us:
        return Taken(track, None, (*faults, Fault.OLDER))
    doubt, suspect = _doubt(track, tick, made, middle_e4, is_option)
    if doubt is not None:
        return Taken(replace(track, suspect=suspect), None, (*faults, doubt))
    newest_us = traded_us if traded_us is not None else track.traded_us
    return Taken(Track(made, newest_us, track.close_e4), made, tuple(faults))


def _price(price_e4: int | None) -> int | None:
    return price_e4 if price_e4 is not None and 0 < price_e4 <= PRICE_MAX_E4 else None


def _middle(bid_e4: int | None, ask_e4: int | None) -> int | None:
    """Return the middle of two sides that are near each other; None when they say nothing."""
    if bid_e4 is None or ask_e4 is None:
        return None
    middle_e4 = (bid_e4 + ask_e4) // 2
    return middle_e4 if (ask_e4 - bid_e4) * 100 <= middle_e4 * SPREAD_PCT_MAX else None


def _with_bands(made: Quote, track: Track) -> Quote:
    """Keep the circuit limits told earlier today; a feed says them seldom."""
    held = track.quote
    lower_e4, upper_e4 = made.lower_band_e4, made.upper_band_e4
    if held is not None and ist_day(held.at_us) == ist_day(made.at_us):
        lower_e4 = held.lower_band_e4 if lower_e4 is None else lower_e4
        upper_e4 = held.upper_band_e4 if upper_e4 is None else upper_e4
    if lower_e4 is not None and upper_e4 is not None and lower_e4 > upper_e4:
        lower_e4 = upper_e4 = None
    return made._replace(lower_band_e4=lower_e4, upper_band_e4=upper_e4)


def _doubt(
    track: Track, tick: Tick, made: Quote, middle_e4: int | None, is_option: bool
) -> tuple[Fault | None, Suspect | None]:
    """Say why *made* has to wait for another tick, and what that is held against; (None, None) when it has not."""
    prices = made.ltp_e4, middle_e4
    held = track.quote
    if held is not None:
        is_wild = _strays(prices, (held.ltp_e4, _middle(held.bid_e4, held.ask_e4)), JUMP_PCT, is_option)
    elif track.close_e4 is not None and not is_option:
        is_wild = _strays(prices, (track.close_e4, None), OPEN_JUMP_PCT, is_option)
    else:
        # Nothing to hold it against: two near sides with the last price between them vouch for each other.
        if middle_e4 is not None and (made.ltp_e4 is None or _between(made)):
            return None, None
        return _waiting(track.suspect, tick, prices, is_option, 0, Fault.UNPROVEN)
    if not is_wild and not any(_outside(each, made) for each in prices if each is not None):
        return None, None
    return _waiting(track.suspect, tick, prices, is_option, CONFIRM_US, Fault.WILD)


def _strays(prices: Prices, held: Prices, percent: int, is_option: bool) -> bool:
    """
    Say whether a price is far from what is held: trade from trade, middle from middle, from the other where one is missing.

    Of an illiquid contract the two may lie far apart all day; each is at home where it was.
    """
    (ltp_e4, middle_e4), (held_ltp_e4, held_middle_e4) = prices, held
    pairs = (
        (ltp_e4, held_middle_e4 if held_ltp_e4 is None else held_ltp_e4),
        (middle_e4, held_ltp_e4 if held_middle_e4 is None else held_middle_e4),
    )
    return any(a is not None and b is not None and _far(a, b, percent, is_option) for a, b in pairs)


def _waiting(
    suspect: Suspect | None, tick: Tick, prices: Prices, is_option: bool, after_us: int, fault: Fault
) -> tuple[Fault | None, Suspect | None]:
    """Let *prices* pass if an earlier tick said the same; else they are what waits."""
    if suspect is None or not _agree(prices, suspect.prices, is_option) or tick.received_us < suspect.since_us:
        return fault, Suspect(prices, tick.received_us, tick)
    waited_us = tick.received_us - suspect.since_us
    is_same = tick._replace(received_us=0) == suspect.tick._replace(received_us=0)
    repeated = suspect.repeated + is_same
    persists = repeated >= PERSIST_TICKS - 1 and waited_us >= PERSIST_US
    if (waited_us >= after_us and not is_same) or persists:
        return None, None
    return fault, suspect._replace(repeated=repeated)


def _agree(prices: Prices, others: Prices, is_option: bool) -> bool:
    """Say whether two ticks tell the same story in everything both of them say; silence agrees with nothing."""
    pairs = [(a, b) for a, b in zip(prices, others, strict=True) if a is not None and b is not None]
    return bool(pairs) and not any(_apart(a, b, is_option) for a, b in pairs)


def _between(quote: Quote) -> bool:
    bid_e4, ltp_e4, ask_e4 = quote.bid_e4, quote.ltp_e4, quote.ask_e4
    return bid_e4 is not None and ltp_e4 is not None and ask_e4 is not None and bid_e4 <= ltp_e4 <= ask_e4


def _outside(price_e4: int, quote: Quote) -> bool:
    """Say whether a price lies outside the day's circuit as far as it is known; circuits are moved, so it may be right."""
    lower_e4, upper_e4 = quote.lower_band_e4, quote.upper_band_e4
    return (lower_e4 is not None and price_e4 < lower_e4) or (upper_e4 is not None and price_e4 > upper_e4)


def _far(price_e4: int, from_e4: int, percent: int, is_option: bool) -> bool:
    """Say whether a price is further from another than a market moves in a moment; exactly as far is not."""
    percent, least_e4 = (OPTION_JUMP_PCT, OPTION_JUMP_LEAST_E4) if is_option else (percent, JUMP_LEAST_E4)
    return abs(price_e4 - from_e4) > max(from_e4 * percent // 100, least_e4)


def _apart(price_e4: int, other_e4: int, is_option: bool) -> bool:
    """Say whether two ticks tell different stories."""
    percent, least_e4 = (OPTION_AGREE_PCT, OPTION_JUMP_LEAST_E4) if is_option else (AGREE_PCT, JUMP_LEAST_E4)
    return abs(price_e4 - other_e4) > max(other_e4 * percent // 100, least_e4)
