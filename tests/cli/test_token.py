"""`riskguard token`, `secrets` and `edis`, as a person or a script runs them."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from riskguard.errors import SecretError
from riskguard.store.database import open_database
from riskguard.store.rows.edis import EdisTransactionRow
from tests.cli.shell import COMMAND, Shell
from tests.store import v3_files
from tests.store.secret_desk import jwt, value


def token(hours: float = 20, **claims: object) -> str:
    return jwt(exp=int(time.time() + hours * 3600), **claims)


def stored(shell: Shell) -> list[tuple[object, ...]]:
    return shell.rows("SELECT account_type, is_active, expires_at FROM auth_tokens ORDER BY id")


def set_token(shell: Shell, given: str, *words: str, **more: str) -> object:
    return shell("token", "set", "leader", *words, stdin=given.encode(), **more)


# -- set ---------------------------------------------------------------------------------------------------------------


def test_a_token_is_piped_in_and_shown_nowhere(shell: Shell) -> None:
    """`secrets init`, `token set`, `token status`: the token is in no output, and the file holds an envelope."""
    assert shell("secrets", "init").status == 0
    given = token()

    done = shell("token", "set", "leader", stdin=f"{given}\n".encode())
    shown = shell("token", "status", "leader")

    assert (done.status, shown.status) == (0, 0), done.err + shown.err
    assert "valid" in shown.out and "sealed" in shown.out
    for answer in (done, shown):
        assert given[:24] not in answer.out + answer.err and given[-12:] not in answer.out + answer.err
    ((envelope,),) = shell.rows("SELECT access_token FROM auth_tokens WHERE is_active = 1")
    assert envelope.startswith("rg1:")
    assert shell("db", "check").status == 0


def test_status_as_json(shell: Shell) -> None:
    """One document an account: how it is kept, with which key from where, and how long it lives."""
    shell("secrets", "init")
    set_token(shell, token(hours=5))

    (found,) = shell("token", "status", "--json").document

    assert found["account"] == "leader" and found["token"] == "valid" and found["kept"] == "sealed"
    assert found["key_id"] == shell("secrets", "status", "--json").document["key_ids"][0]
    assert "secrets.key" in found["source"] and 5 * 3600 - 60 < found["expires_in_s"] <= 5 * 3600


def test_a_token_at_the_prompt_is_not_echoed(shell: Shell) -> None:
    """With a terminal the token is asked for, and what is typed does not appear on it."""
    shell("secrets", "init")
    given = token()
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        [str(COMMAND), "token", "set", "leader"], cwd=shell.directory, env=shell.environment(), stdin=secondary,
        stdout=subprocess.PIPE, stderr=secondary, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(secondary)
        seen = b""
        while b"Access token of leader" not in seen:
            seen += os.read(primary, 1024)
        os.write(primary, f"{given}\n".encode())
        out, _ = process.communicate(timeout=60)
        try:
            while chunk := os.read(primary, 1024):
                seen += chunk
        except OSError:
            pass  # the other end is closed
    os.close(primary)

    assert process.returncode == 0, out + seen
    assert given[:24].encode() not in out + seen
    assert [row[:2] for row in stored(shell)] == [("leader", 1)]


def test_a_token_is_never_an_argument(shell: Shell) -> None:
    """As a word or an option: refused, status 2, not echoed, and nothing is stored."""
    shell("secrets", "init")
    given = token()
    for words in ((given,), ("--token", given), (f"--token={given}",), ("not-a-jwt-canary",)):
        answer = shell("token", "set", "leader", *words)

        assert answer.status == 2 and answer.is_one_line_error(), words
        assert words[-1] not in answer.err + answer.out and "no argument" in answer.err
    assert stored(shell) == []


WRONG = [
    ("", "no token was given"),
    ("two words", "one word"),
    ("x" * 9_000, "longer than"),
    ("EXPIRED", "--force"),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=lambda text: text[:8])
def test_what_is_no_token_is_refused(shell: Shell, given: str, said: str) -> None:
    """Status 2 and one line, in JSON too."""
    shell("secrets", "init")
    given = token(hours=-1) if given == "EXPIRED" else given

    answer = shell("token", "set", "leader", "--json", stdin=given.encode())

    assert answer.status == 2 and answer.is_one_line_error() and said in answer.err
    assert answer.document["error"] == "TokenInvalidError" and (not given or given not in answer.out + answer.err)
    assert stored(shell) == []


def test_an_expired_token_with_force(shell: Shell) -> None:
    """Stored, said, and `status` leaves with 3."""
    shell("secrets", "init")

    done = shell("token", "set", "leader", "--force", stdin=token(hours=-1).encode())

    assert done.status == 0 and "expired" in done.err
    shown = shell("token", "status", "leader")
    assert shown.status == 3 and "expired" in shown.out and "ago" in shown.out


def test_a_token_that_does_not_say_when_it_ends(shell: Shell) -> None:
    shell("secrets", "init")

    done = shell("token", "set", "leader", stdin=b"an-opaque-token")

    assert done.status == 0 and "does not say when it expires" in done.err
    assert shell("token", "status").status == 0


# -- who has none, which key -------------------------------------------------------------------------------------------


def test_every_status_of_status(shell: Shell) -> None:
    """3 without a token, 2 without such an account, 1 when it cannot be read: three different answers."""
    shell("secrets", "init")
    none = shell("token", "status")
    assert none.status == 3 and "none" in none.out
    assert shell("token", "status", "nobody").status == 2
    assert shell("token", "set", "nobody", stdin=b"x").status == 2
    set_token(shell, token())
    assert shell("token", "status").status == 0

    (shell.home / "secrets.key").rename(shell.home / "away")
    assert shell("secrets", "init").status == 0
    wrong = shell("token", "status", "--json")

    assert wrong.status == 1 and wrong.document[0]["token"] == "unreadable"
    assert wrong.document[0]["key_id"] in wrong.document[0]["problem"]
    (shell.home / "secrets.key").unlink()
    assert shell("token", "status", "--json").document[0]["token"] == "unreadable"


def test_no_key_no_token(shell: Shell) -> None:
    """Without a key nothing is stored, not in clear either; the line says how to make one."""
    answer = shell("token", "set", "leader", stdin=token().encode())

    assert answer.status == 1 and answer.is_one_line_error() and "riskguard secrets init" in answer.err
    assert stored(shell) == []


def test_a_key_in_the_environment_warns(shell: Shell) -> None:
    shell("secrets", "init")
    key = (shell.home / "secrets.key").read_text().splitlines()[-1]
    (shell.home / "secrets.key").unlink()

    done = set_token(shell, token(), RISKGUARD_SECRET_KEY=key)
    shown = shell("secrets", "status", RISKGUARD_SECRET_KEY=key)

    assert done.status == 0 and shown.status == 0  # type: ignore[attr-defined]
    assert "seen by every child" in shown.out and key not in shown.out + shown.err


def test_a_key_file_others_can_read(shell: Shell) -> None:
    shell("secrets", "init")
    (shell.home / "secrets.key").chmod(0o644)

    for words in (("token", "status"), ("secrets", "status"), ("secrets", "rotate")):
        answer = shell(*words)
        assert answer.status in (1, 3) and ("chmod 600" in answer.err or "none" in answer.out), words


def test_token_rotate_seals_what_lies_in_clear(shell: Shell) -> None:
    """What a program of version 3 wrote is shown as plain, sealed by `token rotate`, and stays the same token."""
    shell("secrets", "init")
    shell.write(
        "INSERT INTO auth_tokens (account_type, access_token, is_active, created_at, updated_at) "
        "VALUES ('leader', 'clear-text-token', 1, 1, 1)"
    )
    assert "plain" in shell("token", "status").out
    assert shell("secrets", "status").status == 1

    done = shell("token", "rotate", "leader", "--json")

    assert done.status == 0 and done.document["encrypted"] == 1
    assert shell("secrets", "status").status == 0
    ((envelope,),) = shell.rows("SELECT access_token FROM auth_tokens")
    assert envelope.startswith("rg1:")
    assert shell("token", "rotate", "nobody").status == 2


# -- keys --------------------------------------------------------------------------------------------------------------


def test_init_status_rotate(shell: Shell) -> None:
    """A first key, shown by its id; a dry run; a rotation that names the old key; a second `init` is refused."""
    made = shell("secrets", "init", "--json")
    assert made.status == 0
    again = shell("secrets", "init")
    assert again.status == 1 and again.is_one_line_error() and "already" in again.err
    given = token()
    set_token(shell, given)

    dry = shell("secrets", "rotate", "--dry-run", "--json")
    assert dry.status == 0 and dry.document["dry_run"] and dry.document["key_id"] == made.document["key_id"]
    done = shell("secrets", "rotate")
    assert done.status == 0 and made.document["key_id"] in done.out and "drop its line" in done.out

    shown = shell("secrets", "status", "--json")
    assert shown.status == 0 and shown.document["not_needed_here"] == [made.document["key_id"]]
    assert shown.document["key_ids"][1:] == [made.document["key_id"]]
    keys = (shell.home / "secrets.key").read_text().splitlines()[1:]
    for answer in (made, dry, done, shown):
        assert not [key for key in keys if key in answer.out + answer.err]
    with open_as(shell) as database, pytest.raises(SecretError):
        value(database.authentication.get_token("leader"))  # this process's home holds no key
    assert shell("token", "status").status == 0


def open_as(shell: Shell) -> closing:  # type: ignore[type-arg]
    return closing(open_database(shell.url))


def test_without_a_key_everything_says_so(shell: Shell) -> None:
    assert shell("secrets", "status").status == 0
    rotated = shell("secrets", "rotate")
    assert rotated.status == 1 and rotated.is_one_line_error() and "riskguard secrets init" in rotated.err
    both = shell("secrets", "init", "--keyring", "--to", "x")
    assert both.status == 2 and both.is_one_line_error()
    headless = shell("secrets", "init", "--keyring")
    assert headless.status == 1 and headless.is_one_line_error() and "no keyring that encrypts" in headless.err


def test_a_key_beside_the_database_is_warned_about(empty: Shell) -> None:
    """In the default layout the database lies in the host directory: one copy would hold both."""
    more = {"RISKGUARD_DB": f"sqlite:///{empty.home}/riskguard.db"}
    assert empty("init", **more).status == 0

    assert "a copy of" in empty("secrets", "init", **more).out

    elsewhere = empty.directory / "keys" / "riskguard.key"
    made = empty("secrets", "init", "--to", str(elsewhere), **more)
    assert made.status == 0 and "a copy of" not in made.out
    shown = empty("secrets", "status", RISKGUARD_SECRET_KEY_FILE=str(elsewhere), **more)
    assert str(elsewhere) in shown.out


def test_no_database(empty: Shell) -> None:
    """Each command says it in one line."""
    for words in (
        ("token", "status"),
        ("token", "set", "leader"),
        ("secrets", "status"),
        ("edis", "status"),
        ("token", "rotate", "leader"),
    ):
        answer = empty(*words, stdin=b"x")
        assert answer.status == 1 and answer.is_one_line_error(), words


# -- eDIS --------------------------------------------------------------------------------------------------------------


def test_edis_status(shell: Shell) -> None:
    """Quantities per ISIN; an account that is not there is malformed input; none is said in words."""
    assert "no authorisation" in shell("edis", "status").out
    now_s = int(time.time())
    with open_as(shell) as database:
        for status, expires_at in (("AUTHORIZED", now_s + 3600), ("AUTHORIZED", now_s - 1), ("PENDING", None)):
            database.edis.add(
                EdisTransactionRow(
                    account_type="leader", isin="INE040A01034", qty=5, exchange="NSE", segment="EQ", status=status,
                    created_at=now_s, updated_at=now_s, expires_at=expires_at, tpin="482913",
                )
            )  # fmt: skip

    shown = shell("edis", "status", "leader")
    (found,) = shell("edis", "status", "--json").document

    assert "INE040A01034" in shown.out and "482913" not in shown.out
    assert (found["authorised"], found["pending"], found["expired"]) == (5, 5, 5)
    assert shell("edis", "status", "nobody").status == 2


# -- upgrade -----------------------------------------------------------------------------------------------------------


def old_file(shell: Shell) -> Path:
    with closing(v3_files.build(shell.database, 3)) as connection:
        v3_files.fill(connection, 5)
        with connection:
            connection.execute("DELETE FROM auth_tokens")
            connection.execute(
                "INSERT INTO auth_tokens (account_type, access_token, refresh_token, is_active, created_at, updated_at) "
                "VALUES ('leader', 'old-access-canary', 'old-refresh-canary', 1, 1, 1)"
            )
            connection.execute("INSERT INTO config VALUES ('bot', 'old-bot-canary', 'string', '', '', 1, 1)")
            connection.execute(  # schema 4 has no place for this column: the whole row goes into the quarantine too
                "ALTER TABLE auth_tokens ADD COLUMN api_secret TEXT DEFAULT 'old-api-canary'"
            )
    return shell.database


def test_upgrade_seals_what_lay_in_clear(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key at hand: sealed in the tables and in the quarantine, reported, the same values when read."""
    assert empty("secrets", "init").status == 0
    old_file(empty)

    done = empty("db", "upgrade", "--position-size-unit", "inr")

    assert done.status == 0, done.err
    assert "were sealed with key" in done.out
    raw = empty.database.read_bytes()
    for canary in (b"old-access-canary", b"old-refresh-canary", b"old-bot-canary", b"old-api-canary"):
        assert canary not in raw
    assert empty("secrets", "status").status == 0
    monkeypatch.setenv("RISKGUARD_HOME", str(empty.home))
    with open_as(empty) as database:
        assert value(database.authentication.get_token("leader")) == "old-access-canary"
        assert value(database.authentication.get_setting("bot")) == "old-bot-canary"
    assert empty("secrets", "rotate").status == 0
    assert empty("db", "check").status == 0


