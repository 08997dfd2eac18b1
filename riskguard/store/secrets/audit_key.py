"""
The key of the journal's macs: what somebody who can rewrite every row of the database does not have.

The first source that has any is used, alone:

1. the systemd credential `riskguard-audit.key` (`$CREDENTIALS_DIRECTORY`);
2. the file `audit.key` of the host directory, or the one `RISKGUARD_AUDIT_KEY_FILE` names, 0600. Its one line may be
   `keyring`: the key then stands in the operating system's keyring, which nobody else pays the import of.

Not the environment: every strategy would inherit it. A source is written like one of `secrets.keys`, newest key first:
the first one signs, all of them verify. Other keys than those of secrets, because they are for other people.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from riskguard.errors import AuditKeyError, SecretKeyError
from riskguard.home import host_home
from riskguard.store.secrets import keys as sources
from riskguard.store.secrets.envelope import key_id

if TYPE_CHECKING:
    from riskguard.store.session import Store

log = logging.getLogger("riskguard")

CREDENTIAL: Final = "riskguard-audit.key"
FILE: Final = "audit.key"
FILE_VARIABLE: Final = "RISKGUARD_AUDIT_KEY_FILE"
ENTRY: Final = "audit.key"
IN_KEYRING: Final = "keyring"
MAKER: Final = "riskguard audit key init"
REMARK: Final = "keys of the journal's macs, newest first. Whoever has this file can rewrite the journal unseen."
LOOK_AGAIN_S: Final = 1.0
"""A key made while processes run is used by all of them after this long."""
_MEMO: Final = ("audit key",)

Judged = Literal["true", "false", "unknown"]


class AuditKeys:
    """
    The keys at hand, newest first: the first one signs, all of them verify. Shows only key ids.

    Attributes:
        source: Where they come from, in words. ids: Their ids, newest first.
    """

    __slots__ = ("_by_id", "_newest", "ids", "source")

    def __init__(self, source: str, keys: tuple[bytes, ...]) -> None:
        self.source = source
        self.ids = tuple(map(key_id, keys))
        self._newest = keys[0]
        self._by_id: Mapping[str, bytes] = dict(zip(self.ids, keys, strict=True))

    def __repr__(self) -> str:
        return f"AuditKeys(source={self.source!r}, ids={self.ids!r})"

    def sign(self, what: str, digest: str) -> str:
        """Return the mac of *digest* with the newest key, as `key id:hex`; *what* keeps entries and anchors apart."""
        return f"{self.ids[0]}:{_mac(self._newest, what, digest)}"

    def judge(self, what: str, digest: str, mac: str) -> Judged:
        """Say whether *mac* is the one a key at hand makes of *digest*; `unknown`: it names no key at hand."""
        name, _, said = mac.partition(":")
        key = self._by_id.get(name)
        if key is None:
            return "unknown"
        return "true" if hmac.compare_digest(_mac(key, what, digest), said) else "false"


def _mac(key: bytes, what: str, digest: str) -> str:
    return hmac.digest(key, f"riskguard {what} {digest}".encode(), hashlib.sha256).hex()


def of(store: Store) -> AuditKeys | None:
    """
    Return the keys this process signs with, looked for anew each second; None without any.

    Never raises: neither a kill nor an order waits for a key. What is written without one says so, and shows.
    """
    now = time.monotonic()
    held: tuple[AuditKeys | None, float, str] | None = store.memo.get(_MEMO)
    if held is not None and now < held[1]:
        return held[0]
    try:
        found, wrong = at_hand(), ""
    except Exception as e:  # also a user without a home: a kill is recorded with this
        found, wrong = None, str(e)
        if held is None or held[2] != wrong:
            log.error("the journal goes on without macs: %s", wrong)
    store.memo[_MEMO] = (found, now + LOOK_AGAIN_S, wrong)
    return found


def forget(store: Store) -> None:
    """Look for the key anew at the next entry."""
    store.memo.pop(_MEMO, None)


def at_hand() -> AuditKeys | None:
    """Return the keys, or None when no source has any; raises AuditKeyError for a source that may not be used."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory:
        text = _read(Path(directory) / CREDENTIAL, private=False)
        if text is not None:
            return _parsed(text, f"the systemd credential `{CREDENTIAL}`")
    path = key_file()
    text = _read(path, private=True)
    if text is None:
        return None
    if _lines(text) == [IN_KEYRING]:
        return _from_keyring(path)
    return _parsed(text, f"`{path}`")


