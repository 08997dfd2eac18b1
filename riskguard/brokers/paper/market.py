"""The paper market itself: somebody moves it with `set_quote`, and the orders resting there meet the quote."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from riskguard.brokers.paper import conditional, events
from riskguard.brokers.paper import orders as book
from riskguard.brokers.paper.file import MarketFile
from riskguard.core.calendar import Calendar
from riskguard.core.quote import Quote
from riskguard.ports import Clock


class Market:
    """The quotes of one file and what they do to the orders of every account in it. Also a `ports.Marks`."""

    def __init__(self, file: MarketFile, clock: Clock) -> None:
        self._file, self._clock = file, clock

    def close(self) -> None:
        """Leave the market; orders go on resting there."""
        self._file.close()

    def set_quote(self, exchange_segment: str, security_id: str, quote: Quote) -> None:
        """Move the market: every working order of the instrument meets the quote, oldest first, all accounts."""
        self.set_quotes({(exchange_segment, security_id): quote})

    def set_quotes(self, quotes: Mapping[tuple[str, str], Quote]) -> None:
        """Move the market in several instruments at one instant, in their order: one transaction."""
        with self._file.writing() as connection:
            today, now_us = self._now()
            book.land(connection, today, now_us)
            for key, quote in quotes.items():
                self._meet(connection, key, quote, today, now_us)

    @staticmethod
    def _meet(connection: sqlite3.Connection, key: tuple[str, str], quote: Quote, today: str, now_us: int) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO quotes (exchange_segment, security_id, session_date, ltp_e4, bid_e4, ask_e4, "
            "at_us, lower_e4, upper_e4) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, today, quote.ltp_e4, quote.bid_e4, quote.ask_e4, quote.at_us, quote.lower_band_e4,
             quote.upper_band_e4),
        )  # fmt: skip
        conditional.fire(connection, key, quote, today, now_us)
        working = connection.execute(
            f"SELECT * FROM orders WHERE {book.WORKING} AND status <> 'TRANSIT' AND exchange_segment = ? "  # noqa: S608
            "AND security_id = ? AND session_date >= ? ORDER BY number",
            (*key, today),
        ).fetchall()
        for row in working:
            # One leg's fill may have ended the other one since the rows were read.
            now = connection.execute("SELECT * FROM orders WHERE number = ?", (row["number"],)).fetchone()
            if now["status"] in book.LIVE:
                book.trade(connection, now, quote, today, now_us, arriving=now["correlation_id"].startswith("fired-"))

    def quote(self, exchange_segment: str, security_id: str) -> Quote | None:
        """Return the day's current quote, None where none was set: `ports.Marks`."""
        with self._file.reading() as connection:
            return book.quote_of(connection, (exchange_segment, security_id), self._now()[0])

    def close_day(self) -> None:
        """End the session: every working order of every account becomes EXPIRED, its filled part kept."""
        now_us = self._now()[1]
        with self._file.writing() as connection:
            ending = connection.execute(f"SELECT * FROM orders WHERE {book.WORKING}").fetchall()  # noqa: S608
            for row in ending:
                events.note(connection, row["account"], now_us, "ENDED", row["number"], status="EXPIRED")
            connection.execute(f"UPDATE orders SET status = 'EXPIRED' WHERE {book.WORKING}")  # noqa: S608

    def _now(self) -> tuple[str, int]:
        """Return the session date and the time."""
        now_us = self._clock.now_us()
        return Calendar.session_date(now_us).isoformat(), now_us
