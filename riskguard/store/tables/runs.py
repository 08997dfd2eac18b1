"""The day's book and baseline, what sweeps found, standing causes, and kill runs."""

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


def _e4(name: str, *, nullable: bool = True, default: int | None = None) -> sa.Column[int]:
    server_default = None if default is None else sa.text(str(default))
    return sa.Column(name, INTEGER, nullable=nullable, server_default=server_default, doc="1/10000 rupee")


day_baselines = table(
    "day_baselines",
    account("account"),
    text("session_date", nullable=False, doc="trading day in India, year-month-day"),
    epoch_us("at_us", nullable=False),
    said("source", doc="INIT, OPEN, REBUILT, PERSON"),
    _e4("opening_equity_e4"),
    _e4("adjustment_e4", nullable=False, default=0),
    text("by_whom", nullable=False, default=""),
    text("reason", nullable=False, default=""),
    sa.PrimaryKeyConstraint("account", "session_date"),
    about="Where the day began: written once per account and session, never re-based.",
    strict=True,
)

day_books = table(
    "day_books",
    account("account"),
    text("session_date", nullable=False),
    text("exchange_segment", nullable=False),
    text("security_id", nullable=False),
    text("product", nullable=False),
    whole("start_quantity", nullable=False, default=0, doc="signed, carried in"),
    _e4("previous_close_e4"),
    whole("filled_quantity", nullable=False, default=0, doc="signed, today's fills"),
    whole("bought", nullable=False, default=0, at_least=0),
    whole("sold", nullable=False, default=0, at_least=0),
    _e4("buy_value_e4", nullable=False, default=0),
    _e4("sell_value_e4", nullable=False, default=0),
    whole("fills", nullable=False, default=0, at_least=0),
    epoch_us("last_fill_us"),
    sa.PrimaryKeyConstraint("account", "session_date", "exchange_segment", "security_id", "product"),
    about="Running sums of the day's fills per line of the book: cost does not grow with trades.",
    strict=True,
)

marks = table(
    "marks",
    text("exchange_segment", nullable=False),
    text("security_id", nullable=False),
    _e4("ltp_e4"),
    _e4("bid_e4"),
    _e4("ask_e4"),
    epoch_us("at_us", nullable=False),
    text("source", nullable=False, default=""),
    sa.PrimaryKeyConstraint("exchange_segment", "security_id"),
    about="The last quote each instrument was seen at, shared by all processes.",
    strict=True,
)

pnl_readings = table(
    "pnl_readings",
    row_id(),
    account("account"),
    text("session_date", nullable=False),
    epoch_us("at_us", nullable=False),
    _e4("day_pnl_e4"),
    _e4("charges_e4"),
    flag("fresh_marks", nullable=False),
    text("detail", nullable=False, default=""),
    sa.Index("idx_pnl_readings_account", "account", "session_date", "at_us"),
    about="Day P&L as each sweep measured it; null is unknown, never zero.",
    strict=True,
)

loss_watches = table(
    "loss_watches",
    account("account"),
    text("session_date", nullable=False),
    text("limit_id", nullable=False),
    epoch_us("breached_at_us", doc="first fresh reading at the limit; null: none standing"),
    whole("warned_pct", nullable=False, default=0, at_least=0, doc="highest tier warned about"),
    flag("reduced", nullable=False, default=0),
    flag("tripped", nullable=False, default=0),
    sa.PrimaryKeyConstraint("account", "session_date", "limit_id"),
    about="What a loss limit has already said today; survives restart.",
    strict=True,
)

state_causes = table(
    "state_causes",
    row_id(),
    account("account"),
    text("scope", nullable=False),
    word("state", "REDUCE_ONLY", "HALTED"),
    said("code"),
    text("detail", nullable=False, default=""),
    text("by_whom", nullable=False, default=""),
    flag("is_soft", nullable=False, default=0, doc="1: clears itself after clean readings"),
    epoch_us("raised_at_us", nullable=False),
    epoch_us("cleared_at_us"),
    whole("action_id", doc="control_actions.id that cleared it"),
    partial_index("idx_state_causes_standing", "account", where="cleared_at_us IS NULL"),
    about="Reasons why a scope is not ACTIVE, apart from the kill latch itself.",
    strict=True,
)

sweeps = table(
    "sweeps",
    account("account"),
    word("kind", "daily_loss", "orders", "funds", "rollover"),
    whole("slot", nullable=False, doc="number of the interval since 1970"),
    whole("interval_us", nullable=False, at_least=1),
    epoch_us("started_at_us", nullable=False),
    epoch_us("finished_at_us"),
    text("holder", nullable=False, default=""),
    text("findings", nullable=False, default="[]", doc="JSON"),
    sa.PrimaryKeyConstraint("account", "kind", "slot"),
    sa.Index("idx_sweeps_finished", "account", "kind", "finished_at_us"),
    about="One row per account, kind and slot: a second fire, or a second daemon, finds it done.",
    strict=True,
)

leases = table(
    "leases",
    text("name", nullable=False, key=True),
    text("holder", nullable=False),
    whole("token", nullable=False, at_least=1, doc="grows with each holder; a smaller one writes nothing"),
    epoch_us("until_us", nullable=False),
    about="Who may run what, until when.",
    strict=True,
)

kill_runs = table(
    "kill_runs",
    row_id(),
    text("kill_id", nullable=False),
    account("account"),
    said("scope", doc="GLOBAL or ACCOUNT:name, as the kill was given"),
    word("kill_plan", "halt", "cancel", "flatten", "broker"),
    word("state", "OPEN", "DONE", "BLOCKED"),
    text("step", nullable=False, default="CANCEL", doc="CANCEL, FLATTEN, VERIFY, WATCH"),
    text("cause", nullable=False, default="MANUAL"),
    text("by_whom", nullable=False, default=""),
    text("reason", nullable=False, default=""),
    text("detail", nullable=False, default="", doc="what is proven stopped, or why it is blocked"),
    text("holder", nullable=False, default=""),
    whole("token", nullable=False, default=0, at_least=0),
    epoch_us("lease_until_us"),
    epoch_us("started_at_us", nullable=False),
    epoch_us("deadline_us", nullable=False),
    epoch_us("clean_at_us", doc="first of the reads in a row that found nothing left to do in this step"),
    epoch_us("ended_at_us"),
    sa.UniqueConstraint("kill_id", "account"),
    partial_index("idx_kill_runs_open", "account", where="state <> 'DONE'"),
    about="What follows a kill, step by step, so that any process can take it over.",
    strict=True,
)

kill_steps = table(
    "kill_steps",
    row_id(),
    whole("run_id", nullable=False),
    said("step", doc="CANCEL, FLATTEN, VERIFY"),
    whole("round", nullable=False, at_least=1),
    text("target", nullable=False, doc="order id, or segment:security:product"),
    word("state", "INTENDED", "SENT", "DONE", "FAILED", "UNKNOWN"),
    text("client_order_id", nullable=False, default=""),
    text("detail", nullable=False, default=""),
    epoch_us("at_us", nullable=False),
    epoch_us("answered_at_us"),
    sa.UniqueConstraint("run_id", "step", "round", "target"),
    about="Each broker write of a kill run: intent before, answer after, once per round.",
    strict=True,
)
