"""Goal: no secret passes, whatever it stands in; what is no secret passes letter for letter; and it is quick."""

from __future__ import annotations

import json
import logging
import time

import pytest

from riskguard import redaction
from riskguard.redaction import FILTER, HIDDEN, clean, is_secret_name, redacted
from tests.store.secret_desk import jwt

S = "s3cr3tValue"
TOKEN = jwt(exp=1_763_786_700, dhanClientId="1100000001")
HEADER = "access" + "-token"  # in parts: no file of the repository shows a header with a token

SHOWN = [
    TOKEN,
    f"refused: {TOKEN}.",
    TOKEN[:60],
    f"Bearer {TOKEN}",
    f"{HEADER}: {S}",
    f"{HEADER}={S}&x=1",
    f"Access_Token => {S}",
    f'{{"accessToken": "{S}"}}',
    f'{{"access_token" : "{S}\\"more{S}"}}',
    f"{{'refresh_token': '{S}'}}",
    f'{{\\"tpin\\": \\"{S}\\"}}',
    json.dumps(json.dumps({"webhook_secret": S})),
    f"webhook secret: {S}",
    f"password={S}",
    f"api key: {S}",
    f"X-Api-Key: {S}",
    f"?dhanClientId=1&pin={S}&totp={S}",
    f"postgresql+psycopg://user:{S}@host:5432/db",
    f"could not open https://a:{S}p@ss@h/x",
    f"RISKGUARD_SECRET_KEY={S}",
    f"dhanAccessToken: {S}",
    f"Authorization: Basic {S}12345",
    f"client_secret='{S}'",
]


@pytest.mark.parametrize("text", SHOWN)
def test_a_secret_does_not_pass(text: str) -> None:
    """By name, by shape, in JSON, in JSON inside JSON, in a URL, in a Python repr."""
    said = redacted(text)

    assert S not in said and TOKEN[:30] not in said and HIDDEN in said
    assert redacted(said) == said


@pytest.mark.parametrize("text", ["tpin 482913", "TPIN: 482913", '"tpin": 482913', "t-pin is 482913", "totp=482913"])
def test_a_tpin_is_known_by_its_name(text: str) -> None:
    """A TPIN has no shape of its own; the same digits elsewhere are an order's number."""
    assert "482913" not in redacted(text)


KEPT = [
    "order 482913 at 1650.05, quantity 10",
    "2025-06-02T10:30:00+05:30 leader: day P&L −5,000.00",
    "http://host:8080/a?b=c",
    "sqlite:////var/lib/riskguard/riskguard.db",
    "no account `leader` here",
    "position: 5, opinion: yes, spinning=1",
    "mail a@b.example",
    "`leader` has no active access token, set one with `riskguard token set leader`",
    "a release wants a terminal, or the operator token in X",
    "access_token of row `7` was made with key `deadbeef`, which is not at hand",
    '{"access_token": null, "tpin": ""}',
    "rg1:deadbeef:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "access_token=rg1:deadbeef:AAAAAAAAAAAAAAAAAAAAAA",
    "eyJ is short",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_stays(text: str) -> None:
    """Numbers, times, paths, prose about tokens, and our own envelopes."""
    assert redacted(text) == text


@pytest.mark.parametrize(
    "data",
    [{"tpin": 1234, "a": [1]}, {"access_token": S, "n": None}, {"m": f'say "{HEADER}: {S}"'}, {"totp": True}],
    ids=str,
)
def test_json_stays_json(data: dict[str, object]) -> None:
    """A log of JSON lines can still be read by a program."""
    said = json.loads(redacted(json.dumps(data)))

    assert said.keys() == data.keys() and S not in str(said)


def test_a_value_this_process_knows_never_passes() -> None:
    """A secret without name or shape is caught once it was remembered; a short one is not, nor an envelope."""
    text = "unshapely-canary-77 came back"
    assert redacted(text) == text

    redaction.remember("unshapely-canary-77")
    redaction.remember("7")
    redaction.remember("rg1:deadbeef:AAAA")

    assert redacted(text) == f"{HIDDEN} came back"
    assert redacted("7 rg1:deadbeef:AAAA") == "7 rg1:deadbeef:AAAA"


def test_what_is_remembered_is_bounded() -> None:
    """A process that sees a token a day for years keeps the newest, not all."""
    for number in range(redaction.KNOWN_MAX + 50):
        redaction.remember(f"bounded-canary-{number:06d}")

    assert len(redaction._known) <= redaction.KNOWN_MAX
    assert HIDDEN in redacted(f"bounded-canary-{redaction.KNOWN_MAX + 49:06d}")


def test_values_are_cleaned_by_name_and_shape() -> None:
    """Nested JSON, keys that tell, values that tell, bytes, deep nesting; nothing else changes."""
    given = {
        "headers": {HEADER: S, "Accept": "json", "Authorization": "x"},
        "body": [{"tpin": 1234, "qty": 5}, TOKEN],
        "raw": TOKEN.encode(),
        "price": 1.5,
        "none": None,
        "refresh_token": None,
        "ok": True,
        "sealed": {"access_token": "rg1:deadbeef:AAAA"},
    }

    said = clean(given)

    assert S not in str(said) and TOKEN[:20] not in str(said) and "1234" not in str(said)
    assert said["body"][0] == {"tpin": HIDDEN, "qty": 5} and said["price"] == 1.5 and said["ok"] is True
    assert said["refresh_token"] is None and said["sealed"] == {"access_token": "rg1:deadbeef:AAAA"}
    deep: object = S
    for _ in range(2_000):
        deep = {"x": deep}
    assert S not in json.dumps(clean(deep))


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("access_token", True),
        ("dhanAccessToken", True),
        ("X-Api-Key", True),
        ("tpin", True),
        ("password", True),
        ("Authorization", True),
        ("token_type", False),
        ("pinned", False),
        ("position", False),
        ("expires_at", False),
        (7, False),
        ("client_id", False),
    ],
)
def test_names_that_tell(name: object, is_secret: bool) -> None:
    assert is_secret_name(name) is is_secret


def test_the_log_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    """Message, arguments and traceback, at every level; a message whose arguments do not fit is told all the same."""
    log = logging.getLogger("riskguard")
    assert FILTER in log.filters
    with caplog.at_level(logging.DEBUG, "riskguard"):
        log.debug("sent %s with %s", "GET", f"{HEADER}: {S}")
        log.info("too %s %s", TOKEN)  # noqa: PLE1206
        try:
            raise ValueError(f"401 for {TOKEN}")
        except ValueError:
            log.exception("it broke")

    assert "sent GET with" in caplog.text and "it broke" in caplog.text and "Traceback" in caplog.text
    assert S not in caplog.text and TOKEN[:30] not in caplog.text
    for record in caplog.records:
        assert TOKEN[:30] not in str(vars(record)) and S not in str(vars(record))


@pytest.mark.parametrize(
    "text",
    [
        "access_token: " * 20_000,
        '"tpin": "' + "a" * 200_000,
        "a://" * 50_000,
        'tpin="' * 30_000,
        "a://b:" * 20_000,
        "eyJ" * 60_000,
        "bearer " + "a" * 200_000,
        'tpin="\\' * 30_000,
        "access " * 40_000,
        "\\" * 100_000 + "tpin",
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long(text: str) -> None:
    """Time grows with the length, not its square: a broker's page of garbage must not stop a sweep."""
    began = time.process_time()
    redacted(text)

    assert time.process_time() - began < 2.0