def key_file() -> Path:
    """Return where the key file is looked for, and made."""
    named = os.environ.get(FILE_VARIABLE)
    return Path(named).absolute() if named else host_home() / FILE


def _read(path: Path, *, private: bool) -> str | None:
    try:
        return sources._read(path, private=private)
    except SecretKeyError as e:
        raise AuditKeyError(str(e)) from None


def _lines(text: str) -> list[str]:
    words = [line.strip() for line in text.splitlines()]
    return [word for word in words if word and not word.startswith("#")]


def _parsed(text: str, source: str) -> AuditKeys:
    if not _lines(text):
        raise AuditKeyError(f"{source} holds no key: `{MAKER}`")
    try:
        found = sources.parse(text, source, maker=MAKER)
    except SecretKeyError as e:
        raise AuditKeyError(str(e)) from None
    return AuditKeys(source, found.keys)


_kept: dict[
    str, AuditKeys
] = {}  # a keyring is asked once per process: it may take a tenth of a second, or ask a person


def _from_keyring(path: Path) -> AuditKeys:
    if ENTRY not in _kept:
        found = sources.encrypting_keyring()
        if found is None:
            raise AuditKeyError(f"`{path}` says `{IN_KEYRING}`, and this host has no keyring that encrypts")
        try:
            text = found.get_password(sources.SERVICE, ENTRY)
        except Exception as e:
            raise AuditKeyError(f"the keyring ({found.name}) does not answer: {type(e).__name__}") from None
        _kept[ENTRY] = _parsed(text or "", f"the keyring ({found.name})")
    return _kept[ENTRY]


def create(*, in_keyring: bool = False) -> AuditKeys:
    """
    Make one new key, in a file 0600 from its first moment or in the keyring; return what is then at hand.

    Raises AuditKeyError when there is a key already: what it signed could not be verified any more.
    """
    path = key_file()
    if os.path.lexists(path):
        raise AuditKeyError(f"`{path}` is there already: `riskguard audit key status` shows it")
    if at_hand() is not None:
        raise AuditKeyError(f"a key is at hand already, in the systemd credential `{CREDENTIAL}`")
    try:
        if in_keyring:
            _put(sources._keyring(), (sources.new_key(),))
            _write_marker(path)
        else:
            sources._write(path, (sources.new_key(),), replace=False, remark=REMARK)
    except SecretKeyError as e:
        raise AuditKeyError(str(e)) from None
    return _now_at_hand()


def add_newest() -> AuditKeys:
    """
    Put a new key before those at hand, in the source they come from; the older ones stay, to verify what they signed.

    In a file this is one rename. Raises AuditKeyError: there is no key, or riskguard cannot write to its source.
    """
    standing = at_hand()
    if standing is None:
        raise AuditKeyError(f"there is no audit key: `{MAKER}`")
    together = (sources.new_key(), *standing._by_id.values())
    if len(together) > sources.KEYS_MAX:
        raise AuditKeyError(f"{standing.source} holds {len(standing.ids)} keys: drop the oldest first")
    try:
        with sources._alone():
            now = at_hand()
            if now is None or now.ids != standing.ids:
                raise AuditKeyError(f"{standing.source} was changed meanwhile: look, then again")
            if standing.source == f"`{key_file()}`":
                real = Path(os.path.realpath(key_file()))  # a rename onto a link would replace the link
                sources._write(real, together, replace=True, remark=REMARK)
            elif standing.source.startswith("the keyring"):
                _put(sources._keyring(), together)
            else:
                raise AuditKeyError(
                    f"riskguard cannot write to {standing.source}: put a new key there as the first line, start again"
                )
    except AuditKeyError:
        raise
    except SecretKeyError as e:
        raise AuditKeyError(str(e)) from None
    return _now_at_hand()


def _put(found: Any, together: tuple[bytes, ...]) -> None:
    try:
        found.set_password(sources.SERVICE, ENTRY, sources.spelled(together, REMARK))
    except Exception as e:
        raise AuditKeyError(f"the keyring ({found.name}) did not take the key: {type(e).__name__}") from None
    _kept.clear()


def _write_marker(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(
                descriptor, f"# riskguard: the key of the journal's macs stands elsewhere.\n{IN_KEYRING}\n".encode()
            )
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as e:
        raise AuditKeyError(f"the key file `{path}` cannot be written: {e.strerror}") from None


def _now_at_hand() -> AuditKeys:
    found = at_hand()
    if found is None:
        raise AuditKeyError(f"the key that was just made is not found again: look at `{key_file()}`")
    return found
