"""
The rigs of this room do what they say: each fault is shown with the plain driver, and that without it all is well.

What riskguard makes of these faults is in the other files.
"""

from __future__ import annotations

import re
import select
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.postgres.proxy import Proxy, proxied
from tests.postgres.server import DURABLE, Cluster, cluster

COMMIT = re.compile(rb"COMMIT\x00")


def _table(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (n integer)")


def count(server: Cluster) -> int:
    with server.connect() as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as made:
        _table(made.url("postgres"))
        yield made


@pytest.fixture
def proxy(server: Cluster) -> Iterator[Proxy]:
    with server.connect() as connection:
        connection.execute("TRUNCATE t")
    with proxied(server.sockets) as made:
        yield made


def answers_within(connection: psycopg.Connection[tuple[object, ...]], wait_s: float) -> bool:
    """Ask, and say whether anything came back in time; the driver itself would wait for ever."""
    connection.pgconn.send_query(b"SELECT 1")
    connection.pgconn.flush()
    return bool(select.select([connection.fileno()], [], [], wait_s)[0])


def test_a_good_link_is_no_fault(server: Cluster, proxy: Proxy) -> None:
    """The control of all of them: through the proxy a transaction commits."""
    with psycopg.connect(proxy.url("postgres")) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    assert (count(server), proxy.cuts, proxy.connections) == (1, 0, 1)


@pytest.mark.parametrize(("fault", "stands"), [("cut_before", 0), ("cut_after", 1)])
def test_commit_is_cut_before_or_after_the_server_did_it(
    server: Cluster, proxy: Proxy, fault: str, stands: int
) -> None:
    """The client sees the same broken connection; the row says which it was. The next connection is a good one."""
    with pytest.raises(psycopg.OperationalError), psycopg.connect(proxy.url("postgres")) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        setattr(proxy.faults, fault, COMMIT)
        connection.commit()
    assert (count(server), proxy.cuts) == (stands, 1)
    psycopg.connect(proxy.url("postgres")).close()


@pytest.mark.parametrize("fault", ["cut_after_bytes", "cut_at_message"])
def test_a_connection_is_cut_at_the_nth(server: Cluster, proxy: Proxy, fault: str) -> None:
    """Each place of a transaction is one where the link may break: up to the commit nothing stands."""
    reached = []
    for n in (1, 2, 3, 40, 100_000):
        with server.connect() as connection:
            connection.execute("TRUNCATE t")
        setattr(proxy.faults, fault, n)
        try:
            with psycopg.connect(proxy.url("postgres")) as connection:
                connection.execute("INSERT INTO t VALUES (1)")
        except psycopg.OperationalError:
            assert count(server) == 0
        else:
            reached.append(n)
        setattr(proxy.faults, fault, None)
    assert reached == [100_000] if fault == "cut_after_bytes" else reached == [40, 100_000]


@pytest.mark.parametrize("lost", ["to_server", "to_client"])
def test_a_half_open_link_answers_nothing_and_breaks_nothing(server: Cluster, proxy: Proxy, lost: str) -> None:
    """Neither side is told; healed, the old connection is gone and a new one works."""
    connection = psycopg.connect(proxy.url("postgres"), autocommit=True)
    assert answers_within(connection, 30)
    connection.pgconn.get_result()
    connection.pgconn.get_result()
    proxy.half_open(lost)
    assert not answers_within(connection, 0.3)
    proxy.heal()
    assert select.select([connection.fileno()], [], [], 30)[0]  # with an end
    connection.close()
    psycopg.connect(proxy.url("postgres")).close()


def test_a_black_hole_takes_connections_and_never_answers(proxy: Proxy) -> None:
    proxy.blackhole()
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        psycopg.connect(proxy.url("postgres", connect_timeout="2"))
    proxy.heal()
    psycopg.connect(proxy.url("postgres")).close()


def test_refused_reset_and_delayed(proxy: Proxy) -> None:
    """A refused connection fails at once, a reset one at its next statement, a delayed one later than not."""
    connection = psycopg.connect(proxy.url("postgres"), autocommit=True)
    proxy.faults.to_client_s = 0.1
    began = time.monotonic()
    connection.execute("SELECT 1")
    assert time.monotonic() - began >= 0.1
    proxy.faults.to_client_s = 0
    proxy.reset()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    proxy.refuse()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(proxy.url("postgres"))
    proxy.accept()
    psycopg.connect(proxy.url("postgres")).close()


def test_a_silent_cut_leaves_the_servers_session_open(server: Cluster, proxy: Proxy) -> None:
    """A pulled cable: the client hears nothing, and the server goes on holding what the transaction locked."""
    holder = psycopg.connect(proxy.url("postgres"))
    holder.execute("LOCK TABLE t")
    proxy.faults.cut_before, proxy.faults.is_silent, proxy.faults.server_hears = COMMIT, True, False
    holder.pgconn.send_query(b"COMMIT")
    holder.pgconn.flush()
    assert not select.select([holder.fileno()], [], [], 0.3)[0]
    with server.connect() as other, other.transaction(force_rollback=True):
        other.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("LOCK TABLE t")
    holder.close()


def test_a_server_is_frozen_killed_and_set_back(proxy: Proxy) -> None:
    """Frozen it answers nothing, killed it comes back with what was committed, set back it has forgotten it."""
    with cluster(DURABLE) as made:
        _table(made.url("postgres"))
        older = made.copy()
        connection = made.connect()
        connection.execute("INSERT INTO t VALUES (1)")
        with made.frozen():
            assert not answers_within(connection, 0.3)
        assert select.select([connection.fileno()], [], [], 30)[0]
        for everything in (True, False):
            made.kill(everything=everything)
            with pytest.raises(psycopg.OperationalError):
                made.connect()
            made.start()
            assert count(made) == 1
        for how in (signal.SIGINT, signal.SIGQUIT):
            made.restart(how)
            assert count(made) == 1
        made.restore(older)
        assert count(made) == 0


def test_a_standby_reads_follows_and_is_promoted() -> None:
    """It refuses every write until it is promoted; one that follows has the row, one that stayed behind has not."""
    with cluster() as primary:
        _table(primary.url("postgres"))
        behind, following = primary.standby(follow=False), primary.standby(follow=True)
        try:
            with primary.connect() as connection:
                connection.execute("INSERT INTO t VALUES (1)")
            end = time.monotonic() + 60
            while not following.caught_up(primary):
                assert time.monotonic() < end, following.log()
                time.sleep(0.01)
            for other, rows in ((behind, 0), (following, 1)):
                with other.connect() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    connection.execute("INSERT INTO t VALUES (2)")
                assert count(other) == rows
            behind.promote()
            with behind.connect() as connection:
                connection.execute("INSERT INTO t VALUES (2)")
        finally:
            behind.close()
            following.close()


def test_files_at_most_is_a_full_disk(server: Cluster) -> None:
    """A table that would grow past the bound is an error of its transaction, and room again is room again."""
    with server.connect() as connection:
        connection.execute("CREATE TABLE big AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 500)")
        with server.files_at_most(1 << 20), pytest.raises(psycopg.Error, match="could not extend"):
            for _ in range(20):
                connection.execute("INSERT INTO big SELECT * FROM big")
    with server.connect() as connection:
        connection.execute("INSERT INTO big SELECT * FROM big LIMIT 3000")
        connection.execute("DROP TABLE big")
