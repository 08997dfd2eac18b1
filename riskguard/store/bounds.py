"""Words and bounds that tables and code share; here, so that who asks for a word need not declare the tables."""

from __future__ import annotations

from typing import Final

TERMINAL_STATUSES: Final = ("EXECUTED", "TRADED", "CANCELLED", "REJECTED", "EXPIRED", "CLOSED")
"""An order rests nowhere any more. Every other word, known or not, is a live order."""

LIVE_PERMIT_STATES: Final = ("GRANTED", "SENT", "ACKED", "UNKNOWN")
"""States of a permit that still holds what was reserved."""

REAL_ABS_MAX: Final = 900_000_000_000_000
"""Beyond this a sum no longer fits our own integers of 1/10000 rupee (2^63 of them are 9.2e14 rupees)."""
