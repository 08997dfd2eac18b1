"""
The webhook: keeps what was posted, and answers. What may be made of it is for the intake, and it is little.

An unsigned body proves only that its sender knows the path. See docs/decisions/0006-what-a-webhook-may-do.md.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

from riskguard.errors import StoreError
from riskguard.feeds import signatures
from riskguard.feeds.dhan_events import read_postback
from riskguard.feeds.postback_server import Reply
from riskguard.feeds.signatures import Signed
from riskguard.redaction import redacted
from riskguard.services.feeds.doors import Door, Doors
from riskguard.services.feeds.intake import Intake
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import inbox

log = logging.getLogger("riskguard")

WAIT_S: Final = 2.0
POSTS_PER_S: Final = 50
POSTS_AT_ONCE: Final = 500
"""Per account: five times what the broker lets anybody order. What is beyond is told to come again."""
BYTES_PER_S: Final = 1_024
BYTES_AT_ONCE: Final = 16_777_216
"""Unsigned, per account: twice what a day of the most orders brings. A path that leaked must not fill the disk."""
KEEP_IDS_US: Final = 2 * signatures.WINDOW_S * 1_000_000


class Webhook:
    """What a `PostbackServer` asks; threads share it."""

    def __init__(self, guard: RiskGuard, doors: Doors, intake: Intake, *, signed_only: bool = False) -> None:
        self.guard, self.doors, self.intake = guard, doors, intake
        self.signed_only = signed_only
        self.answered: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._room: dict[tuple[str, str], tuple[float, int]] = {}

    def door(self, path: str) -> Door | None:
        found = self.doors.find(path)
        if found is None:
            self._count(404)
        return found

    def take(self, door: Door, headers: Mapping[str, str], body: bytes, peer: str) -> Reply:
        """Keep *body* durably, then say so: 200 means that it is on the disk."""
        try:
            reply = self._take(door, headers, body, peer)
        except StoreError as e:
            log.warning("%s: a posted message was not kept: %s", door.account, e)
            reply = Reply(503, "not kept: send it again", 1)
        except Exception as e:
            log.error("%s: a posted message broke: %s", door.account, type(e).__name__)
            reply = Reply(500, "not kept")
        self._count(reply.status)
        return reply

    def _take(self, door: Door, headers: Mapping[str, str], body: bytes, peer: str) -> Reply:
        now_us = self.guard.clock.now_us()
        signed = signatures.verify(self.doors.keys(door.account), headers, body, now_us // 1_000_000)
        if signed is Signed.MALFORMED:
            return Reply(400, signed.value)
        if signed in (Signed.WRONG, Signed.OLD) or (signed is Signed.NOT and self.signed_only):
            log.warning("%s: a posted message from %s was refused: %s", door.account, peer, signed.value)
            return Reply(401, signed.value)
        if not body:
            return Reply(400, "no body")
        if not self._has_room(door.account, "messages", 1, POSTS_AT_ONCE, POSTS_PER_S):
            return Reply(429, "too many at once", 1)
        if signed is Signed.NOT and not self._has_room(
            door.account, "bytes", len(body), BYTES_AT_ONCE, BYTES_PER_S
        ):  # fmt: skip
            return Reply(429, "too much at once", 60)
        text = body.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
        told = read_postback(text)
        is_right = signed is Signed.RIGHT
        with self.guard.store.session(durable=True, wait_s=WAIT_S) as session:
            if is_right and not inbox.is_new_id(
                session, door.account, headers[signatures.ID], now_us, KEEP_IDS_US
            ):  # fmt: skip
                return Reply(200, "known")
            _number, news = inbox.keep_postback(
                session, door.account, redacted(text), now_us, event_type=told.kind if told.problem else _word(told.news),
                order_id=told.order_id, verified=is_right, signature=headers.get(signatures.SIGNATURE),
            )  # fmt: skip
            inbox.triggered(session, door.config_id, now_us)
        if news:
            self.intake.wake()
        return Reply(200, "kept" if news else "known")

    def _has_room(self, account: str, what: str, wants: int, most: float, per_s: float) -> bool:
        """Take *wants* of the account's room for *what*, which fills again with time; False: there is not so much left."""
        now_us = self.guard.clock.elapsed_us()
        with self._lock:
            room, at_us = self._room.get((account, what), (float(most), now_us))
            room = min(float(most), room + max(0, now_us - at_us) * per_s / 1_000_000)
            enough = room >= wants
            self._room[account, what] = (room - wants if enough else room, now_us)
        return enough

    def _count(self, status: int) -> None:
        with self._lock:
            self.answered[status] += 1


def _word(news: object) -> str:
    """Return the message's own word for what it is about: the order's status."""
    return str(getattr(news, "status", "")) or "postback"
