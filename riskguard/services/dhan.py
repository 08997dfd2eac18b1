"""
The broker of profile `dhan`: which client an account is, with which token, at which address.

The client id stands in the `config` row `dhan.client_id.<account>`; without one it is read out of the token, where Dhan
puts it. The token is asked for before each request, so that one set elsewhere is used by the next.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Final

from riskguard.brokers.dhan import Credentials, DhanBroker, Timeouts
from riskguard.errors import SettingsError
from riskguard.services.counting import RequestMeter, ledger_of
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.settings import DatabaseSettings
from riskguard.services.tokens import TokenSource, claims_of
from riskguard.store.database import Database
from riskguard.store.queries.logins import CLIENT_OF, SAVE_CLIENT
from riskguard.store.session import Session, Store

CLIENT_ID: Final = re.compile(r"[A-Za-z0-9]{3,20}")
KEY: Final = "dhan.client_id."
WAIT_S: Final = 2.0
ONE_QUESTION: Final = Timeouts(read_s=5.0, call_s=6.0, read_attempts=1)
TOKEN_MS_MAX: Final = 500
"""How long a request waits for the token's row; after it the last one known is used."""


def checked_client_id(text: str) -> str:
    """Return a client id; raises SettingsError."""
    if CLIENT_ID.fullmatch(text) is None:
        raise SettingsError(f"`--client-id {text[:30]}`: wants the number Dhan knows the account by, like 1100099001")
    return text


def save_client_id(session: Session, account: str, client_id: str, now_us: int) -> None:
    """Write which client of Dhan *account* is."""
    session.run(
        SAVE_CLIENT, key=f"{KEY}{account}", value=client_id, data_type="string", category="auth",
        description=f"Dhan's client id of account {account}", updated_at=now_us // 1_000_000,
    )  # fmt: skip


def client_id_of(guard: RiskGuard, account: str) -> str:
    """Return the client id that was set for *account*; "" without one."""
    return client_id_kept(guard.store, account)


def client_id_kept(store: Store, account: str) -> str:
    """The same, of an open database."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        row = session.row(CLIENT_OF, key=f"{KEY}{account}")
        store.roll_back(session)
    return "" if row is None else str(row[0]).strip()


def client_id_in(token: str) -> str:
    """Return the client id a token of Dhan names, unverified; "" where it is no such token."""
    found = claims_of(token).get("dhanClientId")
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    return text if CLIENT_ID.fullmatch(text) else ""


def credentials_of(database: Database, store: Store, account: str) -> Callable[[], Credentials]:
    """Return what is asked for the login of *account* before each request."""
    client_id = client_id_kept(store, account)
    source = TokenSource(database, account)

    def credentials() -> Credentials:
        token = source.current().value.get_secret_value()
        known = client_id or client_id_in(token)
        if not known:
            raise SettingsError(
                f"`{account}` has no client id: `riskguard init --account {account} --client-id …` sets it, "
                f"or the config row `{KEY}{account}`"
            )
        return Credentials(known, token)

    return credentials


@contextlib.contextmanager
def asking_broker(store: Store, settings: DatabaseSettings, account: str) -> Iterator[DhanBroker]:
    """
    Open the account's broker for a few questions: nothing is counted or written, and nothing is asked twice.

    Raises SettingsError (the base URL), ExtraMissingError, StoreUnavailableError.
    """
    database = Database(store.url, deadline_ms=TOKEN_MS_MAX)
    with contextlib.closing(database):
        login = credentials_of(database, store, account)
        broker = DhanBroker(login, account=account, base_url=settings.dhan_base_url, timeouts=ONE_QUESTION)
        with contextlib.closing(broker):
            yield broker


def dhan_broker(guard: RiskGuard, settings: DatabaseSettings, account: str) -> DhanBroker:
    """
    Return the account's broker at Dhan. Nothing is asked yet, and no token need be there yet.

    Raises SettingsError (the base URL), ExtraMissingError, StoreUnavailableError.
    """
    database = Database(guard.store.url, clock=guard.clock, deadline_ms=TOKEN_MS_MAX)
    broker = DhanBroker(
        credentials_of(database, guard.store, account), account=account, base_url=settings.dhan_base_url,
        meter=RequestMeter(account, ledger_of(guard)),
    )  # fmt: skip
    guard.on_close(broker.close)
    guard.on_close(database.close)
    return broker
