"""
The exchanges' own file of the day's prices (bhavcopy, UDiFF form of July 2024 on), read line by line.

NSE and BSE, cash (CM) and equity derivatives (FO). What a share is worth is its closing price, what a contract is worth
its settlement price. On a contract's last day both exchanges may print the *underlying's* price where the option's
settlement price stands (BSE, 2026-04-30: SENSEX 75200 CE settles "76913.50"): an option that expires is worth its
intrinsic value, whatever is printed there. A price of 0 or an empty one is not known, and left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from riskguard.core.expiry import intrinsic_e4
from riskguard.core.money import PRICE_MAX_E4, to_e4

SEGMENTS: Final = {
    ("NSE", "CM"): "NSE_EQ",
    ("NSE", "FO"): "NSE_FNO",
    ("BSE", "CM"): "BSE_EQ",
    ("BSE", "FO"): "BSE_FNO",
}
NEEDED: Final = ("TradDt", "Sgmt", "Src", "FinInstrmId", "ClsPric", "SttlmPric")
UNKNOWN_WORDS: Final = frozenset({"", "-", "NA", "N/A", "NaN", "nan", "null", "NULL"})


class BhavcopyError(ValueError):
    """The text is no bhavcopy, or a line of it is broken; the message names the line."""


@dataclass(frozen=True, slots=True)
class DayPrice:
    """
    One instrument's worth at the close of one day, 1/10000 rupee: 0 only for an option that expired worthless.

    `isin`, `expiry` (ISO) and `strike_e4` are what the file says of it, "" and None where it says nothing: ids are given
    to new contracts after a while, and a price must not be taken for another's.
    """

    exchange_segment: str
    security_id: str
    session_date: str
    price_e4: int
    underlying_e4: int | None = None
    isin: str = ""
    expiry: str = ""
    strike_e4: int | None = None
    option_type: str = ""


@dataclass(slots=True)
class Tally:
    """How many lines were read, and how many of them gave no price."""

    lines: int = 0
    priceless: int = 0


def read(lines: Iterable[str], tally: Tally) -> Iterator[DayPrice]:
    """
    Yield the prices of a bhavcopy in its own order; one day and one segment per file.

    Raises:
        BhavcopyError: A needed column is missing, a number or date is none, or lines of two days or segments.
    """
    rows = csv.reader(lines, strict=True)
    try:
        head = [name.strip().removeprefix("\ufeff") for name in next(rows, [])]
    except csv.Error as e:
        raise BhavcopyError(f"line 1: {e}") from None
    place = {name: number for number, name in enumerate(head)}
    missing = [name for name in NEEDED if name not in place]
    if missing:
        raise BhavcopyError(f"no column `{missing[0]}`: wants the UDiFF form, whose first column is `TradDt`")
    first: tuple[str, str] | None = None
    known: dict[str, int] = {}
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            line = _Line(rows.line_num, row, place)
            tally.lines += 1
            found = line.price()
            own = (line.day("TradDt"), line.segment())
            if first is not None and own != first:
                raise line.wrong(f"is of {own[0]} in {own[1]}, the lines before it of {first[0]} in {first[1]}")
            first = own
            if found is None:
                tally.priceless += 1
                continue
            if known.setdefault(found.security_id, found.price_e4) != found.price_e4:
                raise line.wrong(f"gives `{found.security_id}` another price than a line before it")
            yield found
    except csv.Error as e:
        raise BhavcopyError(f"line {rows.line_num}: {e}") from None


class _Line:
    """One line of the file, asked by column name."""

    __slots__ = ("cells", "number", "place")

    def __init__(self, number: int, cells: list[str], place: dict[str, int]) -> None:
        self.number, self.cells, self.place = number, cells, place

    def text(self, name: str) -> str:
        at = self.place.get(name)
        if at is None:
            return ""
        if at >= len(self.cells):
            raise self.wrong(f"has {len(self.cells)} cells, and `{name}` is number {at + 1}")
        return self.cells[at].strip()

    def wrong(self, what: str) -> BhavcopyError:
        return BhavcopyError(f"line {self.number}: {what}")

    def day(self, name: str) -> str:
        given = self.text(name)
        try:
            return date.fromisoformat(given).isoformat()
        except ValueError:
            raise self.wrong(f"`{name}` = `{given[:40]}`: wants YYYY-MM-DD") from None

    def segment(self) -> str:
        given = (self.text("Src").upper(), self.text("Sgmt").upper())
        if given not in SEGMENTS:
            raise self.wrong(f"`{given[0][:20]}` `{given[1][:20]}`: wants NSE or BSE, CM or FO")
        return SEGMENTS[given]

    def rupees(self, name: str) -> int | None:
        """Return a price > 0; None for what is not known, never 0."""
        given = self.text(name)
        if given in UNKNOWN_WORDS:
            return None
        try:
            value = to_e4(given, most=PRICE_MAX_E4)
        except ValueError as e:
            raise self.wrong(f"`{name}` = `{given[:40]}`: {e}") from None
        if value < 0:
            raise self.wrong(f"`{name}` = `{given[:40]}`: is below zero")
        return value or None

    def price(self) -> DayPrice | None:
        segment, day = self.segment(), self.day("TradDt")
        security_id = self.text("FinInstrmId")
        if not security_id.isalnum() or not security_id.isascii() or len(security_id) > 32:
            raise self.wrong(f"`FinInstrmId` = `{security_id[:40]}`: wants the exchange's number")
        underlying_e4 = self.rupees("UndrlygPric")
        if segment.endswith("_EQ"):
            price_e4 = self.rupees("ClsPric")
            expiry, strike_e4, option_type = "", None, ""
        else:
            expiry = self.day("XpryDt") if self.text("XpryDt") else ""
            actual = self.day("FininstrmActlXpryDt") if self.text("FininstrmActlXpryDt") else expiry
            option_type = self.text("OptnTp").upper()
            strike_e4 = self.rupees("StrkPric") if option_type in ("CE", "PE") else None
            if option_type in ("CE", "PE") and day in (expiry, actual):
                price_e4 = intrinsic_e4(option_type, strike_e4, underlying_e4)
            else:
                price_e4 = self.rupees("SttlmPric")
        if price_e4 is None:
            return None
        return DayPrice(
            segment, security_id, day, price_e4, underlying_e4, self.text("ISIN"), expiry, strike_e4, option_type
        )
