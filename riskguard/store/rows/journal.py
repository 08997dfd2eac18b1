"""
Rows of journal, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/journal.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Text, Whole, one_of


class AccountRow(Row):
    """Accounts riskguard answers for."""

    TABLE: ClassVar[str] = "accounts"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    role: Said = Field(description="leader, follower, or any word of the desk")
    group_name: Text = Field(default="", description="accounts of one group share GROUP limits")
    broker: Text = Field(default="", description="paper, dhan; empty: none attached")
    created_at_us: Whole = Field(ge=100000000000000, description="when the account was added")


class AccountHeadRow(Row):
    """One row per account, and GLOBAL: whoever changes what a check reads changes this row too."""

    TABLE: ClassVar[str] = "account_heads"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    sequence: Whole = Field(default=0, ge=0, description="last decisions.sequence")
    last_hash: Text = Field(default="", description="hash of that decision")
    epoch: Whole = Field(default=0, ge=0, description="counts state changes")
    version: Whole = Field(default=0, ge=0, description="bumped by triggers on all that an account reads")
    generation: Whole = Field(default=0, ge=0, description="GLOBAL row: latch and release commits so far")
    controls: Whole = Field(default=0, description="drawn anew by triggers whenever traders_control changes")


class DecisionRow(Row):
    """The journal: append-only, gapless and hash-chained per account."""

    TABLE: ClassVar[str] = "decisions"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    sequence: Whole = Field(ge=1, description="1, 2, 3 … without a gap")
    client_order_id: Text | None = Field(default=None, description="null for what was no order")
    kind: Annotated[
        Text, one_of("ORDER", "KILL", "RELEASE", "APPLY", "INIT", "STATE", "ADOPTED", "OVERRIDE", "BASELINE", "MODIFY")
    ] = Field(description="ORDER, MODIFY, KILL, RELEASE, APPLY, INIT, STATE, ADOPTED, OVERRIDE, BASELINE")
    approved: Flag = Field(description="1: the order may be sent")
    strategy: Text = Field(default="", description="name of the strategy that asked; empty: none named")
    decided_at_us: Whole = Field(ge=100000000000000, description="the instant the decision is about")
    body: Text = Field(description="canonical JSON: order, facts, rejects, digest of the limits", repr=False)
    previous_hash: Text = Field(description="hash of the decision before; empty for the first")
    hash: Text = Field(description="SHA-256 of previous_hash and body")
    mac: Text = Field(default="", description="key id and HMAC-SHA-256 of hash; empty: written without an audit key")


class LimitSetRow(Row):
    """The limits decisions were made under, once per set."""

    TABLE: ClassVar[str] = "limit_sets"

    digest: Said = Field(description="SHA-256 of body")
    body: Text = Field(description="canonical JSON of the limits", repr=False)


class PermitRow(Row):
    """Reservations: what an approved order holds until it is filled, cancelled or released."""

    TABLE: ClassVar[str] = "permits"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    client_order_id: Said = Field(description="the id the order was asked under, unique per account for ever")
    sequence: Whole = Field(ge=1, description="decisions.sequence of the approval")
    state: Annotated[
        Text,
        one_of(
            "GRANTED",
            "SENT",
            "ACKED",
            "UNKNOWN",
            "REFUSED",
            "FILLED",
            "CANCELLED",
            "EXPIRED",
            "VOID",
            "RELEASED",
            "MERGED",
        ),
    ] = Field(
        description=(
            "GRANTED, SENT, ACKED, UNKNOWN hold quantity; REFUSED, FILLED, CANCELLED, EXPIRED, VOID, "
            "RELEASED, MERGED do not"
        )
    )
    direction: Text = Field(description="REDUCING is what stopped accounts still let out")
    emergency_by: Text = Field(default="", description="who let an exit out past a stop; empty: nobody")
    correlation_id: Said = Field(description="what the broker is told")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    side: Text = Field(description="BUY, SELL")
    product: Text = Field(description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    order_type: Text = Field(description="MARKET, LIMIT, STOP_LOSS, STOP_LOSS_MARKET")
    strategy: Text = Field(default="", description="name of the strategy that asked; empty: none named")
    exit_group: Text = Field(default="", description="orders of which at most one can still fill; empty: none")
    quantity: Whole = Field(ge=0, description="ordered; of a change what it adds")
    filled_quantity: Whole = Field(default=0, ge=0, description="of which traded")
    price_e4: Whole | None = Field(default=None, description="limit price; null: a market order")
    trigger_price_e4: Whole | None = Field(default=None, description="null: none")
    risk_price_e4: Whole | None = Field(
        default=None, description="the worst it may trade at, as judged; null: not known"
    )
    reference_e4: Whole | None = Field(default=None, description="what the market showed then; null: not known")
    cancel_first: Text = Field(default="[]", description="JSON: orders that must be gone before this exit")
    order_id: Text | None = Field(default=None, description="broker's order id, once acknowledged")
    granted_at_us: Whole = Field(ge=100000000000000, description="when it was approved")
    expires_at_us: Whole = Field(ge=100000000000000, description="when it ends if it was not sent")
    sent_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when it was marked before the wire; null: not sent"
    )
    ended_at_us: Whole | None = Field(default=None, ge=100000000000000, description="when it stopped holding quantity")
    detail: Text = Field(default="", description="why it ended")
    kind: Annotated[Text, one_of("NEW", "MODIFY")] = Field(
        default="NEW", description="MODIFY: a change of a working order, merged into it once taken"
    )
    changes_order: Text = Field(default="", description="of a change: the order's own client order id, or broker's id")
    becomes: Text = Field(default="", description="of a change: JSON of the order as it will be")
    basket: Text = Field(default="", description="legs approved as one decision share it; empty: none")
    leg: Whole = Field(default=0, ge=0, description="place in the basket: an earlier leg is sent first")


class OrderMessageRow(Row):
    """Messages sent to the broker: what the throttle counts, over all processes."""

    TABLE: ClassVar[str] = "order_messages"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    kind: Annotated[Text, one_of("NEW", "MODIFY", "CANCEL")] = Field(description="NEW, MODIFY, CANCEL")
    client_order_id: Text = Field(
        default="", description="the id the order was asked under, unique per account for ever"
    )
    at_us: Whole = Field(ge=100000000000000, description="when it happened")


class RefusalRepeatRow(Row):
    """How often a refusal was repeated within its second: a runaway costs one row a second."""

    TABLE: ClassVar[str] = "refusal_repeats"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    violation_id: Whole = Field(description="risk_violations.id that was repeated")
    strategy: Text = Field(default="", description="name of the strategy that asked; empty: none named")
    repeats: Whole = Field(ge=1, description="in this second")
    at_us: Whole = Field(ge=100000000000000, description="when it happened")


class AdoptedFileRow(Row):
    """Spool files already taken over: one left behind by a crash is not taken twice."""

    TABLE: ClassVar[str] = "adopted_files"

    digest: Said = Field(description="SHA-256 of the spool file")
    at_us: Whole = Field(ge=100000000000000, description="when it happened")
