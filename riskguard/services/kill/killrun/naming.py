"""Names of the orders a kill run sends, and what an error says about whether one may rest at the broker."""

from __future__ import annotations

import hashlib

from riskguard.core.reject import RejectCode
from riskguard.errors import BrokerRefusedError, BrokerUnavailableError, StoreError
from riskguard.store.kills import KillRun

PRICE_CODES = frozenset({RejectCode.PRICE_OUTSIDE_COLLAR, RejectCode.PRICE_OUTSIDE_BAND})
"""Refusals of an exit's limit by which it goes at market instead."""
AT_MARKET = "-m"
"""Behind the id of an exit that went at market because a rule about prices refused its limit."""


def client_order_id(run: KillRun, step: str, round_: int, target: str) -> str:
    """
    Return the id of the order a write places: the same write has the same id, in every process.

    The broker's correlation id is derived from it, so that what nobody answered can be found again.
    """
    told = f"{run.kill_id}|{step}|{round_}|{target}"
    return f"kill-{run.id}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def may_rest(error: Exception) -> bool:
    """Say whether an order may rest at the broker although *error* was raised."""
    return not isinstance(error, BrokerRefusedError | BrokerUnavailableError | StoreError)
