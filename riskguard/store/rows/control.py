"""
Rows of control, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/control.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Money, Row, Said, Text, Whole, one_of


class TradersControlRow(Row):
    """Limits and the kill latch: what holds, since when, by whom and why."""

    TABLE: ClassVar[str] = "traders_control"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    control_type: Annotated[Text, one_of("KILL_SWITCH", "RISK_LIMIT", "POSITION_LIMIT")] = Field(
        description="KILL_SWITCH: the latch; RISK_LIMIT, POSITION_LIMIT: limits"
    )
    kill_switch_status: Text | None = Field(
        default=None, description="any word but INACTIVE, DEACTIVATE, DEACTIVATED, OFF halts"
    )
    daily_loss_limit: Money | None = Field(default=None, gt=0, description="rupees; reaching it trips")
    position_size_limit: Money | None = Field(
        default=None, gt=0, description="units, lots or rupees; none named: the tighter reading"
    )
    order_value_limit: Money | None = Field(default=None, gt=0, description="rupees an order")
    is_active: Flag | None = Field(default=True, description="1: in force; a superseded row stays as history with 0")
    created_at: Whole = Field(lt=100000000000, description="when the row was first written")
    updated_at: Whole = Field(lt=100000000000, description="when the row last changed")
    activated_at: Whole | None = Field(default=None, lt=100000000000, description="when the kill was made")
    deactivated_at: Whole | None = Field(default=None, lt=100000000000, description="when the row went out of force")
    activated_by: Text | None = Field(default=None, description="who wrote it")
    reason: Text | None = Field(default=None, description="why, shown with every refusal")
    limit_id: Text | None = Field(default=None, description="id in the rulebook; null: a version 3 row")
    check_name: Text | None = Field(
        default=None, description="the check this row gives parameters to; null: by its columns"
    )
    parameters: Text | None = Field(
        default=None, description="JSON; the number in a version 3 column is not repeated here"
    )
    scope: Text | None = Field(default=None, description="KIND or KIND:name; null: the whole account")
    on_breach: Annotated[Text, one_of("warn", "reject", "reduce_only", "halt", "kill")] | None = Field(
        default=None, description="what a breach does; null: the check's own"
    )
    mode: Annotated[Text, one_of("enforce", "shadow")] | None = Field(
        default=None, description="enforce, or shadow: watched, not enforced; null: enforce"
    )
    kill_plan: Annotated[Text, one_of("halt", "cancel", "flatten", "broker")] | None = Field(
        default=None, description="what a kill by this limit does: halt, cancel, flatten, broker; null: cancel"
    )
    source: Text | None = Field(default=None, description="where the number comes from")
    rulebook_digest: Text | None = Field(default=None, description="SHA-256 of the rulebook that was applied")
    action_id: Whole | None = Field(
        default=None, description="control_actions.id of the apply or release that wrote the row"
    )


class RiskViolationRow(Row):
    """Breaches of a limit, with what was measured and the order that was refused."""

    TABLE: ClassVar[str] = "risk_violations"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account_type: AccountName = Field(description="account name; version 3 knew leader and follower")
    violation_type: Said = Field(description="DAILY_LOSS, POSITION_SIZE, ORDER_VALUE, or the reject code")
    limit_value: Money = Field(description="0 where there is no number; see `limit_text`")
    actual_value: Money = Field(description="0 where there is no number; see `measured`")
    order_id: Text | None = Field(default=None, description="broker's id; null for an order that was never sent")
    security_id: Text | None = Field(
        default=None, description="the instrument; null: the breach is of the whole account"
    )
    action_taken: Text | None = Field(
        default=None, description="ORDER_REJECTED, KILL_SWITCH_ACTIVATED, REDUCE_ONLY, WARNED"
    )
    violated_at: Whole = Field(lt=100000000000, description="when the breach was found")
    violated_at_us: Whole | None = Field(default=None, ge=100000000000000, description="the same moment, exactly")
    code: Text | None = Field(default=None, description="reject code")
    check_name: Text | None = Field(default=None, description="the check that said no")
    limit_id: Text | None = Field(default=None, description="id of the limit in its rulebook")
    scope: Text | None = Field(
        default=None, description="KIND or KIND:name: GLOBAL, GROUP, ACCOUNT, STRATEGY, UNDERLYING, INSTRUMENT"
    )
    unit: Text | None = Field(default=None, description="of measured and limit_text")
    measured: Text | None = Field(default=None, description="exact decimal; null: could not be measured")
    limit_text: Text | None = Field(default=None, description="exact decimal; null: no number")
    detail: Text | None = Field(default=None, description="the message the caller saw")
    client_order_id: Text | None = Field(
        default=None, description="the id the order was asked under, unique per account for ever"
    )
    sequence: Whole | None = Field(default=None, description="decisions.sequence of the refusal")
    strategy: Text | None = Field(default=None, description="name of the strategy that asked; empty: none named")
    exchange_segment: Text | None = Field(
        default=None,
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds",
    )
    side: Text | None = Field(default=None, description="BUY, SELL")
    product: Text | None = Field(default=None, description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    order_type: Text | None = Field(default=None, description="MARKET, LIMIT, STOP_LOSS, STOP_LOSS_MARKET")
    quantity: Whole | None = Field(default=None, description="the order's quantity; null: no order is behind it")
    price: Text | None = Field(default=None, description="rupees; null for a market order")
    control_id: Whole | None = Field(default=None, description="traders_control.id of the limit")


class ControlActionRow(Row):
    """Every act that may loosen: first rows, rulebooks applied, releases, overrides."""

    TABLE: ClassVar[str] = "control_actions"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    kind: Annotated[Text, one_of("INIT", "APPLY", "RELEASE", "OVERRIDE", "SUPERSEDE")] = Field(
        description="INIT, APPLY, RELEASE, OVERRIDE; SUPERSEDE only within a trigger"
    )
    by_whom: Said = Field(description="the person who answers for it")
    os_user: Text = Field(default="", description="operating-system user of the process")
    reason: Text = Field(default="", description="why, in the words of whoever did it")
    kill_ids: Text = Field(default="", description="kills a release ends, separated by blanks")
    at_us: Whole = Field(ge=100000000000000, description="when it happened")
    is_open: Flag = Field(default=True, description="1: within the transaction that writes it")
    sequence: Whole | None = Field(
        default=None,
        description="decisions.sequence of its journal entry; null: not journaled, then it releases nothing",
    )


class ControlChangeRow(Row):
    """What plain SQL did to limits and latch, kept by triggers and adopted into the journal."""

    TABLE: ClassVar[str] = "control_changes"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    what: Said = Field(description="INSERTED, UPDATED, DELETED, SUPERSEDED, TIGHTENED")
    control_id: Whole | None = Field(default=None, description="traders_control.id of the row that changed")
    control_type: Text = Field(description="its control_type")
    limit_id: Text = Field(default="", description="its limit_id; empty: none")
    scope: Text = Field(default="", description="its scope; empty: none")
    old_values: Text | None = Field(default=None, description="JSON of what the row said before")
    new_values: Text | None = Field(default=None, description="JSON of what it says now")
    is_adopted: Flag = Field(default=False, description="1: journaled by riskguard")
