"""Accounts, their journal of decisions, and the reservations approved orders hold."""

from __future__ import annotations

import sqlalchemy as sa

from riskguard.store.tables.base import (
    INTEGER,
    account,
    epoch_us,
    flag,
    partial_index,
    row_id,
    said,
    table,
    text,
    whole,
    word,
)

PERMIT_STATES = (
    "GRANTED", "SENT", "ACKED", "UNKNOWN", "REFUSED", "FILLED", "CANCELLED", "EXPIRED", "VOID", "RELEASED", "MERGED",
)  # fmt: skip

accounts = table(
    "accounts",
    account("account", key=True),
    said("role", doc="leader, follower, or any word of the desk"),
    text("group_name", nullable=False, default="", doc="accounts of one group share GROUP limits"),
    text("broker", nullable=False, default="", doc="paper, dhan; empty: none attached"),
    epoch_us("created_at_us", nullable=False, doc="when the account was added"),
    about="Accounts riskguard answers for.",
    strict=True,
)

account_heads = table(
    "account_heads",
    account("account", key=True),
    whole("sequence", nullable=False, default=0, at_least=0, doc="last decisions.sequence"),
    text("last_hash", nullable=False, default="", doc="hash of that decision"),
    whole("epoch", nullable=False, default=0, at_least=0, doc="counts state changes"),
    whole("version", nullable=False, default=0, at_least=0, doc="bumped by triggers on all that an account reads"),
    whole("generation", nullable=False, default=0, at_least=0, doc="GLOBAL row: latch and release commits so far"),
    whole("controls", nullable=False, default=0, doc="drawn anew by triggers whenever traders_control changes"),
    about="One row per account, and GLOBAL: whoever changes what a check reads changes this row too.",
    strict=True,
)

decisions = table(
    "decisions",
    account("account"),
    whole("sequence", nullable=False, at_least=1, doc="1, 2, 3 … without a gap"),
    text("client_order_id", doc="null for what was no order"),
    word(
        "kind",
        "ORDER",
        "KILL",
        "RELEASE",
        "APPLY",
        "INIT",
        "STATE",
        "ADOPTED",
        "OVERRIDE",
        "BASELINE",
        "MODIFY",
        doc="ORDER, MODIFY, KILL, RELEASE, APPLY, INIT, STATE, ADOPTED, OVERRIDE, BASELINE",
    ),
    flag("approved", nullable=False, doc="1: the order may be sent"),
    text("strategy", nullable=False, default=""),
    epoch_us("decided_at_us", nullable=False, doc="the instant the decision is about"),
    text("body", nullable=False, doc="canonical JSON: order, facts, rejects, digest of the limits"),
    text("previous_hash", nullable=False, doc="hash of the decision before; empty for the first"),
    text("hash", nullable=False, doc="SHA-256 of previous_hash and body"),
    text("mac", nullable=False, default="", doc="key id and HMAC-SHA-256 of hash; empty: written without an audit key"),
    sa.PrimaryKeyConstraint("account", "sequence"),
    partial_index(
        "uq_decisions_client_order_id", "account", "client_order_id", where="client_order_id IS NOT NULL", unique=True
    ),
    about="The journal: append-only, gapless and hash-chained per account.",
    strict=True,
)

limit_sets = table(
    "limit_sets",
    text("digest", nullable=False, key=True, doc="SHA-256 of body"),
    text("body", nullable=False, doc="canonical JSON of the limits"),
    about="The limits decisions were made under, once per set.",
    strict=True,
)

