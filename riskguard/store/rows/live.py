"""
Rows of live, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/live.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Row, Said, Text, Whole


class LiveWatchRow(Row):
    """
    What a live limit has seen, said and done in its period; survives restart. A release takes a trip back.
    """

    TABLE: ClassVar[str] = "live_watches"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    limit_id: Said = Field(description="id in the rulebook")
    period: Text = Field(default="", description="session date, ISO week (2025-W23), month (2025-06); empty: for ever")
    state: Text = Field(default="{}", description="JSON: what the check keeps in mind, peaks and what was said")
    updated_at_us: Whole = Field(ge=100000000000000, description="when it last changed")
    written: Whole = Field(
        default=0,
        ge=0,
        description=(
            "how often it was written; a write that does not count on is no write of riskguard's and is refused"
        ),
    )
