"""Goal: only who holds the key can sign, only for these bytes, and only for a while."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from riskguard.feeds.signatures import KEY_PREFIX, WINDOW_S, Signed, key_of, path_of, shown_key, sign, verify

KEY, OTHER = key_of("one secret"), key_of("another secret")
NOW_S = 1_790_000_000
BODY = b'{"orderId": "1"}'


def headers(key: bytes = KEY, at_s: int = NOW_S, body: bytes = BODY, name: str = "msg_1") -> dict[str, str]:
    return {"webhook-id": name, "webhook-timestamp": str(at_s), "webhook-signature": sign(key, name, at_s, body)}


def test_a_signature_is_the_one_of_the_convention() -> None:
    """HMAC-SHA256 over `id.timestamp.body`, base64, under version 1: any library of the convention makes it."""
    raw = base64.b64decode(shown_key("one secret").removeprefix(KEY_PREFIX))
    wanted = base64.b64encode(hmac.new(raw, b"msg_1.1790000000." + BODY, hashlib.sha256).digest()).decode()

    assert headers()["webhook-signature"] == f"v1,{wanted}"
    assert verify([KEY], headers(), BODY, NOW_S) is Signed.RIGHT


@pytest.mark.parametrize("late_s", [-WINDOW_S - 1, -WINDOW_S, 0, WINDOW_S, WINDOW_S + 1])
def test_the_window_is_five_minutes_either_way(late_s: int) -> None:
    """On the edge is in time."""
    wanted = Signed.RIGHT if abs(late_s) <= WINDOW_S else Signed.OLD

    assert verify([KEY], headers(at_s=NOW_S + late_s), BODY, NOW_S) is wanted


def test_two_keys_hold_during_a_rotation() -> None:
    """Either signs; a third does not; and a sender may give a signature by each."""
    assert verify([OTHER, KEY], headers(), BODY, NOW_S) is Signed.RIGHT
    assert verify([OTHER], headers(), BODY, NOW_S) is Signed.WRONG
    assert verify([], headers(), BODY, NOW_S) is Signed.WRONG
    both = headers(OTHER) | {
        "webhook-signature": f"{sign(OTHER, 'msg_1', NOW_S, BODY)} {sign(KEY, 'msg_1', NOW_S, BODY)}"
    }
    assert verify([KEY], both, BODY, NOW_S) is Signed.RIGHT


CHANGED = {
    "the body": (headers(), BODY + b" "),
    "the body written anew": (headers(), BODY.replace(b": ", b":")),
    "the id": (headers() | {"webhook-id": "msg_2"}, BODY),
    "the time": (headers() | {"webhook-timestamp": str(NOW_S + 1)}, BODY),
    "the signature": (headers() | {"webhook-signature": "v1,AAAA"}, BODY),
    "the version": (headers() | {"webhook-signature": headers()["webhook-signature"].replace("v1", "v2")}, BODY),
    "no base64": (headers() | {"webhook-signature": "v1,\udcff!"}, BODY),
    "too many": (headers() | {"webhook-signature": "v1,AAAA " * 8 + headers()["webhook-signature"]}, BODY),
}


@pytest.mark.parametrize("what", CHANGED)
def test_whatever_is_changed_the_signature_is_wrong(what: str) -> None:
    """Each part is signed, byte for byte."""
    given, body = CHANGED[what]

    assert verify([KEY], given, body, NOW_S) is Signed.WRONG


MALFORMED = {
    "no id": headers() | {"webhook-id": ""},
    "no time": headers() | {"webhook-timestamp": ""},
    "no signature": headers() | {"webhook-signature": ""},
    "a long id": headers() | {"webhook-id": "x" * 129},
    "an id nobody can print": headers() | {"webhook-id": "a\x01"},
    "a time with a sign": headers() | {"webhook-timestamp": "-1"},
    "a time in other digits": headers() | {"webhook-timestamp": "١٢"},
    "an endless time": headers() | {"webhook-timestamp": "1" * 13},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_half_a_signature_is_none_and_is_not_taken_for_unsigned(what: str) -> None:
    """Else who strips one header would be taken for somebody who never signs."""
    assert verify([KEY], MALFORMED[what], BODY, NOW_S) is Signed.MALFORMED


def test_without_any_header_it_is_unsigned() -> None:
    assert verify([KEY], {"content-type": "application/json"}, BODY, NOW_S) is Signed.NOT


def test_the_path_does_not_tell_the_key() -> None:
    """Two derivations of one secret; another secret has another path."""
    assert len(path_of("one secret")) == 32 and path_of("one secret") != path_of("another secret")
    assert path_of("one secret").encode() not in (KEY, base64.b32encode(KEY[:20]).lower())
