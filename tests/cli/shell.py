"""A shell in a directory of its own: runs the installed `riskguard` command as a person or a script would."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("riskguard")
FORKER = Path(__file__).with_name("forker.py")
ROOT = Path(__file__).parents[2]
SECONDS_MAX = 60

BUY = ("--segment", "NSE_EQ", "--security", "1333", "--side", "BUY", "--qty", "10", "--price", "1650")
"""An order the shipped limits let pass; a quantity of 100 is above the order value."""
TOO_MUCH = ("--segment", "NSE_EQ", "--security", "1333", "--side", "BUY", "--qty", "100", "--price", "1650")


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document of standard output; anything before or after it is an error."""
        return json.loads(self.out)

    def is_one_line_error(self) -> bool:
        """Say whether standard error holds exactly one line that begins like ours, and no traceback."""
        lines = self.err.splitlines()
        return len(lines) == 1 and lines[0].startswith("riskguard: ") and "Traceback" not in self.out + self.err


class Forker:
    """A process that has imported riskguard and forks a command whenever asked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(FORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def run(self, **request: Any) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SECONDS_MAX)
        self._process.stdout.close()


@dataclass
class Shell:
    """
    Commands in *directory*, with a host home of their own and no terminal.

    Calling it forks a warm command; `cold` starts the installed one, imports and all.
    """

    directory: Path
    forker: Forker
    more: dict[str, str] = field(default_factory=dict)  # environment besides the usual
    server_url: str = ""  # the database's, where it is not the file here

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def database(self) -> Path:
        return self.directory / "risk.db"

    @property
    def url(self) -> str:
        return self.server_url or f"sqlite:///{self.database}"

    @property
    def market(self) -> Path:
        """The paper market's own file: beside the database's, or on the host of a server's programs."""
        if not self.server_url:
            return self.directory / "risk.paper.db"
        from riskguard.store.engines import postgresql

        return self.home / "postgresql" / f"{postgresql.digest(self.server_url)}.paper.db"

    @property
    def places(self) -> int:
        """How many directories hold its flags: the host's, and the one beside a file."""
        return 1 if self.server_url else 2

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.directory),
            "RISKGUARD_HOME": str(self.home),
            "RISKGUARD_DB": self.url,
            "COLUMNS": "200",
            **self.more,
            **more,
        }

    def __call__(self, *words: str, stdin: bytes = b"", **more: str) -> Answer:
        """Run one command to its end; a variable given as "" is left out of the environment."""
        paths = {name: self.directory / f".{name}" for name in ("stdin", "stdout", "stderr")}
        paths["stdin"].write_bytes(stdin)
        env = {name: value for name, value in self.environment(**more).items() if value}
        status = self.forker.run(
            words=words, env=env, cwd=str(self.directory), seconds=SECONDS_MAX,
            **{name: str(path) for name, path in paths.items()},
        )  # fmt: skip
        return Answer(status, paths["stdout"].read_text(), paths["stderr"].read_text())

    def cold(self, *words: str, **more: str) -> Answer:
        """Run the installed command in a process of its own."""
        done = subprocess.run(
            [str(COMMAND), *words], cwd=self.directory, env=self.environment(**more), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start the installed command and do not wait for it."""
        return subprocess.Popen(
            [str(COMMAND), *words], cwd=self.directory, env=self.environment(**more), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rows(self, sql: str, *values: object, database: Path | None = None) -> list[tuple[Any, ...]]:
        """Read the database, or another file, with plain SQL."""
        if self.server_url and database is None:
            from tests.postgres.desk import plain, spelled

            with plain(self.server_url) as server:
                return server.execute(spelled(sql), values).fetchall()
        with closing(sqlite3.connect(f"file:{database or self.database}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql, values).fetchall()

    def write(self, *statements: str, **values: object) -> int:
        """Change the database with plain SQL, in one transaction; `:name` stands for a value. Returns the rows changed."""
        if self.server_url:
            from tests.postgres.desk import named, plain

            with plain(self.server_url) as server, server.transaction():
                return sum(server.execute(named(sql), values).rowcount for sql in statements)
        with closing(sqlite3.connect(self.database, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            changed = sum(connection.execute(sql, values).rowcount for sql in statements)
            connection.execute("COMMIT")
            return changed

    @contextmanager
    def disarmed(self, table: str) -> Iterator[None]:
        """Let *table* be forged: none of its triggers asks within."""
        if self.server_url:
            self.write(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            yield
            self.write(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            return
        triggers = self.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", table)
        self.write(*(f"DROP TRIGGER {name}" for name, _sql in triggers))
        yield
        self.write(*(sql for _name, sql in triggers))

    def flags(self) -> list[str]:
        """Names of the halt flags of the host and of the database."""
        return sorted(
            path.name for place in (self.home, self.directory) for path in (place / "halt").glob("*") if path.is_file()
        )

    def copied(self, to: Path, server_url: str = "") -> Shell:
        """The same directory elsewhere, with a database that was copied already; nobody may have it open."""
        shutil.copytree(self.directory, to)
        return Shell(to, self.forker, dict(self.more), server_url)
