"""Goal: a sealed value opens in its own place, with its own key, unchanged, and nowhere else; keys come only from safe places."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from riskguard.errors import ExtraMissingError, SecretKeyError, SecretTamperedError, SecretWrongKeyError
from riskguard.store.secrets import keys as sources
from riskguard.store.secrets.envelope import Keys, Place, is_sealed, key_id, sealed_with
from riskguard.store.secrets.fields import hidden_in, opened, without_clear
from riskguard.store.secrets.keys import new_key, parse, spelled
from riskguard.store.secrets.vault import Vault

HERE = Place("auth_tokens", "access_token", "7", "leader")
ELSEWHERE = {
    "row": HERE._replace(row="8"),
    "column": HERE._replace(column="refresh_token"),
    "table": HERE._replace(table="config"),
    "account": HERE._replace(account="follower"),
    "parts that read alike": Place("auth_tokens", "access_token", "7l", "eader"),
}


def some_keys(count: int = 1) -> Keys:
    return Keys("a test", tuple(new_key() for _ in range(count)))


# -- the envelope ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a", "", "x" * 70_000, "ₒ, ünïcode", '"quoted"\n', "rg1:deadbeef:AAAA", "\udc80"])
def test_what_is_sealed_opens(value: str) -> None:
    """Any text comes back letter for letter; the envelope shows its key's id and not the value."""
    keys = some_keys()

    envelope = keys.seal(value, HERE)

    assert keys.open(envelope, HERE) == value
    assert is_sealed(envelope) and sealed_with(envelope) == keys.newest == key_id(keys.keys[0])
    assert len(value) < 5 or value not in envelope


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_a_value_carried_elsewhere_does_not_open(place: Place) -> None:
    """Row, column, table and account are part of the seal; in its own place it opens."""
    keys = some_keys()
    envelope = keys.seal("secret", HERE)

    with pytest.raises(SecretTamperedError, match="carried here"):
        keys.open(envelope, place)
    assert keys.open(envelope, HERE) == "secret"


def test_every_changed_byte_is_noticed() -> None:
    """Nonce, text and tag: no byte can be changed, none cut off, none added."""
    keys = some_keys()
    head, body = keys.seal("secret", HERE).rsplit(":", 1)
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))

    def as_envelope(changed: bytes) -> str:
        return f"{head}:{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}"

    changes = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw))]
    for changed in (*changes, raw[:-1], raw + b"\0", b""):
        with pytest.raises(SecretTamperedError):
            keys.open(as_envelope(changed), HERE)
    assert keys.open(as_envelope(raw), HERE) == "secret"


@pytest.mark.parametrize("envelope", ["rg1:", "rg1:deadbeef:", "rg1:DEADBEEF:" + "A" * 60, "rg1:deadbeef:!" + "A" * 60])
def test_what_is_no_envelope_is_tampered_with(envelope: str) -> None:
    """What begins like one and is none is an error, never a value in clear."""
    with pytest.raises(SecretTamperedError):
        opened(some_keys(), envelope, HERE)


def test_a_wrong_key_is_named_and_never_nothing() -> None:
    """The error names the key that is missing and those at hand, and neither key nor value."""
    one, other = some_keys(), some_keys(2)
    envelope = one.seal("a-secret-value", HERE)

    with pytest.raises(SecretWrongKeyError) as caught:
        other.open(envelope, HERE)

    assert caught.value.key_id == one.newest
    assert one.newest in str(caught.value) and all(each in str(caught.value) for each in other.ids)
    assert "a-secret-value" not in str(caught.value)


def test_the_newest_seals_and_all_open() -> None:
    """What older keys sealed opens while they are at hand; what is sealed now is sealed with the first."""
    old = some_keys()
    both = Keys("a test", (new_key(), *old.keys))

    assert both.open(old.seal("secret", HERE), HERE) == "secret"
    assert sealed_with(both.seal("secret", HERE)) == both.newest != old.newest


def test_two_seals_of_one_value_differ() -> None:
    """A nonce is never used twice, so equal tokens do not look equal."""
    keys = some_keys()

    assert len({keys.seal("secret", HERE) for _ in range(1_000)}) == 1_000


