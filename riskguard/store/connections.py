"""The order-update stream's connections: one row for each client, and how the account's feed stands."""

from __future__ import annotations

from riskguard.core.news import FeedHealth
from riskguard.store.session import Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

websocket_connections = tables.live_updates.websocket_connections
websocket_messages = tables.live_updates.websocket_messages

_w, _m = websocket_connections.c, websocket_messages.c
OPEN = insert_into(
    websocket_connections, "account_type", "connection_id", "ws_url", "status", "subscribed_events", "connect_attempts",
    "created_at", "updated_at", "superseded", ignore=True,
)  # fmt: skip
_MINE = (_w.connection_id == param("of_connection"), _w.superseded == fixed(0))
CONNECTING = prepare(
    sa.update(websocket_connections)
    .where(*_MINE)
    .values(
        status=fixed("CONNECTING"), connect_attempts=sa.func.coalesce(_w.connect_attempts, fixed(0)) + fixed(1),
        updated_at=param("now_s"),
    )
)  # fmt: skip
CONNECTED = prepare(
    sa.update(websocket_connections)
    .where(*_MINE)
    .values(
        status=fixed("CONNECTED"),
        connected_at=param("now_s"),
        last_heartbeat_at=param("now_s"),
        updated_at=param("now_s"),
    )
)
ENDED = prepare(
    sa.update(websocket_connections)
    .where(*_MINE)
    .values(status=param("to_status"), disconnected_at=param("now_s"), updated_at=param("now_s"))
)
HEARD = prepare(
    sa.update(websocket_connections).where(*_MINE).values(last_heartbeat_at=param("now_s"), updated_at=param("now_s"))
)
LEFT_BEHIND = prepare(
    sa.update(websocket_connections)
    .where(
        _w.account_type == param("of_account"), _w.connection_id != param("not_connection"), _w.superseded == fixed(0),
        _w.status.in_([fixed("CONNECTED"), fixed("CONNECTING")]), _w.updated_at < param("before_s"),
    )
    .values(status=fixed("DISCONNECTED"), disconnected_at=param("now_s"), updated_at=param("now_s"))
)  # fmt: skip
NEWEST = prepare(
    sa.select(_w.status, _w.connect_attempts, _w.last_heartbeat_at, _w.connected_at, _w.disconnected_at)
    .where(_w.account_type == param("account"), _w.superseded == fixed(0))
    .order_by(_w.updated_at.desc(), _w.id.desc())
    .limit(fixed(1))
)
LAST_MESSAGE = prepare(sa.select(sa.func.max(_m.received_at)).where(_m.account_type == param("account")))
LEFT_BEHIND_S = 120
"""A connection's row is written every few seconds: one this old belongs to a process that is gone."""


def opened(session: Session, account: str, connection_id: str, url: str, now_us: int) -> None:
    """Make the row of a client, and end those that dead processes left behind."""
    now_s = now_us // 1_000_000
    session.run(
        OPEN, account_type=account, connection_id=connection_id, ws_url=url, status="CONNECTING",
        subscribed_events='["order_alert"]', connect_attempts=0, created_at=now_s, updated_at=now_s, superseded=0,
    )  # fmt: skip
    session.run(
        LEFT_BEHIND, of_account=account, not_connection=connection_id, before_s=now_s - LEFT_BEHIND_S, now_s=now_s
    )


def note(session: Session, connection_id: str, status: str, now_us: int) -> None:
    """Write CONNECTING (counts as an attempt), CONNECTED, HEARD, DISCONNECTED or ERROR."""
    values = {"of_connection": connection_id, "now_s": now_us // 1_000_000}
    if status == "CONNECTING":
        session.run(CONNECTING, **values)
    elif status == "CONNECTED":
        session.run(CONNECTED, **values)
    elif status == "HEARD":
        session.run(HEARD, **values)
    else:
        session.run(ENDED, to_status=status, **values)


def feed_health(session: Session, account: str) -> FeedHealth | None:
    """Return how the account's order-update stream stands, whichever process holds it; None: it never had one."""
    row = session.row(NEWEST, account=account)
    if row is None:
        return None
    status, attempts, heard_s, connected_s, ended_s = row
    last = session.row(LAST_MESSAGE, account=account)
    return FeedHealth(
        account=account, is_connected=status == "CONNECTED", status=status, reconnects=max(0, (attempts or 0) - 1),
        heard_us=_us(heard_s), connected_us=_us(connected_s), ended_us=_us(ended_s),
        message_us=_us(last[0] if last is not None else None),
    )  # fmt: skip


def _us(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1_000_000
