"""Goal: the repositories that hold secrets do the same on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from riskguard.errors import RowInvalidError, SecretKeyError, SecretTamperedError, UnknownAccountError
from riskguard.services.secrets import rotate, standing
from riskguard.store.database import Database
from riskguard.store.rows import PostbackConfigRow
from riskguard.store.secrets import keys as sources
from riskguard.store.tables.authentication import auth_tokens
from riskguard.store.tables.journal import accounts
from tests.store.rows import T
from tests.store.secret_desk import everything, value


@pytest.fixture(autouse=True)
def leader(database: Database, home: Path) -> None:
    """Both databases know the account `leader`; SQLite's has it from `init`."""
    with database.transaction() as connection:
        known = connection.execute(sa.select(accounts.c.account)).scalars().all()
        if "leader" not in known:
            row = {
                "account": "leader",
                "role": "leader",
                "group_name": "",
                "broker": "",
                "created_at_us": T * 1_000_000,
            }
            connection.execute(sa.insert(accounts), row)


def test_every_secret_is_sealed_read_back_and_renewed(database: Database) -> None:
    """Written, opened, brought under a new key, opened again; nothing stands in clear in between."""
    old = sources.create_file()
    readers = everything(database)
    assert {wanted: read() for wanted, read in readers.items()} == {wanted: wanted for wanted in readers}

    done = rotate(database)

    found = standing(database, sources.load())
    assert [(each.plain, each.unreadable) for each in found] == [(0, [])] * len(found)
    assert {key for each in found for key in each.by_key} == {done.key_id} != {old.newest}
    assert {wanted: read() for wanted, read in readers.items()} == {wanted: wanted for wanted in readers}


def test_one_active_token(database: Database) -> None:
    """Setting a second switches the first off; switching it off leaves none; a row carried to another does not open."""
    sources.create_file()
    tokens = database.authentication
    first, second = tokens.set_token("leader", "first-token"), tokens.set_token("leader", "second-token", expires_at=T)
    active = tokens.active("leader")
    assert active is not None and (active.id, active.expires_at) == (second, T) and first != second
    assert value(tokens.get_token("leader")) == "second-token"

    with database.transaction() as connection:
        stolen = connection.execute(sa.select(auth_tokens.c.access_token).where(auth_tokens.c.id == first)).scalar_one()
        connection.execute(sa.update(auth_tokens).where(auth_tokens.c.id == second).values(access_token=stolen))
    with pytest.raises(SecretTamperedError):
        tokens.get_token("leader")

    assert tokens.deactivate("leader") and not tokens.deactivate("leader")
    assert tokens.get_token("leader") is None


def test_clear_text_is_read_and_sealed(database: Database) -> None:
    """What another program wrote in clear says so, and one `rotate` seals it in its place."""
    sources.create_file()
    with database.transaction() as connection:
        row = {
            "account_type": "leader",
            "access_token": "in-the-clear",
            "is_active": 1,
            "created_at": T,
            "updated_at": T,
        }
        connection.execute(sa.insert(auth_tokens), row)
    found = database.authentication.get_token("leader")
    assert found is not None and found.kept == "plain"

    assert [each.encrypted for each in database.authentication.rotate("leader")] == [1, 0]
    found = database.authentication.get_token("leader")
    assert found is not None and (found.kept, value(found)) == ("sealed", "in-the-clear")


def test_without_a_key_nothing_is_written(database: Database) -> None:
    """Each door refuses, and leaves no row."""
    hook = PostbackConfigRow(
        account_type="leader", webhook_url="https://a.example", webhook_secret="s", created_at=T, updated_at=T
    )
    for write in (
        lambda: database.authentication.set_token("leader", "t"),
        lambda: database.authentication.set_setting("bot", "s"),
        lambda: database.postback.add_config(hook),
    ):
        with pytest.raises(SecretKeyError):
            write()
    assert database.authentication.active("leader") is None and database.postback.get_configs("leader") == []
    assert database.authentication.get_setting("bot") is None


def test_what_is_not_there(database: Database) -> None:
    """Unknown accounts and numbers are named; a sensitive setting never takes riskguard's own names."""
    sources.create_file()
    with pytest.raises(UnknownAccountError, match="leader"):
        database.authentication.set_token("nobody", "t")
    for call in (
        lambda: database.authentication.set_token("leader", ""),
        lambda: database.authentication.set_setting("riskguard.profile", "x"),
        lambda: database.postback.set_secret(99, "x"),
        lambda: database.postback.mark_processed(99),
        lambda: database.edis.update(99, status="AUTHORIZED"),
    ):
        with pytest.raises(RowInvalidError):
            call()
    assert database.postback.secret(99) is None and database.edis.tpin(99) is None and database.edis.get(99) is None


def test_a_webhook_is_verified_and_kept_once(database: Database) -> None:
    """The right signature verifies and no other; a message posted again is one row; what became of it is kept."""
    import hashlib
    import hmac

    sources.create_file()
    number = database.postback.add_config(
        PostbackConfigRow(
            account_type="leader", webhook_url="https://a.example", webhook_secret="s", created_at=T, updated_at=T
        )
    )
    body = b'{"orderId": "1"}'
    right = hmac.new(b"s", body, hashlib.sha256).hexdigest()
    assert database.postback.verifies(number, body, right) and database.postback.verifies(number, body, right.upper())
    for wrong in ("", right[:-1], right[:-1] + "é", hmac.new(b"t", body, hashlib.sha256).hexdigest()):
        assert not database.postback.verifies(number, body, wrong)
    assert not database.postback.verifies(number, body + b" ", right)

    first, is_new = database.postback.save_event("leader", "ORDER", body.decode(), signature=right, is_verified=True)
    again, is_new_again = database.postback.save_event("leader", "ORDER", body.decode())

    assert (is_new, is_new_again, first == again) == (True, False, True)
    assert [each.id for each in database.postback.get_unprocessed()] == [first]
    database.postback.mark_processed(first, error_message="tpin 482913 is odd")
    assert database.postback.get_unprocessed() == []
