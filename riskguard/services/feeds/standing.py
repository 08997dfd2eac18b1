"""How the feeds of an account stand: the webhook's secrets, what came today, and the stream. Shows no secret."""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.core.news import FeedHealth
from riskguard.errors import SecretError
from riskguard.store import connections, inbox, loader
from riskguard.store.database import Database
from riskguard.store.session import Store

WAIT_S = 2.0


@dataclass(frozen=True, slots=True)
class SecretStanding:
    """One registration. `kept`: `sealed`, `plain`, `none`, or `unreadable` with its `problem`. Times in epoch seconds."""

    id: int
    url: str
    kept: str
    problem: str
    created_at: int
    last_triggered_at: int | None


@dataclass(frozen=True, slots=True)
class FeedStanding:
    """One account; messages are those of today."""

    account: str
    secrets: tuple[SecretStanding, ...]
    postbacks: inbox.Counts
    stream_messages: inbox.Counts
    stream: FeedHealth | None


def standing(store: Store, database: Database, account: str, now_us: int) -> FeedStanding:
    """Return how the feeds of *account* stand. Raises StoreError."""
    since_us = loader.midnight_us(now_us)
    with store.session(durable=False, wait_s=WAIT_S) as session:
        posted = inbox.counts(session, inbox.POSTBACK, account, since_us)
        streamed = inbox.counts(session, inbox.STREAM, account, since_us)
        health = connections.feed_health(session, account)
        store.roll_back(session)
    return FeedStanding(account, tuple(_secrets(database, account)), posted, streamed, health)


def _secrets(database: Database, account: str) -> list[SecretStanding]:
    found = []
    for row in database.postback.get_configs(account):
        kept, problem = "none", ""
        try:
            opened = database.postback.secret(row.id or 0)
            kept = "none" if opened is None else opened.kept
        except SecretError as e:
            kept, problem = "unreadable", str(e)
        found.append(SecretStanding(row.id or 0, row.webhook_url, kept, problem, row.created_at, row.last_triggered_at))
    return found
