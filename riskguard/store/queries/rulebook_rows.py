"""What applying a rulebook asks: the entry that stands, what was applied last, what is held."""

from __future__ import annotations

from riskguard.store.spelling import fixed, param, prepare, sa, tables

control_actions = tables.control.control_actions
decisions = tables.journal.decisions
day_books = tables.runs.day_books

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
