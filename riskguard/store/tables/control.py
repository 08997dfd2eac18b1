"""
Trader's Control: limits, the kill latch and breaches, and what persons and plain SQL did to them.

`traders_control` is the truth of limits and of the latch. The three limit columns of version 3 stay the only
store of those three numbers. Triggers (`riskguard.store.triggers`) let any tool tighten and none loosen.
"""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import (
    account,
    epoch,
    epoch_us,
    flag,
    money_real,
    partial_index,
    row_id,
    said,
    since_v4,
    table,
    text,
    whole,
    word,
)


def _positive(name: str) -> sa.CheckConstraint:
    # Zero and less would refuse everything or nothing, depending on who compares: version 3 took -5.
    return sa.CheckConstraint(sa.column(name, sa.Float()) > 0, name=f"{name}_positive")


traders_control = table(
    "traders_control",
    row_id(),
    account(),  # GLOBAL is the account of limits and kills that hold for all
    word(
        "control_type",
        "KILL_SWITCH",
        "RISK_LIMIT",
        "POSITION_LIMIT",
        doc="KILL_SWITCH: the latch; RISK_LIMIT, POSITION_LIMIT: limits",
    ),
    text("kill_switch_status", doc="any word but INACTIVE, DEACTIVATE, DEACTIVATED, OFF halts"),
    money_real("daily_loss_limit", doc="rupees; reaching it trips"),
    _positive("daily_loss_limit"),
    money_real(
        "position_size_limit", unit="as `parameters` says", doc="units, lots or rupees; none named: the tighter reading"
    ),
    _positive("position_size_limit"),
    money_real("order_value_limit", doc="rupees an order"),
    _positive("order_value_limit"),
    flag("is_active", default=1, doc="1: in force; a superseded row stays as history with 0"),
    epoch("created_at", nullable=False),
    epoch("updated_at", nullable=False),
    epoch("activated_at", doc="when the kill was made"),
    epoch("deactivated_at", doc="when the row went out of force"),
    text("activated_by", doc="who wrote it"),
    text("reason", doc="why, shown with every refusal"),
    since_v4(
        text("limit_id", doc="id in the rulebook; null: a version 3 row"),
        text("check_name", doc="the check this row gives parameters to; null: by its columns"),
        text("parameters", doc="JSON; the number in a version 3 column is not repeated here"),
        text("scope", doc="KIND or KIND:name; null: the whole account"),
        word(
            "on_breach",
            "warn",
            "reject",
            "reduce_only",
            "halt",
            "kill",
            nullable=True,
            doc="what a breach does; null: the check's own",
        ),
        word(
            "mode", "enforce", "shadow", nullable=True, doc="enforce, or shadow: watched, not enforced; null: enforce"
        ),
        word(
            "kill_plan",
            "halt",
            "cancel",
            "flatten",
            "broker",
            nullable=True,
            doc="what a kill by this limit does: halt, cancel, flatten, broker; null: cancel",
        ),
        text("source", doc="where the number comes from"),
        text("rulebook_digest", doc="SHA-256 of the rulebook that was applied"),
        whole("action_id", doc="control_actions.id of the apply or release that wrote the row"),
    ),
    # One row in force per limit; a second one supersedes the first and keeps the tighter numbers.
    partial_index(
        "uq_traders_control_active",
        "account_type",
        "control_type",
        sa.text("coalesce(limit_id, '')"),
        sa.text("coalesce(scope, '')"),
        where="is_active = 1",
        unique=True,
    ),
    sa.Index("idx_traders_control_account", "account_type", "is_active"),
    sa.Index("idx_traders_control_type", "control_type", "is_active"),
    about="Limits and the kill latch: what holds, since when, by whom and why.",
)

risk_violations = table(
    "risk_violations",
    row_id(),
    account(),
    # Version 3 knew three kinds; its words stay for those, all others are reject codes.
    said("violation_type", doc="DAILY_LOSS, POSITION_SIZE, ORDER_VALUE, or the reject code"),
    money_real(
        "limit_value", nullable=False, unit="as `unit` says", doc="0 where there is no number; see `limit_text`"
    ),
    money_real("actual_value", nullable=False, unit="as `unit` says", doc="0 where there is no number; see `measured`"),
    text("order_id", doc="broker's id; null for an order that was never sent"),
    text("security_id", doc="the instrument; null: the breach is of the whole account"),
    text("action_taken", doc="ORDER_REJECTED, KILL_SWITCH_ACTIVATED, REDUCE_ONLY, WARNED"),
    epoch("violated_at", nullable=False, doc="when the breach was found"),
    since_v4(
        epoch_us("violated_at_us", doc="the same moment, exactly"),
        text("code", doc="reject code"),
        text("check_name", doc="the check that said no"),
        text("limit_id"),
        text("scope"),
        text("unit", doc="of measured and limit_text"),
        text("measured", doc="exact decimal; null: could not be measured"),
        text("limit_text", doc="exact decimal; null: no number"),
        text("detail", doc="the message the caller saw"),
        text("client_order_id"),
        whole("sequence", doc="decisions.sequence of the refusal"),
        text("strategy"),
        text("exchange_segment"),
        text("side"),
        text("product"),
        text("order_type"),
        whole("quantity", doc="the order's quantity; null: no order is behind it"),
        text("price", doc="rupees; null for a market order"),
        whole("control_id", doc="traders_control.id of the limit"),
    ),
    sa.Index("idx_risk_violations_account", "account_type", "violated_at"),
    sa.Index("idx_risk_violations_type", "violation_type"),
    about="Breaches of a limit, with what was measured and the order that was refused.",
)

control_actions = table(
    "control_actions",
    row_id(),
    account("account"),
    word(
        "kind",
        "INIT",
        "APPLY",
        "RELEASE",
        "OVERRIDE",
        "SUPERSEDE",
        doc="INIT, APPLY, RELEASE, OVERRIDE; SUPERSEDE only within a trigger",
    ),
    said("by_whom", doc="the person who answers for it"),
    text("os_user", nullable=False, default="", doc="operating-system user of the process"),
    text("reason", nullable=False, default=""),
    text("kill_ids", nullable=False, default="", doc="kills a release ends, separated by blanks"),
    epoch_us("at_us", nullable=False),
    # Open only inside the transaction that writes it: no other connection ever sees a 1.
    flag("is_open", nullable=False, default=1, doc="1: within the transaction that writes it"),
    whole("sequence", doc="decisions.sequence of its journal entry; null: not journaled, then it releases nothing"),
    partial_index("uq_control_actions_open", "account", where="is_open = 1", unique=True),
    sa.Index("idx_control_actions_kind", "account", "kind", "sequence"),  # the last act on an account's limits
    about="Every act that may loosen: first rows, rulebooks applied, releases, overrides.",
    strict=True,
)

control_changes = table(
    "control_changes",
    row_id(),
    account("account"),
    said("what", doc="INSERTED, UPDATED, DELETED, SUPERSEDED, TIGHTENED"),
    whole("control_id", doc="traders_control.id of the row that changed"),
    text("control_type", nullable=False, doc="its control_type"),
    text("limit_id", nullable=False, default="", doc="its limit_id; empty: none"),
    text("scope", nullable=False, default="", doc="its scope; empty: none"),
    text("old_values", doc="JSON of what the row said before"),
    text("new_values", doc="JSON of what it says now"),
    flag("is_adopted", nullable=False, default=0, doc="1: journaled by riskguard"),
    partial_index("idx_control_changes_open", "account", where="is_adopted = 0"),
    about="What plain SQL did to limits and latch, kept by triggers and adopted into the journal.",
    strict=True,
)
