"""Reads what a client sent: fields of a request, typed, or Dhan's refusal of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from riskguard.brokers.dhan.sandbox.desk import Desk, bad_input
from riskguard.core.money import to_e4

SEGMENTS: Final = frozenset({"NSE_EQ", "NSE_FNO", "NSE_CURRENCY", "BSE_EQ", "BSE_FNO", "BSE_CURRENCY", "MCX_COMM"})
PRODUCTS: Final = frozenset({"CNC", "INTRADAY", "MARGIN", "MTF", "CO", "BO"})
TYPES: Final = frozenset({"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_MARKET"})
TAG: Final = re.compile(r"[A-Za-z0-9 _-]{1,25}")


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its path's parts by name, its query, its body, and the headers by lower-case name."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any]
    parts: dict[str, str] = field(default_factory=dict)

    def asked(self, name: str) -> str:
        """Return a query parameter; "" without it."""
        return (parse_qs(self.query).get(name) or [""])[0]

    def word(self, name: str, known: frozenset[str] | None = None) -> str:
        """Return a text of the body; an empty one is refused, as the service does."""
        value = self.body.get(name)
        if type(value) is not str or not value or (known is not None and value not in known):
            raise bad_input(f"Invalid {name}")
        return value

    def whole(self, name: str, least: int = 1) -> int:
        """Return a whole number of the body, given as a number or as digits."""
        value = self.body.get(name)
        if type(value) is str and value.isascii() and value.isdecimal():
            value = int(value)
        if type(value) is not int or value < least or value > 10**9:
            raise bad_input(f"Invalid {name}")
        return value

    def rupees_e4(self, name: str, default: int | None = 0) -> int:
        """Return an amount of the body; *default* where it is left out, None: it is required."""
        value = self.body.get(name)
        if value is None:
            if default is None:
                raise bad_input(f"Missing {name}")
            return default
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise bad_input(f"Invalid {name}")
        try:
            return to_e4(str(value))  # an empty text is refused, too: measured
        except ValueError:
            raise bad_input(f"Invalid {name}") from None

    def tag(self) -> str:
        """Return the correlation id; 26 characters are refused, as measured."""
        value = self.body.get("correlationId")
        if value is None:
            return ""
        if type(value) is not str or TAG.fullmatch(value) is None:
            raise bad_input("Invalid correlationId")
        return value

    def own(self, desk: Desk) -> None:
        """Refuse a body without, or with another, client id."""
        if self.body.get("dhanClientId") != desk.scenario.client_id:
            raise bad_input("Invalid dhanClientId")


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: a JSON value, or None for a body left empty."""

    status: int
    body: Any = None
