"""Who may finish a sweep, what sweeps found, and when each kind was last done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from riskguard.store.session import Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

book_differences = tables.reconciliation.book_differences
unsolicited_orders = tables.reconciliation.unsolicited_orders
leases, sweeps = tables.runs.leases, tables.runs.sweeps
snapshots = tables.snapshots.snapshots

FINDINGS_CHARS_MAX = 8_000

_s, _l = sweeps.c, leases.c
HOLDER = prepare(
    sa.select(_s.holder).where(
        _s.account == param("account"), _s.kind == param("kind"), _s.slot == param("slot"), _s.finished_at_us.is_(None)
    )
)
DONE = prepare(
    sa.select(_s.finished_at_us).where(
        _s.account == param("account"), _s.kind == param("kind"), _s.slot == param("slot")
    )
)
ADD_DONE = insert_into(
    sweeps, "account", "kind", "slot", "interval_us", "started_at_us", "finished_at_us", "holder", "findings",
    ignore=True,
)  # fmt: skip
LAST_DONE = prepare(
    sa.select(_s.finished_at_us, _s.interval_us)
    .where(
        _s.account == param("account"), _s.kind == param("kind"), _s.finished_at_us.is_not(None),
        _s.finished_at_us <= param("now_us"),
    )
    .order_by(_s.finished_at_us.desc())
    .limit(fixed(1))
)  # fmt: skip
LEASE = prepare(sa.select(_l.holder, _l.token, _l.until_us).where(_l.name == param("name")))
GIVE_BACK = prepare(
    sa.update(leases)
    .where(_l.name == param("of_name"), _l.holder == param("mine"), _l.token == param("my_token"))
    .values(until_us=param("now_us"))
)
_sn = snapshots.c
NEWEST_LIST = prepare(
    sa.select(_sn.fetched_at_us)
    .where(
        _sn.account == param("account"), _sn.kind == param("kind"), _sn.complete == fixed(1),
        # Ahead of now: the clock stepped back since, and proves nothing about which look came later.
        _sn.fetched_at_us <= param("now_us"),
    )
    .order_by(_sn.fetched_at_us.desc(), _sn.id.desc())
    .limit(fixed(1))
)  # fmt: skip
ADD_UNSOLICITED = insert_into(
    unsolicited_orders, "account", "order_id", "session_date", "origin", "correlation_id", "parent", "detail",
    "found_at_us", ignore=True,
)  # fmt: skip
_u = unsolicited_orders.c
UNSOLICITED = prepare(
    sa.select(_u.order_id, _u.origin, _u.detail, _u.found_at_us)
    .where(_u.account == param("account"), _u.session_date == param("session_date"))
    .order_by(_u.found_at_us, _u.order_id)
)
_d = book_differences.c
_THE_LINE = (
    _d.account == param("of_account"), _d.exchange_segment == param("of_segment"),
    _d.security_id == param("of_security"), _d.product == param("of_product"),
)  # fmt: skip
DIFFERENCES = prepare(
    sa.select(
        _d.exchange_segment, _d.security_id, _d.product, _d.ours, _d.theirs, _d.reads, _d.first_at_us, _d.last_at_us,
        _d.session_date,
    ).where(_d.account == param("account"))
)  # fmt: skip
SAVE_DIFFERENCE = insert_into(
    book_differences, "account", "exchange_segment", "security_id", "product", "session_date", "ours", "theirs", "reads",
    "first_at_us", "last_at_us", replace=True,
)  # fmt: skip
EXPLAINED = prepare(sa.delete(book_differences).where(*_THE_LINE))


class Difference(NamedTuple):
    """A line the broker's list contradicts; quantities signed."""

    exchange_segment: str
    security_id: str
    product: str
    ours: int
    theirs: int
    reads: int
    first_at_us: int
    last_at_us: int
    session_date: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.exchange_segment, self.security_id, self.product


class Unsolicited(NamedTuple):
    """An order nobody asked about, as it was found."""

    order_id: str
    origin: str
    detail: str
    found_at_us: int


def still_mine(session: Session, account: str, kind: str, slot: int, holder: str) -> bool:
    """Say whether *holder* may finish the slot: nobody took it over, and nobody finished it."""
    row = session.row(HOLDER, account=account, kind=kind, slot=slot)
    return row is not None and row[0] == holder


def add_done(
    session: Session, account: str, kind: str, slot: int, interval_us: int, now_us: int, holder: str,
    findings: Sequence[Any] = (),
) -> bool:  # fmt: skip
    """Write a slot that was done in this very transaction; False when it was done before."""
    said = json.dumps(list(findings), default=str)[:FINDINGS_CHARS_MAX]
    return session.run(
        ADD_DONE, account=account, kind=kind, slot=slot, interval_us=interval_us, started_at_us=now_us,
        finished_at_us=now_us, holder=holder, findings=said,
    ).rowcount == 1  # fmt: skip


def is_done(session: Session, account: str, kind: str, slot: int) -> bool:
    """Say whether the slot was finished."""
    row = session.row(DONE, account=account, kind=kind, slot=slot)
    return row is not None and row[0] is not None


def last_done_us(session: Session, account: str, kind: str, now_us: int) -> int | None:
    """Return when this kind of sweep was last finished; None: never."""
    row = session.row(LAST_DONE, account=account, kind=kind, now_us=now_us)
    return None if row is None else int(row[0])


def is_leased(session: Session, name: str, holder: str, token: int) -> bool:
    """Say whether *holder* holds the lease under *token*: nobody else has taken it since."""
    row = session.row(LEASE, name=name)
    return row is not None and (row[0], row[1]) == (holder, token)


def lease_of_another(session: Session, name: str, holder: str, now_us: int) -> bool:
    """Say whether somebody else holds the lease now."""
    row = session.row(LEASE, name=name)
    return row is not None and row[0] != holder and row[2] > now_us


def give_back(session: Session, name: str, holder: str, token: int, now_us: int) -> None:
    """End a lease early, so that who waits need not wait for its end."""
    session.run(GIVE_BACK, of_name=name, mine=holder, my_token=token, now_us=now_us)


def newest_list_us(session: Session, account: str, kind: str, now_us: int) -> int | None:
    """Return when the newest complete list of *kind* was fetched; None: never."""
    row = session.row(NEWEST_LIST, account=account, kind=kind, now_us=now_us)
    return None if row is None else int(row[0])


def add_unsolicited(session: Session, account: str, date: str, now_us: int, **said: str) -> bool:
    """Record an order nobody asked about; False when it was recorded before."""
    return session.run(
        ADD_UNSOLICITED, account=account, session_date=date, found_at_us=now_us, **said
    ).rowcount == 1  # fmt: skip


def unsolicited(session: Session, account: str, date: str) -> list[Unsolicited]:
    """Return the day's orders nobody asked about, oldest first."""
    return [Unsolicited(*row) for row in session.rows(UNSOLICITED, account=account, session_date=date)]


def differences(session: Session, account: str) -> list[Difference]:
    """Return what stands unexplained."""
    return [Difference(*row) for row in session.rows(DIFFERENCES, account=account)]


def save_difference(session: Session, account: str, found: Difference) -> None:
    session.run(SAVE_DIFFERENCE, account=account, **found._asdict())


def explained(session: Session, account: str, key: tuple[str, str, str]) -> None:
    """Both books agree again."""
    segment, security, product = key
    session.run(EXPLAINED, of_account=account, of_segment=segment, of_security=security, of_product=product)
