"""Keys and what is sealed with them: how they stand, and bringing everything under a new key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from riskguard.store.database import Database
from riskguard.store.secrets import keys as sources
from riskguard.store.secrets.envelope import Keys
from riskguard.store.secrets.fields import Progress, Resealed, Standing, reseal, survey

Stage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rotated:
    """
    What a rotation did, or would do.

    Attributes:
        key_id: The key everything is sealed with now. older: The other keys at hand, newest first; nothing in this
        database needs them any more. new_key: Whether a key was made.
    """

    key_id: str
    older: tuple[str, ...]
    source: str
    new_key: bool
    dry_run: bool
    fields: tuple[Resealed, ...]


def rotate(
    database: Database, *, new_key: bool = True, dry_run: bool = False,
    on_progress: Progress = lambda _what, _done, _total: None, on_stage: Stage = lambda _name: None,
) -> Rotated:  # fmt: skip
    """
    Bring every secret of the database under a new key, or with *new_key* False under the newest one there is.

    The new key is durable beside the old ones before anything is sealed with it, and all values change in one
    transaction: wherever this is cut off, every value opens with the keys at hand. Doing it again finishes it.

    Raises SecretKeyError (no key, or a source riskguard cannot write to), SecretWrongKeyError, SecretTamperedError
    (a value does not open: nothing was changed, and no key was made), StoreUnavailableError and its family.
    """
    keys = sources.load()
    on_stage("look")
    with database.reading() as connection:
        # All must open before a key is made, or each failed attempt would leave one.
        would = reseal(connection, keys, dry_run=True)
    if dry_run:
        return Rotated(keys.newest, keys.ids[1:], keys.source, new_key, True, tuple(would))
    if new_key:
        on_stage("key")
        keys = sources.add_newest(keys)
    on_stage("reseal")
    with database.transaction() as connection:
        done = reseal(connection, keys, on_progress=on_progress)
        on_stage("commit")
    on_stage("done")
    return Rotated(keys.newest, keys.ids[1:], keys.source, new_key, False, tuple(done))


def standing(database: Database, keys: Keys | None) -> list[Standing]:
    """Return what lies in each field that holds secrets; with *keys* each value is opened, to say whether it does."""
    with database.reading() as connection:
        return survey(connection, keys)
