"""
Where keys come from. The first source that has any is used, alone:

1. the systemd credential `riskguard.key` (`$CREDENTIALS_DIRECTORY`);
2. the keyring of the operating system, if it is one that encrypts;
3. the file `secrets.key` of the host directory, or the one `RISKGUARD_SECRET_KEY_FILE` names, 0600;
4. the environment (`RISKGUARD_SECRET_KEY`), with a warning: every child and every crash report inherits it.

A source holds one key per line, the newest first: 32 bytes as base64url. Lines that begin with `#` are remarks.
No message ever holds a line.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from riskguard.errors import ExtraMissingError, SecretKeyError
from riskguard.home import host_home
from riskguard.store.halt import sync_directory
from riskguard.store.secrets.envelope import KEY_BYTES, Keys, cipher

CREDENTIAL: Final = "riskguard.key"
FILE: Final = "secrets.key"
VARIABLE: Final = "RISKGUARD_SECRET_KEY"
FILE_VARIABLE: Final = "RISKGUARD_SECRET_KEY_FILE"
SERVICE, ENTRY = "riskguard", "secrets.key"
KEYS_MAX: Final = 32
FILE_BYTES_MAX: Final = 16 * 1024
ENCRYPTING: Final = (
    "keyring.backends.macOS",
    "keyring.backends.Windows",
    "keyring.backends.SecretService",
    "keyring.backends.libsecret",
    "keyring.backends.kwallet",
)
"""Keyrings known to encrypt. A list of the bad ones would let the next plaintext one in."""


def load() -> Keys:
    """
    Return the keys of the first source that has any.

    Raises SecretKeyError: no source has a key, or the first one that has may not be used (a file others can
    read, a line that is no key): a bad source is never passed over for a weaker one.
    """
    found = at_hand()
    if found is None:
        raise SecretKeyError(
            f"there is no key for secrets: no systemd credential, no keyring entry, no `{key_file()}`, no {VARIABLE}; "
            "make one with `riskguard secrets init`"
        )
    return found


def at_hand() -> Keys | None:
    """Return the keys, or None when no source has any; raises SecretKeyError for a source that may not be used."""
    for source in (from_credential, from_keyring, from_file, from_environment):
        found = source()
        if found is not None:
            return found
    return None


def usable() -> Keys | None:
    """Return the keys if they can seal here: None also where `cryptography` is not installed. Raises as `at_hand`."""
    found = at_hand()
    try:
        if found is not None:
            cipher(found.keys[0])
    except ExtraMissingError:
        return None
    return found


def parse(text: str, source: str, warnings: tuple[str, ...] = (), maker: str = "riskguard secrets init") -> Keys:
    """
    Return the keys written in *text*, newest first; the same key twice counts once. *maker* is the command that makes one.

    Raises SecretKeyError naming *source* and the line's number, never the line.
    """
    found: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        try:
            key = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise SecretKeyError(
                f"line {number} of {source} is no key of {KEY_BYTES} bytes in base64url: `{maker}` makes one"
            )
        if key not in found:
            found.append(key)
    if len(found) > KEYS_MAX:
        raise SecretKeyError(f"{source} holds {len(found)} keys, at most {KEYS_MAX} are read: drop the oldest")
    return Keys(source, tuple(found), warnings)


def new_key() -> bytes:
    """Return a new random key."""
    return secrets.token_bytes(KEY_BYTES)


SECRETS_REMARK: Final = "keys of stored secrets, newest first. Whoever has this file can read them."


def spelled(keys: tuple[bytes, ...], remark: str = SECRETS_REMARK) -> str:
    """Return the text of a key source that holds *keys*, newest first, under a line that says what they are for."""
    return f"# riskguard: {remark}\n" + "".join(
        base64.urlsafe_b64encode(key).rstrip(b"=").decode() + "\n" for key in keys
    )


# -- the sources --------------------------------------------------------------------------------------------------


def from_credential() -> Keys | None:
    """Return the keys of the systemd credential; None when this process was given none."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    path = Path(directory) / CREDENTIAL
    text = _read(path, private=False)  # systemd's own directory: 0400, and nobody else's
    return None if text is None else parse(text, f"the systemd credential `{CREDENTIAL}`")


def from_keyring() -> Keys | None:
    """
    Return the keys in the operating system's keyring; None without one that encrypts, or without an entry.

    A keyring that fails (locked, no session bus) is passed over: a host without a desktop must not depend on it.
    """
    found = encrypting_keyring()
    if found is None:
        return None
    try:
        text = found.get_password(SERVICE, ENTRY)
    except Exception:
        return None
    return None if not text else parse(text, f"the keyring ({found.name})")


def from_file() -> Keys | None:
    """Return the keys of the key file; None when there is none. Raises SecretKeyError when others can read it."""
    path = key_file()
    text = _read(path, private=True)
    return None if text is None else parse(text, f"`{path}`")


def from_environment() -> Keys | None:
    """Return the keys in the environment, with a warning; None when the variable is not set."""
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    return parse(text, f"the variable {VARIABLE}", (f"a key in {VARIABLE} is seen by every child of this process",))


def key_file() -> Path:
    """Return where the key file is looked for, and made."""
    named = os.environ.get(FILE_VARIABLE)
    return Path(named).absolute() if named else host_home() / FILE


def encrypting_keyring() -> Any | None:
    """Return the operating system's keyring if it is one that encrypts, else None."""
    try:
        import keyring
    except ImportError:
        return None
    try:
        return chosen(keyring.get_keyring())
    except Exception:
        return None  # a desktop half there: its bus is named and does not answer


