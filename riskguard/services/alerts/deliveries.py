"""
The rows behind sending: handing alerts to channels, claiming one message, marking what became of it.

Written on `Database`, so that they hold on both databases. Each claim grows the row's token: whoever was slower, or
comes back from the dead, marks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from riskguard.services.alerts.channels import Channel
from riskguard.services.alerts.message import Notice, again_text, first_text, notice, payload
from riskguard.services.alerts.outbox import QUIET_US
from riskguard.store.database import Database
from riskguard.store.tables.alerts import alert_deliveries, alerts

SECOND_US: Final = 1_000_000
AT_ONCE_MAX: Final = 200
GRACE_US: Final = SECOND_US
"""A flood's next alert takes the count along; only when none comes is the count a message of its own."""
ATTEMPTS_MAX: Final = 10
BACK_OFF_US: Final = (5 * SECOND_US, 600 * SECOND_US)
AGE_US_MAX: Final = 86_400 * SECOND_US
CLAIM_SLACK_US: Final = 15 * SECOND_US
"""How much longer than its timeout a sender may take before it counts as dead."""
AHEAD_US_MAX: Final = 3_600 * SECOND_US
"""Nothing is put off for longer: what waits beyond it was written before the clock was set back."""

_a, _d = alerts.c, alert_deliveries.c
_OPEN = _d.state.in_((sa.literal_column("'WAITING'"), sa.literal_column("'SENDING'")))
_WEIGHT = sa.case((_a.severity == "critical", 0), (_a.severity == "warning", 1), else_=2)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message this process may send now; *payload* is what the channel is given."""

    id: int
    token: int
    attempts: int
    at_us: int
    payload: dict[str, Any]


def hand_out(database: Database, known: Sequence[Channel], now_us: int) -> list[Notice]:
    """
    Make a delivery of each new alert for each channel that wants it, and of each count that is due.

    Returns the alerts that stand in nobody's log yet. Looks first without a lock: usually there is nothing to do.
    """
    new = sa.select(alerts).where(_a.queued_at_us.is_(None)).order_by(_a.id).limit(AT_ONCE_MAX)
    over = now_us - QUIET_US - GRACE_US
    counted = sa.select(alerts).where(_a.untold > sa.literal_column("0"), _a.said_at_us <= over).limit(AT_ONCE_MAX)
    with database.reading() as connection:
        if connection.execute(new.limit(1)).first() is None and connection.execute(counted.limit(1)).first() is None:
            return []
    unlogged = []
    with database.transaction() as connection:
        for row in connection.execute(new.with_for_update()).all():
            connection.execute(sa.update(alerts).where(_a.id == row.id).values(queued_at_us=now_us))
            _deliver(connection, known, row, 1, first_text(row.message, row.earlier), now_us)
            if not row.is_logged:
                unlogged.append(notice(row.account, row.severity, row.message, row.at_us, code=row.code))
        for row in connection.execute(counted.with_for_update()).all():
            done = {"untold": 0, "parts": row.parts + 1, "said_at_us": now_us}
            connection.execute(sa.update(alerts).where(_a.id == row.id).values(**done))
            text = again_text(row.message, row.untold, row.last_at_us)
            _deliver(connection, known, row, row.parts + 1, text, now_us)
    return unlogged


def _deliver(connection: sa.Connection, known: Sequence[Channel], row: Any, part: int, text: str, now_us: int) -> None:
    stale = now_us - row.at_us > AGE_US_MAX
    for channel in known:
        if not channel.wants(row.severity) or channel.name == row.not_to:
            continue
        connection.execute(
            sa.insert(alert_deliveries).values(
                alert_id=row.id, part=part, channel=channel.name, message=text, next_at_us=now_us,
                state="GIVEN_UP" if stale else "WAITING",
                last_error="a day old when somebody first came to send it" if stale else "",
            )
        )  # fmt: skip


def due(database: Database, now_us: int) -> set[str]:
    """Name the channels for which something is to be sent now."""
    with database.reading() as connection:
        return set(connection.execute(sa.select(_d.channel).where(_OPEN, _is_due(now_us)).distinct()).scalars())


def _is_due(now_us: int) -> sa.ColumnElement[bool]:
    return sa.or_(_d.next_at_us <= now_us, _d.next_at_us > now_us + AHEAD_US_MAX)


def claim(database: Database, channel: Channel, now_us: int) -> Claimed | None:
    """Claim the weightiest message that is due on *channel*; None when there is none."""
    wanted = (
        sa.select(
            _d.id, _d.token, _d.attempts, _d.message, _d.part, _d.alert_id, _a.account, _a.severity, _a.code, _a.at_us
        )
        .join(alerts, _a.id == _d.alert_id)
        .where(_d.channel == channel.name, _OPEN, _is_due(now_us))
        .order_by(_WEIGHT, _d.id)
        .limit(1)
        .with_for_update(of=alert_deliveries, skip_locked=True)
    )
    with database.transaction() as connection:
        row = connection.execute(wanted).first()
        if row is None:
            return None
        until = now_us + channel.timeout_ms * 1000 + CLAIM_SLACK_US
        taken = {"state": "SENDING", "token": row.token + 1, "attempts": row.attempts + 1, "next_at_us": until}
        connection.execute(sa.update(alert_deliveries).where(_d.id == row.id).values(**taken))
    number = f"{row.alert_id}-{row.part}"
    said = payload(number, row.account, row.severity, row.code, row.message, row.at_us)
    return Claimed(row.id, row.token + 1, row.attempts + 1, row.at_us, said)


def _mine(claimed: Claimed) -> sa.ColumnElement[bool]:
    return sa.and_(_d.id == claimed.id, _d.token == claimed.token, _d.state == "SENDING")


def sent(database: Database, channel: Channel, claimed: Claimed, now_us: int, *, was_down: bool) -> None:
    """Mark a message as sent; *was_down*: the channel is back, so what waits for it need not wait any longer."""
    with database.transaction() as connection:
        done = {"state": "SENT", "sent_at_us": now_us, "last_error": ""}
        connection.execute(sa.update(alert_deliveries).where(_mine(claimed)).values(**done))
        if was_down:
            waiting = sa.and_(_d.channel == channel.name, _d.state == "WAITING")
            connection.execute(sa.update(alert_deliveries).where(waiting).values(next_at_us=now_us))


def failed(database: Database, channel: Channel, claimed: Claimed, said: str, now_us: int) -> bool:
    """
    Mark a failed attempt: another one follows, or it is given up, and the other channels are told so.

    Returns True when it was given up.
    """
    over = claimed.attempts >= ATTEMPTS_MAX or now_us - claimed.at_us > AGE_US_MAX
    values = {
        "state": "GIVEN_UP" if over else "WAITING", "last_error": said,
        "next_at_us": now_us + back_off_us(claimed.attempts),
    }  # fmt: skip
    with database.transaction() as connection:
        mine = connection.execute(sa.update(alert_deliveries).where(_mine(claimed)).values(**values)).rowcount
        if not (mine and over):
            return False
        hour = now_us // (3_600 * SECOND_US)
        raise_once(
            connection,
            notice(
                claimed.payload["account"], "warning",
                f"alerts do not arrive on channel `{channel.name}`: given up after {claimed.attempts} attempts ({said}); "
                f"try `riskguard alerts test --channel {channel.name}`",
                now_us, code="ALERT_UNDELIVERED", once=f"undelivered:{channel.name}:{hour}", not_to=channel.name,
            ),
        )  # fmt: skip
    return True


def back_off_us(attempts: int) -> int:
    """Return the pause after the n-th failed attempt: 5 s, 10 s, 20 s … up to ten minutes."""
    least, most = BACK_OFF_US
    return int(min(most, least << min(attempts - 1, 20)))


def raise_once(connection: sa.Connection, given: Notice) -> bool:
    """Write an alert about an event that is told once for ever; False when it was told before."""
    assert given.once is not None
    if connection.execute(sa.select(_a.id).where(_a.once == given.once)).first() is not None:
        return False
    connection.execute(
        sa.insert(alerts).values(
            account=given.account, severity=given.severity, code=given.code, message=given.message, at_us=given.at_us,
            dedupe_key=given.key, once=given.once, not_to=given.not_to, is_logged=int(given.is_logged),
            said_at_us=given.at_us, last_at_us=given.at_us,
        )
    )  # fmt: skip
    return True
