"""
Who may do a sweep, and whether what it brought may still be written.

A slot is claimed before the look and finished with it, so that a second fire or a second daemon finds it done. The
lease picks one daemon of several; its token fences the one that was paused: what it saw is dropped, never written.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import Final

from riskguard.store import runs, sweeps
from riskguard.store.session import Session, Store

LEASE: Final = "sweeps"
LIFE_US: Final = 6_000_000
"""Renewed by every sweep. Until it ends nobody else takes over: three intervals of the usual two seconds."""
WAIT_S: Final = 2.0


class ResultDroppedError(Exception):
    """What this sweep saw is not written: somebody took its place, or it took too long. Nothing is wrong with the data."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One sweep that may be done. `owned`: the slot is ours alone; False: a person or an event asked besides."""

    kind: str
    slot: int
    interval_us: int
    holder: str
    began_us: int  # elapsed
    owned: bool = True


def new_holder() -> str:
    """Return a name no other sweeper has, on any host."""
    return f"{os.uname().nodename}:{os.getpid()}-{secrets.token_hex(4)}"


class Lease:
    """
    One process's right to sweep, shared by its accounts.

    *only_yields*: never takes it, stands back while somebody else holds it: a small bot beside a daemon.
    """

    def __init__(self, holder: str = "", *, life_us: int = LIFE_US, only_yields: bool = False) -> None:
        self.holder = holder or new_holder()
        self.life_us = life_us
        self.only_yields = only_yields
        self.token: int | None = None

    def take(self, session: Session, now_us: int) -> bool:
        """Take or renew it in this transaction; False while somebody else holds it."""
        if self.only_yields:
            return not sweeps.lease_of_another(session, LEASE, self.holder, now_us)
        self.token = runs.take_lease(session, LEASE, self.holder, now_us, self.life_us)
        return self.token is not None

    def holds(self, session: Session) -> bool:
        """Say whether nobody has taken it since; asked in the transaction that writes."""
        if self.only_yields:
            return True
        return self.token is not None and sweeps.is_leased(session, LEASE, self.holder, self.token)

    def give_back(self, store: Store, now_us: int) -> None:
        """End it, so that who waits need not wait for its end."""
        if self.token is None:
            return
        with store.session(durable=False, wait_s=WAIT_S) as session:
            sweeps.give_back(session, LEASE, self.holder, self.token, now_us)
        self.token = None
