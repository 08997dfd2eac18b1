"""The order update stream: its connections and its messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from riskguard.store.repositories.base import Repository, digest_of
from riskguard.store.rows.live_updates import WebsocketConnectionRow, WebsocketMessageRow
from riskguard.store.tables.live_updates import websocket_connections, websocket_messages

_w, _m = websocket_connections.c, websocket_messages.c


class LiveUpdateRepository(Repository):
    """Messages are kept as they came, before anything is made of them; a message sent again is one row."""

    def save_websocket_connection(self, connection: WebsocketConnectionRow) -> None:
        """Write the state of a connection, or bring the row of its connection id up to date."""
        self._upsert(connection, key=("connection_id",), keep=("created_at",), owner="account_type", among="superseded")

    def update_websocket_status(self, connection_id: str, status: str) -> bool:
        """
        Set CONNECTING, CONNECTED, DISCONNECTED or ERROR, with the time it happened. False: no such connection.

        CONNECTING counts as an attempt.
        """
        now_s = self._now_s()
        changes: dict[str, Any] = {"status": status, "updated_at": now_s}
        if status == "CONNECTED":
            changes["connected_at"] = now_s
        elif status in ("DISCONNECTED", "ERROR"):
            changes["disconnected_at"] = now_s
        counted = sa.and_(_w.connection_id == connection_id, _w.superseded == 0)
        with self._writing() as connection:
            if status == "CONNECTING":
                more = {"connect_attempts": sa.func.coalesce(_w.connect_attempts, 0) + 1}
                connection.execute(sa.update(websocket_connections).where(counted).values(more))
            return self._update(WebsocketConnectionRow, counted, **changes) > 0

    def heartbeat(self, connection_id: str) -> bool:
        """Write that the connection was heard just now. False when there is no such connection."""
        counted = sa.and_(_w.connection_id == connection_id, _w.superseded == 0)
        now_s = self._now_s()
        return self._update(WebsocketConnectionRow, counted, last_heartbeat_at=now_s, updated_at=now_s) > 0

    def get_websocket_connection(self, connection_id: str) -> WebsocketConnectionRow | None:
        """Return the state of a connection, or None."""
        counted = sa.and_(_w.connection_id == connection_id, _w.superseded == 0)
        return self._row(WebsocketConnectionRow, sa.select(websocket_connections).where(counted))

    def get_active_websocket_connections(self, account_type: str | None = None) -> list[WebsocketConnectionRow]:
        """Return the connections that say CONNECTED, newest first; how long ago each was heard is in its row."""
        statement = sa.select(websocket_connections).where(_w.status == "CONNECTED", _w.superseded == 0)
        if account_type is not None:
            statement = statement.where(_w.account_type == account_type)
        return self._rows(WebsocketConnectionRow, statement.order_by(_w.connected_at.desc(), _w.id.desc()))

    def save_websocket_message(
        self, account_type: str, connection_id: str, message_type: str, payload: str | Mapping[str, Any],
        order_id: str | None = None, sequence_number: int | None = None,
    ) -> bool:  # fmt: skip
        """
        Write a message as it came; False when the account was sent the same payload before.

        The order needs no row. *payload* is text, kept letter for letter, or a mapping, kept as JSON.
        """
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, default=str)
        row = WebsocketMessageRow(
            account_type=account_type, connection_id=connection_id, message_type=message_type, payload=text,
            order_id=order_id, sequence_number=sequence_number, received_at=self._now_s(),
            digest=digest_of(account_type, text),
        )  # fmt: skip
        return self._insert(row, once="digest")[1]

    def get_unprocessed_messages(self, account_type: str | None = None, limit: int = 100) -> list[WebsocketMessageRow]:
        """Return messages nobody has dealt with, in the order they came."""
        statement = sa.select(websocket_messages).where(sa.func.coalesce(_m.is_processed, 0) == 0)
        if account_type is not None:
            statement = statement.where(_m.account_type == account_type)
        return self._rows(WebsocketMessageRow, statement.order_by(_m.received_at, _m.id), limit)

    def get_messages_by_order_id(self, order_id: str) -> list[WebsocketMessageRow]:
        """Return the messages about an order, in the order they came."""
        statement = sa.select(websocket_messages).where(_m.order_id == order_id)
        return self._rows(WebsocketMessageRow, statement.order_by(_m.received_at, _m.id))

    def mark_message_processed(self, message_id: int) -> bool:
        """Write that a message was dealt with; False when it was already, or is not there."""
        open_one = sa.and_(_m.id == message_id, sa.func.coalesce(_m.is_processed, 0) == 0)
        return self._update(WebsocketMessageRow, open_one, is_processed=True, processed_at=self._now_s()) > 0
