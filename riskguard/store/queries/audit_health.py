"""What the doctor asks of the journal: by which keys it was signed, when it began, whether anchors were kept."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.statements import fixed, param, prepare
from riskguard.store.tables.journal import account_heads, decisions

_d, _h = decisions.c, account_heads.c
HEADS = prepare(sa.select(_h.account, _h.sequence).where(_h.sequence > fixed(0)).order_by(_h.account))
_signed = (
    sa.select(_d.sequence, _d.mac)
    .where(
        _d.account == param("account"), _d.sequence > param("after", sa.Integer()),
        _d.sequence <= param("until", sa.Integer()), _d.mac != fixed(""),
    )
    .limit(fixed(1))
)  # fmt: skip
NEWEST_MAC = prepare(_signed.order_by(_d.sequence.desc()))
OLDEST_MAC = prepare(_signed.order_by(_d.sequence))
BEGAN = prepare(sa.select(sa.func.min(_d.decided_at_us)).where(_d.account == param("account"), _d.sequence == fixed(1)))
