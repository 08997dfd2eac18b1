"""What kind of instrument a key is, for whoever asks for its price."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.statements import param, prepare
from riskguard.store.tables.instruments import instruments

_i = instruments.c
KIND = prepare(
    sa.select(_i.option_type, _i.underlying_symbol).where(
        _i.exchange_segment == param("exchange_segment"), _i.security_id == param("security_id")
    )
)
