"""
Which columns of which tables the journal answers for: a change of one of them is found, and one of any other is not.

docs/how-to/audit.md shows this list; a test changes each of them.
"""

from __future__ import annotations

from typing import Final

from riskguard.store.journal import ACT_COLUMNS
from riskguard.store.queries.audit import CHANGE_COLUMNS, PERMIT_COLUMNS, RUN_COLUMNS
from riskguard.store.tables.journal import decisions
from riskguard.store.violations import CLAIMED

COVERED: Final[dict[str, tuple[str, ...]]] = {
    "decisions": tuple(column.name for column in decisions.columns),
    "account_heads": ("account", "sequence", "last_hash"),
    "limit_sets": ("digest", "body"),
    "permits": ("account", *PERMIT_COLUMNS),
    "risk_violations": ("sequence", *CLAIMED),
    "control_actions": ("account", "sequence", *ACT_COLUMNS),
    "control_changes": (*CHANGE_COLUMNS.values(), "is_adopted"),
    "kill_runs": ("kill_id", "account", *RUN_COLUMNS.values(), "halts"),
}
"""
Value for value, in rows an entry claims. A mac is judged only with the key; a run that follows a kill written by SQL is
claimed by no entry, nor is a violation that version 3 or SQL wrote.
"""
IN_FORCE: Final = (
    "account_type", "control_type", "limit_id", "check_name", "parameters", "daily_loss_limit", "position_size_limit",
    "order_value_limit", "scope", "on_breach", "mode", "kill_plan", "is_active",
)  # fmt: skip
"""Columns of `traders_control` whose meaning is covered, in rows in force: which limits they make."""
LATCH: Final = ("kill_switch_status", "activated_by", "reason", "is_active")
"""Columns of the row in force of a kill switch: does it halt, by whom, why."""
