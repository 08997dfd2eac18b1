"""
The database: typed access for programs, and below it tables by area, sessions, journal. Nothing here decides anything.

    from riskguard.store import open_database

    with open_database("sqlite:///risk.db") as database:
        for order in database.orders.get_active_orders("leader"):
            print(order.id, order.status, order.price)

What `__all__` names is public: the database, its errors, and one model per table. The modules beside it may move.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riskguard.store.database import Database, open_database
    from riskguard.store.session import CommitUnknownError, StoreBusyError

_HOMES = {
    "riskguard.store.database": ("Database", "open_database"),
    "riskguard.store.session": ("CommitUnknownError", "StoreBusyError"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["CommitUnknownError", "Database", "StoreBusyError", "open_database", "rows"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: `import riskguard.store` alone costs next to nothing."""
    if name == "rows":
        return import_module("riskguard.store.rows")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module `riskguard.store` has no attribute `{name}`")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