def test_keys_show_only_their_ids() -> None:
    """Neither repr nor str of keys holds a key."""
    keys = some_keys(2)

    for key in keys.keys:
        for spelling in (repr(key), key.hex(), base64.urlsafe_b64encode(key).decode().rstrip("=")):
            assert spelling not in repr(keys) + str(keys)
    assert keys.newest in repr(keys)


def test_clear_text_says_so_and_needs_no_key() -> None:
    """A value another program wrote is given out as `plain`; a sealed one without a key is an error."""
    found = opened(None, "written by another program", HERE)

    assert (found.kept, found.value.get_secret_value()) == ("plain", "written by another program")
    assert "another program" not in repr(found)
    with pytest.raises(SecretKeyError, match="no key is at hand"):
        opened(None, some_keys().seal("secret", HERE), HERE)


# -- where keys come from ----------------------------------------------------------------------------------------------


class SecretService:
    """Stands for a desktop's keyring: named as the real one is, holds what it is given."""

    __module__ = "keyring.backends.SecretService"
    name = "a desktop"

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, entry: str) -> str | None:
        return self.entries.get((service, entry))

    def set_password(self, service: str, entry: str, text: str) -> None:
        self.entries[service, entry] = text


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> SecretService:
    import keyring

    made = SecretService()
    monkeypatch.setattr(keyring, "get_keyring", lambda: made)
    return made


def test_sources_in_their_order(desktop: SecretService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credential, keyring, file, environment: each is used only when those before it have nothing."""
    keys = [new_key() for _ in range(4)]
    assert sources.at_hand() is None
    with pytest.raises(SecretKeyError, match="riskguard secrets init"):
        sources.load()

    monkeypatch.setenv("RISKGUARD_SECRET_KEY", spelled((keys[3],)).splitlines()[1])
    found = sources.load()
    assert found.keys == (keys[3],) and "seen by every child" in found.warnings[0]

    sources._write(sources.key_file(), (keys[2],), replace=False)
    assert (sources.load().keys, sources.load().warnings) == ((keys[2],), ())

    desktop.set_password("riskguard", "secrets.key", spelled((keys[1],)))
    assert sources.load().keys == (keys[1],)

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert sources.load().keys == (keys[1],), "a service without this credential"
    (tmp_path / "riskguard.key").write_text(spelled((keys[0],)))
    assert sources.load().keys == (keys[0],)


def test_a_headless_host_does_without_a_keyring() -> None:
    """The keyrings that fail, hold nothing, or hold clear text are refused; those that encrypt are taken, also in a chain."""
    from keyring.backends import SecretService as real
    from keyring.backends import fail, null

    plaintext = type("PlaintextKeyring", (), {"__module__": "keyrings.alt.file"})()
    unknown = type("Keyring", (), {"__module__": "somebody.elses"})()
    chain = type("ChainerBackend", (), {"__module__": "keyring.backends.chainer"})()
    good = real.Keyring()

    for refused in (fail.Keyring(), null.Keyring(), plaintext, unknown):
        assert sources.chosen(refused) is None, refused
    assert sources.chosen(good) is good
    chain.backends = [plaintext, good]
    assert sources.chosen(chain) is good
    chain.backends = [plaintext, fail.Keyring()]
    assert sources.chosen(chain) is None
    assert sources.from_keyring() is None, "this host"


def test_a_keyring_that_breaks_is_passed_over(desktop: SecretService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked keyring, or a bus that does not answer, must not stop a host that has a key file."""
    made = sources.create_file()
    monkeypatch.setattr(desktop, "get_password", lambda *_: (_ for _ in ()).throw(RuntimeError("locked")))

    assert sources.load().keys == made.keys


def test_a_key_in_the_keyring(desktop: SecretService) -> None:
    """`init --keyring` puts one there and refuses a second; a rotation puts the new one before it."""
    first = sources.create_in_keyring()
    assert sources.load() == first
    with pytest.raises(SecretKeyError, match="already"):
        sources.create_in_keyring()

    both = sources.add_newest(first)

    assert both.keys[1:] == first.keys and sources.load().keys == both.keys


def test_the_key_file_is_private_from_its_first_moment(home: Path) -> None:
    """0600 in a 0700 directory; a second `init` never replaces it, nothing lies about beside it."""
    before = os.umask(0)
    try:
        made = sources.create_file()
    finally:
        os.umask(before)
    path = home / "secrets.key"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(home.stat().st_mode) == 0o700
    assert sources.load().keys == made.keys
    with pytest.raises(SecretKeyError, match="already"):
        sources.create_file()
    assert sources.load().keys == made.keys
    assert sorted(each.name for each in home.iterdir()) == ["secrets.key"]


@pytest.mark.parametrize(
    ("mode", "is_read"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o620, False), (0o601, False)]
)
def test_a_key_file_others_can_read_is_refused(home: Path, mode: int, is_read: bool) -> None:
    """Only the owner's bits may be set; the refusal says how to mend it, and no weaker source takes its place."""
    sources.create_file()
    (home / "secrets.key").chmod(mode)

    if is_read:
        assert sources.load()
        return
    with pytest.raises(SecretKeyError, match="chmod 600"):
        sources.load()


