"""Accounts, the journal of decisions and the permits of approved orders; to read. `RiskGuard` writes them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from riskguard.store.bounds import LIVE_PERMIT_STATES
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.journal import (
    AccountHeadRow,
    AccountRow,
    DecisionRow,
    LimitSetRow,
    OrderMessageRow,
    PermitRow,
    RefusalRepeatRow,
)
from riskguard.store.tables.journal import (
    account_heads,
    accounts,
    decisions,
    limit_sets,
    order_messages,
    permits,
    refusal_repeats,
)

_d, _p, _o, _r = decisions.c, permits.c, order_messages.c, refusal_repeats.c


class JournalRepository(Repository):
    """Prices ending in `_e4` are whole 1/10000 rupees, times ending in `_us` microseconds UTC."""

    def get_accounts(self) -> list[AccountRow]:
        """Return the accounts riskguard answers for, by name."""
        return self._rows(AccountRow, sa.select(accounts).order_by(accounts.c.account))

    def get_account_head(self, account: str) -> AccountHeadRow | None:
        """Return where the account's journal stands and how often what a check reads has changed, or None."""
        return self._row(AccountHeadRow, sa.select(account_heads).where(account_heads.c.account == account))

    def get_decision(self, account: str, client_order_id: str) -> DecisionRow | None:
        """Return the decision on *client_order_id*, or None. What it is worth now, its permit says."""
        mine = sa.and_(_d.account == account, _d.client_order_id == client_order_id)
        return self._row(DecisionRow, sa.select(decisions).where(mine))

    def get_decisions(
        self, account: str, after_sequence: int = 0, limit: int = 100, *, kind: str | None = None
    ) -> list[DecisionRow]:
        """Return the account's journal after *after_sequence*, in its order; of one kind, where it is given."""
        statement = sa.select(decisions).where(_d.account == account, _d.sequence > after_sequence)
        if kind is not None:
            statement = statement.where(_d.kind == kind)
        return self._rows(DecisionRow, statement.order_by(_d.sequence), limit)

    def get_limit_set(self, digest: str) -> LimitSetRow | None:
        """Return the limits decisions of *digest* were made under, or None."""
        return self._row(LimitSetRow, sa.select(limit_sets).where(limit_sets.c.digest == digest))

    def get_permit(self, account: str, client_order_id: str) -> PermitRow | None:
        """Return the permit of an approved order as it stands, or None."""
        mine = sa.and_(_p.account == account, _p.client_order_id == client_order_id)
        return self._row(PermitRow, sa.select(permits).where(mine))

    def get_permits(
        self, account: str, states: Sequence[str] = LIVE_PERMIT_STATES, limit: int | None = None
    ) -> list[PermitRow]:
        """Return the account's permits in *states*, by default those that still hold something, oldest first."""
        statement = sa.select(permits).where(_p.account == account, _p.state.in_(list(states)))
        return self._rows(PermitRow, statement.order_by(_p.sequence), limit)

    def get_order_messages(self, account: str, since_us: int, limit: int | None = None) -> list[OrderMessageRow]:
        """Return the messages sent to the broker from *since_us* on: what the throttle counts."""
        statement = sa.select(order_messages).where(_o.account == account, _o.at_us >= since_us)
        return self._rows(OrderMessageRow, statement.order_by(_o.at_us, _o.id), limit)

    def get_refusal_repeats(self, account: str, since_us: int, limit: int | None = None) -> list[RefusalRepeatRow]:
        """Return how often refusals were repeated within their second, from *since_us* on."""
        statement = sa.select(refusal_repeats).where(_r.account == account, _r.at_us >= since_us)
        return self._rows(RefusalRepeatRow, statement.order_by(_r.at_us, _r.id), limit)
