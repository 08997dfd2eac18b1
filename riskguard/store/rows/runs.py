"""
Rows of runs, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/runs.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from riskguard.store.rows.base import AccountName, Flag, Row, Said, Text, Whole, one_of


class DayBaselineRow(Row):
    """Where the day began: written once per account and session, never re-based."""

    TABLE: ClassVar[str] = "day_baselines"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    session_date: Said = Field(description="trading day in India, year-month-day")
    at_us: Whole = Field(ge=100000000000000, description="when it happened")
    source: Said = Field(description="INIT, OPEN, REBUILT, PERSON")
    opening_equity_e4: Whole | None = Field(
        default=None, description="worth of the account at the start; null: not known"
    )
    adjustment_e4: Whole = Field(default=0, description="put right by a person")
    by_whom: Text = Field(default="", description="the person, or the part of riskguard, that did it")
    reason: Text = Field(default="", description="why a person wrote it")


class DayBookRow(Row):
    """Running sums of the day's fills per line of the book: cost does not grow with trades."""

    TABLE: ClassVar[str] = "day_books"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    session_date: Said = Field(description="trading day in India, year-month-day")
    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    product: Said = Field(description="CNC, INTRADAY, MARGIN, MTF, CO, BO")
    start_quantity: Whole = Field(default=0, description="signed, carried in")
    previous_close_e4: Whole | None = Field(
        default=None, description="what the carried quantity is valued at; null: not known"
    )
    filled_quantity: Whole = Field(default=0, description="signed, today's fills")
    bought: Whole = Field(default=0, ge=0, description="today")
    sold: Whole = Field(default=0, ge=0, description="today")
    buy_value_e4: Whole = Field(default=0, description="paid for what was bought today")
    sell_value_e4: Whole = Field(default=0, description="received for what was sold today")
    fills: Whole = Field(default=0, ge=0, description="counted so far")
    last_fill_us: Whole | None = Field(default=None, ge=100000000000000, description="time of the newest")
    base_proven: Flag = Field(
        default=False, description="1: the broker counts it from the same close; a carried line only"
    )


class MarkRow(Row):
    """The last quote each instrument was seen at, shared by all processes."""

    TABLE: ClassVar[str] = "marks"

    exchange_segment: Said = Field(
        description="where it trades: NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM, and the words the broker adds"
    )
    security_id: Said = Field(description="the broker's number of the instrument, unique only within its segment")
    ltp_e4: Whole | None = Field(default=None, description="last traded price; null: not known")
    bid_e4: Whole | None = Field(default=None, description="best bid")
    ask_e4: Whole | None = Field(default=None, description="best offer")
    at_us: Whole = Field(ge=100000000000000, description="when it was seen")
    source: Text = Field(default="", description="pushed, feed, broker")
    lower_band_e4: Whole | None = Field(
        default=None, description="the exchange takes no price below it today; null: not known"
    )
    upper_band_e4: Whole | None = Field(
        default=None, description="the exchange takes no price above it today; null: not known"
    )
    ltp_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when the last trade was; null: the feed does not say"
    )
    is_indicative: Flag = Field(default=False, description="1: a call auction's price, nobody traded at it")


class PnlReadingRow(Row):
    """Day P&L as each sweep measured it; null is unknown, never zero."""

    TABLE: ClassVar[str] = "pnl_readings"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    session_date: Text = Field(description="trading day in India, year-month-day")
    at_us: Whole = Field(ge=100000000000000, description="when it happened")
    day_pnl_e4: Whole | None = Field(default=None, description="profit of the day, loss below zero; null: unknown")
    charges_e4: Whole | None = Field(default=None, description="of which charges; null: unknown")
    fresh_marks: Flag = Field(description="1: every open line had a fresh mark")
    detail: Text = Field(default="", description="why it is unknown, or what was widened")
    realised_e4: Whole | None = Field(
        default=None, description="made on closed quantity, before charges; null: unknown"
    )
    unrealised_e4: Whole | None = Field(default=None, description="on what is open, at the mark; null: unknown")
    broker_pnl_e4: Whole | None = Field(
        default=None, description="the broker's own figure, less our charges; null: unknown or not proven"
    )
    equity_pnl_e4: Whole | None = Field(
        default=None, description="change of equity since the start, without cash flows; null: unknown"
    )


