"""
Demat debit authorisations (eDIS): what was asked, what the depository said, what still holds.

The TPIN is not stored: it is a person's, it authorises selling, and nothing here ever needs it again. A caller
who must keep it says so (`keep_tpin=True`); then it is sealed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from riskguard.errors import RowInvalidError
from riskguard.redaction import clean, redacted
from riskguard.store.database import Database
from riskguard.store.repositories.base import Repository, checked_limit
from riskguard.store.rows.edis import EdisTransactionRow
from riskguard.store.secrets.fields import TPIN, Opened
from riskguard.store.secrets.vault import Vault
from riskguard.store.tables.edis import edis_transactions

_e = edis_transactions.c
PENDING, AUTHORIZED, REJECTED, EXPIRED = "PENDING", "AUTHORIZED", "REJECTED", "EXPIRED"


class EdisRepository(Repository):
    """Authorisations by account and ISIN."""

    def __init__(self, database: Database, vault: Vault | None = None) -> None:
        super().__init__(database)
        self.vault = vault or Vault()

    def add(self, row: EdisTransactionRow, *, keep_tpin: bool = False) -> int:
        """
        Write an authorisation that was asked for and return its number.

        The row's `tpin` is dropped unless *keep_tpin*, and then sealed. Secrets in `raw_request`, `raw_response`
        and `error_message` are taken out. Raises RowInvalidError; with *keep_tpin* SecretKeyError (no key: nothing
        is written) and ExtraMissingError.
        """
        tpin = row.tpin.get_secret_value() if row.tpin is not None else ""
        keys = self.vault.require() if tpin and keep_tpin else None
        with self._writing() as connection:
            number, _new = self._insert(row.model_copy(update={"tpin": None, **_without_secrets(row)}))
            if keys is not None:
                sealed = keys.seal(tpin, TPIN.place(number, row.account_type))
                connection.execute(sa.update(edis_transactions).where(_e.id == number).values(tpin=sealed))
        return number

    def update(
        self, number: int, *, status: str, expires_at: int | None = None, raw_response: str | None = None,
        error_message: str | None = None,
    ) -> None:  # fmt: skip
        """
        Record what the depository said; AUTHORIZED also says when, and drops a TPIN that was kept.

        *expires_at* is in epoch seconds; what is None stays as it was. Raises RowInvalidError, also when there
        is no such authorisation.
        """
        now_s = self._now_s()
        values: dict[str, Any] = {"status": status, "updated_at": now_s}
        if expires_at is not None:
            values["expires_at"] = expires_at
        if raw_response is not None:
            values["raw_response"] = _clean_json(raw_response)
        if error_message is not None:
            values["error_message"] = redacted(error_message)
        if status == AUTHORIZED:
            values |= {"authorized_at": now_s, "tpin": None}
        if not self._update(EdisTransactionRow, _e.id == number, **values):
            raise RowInvalidError("edis_transactions.id", "no such authorisation", value=number)

    def get(self, number: int) -> EdisTransactionRow | None:
        """Return one authorisation; None when there is none of that number. A kept TPIN stays sealed in it."""
        return self._row(EdisTransactionRow, sa.select(edis_transactions).where(_e.id == number))

    def tpin(self, number: int) -> Opened | None:
        """Return the TPIN kept with an authorisation, None when none is; raises as `Vault.open`."""
        with self._reading() as connection:
            found = connection.execute(sa.select(_e.tpin, _e.account_type).where(_e.id == number)).first()
        if found is None or not found.tpin:
            return None
        return self.vault.open(str(found.tpin), TPIN.place(number, found.account_type))

    def latest(self, account: str | None = None, *, limit: int = 10_000) -> list[EdisTransactionRow]:
        """Return authorisations, the newest first, of one account or of all."""
        statement = sa.select(edis_transactions).order_by(_e.created_at.desc(), _e.id.desc())
        if account is not None:
            statement = statement.where(_e.account_type == account)
        return self._rows(EdisTransactionRow, statement, checked_limit(limit))


def _without_secrets(row: EdisTransactionRow) -> Mapping[str, str]:
    found = {}
    for name in ("raw_request", "raw_response"):
        text = getattr(row, name)
        if text is not None:
            found[name] = _clean_json(text)
    if row.error_message is not None:
        found["error_message"] = redacted(row.error_message)
    return found


def _clean_json(text: str) -> str:
    """Return JSON without its secrets; what is no JSON is cleaned as text."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return redacted(text)
    return json.dumps(clean(parsed)) if isinstance(parsed, dict | list) else redacted(text)
