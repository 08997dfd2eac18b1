"""The keys of this process: read when they are first needed, and again when a value names one that is not there."""

from __future__ import annotations

from collections.abc import Callable

from riskguard.errors import SecretError, SecretKeyError, SecretWrongKeyError
from riskguard.store.secrets import keys as sources
from riskguard.store.secrets.envelope import Keys, Place
from riskguard.store.secrets.fields import Opened, opened


class Vault:
    """
    Seals and opens. A key that was added since this process began is found without a restart.

    *load* returns the keys, or None when there are none; it may ask a keyring, so never call in under a lock.
    """

    def __init__(self, load: Callable[[], Keys | None] = sources.at_hand) -> None:
        self._load = load
        self._keys: Keys | None = None

    def keys(self) -> Keys | None:
        """Return the keys, or None when there are none; raises SecretKeyError for a source that may not be used."""
        if self._keys is None:
            self._keys = self._load()
        return self._keys

    def require(self) -> Keys:
        """Return the newest keys there are; raises SecretKeyError when there are none."""
        self._keys = self._load()
        if self._keys is None:
            raise SecretKeyError("there is no key for secrets: make one with `riskguard secrets init`")
        return self._keys

    def open(self, stored: str, place: Place) -> Opened:
        """
        Return what *stored* says; what lies in clear is returned too, and says so.

        Raises SecretKeyError, SecretWrongKeyError, SecretTamperedError, ExtraMissingError. Never "nothing".
        """
        try:
            return opened(self.keys(), stored, place)
        except (SecretWrongKeyError, SecretKeyError) as first:
            self._keys = None
            try:
                return opened(self.keys(), stored, place)
            except SecretError as e:
                raise e from first
