"""Whose login an account's is: the active token's row, and the broker's client id."""

from __future__ import annotations

from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

auth_tokens, config = tables.authentication.auth_tokens, tables.authentication.config

_t = auth_tokens.c
ACTIVE = prepare(sa.select(_t.id, _t.expires_at).where(_t.account_type == param("account"), _t.is_active == fixed(1)))
CLIENT_OF = prepare(sa.select(config.c.value).where(config.c.key == param("key")))
SAVE_CLIENT = insert_into(config, "key", "value", "data_type", "category", "description", "updated_at", replace=True)