permits = table(
    "permits",
    account("account"),
    text("client_order_id", nullable=False),
    whole("sequence", nullable=False, at_least=1, doc="decisions.sequence of the approval"),
    word(
        "state",
        *PERMIT_STATES,
        doc="GRANTED, SENT, ACKED, UNKNOWN hold quantity; REFUSED, FILLED, CANCELLED, EXPIRED, VOID, RELEASED, MERGED do not",
    ),
    text("direction", nullable=False, doc="REDUCING is what stopped accounts still let out"),
    text("emergency_by", nullable=False, default="", doc="who let an exit out past a stop; empty: nobody"),
    text("correlation_id", nullable=False, doc="what the broker is told"),
    text("exchange_segment", nullable=False),
    text("security_id", nullable=False),
    text("side", nullable=False),
    text("product", nullable=False),
    text("order_type", nullable=False),
    text("strategy", nullable=False, default=""),
    text("exit_group", nullable=False, default="", doc="orders of which at most one can still fill; empty: none"),
    whole("quantity", nullable=False, at_least=0, doc="ordered; of a change what it adds"),
    whole("filled_quantity", nullable=False, default=0, at_least=0, doc="of which traded"),
    sa.Column("price_e4", INTEGER, doc="limit price; null: a market order"),
    sa.Column("trigger_price_e4", INTEGER, doc="null: none"),
    sa.Column("risk_price_e4", INTEGER, doc="the worst it may trade at, as judged; null: not known"),
    sa.Column("reference_e4", INTEGER, doc="what the market showed then; null: not known"),
    text("cancel_first", nullable=False, default="[]", doc="JSON: orders that must be gone before this exit"),
    text("order_id", doc="broker's order id, once acknowledged"),
    epoch_us("granted_at_us", nullable=False, doc="when it was approved"),
    epoch_us("expires_at_us", nullable=False, doc="when it ends if it was not sent"),
    epoch_us("sent_at_us", doc="when it was marked before the wire; null: not sent"),
    epoch_us("ended_at_us", doc="when it stopped holding quantity"),
    text("detail", nullable=False, default="", doc="why it ended"),
    word("kind", "NEW", "MODIFY", default="NEW", doc="MODIFY: a change of a working order, merged into it once taken"),
    text(
        "changes_order", nullable=False, default="", doc="of a change: the order's own client order id, or broker's id"
    ),
    text("becomes", nullable=False, default="", doc="of a change: JSON of the order as it will be"),
    text("basket", nullable=False, default="", doc="legs approved as one decision share it; empty: none"),
    whole("leg", nullable=False, default=0, at_least=0, doc="place in the basket: an earlier leg is sent first"),
    sa.PrimaryKeyConstraint("account", "client_order_id"),
    sa.UniqueConstraint("correlation_id"),
    sa.CheckConstraint("filled_quantity <= quantity", name="filled"),
    partial_index("idx_permits_live", "account", "state", where="state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN')"),
    partial_index("idx_permits_order", "account", "order_id", where="order_id IS NOT NULL"),
    partial_index("idx_permits_basket", "account", "basket", where="basket <> ''"),
    partial_index("idx_permits_changes", "account", "changes_order", where="changes_order <> ''"),
    sa.Index("idx_permits_granted", "account", "granted_at_us"),
    partial_index(
        "idx_permits_filled",
        "account",
        "strategy",
        "exchange_segment",
        "security_id",
        "side",
        "granted_at_us",
        where="filled_quantity > 0",
    ),
    about="Reservations: what an approved order holds until it is filled, cancelled or released.",
    strict=True,
)

order_messages = table(
    "order_messages",
    row_id(),
    account("account"),
    word("kind", "NEW", "MODIFY", "CANCEL", doc="NEW, MODIFY, CANCEL"),
    text("client_order_id", nullable=False, default=""),
    epoch_us("at_us", nullable=False),
    sa.Index("idx_order_messages_account", "account", "at_us"),
    about="Messages sent to the broker: what the throttle counts, over all processes.",
    strict=True,
)

refusal_repeats = table(
    "refusal_repeats",
    row_id(),
    account("account"),
    whole("violation_id", nullable=False, doc="risk_violations.id that was repeated"),
    text("strategy", nullable=False, default=""),
    whole("repeats", nullable=False, at_least=1, doc="in this second"),
    epoch_us("at_us", nullable=False),
    sa.Index("idx_refusal_repeats_account", "account", "at_us"),
    about="How often a refusal was repeated within its second: a runaway costs one row a second.",
    strict=True,
)

adopted_files = table(
    "adopted_files",
    text("digest", nullable=False, key=True, doc="SHA-256 of the spool file"),
    epoch_us("at_us", nullable=False),
    about="Spool files already taken over: one left behind by a crash is not taken twice.",
    strict=True,
)
