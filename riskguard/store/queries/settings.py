"""The database's own settings: rows of `config`."""

from __future__ import annotations

from riskguard.store.spelling import insert_into, param, prepare, sa, tables

config = tables.authentication.config

ROWS = prepare(sa.select(config.c.key, config.c.value).where(config.c.key.like(param("pattern"))))
SAVE = insert_into(config, "key", "value", "data_type", "category", "description", "updated_at", replace=True)
