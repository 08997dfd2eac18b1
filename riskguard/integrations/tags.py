"""
A program's own tags, kept although the broker is sent ours.

riskguard sends a correlation id of its own: it is what finds an order again whose answer was lost, so it must be
unique, and tags are not. The tag lies in the client order id (`tag~random`), hence in the database: it is still known
after a restart. What is shown to the program carries its tag again.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from riskguard.core.order import NAME_CHARACTERS_MAX
from riskguard.errors import OrderInvalidError
from riskguard.store.queries.tags import NEWEST_OF_TAG, OF_CORRELATION

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

RANDOM_CHARACTERS = 16
TAG_CHARACTERS_MAX = NAME_CHARACTERS_MAX - RANDOM_CHARACTERS - 1
KNOWN_MAX = 10_000
WAIT_S = 2.0


class Tags:
    """The tags of one account's orders. Safe in threads: a lost entry of the memory is looked up again."""

    def __init__(self, guard: RiskGuard, account: str) -> None:
        self._guard = guard
        self._account = account
        self._tag_of: dict[str, str] = {}

    def name(self, tag: object) -> str | None:
        """
        Return a client order id that carries *tag*, a new one at each call; None where there is no tag.

        Raises OrderInvalidError for a tag the broker would not take either: no text, or too long.
        """
        if tag is None or tag == "":
            return None
        if not isinstance(tag, str):
            raise OrderInvalidError("tag", tag, "wants text")
        written = quote(tag, safe="")
        if len(written) > TAG_CHARACTERS_MAX:
            raise OrderInvalidError(
                "tag", tag, f"is longer than {TAG_CHARACTERS_MAX} characters once written as plain text"
            )
        return f"{written}~{secrets.token_hex(RANDOM_CHARACTERS // 2)}"

    def correlation_id(self, tag: str) -> str | None:
        """Return our correlation id of the newest order sent under *tag*; None: not one of ours."""
        low = f"{quote(tag, safe='')}~"
        with self._guard.store.session(durable=False, wait_s=WAIT_S) as session:
            row = session.row(NEWEST_OF_TAG, account=self._account, low=low, high=low[:-1] + chr(ord("~") + 1))
            self._guard.store.roll_back(session)
        return None if row is None else str(row[0])

    def shown(self, response: Any) -> Any:
        """Return an answer of the broker with the program's tags where ours stand; the answer itself is not changed."""
        if isinstance(response, dict):
            made = {name: self.shown(value) for name, value in response.items()}
            ours = made.get("correlationId")
            if isinstance(ours, str) and ours.startswith("rg"):
                made["correlationId"] = self._tag(ours)
            return made
        return [self.shown(each) for each in response] if isinstance(response, list) else response

    def _tag(self, correlation_id: str) -> str:
        found = self._tag_of.get(correlation_id)
        if found is None:
            with self._guard.store.session(durable=False, wait_s=WAIT_S) as session:
                row = session.row(OF_CORRELATION, account=self._account, correlation_id=correlation_id)
                self._guard.store.roll_back(session)
            if row is None:
                return correlation_id
            written, tilde, _random = str(row[0]).rpartition("~")
            found = unquote(written) if tilde else ""
            if len(self._tag_of) >= KNOWN_MAX:
                self._tag_of.clear()
            self._tag_of[correlation_id] = found
        return found or correlation_id
