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

import sqlalchemy as sa

from riskguard.services.audit.chain import Entry
from riskguard.store import permits as granted
from riskguard.store import violations as broken
from riskguard.store.journal import LIMITS_OF, Wrong
from riskguard.store.session import Session
from riskguard.store.statements import fixed, param, prepare
from riskguard.store.tables.control import risk_violations
from riskguard.store.tables.journal import decisions, permits

FROM_ORDER: Final = ("exchange_segment", "security_id", "side", "product", "order_type", "strategy", "exit_group")
"""Columns of a permit that are what the order says, as it was approved."""
_from_order = itemgetter(*FROM_ORDER)
PERMIT_COLUMNS: Final = (
    "sequence", "client_order_id", "correlation_id", *FROM_ORDER, *granted.SAID, "granted_at_us", "expires_at_us",
)  # fmt: skip
"""Columns of a permit that an entry claims: all that the grant wrote."""
MERGED_INTO: Final = ("order_type", "quantity", "price_e4", "trigger_price_e4", "risk_price_e4")
"""Of which a change the broker took makes others, as it was approved itself."""

_p = permits.c
_PERMITS = sa.select(*(_p[name] for name in PERMIT_COLUMNS)).where(_p.account == param("account"))
_IN_PART = (_p.sequence >= param("first"), _p.sequence <= param("last"))
PERMITS = prepare(_PERMITS.where(_p.granted_at_us >= param("from_us"), _p.granted_at_us <= param("to_us"), *_IN_PART))
PERMIT = prepare(_PERMITS.where(_p.client_order_id == param("client_order_id")))
MERGED = prepare(
    sa.select(_p.becomes, _p.risk_price_e4).where(
        _p.account == param("account"), _p.changes_order == param("changes_order"), _p.changes_order != fixed(""),
        _p.state == fixed("MERGED"),
    )
)  # fmt: skip
_d = decisions.c
CHANGES = prepare(
    sa.select(_d.client_order_id, _d.body)
    .where(
        _d.account == param("account"), _d.sequence > param("after"), _d.kind == fixed("MODIFY"), _d.approved == fixed(1)
    )
    .order_by(_d.sequence)
)  # fmt: skip
FILLED = prepare(
    sa.select(_p.filled_quantity).where(_p.account == param("account"), _p.client_order_id == param("client_order_id"))
)
_v = risk_violations.c
_id = itemgetter(1)
_VIOLATIONS = sa.select(_v.sequence, _v.id, *(_v[name] for name in broken.CLAIMED)).where(
    _v.account_type == param("account")
)
VIOLATIONS = prepare(
    _VIOLATIONS.where(
        _v.violated_at >= param("from_s"), _v.violated_at <= param("to_s"), _v.sequence >= param("first"),
        _v.sequence <= param("last"),
    )
)  # fmt: skip
OF_ENTRY = prepare(_VIOLATIONS.where(_v.sequence == param("sequence")).order_by(_v.id))


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
        times = [row[5] for row, _said in approved]
        found = {
            row[0]: row
            for row in self.session.rows(
                PERMITS, account=self.account, from_us=min(times), to_us=max(times), first=approved[0][0][0],
                last=approved[-1][0][0],
            )
        }  # fmt: skip
        for row, said in approved:
            wanted = expected_permit(self.account, row, said)
            if wanted is None:
                return Wrong(row[0], "permit", f"sequence {row[0]} approves and says nothing of a permit")
            there = found.get(row[0])
            if there != wanted:
                wrong = self._permit_wrong(row[0], wanted)
                if wrong is not None:
                    return wrong
            self.permits += 1
        return None

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
        changes = self.session.rows(MERGED, account=self.account, changes_order=wanted[1])
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
    grant = said.get("permit")
    if grant is None:
        return None
    order = said.get("adjusted_to") or said["order"]
    return (
        row[0], row[1], granted.correlation_id(account, row[1]), *_from_order(order), *grant,
        row[5], row[5] + granted.LIFE_US,
    )  # fmt: skip
