"""The database side of an order-update stream: its connection's row, and its messages, kept before anything else."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from riskguard.errors import StoreError
from riskguard.feeds.dhan_events import ORDER_ALERT, read_stream
from riskguard.redaction import redacted
from riskguard.services.feeds.intake import Intake
from riskguard.services.feeds.rereads import Rereads
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import connections, inbox
from riskguard.store.session import Session

log = logging.getLogger("riskguard")

KEEP_WAIT_S: Final = 2.0
BACKLOG_MAX: Final = 1_000
"""Messages held in memory while the database cannot be written; more are dropped, and the lists read instead."""


class StreamInbox:
    """What an `OrderUpdates` client tells; see `feeds.order_updates.Listener`. Used by that client's thread alone."""

    def __init__(
        self, guard: RiskGuard, account: str, connection_id: str, url: str, intake: Intake, rereads: Rereads
    ) -> None:
        self.guard, self.account, self.connection_id, self.url = guard, account, connection_id, url
        self.intake, self.rereads = intake, rereads
        self.dropped = 0
        self._backlog: deque[tuple[str, int]] = deque()
        self._has_row = False
        self._sequence: int | None = None

    def state(self, status: str) -> None:
        """Write CONNECTING, CONNECTED, HEARD, DISCONNECTED or ERROR; a database that is busy is no reason to hang up."""
        try:
            with self.guard.store.session(durable=False, wait_s=KEEP_WAIT_S) as session:
                now_us = self.guard.clock.now_us()
                if not self._has_row:
                    connections.opened(session, self.account, self.connection_id, self.url, now_us)
                connections.note(session, self.connection_id, status, now_us)
            self._has_row = True
        except StoreError as e:
            log.warning("%s: that its order updates are %s was not written: %s", self.account, status, e)
        if status == "CONNECTED":
            self._sequence = None
        if self._backlog:
            self._flush()

    def gap(self, reason: str) -> None:
        """Something may have been missed: the broker's lists are to be read."""
        self.rereads.request(self.account, reason)

    def message(self, body: str, client_id: str) -> bool:
        """Keep one message; False when it is none of this account's, or was told before."""
        told = read_stream(body)
        if told.sequence is not None:
            if self._sequence is not None and told.sequence > self._sequence + 1:
                self.gap(f"messages {self._sequence + 1} to {told.sequence - 1} of the stream are missing")
            self._sequence = max(told.sequence, self._sequence or 0)
        if told.news is not None and told.news.client_id and client_id and told.news.client_id != client_id:
            log.warning("%s: the stream told of an order of another client; it was not taken over", self.account)
            return False
        if len(self._backlog) >= BACKLOG_MAX:
            self._backlog.popleft()
            self.dropped += 1
        self._backlog.append((body, self.guard.clock.now_us()))
        return self._flush()

    def _flush(self) -> bool:
        """Write what is held, oldest first; True when something of it was new."""
        news = False
        try:
            with self.guard.store.session(durable=False, wait_s=KEEP_WAIT_S) as session:
                for body, at_us in self._backlog:
                    news |= self._keep(session, body, at_us)
        except StoreError as e:
            log.warning("%s: %d order updates wait for the database: %s", self.account, len(self._backlog), e)
            return False
        self._backlog.clear()
        if self.dropped:
            self.gap(f"{self.dropped} messages were dropped while the database could not be written")
            self.dropped = 0
        self.intake.wake()
        return news

    def _keep(self, session: Session, body: str, at_us: int) -> bool:
        told = read_stream(body)
        payload = redacted(body.replace("\x00", "\N{REPLACEMENT CHARACTER}"))[: inbox.PAYLOAD_CHARS_MAX]
        return inbox.keep_message(
            session, self.account, self.connection_id, payload, at_us, message_type=told.kind, order_id=told.order_id,
            sequence=told.sequence, is_news=told.kind in (ORDER_ALERT, "malformed"),
        )[1]  # fmt: skip
