"""One instant of the database, read without a lock: no check, kill or sweep waits for a verification."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from riskguard.store.session import Session, Store

READ_S_MAX: Final = 3_600.0
"""How long one verification may keep its instant on a server; its progress tells a hung one."""


@contextlib.contextmanager
def snapshot(store: Store) -> Iterator[Session]:
    """Give a session that reads one instant, however long that takes; raises as `Store.reading`."""
    with store.reading() as session:
        if store.dialect == "postgresql":
            session.connection.deadline = time.monotonic() + READ_S_MAX
        yield session
