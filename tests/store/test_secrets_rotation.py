"""Goal: under a new key every secret opens, and wherever a rotation is cut off, every secret still opens."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.errors import (
    SecretError,
    SecretKeyError,
    SecretTamperedError,
    SecretWrongKeyError,
    StoreUnavailableError,
)
from riskguard.services.secrets import rotate, standing
from riskguard.store.database import Database, open_database
from riskguard.store.secrets import keys as sources
from riskguard.store.secrets.fields import FIELDS, QUARANTINED, kept_place
from tests.services.desk import copy, locked
from tests.store.secret_desk import everything, rows, value, write

SECRETS = 6  # values `everything` writes: two access tokens and one of each other kind


@pytest.fixture
def path(templates: Callable[..., Path], tmp_path: Path, home: Path) -> Path:
    return copy(templates(), tmp_path / "desk")


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{path}") as opened:
        yield opened


def kept_aside(path: Path, **raw: Any) -> None:
    """Put a row into the quarantine as an earlier upgrade left it."""
    write(
        path,
        "INSERT INTO quarantine (source_table, source_version, source_rowid, reason, raw, at_us) "
        "VALUES ('auth_tokens', 3, 9, 'a test', ?, 1763786700000000)",
        json.dumps(raw),
    )


def sealed_with(path: Path) -> set[str]:
    """Ids of all keys that anything in the file is sealed with."""
    with open_database(f"sqlite:///{path}") as database:
        return {key for each in standing(database, None) for key in each.by_key}


def all_open(path: Path, readers: dict[str, Callable[[], str]]) -> None:
    """Every secret opens with the keys at hand, from a fresh start."""
    with open_database(f"sqlite:///{path}") as database:
        found = standing(database, sources.load())
        assert [line for each in found for line in each.unreadable] == []
        assert sum(each.plain for each in found) == 0
        for wanted, read in readers.items():
            assert read() == wanted


# -- done --------------------------------------------------------------------------------------------------------------


def test_a_rotation_brings_everything_under_a_new_key(path: Path, database: Database) -> None:
    """Every field, one new key, nothing under the old; the old key is named as no longer needed, and stays at hand."""
    old = sources.create_file()
    readers = everything(database)
    assert sealed_with(path) == {old.newest}

    done = rotate(database)

    assert done.key_id != old.newest and done.older == old.ids and not done.dry_run
    assert sum(each.renewed for each in done.fields) == SECRETS
    assert {each.name for each in done.fields if each.renewed} == {each.name for each in FIELDS}
    assert sealed_with(path) == {done.key_id}
    assert sources.load().ids == (done.key_id, *old.ids)
    all_open(path, readers)


def test_without_a_new_key_what_is_current_stays(path: Path, database: Database) -> None:
    """`--no-new-key` finishes what was cut off and otherwise writes nothing: no envelope changes, no key is made."""
    keys = sources.create_file()
    everything(database)
    before = rows(path, "SELECT access_token FROM auth_tokens ORDER BY id")

    done = rotate(database, new_key=False)

    assert [each.renewed + each.encrypted for each in done.fields] == [0] * len(done.fields)
    assert rows(path, "SELECT access_token FROM auth_tokens ORDER BY id") == before
    assert sources.load().keys == keys.keys


def test_a_dry_run_changes_nothing(path: Path, database: Database, home: Path) -> None:
    """It counts what would be done, makes no key and writes no row."""
    sources.create_file()
    everything(database)
    write(path, "UPDATE auth_tokens SET access_token = 'in the clear' WHERE is_active = 0")
    before = rows(path, "SELECT * FROM auth_tokens"), (home / "secrets.key").read_bytes()

    done = rotate(database, dry_run=True)

    assert done.dry_run and sum(each.encrypted for each in done.fields) == 1
    assert (rows(path, "SELECT * FROM auth_tokens"), (home / "secrets.key").read_bytes()) == before


def test_what_other_programs_wrote_in_clear_is_sealed(path: Path, database: Database) -> None:
    """Tokens, settings, a TPIN that SQLite keeps as bytes: read as `plain` before, sealed after, the same value."""
    sources.create_file()
    readers = everything(database)
    write(path, "UPDATE auth_tokens SET access_token = 'plain token' WHERE is_active = 1")
    write(path, "UPDATE edis_transactions SET tpin = CAST('135790' AS BLOB)")
    write(path, "UPDATE config SET value = 'plain setting' WHERE is_sensitive = 1")
    found = database.authentication.get_token("leader")
    assert found is not None and found.kept == "plain"

    done = rotate(database)

    assert sum(each.encrypted for each in done.fields) == 3
    readers = {
        "plain token": readers["token-of-leader-2"],
        "135790": readers["482913"],
        "plain setting": readers["bot-secret-value"],
    }
    all_open(path, readers)
    found = database.authentication.get_token("leader")
    assert found is not None and found.kept == "sealed"


def test_settings_that_are_not_sensitive_are_left_alone(path: Path, database: Database) -> None:
    """Only rows marked as sensitive are sealed; sealing riskguard's own would stop every process."""
    sources.create_file()
    before = rows(path, "SELECT key, value FROM config WHERE is_sensitive = 0 ORDER BY key")

    rotate(database)

    assert rows(path, "SELECT key, value FROM config WHERE is_sensitive = 0 ORDER BY key") == before


