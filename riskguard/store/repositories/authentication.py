"""Access tokens and sensitive settings: sealed when they are written, opened when they are read."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import SecretStr

from riskguard.errors import RowInvalidError, UnknownAccountError
from riskguard.redaction import remember
from riskguard.store.database import Database
from riskguard.store.repositories.base import Repository
from riskguard.store.secrets.fields import ACCESS_TOKEN, REFRESH_TOKEN, SETTING, Opened, Resealed, reseal
from riskguard.store.secrets.vault import Vault
from riskguard.store.tables.authentication import auth_tokens, config
from riskguard.store.tables.journal import accounts

_t = auth_tokens.c
_ACTIVE = sa.select(
    _t.id, _t.account_type, _t.access_token, _t.refresh_token, _t.token_type, _t.scope, _t.expires_at, _t.created_at,
    _t.updated_at,
).where(_t.is_active == 1)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredToken:
    """
    The active token of an account as it lies in the database, not opened.

    Attributes:
        stored: The envelope, or, written by another program, the token itself: shown by no repr.
        expires_at: Epoch seconds; None when nobody said. created_at: Epoch seconds, when it was set.
    """

    id: int
    account: str
    stored: SecretStr
    refresh: SecretStr | None
    token_type: str
    scope: str | None
    expires_at: int | None
    created_at: int
    updated_at: int


class AuthenticationRepository(Repository):
    """Tokens of accounts, at most one active each, and settings marked as sensitive."""

    def __init__(self, database: Database, vault: Vault | None = None) -> None:
        super().__init__(database)
        self.vault = vault or Vault()

    def accounts(self) -> tuple[str, ...]:
        """Return the names of all accounts."""
        with self._reading() as connection:
            return tuple(connection.execute(sa.select(accounts.c.account).order_by(accounts.c.account)).scalars())

    # -- tokens ---------------------------------------------------------------------------------------------

    def set_token(
        self, account: str, token: str, *, expires_at: int | None = None, refresh_token: str | None = None,
        scope: str | None = None, token_type: str = "Bearer",
    ) -> int:  # fmt: skip
        """
        Make *token* the account's active one and return its row; the earlier one is switched off with it.

        *expires_at* is in epoch seconds; None when not known. Raises UnknownAccountError, SecretKeyError (no key
        at hand: nothing is written, a token is never kept in clear), ExtraMissingError, RowInvalidError.
        """
        if not token:
            raise RowInvalidError("auth_tokens.access_token", "a token says something", is_secret=True)
        remember(token)
        keys = self.vault.require()
        now_s = self._now_s()
        with self._writing() as connection:
            known = self.accounts()
            if account not in known:
                raise UnknownAccountError(account, known)
            earlier = sa.and_(_t.account_type == account, _t.is_active == 1)
            connection.execute(sa.update(auth_tokens).where(earlier).values(is_active=0, updated_at=now_s))
            row = connection.execute(
                sa.insert(auth_tokens)
                .values(
                    account_type=account, access_token="", token_type=token_type, expires_at=expires_at, scope=scope,
                    is_active=1, created_at=now_s, updated_at=now_s,
                )
                .returning(_t.id)
            ).scalar_one()  # fmt: skip
            # Sealed to its row, so the row's number comes first; nobody sees the empty one.
            sealed = {"access_token": keys.seal(token, ACCESS_TOKEN.place(row, account))}
            if refresh_token:
                remember(refresh_token)
                sealed["refresh_token"] = keys.seal(refresh_token, REFRESH_TOKEN.place(row, account))
            connection.execute(sa.update(auth_tokens).where(_t.id == row).values(**sealed))
        return int(row)

    def active(self, account: str) -> StoredToken | None:
        """Return the account's active token, not opened; None when it has none. Needs no key."""
        with self._reading() as connection:
            found = connection.execute(_ACTIVE.where(_t.account_type == account)).first()
        if found is None:
            return None
        return StoredToken(
            found.id, found.account_type, SecretStr(str(found.access_token)),
            SecretStr(str(found.refresh_token)) if found.refresh_token else None, found.token_type or "", found.scope,
            found.expires_at, found.created_at, found.updated_at,
        )  # fmt: skip

    def opened(self, token: StoredToken) -> Opened:
        """
        Return the access token of a row; says whether it lay there in clear.

        Raises SecretKeyError, SecretWrongKeyError, SecretTamperedError, ExtraMissingError.
        """
        return self.vault.open(token.stored.get_secret_value(), ACCESS_TOKEN.place(token.id, token.account))

    def opened_refresh(self, token: StoredToken) -> Opened | None:
        """Return the refresh token of a row, None when it has none; raises as `opened`."""
        if token.refresh is None:
            return None
        return self.vault.open(token.refresh.get_secret_value(), REFRESH_TOKEN.place(token.id, token.account))

    def get_token(self, account: str) -> Opened | None:
        """Return the account's active token, opened; None when it has none. Raises as `opened`."""
        found = self.active(account)
        return None if found is None else self.opened(found)

    def deactivate(self, account: str) -> bool:
        """Switch the account's token off; say whether there was one. At the broker it goes on living."""
        active = sa.and_(_t.account_type == account, _t.is_active == 1)
        with self._writing() as connection:
            done = sa.update(auth_tokens).where(active).values(is_active=0, updated_at=self._now_s())
            return connection.execute(done).rowcount > 0

    def rotate(self, account: str) -> list[Resealed]:
        """
        Bring the account's tokens, the earlier ones too, under the newest key; what lies in clear is sealed.

        Raises SecretKeyError, SecretWrongKeyError, SecretTamperedError: nothing is changed then.
        """
        keys = self.vault.require()
        with self._writing() as connection:
            return reseal(connection, keys, account=account)

    # -- sensitive settings ---------------------------------------------------------------------------------

    def set_setting(self, key: str, value: str, *, category: str = "", description: str = "") -> None:
        """
        Write a `config` row whose value is sealed (`is_sensitive` = 1); an empty *category* or *description* stays.

        Raises SecretKeyError, ExtraMissingError; RowInvalidError for riskguard's own settings, which are no secrets.
        """
        if not key.strip() or key.startswith("riskguard."):
            raise RowInvalidError("config.key", "no name for a sensitive setting", value=key)
        remember(value)
        values = {
            "value": self.vault.require().seal(value, SETTING.place(key)), "is_sensitive": 1, "updated_at": self._now_s(),
            **({"category": category} if category else {}), **({"description": description} if description else {}),
        }  # fmt: skip
        with self._writing() as connection:
            changed = connection.execute(sa.update(config).where(config.c.key == key).values(**values)).rowcount
            if not changed:
                connection.execute(sa.insert(config).values(key=key, **values))

    def get_setting(self, key: str) -> Opened | None:
        """Return a sensitive setting, opened; None when there is none of that name that is marked as sensitive."""
        with self._reading() as connection:
            found = connection.execute(
                sa.select(config.c.value).where(config.c.key == key, config.c.is_sensitive == 1)
            ).scalar()
        return None if found is None else self.vault.open(str(found), SETTING.place(key))
