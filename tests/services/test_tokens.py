"""Goal: the present token, sealed at rest, read anew when it changed; a person is told once before it ends."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskguard.errors import (
    SecretKeyError,
    SecretWrongKeyError,
    StoreUnavailableError,
    TokenInvalidError,
    TokenMissingError,
)
from riskguard.services import edis, tokens
from riskguard.services.tokens import TokenSource, doubts, expiry_of, set_token
from riskguard.store.calendar import calendar
from riskguard.store.database import Database
from riskguard.store.rows import EdisTransactionRow
from riskguard.store.secrets import keys as sources
from riskguard.store.secrets.envelope import is_sealed
from tests.services.desk import SECOND, START, Clock, Desk, copy
from tests.store.secret_desk import jwt, rows, value, write

NOW_S = START // SECOND  # a Monday, 10:30 in India
CLOSE_S = NOW_S + 5 * 3600  # 15:30


@pytest.fixture
def path(templates: Callable[..., Path], tmp_path: Path, home: Path) -> Path:
    return copy(templates(accounts=("leader", "follower")), tmp_path / "desk")


@pytest.fixture
def database(path: Path, clock: Clock) -> Iterator[Database]:
    sources.create_file()
    with Database(f"sqlite:///{path}", clock=clock) as opened:
        yield opened


# -- setting -----------------------------------------------------------------------------------------------------------


def test_one_active_token_per_account(path: Path, database: Database) -> None:
    """The second switches the first off in the same transaction; the other account keeps its own."""
    first = set_token(database, "leader", jwt(exp=NOW_S + 86_400, n=1))
    other = set_token(database, "follower", jwt(exp=NOW_S + 86_400, n=2))

    second = set_token(database, "leader", jwt(exp=NOW_S + 86_400, n=3) + "\n")

    assert rows(path, "SELECT id, account_type, is_active, expires_at FROM auth_tokens ORDER BY id") == [
        (first.id, "leader", 0, NOW_S + 86_400),
        (other.id, "follower", 1, NOW_S + 86_400),
        (second.id, "leader", 1, NOW_S + 86_400),
    ]
    assert value(database.authentication.get_token("leader")) == jwt(exp=NOW_S + 86_400, n=3)
    assert all(is_sealed(row[0]) for row in rows(path, "SELECT access_token FROM auth_tokens"))


def test_a_failed_set_leaves_the_earlier_token(path: Path, database: Database, home: Path) -> None:
    """No key, no write: the token that was active still is, and nothing is kept in clear."""
    set_token(database, "leader", jwt(exp=NOW_S + 86_400))
    before = rows(path, "SELECT * FROM auth_tokens")
    os.rename(home / "secrets.key", home / "away")

    with pytest.raises(SecretKeyError):
        set_token(database, "leader", jwt(exp=NOW_S + 86_400, n=2))
    assert rows(path, "SELECT * FROM auth_tokens") == before


@pytest.mark.parametrize("text", ["", " \n", "two words", "tab\tinside", "non-ascii-é", "x" * 9_000, "nul\0inside"])
def test_what_is_no_token(path: Path, database: Database, text: str) -> None:
    """Refused in words that do not show it."""
    with pytest.raises(TokenInvalidError) as caught:
        set_token(database, "leader", text)

    assert not text.strip() or text not in str(caught.value)
    assert rows(path, "SELECT count(*) FROM auth_tokens") == [(0,)]


EXPIRY = [
    (jwt(exp=NOW_S), NOW_S),
    (jwt(exp=float(NOW_S)), NOW_S),
    (jwt(exp=str(NOW_S)), None),
    (jwt(), None),
    (jwt(exp=True), None),
    (jwt(exp=-1), None),
    (jwt(exp=NOW_S * 1000), None),
    (jwt(exp=None), None),
    ("opaque-token", None),
    ("a.b.c", None),
    ("..", None),
    ("a.!!.c", None),
    ("a." + "W10" + ".c", None),
]


@pytest.mark.parametrize(("token", "expires_at"), EXPIRY, ids=str)
def test_when_a_token_ends_is_read_out_of_it(token: str, expires_at: int | None) -> None:
    """`exp` in whole seconds; text, milliseconds, booleans and what is no JSON say nothing."""
    assert expiry_of(token) == expires_at


DOUBTS = [
    (None, 0, "does not say when"),
    (NOW_S - 1, 0, "expired at 2025-06-02 10:29:59 IST"),
    (NOW_S, 0, "expired at 2025-06-02 10:30:00 IST"),
    (NOW_S + 1, 0, "before today's close"),
    (CLOSE_S - 1, 0, "before today's close"),
    (CLOSE_S, 0, ""),
    (NOW_S + 86_400, 0, ""),
    (CLOSE_S + 7_200, 6 * 3600, ""),  # set after the close: today is over
    (NOW_S - 86_400 + 3600, -86_400, ""),  # a Sunday has no close
]


@pytest.mark.parametrize(("expires_at", "later_s", "said"), DOUBTS, ids=str)
def test_what_a_person_is_told_of_a_new_token(expires_at: int | None, later_s: int, said: str) -> None:
    """Both sides of now and of the close; on the close itself it holds."""
    found = doubts(expires_at, START + later_s * SECOND, calendar())

    assert (said in found[0]) if said else not found


def test_an_expired_token_wants_force(path: Path, database: Database) -> None:
    """Refused without a trace; with force it is stored, and the warning stays."""
    with pytest.raises(TokenInvalidError, match="--force"):
        set_token(database, "leader", jwt(exp=NOW_S))
    assert rows(path, "SELECT count(*) FROM auth_tokens") == [(0,)]

    assert "expired" in set_token(database, "leader", jwt(exp=NOW_S), force=True).warnings[0]


# -- the present one ---------------------------------------------------------------------------------------------------


def test_a_new_token_is_used_by_the_next_request(path: Path, database: Database, clock: Clock) -> None:
    """Set by another process in the same second, it is what `current` returns next; unchanged, it is the same object."""
    set_token(database, "leader", "first-token")
    source = TokenSource(database, "leader")
    first = source.current()
    assert first.value.get_secret_value() == "first-token" and source.current() is first

    with Database(f"sqlite:///{path}", clock=clock) as other:
        set_token(other, "leader", "second-token")

    assert source.current().value.get_secret_value() == "second-token"


def test_a_token_under_a_new_key_needs_no_restart(database: Database) -> None:
    """A key made after the source began is found when a token names it."""
    from riskguard.services.secrets import rotate

    set_token(database, "leader", "the-token")
    source = TokenSource(database, "leader")
    source.current()

    rotate(database)

    assert source.current().value.get_secret_value() == "the-token"


def test_none_wrong_key_and_no_key_are_three_things(path: Path, database: Database, home: Path) -> None:
    """A token that cannot be read is never reported as no token."""
    source = TokenSource(database, "leader")
    with pytest.raises(TokenMissingError, match="riskguard token set leader"):
        source.current()
    set_token(database, "leader", "the-token")
    assert tokens.status(database, "follower").token == "none"

    (home / "secrets.key").unlink()
    sources.create_file()
    with Database(f"sqlite:///{path}") as other:
        with pytest.raises(SecretWrongKeyError):
            TokenSource(other, "leader").current()
        assert tokens.status(other, "leader").token == "unreadable"
    (home / "secrets.key").unlink()
    with Database(f"sqlite:///{path}") as other:
        with pytest.raises(SecretKeyError):
            TokenSource(other, "leader").current()
        assert (tokens.status(other, "leader").token, tokens.status(other, "leader").kept) == ("unreadable", "sealed")


def test_a_kill_goes_on_without_the_database(path: Path, database: Database) -> None:
    """With the database gone the last known token is given out; a source that never knew one says so."""
    set_token(database, "leader", "the-token")
    source, fresh = TokenSource(database, "leader"), TokenSource(database, "leader")
    source.current()
    database.close()
    path.rename(path.with_name("away.db"))

    assert source.current().value.get_secret_value() == "the-token"
    with pytest.raises(StoreUnavailableError):
        fresh.current()


def test_a_token_in_clear_is_used_and_reported(
    path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """What a version 3 program wrote works, is warned about, and `rotate` seals it."""
    write(
        path,
        "INSERT INTO auth_tokens (account_type, access_token, is_active, created_at, updated_at) VALUES ('leader', ?, 1, 1, 1)",
        "clear-canary-token",
    )
    assert TokenSource(database, "leader").current().value.get_secret_value() == "clear-canary-token"
    assert "lies in clear" in caplog.text and "clear-canary-token" not in caplog.text
    assert tokens.status(database, "leader").kept == "plain"

    assert [each.encrypted for each in database.authentication.rotate("leader")] == [1, 0]

    assert tokens.status(database, "leader").kept == "sealed"
    assert value(database.authentication.get_token("leader")) == "clear-canary-token"


def test_nothing_shows_a_token() -> None:
    """repr of every value that carries one."""
    from pydantic import SecretStr

    from riskguard.store.repositories.authentication import StoredToken
    from riskguard.store.secrets.fields import Opened

    secret = SecretStr("repr-canary")
    for each in (
        Opened(secret, "plain"),
        tokens.AccessToken(1, secret, None),
        StoredToken(1, "a", secret, secret, "", None, None, 1, 1),
    ):
        assert "repr-canary" not in repr(each) + str(each)


# -- before it ends ----------------------------------------------------------------------------------------------------


def test_a_person_is_told_once_per_threshold(desk: Desk, home: Path) -> None:
    """Two hours, thirty minutes, expired: each once, on its edge; a new token starts over."""
    sources.create_file()
    with Database(desk.url, clock=desk.clock) as database:
        ends = desk.clock.now_us() // SECOND + 3 * 3600
        set_token(database, "leader", jwt(exp=ends))
        heard: list[tuple[int, str]] = []

        def sweep_at(left_s: int) -> None:
            desk.clock.at_us = (ends - left_s) * SECOND
            before = len(desk.alerts.said)
            desk.sweep()
            heard.extend(
                (left_s, severity) for _account, severity, said in desk.alerts.said[before:] if "access token" in said
            )

        for left_s in (7_204, 7_196, 7_100, 1_804, 1_796, 60, 4, -4, -60):
            sweep_at(left_s)
        assert heard == [(7_196, "warning"), (1_796, "warning"), (-4, "critical")]

        heard.clear()
        ends += 86_400
        set_token(database, "leader", jwt(exp=ends))
        sweep_at(86_000)
        sweep_at(1_000)  # asleep meanwhile: told once, the nearest
        sweep_at(900)
        assert heard == [(1_000, "warning")]


def test_a_token_that_does_not_say_and_no_token_are_quiet(desk: Desk, home: Path) -> None:
    sources.create_file()
    desk.sweep()
    with Database(desk.url, clock=desk.clock) as database:
        set_token(database, "leader", "opaque-token")
    desk.sweep()

    assert not [said for said in desk.alerts.said if "access token" in said[2]]


# -- eDIS --------------------------------------------------------------------------------------------------------------


def test_authorisations_by_isin(path: Path, database: Database) -> None:
    """Authorised, awaited, over and refused are summed apart; a time that is over counts whatever the row says."""

    def ask(isin: str, quantity: int, status: str, expires_at: int | None = None, account: str = "leader") -> int:
        return database.edis.add(
            EdisTransactionRow(
                account_type=account,
                isin=isin,
                qty=quantity,
                exchange="NSE",
                segment="EQ",
                status=status,
                created_at=NOW_S,
                updated_at=NOW_S,
                expires_at=expires_at,
                tpin="482913",
                raw_request='{"tpin": "482913", "isin": "X"}',
            )
        )

    ask("INE1", 5, "AUTHORIZED", NOW_S + 1)
    ask("INE1", 7, "AUTHORIZED", NOW_S)
    ask("INE1", 3, "PENDING")
    ask("INE1", 2, "approved", NOW_S + 9)
    number = ask("INE2", 4, "REJECTED")
    ask("INE2", 1, "SOMETHING_NEW")
    ask("INE1", 9, "AUTHORIZED", account="follower")

    first, second, third = edis.status(database, None, NOW_S)

    assert (first.account, first.isin, first.authorised) == ("follower", "INE1", 9)
    assert (second.authorised, second.pending, second.expired, second.expires_at) == (7, 3, 7, NOW_S + 1)
    assert (third.rejected, third.other, third.authorised, third.last) == (4, 1, 0, "SOMETHING_NEW")
    assert [each.account for each in edis.status(database, "leader", NOW_S)] == ["leader", "leader"]
    assert rows(path, "SELECT count(*) FROM edis_transactions WHERE tpin IS NOT NULL") == [(0,)], (
        "not stored unless asked"
    )
    assert not [row for row in rows(path, "SELECT raw_request FROM edis_transactions") if "482913" in row[0]]

    database.edis.update(number, status="AUTHORIZED", expires_at=NOW_S + 99, error_message="tpin 482913 was right")
    assert edis.status(database, "leader", NOW_S)[1].authorised == 4
    assert "482913" not in rows(path, "SELECT error_message FROM edis_transactions WHERE id = ?", number)[0][0]


def test_a_tpin_that_must_be_kept_is_sealed_until_it_was_used(path: Path, database: Database) -> None:
    """Kept only when asked, opened only in its row, and dropped once the authorisation stands."""
    row = EdisTransactionRow(
        account_type="leader",
        isin="INE1",
        qty=1,
        exchange="NSE",
        segment="EQ",
        status="PENDING",
        created_at=1,
        updated_at=1,
        tpin="482913",
    )
    number = database.edis.add(row, keep_tpin=True)

    assert value(database.edis.tpin(number)) == "482913"
    assert is_sealed(rows(path, "SELECT tpin FROM edis_transactions")[0][0])
    database.edis.update(number, status="AUTHORIZED")
    assert database.edis.tpin(number) is None


def test_the_time_is_said_as_people_read_it() -> None:
    assert tokens.ist(int(dt.datetime(2025, 6, 2, 5, 0, tzinfo=dt.UTC).timestamp())) == "2025-06-02 10:30:00 IST"
