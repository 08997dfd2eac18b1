"""What a person set for the kills of an account: rows of `config`."""

from __future__ import annotations

from riskguard.store.spelling import param, prepare, sa, tables

config = tables.authentication.config

ROWS = prepare(sa.select(config.c.key, config.c.value).where(config.c.key.like(param("pattern"))))
