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

SWEEP_KINDS = (
    "daily_loss", "book", "funds", "holdings", "profile", "ledger", "rollover", "end_of_day", "schedule",
)  # fmt: skip
"""`schedule` rows are what the scheduler itself noticed: a job that broke, hung or came too late."""


def _e4(name: str, *, nullable: bool = True, default: int | None = None, doc: str = "") -> sa.Column[int]:
    server_default = None if default is None else sa.text(str(default))
    return sa.Column(name, INTEGER, nullable=nullable, server_default=server_default, doc=doc)


day_baselines = table(
    "day_baselines",
    account("account"),
    text("session_date", nullable=False, doc="trading day in India, year-month-day"),
    epoch_us("at_us", nullable=False),
    said("source", doc="INIT, OPEN, REBUILT, PERSON"),
    _e4("opening_equity_e4", doc="worth of the account at the start; null: not known"),
    _e4("adjustment_e4", nullable=False, default=0, doc="put right by a person"),
    text("by_whom", nullable=False, default=""),
    text("reason", nullable=False, default="", doc="why a person wrote it"),
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
    _e4("previous_close_e4", doc="what the carried quantity is valued at; null: not known"),
    whole("filled_quantity", nullable=False, default=0, doc="signed, today's fills"),
    whole("bought", nullable=False, default=0, at_least=0, doc="today"),
    whole("sold", nullable=False, default=0, at_least=0, doc="today"),
    _e4("buy_value_e4", nullable=False, default=0, doc="paid for what was bought today"),
    _e4("sell_value_e4", nullable=False, default=0, doc="received for what was sold today"),
    whole("fills", nullable=False, default=0, at_least=0, doc="counted so far"),
    epoch_us("last_fill_us", doc="time of the newest"),
    flag(
        "base_proven", nullable=False, default=0, doc="1: the broker counts it from the same close; a carried line only"
    ),
    sa.PrimaryKeyConstraint("account", "session_date", "exchange_segment", "security_id", "product"),
    partial_index("idx_day_books_open", "account", "session_date", where="start_quantity + filled_quantity <> 0"),
    about="Running sums of the day's fills per line of the book: cost does not grow with trades.",
    strict=True,
)

marks = table(
    "marks",
    text("exchange_segment", nullable=False),
    text("security_id", nullable=False),
    _e4("ltp_e4", doc="last traded price; null: not known"),
    _e4("bid_e4", doc="best bid"),
    _e4("ask_e4", doc="best offer"),
    epoch_us("at_us", nullable=False, doc="when it was seen"),
    text("source", nullable=False, default="", doc="pushed, feed, broker"),
    _e4("lower_band_e4", doc="the exchange takes no price below it today; null: not known"),
    _e4("upper_band_e4", doc="the exchange takes no price above it today; null: not known"),
    epoch_us("ltp_at_us", doc="when the last trade was; null: the feed does not say"),
    flag("is_indicative", nullable=False, default=0, doc="1: a call auction's price, nobody traded at it"),
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
    _e4("day_pnl_e4", doc="profit of the day, loss below zero; null: unknown"),
    _e4("charges_e4", doc="of which charges; null: unknown"),
    flag("fresh_marks", nullable=False, doc="1: every open line had a fresh mark"),
    text("detail", nullable=False, default="", doc="why it is unknown, or what was widened"),
    _e4("realised_e4", doc="made on closed quantity, before charges; null: unknown"),
    _e4("unrealised_e4", doc="on what is open, at the mark; null: unknown"),
    _e4("broker_pnl_e4", doc="the broker's own figure, less our charges; null: unknown or not proven"),
    _e4("equity_pnl_e4", doc="change of equity since the start, without cash flows; null: unknown"),
    sa.Index("idx_pnl_readings_account", "account", "session_date", "at_us"),
    about="Day P&L as each sweep measured it; null is unknown, never zero.",
    strict=True,
)