def chosen(backend: Any) -> Any | None:
    """Return *backend* if it encrypts, or the first one that does of a chain; None for plaintext, fail and null."""
    for each in getattr(backend, "backends", None) or (backend,):
        if type(each).__module__.startswith(ENCRYPTING):
            return each
    return None


def _read(path: Path, *, private: bool) -> str | None:
    """
    Return the text of a key file, None when there is none.

    With *private*: refuses a file or directory that others may read or write, another user's file, and a link
    another user made.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise SecretKeyError(f"the key file `{path}` cannot be looked at: {e.strerror}") from None
    me = os.geteuid() if hasattr(os, "geteuid") else None
    if private and stat.S_ISLNK(status.st_mode) and status.st_uid != me:
        raise SecretKeyError(f"the key file `{path}` is a link another user made: remove it")
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SecretKeyError(f"the key file `{path}` is no ordinary file")
            if private and me is not None:
                _require_private(path, status, me)
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as e:
        raise SecretKeyError(f"the key file `{path}` cannot be read: {e.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise SecretKeyError(f"the key file `{path}` is larger than {FILE_BYTES_MAX} bytes: it is none")
    return raw.decode("utf-8", "replace")


def _require_private(path: Path, status: os.stat_result, me: int) -> None:
    if status.st_uid != me:
        raise SecretKeyError(
            f"the key file `{path}` belongs to another user (uid {status.st_uid}): make one of your own"
        )
    if status.st_mode & 0o077:
        raise SecretKeyError(
            f"the key file `{path}` can be read by others (mode {stat.S_IMODE(status.st_mode):04o}): "
            "run `chmod 600` on it, and `riskguard secrets rotate` if somebody may have read it"
        )
    directory = os.stat(path.parent)
    if directory.st_mode & 0o022 and not directory.st_mode & stat.S_ISVTX:
        raise SecretKeyError(f"others may write to `{path.parent}` and swap the key file: run `chmod 700` on it")


# -- making and changing ------------------------------------------------------------------------------------------


def create_file(path: Path | None = None) -> Keys:
    """
    Make a key file with one new key, 0600 from its first moment; return its keys.

    Raises SecretKeyError when a file is there already: what was sealed with its keys would be lost.
    """
    path = path or key_file()
    if os.path.lexists(path):
        raise SecretKeyError(
            f"`{path}` is there already: `riskguard secrets status` shows it, `secrets rotate` renews it"
        )
    _write(path, (new_key(),), replace=False)
    text = _read(path, private=True)
    return parse(text or "", f"`{path}`")


def create_in_keyring() -> Keys:
    """
    Put one new key into the operating system's keyring; return what it then holds.

    Raises SecretKeyError: there is no keyring that encrypts, it has an entry already, or it does not take one.
    """
    found = _keyring()
    if from_keyring() is not None:
        raise SecretKeyError("the keyring has an entry already: `riskguard secrets status` shows it")
    return _into_keyring(found, (new_key(),))


def add_newest(keys: Keys) -> Keys:
    """
    Put a new key before *keys* in the source they come from; return all of them. The older ones stay.

    In a file this is one rename: whenever it is cut off, the file holds the old keys or all of them.
    Raises SecretKeyError when riskguard cannot write to that source, or somebody else just changed it.
    """
    together = (new_key(), *keys.keys)
    if len(together) > KEYS_MAX:
        raise SecretKeyError(f"{keys.source} holds {len(keys.keys)} keys: drop the oldest first")
    with _alone():
        standing = at_hand()
        if standing is None or standing.keys != keys.keys:
            # Two rotations at once: the second would write its file without the key the first seals with.
            raise SecretKeyError(f"{keys.source} was changed meanwhile: look at `riskguard secrets status`, then again")
        if keys.source == f"`{key_file()}`":
            path = Path(os.path.realpath(key_file()))  # a rename onto a link would replace the link
            _write(path, together, replace=True)
            return Keys(keys.source, together)
        if keys.source.startswith("the keyring"):
            return _into_keyring(_keyring(), together)
    raise SecretKeyError(
        f"riskguard cannot write to {keys.source}: put a new key there as the first line, start again, and run "
        "`riskguard secrets rotate --no-new-key`"
    )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the host's lock on changing keys; it goes with the process."""
    path = host_home() / f"{FILE}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as e:
        raise SecretKeyError(f"cannot write `{path}`: {e.strerror}") from None
    try:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _keyring() -> Any:
    try:
        import keyring  # noqa: F401
    except ImportError:
        raise ExtraMissingError("secrets", "keyring", "keys in a keyring") from None
    found = encrypting_keyring()
    if found is None:
        raise SecretKeyError(
            "this host has no keyring that encrypts: `riskguard secrets init` makes a key file instead"
        )
    return found


def _into_keyring(found: Any, together: tuple[bytes, ...]) -> Keys:
    try:
        found.set_password(SERVICE, ENTRY, spelled(together))
    except Exception as e:
        raise SecretKeyError(f"the keyring ({found.name}) did not take the key: {type(e).__name__}") from None
    loaded = from_keyring()
    if loaded is None or loaded.keys != together:
        raise SecretKeyError(f"the keyring ({found.name}) does not give back what was put in: use a key file")
    return loaded


def _write(path: Path, together: tuple[bytes, ...], *, replace: bool, remark: str = SECRETS_REMARK) -> None:
    """Write a key file so that at any moment it holds what it held, or all of the new content, synced."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, spelled(together, remark).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # unlike a rename it never replaces a file that appeared meanwhile
            os.unlink(temporary)
        sync_directory(path.parent)
    except FileExistsError:
        raise SecretKeyError(f"`{path}` is there already") from None
    except OSError as e:
        raise SecretKeyError(f"the key file `{path}` cannot be written: {e.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
