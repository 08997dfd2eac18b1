"""
Rows of upkeep, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/upkeep.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import Row, Said, Text, Whole, one_of


class UpkeepRunRow(Row):
    """Backups, archiving, vacuums and anchors: when, with what outcome."""

    TABLE: ClassVar[str] = "upkeep_runs"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    kind: Annotated[Text, one_of("backup", "archive", "vacuum", "anchor")] = Field(
        description="backup, archive, vacuum, anchor"
    )
    slot: Said = Field(
        description="session date of the daily run, `by hand` and the microsecond, or of an anchor the generation"
    )
    attempts: Whole = Field(default=1, ge=1, description="how often it was begun")
    holder: Text = Field(default="", description="the process that began it last")
    started_at_us: Whole = Field(ge=100000000000000, description="when it began")
    finished_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when it ended; null: at work, or died at it"
    )
    outcome: Annotated[Text, one_of("DONE", "FAILED")] | None = Field(
        default=None, description="DONE, FAILED; null: not ended"
    )
    detail: Text = Field(default="{}", description="JSON: what was done, or why it was not")
