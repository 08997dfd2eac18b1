"""Whose orders are copied by whom, and which fills of a leader were recorded."""

from __future__ import annotations

import json

from pydantic import ValidationError

from riskguard.core.copying import CopyRule
from riskguard.core.params import explain
from riskguard.errors import SettingsError, UnknownAccountError
from riskguard.store.queries.settings import SAVE
from riskguard.store.session import ACCOUNTS, Session
from riskguard.store.spelling import fixed, param, prepare, sa, tables

config = tables.authentication.config
trades = tables.statements.trades

PREFIX = "riskguard.copy."
RULES = prepare(sa.select(config.c.key, config.c.value).where(config.c.key.like(fixed(f"{PREFIX}%"))))
RECORDED_FILL = prepare(
    sa.select(sa.func.count())
    .select_from(trades)
    .where(
        trades.c.account_type == param("account"), trades.c.order_id == param("order_id"),
        trades.c.security_id == param("security_id"), trades.c.exchange_segment == param("exchange_segment"),
        trades.c.side == param("side"),
    )
)  # fmt: skip


def read_rules(session: Session, leader: str | None = None) -> list[CopyRule]:
    """Read who copies whom, by name of the follower; raises SettingsError for a row that is no rule."""
    found = []
    for key, value in session.rows(RULES):
        try:
            rule = CopyRule.model_validate(json.loads(value))
        except (ValidationError, ValueError) as e:
            said = explain(e, tuple(CopyRule.model_fields)) if isinstance(e, ValidationError) else str(e)
            raise SettingsError(f"config row `{key}`: {said}; set it anew with `riskguard copies set`") from None
        if leader is None or rule.leader == leader:
            found.append(rule)
    return sorted(found, key=lambda rule: (rule.leader, rule.follower))


def save_rule(session: Session, rule: CopyRule, now_us: int) -> None:
    """Keep how one follower copies; one rule per follower. Raises UnknownAccountError."""
    known = tuple(row[0] for row in session.rows(ACCOUNTS))
    for name in (rule.leader, rule.follower):
        if name not in known:
            raise UnknownAccountError(name, known)
    session.run(
        SAVE, key=f"{PREFIX}{rule.follower}", value=rule.model_dump_json(), data_type="json", category="copy_trading",
        description="riskguard: how this follower copies its leader", updated_at=now_us // 1_000_000,
    )  # fmt: skip