@pytest.mark.parametrize(
    ("mode", "is_read"), [(0o700, True), (0o755, True), (0o770, False), (0o707, False), (0o1777, True)]
)
def test_a_directory_others_may_write_is_refused(home: Path, mode: int, is_read: bool) -> None:
    """Who may rename files in it could swap the key; the sticky bit forbids that."""
    sources.create_file()
    home.chmod(mode)
    try:
        if is_read:
            assert sources.load()
        else:
            with pytest.raises(SecretKeyError, match="swap the key file"):
                sources.load()
    finally:
        home.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_files_and_links_of_other_users_are_refused(home: Path, tmp_path: Path) -> None:
    """A link of one's own is followed; a link, or a file, of somebody else's is not."""
    elsewhere = tmp_path / "keys" / "my.key"
    made = sources.create_file(elsewhere)
    home.mkdir()
    link = home / "secrets.key"
    link.symlink_to(elsewhere)
    assert sources.load().keys == made.keys

    os.lchown(link, 65_534, 65_534)
    with pytest.raises(SecretKeyError, match="link another user made"):
        sources.load()
    os.lchown(link, 0, 0)
    os.chown(elsewhere, 65_534, 65_534)
    with pytest.raises(SecretKeyError, match="another user"):
        sources.load()


def test_rotation_through_a_link_keeps_the_link(home: Path, tmp_path: Path) -> None:
    """The file it points to is rewritten, not the link replaced: the key stays on the medium it was put on."""
    elsewhere = tmp_path / "keys" / "my.key"
    made = sources.create_file(elsewhere)
    home.mkdir()
    (home / "secrets.key").symlink_to(elsewhere)

    both = sources.add_newest(sources.load())

    assert (home / "secrets.key").is_symlink() and sources.load().keys == both.keys and both.keys[1:] == made.keys


