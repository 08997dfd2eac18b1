"""
A PostgreSQL server of a test's own, that can be stopped, frozen, killed, filled up, set back and followed.

`tests.store.postgres` keeps one server for tests that want a database; here the server itself is what is tried. Each is a
copy of one cluster that was made once a run, so that a fresh one costs a start and no `initdb`. It listens on a socket
of its own; whoever wants TCP puts `tests.postgres.proxy` before it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.store.postgres import _die_with_parent, binaries, place

WAIT_S_MAX: Final = 120
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
QUICK: Final = "fsync = off\nfull_page_writes = off\n"
DURABLE: Final = "fsync = on\nfull_page_writes = on\n"
"""What a commit says is on disk stands there, as far as a process can see it: for tests that kill the server."""
ALWAYS: Final = """
listen_addresses = ''
shared_buffers = 16MB
max_connections = 60
autovacuum = off
log_min_messages = warning
deadlock_timeout = 200ms
wal_level = replica
max_wal_senders = 4
"""


class Install:
    """The binaries and an empty cluster, where the server's user can reach them; made once a process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.place = Path(tempfile.mkdtemp(prefix="rgpi", dir=place()))
        self.place.chmod(0o755)
        self.user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to be root
        self.bin = self._reachable(binaries())
        self.image = self.directory("image")
        said = subprocess.run(
            [
                self.bin / "initdb", "-D", self.image, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
                "--wal-segsize=1",
            ],
            capture_output=True, text=True, timeout=WAIT_S_MAX, check=False, **self.as_user(),
        )  # fmt: skip
        assert said.returncode == 0, said.stderr

    def _reachable(self, found: Path) -> Path:
        """A checkout may lie where nobody looks: then the server is copied out of it."""
        asked = subprocess.run([found / "postgres", "-V"], capture_output=True, check=False, **self.as_user())
        if self.user is None or asked.returncode == 0:
            return found
        copied = self.place / "install"
        shutil.copytree(found.parent, copied, symlinks=True)
        subprocess.run(["chmod", "-R", "go+rX", copied], check=True)
        return copied / found.name

    def as_user(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        found = pwd.getpwnam(self.user)
        return {
            "user": found.pw_uid, "group": found.pw_gid, "extra_groups": [], "cwd": "/", "env": {"PATH": "/usr/bin:/bin"},
        }  # fmt: skip

    def directory(self, name: str, within: Path | None = None) -> Path:
        """Make a directory that is the server's alone."""
        made = (within or self.place) / name
        made.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(made, pwd.getpwnam(self.user).pw_uid, -1)
        return made

    def remove(self) -> None:
        if os.getpid() == self.pid:
            shutil.rmtree(self.place, ignore_errors=True)


@functools.cache
def install() -> Install:
    made = Install()
    atexit.register(made.remove)
    return made


def _copy(source: Path, target: Path) -> None:
    """Copy a stopped cluster, keeping who owns it."""
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)


