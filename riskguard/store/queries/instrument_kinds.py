"""What kind of instrument a key is, for whoever asks for its price."""

from __future__ import annotations

from riskguard.store.spelling import param, prepare, sa, tables

instruments = tables.instruments.instruments

_i = instruments.c
KIND = prepare(
    sa.select(_i.option_type, _i.underlying_symbol).where(
        _i.exchange_segment == param("exchange_segment"), _i.security_id == param("security_id")
    )
)