class LimitDayRow(Row):
    """How near approved orders came to each limit, per session: warnings, near misses, peaks."""

    TABLE: ClassVar[str] = "limit_days"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    session_date: Said = Field(description="trading day in India, year-month-day")
    limit_id: Said = Field(description="id in the rulebook")
    check_name: Said = Field(description="what it checks")
    approved: Whole = Field(default=0, ge=0, description="orders that added risk and passed it")
    near_misses: Whole = Field(default=0, ge=0, description="of which left less than a tenth of it")
    peak_pct_e2: Whole = Field(default=0, ge=0, description="the most of it one used, 1/100 percent")
    peak: Text = Field(default="", description="what was measured then, with its unit")
    warned_pct: Whole = Field(default=0, ge=0, description="highest tier warned about")
    to_sequence: Whole = Field(default=0, ge=0, description="decisions.sequence counted last")


class StateCauseRow(Row):
    """Reasons why a scope is not ACTIVE, apart from the kill latch itself."""

    TABLE: ClassVar[str] = "state_causes"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    scope: Text = Field(description="KIND or KIND:name: GLOBAL, GROUP, ACCOUNT, STRATEGY, UNDERLYING, INSTRUMENT")
    state: Annotated[Text, one_of("REDUCE_ONLY", "HALTED")] = Field(description="REDUCE_ONLY, HALTED")
    code: Said = Field(description="the reject code, or the word for the cause")
    detail: Text = Field(default="", description="what a person should read about it")
    by_whom: Text = Field(default="", description="the person, or the part of riskguard, that did it")
    is_soft: Flag = Field(default=False, description="1: clears itself after clean readings")
    raised_at_us: Whole = Field(ge=100000000000000, description="when it was raised")
    cleared_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when it was cleared; null: it stands"
    )
    action_id: Whole | None = Field(default=None, description="control_actions.id that cleared it")
    limit_id: Text = Field(default="", description="the limit whose breach it is; empty: none")


class SweepRow(Row):
    """One row per account, kind and slot: a second fire, or a second daemon, finds it done."""

    TABLE: ClassVar[str] = "sweeps"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    kind: Annotated[
        Text,
        one_of("daily_loss", "book", "funds", "holdings", "profile", "ledger", "rollover", "end_of_day", "schedule"),
    ] = Field(description="daily_loss, book, funds, holdings, profile, ledger, rollover, end_of_day, schedule")
    slot: Whole = Field(description="number of the interval since 1970")
    interval_us: Whole = Field(ge=1, description="length of a slot")
    started_at_us: Whole = Field(ge=100000000000000, description="when it began")
    finished_at_us: Whole | None = Field(default=None, ge=100000000000000, description="null: at work, or died at it")
    holder: Text = Field(default="", description="the process that had the lease: host and process number")
    findings: Text = Field(default="[]", description="JSON")


class LeaseRow(Row):
    """Who may run what, until when."""

    TABLE: ClassVar[str] = "leases"

    name: Said = Field(description="what may be run")
    holder: Text = Field(description="the process that had the lease: host and process number")
    token: Whole = Field(ge=1, description="grows with each holder; a smaller one writes nothing")
    until_us: Whole = Field(ge=100000000000000, description="when anybody else may take it")


