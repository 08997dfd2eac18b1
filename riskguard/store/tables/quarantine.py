"""What an upgrade could not carry over as it was."""

from __future__ import annotations

from riskguard.store.tables.base import epoch_us, flag, row_id, said, table, text, whole

quarantine = table(
    "quarantine",
    row_id(),
    said("source_table"),
    whole("source_version", nullable=False, at_least=1, doc="schema the row came from"),
    whole("source_rowid", doc="SQLite's number of the row in the old file"),
    said("reason"),
    text("raw", nullable=False, doc="JSON of the whole old row"),
    flag("in_table", nullable=False, default=0, doc="1: the row is in its table too, changed as the reason says"),
    epoch_us("at_us", nullable=False),
    about="Rows of an old file that its new tables refuse, or that came over changed: nothing is lost, nothing guessed.",
    strict=True,
)
