"""
The brokers' own kill switches as a release meets them: read before it, switched off for it, and on again if it fails.

Local and broker state must not disagree the loose way: a switch that is on, or that nobody can read, forbids a release.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from riskguard.errors import ReleaseRefusedError
from riskguard.ports import BrokerLock
from riskguard.redaction import redacted

SAID_MAX = 200


class Switches:
    """The switch of each account a release concerns; an account whose broker has none is not in it."""

    def __init__(self, locks: Mapping[str, BrokerLock] | None) -> None:
        self._locks = dict(locks or {})

    def objection(self, *, unlock: bool) -> str:
        """Return why a switch forbids a release, "" if none does; with *unlock* one that is on does not: it is readable."""
        for account in self._locks:
            is_locked, said = self._read(account)
            if said:
                return said
            if is_locked and not unlock:
                return (
                    f"the broker's own kill switch of `{account}` is on: `riskguard release --unlock-broker`, or switch it "
                    "off in its app"
                )
        return ""

    def unlock(self) -> tuple[str, ...]:
        """
        Switch off those that are on and read each back; returns whose they were.

        Raises ReleaseRefusedError when one does not read off; those switched off before it are on again where the
        broker takes it, and the error says so.
        """
        opened: list[str] = []
        for account, lock in self._locks.items():
            is_locked, said = self._read(account)
            if is_locked:
                opened.append(account)
                try:
                    lock.unlock()
                except Exception as e:  # whatever the adapter raises: what the broker reads back decides
                    said = f"the broker would not switch it off ({redacted(str(e))[:SAID_MAX]})"
                still, unread = self._read(account)
                if still or unread:
                    said = unread or f"the broker's own kill switch of `{account}` still reads on" + (
                        f": {said}" if said else ""
                    )
                else:
                    said = ""
            if said:
                again = self.lock_again(tuple(opened))
                raise ReleaseRefusedError("; ".join(each for each in (said, again) if each))
        return tuple(opened)

    def lock_again(self, accounts: tuple[str, ...]) -> str:
        """Switch these on again, since nothing was released; says what came of it, "" where there was nothing to do."""
        on: list[str] = []
        off: list[str] = []
        for account in accounts:
            with suppress(Exception):  # what the broker reads back decides, and the sentence below says it
                self._locks[account].lock()
            is_locked, _said = self._read(account)
            (on if is_locked else off).append(f"`{account}`")
        parts = []
        if on:
            parts.append(f"the broker's own kill switch of {', '.join(on)} is on again")
        if off:
            parts.append(
                f"the broker's own kill switch of {', '.join(off)} was switched off and could not be switched on again: "
                "riskguard still halts the account; switch it on in the broker's app"
            )
        return "; ".join(parts)

    def _read(self, account: str) -> tuple[bool, str]:
        """Return whether the switch is on, and why nobody can say, "" when the broker said it."""
        try:
            return self._locks[account].is_locked(), ""
        except Exception as e:  # whatever the adapter raises: a switch nobody could read may be on
            said = redacted(str(e))[:SAID_MAX]
            return False, f"the broker's own kill switch of `{account}` cannot be read ({said}): try again"
