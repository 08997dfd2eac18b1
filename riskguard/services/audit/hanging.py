"""
What hangs on an entry: the permit an approval granted, the violations a refusal or a sweep left, the limits it was made under.

A part of the chain is compared at once, because a question per row would cost more than the chain itself. What is not
found so is looked for by its key, and only then called wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

from pydantic_core import from_json, to_json

from riskguard.services.audit.chain import Entry
from riskguard.services.audit.correlated import are_correlated
from riskguard.store import permits as granted
from riskguard.store import violations as broken
from riskguard.store.journal import LIMITS_OF, Wrong
from riskguard.store.queries.audit import (
    CHANGES,
    FILLED,
    FROM_ORDER,
    OF_ENTRY,
    PERMIT,
    PERMIT_COLUMNS,
    PERMITS,
    VIOLATIONS,
)
from riskguard.store.session import Session

MERGED_INTO: Final = ("order_type", "quantity", "price_e4", "trigger_price_e4", "risk_price_e4")
"""Columns of a permit of which a change the broker took makes others, as it was approved itself."""
_from_order = itemgetter(*FROM_ORDER)
_id = itemgetter(1)


class Hanging:
    """
    Compares parts of one account's chain with what hangs on them, and counts what it found.

    Attributes:
        permits, violations: Rows that were found to be what an entry claims, in the live tables.
    """

    def __init__(self, session: Session, account: str, archives: Sequence[sqlite3.Connection] = ()) -> None:
        self.session, self.account, self.archives = session, account, archives
        self.permits = self.violations = 0
        self._limits: dict[str, bool] = {}

    def wrong(self, part: list[Entry]) -> Wrong | None:
        """Return the first entry of *part* that something is wrong with."""
        approved = [each for each in part if each[0][3] and each[1]["kind"] in ("ORDER", "MODIFY")]
        claiming = [each for each in part if each[1].get("violations") is not None]
        found = (self._limits_of(part), self._permits_of(approved), self._violations_of(claiming))
        return min((each for each in found if each is not None), key=lambda each: each.sequence or 0, default=None)

    # -- limits -----------------------------------------------------------------------------------------------

    def _limits_of(self, part: list[Entry]) -> Wrong | None:
        if all([self._has_limits(digest) for digest in {said.get("limits") for _row, said in part} if digest]):
            return None
        for row, said in part:
            digest = said.get("limits")
            if digest and not self._has_limits(digest):
                return Wrong(row[0], "limits", f"the limits sequence {row[0]} was decided under are gone or changed")
        return None

    def _has_limits(self, digest: str) -> bool:
        known = self._limits.get(digest)
        if known is None:
            row = self.session.row(LIMITS_OF, digest=digest)
            known = self._limits[digest] = row is not None and hashlib.sha256(row[0].encode()).hexdigest() == digest
        return known

    # -- permits ----------------------------------------------------------------------------------------------

    def _permits_of(self, approved: list[Entry]) -> Wrong | None:
        if not approved:
            return None
        for row, said in self._not_found(approved):
            wanted = expected_permit(self.account, row, said)
            if wanted is None:
                return Wrong(row[0], "permit", f"sequence {row[0]} approves and says nothing of a permit")
            wrong = self._permit_wrong(row[0], wanted)
            if wrong is not None:
                return wrong
        self.permits += len(approved)
        return None

    def _not_found(self, approved: list[Entry]) -> list[Entry]:
        """Return the entries whose permit is not found as it was granted, asking for all at once."""
        times = [row[5] for row, _said in approved]
        together = self.session.row(
            PERMITS, account=self.account, from_us=min(times), to_us=max(times), first=approved[0][0][0],
            last=approved[-1][0][0],
        )  # fmt: skip
        text, ids = together or (None, None)
        if not text or not ids:
            return approved
        if self._are_granted(approved, text, ids):
            return []
        return self._not_granted(approved, {row[0]: row for row in from_json(text)})

    def _not_granted(self, approved: list[Entry], found: dict[int, list[Any]]) -> list[Entry]:
        """Return the entries whose permit is not among *found*, by sequence, as it was granted; all, where ids are others."""
        odd: list[Entry] = []
        names: list[str] = []
        ids: list[str] = []
        for entry in approved:
            row, said = entry
            there = found.get(row[0])
            try:
                if there is not None and there == list(_expected(row, said, there[2])):
                    names.append(there[1])
                    ids.append(there[2])
                    continue
            except (KeyError, TypeError):  # an entry that says nothing of a permit, or something else
                pass
            odd.append(entry)
        return odd if are_correlated(self.account, names, ",".join(ids)) else approved

    def _are_granted(self, approved: list[Entry], text: str, ids: str) -> bool:
        """Say whether the permits, as one text of JSON, are word for word those *approved* granted, in their order."""
        apart = ids.split(",")
        if len(apart) != len(approved):
            return False
        try:
            wanted = to_json([_expected(row, said, each) for (row, said), each in zip(approved, apart, strict=True)])
        except (KeyError, TypeError, ValueError):  # which one says nothing of a permit is asked one by one
            return False
        return text.encode() == wanted and are_correlated(self.account, [row[1] for row, _said in approved], ids)

    def _permit_wrong(self, sequence: int, wanted: tuple[Any, ...]) -> Wrong | None:
        there = self.session.row(PERMIT, account=self.account, client_order_id=wanted[1])
        if there is None:
            return Wrong(sequence, "permit", f"the permit sequence {sequence} granted (`{wanted[1]}`) is gone")
        differs = [name for name, is_, was in zip(PERMIT_COLUMNS, there, wanted, strict=True) if is_ != was]
        if not differs or (set(differs) <= set(MERGED_INTO) and self._was_changed(wanted, there)):
            return None
        return Wrong(sequence, "permit", f"`{differs[0]}` of the permit sequence {sequence} granted is another")

    def _was_changed(self, wanted: tuple[Any, ...], there: tuple[Any, ...]) -> bool:
        """Say whether the permit is what an approved change of its order made of it."""
        is_ = dict(zip(PERMIT_COLUMNS, there, strict=True))
        filled = (self.session.row(FILLED, account=self.account, client_order_id=wanted[1]) or (0,))[0]
        merged = granted.merged(self.session, self.account, wanted[1])
        changes = ((becomes, risk_price_e4) for _name, becomes, risk_price_e4, _at_us in merged)
        for becomes, risk_price_e4 in itertools.chain(changes, self._changes_gone(wanted)):
            made = json.loads(becomes)
            quantities = (made["quantity"], max(filled, made["quantity"]))
            same = [is_[name] == made[name] for name in ("order_type", "price_e4", "trigger_price_e4")]
            if all(same) and is_["quantity"] in quantities and is_["risk_price_e4"] == risk_price_e4:
                return True
        return False

    def _changes_gone(self, wanted: tuple[Any, ...]) -> Iterator[tuple[str, int | None]]:
        """
        Yield (what it becomes, risk price) of approved changes whose permit is gone: that one is named, where it belongs.

        It walks all that follows, so that it is asked last: of a permit that is going to be called wrong.
        """
        for client_order_id, body in self.session.rows(CHANGES, account=self.account, after=wanted[0]):
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a wrong entry, named when it is reached
                said = dict(zip(granted.SAID, json.loads(body)["permit"], strict=True))
                is_gone = self.session.row(PERMIT, account=self.account, client_order_id=client_order_id) is None
                if said["changes_order"] == wanted[1] and is_gone:
                    yield said["becomes"], said["risk_price_e4"]

    # -- violations -------------------------------------------------------------------------------------------

    def _violations_of(self, claiming: list[Entry]) -> Wrong | None:
        if not claiming:
            return None
        times = [row[5] // 1_000_000 for row, _said in claiming]
        asked = {
            "account": self.account, "from_s": min(times), "to_s": max(times), "first": claiming[0][0][0],
            "last": claiming[-1][0][0],
        }  # fmt: skip
        there: dict[int, list[tuple[Any, ...]]] = {}
        for row in self.session.rows(VIOLATIONS, **asked):
            there.setdefault(row[0], []).append(row)
        for row, said in claiming:
            sequence, claim = row[0], said["violations"]
            found = there.get(sequence, [])
            if len(found) > 1:
                found.sort(key=_id)
            if not _is(found, claim):
                found = self.session.rows(OF_ENTRY, account=self.account, sequence=sequence)
                if not _is(self._with_archived(sequence, found), claim):
                    return Wrong(sequence, "violation", self._violation_says(sequence, claim, found))
            self.violations += len(found)
        return None

    def _with_archived(self, sequence: int, found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Add what left for the archive files; a row that is being moved stands in both for a moment."""
        together = {row[1]: row for row in found}
        for connection in self.archives:
            sql, constants = OF_ENTRY.compiled()
            for row in connection.execute(sql, {**constants, "account": self.account, "sequence": sequence}):
                together.setdefault(row[1], row)
        return [together[key] for key in sorted(together)]

    def _violation_says(self, sequence: int, claim: dict[str, Any], found: list[tuple[Any, ...]]) -> str:
        there = len(self._with_archived(sequence, found))
        if there != claim["rows"]:
            return f"sequence {sequence} left {claim['rows']} rows of risk_violations, {there} are there"
        return f"a row of risk_violations that sequence {sequence} left says something else than was written"


def _is(rows: list[tuple[Any, ...]], claim: dict[str, Any]) -> bool:
    return bool(len(rows) == claim["rows"] and broken.digest(row[2:] for row in rows) == claim["digest"])


def expected_permit(account: str, row: tuple[Any, ...], said: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return the permit an approval granted, column by column; None where the entry says nothing of one."""
    if said.get("permit") is None:
        return None
    return _expected(row, said, granted.correlation_id(account, row[1]))


def _expected(row: tuple[Any, ...], said: dict[str, Any], correlation_id: str) -> tuple[Any, ...]:
    order = said.get("adjusted_to") or said["order"]
    at_us = row[5]
    return (
        row[0], row[1], correlation_id, *_from_order(order), *said["permit"], at_us, at_us + granted.LIFE_US,
    )  # fmt: skip
