"""What an upgrade could not carry over as it was."""

from __future__ import annotations

from riskguard.store.tables.base import epoch_us, flag, row_id, said, table, text, whole

quarantine = table(
    "quarantine",
    row_id(),
    said("source_table", doc="table of the old file"),
    whole("source_version", nullable=False, at_least=1, doc="schema the row came from"),
    whole("source_rowid", doc="SQLite's number of the row in the old file"),
    said("reason", doc="why it could not come along as it was"),
    text("raw", nullable=False, doc="JSON of the whole old row"),
    flag("in_table", nullable=False, default=0, doc="1: the row is in its table too, changed as the reason says"),
    epoch_us("at_us", nullable=False, doc="when the upgrade ran"),
    about="Rows of an old file that its new tables refuse, or that came over changed: nothing is lost, nothing guessed.",
    strict=True,
)
