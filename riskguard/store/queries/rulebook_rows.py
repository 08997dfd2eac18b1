"""What applying a rulebook asks: the entry that stands, what was applied last, what is held."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.statements import fixed, param, prepare
from riskguard.store.tables.control import control_actions
from riskguard.store.tables.journal import decisions
from riskguard.store.tables.runs import day_books

_a, _d, _b = control_actions.c, decisions.c, day_books.c
LAST_APPLY = prepare(
    sa.select(sa.func.max(_a.sequence)).where(_a.account == param("account"), _a.kind == fixed("APPLY"))
)
ENTRY = prepare(
    sa.select(_d.body).where(
        _d.account == param("account"), _d.sequence == param("sequence"), _d.kind == fixed("APPLY")
    )
)
SEGMENTS_HELD = prepare(
    sa.select(_b.exchange_segment)
    .where(_b.account == param("account"), _b.session_date == param("session_date"))
    .distinct()
)
