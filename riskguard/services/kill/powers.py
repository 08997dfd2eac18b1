"""
What a broker can do beyond orders and lists: a capability is there, or it is not; it is never assumed.

Asked by name and not by type: a broker that stands before another one passes on what that one can do.
"""

from __future__ import annotations

from typing import Any, cast

from riskguard.ports import BrokerBackstop, BrokerLock, ExitAll, Profile


def lock_of(broker: object) -> BrokerLock | None:
    """Return the broker's own switch, None where it has none."""
    return cast(BrokerLock, broker) if _has(broker, "lock", "is_locked") else None


def exit_all_of(broker: object) -> ExitAll | None:
    """Return the broker's close-everything, None where it has none."""
    return cast(ExitAll, broker) if _has(broker, "exit_all") else None


def backstop_of(broker: object) -> BrokerBackstop | None:
    """Return the broker's own exit at a loss, None where it has none."""
    return cast(BrokerBackstop, broker) if _has(broker, "arm_backstop", "backstop") else None


def profile_of(broker: object) -> Profile | None:
    """Return what tells of token and address, None where nothing does."""
    return cast(Profile, broker) if _has(broker, "profile") else None


def keeps_hours(broker: object) -> bool:
    """Say whether the broker's market closes; every real one does, and one that does not says so."""
    return getattr(broker, "keeps_hours", True) is not False


def look_apart_us(broker: object) -> int:
    """Return how far apart the looks of a kill run must be, microseconds; 0: as often as it likes."""
    found = getattr(broker, "look_apart_us", 0)
    return found if type(found) is int and found > 0 else 0


def modify_of(broker: object) -> Any:
    """Return the broker's `modify`, None where it changes no order."""
    return getattr(broker, "modify", None) if _has(broker, "modify") else None


def _has(broker: object, *names: str) -> bool:
    return all(callable(getattr(broker, name, None)) for name in names)