def test_rows_kept_aside_are_sealed_and_renewed(path: Path, database: Database) -> None:
    """A secret in the quarantine's JSON comes under the key as well, and its old value can be had back."""
    sources.create_file()
    kept_aside(path, id=9, access_token="old-token-in-clear", tpin=7, is_active=1)

    first = rotate(database)
    second = rotate(database)

    ((raw,),) = rows(path, "SELECT raw FROM quarantine")
    assert "old-token-in-clear" not in raw and json.loads(raw)["is_active"] == 1
    assert (first.fields[-1].name, first.fields[-1].encrypted) == (QUARANTINED, 2)
    assert second.fields[-1].renewed == 2 and sealed_with(path) == {second.key_id}
    sealed = json.loads(raw)["access_token"]["sealed"]
    assert json.loads(sources.load().open(sealed, kept_place("auth_tokens", 9, "access_token"))) == "old-token-in-clear"


# -- refused -----------------------------------------------------------------------------------------------------------


def test_a_value_that_does_not_open_stops_it_before_a_key_is_made(path: Path, database: Database, home: Path) -> None:
    """One token under a lost key, or one that was tampered with: no new key, no row changed, the row is named."""
    sources.create_file()
    everything(database)
    key_file, table = (home / "secrets.key").read_bytes(), "SELECT * FROM auth_tokens"
    (stored,) = rows(path, "SELECT access_token FROM auth_tokens WHERE is_active = 1")[0]
    for wrong, error in (
        ("rg1:0badc0de:" + stored[13:], SecretWrongKeyError),
        (stored[:-4] + "AAAA", SecretTamperedError),
    ):
        write(path, "UPDATE auth_tokens SET access_token = ? WHERE is_active = 1", wrong)
        before = rows(path, table)

        with pytest.raises(error, match=r"auth_tokens\.access_token of row `2`"):
            rotate(database)
        assert (rows(path, table), (home / "secrets.key").read_bytes()) == (before, key_file)


def test_a_swapped_token_is_noticed_by_its_reader(path: Path, database: Database) -> None:
    """Two rows whose envelopes were exchanged open neither; a row given to another account opens no more."""
    sources.create_file()
    everything(database)
    first, second = (row[0] for row in rows(path, "SELECT access_token FROM auth_tokens ORDER BY id"))
    write(path, "UPDATE auth_tokens SET access_token = ? WHERE id = 2", first)

    with pytest.raises(SecretTamperedError):
        database.authentication.get_token("leader")
    write(path, "UPDATE auth_tokens SET access_token = ? WHERE id = 2", second)
    assert value(database.authentication.get_token("leader")) == "token-of-leader-2"
    write(path, "UPDATE auth_tokens SET account_type = 'follower' WHERE id = 2")
    with pytest.raises(SecretTamperedError):
        database.authentication.get_token("follower")


