"""
Tasks: kill runs that follow a breach without halting anybody. One line flattened, one product, or what adds risk cancelled.

They are durable, leased and resumed like the run of a kill, and carried on by the same runner. A strategy may go on
trading meanwhile; what it may do is decided by its limits and by the state of the account, not here.
"""

from __future__ import annotations

from riskguard.core.terms import Product
from riskguard.errors import InputError
from riskguard.store import journal, kills, loader
from riskguard.store.session import Session

LIFE_US = 15 * 60 * 1_000_000
PLANS = ("cancel", "flatten")


def request(
    session: Session, account: str, *, scope: str, plan: str, cause: str, reason: str, now_us: int, limit_id: str = "",
) -> bool:  # fmt: skip
    """
    Open a durable run on *account* without halting it, in the caller's transaction; its heads must be read.

    Args:
        scope: `INSTRUMENT:NSE_FNO:43123`, `PRODUCT:INTRADAY`, or `ACCOUNT:name` for the whole of it.
        plan: `cancel` takes what adds risk; `flatten` closes the lines of the scope too.
        cause: The breach in one word. The same (account, scope, cause) is opened once per session date.
        reason: Why, for people.
        limit_id: The limit that asks; "" where none did.

    Returns False when it was opened before today, True when it is open now.

    Raises:
        InputError: No such plan, or a scope that names nothing this account could hold.
    """
    if plan not in PLANS:
        raise InputError(f"plan `{plan}` is not one of {', '.join(PLANS)}: a task halts nobody and locks nothing")
    _check_scope(account, scope)
    if not cause.strip():
        raise InputError("a task wants a cause: the breach in one word")
    kill_id = f"task-{loader.session_date(now_us)}-{scope}-{cause}"
    opened = kills.add_task(
        session, account, kill_id, scope=scope, plan=plan, cause=cause, by="riskguard", reason=reason[:500],
        limit_id=limit_id, now_us=now_us, deadline_us=now_us + LIFE_US,
    )  # fmt: skip
    if opened:
        if account not in session.heads:
            session.read_heads(account)
        said = {
            "action": "TASK",
            "scope": scope,
            "plan": plan,
            "cause": cause,
            "limit": limit_id,
            "finding": reason[:500],
        }
        journal.append(session, account, "STATE", said, now_us)
    return opened


def _check_scope(account: str, scope: str) -> None:
    kind, _, name = scope.partition(":")
    if kind == "ACCOUNT" and name == account:
        return
    if kind == "PRODUCT" and name in list(Product):
        return
    if kind == "INSTRUMENT" and all(name.partition(":")[::2]):
        return
    raise InputError(
        f"scope `{scope}` is none a task of `{account}` can have: `INSTRUMENT:segment:security`, `PRODUCT:name` or "
        f"`ACCOUNT:{account}`"
    )


def holds(scope: str, segment: str, security: str, product: str) -> bool:
    """Say whether a line or order lies in *scope*; one that names no part of an account holds everything."""
    kind, _, name = scope.partition(":")
    if kind == "INSTRUMENT":
        return name == f"{segment}:{security}"
    return name == product if kind == "PRODUCT" else True
