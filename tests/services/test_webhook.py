"""Goal: what is posted is on the disk before it is answered, from whoever may post, once; and secrets stay secret."""

from __future__ import annotations

import base64
import contextlib
import http.client
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from riskguard.clock import SystemClock
from riskguard.errors import RiskGuardError, SecretKeyError, SettingsError, UnknownAccountError
from riskguard.feeds import signatures
from riskguard.feeds.postback_server import PostbackServer
from riskguard.services.feeds import doors
from riskguard.services.feeds.doors import Door, Doors, NewSecret
from riskguard.services.feeds.webhook import KEEP_IDS_US, Webhook
from riskguard.store.database import Database
from riskguard.store.secrets import keys as sources
from tests.services.desk import ACCOUNT, SECOND, Desk
from tests.services.feeding import Feed, posting

BASE = "https://desk.example.org"


class Hook:
    """A desk with a served webhook: real HTTP, real files."""

    def __init__(self, desk: Desk, **how: bool) -> None:
        self.desk = desk
        self.database = Database(desk.url, clock=desk.clock)
        self.doors = Doors(self.database)
        self.feed = Feed(desk)
        self.webhook = Webhook(desk.guard, self.doors, self.feed.intake, **how)
        self.server: PostbackServer[Door] = PostbackServer(self.webhook, SystemClock())
        self.server.start()

    def new_secret(self, *, only: bool = False) -> NewSecret:
        made = doors.set_secret(self.database, ACCOUNT, BASE, only=only)
        self.desk.clock.skipped_us += 6 * SECOND  # the doors are read again
        return made

    def post(self, secret: NewSecret, body: str | bytes, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        with contextlib.closing(connection):
            named = {f"webhook-{name}": value for name, value in headers.items()}
            data = body.encode() if isinstance(body, str) else body
            connection.request("POST", urlsplit(secret.url).path, data, named)
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()

    def signed(self, secret: NewSecret, body: str, name: str = "m1", late_s: int = 0) -> tuple[int, str]:
        key = base64.b64decode(secret.signing_key.removeprefix(signatures.KEY_PREFIX))
        at_s = self.desk.clock.now_us() // SECOND + late_s
        return self.post(
            secret, body, id=name, timestamp=str(at_s), signature=signatures.sign(key, name, at_s, body.encode())
        )

    def kept(self) -> list[tuple[object, ...]]:
        return self.desk.rows("SELECT payload, is_verified FROM postback_events ORDER BY id")

    def close(self) -> None:
        assert self.server.stop()
        self.database.close()


@pytest.fixture
def hook(desk: Desk, home: Path) -> Iterator[Hook]:
    sources.create_file()
    made = Hook(desk)
    yield made
    made.close()


def test_what_is_posted_is_kept_before_it_is_answered(hook: Hook) -> None:
    """200 means that another program can read it; the same body again is one row."""
    secret = hook.new_secret()

    assert hook.post(secret, posting()) == (200, "kept")
    assert hook.kept() == [(posting(), 0)]
    assert hook.post(secret, posting()) == (200, "known") and len(hook.kept()) == 1
    assert hook.desk.one("SELECT last_triggered_at FROM postback_configs") == hook.desk.clock.now_us() // SECOND


def test_it_is_answered_while_nothing_is_made_of_it(hook: Hook) -> None:
    """The intake does that later, in its own time."""
    hook.post(hook.new_secret(), posting())
    assert hook.desk.rows("SELECT is_processed FROM postback_events") == [(0,)] and hook.feed.asked == []
    hook.feed.intake.drain()

    assert hook.desk.rows("SELECT is_processed FROM postback_events") == [(1,)] and len(hook.feed.asked) == 1


def test_a_body_that_is_no_message_is_kept_too(hook: Hook) -> None:
    """With what is wrong with it; bytes that are no text, zeros, nothing at all."""
    secret = hook.new_secret()
    assert hook.post(secret, b"\xff\x00{")[0] == 200
    assert hook.post(secret, b"") == (400, "no body")
    hook.feed.intake.drain()

    assert hook.desk.rows("SELECT event_type, error_message FROM postback_events") == [
        ("malformed", "not JSON: JSONDecodeError")
    ]


def test_without_the_database_it_says_so(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """503: whoever posts may send it again; nothing is claimed to be kept."""
    secret = hook.new_secret()
    assert hook.post(secret, posting("A"))[0] == 200
    monkeypatch.setattr("riskguard.services.feeds.webhook.WAIT_S", 0.05)
    with hook.desk.unwritable():
        assert hook.post(secret, posting("B"))[0] == 503
    assert hook.post(secret, posting("B"))[0] == 200 and len(hook.kept()) == 2


# -- who may post -------------------------------------------------------------------------------------------------


def test_another_path_is_not_found_and_leaves_nothing(hook: Hook) -> None:
    """A guess, an ended secret, the secret of nobody."""
    secret = hook.new_secret()
    wrong = NewSecret(ACCOUNT, 1, secret.url[:-1] + ("a" if secret.url[-1] != "a" else "b"), "", 1)

    assert hook.post(wrong, posting())[0] == 404 and hook.kept() == []
    assert hook.webhook.answered == {404: 1}


def test_two_secrets_hold_while_one_is_changed_and_then_one(hook: Hook) -> None:
    """The broker may still have the old address; after `retire` it is nobody's, and a third ends the first."""
    first, second = hook.new_secret(), hook.new_secret()
    assert second.standing == 2
    assert [hook.post(each, posting(f"X{n}"))[0] for n, each in enumerate((first, second))] == [200, 200]
    assert hook.signed(first, posting("S1"), "s1")[0] == 200, "each key signs for either address"
    third = hook.new_secret()
    assert [hook.post(each, posting("Y"))[0] for each in (first, second, third)] == [404, 200, 200]
    assert doors.retire(hook.database, ACCOUNT) == 1
    hook.desk.clock.skipped_us += 6 * SECOND

    assert [hook.post(each, posting("Z"))[0] for each in (first, second, third)] == [404, 404, 200]


def test_only_ends_the_earlier_one_at_once(hook: Hook) -> None:
    """For a secret others have seen."""
    first = hook.new_secret()
    second = hook.new_secret(only=True)

    assert (hook.post(first, posting())[0], hook.post(second, posting())[0], second.standing) == (404, 200, 1)


def test_a_signed_body_is_verified(hook: Hook) -> None:
    """By the key of the secret; the row says so, and the signature is in no answer and no repr."""
    secret = hook.new_secret()

    assert hook.signed(secret, posting()) == (200, "kept")
    assert hook.kept() == [(posting(), 1)]


@pytest.mark.parametrize("late_s", [-301, 301])
def test_a_stale_signature_is_refused(hook: Hook, late_s: int) -> None:
    """Overheard long ago, or a clock that is wrong: 401, and nothing is kept."""
    assert hook.signed(hook.new_secret(), posting(), late_s=late_s)[0] == 401 and hook.kept() == []


def test_a_wrong_or_half_signature_is_refused_and_not_taken_for_unsigned(hook: Hook) -> None:
    """Who knows the path and not the key gains nothing by trying."""
    secret = hook.new_secret()
    at_s = str(hook.desk.clock.now_us() // SECOND)

    assert hook.post(secret, posting(), id="m1", timestamp=at_s, signature="v1,AAAA")[0] == 401
    assert hook.post(secret, posting(), id="m1", timestamp=at_s)[0] == 400
    assert hook.kept() == []


def test_a_signed_message_counts_once_for_twice_the_window(hook: Hook) -> None:
    """Sent again by a relay that heard no answer, or by who overheard it: known; another body under the id as well."""
    secret = hook.new_secret()
    assert hook.signed(secret, posting("A"), "m1") == (200, "kept")
    assert hook.signed(secret, posting("A"), "m1") == (200, "known")
    assert hook.signed(secret, posting("B"), "m1") == (200, "known") and len(hook.kept()) == 1
    hook.desk.clock.advance(KEEP_IDS_US / SECOND)
    assert hook.signed(secret, posting("C"), "m1") == (200, "known")
    hook.desk.clock.advance(0.000_001)
    assert hook.signed(secret, posting("D"), "m1") == (200, "kept")
    assert hook.desk.one("SELECT count(*) FROM postback_ids") == 1


def test_signed_only_refuses_the_unsigned(desk: Desk, home: Path) -> None:
    """For a desk whose relay signs; the unsigned body is refused and not kept."""
    sources.create_file()
    hook = Hook(desk, signed_only=True)
    try:
        secret = hook.new_secret()
        assert (hook.post(secret, posting())[0], hook.signed(secret, posting())[0]) == (401, 200)
    finally:
        hook.close()


def test_a_flood_is_told_to_come_again(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a burst, and more with time; what is refused is not kept."""
    secret = hook.new_secret()
    monkeypatch.setattr("riskguard.services.feeds.webhook.POSTS_AT_ONCE", 2)
    monkeypatch.setattr("riskguard.services.feeds.webhook.POSTS_PER_S", 0.000_001)
    statuses = [hook.post(secret, posting(str(n)))[0] for n in range(3)]
    assert statuses == [200, 200, 429] and len(hook.kept()) == 2
    monkeypatch.setattr("riskguard.services.feeds.webhook.POSTS_PER_S", 50)
    hook.desk.clock.skipped_us += SECOND

    assert hook.post(secret, posting("more"))[0] == 200


def test_a_path_that_leaked_does_not_fill_the_disk(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unsigned bytes are bounded, to the byte; who signs is not held up by who does not."""
    secret, body = hook.new_secret(), posting()
    monkeypatch.setattr("riskguard.services.feeds.webhook.BYTES_AT_ONCE", 2 * len(body))
    monkeypatch.setattr("riskguard.services.feeds.webhook.BYTES_PER_S", 0.000_001)
    statuses = [hook.post(secret, posting(f"B{n}"))[0] for n in range(3)]
    assert statuses == [200, 200, 429] and len(hook.kept()) == 2

    assert hook.signed(secret, posting("B9"))[0] == 200


def test_many_at_once_are_all_kept(hook: Hook) -> None:
    """Callers in parallel; each answered 200 is on the disk."""
    secret = hook.new_secret()
    answers: list[int] = []

    def post(number: int) -> None:
        for each in range(5):
            answers.append(hook.post(secret, posting(f"{number}-{each}"))[0])

    threads = [threading.Thread(target=post, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)

    assert len(hook.kept()) == answers.count(200) == 30


# -- secrets ------------------------------------------------------------------------------------------------------


def test_the_secret_is_sealed_and_shows_nowhere(
    hook: Hook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in the database, a log, a repr, or the memory of the doors."""
    caplog.set_level(logging.DEBUG)
    secret = hook.new_secret()
    path = secret.url.rpartition("/")[2]
    hook.post(secret, posting(omsErrorDescription="see https://x:hunter22hunter@y", accessToken="t0p-s3cret-token-1"))
    hook.post(NewSecret(ACCOUNT, 1, secret.url + "x", "", 1), posting())
    logging.getLogger("riskguard").warning("a slip: %s", path)
    stored = hook.desk.stored()

    shown = caplog.text + "".join(capfd.readouterr()) + repr(secret) + repr(hook.doors.standing())
    for word in (path, secret.signing_key, "t0p-s3cret-token-1"):
        assert word not in shown and word.encode() not in stored
    assert hook.desk.one("SELECT webhook_url FROM postback_configs") == f"{BASE}/postback/"


def test_a_secret_that_cannot_be_opened_closes_its_door_and_no_other(
    hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """A tampered row is told, and is nobody's address."""
    first, second = hook.new_secret(), hook.new_secret()
    hook.desk.sql("UPDATE postback_configs SET webhook_secret = webhook_secret || 'x' WHERE id = ?", first.config_id)
    hook.desk.clock.skipped_us += 6 * SECOND

    assert (hook.post(first, posting())[0], hook.post(second, posting())[0]) == (404, 200)
    assert "webhook secret" in caplog.text


def test_without_a_key_no_secret_is_made(desk: Desk) -> None:
    """It is never kept in clear."""
    with Database(desk.url, clock=desk.clock) as database, pytest.raises(SecretKeyError):
        doors.set_secret(database, ACCOUNT, BASE)
    assert desk.rows("SELECT * FROM postback_configs") == []


URLS = [
    ("http://desk.example.org", "https"), ("desk.example.org", "https"), ("https://", "https"),
    ("https://localhost", "this machine"), ("https://127.0.0.1:8766", "this machine"),
    ("https://a:b@desk.example.org", "https"), ("https://desk.example.org?a=b", "https"),
    ("https://desk.example.org:99999", "https"), ("", "https"), ("https://[", "https"),
]  # fmt: skip


@pytest.mark.parametrize("case", URLS, ids=str)
def test_an_address_the_broker_cannot_reach_or_in_clear_is_refused(hook: Hook, case: tuple[str, str]) -> None:
    """Before anything is made."""
    with pytest.raises(SettingsError, match=case[1]):
        doors.set_secret(hook.database, ACCOUNT, case[0])
    assert hook.desk.rows("SELECT * FROM postback_configs") == []


def test_an_address_keeps_its_port_and_folder(hook: Hook) -> None:
    """A proxy may pass its own folder on, or take it off."""
    made = doors.set_secret(hook.database, ACCOUNT, "https://desk.example.org:8443/risk/")
    hook.desk.clock.skipped_us += 6 * SECOND

    assert made.url.startswith("https://desk.example.org:8443/risk/postback/")
    assert hook.post(made, posting())[0] == 200
    assert hook.doors.find(urlsplit(made.url).path.removeprefix("/risk")) is not None
    assert hook.doors.find(urlsplit(made.url).path + "/postback/") is None


def test_an_account_nobody_knows_is_an_error(hook: Hook) -> None:
    for act in (lambda: doors.set_secret(hook.database, "nobody", BASE), lambda: doors.retire(hook.database, "nobody")):
        with pytest.raises(UnknownAccountError) as caught:
            act()
        assert isinstance(caught.value, RiskGuardError)