def test_upgrade_without_a_key_says_what_lies_in_clear(empty: Shell) -> None:
    """Nothing is lost and nothing goes into the quarantine in clear; the report says what to do, and that works."""
    old_file(empty)

    done = empty("db", "upgrade", "--position-size-unit", "inr")

    assert done.status == 0
    assert "lie in clear" in done.out and "left out there" in done.out and "riskguard secrets init" in done.out
    assert empty.rows("SELECT access_token FROM auth_tokens") == [("old-access-canary",)]
    kept = " ".join(row[0] for row in empty.rows("SELECT raw FROM quarantine WHERE source_table = 'auth_tokens'"))
    assert "in the backup" in kept and "canary" not in kept
    (backup,) = empty.directory.glob("*backup*")
    assert b"old-api-canary" in backup.read_bytes() and backup.stat().st_mode & 0o077 == 0

    assert empty("secrets", "init").status == 0
    assert empty("secrets", "rotate").status == 0
    assert empty("secrets", "status").status == 0
    assert empty.rows("SELECT access_token FROM auth_tokens")[0][0].startswith("rg1:")
    for canary in (b"old-access-canary", b"old-refresh-canary", b"old-bot-canary"):
        assert canary not in empty.database.read_bytes(), "the space of the clear value was not overwritten"


def test_upgrade_refuses_a_key_file_others_can_read(empty: Shell) -> None:
    """Before anything is begun: one `chmod` mends it."""
    empty("secrets", "init")
    (empty.home / "secrets.key").chmod(0o644)
    before = old_file(empty).read_bytes()

    answer = empty("db", "upgrade", "--position-size-unit", "inr")

    assert answer.status == 1 and answer.is_one_line_error() and "chmod 600" in answer.err
    assert empty.database.read_bytes() == before