class Cluster:
    """One server; its superuser is `postgres`, and nobody needs a password. Not started until `start`."""

    def __init__(self, settings: str = QUICK, data: Path | None = None) -> None:
        self.install = install()
        self.place = Path(tempfile.mkdtemp(prefix="rgpc", dir=place()))
        self.place.chmod(0o755)
        self.sockets = self.install.directory("s", self.place)
        self.sockets.chmod(0o755)
        self.data = self.place / "data"
        _copy(data or self.install.image, self.data)
        self._settings = settings
        self._log = (self.place / "log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None
        self._copies = 0

    # -- up and down ----------------------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Cluster:
        """Start it, and wait until it answers; it dies with the thread that calls this."""
        assert self._process is None, "it runs already"
        (self.data / "riskguard.conf").write_text(
            f"{ALWAYS}{self._settings}\nunix_socket_directories = '{self.sockets}'\n"
        )
        with (self.data / "postgresql.conf").open("r+") as file:
            if "riskguard.conf" not in file.read():
                file.write("include 'riskguard.conf'\n")
        self._process = subprocess.Popen(
            [self.install.bin / "postgres", "-D", self.data], stdout=self._log, stderr=self._log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call of the C library, between fork and exec
            **self.install.as_user(),
        )  # fmt: skip
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Ask until it answers a query: for a standby that is when it has become consistent."""
        end = time.monotonic() + WAIT_S_MAX
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                assert self._process is not None and self._process.poll() is None, self.log()
                assert time.monotonic() < end, self.log()
                time.sleep(0.02)

    def stop(self, how: signal.Signals = FAST) -> None:
        """Shut it down: FAST ends sessions and writes what is written, IMMEDIATE leaves it to recovery."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
            self._ended(self._process)

    def kill(self, *, everything: bool = True) -> None:
        """SIGKILL to the postmaster, and to its children as when a machine dies; alone, they notice and leave."""
        assert self._process is not None
        family = [self._process.pid, *self.children()] if everything else [self._process.pid]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._ended(self._process)

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        process.wait(WAIT_S_MAX)
        self._process = None
        # Orphans hold the shared memory; the next start would refuse while one of them lives.
        end = time.monotonic() + WAIT_S_MAX
        while self._orphans():
            assert time.monotonic() < end, "a backend outlived its server"
            time.sleep(0.01)

    def _orphans(self) -> bool:
        """Say whether a process still works in this cluster's directory."""
        for each in Path("/proc").iterdir():
            if each.name.isdigit():
                with contextlib.suppress(OSError):
                    if os.readlink(each / "cwd") == str(self.data):
                        return True
        return False

    def revive(self) -> None:
        """Start it again, whether it still runs, is going down or is gone."""
        self.stop(IMMEDIATE)
        self.start()

    def restart(self, how: signal.Signals = FAST) -> None:
        self.stop(how)
        self.start()

    def children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        with contextlib.suppress(FileNotFoundError):
            return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def freeze(self) -> None:
        """SIGSTOP to all of it: connections stay open, new ones are taken by the kernel, and nothing answers."""
        assert self._process is not None
        for pid in (self._process.pid, *self.children()):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        for pid in (*self.children(), self._process.pid):
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    @contextlib.contextmanager
    def files_at_most(self, size: int) -> Iterator[None]:
        """Let no file of it grow beyond *size* bytes, as on a disk that is full; WAL segments of 1 MB go on below."""
        self._limit(size)
        try:
            yield
        finally:
            self._limit("unlimited")

    def _limit(self, size: int | str) -> None:
        """As the server's user: root in a container may not do it to another's process, and its owner may."""
        assert self._process is not None
        for pid in (self._process.pid, *self.children()):
            asked = ["prlimit", "--pid", str(pid), f"--fsize={size}:unlimited"]
            done = subprocess.run(asked, check=False, capture_output=True, text=True, **self.install.as_user())
            assert done.returncode == 0 or not _is_alive(pid), done.stderr

    def close(self) -> None:
        """End it and take its files away."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self.thaw()
            self.stop(IMMEDIATE)
        self._log.close()
        shutil.rmtree(self.place, ignore_errors=True)

    # -- older and other copies -----------------------------------------------------------------------------------------

    def copy(self) -> Path:
        """Copy the cluster as it is on disk now; a running one is stopped for it and started again."""
        running = self._process is not None
        if running:
            self.stop()
        self._copies += 1
        made = self.place / f"copy{self._copies}"
        _copy(self.data, made)
        if running:
            self.start()
        return made

    def restore(self, older: Path) -> None:
        """Go back to *older*, as a server restored from last night's backup does, and start."""
        if self._process is not None:
            self.stop(IMMEDIATE)
        shutil.rmtree(self.data)
        _copy(older, self.data)
        self.start()

    def standby(self, *, follow: bool) -> Cluster:
        """Start a read-only server from a copy of this one; it follows this one, or stays where the copy was."""
        settings = f"{self._settings}\nhot_standby = on\n"
        if follow:
            settings += f"primary_conninfo = 'host={self.sockets} user=postgres'\n"
        other = Cluster(settings, self.copy())
        signal_file = other.data / "standby.signal"
        signal_file.touch()
        status = other.data.stat()
        os.chown(signal_file, status.st_uid, status.st_gid)
        return other.start()

    def promote(self) -> None:
        """Make a standby the server that is written to."""
        with self.connect() as connection:
            connection.execute("SELECT pg_promote(wait => true, wait_seconds => 60)")

    def caught_up(self, primary: Cluster) -> bool:
        """Say whether this standby has replayed everything *primary* has written."""
        with primary.connect() as connection:
            row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        assert row is not None
        with self.connect() as connection:
            found = connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row).fetchone()
        return bool(found and found[0])

    # -- databases ------------------------------------------------------------------------------------------------------

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.sockets}"

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url(database, user), autocommit=True)

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database, as a copy of *template*; returns its URL. Copied as files, which is the cheaper way without fsync."""
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(name)

    def log(self) -> str:
        return (self.place / "log").read_text(errors="replace")


def _is_alive(pid: int) -> bool:
    """Say whether it is a process still, and not only one that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextlib.contextmanager
def cluster(settings: str = QUICK, data: Path | None = None) -> Iterator[Cluster]:
    """A started server, gone with the block."""
    made = Cluster(settings, data)
    try:
        yield made.start()
    finally:
        made.close()


@functools.cache
def prepared(build: Callable[[str], object], day: str = "") -> Path:
    """
    A stopped cluster whose database `risk` *build* has filled (it is given the URL): copied for each test, never used.

    What is built of a *day* is built anew for the next one.
    """
    with cluster() as made:
        build(made.create("risk"))
        made.stop()
        kept = install().place / f"prepared{len(list(install().place.glob('prepared*')))}"
        _copy(made.data, kept)
    return kept
