"""How figures are written for people, the same in the terminal and on the page."""

from __future__ import annotations

import datetime as dt
from typing import Final

from riskguard.core.money import rupees

IST: Final = dt.timezone(dt.timedelta(hours=5, minutes=30))
UNKNOWN: Final = "unknown"
OUTCOMES: Final = {
    "GRANTED": "approved, not sent yet",
    "SENT": "sent, no answer yet",
    "ACKED": "working at the broker",
    "UNKNOWN": "in doubt",
    "REFUSED": "refused by the broker",
    "FILLED": "filled",
    "CANCELLED": "cancelled",
    "EXPIRED": "never sent, expired",
    "VOID": "voided by a stop",
    "RELEASED": "given back unsent",
    "MERGED": "a change, merged",
}
"""What became of an approved order, by the state of its permit."""


def money(e4: int | None) -> str:
    """Return rupees to the paisa, or `unknown`; half a paisa goes away from zero."""
    if e4 is None:
        return UNKNOWN
    paise = (abs(e4) + 50) // 100
    return rupees(paise * 100 if e4 >= 0 else -paise * 100)


def clock(at_us: int | None) -> str:
    """Return the time of day in India, or a dash."""
    return "—" if at_us is None else dt.datetime.fromtimestamp(at_us / 1_000_000, IST).strftime("%H:%M:%S")


def minute(at_us: int) -> str:
    return dt.datetime.fromtimestamp(at_us / 1_000_000, IST).strftime("%H:%M")


def moment(at_us: int) -> str:
    return dt.datetime.fromtimestamp(at_us / 1_000_000, IST).strftime("%Y-%m-%d %H:%M:%S IST")


def percent(e2: int) -> str:
    """Return hundredths of a percent as percent, cut to one place: what has not reached 100 % never reads so."""
    return f"{e2 // 100}.{e2 % 100 // 10} %"
