"""A daemon is woken when a kill or a limit changed at the server; nothing rests on it, and a cut connection comes back."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from riskguard.services import waking as module
from riskguard.services.kill.killswitch import engage
from riskguard.services.waking import Waking, waking
from tests.services.desk import eventually, fill
from tests.store import postgres

PATIENCE_S = 60
LISTENERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'riskguard listen' AND state = 'idle' "
    "AND query = 'LISTEN riskguard' AND datname = %s"
)
"""Connected alone is not enough: what is said before LISTEN was done is not heard."""


@pytest.fixture
def database(tmp_path: Path, home: Path) -> Iterator[str]:
    with postgres.database(lambda url: fill(url, tmp_path)) as name:
        yield name


@pytest.fixture
def heard(database: str) -> Iterator[queue.Queue[str]]:
    """What a listener of the database was told."""
    said: queue.Queue[str] = queue.Queue()
    listener = Waking(postgres.server().url(database), said.put)
    listener.start()
    _listening(database)
    yield said
    listener.stop()


def _listening(database: str) -> None:
    with postgres.server().connect() as connection:
        eventually(lambda: connection.execute(LISTENERS, (database,)).fetchone() == (1,), PATIENCE_S)


def _kill_by_sql(database: str) -> None:
    with postgres.server().connect(database) as connection:
        connection.execute(
            "UPDATE traders_control SET kill_switch_status = 'ACTIVE' WHERE account_type = 'leader' "
            "AND control_type = 'KILL_SWITCH' AND is_active = 1"
        )


def test_a_kill_and_plain_sql_wake_whoever_listens(database: str, heard: queue.Queue[str]) -> None:
    """Both are told with the account they concern, once they are committed; what only reads wakes nobody."""
    with postgres.server().connect(database) as connection:
        connection.execute("SELECT * FROM traders_control")
        with pytest.raises(psycopg.Error), connection.transaction():
            connection.execute(
                "UPDATE traders_control SET reason = 'rolled back' WHERE account_type = 'leader' AND control_type = 'KILL_SWITCH'"
            )
            connection.execute("SELECT 1/0")
    _kill_by_sql(database)
    assert heard.get(timeout=PATIENCE_S) == "leader"
    assert engage(postgres.server().url(database), None, by="desk", reason="a test").exit_status == 0
    assert heard.get(timeout=PATIENCE_S) == "GLOBAL"


def test_a_cut_connection_comes_back(
    database: str, heard: queue.Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """What was said meanwhile is lost, and what is said afterwards is heard."""
    monkeypatch.setattr(module, "BACK_OFF_S", (0.01,))
    with postgres.server().connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'riskguard listen' AND datname = %s",
            (database,),
        )
    _listening(database)
    _kill_by_sql(database)
    assert heard.get(timeout=PATIENCE_S) == "leader"


def test_who_listens_and_where() -> None:
    """Never on a file, nowhere when it is off, past the pooler where a URL says so, else at the database."""
    url, direct = "postgresql://pooler:6432/risk", "postgresql://db:5432/risk"

    assert waking("sqlite:////tmp/risk.db", "sqlite", None, print) is None
    assert waking(url, "postgresql", "off", print) is None
    for setting, expected in ((None, url), (direct, direct)):
        made = waking(url, "postgresql", setting, print)
        assert made is not None and made.url == expected
