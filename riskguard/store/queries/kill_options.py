"""What a person set for the kills of an account: rows of `config`."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.statements import param, prepare
from riskguard.store.tables.authentication import config

ROWS = prepare(sa.select(config.c.key, config.c.value).where(config.c.key.like(param("pattern"))))
