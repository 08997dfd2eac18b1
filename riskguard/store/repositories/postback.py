"""
Webhooks: where the broker posts, our shared secret with whoever posts (sealed), and what was posted.

A message is kept as it came before anything is made of it; the same message posted again is one row.
"""

from __future__ import annotations

import hashlib
import hmac

import sqlalchemy as sa

from riskguard.errors import RowInvalidError
from riskguard.redaction import redacted, remember
from riskguard.store.database import Database
from riskguard.store.repositories.base import Repository, digest_of
from riskguard.store.rows.postback import PostbackConfigRow, PostbackEventRow
from riskguard.store.secrets.fields import WEBHOOK_SECRET, Opened
from riskguard.store.secrets.vault import Vault
from riskguard.store.tables.postback import postback_configs, postback_events

_c = postback_configs.c
_e = postback_events.c


class PostbackRepository(Repository):
    """Webhook registrations and messages."""

    def __init__(self, database: Database, vault: Vault | None = None) -> None:
        super().__init__(database)
        self.vault = vault or Vault()

    # -- registrations --------------------------------------------------------------------------------------

    def add_config(self, row: PostbackConfigRow) -> int:
        """
        Write a registration and return its number; its `webhook_secret` is sealed.

        Raises RowInvalidError; with a secret SecretKeyError (no key at hand: nothing is written), ExtraMissingError.
        """
        secret = row.webhook_secret.get_secret_value() if row.webhook_secret is not None else ""
        keys = self.vault.require() if secret else None
        remember(secret)
        with self._writing() as connection:
            number, _new = self._insert(row.model_copy(update={"webhook_secret": None}))
            if keys is not None:
                sealed = keys.seal(secret, WEBHOOK_SECRET.place(number, row.account_type))
                connection.execute(sa.update(postback_configs).where(_c.id == number).values(webhook_secret=sealed))
        return number

    def set_secret(self, number: int, secret: str) -> None:
        """Give a registration another shared secret. Raises RowInvalidError when there is none of that number."""
        remember(secret)
        keys = self.vault.require()
        with self._writing() as connection:
            account = connection.execute(sa.select(_c.account_type).where(_c.id == number)).scalar()
            if account is None:
                raise RowInvalidError("postback_configs.id", "no such registration", value=number)
            sealed = keys.seal(secret, WEBHOOK_SECRET.place(number, account))
            changed = {"webhook_secret": sealed, "updated_at": self._now_s()}
            connection.execute(sa.update(postback_configs).where(_c.id == number).values(**changed))

    def retire_configs(self, account: str, *, keep: int) -> int:
        """Take all but the newest *keep* registrations of *account* out of force; returns how many that were."""
        mine = sa.and_(_c.account_type == account, _c.is_active == 1)
        with self._writing() as connection:
            newest = connection.execute(sa.select(_c.id).where(mine).order_by(_c.id.desc()).limit(keep)).scalars().all()
            older = sa.and_(mine, _c.id.not_in(newest))
            return self._update(PostbackConfigRow, older, is_active=False, updated_at=self._now_s())

    def get_configs(self, account: str, *, only_active: bool = True) -> list[PostbackConfigRow]:
        """Return the account's registrations, oldest first; their secrets stay sealed."""
        statement = sa.select(postback_configs).where(_c.account_type == account).order_by(_c.id)
        return self._rows(PostbackConfigRow, statement.where(_c.is_active == 1) if only_active else statement)

    def secret(self, number: int) -> Opened | None:
        """Return a registration's shared secret, None when it has none; raises as `Vault.open`."""
        with self._reading() as connection:
            statement = sa.select(_c.webhook_secret, _c.account_type).where(_c.id == number)
            found = connection.execute(statement).first()
        if found is None or not found.webhook_secret:
            return None
        return self.vault.open(str(found.webhook_secret), WEBHOOK_SECRET.place(number, found.account_type))

    def verifies(self, number: int, body: bytes, signature: str) -> bool:
        """
        Say whether *signature* is the hex HMAC-SHA256 of *body* under the registration's secret.

        Without a secret nothing verifies. Raises as `Vault.open`: a secret that cannot be read is not a wrong one.
        """
        found = self.secret(number)
        if found is None:
            return False
        wanted = hmac.new(found.value.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted.encode(), signature.strip().lower().encode())

    # -- messages -------------------------------------------------------------------------------------------

    def save_event(
        self, account: str, event_type: str, payload: str, *, order_id: str | None = None, signature: str | None = None,
        is_verified: bool | None = None,
    ) -> tuple[int, bool]:  # fmt: skip
        """Keep a message as it came; return its number and whether it is new. Raises RowInvalidError."""
        return self._insert(
            PostbackEventRow(
                account_type=account, event_type=event_type, payload=payload, order_id=order_id,
                signature=None if signature is None else PostbackEventRow.checked_value("signature", signature),
                is_verified=is_verified, received_at=self._now_s(), digest=digest_of(account, payload),
            ),
            once="digest",
        )  # fmt: skip

    def get_unprocessed(self, *, limit: int = 1_000) -> list[PostbackEventRow]:
        """Return messages nothing was made of yet, oldest first."""
        statement = sa.select(postback_events).where(_e.is_processed == 0).order_by(_e.received_at, _e.id)
        return self._rows(PostbackEventRow, statement, limit)

    def mark_processed(self, number: int, *, error_message: str | None = None) -> None:
        """Record that a message was dealt with, or why it could not be. Raises RowInvalidError: no such message."""
        said = None if error_message is None else redacted(error_message)
        done = self._update(
            PostbackEventRow, _e.id == number, is_processed=True, processed_at=self._now_s(), error_message=said
        )
        if not done:
            raise RowInvalidError("postback_events.id", "no such message", value=number)
