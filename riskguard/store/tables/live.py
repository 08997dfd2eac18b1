"""What the live checks remember."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch_us, table, text, whole

live_watches = table(
    "live_watches",
    account("account"),
    text("limit_id", nullable=False, doc="id in the rulebook"),
    text(
        "period", nullable=False, default="", doc="session date, ISO week (2025-W23), month (2025-06); empty: for ever"
    ),
    text("state", nullable=False, default="{}", doc="JSON: what the check keeps in mind, peaks and what was said"),
    epoch_us("updated_at_us", nullable=False, doc="when it last changed"),
    whole(
        "written",
        nullable=False,
        default=0,
        at_least=0,
        doc="how often it was written; a write that does not count on is no write of riskguard's and is refused",
    ),
    sa.PrimaryKeyConstraint("account", "limit_id", "period"),
    about="What a live limit has seen, said and done in its period; survives restart. A release takes a trip back.",
    strict=True,
)
