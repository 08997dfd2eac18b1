"""The database's own settings: rows of `config`."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.statements import insert_into, param, prepare
from riskguard.store.tables.authentication import config

ROWS = prepare(sa.select(config.c.key, config.c.value).where(config.c.key.like(param("pattern"))))
SAVE = insert_into(config, "key", "value", "data_type", "category", "description", "updated_at", replace=True)
