"""
Rows of quarantine, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/quarantine.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from riskguard.store.rows.base import Flag, Row, Said, Text, Whole


class QuarantineRow(Row):
    """
    Rows of an old file that its new tables refuse, or that came over changed: nothing is lost, nothing
    guessed.
    """

    TABLE: ClassVar[str] = "quarantine"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    source_table: Said = Field(description="table of the old file")
    source_version: Whole = Field(ge=1, description="schema the row came from")
    source_rowid: Whole | None = Field(default=None, description="SQLite's number of the row in the old file")
    reason: Said = Field(description="why it could not come along as it was")
    raw: Text = Field(description="JSON of the whole old row", repr=False)
    in_table: Flag = Field(default=False, description="1: the row is in its table too, changed as the reason says")
    at_us: Whole = Field(ge=100000000000000, description="when the upgrade ran")