limit_days = table(
    "limit_days",
    account("account"),
    text("session_date", nullable=False),
    text("limit_id", nullable=False, doc="id in the rulebook"),
    said("check_name", doc="what it checks"),
    whole("approved", nullable=False, default=0, at_least=0, doc="orders that added risk and passed it"),
    whole("near_misses", nullable=False, default=0, at_least=0, doc="of which left less than a tenth of it"),
    whole("peak_pct_e2", nullable=False, default=0, at_least=0, doc="the most of it one used, 1/100 percent"),
    text("peak", nullable=False, default="", doc="what was measured then, with its unit"),
    whole("warned_pct", nullable=False, default=0, at_least=0, doc="highest tier warned about"),
    whole("to_sequence", nullable=False, default=0, at_least=0, doc="decisions.sequence counted last"),
    sa.PrimaryKeyConstraint("account", "session_date", "limit_id"),
    about="How near approved orders came to each limit, per session: warnings, near misses, peaks.",
    strict=True,
)

state_causes = table(
    "state_causes",
    row_id(),
    account("account"),
    text("scope", nullable=False),
    word("state", "REDUCE_ONLY", "HALTED", doc="REDUCE_ONLY, HALTED"),
    said("code"),
    text("detail", nullable=False, default=""),
    text("by_whom", nullable=False, default=""),
    flag("is_soft", nullable=False, default=0, doc="1: clears itself after clean readings"),
    epoch_us("raised_at_us", nullable=False, doc="when it was raised"),
    epoch_us("cleared_at_us", doc="when it was cleared; null: it stands"),
    whole("action_id", doc="control_actions.id that cleared it"),
    text("limit_id", nullable=False, default="", doc="the limit whose breach it is; empty: none"),
    partial_index("idx_state_causes_standing", "account", where="cleared_at_us IS NULL"),
    about="Reasons why a scope is not ACTIVE, apart from the kill latch itself.",
    strict=True,
)

sweeps = table(
    "sweeps",
    account("account"),
    word("kind", *SWEEP_KINDS, doc=", ".join(SWEEP_KINDS)),
    whole("slot", nullable=False, doc="number of the interval since 1970"),
    whole("interval_us", nullable=False, at_least=1, doc="length of a slot"),
    epoch_us("started_at_us", nullable=False),
    epoch_us("finished_at_us", doc="null: at work, or died at it"),
    text("holder", nullable=False, default=""),
    text("findings", nullable=False, default="[]", doc="JSON"),
    sa.PrimaryKeyConstraint("account", "kind", "slot"),
    sa.Index("idx_sweeps_finished", "account", "kind", "finished_at_us"),
    about="One row per account, kind and slot: a second fire, or a second daemon, finds it done.",
    strict=True,
)

leases = table(
    "leases",
    text("name", nullable=False, key=True, doc="what may be run"),
    text("holder", nullable=False),
    whole("token", nullable=False, at_least=1, doc="grows with each holder; a smaller one writes nothing"),
    epoch_us("until_us", nullable=False, doc="when anybody else may take it"),
    about="Who may run what, until when.",
    strict=True,
)

