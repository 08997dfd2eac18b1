"""
Rulebooks: limits as a desk writes them, in TOML, and what applying one would change.

Unknown keys are refused with a suggestion; a value of 0, a negative one, NaN or the wrong unit is refused,
never read as "unlimited".
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any

from riskguard.core.checks import by_name
from riskguard.core.limits import MODES, ON_BREACH, PLANS, Limit, limit_from
from riskguard.core.params import Params
from riskguard.core.scope import Scope
from riskguard.errors import RulebookError

BOOK_KEYS = ("rulebook", "description", "limit")
LIMIT_KEYS = (
    "id", "check", "scope", "on_breach", "mode", "plan", "acknowledged_by", "acknowledged_until", "why", "source",
)  # fmt: skip
ID_CHARS_MAX = 64
HERE = "ACCOUNT"
"""A scope of just `ACCOUNT` means the account the rulebook is applied to."""

# A smaller number is the stricter one for these parameters; for those of the second set, a larger.
STRICTER_BELOW = frozenset({
    "order_value_inr_max", "position_max", "quantity_max", "messages_max", "attempts_max", "snapshot_age_s_max",
    "intervals_max", "daily_loss_inr_max", "daily_loss_pct_max", "reduce_only_at_pct", "at_once_pct",
    "answer_s_max", "hedge_premium_inr_max", "signal_age_s_max", "ahead_s_max",
    "modifications_max", "orders_per_trade_max", "exempt_band_pct_max", "orders_free", "trip_at_fills",
    "trip_at_refusals", "open_order_value_inr_max", "open_orders_max", "position_value_inr_max", "gross_exposure_inr_max",
    "net_exposure_inr_max", "leverage_max", "concentration_pct_max", "naked_lots_max", "risk_inr_max", "risk_pct_max",
    "flat_s_max", "messages_per_s", "funds_age_s_max", "close",
    # of live checks
    "loss_inr_max", "loss_pct_max", "drawdown_inr_max", "drawdown_pct_max", "armed_at_inr", "give_back_pct", "target_inr",
    "losses_max", "entries_max", "enter_pct", "leave_pct", "position_loss_inr_max", "position_loss_pct_max",
    "errors_pct_max", "latency_s_max", "bad_reads", "mark_age_s_max", "reads_max", "halt_after_s", "missing_s_max",
    "incomplete_s_max", "orphan_s_max", "group_loss_inr_max", "difference_inr_max", "difference_pct_max",
})  # fmt: skip
STRICTER_ABOVE = frozenset({
    "buffer_pct", "short_margin_pct", "scenario_pct", "reserve", "within_s", "per_s", "square_off_tail_s", "open",
    "pause_s", "clean_reads", "before_end_s", "before_close_s", "warn_days",
})  # fmt: skip
STRICTER_GONE = frozenset({"collar_pct_max", "collar_ticks_max"})
"""Of these the wider holds: a smaller one is stricter, and one less of them too."""
STRICTEST_ABSENT = frozenset({"hedge_premium_inr_max"})
"""What these let through they let through only where they stand."""
STRICTER_WORD: Mapping[str, tuple[object, object]] = {
    "unknown_day": ("allow", "refuse"),
    "include_exit_cost": (False, True),
}
FREE = frozenset({"session", "none"})
"""Words for "no bound of our own": any number or list in their place is stricter."""
STRICTER_SHORTER = "_allowed"
"""A list of this ending is the stricter for what it leaves out; one of the next for what it adds."""
STRICTER_LONGER = ("_denied", "_banned")


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A parsed rulebook. `digest` is the SHA-256 of its text: what was reviewed is what is applied."""

    name: str
    description: str
    limits: tuple[Limit, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Change:
    """
    One line of a plan. `kind` is add, tighten, loosen, retire or keep; retire and loosen take safety away.

    `from_date` is the session from which a loosening counts, ISO text; "" for at once.
    """

    kind: str
    limit_id: str
    check: str
    before: Limit | None
    after: Limit | None
    fields: tuple[tuple[str, str, str], ...] = ()  # (name, before, after)
    from_date: str = ""

    @property
    def loosens(self) -> bool:
        """Whether less is refused afterwards, or may be."""
        return self.kind in ("loosen", "retire")


def parse(text: str, *, account: str, author: str = "") -> Rulebook:
    """
    Read a rulebook for *account*.

    Raises RulebookError naming the limit, the key, what is wrong with it and what was likely meant.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise RulebookError(f"not TOML: {e}") from None
    _known(raw, BOOK_KEYS, "the rulebook")
    name = raw.get("rulebook")
    if not isinstance(name, str) or not name:
        raise RulebookError('`rulebook` is missing: name it, like `rulebook = "intraday-options"`')
    listed = raw.get("limit")
    if not isinstance(listed, list) or not listed:
        raise RulebookError("no `[[limit]]`: an empty rulebook would take every limit away")
    limits = tuple(_limit(each, number, account, author) for number, each in enumerate(listed, 1))
    seen: set[str] = set()
    for limit in limits:
        if limit.id in seen:
            raise RulebookError(f"limit `{limit.id}` stands twice: ids are unique")
        seen.add(limit.id)
    return Rulebook(name, str(raw.get("description", "")), limits, hashlib.sha256(text.encode()).hexdigest())


def _limit(raw: object, number: int, account: str, author: str) -> Limit:
    where = f"limit {number}"
    if not isinstance(raw, dict):
        raise RulebookError(f"{where}: wants a table `[[limit]]`")
    limit_id = raw.get("id")
    if not isinstance(limit_id, str) or not limit_id or len(limit_id) > ID_CHARS_MAX:
        raise RulebookError(f"{where}: `id` is missing: a short name that refusals will show")
    where = f"limit `{limit_id}`"
    check = by_name(raw.get("check"))
    known = (*LIMIT_KEYS, *check.params.model_fields)
    _known(raw, known, where)
    scope = _scope(raw.get("scope", HERE), account, where)
    on_breach = _one_of(raw.get("on_breach", check.on_breach), ON_BREACH, "on_breach", where)
    mode = _one_of(raw.get("mode", "enforce"), MODES, "mode", where)
    if mode == "shadow" and check.never_shadow:
        raise RulebookError(f"{where}: `{check.name}` is never in shadow mode: it is what stops a halted account")
    if on_breach == "warn" and check.never_shadow:
        raise RulebookError(f"{where}: `{check.name}` cannot only warn: it is what stops a halted account")
    acknowledged = _acknowledgement(raw, where, watches=mode == "shadow" or on_breach == "warn")
    if check.mandatory and (mode == "shadow" or on_breach == "warn") and not acknowledged["acknowledged_until"]:
        raise RulebookError(
            f"{where}: `{check.name}` is mandatory: to only watch it wants `acknowledged_by`, a person, and "
            "`acknowledged_until`, the last day it may"
        )
    parameters = {key: value for key, value in raw.items() if key not in LIMIT_KEYS}
    return limit_from(
        id=limit_id,
        check=check.name,
        parameters=parameters,
        scope=scope,
        on_breach=on_breach,
        mode=mode,
        plan=_one_of(raw.get("plan", check.plan), PLANS, "plan", where),
        set_by=author,
        why=_text(raw, "why", where),
        source=_text(raw, "source", where),
        **acknowledged,
    )


def _acknowledgement(raw: dict[str, Any], where: str, *, watches: bool) -> dict[str, str]:
    """Return who answers for a limit that only watches, and until when; both or neither."""
    by, until = raw.get("acknowledged_by"), raw.get("acknowledged_until")
    if by is None and until is None:
        return {"acknowledged_by": "", "acknowledged_until": ""}
    if not watches:
        raise RulebookError(f"{where}: `acknowledged_by` and `acknowledged_until` are for a limit that only watches")
    if not isinstance(by, str) or not by.strip():
        raise RulebookError(f"{where}: `acknowledged_by` is missing: the person who answers for it")
    if type(until) is not date:
        try:
            until = date.fromisoformat(until) if isinstance(until, str) and len(until) == len("2026-12-31") else None
        except ValueError:
            until = None
    if until is None:
        raise RulebookError(f'{where}: `acknowledged_until` wants the last day, like "2026-12-31"')
    return {"acknowledged_by": by.strip(), "acknowledged_until": until.isoformat()}


def _known(raw: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
            raise RulebookError(f"{where}: unknown key `{key}`: {hint}")


def _one_of(value: object, allowed: tuple[str, ...], key: str, where: str) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    raise RulebookError(f"{where}: `{key}` = {str(value)[:40]}: wants one of {', '.join(allowed)}")


def _text(raw: dict[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RulebookError(f"{where}: `{key}` is missing: a limit nobody can explain is not reviewed")
    return value


def _scope(value: object, account: str, where: str) -> Scope:
    if value == HERE:
        return Scope("ACCOUNT", account)
    try:
        scope = Scope.parse(str(value))
    except ValueError as e:
        raise RulebookError(f"{where}: `scope`: {e}") from None
    if scope.kind == "ACCOUNT" and scope.name != account:
        raise RulebookError(
            f"{where}: `scope` names account `{scope.name}`, but the rulebook is applied to `{account}`"
        )
    return scope


# -- what applying would change -------------------------------------------------------------------------------


def changes(standing: tuple[Limit, ...], book: Rulebook) -> tuple[Change, ...]:
    """
    Return what applying *book* changes, against the limits that stand for the same owner.

    A change counts as tightening only where it provably is one; everything doubtful is a loosening.
    """
    before = {limit.id: limit for limit in standing}
    made = []
    for limit in book.limits:
        old = before.pop(limit.id, None)
        if old is None:
            made.append(Change("add", limit.id, limit.check.name, None, limit))
            continue
        fields = _differences(old, limit)
        kind = "keep" if not fields else "tighten" if _is_tighter(old, limit) else "loosen"
        made.append(Change(kind, limit.id, limit.check.name, old, limit, fields))
    made += [Change("retire", old.id, old.check.name, old, None) for old in before.values()]
    return tuple(made)


def _described(limit: Limit) -> dict[str, str]:
    described = {key: str(value) for key, value in limit.params.model_dump(mode="json", exclude_none=True).items()}
    described |= {"check": limit.check.name, "scope": str(limit.scope), "on_breach": limit.on_breach}
    if limit.acknowledged_until:
        described |= {"acknowledged_by": limit.acknowledged_by, "acknowledged_until": limit.acknowledged_until}
    return described | {"mode": limit.mode, "plan": limit.plan}


def _differences(old: Limit, new: Limit) -> tuple[tuple[str, str, str], ...]:
    was, now = _described(old), _described(new)
    return tuple(
        (key, was.get(key, "—"), now.get(key, "—"))
        for key in dict.fromkeys((*was, *now))
        if was.get(key) != now.get(key)
    )


def _is_tighter(old: Limit, new: Limit) -> bool:
    if (old.check, old.scope, old.plan) != (new.check, new.scope, new.plan):
        return False
    if ON_BREACH.index(new.on_breach) < ON_BREACH.index(old.on_breach):
        return False
    if old.mode == "enforce" and new.mode != "enforce":
        return False
    if _watches_until(new) > _watches_until(old):
        return False
    return _params_tighter(old.params, new.params)


def _watches_until(limit: Limit) -> str:
    """Return the last day a limit only watches, as text that sorts; "" for one that enforces."""
    if limit.mode == "enforce" and limit.on_breach != "warn":
        return ""
    return limit.acknowledged_until or "for ever"


def _params_tighter(old: Params, new: Params) -> bool:
    for name in type(old).model_fields:
        was, now = getattr(old, name), getattr(new, name)
        if was == now:
            continue
        if isinstance(was, list) and isinstance(now, list) and len(was) == len(now) and isinstance(was[0], Params):
            if not all(_params_tighter(a, b) for a, b in zip(was, now, strict=True)):
                return False
        elif isinstance(was, Params) and isinstance(now, Params):
            if not _params_tighter(was, now):
                return False
        elif name.endswith((STRICTER_SHORTER, *STRICTER_LONGER)):
            if not _list_tighter(name, was, now):
                return False
        elif not _number_tighter(name, was, now):
            return False
    return True


def _list_tighter(name: str, was: list[str] | None, now: list[str] | None) -> bool:
    """Say whether a list of words lets no more through than the one before; None lists nothing."""
    if name.endswith(STRICTER_SHORTER):
        return now is not None and (was is None or set(now) <= set(was))
    return set(now or ()) >= set(was or ())


def _number_tighter(name: str, was: object, now: object) -> bool:
    if name in STRICTER_WORD:
        return (was, now) == STRICTER_WORD[name]
    if isinstance(was, str):
        return was in FREE and not isinstance(now, str)
    if name in STRICTEST_ABSENT and (was is None or now is None):
        return now is None
    if name in STRICTER_GONE:
        return type(was) is int and (now is None or (type(now) is int and now < was))
    if name in STRICTER_BELOW:
        return type(now) is int and (was is None or (type(was) is int and now < was))
    return name in STRICTER_ABOVE and type(now) is int and type(was) is int and now > was


# -- back to text ---------------------------------------------------------------------------------------------


def written(name: str, limits: tuple[Limit, ...], *, account: str, notes: Mapping[str, str] | None = None) -> str:
    """
    Write limits of *account* as a rulebook that `parse` reads back to the same limits.

    *notes* are put above the limit of that id as a comment, one line each.
    """
    lines = [f"rulebook = {_toml(name)}"]
    for limit in limits:
        lines += ["", *(f"# {line}" for line in (notes or {}).get(limit.id, "").splitlines()), "[[limit]]"]
        said: dict[str, Any] = {"id": limit.id, "check": limit.check.name}
        if limit.scope != Scope("ACCOUNT", account):
            said["scope"] = str(limit.scope)
        said |= limit.params.model_dump(mode="json", exclude_none=True)
        if limit.on_breach != limit.check.on_breach:
            said["on_breach"] = limit.on_breach
        if limit.mode != "enforce":
            said["mode"] = limit.mode
        if limit.plan != limit.check.plan:
            said["plan"] = limit.plan
        if limit.acknowledged_until:
            said |= {"acknowledged_by": limit.acknowledged_by, "acknowledged_until": limit.acknowledged_until}
        said |= {"why": limit.why or "not said", "source": limit.source or "not said"}
        lines += [f"{key} = {_toml(value)}" for key, value in said.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Write a value of a limit: text, whole numbers, and lists and tables of them."""
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items() if each is not None) + " }"
    # A JSON string is a TOML string, but for the surrogate pairs JSON escapes with and DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
