"""
Triggers: what the database itself holds, whoever writes.

1. Every table an account reads bumps that account's head, so any writer is honoured by the very next check.
2. Plain SQL may tighten, never loosen: a looser limit or a lowered latch is refused, or merged to the tighter,
   unless a `control_actions` row is open in the same transaction (which no other connection can see).
3. What plain SQL did change is kept in `control_changes`.
4. The journal is append-only.

What both databases hold is said once in `shared`; `sqlite` and `postgresql` say how.
"""

from __future__ import annotations

from riskguard.store.triggers.postgresql import postgresql_triggers
from riskguard.store.triggers.shared import BUMPED, GLOBAL_TABLES, LIMIT_COLUMNS, POLICY_COLUMNS
from riskguard.store.triggers.sqlite import sqlite_triggers

__all__ = [
    "BUMPED",
    "GLOBAL_TABLES",
    "LIMIT_COLUMNS",
    "POLICY_COLUMNS",
    "postgresql_triggers",
    "sqlite_triggers",
]
