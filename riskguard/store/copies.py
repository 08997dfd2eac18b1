"""Copy mappings: which follower order copies which leader order, from the question to the broker's answer."""

from __future__ import annotations

from riskguard.core.order import Order
from riskguard.store import loader
from riskguard.store.permits import correlation_id
from riskguard.store.session import Session
from riskguard.store.spelling import fixed, param, prepare, sa, tables

copy_mappings = tables.copy_trading.copy_mappings
funds = tables.funds.funds

_c = copy_mappings.c
_f = funds.c
NOTED = prepare(
    sa.select(_c.id).where(
        _c.leader_order_id == param("leader_order_id"), _c.follower_account == param("follower_account")
    )
)
ADD = prepare(
    sa.insert(copy_mappings).values(
        leader_order_id=param("leader_order_id"), follower_order_id=param("follower_order_id"),
        leader_quantity=param("leader_quantity"), follower_quantity=param("follower_quantity"),
        sizing_strategy=param("sizing_strategy"), capital_ratio=param("capital_ratio"), status=param("status"),
        error_message=param("error_message"), created_at=param("created_at"), updated_at=param("updated_at"),
        follower_account=param("follower_account"),
    )
)  # fmt: skip
LEADER_KNOWN = prepare(
    sa.update(copy_mappings)
    .where(_c.leader_order_id == param("correlation"))
    .values(leader_order_id=param("order_id"), updated_at=param("now_s"))
)
FOLLOWER_KNOWN = prepare(
    sa.update(copy_mappings)
    .where(_c.follower_order_id == param("correlation"))
    .values(follower_order_id=param("order_id"), status=param("to_status"), updated_at=param("now_s"))
)
CAPITAL = prepare(
    sa.select(_f.sodLimit, _f.available_balance)
    .where(_f.account_type == param("account"))
    .order_by(_f.snapshot_ts.desc(), _f.snapshot_id.desc())
    .limit(fixed(1))
)


def leader_name(order: Order, order_id: str | None) -> str:
    """Return what a mapping calls the leader's order: the broker's id, until that is known what we tell the broker."""
    return order_id or correlation_id(order.account, str(order.client_order_id))


def note(
    session: Session, *, leader: str, follower: str, leader_quantity: int, follower_quantity: int, sizing: str, ratio: float,
    status: str, why: str, follower_order: str | None, now_us: int,
) -> None:  # fmt: skip
    """Write the mapping of one follower; one that stands is left as it is (the question was asked again)."""
    if session.row(NOTED, leader_order_id=leader, follower_account=follower) is not None:
        return
    now_s = now_us // 1_000_000
    session.run(
        ADD, leader_order_id=leader, follower_account=follower, leader_quantity=leader_quantity,
        follower_quantity=follower_quantity, sizing_strategy=sizing, capital_ratio=ratio, status=status,
        error_message=why[:500] or None, follower_order_id=follower_order, created_at=now_s, updated_at=now_s,
    )  # fmt: skip


def know_order(session: Session, correlation: str, order_id: str, *, is_refused: bool, now_us: int) -> None:
    """The broker listed an order: mappings that knew it by our own name know it by the broker's now."""
    if not correlation:
        return
    now_s = now_us // 1_000_000
    session.run(LEADER_KNOWN, correlation=correlation, order_id=order_id, now_s=now_s)
    session.run(
        FOLLOWER_KNOWN, correlation=correlation, order_id=order_id, to_status="failed" if is_refused else "placed",
        now_s=now_s,
    )  # fmt: skip


def capital_e4(session: Session, account: str) -> int | None:
    """Return the account's money as last reported, at the day's start where the broker says so; None unknown."""
    row = session.row(CAPITAL, account=account)
    if row is None:
        return None
    opening_e4 = loader.money_e4(row[0])
    return opening_e4 if opening_e4 else loader.money_e4(row[1])
