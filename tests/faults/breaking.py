"""
What can be wrong with a database's files, done to them and undone: the rows of the fault matrix.

Each is a context: inside it the fault stands, after it the files are as they were, except for what was written meanwhile
to the right ones. Faults of the disk itself are switches of the stage and have no context here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HOLD = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
signal.raise_signal(signal.SIGSTOP)
"""
RECOVER = """
import fcntl, signal, sys
shared = open(sys.argv[1] + "-shm", "r+b")
fcntl.lockf(shared, fcntl.LOCK_EX, 3, 120)  # WRITE, CHECKPOINT and RECOVER, and a header not yet written anew
shared.write(bytes(96))
shared.flush()
print("held", flush=True)
signal.raise_signal(signal.SIGSTOP)
"""


@contextlib.contextmanager
def _beside(script: str, path: Path) -> Iterator[None]:
    """Let another process hold something and be stopped by SIGSTOP; it dies with the context."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    other = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", script, str(path)], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        os.waitpid(other.pid, os.WUNTRACED)
        yield
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert other.stdout is not None
        other.stdout.close()


def locked_by_a_stopped_process(path: Path) -> contextlib.AbstractContextManager[None]:
    return _beside(HOLD, path)


@contextlib.contextmanager
def recovered_by_a_stopped_process(path: Path) -> Iterator[None]:
    """SIGSTOP in the middle of reading the log anew: nobody else can even read."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM accounts").fetchone()  # so that -shm is there
        with _beside(RECOVER, path):
            yield


@contextlib.contextmanager
def _set_aside(path: Path) -> Iterator[Path]:
    """Keep the right files under other names while something else has theirs."""
    aside = path.with_name("aside")
    aside.mkdir()
    kept = [each for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if each.exists()]
    for each in kept:
        os.rename(each, aside / each.name)
    try:
        yield aside / path.name
    finally:
        for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            if each.is_dir():
                each.rmdir()
            each.unlink(missing_ok=True)
        for each in kept:
            os.rename(aside / each.name, each)
        aside.rmdir()


@contextlib.contextmanager
def missing(path: Path) -> Iterator[None]:
    with _set_aside(path):
        yield


@contextlib.contextmanager
def no_bytes(path: Path) -> Iterator[None]:
    with _set_aside(path):
        path.touch()
        yield


@contextlib.contextmanager
def a_directory(path: Path) -> Iterator[None]:
    with _set_aside(path):
        path.mkdir()
        yield


@contextlib.contextmanager
def not_a_database(path: Path) -> Iterator[None]:
    with _set_aside(path):
        path.write_bytes(b"MZ" + os.urandom(40_000))
        yield


@contextlib.contextmanager
def another_kind_of_database(path: Path) -> Iterator[None]:
    with _set_aside(path):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE accounts (account)")
        yield


@contextlib.contextmanager
def a_newer_schema(path: Path) -> Iterator[None]:
    yield from _of_schema(path, 5)


@contextlib.contextmanager
def an_older_schema(path: Path) -> Iterator[None]:
    yield from _of_schema(path, 3)


def _of_schema(path: Path, version: int) -> Iterator[None]:
    """Another program migrates the file in place, under whoever has it open."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
        yield
        connection.execute("PRAGMA user_version = 4")


@contextlib.contextmanager
def pages_overwritten(path: Path) -> Iterator[None]:
    """Everything behind the first page is lost, as on a failing disk; the file keeps its name."""
    with _set_aside(path) as right:
        shutil.copyfile(right, path)
        size = path.stat().st_size
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        yield


@contextlib.contextmanager
def cut_short(path: Path) -> Iterator[None]:
    """Half of the file is there."""
    with _set_aside(path) as right:
        shutil.copyfile(right, path)
        os.truncate(path, path.stat().st_size // 2)
        yield


@contextlib.contextmanager
def a_copy_in_its_place(path: Path) -> Iterator[None]:
    """The same content under the same name is another file; what is written now goes there, and stays."""
    other = path.with_name("copied")
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.execute("VACUUM INTO ?", (str(other),))
    for name in (f"{path}-wal", f"{path}-shm"):
        Path(name).unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    os.replace(other, path)
    yield


@contextlib.contextmanager
def no_halt_directory(path: Path) -> Iterator[None]:
    halt = path.parent / "halt"
    halt.rename(path.parent / "lost")
    yield
    if halt.exists():
        for each in (path.parent / "lost").iterdir():
            each.rename(halt / each.name)
        (path.parent / "lost").rmdir()
    else:
        (path.parent / "lost").rename(halt)


BREAKS: dict[str, Callable[[Path], contextlib.AbstractContextManager[None]]] = {
    each.__name__: each
    for each in (
        locked_by_a_stopped_process, recovered_by_a_stopped_process, missing, no_bytes, a_directory, not_a_database,
        another_kind_of_database, a_newer_schema, an_older_schema, pages_overwritten, cut_short, a_copy_in_its_place,
        no_halt_directory,
    )
}  # fmt: skip