kill_runs = table(
    "kill_runs",
    row_id(),
    text("kill_id", nullable=False, doc="id of the kill, on its flag file too"),
    account("account"),
    said(
        "scope", doc="GLOBAL or ACCOUNT:name, as the kill was given; of a task also INSTRUMENT:segment:id, PRODUCT:name"
    ),
    word("kill_plan", "halt", "cancel", "flatten", "broker"),
    word("state", "OPEN", "DONE", "BLOCKED", doc="OPEN, DONE, BLOCKED"),
    text("step", nullable=False, default="CANCEL", doc="CANCEL, FLATTEN, VERIFY, LOCK, WATCH"),
    text("cause", nullable=False, default="MANUAL", doc="MANUAL, SQL, a limit's code, UPGRADE, …"),
    text("by_whom", nullable=False, default=""),
    text("reason", nullable=False, default=""),
    text("detail", nullable=False, default="", doc="what is proven stopped, or why it is blocked"),
    text("holder", nullable=False, default="", doc="who is at work on it"),
    whole("token", nullable=False, default=0, at_least=0, doc="the holder's; a smaller one writes nothing"),
    epoch_us("lease_until_us", doc="when another may take it over"),
    epoch_us("started_at_us", nullable=False),
    epoch_us("deadline_us", nullable=False, doc="from here on a person is told that it is late"),
    epoch_us("clean_at_us", doc="first of the reads in a row that found nothing left to do in this step"),
    epoch_us("ended_at_us"),
    flag("halts", nullable=False, default=1, doc="0: a task that follows a breach; it halts nobody"),
    text("limit_id", nullable=False, default="", doc="the limit that asked for a task; empty: none"),
    text("blocked_by", nullable=False, default="", doc="why it is BLOCKED, in one word; empty: it is not"),
    epoch_us("retry_at_us", doc="when it is tried again at the latest; null: at each look"),
    whole("reruns", nullable=False, default=0, at_least=0, doc="how often something got past the finished kill"),
    flag("locked", nullable=False, default=0, doc="1: the broker's own switch read back as on"),
    epoch_us("watch_until_us", doc="until when the finished kill is watched; null: it is not"),
    text("held", nullable=False, default="{}", doc="JSON: net quantity by line when it was proven stopped"),
    epoch_us("told_at_us", doc="when people were last told that it is BLOCKED; null: never"),
    sa.UniqueConstraint("kill_id", "account"),
    partial_index("idx_kill_runs_open", "account", where="state <> 'DONE'"),
    partial_index("idx_kill_runs_watched", "account", where="watch_until_us IS NOT NULL"),
    about="What follows a kill, step by step, so that any process can take it over.",
    strict=True,
)

kill_steps = table(
    "kill_steps",
    row_id(),
    whole("run_id", nullable=False, doc="kill_runs.id"),
    said("step", doc="CANCEL, SHRINK, CONVERT, ASIDE, FLATTEN, REPRICE, PUT_BACK, EXIT_ALL, LOCK"),
    whole("round", nullable=False, at_least=1, doc="each look at the broker that found something left is a round"),
    text("target", nullable=False, doc="order id, or segment:security:product"),
    word(
        "state",
        "INTENDED",
        "SENT",
        "DONE",
        "FAILED",
        "UNKNOWN",
        doc="INTENDED before the wire; SENT, DONE, FAILED, UNKNOWN after it",
    ),
    text("client_order_id", nullable=False, default="", doc="of a flattening order; empty: none"),
    text("detail", nullable=False, default="", doc="what the broker answered"),
    epoch_us("at_us", nullable=False, doc="when it was intended"),
    epoch_us("answered_at_us", doc="when the answer came; null: none"),
    whole("token", nullable=False, default=0, at_least=0, doc="of the holder that marked it SENT"),
    text("contents", nullable=False, default="", doc="JSON of the protective order taken aside; empty: none"),
    text("read_back", nullable=False, default="", doc="what the broker's lists showed of it afterwards"),
    sa.UniqueConstraint("run_id", "step", "round", "target"),
    about="Each broker write of a kill run: intent before, answer after, once per round.",
    strict=True,
)

backstops = table(
    "backstops",
    account("account"),
    text("session_date", nullable=False),
    word("state", "ARMED", "REFUSED", "UNKNOWN", doc="ARMED was read back; REFUSED, UNKNOWN: it does not count"),
    _e4("loss_e4", doc="loss of the day it acts at, as read back or as asked"),
    text("products", nullable=False, default="", doc="what it covers, as the broker names it"),
    text("detail", nullable=False, default="", doc="what the broker answered"),
    epoch_us("at_us", nullable=False, doc="when it was tried last"),
    sa.PrimaryKeyConstraint("account", "session_date"),
    about="The broker's own exit at a loss of the day: armed each session, read back, never trusted.",
    strict=True,
)
