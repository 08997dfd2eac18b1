"""
What people are told: an outbox of alerts, who gets them, and how far each delivery has come.

Whoever raises an alert writes one row and goes on; sending is the dispatcher's, in another thread, from these rows.
"""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import account, epoch_us, flag, partial_index, row_id, said, table, text, whole, word

SEVERITIES = ("info", "warning", "critical")
CHANNEL_KINDS = ("command", "apprise")
DELIVERY_STATES = ("WAITING", "SENDING", "SENT", "GIVEN_UP")

alerts = table(
    "alerts",
    row_id(),
    account("account"),
    word("severity", *SEVERITIES, doc="info, warning, critical"),
    said("code", doc="the event in one word; NOTICE: none was given"),
    said("message", doc="what, why, what still works and the way out; secrets are redacted"),
    epoch_us("at_us", nullable=False, doc="when it was raised"),
    said("dedupe_key", doc="what is the same event: its repeats within a minute are counted, not told one by one"),
    text("once", doc="an event told once for ever, whoever notices it; null: none"),
    text("not_to", nullable=False, default="", doc="a channel it is about, and does not go to; empty: none"),
    flag("is_logged", nullable=False, default=0, doc="1: it stands in the log of whoever raised it"),
    epoch_us("queued_at_us", doc="when it was handed to the channels; null: not yet"),
    whole(
        "came_again",
        nullable=False,
        default=0,
        at_least=0,
        doc="how often it was raised again, after this row was written",
    ),
    whole("untold", nullable=False, default=0, at_least=0, doc="of which no message has told the count yet"),
    whole("earlier", nullable=False, default=0, at_least=0, doc="repeats of the row before, told with this one"),
    whole("parts", nullable=False, default=1, at_least=1, doc="messages made of it: the first, and each later count"),
    epoch_us("said_at_us", nullable=False, doc="when its newest message was made; a minute must pass before the next"),
    epoch_us("last_at_us", nullable=False, doc="when it was raised last"),
    # Two processes that notice the same event write it at the same time; it is one.
    sa.UniqueConstraint("once"),
    sa.Index("idx_alerts_key", "account", "dedupe_key", "id"),
    sa.Index("idx_alerts_at", "at_us"),
    partial_index("idx_alerts_open", "id", where="queued_at_us IS NULL"),
    partial_index("idx_alerts_untold", "said_at_us", where="untold > 0"),
    about="What people are to be told: the outbox. A row is written before anything is sent.",
    strict=True,
)

alert_deliveries = table(
    "alert_deliveries",
    row_id(),
    whole("alert_id", nullable=False, doc="alerts.id"),
    whole("part", nullable=False, at_least=1, doc="1: the alert; above: how often it came again"),
    said("channel", doc="alert_channels.name"),
    text("message", nullable=False, doc="as it is sent"),
    word(
        "state",
        *DELIVERY_STATES,
        default="WAITING",
        doc="WAITING; SENDING: it may have arrived; SENT; GIVEN_UP",
    ),
    whole("attempts", nullable=False, default=0, at_least=0, doc="how often sending it was begun"),
    whole("token", nullable=False, default=0, at_least=0, doc="grows with each attempt; a smaller one marks nothing"),
    epoch_us(
        "next_at_us",
        nullable=False,
        doc="not before this is it tried; of a SENDING one: when its sender counts as dead",
    ),
    epoch_us("sent_at_us", doc="when the channel took it; null: it has not"),
    text("last_error", nullable=False, default="", doc="why the last attempt failed; secrets are redacted"),
    sa.UniqueConstraint("alert_id", "part", "channel"),
    partial_index("idx_alert_deliveries_due", "channel", "next_at_us", where="state IN ('WAITING', 'SENDING')"),
    sa.Index("idx_alert_deliveries_channel", "channel", "id"),
    about="One message on one channel: at least once, tried again with growing pauses, given up in the end.",
    strict=True,
)

alert_channels = table(
    "alert_channels",
    said("name", key=True, doc="what people call it"),
    word("kind", *CHANNEL_KINDS, doc="command: a program of yours; apprise: a service by URL"),
    text(
        "argv", nullable=False, default="[]", doc="JSON list: the program and its words; its URL is sealed in `config`"
    ),
    word("least", *SEVERITIES, default="info", doc="the least severity it is told"),
    whole("timeout_ms", nullable=False, default=10000, at_least=100, doc="then what sends is killed"),
    epoch_us("created_at_us", nullable=False, doc="when it was added"),
    about="Where alerts go, besides the log. An apprise URL is a secret: it stands sealed in `config`, `alerts.url.<name>`.",
    strict=True,
)
