"""
Limits, the kill latch and breaches; to read.

There is nothing here that writes. A limit is tightened by applying a rulebook (`riskguard limits apply`,
`riskguard.admin`), an account is stopped by `riskguard kill`, and both are undone by a person alone. What is in
force for an order is for `RiskGuard` to say: several rows can bind, and the tightest counts.
"""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.repositories.base import Repository
from riskguard.store.rows.control import ControlActionRow, ControlChangeRow, RiskViolationRow, TradersControlRow
from riskguard.store.tables.control import control_actions, control_changes, risk_violations, traders_control

_t, _v = traders_control.c, risk_violations.c
GLOBAL = "GLOBAL"


class ControlRepository(Repository):
    """`traders_control`, `risk_violations` and what was done to them. `GLOBAL` is the account that means all."""

    def get_controls(self, account_type: str | None = None, *, active_only: bool = True) -> list[TradersControlRow]:
        """Return the rows of limits and latch, oldest first; of an account with those of GLOBAL."""
        statement = sa.select(traders_control)
        if account_type is not None:
            statement = statement.where(_t.account_type.in_((account_type, GLOBAL)))
        if active_only:
            statement = statement.where(_t.is_active == 1)
        return self._rows(TradersControlRow, statement.order_by(_t.id))

    def get_limits(self, account_type: str) -> list[TradersControlRow]:
        """Return the limit rows in force for an account, GLOBAL's among them, oldest first."""
        return [row for row in self.get_controls(account_type) if row.control_type != "KILL_SWITCH"]

    def get_kill_switches(self, account_type: str) -> list[TradersControlRow]:
        """
        Return the kill rows in force for an account, GLOBAL's among them, oldest first.

        An empty list does not say that trading is allowed: halt files and unreleased kills are not rows in force.
        Ask `RiskGuard.state`, or `riskguard status`.
        """
        return [row for row in self.get_controls(account_type) if row.control_type == "KILL_SWITCH"]

    def get_violations(
        self, account_type: str | None = None, violation_type: str | None = None, from_ts: int | None = None,
        to_ts: int | None = None, limit: int = 100,
    ) -> list[RiskViolationRow]:  # fmt: skip
        """Return breaches, newest first; the times are epoch seconds, both included."""
        statement = sa.select(risk_violations)
        if account_type is not None:
            statement = statement.where(_v.account_type == account_type)
        if violation_type is not None:
            statement = statement.where(_v.violation_type == violation_type)
        if from_ts is not None:
            statement = statement.where(_v.violated_at >= from_ts)
        if to_ts is not None:
            statement = statement.where(_v.violated_at <= to_ts)
        return self._rows(RiskViolationRow, statement.order_by(_v.violated_at.desc(), _v.id.desc()), limit)

    def get_violations_by_client_order_id(self, account_type: str, client_order_id: str) -> list[RiskViolationRow]:
        """Return why the order of *client_order_id* was refused, in order of precedence."""
        mine = sa.and_(_v.account_type == account_type, _v.client_order_id == client_order_id)
        return self._rows(RiskViolationRow, sa.select(risk_violations).where(mine).order_by(_v.id))

    def get_control_actions(self, account: str | None = None, limit: int = 100) -> list[ControlActionRow]:
        """Return what loosened or released, and who answers for it, newest first."""
        statement = sa.select(control_actions)
        if account is not None:
            statement = statement.where(control_actions.c.account == account)
        return self._rows(ControlActionRow, statement.order_by(control_actions.c.id.desc()), limit)

    def get_control_changes(self, account: str | None = None, limit: int = 100) -> list[ControlChangeRow]:
        """Return what plain SQL did to limits and latch, newest first."""
        statement = sa.select(control_changes)
        if account is not None:
            statement = statement.where(control_changes.c.account == account)
        return self._rows(ControlChangeRow, statement.order_by(control_changes.c.id.desc()), limit)
