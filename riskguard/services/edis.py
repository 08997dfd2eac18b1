"""Which shares may be sold from the demat account: authorisations per ISIN, as they stand now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from riskguard.store.database import Database
    from riskguard.store.rows import EdisTransactionRow

AUTHORISED, AWAITED, OVER, REFUSED = "AUTHORIZED", "PENDING", "EXPIRED", "REJECTED"
_WORDS: Final = {"AUTHORISED": AUTHORISED, "APPROVED": AUTHORISED, "SUCCESS": AUTHORISED, "FAILED": REFUSED}


@dataclass(slots=True)
class Authorised:
    """
    How one ISIN of one account stands; quantities in shares.

    Attributes:
        authorised: May be sold now. pending: Asked for. expired, rejected: No longer, or never. other: Under a
        word of the broker's that is not known here; counts for nothing.
        expires_at: When the first of what is authorised ends, epoch seconds; None when nobody said.
        last: The newest word of the broker, and `said_at` when (epoch seconds).
    """

    account: str
    isin: str
    authorised: int = 0
    pending: int = 0
    expired: int = 0
    rejected: int = 0
    other: int = 0
    expires_at: int | None = None
    last: str = ""
    said_at: int | None = None


def status(database: Database, account: str | None, now_s: int) -> list[Authorised]:
    """
    Return the authorisations by account and ISIN, as of *now_s* (epoch seconds).

    One whose time is over is expired whatever its row still says. Raises StoreUnavailableError and its family.
    """
    found: dict[tuple[str, str], Authorised] = {}
    for row in database.edis.latest(account, limit=100_000):  # the newest first
        key = (row.account_type, row.isin)
        stands = found.setdefault(key, Authorised(*key, last=row.status, said_at=row.updated_at))
        _count(stands, row, now_s)
    return [found[key] for key in sorted(found)]


def _count(stands: Authorised, row: EdisTransactionRow, now_s: int) -> None:
    word = row.status.strip().upper()
    word = _WORDS.get(word, word)
    is_over = row.expires_at is not None and row.expires_at <= now_s
    if word in (AUTHORISED, AWAITED) and is_over:
        word = OVER
    if word == AUTHORISED:
        stands.authorised += row.qty
        if row.expires_at is not None:
            stands.expires_at = min(row.expires_at, stands.expires_at or row.expires_at)
    elif word == AWAITED:
        stands.pending += row.qty
    elif word == OVER:
        stands.expired += row.qty
    elif word == REFUSED:
        stands.rejected += row.qty
    else:
        stands.other += row.qty
