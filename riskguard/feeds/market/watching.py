"""The watch list: instruments somebody wants a live price of without holding them, as one line of a setting."""

from __future__ import annotations

from typing import Final

from riskguard.core.terms import Segment
from riskguard.errors import SettingsError
from riskguard.feeds.market.book import Key

SEGMENTS: Final = frozenset((*Segment, "IDX_I"))
"""Segments the feed has prices of: those one can order in, and the indices."""
ID_CHARS_MAX: Final = 10


def watch_list(text: str) -> frozenset[Key]:
    """Read `NSE_EQ:1333, IDX_I:13`; raises SettingsError naming what it cannot read."""
    found = set()
    for each in (word.strip() for word in text.split(",")):
        if not each:
            continue
        segment, _, security = each.partition(":")
        if segment not in SEGMENTS or not (security.isascii() and security.isdigit()) or len(security) > ID_CHARS_MAX:
            raise SettingsError(f"watch list: `{each[:40]}`: wants a segment and a security id, like `NSE_EQ:1333`")
        found.add((segment, security))
    return frozenset(found)