BAD = {
    "empty": "", "only a remark": "# nothing\n", "short": "QUJD", "no base64": "not a key at all!", "hex": "ab" * 32 + "xyz",
    "a good one, then a bad one": spelled((new_key(),)) + "hunter2hunter2\n",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    """A source is used whole or not at all: a line passed over would be a key somebody believes in."""
    with pytest.raises(SecretKeyError) as caught:
        parse(text, "a test")

    assert "a test" in str(caught.value)
    for line in text.splitlines():
        assert line.startswith("#") or line not in str(caught.value)


def test_remarks_blanks_and_doubles() -> None:
    """A key written twice counts once; newest first, as written."""
    one, two = new_key(), new_key()
    text = f"# remark\n\n{spelled((one,))}\n  {spelled((two,)).splitlines()[1]}  \n{spelled((one,))}"

    assert parse(text, "a test").keys == (one, two)


def test_a_file_that_is_none(home: Path) -> None:
    """A directory, a fifo and something huge are refused, none of them waited for."""
    home.mkdir(mode=0o700)
    path = home / "secrets.key"
    path.mkdir()
    with pytest.raises(SecretKeyError):
        sources.load()
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(SecretKeyError, match="no ordinary file"):
        sources.load()
    path.unlink()
    path.touch(0o600)
    path.write_text("#" * 20_000)
    with pytest.raises(SecretKeyError, match="larger"):
        sources.load()


def test_a_change_by_somebody_else_is_not_written_over() -> None:
    """Two rotations at once: the second sees that its keys are not those of the file, and writes nothing."""
    mine = sources.create_file()
    theirs = sources.add_newest(mine)

    with pytest.raises(SecretKeyError, match="changed meanwhile"):
        sources.add_newest(mine)
    assert sources.load().keys == theirs.keys


def test_a_source_riskguard_cannot_write_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment is renewed by whoever put it there; the error says how."""
    monkeypatch.setenv("RISKGUARD_SECRET_KEY", spelled((new_key(),)).splitlines()[1])

    with pytest.raises(SecretKeyError, match="--no-new-key"):
        sources.add_newest(sources.load())


def test_a_vault_finds_a_key_that_was_added() -> None:
    """A daemon opens what was sealed with a key made after its start."""
    old = sources.create_file()
    vault = Vault()
    assert vault.open(old.seal("before", HERE), HERE).value.get_secret_value() == "before"

    both = sources.add_newest(old)

    assert vault.open(both.seal("after", HERE), HERE).value.get_secret_value() == "after"
    with pytest.raises(SecretWrongKeyError):
        vault.open(some_keys().seal("never", HERE), HERE)


# -- without the extra -------------------------------------------------------------------------------------------------


def test_without_the_packages_the_error_is_typed() -> None:
    """Without `cryptography` one line says what to install; without `keyring` the other sources go on."""
    code = """
import sys
sys.modules["cryptography"] = sys.modules["keyring"] = None
from riskguard.errors import ExtraMissingError
from riskguard.store.secrets import keys
from riskguard.store.secrets.envelope import Place
made = keys.create_file()
assert keys.load().keys == made.keys
assert keys.usable() is None
try:
    made.seal("x", Place("t", "c", "1"))
except ExtraMissingError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert "pip install 'riskguard[secrets]'" in done.stdout and done.stdout.count("\n") == 1
    assert issubclass(ExtraMissingError, Exception)


def test_nothing_of_the_extra_is_imported_before_it_is_needed() -> None:
    """`import riskguard`, a repository and an upgrade's modules load neither package."""
    code = (
        "import sys, riskguard, riskguard.services.upgrade, riskguard.services.wiring\n"
        "import riskguard.store.repositories.authentication\n"
        "print([name for name in ('cryptography', 'keyring') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


# -- rows kept aside ---------------------------------------------------------------------------------------------------

ROWS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("auth_tokens", {"id": 1, "access_token": "t", "token_type": "Bearer", "refresh_token": None}, ["access_token"]),
    ("auth_tokens", {"id": 1, "access_token": "", "totp_secret": "x"}, ["totp_secret"]),
    ("edis_transactions", {"isin": "INE", "tpin": 1234, "status": "PENDING"}, ["tpin"]),
    ("config", {"key": "k", "value": "v", "is_sensitive": 1}, ["value"]),
    ("config", {"key": "k", "value": "v", "is_sensitive": 0}, []),
    ("config", {"key": "dhan_access_token", "value": "v"}, ["value"]),
    ("orders", {"id": "1", "status": "OPEN", "price": 1.5, "security_id": "1333"}, []),
    ("api_logins", {"user": "a", "api_key": "x", "password": "p", "position": 3}, ["api_key", "password"]),
    ("audit_log", {"request_data": f"token {'eyJ' + 'abcdefgh'}.{'x' * 9}.y"}, ["request_data"]),
]


@pytest.mark.parametrize(("table", "raw", "hidden"), ROWS, ids=str)
def test_what_counts_as_a_secret_in_an_old_row(table: str, raw: dict[str, Any], hidden: list[str]) -> None:
    """Declared columns, telling names, and what looks like a token; with a key it can all be had back, without none shows."""
    keys = some_keys()
    assert hidden_in(table, raw) == hidden

    kept, sealed, left_out = without_clear(keys, table, 3, raw)
    assert (sealed, left_out) == (len(hidden), 0)
    assert without_clear(keys, table, 3, kept) == (kept, 0, 0), "a second time changes nothing"
    bare, sealed, left_out = without_clear(None, table, 3, raw)
    assert (sealed, left_out) == (0, len(hidden))
    assert all("in the backup" in str(bare[name]) for name in hidden)
    assert {name: each for name, each in bare.items() if name not in hidden} == {
        name: each for name, each in raw.items() if name not in hidden
    }
