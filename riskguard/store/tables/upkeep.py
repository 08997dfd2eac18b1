"""What was done to keep the database itself well: backups, archiving, giving space back, anchors of the journal."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import epoch_us, row_id, said, table, text, whole, word

UPKEEP_KINDS = ("backup", "archive", "vacuum", "anchor")

upkeep_runs = table(
    "upkeep_runs",
    row_id(),
    word("kind", *UPKEEP_KINDS, doc="backup, archive, vacuum, anchor"),
    said("slot", doc="session date of the daily run, `by hand` and the microsecond, or of an anchor the generation"),
    whole("attempts", nullable=False, default=1, at_least=1, doc="how often it was begun"),
    text("holder", nullable=False, default="", doc="the process that began it last"),
    epoch_us("started_at_us", nullable=False),
    epoch_us("finished_at_us", doc="when it ended; null: at work, or died at it"),
    word("outcome", "DONE", "FAILED", nullable=True, doc="DONE, FAILED; null: not ended"),
    text("detail", nullable=False, default="{}", doc="JSON: what was done, or why it was not"),
    # One row a day and kind: a second daemon finds it done.
    sa.UniqueConstraint("kind", "slot"),
    sa.Index("idx_upkeep_runs_kind", "kind", "finished_at_us"),
    about="Backups, archiving, vacuums and anchors: when, with what outcome.",
    strict=True,
)
