"""What the triggers of both databases hold: tables, columns, conditions and words."""

from __future__ import annotations

from typing import Final

from riskguard.core.state import INACTIVE_WORDS

BUMPED: Final = {  # table -> the column that names the account
    "accounts": "account",
    "traders_control": "account_type",
    "permits": "account",
    "order_messages": "account",
    "refusal_repeats": "account",
    "day_baselines": "account",
    "day_books": "account",
    "snapshots": "account",
    "orders": "account_type",
    "trades": "account_type",
    "pnl_readings": "account",
    "state_causes": "account",
    "sweeps": "account",
    "control_actions": "account",
}
LIMITS_IN: Final = "traders_control"
"""Its changes also draw `account_heads.controls` anew: what a process read of the limits stays true while that stands."""
GLOBAL_TABLES: Final = ("instruments",)
"""Tables of all accounts: they bump the GLOBAL head."""

DAY_ROWS: Final = {
    "day_baselines": ("account", "session_date"),
    "day_books": ("account", "session_date", "exchange_segment", "security_id", "product"),
    "day_charges": ("account", "session_date", "exchange_segment"),
}
"""What a day's loss is computed from, with its key: no row of it is deleted or replaced."""
FALLS: Final = {
    "day_books": (
        "NEW.fills < OLD.fills - 1 OR (NEW.fills >= OLD.fills AND (NEW.bought < OLD.bought OR NEW.sold < OLD.sold "
        "OR NEW.buy_value_e4 < OLD.buy_value_e4 OR NEW.sell_value_e4 < OLD.sell_value_e4)) "
        "OR (NEW.fills = OLD.fills - 1 "
        "AND NOT (NEW.bought < OLD.bought AND NEW.sold = OLD.sold AND NEW.sell_value_e4 = OLD.sell_value_e4) "
        "AND NOT (NEW.sold < OLD.sold AND NEW.bought = OLD.bought AND NEW.buy_value_e4 = OLD.buy_value_e4))"
    ),
    "day_charges": (
        "NEW.fills < OLD.fills "
        "OR (NEW.fills = OLD.fills AND NEW.turnover_e4 = OLD.turnover_e4 AND NEW.total_e4 < OLD.total_e4)"
    ),
}
"""
When sums of a day fall: a fill that happened does not un-happen. One fill at a time may be taken back, because a fill told
without its number gives way to those that have one; and the same fills cost no less than they did.
"""
PROVISIONAL: Final = "%:told"
"""How the ids of such fills end; see `store.told_fills`."""
DAY_SAYS: Final = "a day is not forgotten: its baseline, sums and charges stay"
BASE_SAYS: Final = "a day is never re-based: its baseline only goes down, its sums only grow"
FILL_SAYS: Final = "a fill of the running session is in the book: its row stays"

MEMORY: Final = "live_watches"
MEMORY_KEY: Final = ("account", "limit_id", "period")
"""What the live checks remember: a peak forgotten, or set lower, gives back what a drawdown has used up."""
MEMORY_DAYS: Final = 32
"""A period that is over (the longest is a month) may go to the archive; what lasts for ever has the period ''."""
MEMORY_SAYS: Final = "a limit does not forget: a row of live_watches goes 32 days after its period was last looked at"
MEMORY_COUNTS: Final = "a limit remembers what riskguard writes: an UPDATE of live_watches must count `written` on"

APPEND_ONLY: Final = ("decisions", "limit_sets")

LIMIT_COLUMNS: Final = ("daily_loss_limit", "position_size_limit", "order_value_limit")
POLICY_COLUMNS: Final = (
    "control_type", "account_type", "limit_id", "check_name", "parameters", "scope", "on_breach", "mode", "kill_plan",
)  # fmt: skip
"""What makes a limit the limit it is. Another value is another limit, and nobody can say it is as tight."""
KEPT_COLUMNS: Final = (*LIMIT_COLUMNS, "kill_switch_status", "parameters", "is_active")
"""What `control_changes` keeps of a row, before and after."""

LATCH_SAYS: Final = "the kill switch is released with `riskguard release`, not with SQL"
LIMIT_SAYS: Final = "SQL may tighten a limit, not loosen it: use `riskguard limits apply`"
ROW_SAYS: Final = "a limit or kill in force is not deleted: use `riskguard limits apply` or `riskguard release`"


def append_only_says(table: str) -> str:
    return f"{table} is append-only: it is the evidence"


def halting(row: str, upper: str = "upper({})") -> str:
    """
    Return the condition under which the word of *row* halts: any but the few that can mean "not halted".

    *upper* must change ASCII letters only: with a locale's rules a letter nobody meant could become one of ours.
    """
    words = ", ".join(f"'{word}'" for word in sorted(INACTIVE_WORDS))
    return upper.format(f"coalesce({row}.kill_switch_status, '')") + f" NOT IN ({words})"
