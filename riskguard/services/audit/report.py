"""What a verification found: what is wrong, what was not proven, and how much was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from riskguard.errors import AuditKeyError, AuditTamperedError
from riskguard.store.journal import Wrong

TRUE, WRONG, UNPROVEN = 0, 1, 3
"""Exit statuses. A third one for "nothing wrong was found, and not all was proven": that is never `verified`."""


@dataclass(slots=True)
class AccountAudit:
    """
    One account's chain.

    Attributes:
        rows: Entries found true, from the first one asked for. signed: Of which carry a mac that was judged true.
        wrong: The first bad row, by sequence; what no entry stands behind comes after all that have one.
        replay_disagrees: Decisions that come out otherwise today, the first twenty.
    """

    account: str
    first: int = 1
    rows: int = 0
    signed: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    replay_disagrees: list[int] = field(default_factory=list)

    @property
    def first_wrong(self) -> Wrong | None:
        return min(self.wrong, key=_place, default=None)


def _place(wrong: Wrong) -> tuple[bool, int]:
    return (wrong.sequence is None, wrong.sequence or 0)


@dataclass(slots=True)
class Audit:
    """
    Attributes:
        accounts: GLOBAL first, then by name.
        unproven: What could not be judged, one line each: macs without a key, and the like.
        notes: What is worth a look and neither of these.
        anchors: How many anchors of the log given were found true; None: none was given.
    """

    accounts: list[AccountAudit] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    anchors: int | None = None
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.accounts)

    @property
    def wrong(self) -> list[tuple[str, Wrong]]:
        """The first bad row of each account that has one."""
        return [(each.account, found) for each in self.accounts if (found := each.first_wrong) is not None]

    @property
    def exit_status(self) -> int:
        if self.wrong or any(each.replay_disagrees for each in self.accounts):
            return WRONG
        return UNPROVEN if self.unproven else TRUE

    def of(self, account: str) -> AccountAudit:
        """Return the entry of *account*, made when it is not there."""
        for each in self.accounts:
            if each.account == account:
                return each
        made = AccountAudit(account)
        self.accounts.append(made)
        return made

    def require(self) -> None:
        """Return only when all was proven; raises AuditTamperedError, AuditKeyError."""
        for account, found in self.wrong:
            raise AuditTamperedError(f"the journal of `{account}` is not true: {found.detail}")
        for each in self.accounts:
            if each.replay_disagrees:
                raise AuditTamperedError(f"`{each.account}`: decision {each.replay_disagrees[0]} comes out otherwise")
        for line in self.unproven:
            raise AuditKeyError(line)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        return {
            "verified": self.exit_status == TRUE,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "anchors": self.anchors,
            "accounts": [
                {
                    "account": each.account, "first": each.first, "rows": each.rows, "signed": each.signed,
                    "wrong": None if (found := each.first_wrong) is None else found._asdict(),
                    "also_wrong": [other._asdict() for other in each.wrong if other is not found],
                    "replay_disagrees": each.replay_disagrees,
                }
                for each in self.accounts
            ],
            "unproven": self.unproven,
            "notes": self.notes,
        }  # fmt: skip
