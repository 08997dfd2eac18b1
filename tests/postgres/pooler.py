"""
pgbouncer in transaction mode before a test's server: each transaction may be another server connection.

There is no wheel of it. `.ci/run` unpacks Debian's package into `.venv/pgbouncer` with `tests/postgres/fetch_pgbouncer.sh`;
one on the PATH, or named by `RISKGUARD_TEST_PGBOUNCER`, is taken first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg

from tests.postgres.server import Cluster
from tests.store.postgres import place

ROOT: Final = Path(__file__).parents[2]
UNPACKED: Final = ROOT / ".venv" / "pgbouncer"
WAIT_S_MAX: Final = 60
MISSING: Final = "PGBOUNCER IS NOT HERE: run tests/postgres/fetch_pgbouncer.sh, or install it; its tests did NOT run"
CONFIGURATION: Final = """
[databases]
* = host={sockets} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 200
logfile = {place}/log
pidfile = {place}/pid
"""


def found() -> Path | None:
    """The program, wherever it is; None when there is none."""
    named = os.environ.get("RISKGUARD_TEST_PGBOUNCER") or shutil.which(
        "pgbouncer", path="/usr/sbin:/usr/bin:/sbin:/bin"
    )
    if named:
        return Path(named)
    unpacked = UNPACKED / "usr" / "sbin" / "pgbouncer"
    return unpacked if unpacked.exists() else None


class Pooler:
    """See the module; *pool* is how many server connections it keeps at most for a database."""

    def __init__(self, program: Path, server: Cluster, pool: int = 4) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="rgpb", dir=place()))
        self.place.chmod(0o755)
        work = server.install.directory("work", self.place)
        with contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        configuration = self.place / "pgbouncer.ini"
        configuration.write_text(CONFIGURATION.format(sockets=server.sockets, port=self.port, place=work, pool=pool))
        # Unpacked, it lies with its libraries below a checkout that the server's user may not read.
        mine = self.place / "pgbouncer"
        shutil.copy(program, mine)
        how = server.install.as_user()
        libraries = [each for each in (UNPACKED / "usr" / "lib").glob("*-linux-gnu") if each.is_dir()]
        if libraries and program.is_relative_to(UNPACKED):
            shutil.copytree(libraries[0], self.place / "lib", symlinks=True)
            subprocess.run(["chmod", "-R", "go+rX", self.place / "lib"], check=True)
            how = {**how, "env": {**how.get("env", os.environ), "LD_LIBRARY_PATH": str(self.place / "lib")}}
        self._process = subprocess.Popen([mine, "-q", configuration], stderr=subprocess.PIPE, **how)

    def url(self, database: str, **options: str) -> str:
        said = "".join(f"&{name}={value}" for name, value in options.items())
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable{said}"

    def wait(self, database: str) -> None:
        end = time.monotonic() + WAIT_S_MAX
        while True:
            try:
                psycopg.connect(self.url(database)).close()
                return
            except psycopg.OperationalError as e:
                if self._process.poll() is not None:
                    assert self._process.stderr is not None
                    raise AssertionError(self._process.stderr.read().decode()) from e
                assert time.monotonic() < end, "pgbouncer does not answer"
                time.sleep(0.02)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(WAIT_S_MAX)
        assert self._process.stderr is not None
        self._process.stderr.close()
        shutil.rmtree(self.place, ignore_errors=True)


@contextlib.contextmanager
def pooled(program: Path, server: Cluster, database: str = "postgres", pool: int = 4) -> Iterator[Pooler]:
    made = Pooler(program, server, pool)
    try:
        made.wait(database)
        yield made
    finally:
        made.close()
