"""
Rows of alerts, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/alerts.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Text, Whole, one_of


class AlertRow(Row):
    """What people are to be told: the outbox. A row is written before anything is sent."""

    TABLE: ClassVar[str] = "alerts"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    severity: Annotated[Text, one_of("info", "warning", "critical")] = Field(description="info, warning, critical")
    code: Said = Field(description="the event in one word; NOTICE: none was given")
    message: Said = Field(description="what, why, what still works and the way out; secrets are redacted")
    at_us: Whole = Field(ge=100000000000000, description="when it was raised")
    dedupe_key: Said = Field(
        description="what is the same event: its repeats within a minute are counted, not told one by one"
    )
    once: Text | None = Field(default=None, description="an event told once for ever, whoever notices it; null: none")
    not_to: Text = Field(default="", description="a channel it is about, and does not go to; empty: none")
    is_logged: Flag = Field(default=False, description="1: it stands in the log of whoever raised it")
    queued_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when it was handed to the channels; null: not yet"
    )
    came_again: Whole = Field(default=0, ge=0, description="how often it was raised again, after this row was written")
    untold: Whole = Field(default=0, ge=0, description="of which no message has told the count yet")
    earlier: Whole = Field(default=0, ge=0, description="repeats of the row before, told with this one")
    parts: Whole = Field(default=1, ge=1, description="messages made of it: the first, and each later count")
    said_at_us: Whole = Field(
        ge=100000000000000, description="when its newest message was made; a minute must pass before the next"
    )
    last_at_us: Whole = Field(ge=100000000000000, description="when it was raised last")


class AlertDeliveryRow(Row):
    """One message on one channel: at least once, tried again with growing pauses, given up in the end."""

    TABLE: ClassVar[str] = "alert_deliveries"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    alert_id: Whole = Field(description="alerts.id")
    part: Whole = Field(ge=1, description="1: the alert; above: how often it came again")
    channel: Said = Field(description="alert_channels.name")
    message: Text = Field(description="as it is sent")
    state: Annotated[Text, one_of("WAITING", "SENDING", "SENT", "GIVEN_UP")] = Field(
        default="WAITING", description="WAITING; SENDING: it may have arrived; SENT; GIVEN_UP"
    )
    attempts: Whole = Field(default=0, ge=0, description="how often sending it was begun")
    token: Whole = Field(default=0, ge=0, description="grows with each attempt; a smaller one marks nothing")
    next_at_us: Whole = Field(
        ge=100000000000000, description="not before this is it tried; of a SENDING one: when its sender counts as dead"
    )
    sent_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when the channel took it; null: it has not"
    )
    last_error: Text = Field(default="", description="why the last attempt failed; secrets are redacted")


class AlertChannelRow(Row):
    """
    Where alerts go, besides the log. An apprise URL is a secret: it stands sealed in `config`,
    `alerts.url.<name>`.
    """

    TABLE: ClassVar[str] = "alert_channels"

    name: Said = Field(description="what people call it")
    kind: Annotated[Text, one_of("command", "apprise")] = Field(
        description="command: a program of yours; apprise: a service by URL"
    )
    argv: Text = Field(default="[]", description="JSON list: the program and its words; its URL is sealed in `config`")
    least: Annotated[Text, one_of("info", "warning", "critical")] = Field(
        default="info", description="the least severity it is told"
    )
    timeout_ms: Whole = Field(default=10000, ge=100, description="then what sends is killed")
    created_at_us: Whole = Field(ge=100000000000000, description="when it was added")
