"""A short look at PostgreSQL for the kill switch: two names, half a second, and no more of riskguard than that."""

from __future__ import annotations

import threading
from typing import Any

from riskguard.store.engines import postgresql


def names(url: str, query: str, name: str, wait_s_max: float) -> tuple[str, ...] | None:
    """
    Return the first column of *query*'s rows for *name*; None when the server did not tell in time.

    On a thread of its own: a server that is stopped answers nothing, and no setting ends that wait. It is left behind.
    Raises what the driver raises.
    """
    said: list[Any] = []
    asking = threading.Thread(target=_ask, args=(url, query, name, said), name="riskguard-look", daemon=True)
    asking.start()
    asking.join(wait_s_max)
    return said[0] if said else None


def _ask(url: str, query: str, name: str, said: list[Any]) -> None:
    import contextlib

    with contextlib.suppress(Exception):
        import psycopg

        arguments: dict[str, Any] = {
            "connect_timeout": 2,
            "application_name": "riskguard",
            **postgresql.driver_arguments(url),
        }
        with psycopg.connect(autocommit=True, prepare_threshold=None, **arguments) as connection:
            said.append(tuple(row[0] for row in connection.execute(query, (name,)).fetchall()))