class KillRunRow(Row):
    """What follows a kill, step by step, so that any process can take it over."""

    TABLE: ClassVar[str] = "kill_runs"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    kill_id: Said = Field(description="id of the kill, on its flag file too")
    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    scope: Said = Field(
        description=(
            "GLOBAL or ACCOUNT:name, as the kill was given; of a task also INSTRUMENT:segment:id, PRODUCT:name"
        )
    )
    kill_plan: Annotated[Text, one_of("halt", "cancel", "flatten", "broker")] = Field(
        description="what follows a kill: halt, cancel, flatten, broker"
    )
    state: Annotated[Text, one_of("OPEN", "DONE", "BLOCKED")] = Field(description="OPEN, DONE, BLOCKED")
    step: Text = Field(default="CANCEL", description="CANCEL, FLATTEN, VERIFY, LOCK, WATCH")
    cause: Text = Field(default="MANUAL", description="MANUAL, SQL, a limit's code, UPGRADE, …")
    by_whom: Text = Field(default="", description="the person, or the part of riskguard, that did it")
    reason: Text = Field(default="", description="why, in the words of whoever did it")
    detail: Text = Field(default="", description="what is proven stopped, or why it is blocked")
    holder: Text = Field(default="", description="who is at work on it")
    token: Whole = Field(default=0, ge=0, description="the holder's; a smaller one writes nothing")
    lease_until_us: Whole | None = Field(default=None, ge=100000000000000, description="when another may take it over")
    started_at_us: Whole = Field(ge=100000000000000, description="when it began")
    deadline_us: Whole = Field(ge=100000000000000, description="from here on a person is told that it is late")
    clean_at_us: Whole | None = Field(
        default=None,
        ge=100000000000000,
        description="first of the reads in a row that found nothing left to do in this step",
    )
    ended_at_us: Whole | None = Field(default=None, ge=100000000000000, description="when it was over; null: not yet")
    halts: Flag = Field(default=True, description="0: a task that follows a breach; it halts nobody")
    limit_id: Text = Field(default="", description="the limit that asked for a task; empty: none")
    blocked_by: Text = Field(default="", description="why it is BLOCKED, in one word; empty: it is not")
    retry_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when it is tried again at the latest; null: at each look"
    )
    reruns: Whole = Field(default=0, ge=0, description="how often something got past the finished kill")
    locked: Flag = Field(default=False, description="1: the broker's own switch read back as on")
    watch_until_us: Whole | None = Field(
        default=None, ge=100000000000000, description="until when the finished kill is watched; null: it is not"
    )
    held: Text = Field(default="{}", description="JSON: net quantity by line when it was proven stopped")
    told_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when people were last told that it is BLOCKED; null: never"
    )


class KillStepRow(Row):
    """Each broker write of a kill run: intent before, answer after, once per round."""

    TABLE: ClassVar[str] = "kill_steps"

    id: Whole | None = Field(default=None, description="given by the database; None in a row not written yet")
    run_id: Whole = Field(description="kill_runs.id")
    step: Said = Field(description="CANCEL, SHRINK, CONVERT, ASIDE, FLATTEN, REPRICE, PUT_BACK, EXIT_ALL, LOCK")
    round: Whole = Field(ge=1, description="each look at the broker that found something left is a round")
    target: Text = Field(description="order id, or segment:security:product")
    state: Annotated[Text, one_of("INTENDED", "SENT", "DONE", "FAILED", "UNKNOWN")] = Field(
        description="INTENDED before the wire; SENT, DONE, FAILED, UNKNOWN after it"
    )
    client_order_id: Text = Field(default="", description="of a flattening order; empty: none")
    detail: Text = Field(default="", description="what the broker answered")
    at_us: Whole = Field(ge=100000000000000, description="when it was intended")
    answered_at_us: Whole | None = Field(
        default=None, ge=100000000000000, description="when the answer came; null: none"
    )
    token: Whole = Field(default=0, ge=0, description="of the holder that marked it SENT")
    contents: Text = Field(default="", description="JSON of the protective order taken aside; empty: none")
    read_back: Text = Field(default="", description="what the broker's lists showed of it afterwards")


class BackstopRow(Row):
    """The broker's own exit at a loss of the day: armed each session, read back, never trusted."""

    TABLE: ClassVar[str] = "backstops"

    account: AccountName = Field(description="account name; GLOBAL where the row is for all")
    session_date: Said = Field(description="trading day in India, year-month-day")
    state: Annotated[Text, one_of("ARMED", "REFUSED", "UNKNOWN")] = Field(
        description="ARMED was read back; REFUSED, UNKNOWN: it does not count"
    )
    loss_e4: Whole | None = Field(default=None, description="loss of the day it acts at, as read back or as asked")
    products: Text = Field(default="", description="what it covers, as the broker names it")
    detail: Text = Field(default="", description="what the broker answered")
    at_us: Whole = Field(ge=100000000000000, description="when it was tried last")