def test_a_busy_database_is_an_error_and_nothing_is_lost(path: Path, home: Path) -> None:
    """A lock held by somebody else ends it in time; the key is there already, so the next attempt only seals."""
    sources.create_file()
    with open_database(f"sqlite:///{path}") as database:
        readers = everything(database)
    with Database(f"sqlite:///{path}", deadline_ms=50) as impatient, locked(path), pytest.raises(StoreUnavailableError):
        rotate(impatient)
    all_open(path, readers)

    with open_database(f"sqlite:///{path}") as database:
        done = rotate(database, new_key=False)
    assert sealed_with(path) == {done.key_id}


def test_no_key_no_rotation(database: Database) -> None:
    with pytest.raises(SecretKeyError, match="riskguard secrets init"):
        rotate(database)


# -- cut off -----------------------------------------------------------------------------------------------------------

STEPS = [
    "look",
    "key",
    "os.write",
    "os.fsync",
    "os.replace",
    "os.replace after",
    "reseal",
    "value 1",
    "value 4",
    "commit",
    "done",
]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(step: str, path: Path) -> None:
    """Rotate in a child that SIGKILLs itself at *step*; fails when the child never came there."""
    pid = os.fork()
    if pid == 0:
        try:
            _rotate_and_die(step, path)
        finally:
            os._exit(3)
    _pid, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"the child never reached `{step}`"


def _rotate_and_die(step: str, path: Path) -> None:
    seen = 0

    def on_stage(name: str) -> None:
        if name == step:
            die()

    def on_progress(_what: str, _done: int, _total: int) -> None:
        nonlocal seen
        seen += 1
        if step == f"value {seen}":
            die()

    name, _, when = step.removeprefix("os.").partition(" ")
    if step.startswith("os."):
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not when:
                die()
            real(*args, **kwargs)
            die()

        setattr(os, name, call)
    rotate(open_database(f"sqlite:///{path}"), on_stage=on_stage, on_progress=on_progress)


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_every_value_opens(path: Path, home: Path, step: str) -> None:
    """After SIGKILL at each step all values open, the old key is still there, and running it again finishes."""
    old = sources.create_file()
    with open_database(f"sqlite:///{path}") as database:
        readers = everything(database)

    killed_at(step, path)

    assert old.keys[0] in sources.load().keys
    all_open(path, readers)
    with open_database(f"sqlite:///{path}") as database:
        done = rotate(database)
    assert sealed_with(path) == {done.key_id}
    all_open(path, readers)


def test_the_test_would_notice_a_key_that_comes_too_late(path: Path, home: Path) -> None:
    """Negative control: values sealed before their key is durable are lost when the machine dies between the two."""
    old = sources.create_file()
    with open_database(f"sqlite:///{path}") as database:
        readers = everything(database)
        before = (home / "secrets.key").read_bytes()
        rotate(database)
    (home / "secrets.key").write_bytes(before)  # as if the key had not reached the disk

    with pytest.raises(AssertionError):
        all_open(path, readers)
    with open_database(f"sqlite:///{path}") as database, pytest.raises(SecretWrongKeyError):
        database.authentication.get_token("leader")
    assert sources.load().keys == old.keys


# -- at once -----------------------------------------------------------------------------------------------------------


def test_two_rotations_and_writers_at_once(path: Path, home: Path) -> None:
    """Rotations in two threads while tokens are set: some give way, and at the end every value opens."""
    sources.create_file()
    with open_database(f"sqlite:///{path}") as database:
        readers = everything(database)
    failures: list[BaseException] = []

    def work(call: Callable[[Database], Any]) -> None:
        with open_database(f"sqlite:///{path}") as mine:
            for _ in range(5):
                try:
                    call(mine)
                except (SecretError, StoreUnavailableError):
                    pass  # gave way to the other
                except BaseException as e:
                    failures.append(e)

    calls: list[Callable[[Database], Any]] = [
        rotate,
        rotate,
        lambda mine: mine.authentication.set_token("leader", "token-of-leader-2", refresh_token="refresh-of-leader"),
    ]
    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == [] and not any(thread.is_alive() for thread in threads)
    all_open(path, readers)
    assert rows(path, "SELECT count(*) FROM auth_tokens WHERE is_active = 1") == [(1,)]
