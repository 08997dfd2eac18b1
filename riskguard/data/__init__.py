"""
The facts riskguard ships: trading calendar, charges, dated market tables, example days.

Only this file knows where they lie. `core/` parses text and opens nothing, so that a decision can be
replayed without a disk; the text comes from here, in a checkout and in an installed wheel alike.
"""

from __future__ import annotations

import os
from typing import Any


def text(name: str) -> str:
    """
    Return one data file as text.

    Args:
        name: Path below this package with forward slashes: `charges.csv`, `days/README.md`.

    Raises:
        FileNotFoundError: No such file; the message names the path asked for.
    """
    parts = name.split("/")
    if "" in parts or ".." in parts or "\\" in name:
        raise FileNotFoundError(f"`{name}` is not a name inside riskguard's data")
    # Asked of the loader, which reads a checkout, a wheel and a zip: `importlib.resources` costs 30 ms to import,
    # and a check may be the first to ask.
    loader: Any = __spec__.loader
    content: bytes = loader.get_data(os.path.join(os.path.dirname(__file__), *parts))
    return content.decode("utf-8")


def names(folder: str) -> tuple[str, ...]:
    """Return the file names directly inside *folder*, sorted; folders left out."""
    from importlib.resources import files

    return tuple(sorted(entry.name for entry in files(__package__).joinpath(folder).iterdir() if entry.is_file()))


def calendar_text() -> str:
    """Return the trading calendar of NSE and BSE, for `core.calendar.Calendar.parse`."""
    return text("calendar-in.toml")


def calendar_texts() -> tuple[str, ...]:
    """Return every shipped calendar: NSE and BSE, their currency derivatives, and MCX."""
    return (calendar_text(), text("calendar-in-currency.toml"), text("calendar-in-mcx.toml"))


def charges_text() -> str:
    """Return the dated table of charges, for `core.charges.ChargeTable.parse`."""
    return text("charges.csv")


def charges_known_text() -> str:
    """Return the lines that say until when the shipped table of charges is good; they go before its first line."""
    return text("charges-known.txt")


def market_text(name: str) -> str:
    """Return one dated market table, for `core.market.MarketTables.parse`."""
    return text(f"market/{name}.csv")
