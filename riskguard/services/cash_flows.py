"""Deposits and payouts out of the broker's ledger: they change the account's worth and are neither gain nor loss."""

from __future__ import annotations

from collections.abc import Iterable

from riskguard.core.seen import SeenLedgerEntry
from riskguard.store import days
from riskguard.store.session import Session

KINDS = frozenset({"DEPOSIT", "PAYOUT"})
TEXT_CHARS_MAX = 200


def take(session: Session, account: str, entries: Iterable[SeenLedgerEntry], now_us: int) -> int:
    """
    Keep the deposits and payouts among *entries*; returns how many were not known. A line is counted once, for good.

    The sign is the kind's: a payout of a positive amount left the account all the same. A line without a number is known
    by its date, amount and text, so that the same ledger read again counts nothing twice.
    """
    added = 0
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.kind not in KINDS or not entry.amount_e4:
            continue
        amount_e4 = abs(entry.amount_e4) if entry.kind == "DEPOSIT" else -abs(entry.amount_e4)
        name = entry.entry_id.strip() or f"{entry.date}:{amount_e4}:{entry.text[:TEXT_CHARS_MAX]}"
        # Two equal lines of one ledger are two flows; the same line of the next read is the same one.
        seen[name] = seen.get(name, 0) + 1
        key = name if seen[name] == 1 else f"{name}#{seen[name]}"
        ran = session.run(
            days.ADD_FLOW, account=account, entry_id=key, session_date=entry.date, kind=entry.kind, amount_e4=amount_e4,
            particulars=entry.text[:TEXT_CHARS_MAX], at_us=now_us,
        )  # fmt: skip
        added += ran.rowcount == 1
    return added
