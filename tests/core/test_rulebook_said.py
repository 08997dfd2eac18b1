"""What a rulebook's refusals say, to the letter; a whole limit as it is read, compared and written."""

from __future__ import annotations

import hashlib

import pytest

from riskguard.core.checks import EVERY
from riskguard.core.limits import Limit
from riskguard.core.rulebook import LIMIT_KEYS, Rulebook, changes, parse, written
from riskguard.core.scope import Scope
from riskguard.errors import RulebookError

LIMIT = '[[limit]]\nid = "ov"\ncheck = "order_value"\norder_value_inr_max = "5"\nwhy = "w"\nsource = "s"\n'
STATE = '[[limit]]\nid = "ts"\ncheck = "trading_state"\nwhy = "w"\nsource = "s"\n'
NAME = 'rulebook = "b"\n'
SHADOW = LIMIT + 'mode = "shadow"\n'

NO_NAME = '`rulebook` is missing: name it, like `rulebook = "intraday-options"`'
NO_LIMIT = "no `[[limit]]`: an empty rulebook would take every limit away"
NO_ID = "limit 1: `id` is missing: a short name that refusals will show"
NO_TEXT = "is missing: a limit nobody can explain is not reviewed"
NO_PERSON = "limit `ov`: `acknowledged_by` is missing: the person who answers for it"
NO_DAY = 'limit `ov`: `acknowledged_until` wants the last day, like "2026-12-31"'
MANDATORY = (
    "limit `ov`: `order_value` is mandatory: to only watch it wants `acknowledged_by`, a person, and "
    "`acknowledged_until`, the last day it may"
)
SCOPES = "is no scope; write one of GLOBAL, GROUP:…, ACCOUNT:…, SEGMENT:…, STRATEGY:…, UNDERLYING:…, INSTRUMENT:…"
SAID = [
    ("x = [", "not TOML: Invalid value (at end of document)"),
    (LIMIT, NO_NAME),
    (f"rulebook = 5\n{LIMIT}", NO_NAME),
    (f'rulebook = ""\n{LIMIT}', NO_NAME),
    (NAME, NO_LIMIT),
    (f"{NAME}limit = []", NO_LIMIT),
    (f"{NAME}limit = 5", NO_LIMIT),
    (f"{NAME}limit = [5]", "limit 1: wants a table `[[limit]]`"),
    (f"{NAME}limits = 5\n{LIMIT}", "the rulebook: unknown key `limits`: did you mean `limit`?"),
    (f"{NAME}zzz = 5\n{LIMIT}", "the rulebook: unknown key `zzz`: known: rulebook, description, limit"),
    (NAME + LIMIT + LIMIT, "limit `ov` stands twice: ids are unique"),
    (NAME + LIMIT.replace('id = "ov"\n', ""), NO_ID),
    (NAME + LIMIT.replace('"ov"', "5"), NO_ID),
    (NAME + LIMIT.replace('"ov"', '"' + "x" * 65 + '"'), NO_ID),
    (NAME + LIMIT.replace('"ov"', '""'), NO_ID),
    (NAME + LIMIT.replace('e"\n', '"\n', 1), "no check `order_valu`: did you mean `order_value`?"),
    (f'{NAME}{LIMIT}scop = "GLOBAL"', "limit `ov`: unknown key `scop`: did you mean `scope`?"),
    (f"{NAME}{LIMIT}zzzz = 5", f"limit `ov`: unknown key `zzzz`: known: {', '.join(LIMIT_KEYS)}, order_value_inr_max"),
    (f'{NAME}{LIMIT}scope = "X"', f"limit `ov`: `scope`: `X` {SCOPES}"),
    (f"{NAME}{LIMIT}scope = 5", f"limit `ov`: `scope`: `5` {SCOPES}"),
    (f'{NAME}{LIMIT}scope = "ACCOUNT:other"', "limit `ov`: `scope` names account `other`, but the rulebook is applied to `leader`"),
    (f'{NAME}{LIMIT}on_breach = "x"', "limit `ov`: `on_breach` = x: wants one of warn, reject, reduce_only, halt, kill"),
    (f"{NAME}{LIMIT}on_breach = 5", "limit `ov`: `on_breach` = 5: wants one of warn, reject, reduce_only, halt, kill"),
    (f'{NAME}{LIMIT}mode = "x"', "limit `ov`: `mode` = x: wants one of enforce, shadow"),
    (f'{NAME}{LIMIT}plan = "{"x" * 50}"', f"limit `ov`: `plan` = {'x' * 40}: wants one of halt, cancel, flatten, broker"),
    (f'{NAME}{STATE}mode = "shadow"', "limit `ts`: `trading_state` is never in shadow mode: it is what stops a halted account"),
    (f'{NAME}{STATE}on_breach = "warn"', "limit `ts`: `trading_state` cannot only warn: it is what stops a halted account"),
    (NAME + SHADOW, MANDATORY),
    (f'{NAME}{LIMIT}on_breach = "warn"', MANDATORY),
    (f'{NAME}{LIMIT}acknowledged_by = "asha"',
     "limit `ov`: `acknowledged_by` and `acknowledged_until` are for a limit that only watches"),
    (f'{NAME}{SHADOW}acknowledged_until = "2026-12-31"', NO_PERSON),
    (f'{NAME}{SHADOW}acknowledged_by = " "\nacknowledged_until = "2026-12-31"', NO_PERSON),
    (f"{NAME}{SHADOW}acknowledged_by = 5", NO_PERSON),
    (f'{NAME}{SHADOW}acknowledged_by = "asha"', NO_DAY),
    (f'{NAME}{SHADOW}acknowledged_by = "asha"\nacknowledged_until = "20261231"', NO_DAY),
    (f'{NAME}{SHADOW}acknowledged_by = "asha"\nacknowledged_until = "2026-02-31"', NO_DAY),
    (f'{NAME}{SHADOW}acknowledged_by = "asha"\nacknowledged_until = 5', NO_DAY),
    (NAME + LIMIT.replace('why = "w"\n', ""), f"limit `ov`: `why` {NO_TEXT}"),
    (NAME + LIMIT.replace('"w"', '" "'), f"limit `ov`: `why` {NO_TEXT}"),
    (NAME + LIMIT.replace('"s"', "5"), f"limit `ov`: `source` {NO_TEXT}"),
    (NAME + LIMIT.replace('order_value_inr_max = "5"\n', ""), "limit `ov`: `order_value_inr_max` is missing"),
    (NAME + LIMIT.replace("order_value_inr_max", "order_value_inr"),
     "limit `ov`: unknown key `order_value_inr`: did you mean `order_value_inr_max`?"),
]  # fmt: skip


def book(text: str) -> Rulebook:
    return parse(text, account="leader", author="desk")


@pytest.mark.parametrize(("text", "said"), SAID, ids=lambda each: each[-60:])
def test_what_is_wrong_is_said_to_the_letter(text: str, said: str) -> None:
    """Which limit, which key, what of it, and what was likely meant."""
    with pytest.raises(RulebookError) as caught:
        book(text)
    assert str(caught.value) == said


def test_a_limit_without_a_check_is_told_all_of_them() -> None:
    """Sorted, so that one can be found."""
    with pytest.raises(RulebookError) as caught:
        book(NAME + LIMIT.replace('check = "order_value"\n', ""))
    assert str(caught.value) == f"no check `None`: known: {', '.join(sorted(check.name for check in EVERY))}"


WHOLE = f'''rulebook = "b ह \\\\u007F"

# for a week
# or two
[[limit]]
id = "{"x" * 64}"
check = "order_value"
scope = "STRATEGY:dip"
order_value_inr_max = "5.50"
on_breach = "halt"
mode = "shadow"
plan = "flatten"
acknowledged_by = "asha"
acknowledged_until = "2026-12-31"
why = "w \\\\"q\\\\""
source = "s"

[[limit]]
id = "ts"
check = "trading_state"
why = "w"
source = "s"
'''.replace("\\\\", "\\")


def test_a_whole_limit_is_read_and_written() -> None:
    """Every key of it, in this order; what is as usual is left out, and a remark stands above its limit."""
    made = book(WHOLE)
    first, second = made.limits
    assert (made.name, made.description, made.digest) == (
        "b \u0939 \x7f", "", hashlib.sha256(WHOLE.encode()).hexdigest(),
    )  # fmt: skip
    assert (first.id, first.check.name, first.scope, first.on_breach, first.mode, first.plan) == (
        "x" * 64, "order_value", Scope("STRATEGY", "dip"), "halt", "shadow", "flatten",
    )  # fmt: skip
    assert (first.acknowledged_by, first.acknowledged_until, first.set_by) == ("asha", "2026-12-31", "desk")
    assert (first.why, first.source, first.params.model_dump(mode="json")) == (
        'w "q"', "s", {"order_value_inr_max": "5.50"},
    )  # fmt: skip
    assert second.scope == Scope("ACCOUNT", "leader") and second.acknowledged_until == ""
    assert written(made.name, made.limits, account="leader", notes={first.id: "for a week\nor two"}) == WHOLE
    assert written("b", (second,), account="other").count('scope = "ACCOUNT:leader"') == 1
    bare = Limit("x", second.check, second.params, second.scope)
    assert 'why = "not said"\nsource = "not said"\n' in written("b", (bare,), account="leader")


def test_a_description_and_a_padded_name_are_kept_as_they_are_meant() -> None:
    """Blanks around a person's name are none of it; a date may be written as one."""
    made = book(f'{NAME}description = "d"\n{SHADOW}acknowledged_by = " asha "\nacknowledged_until = 2026-12-31\n')
    assert (made.description, made.limits[0].acknowledged_by) == ("d", "asha")
    assert made.limits[0].acknowledged_until == "2026-12-31"


def test_a_change_names_every_field_before_and_after() -> None:
    """What is new has a dash before, what is gone one after; what is as it was is not listed."""
    old = book(NAME + LIMIT).limits
    new = book(
        NAME + LIMIT.replace('"5"', '"4"') + 'scope = "GLOBAL"\non_breach = "warn"\nmode = "shadow"\nplan = "halt"\n'
        'acknowledged_by = "asha"\nacknowledged_until = "2026-12-31"\n'
    )
    (made,) = changes(old, new)
    assert (made.kind, made.limit_id, made.check, made.before, made.after) == (
        "loosen", "ov", "order_value", old[0], new.limits[0],
    )  # fmt: skip
    assert made.fields == (
        ("order_value_inr_max", "5.00", "4.00"), ("scope", "ACCOUNT:leader", "GLOBAL"), ("on_breach", "reject", "warn"),
        ("mode", "enforce", "shadow"), ("plan", "cancel", "halt"), ("acknowledged_by", "—", "asha"),
        ("acknowledged_until", "—", "2026-12-31"),
    )  # fmt: skip
    assert made.loosens and made.from_date == ""
    kept, new_one, once_more = (changes(old, book(NAME + each))[0] for each in (LIMIT, STATE, LIMIT))
    assert (kept.kind, kept.fields, kept.loosens) == ("keep", (), False)
    assert new_one.after == book(NAME + STATE).limits[0]
    assert (new_one.kind, new_one.limit_id, new_one.check, new_one.before) == ("add", "ts", "trading_state", None)
    assert once_more.after == old[0]
    gone = changes(old, book(NAME + STATE))[1]
    assert (gone.kind, gone.limit_id, gone.check, gone.before, gone.after, gone.loosens) == (
        "retire", "ov", "order_value", old[0], None, True,
    )  # fmt: skip


def test_a_mandatory_limit_that_warns_under_a_name_is_one() -> None:
    """As one in shadow is; who applies a rulebook nobody signed signs nothing, and others answer for nothing."""
    warns = NAME + LIMIT + 'on_breach = "warn"\nacknowledged_by = "asha"\nacknowledged_until = "2026-12-31"\n'
    (made,) = parse(warns, account="leader").limits
    assert (made.on_breach, made.acknowledged_by, made.acknowledged_until, made.set_by) == (
        "warn", "asha", "2026-12-31", "",
    )  # fmt: skip
    (other,) = book(NAME + LIMIT).limits
    assert (other.acknowledged_by, other.acknowledged_until) == ("", "")


LOTS = '[[limit]]\nid = "x"\ncheck = "lot_size"\nwhy = "w"\nsource = "s"\n'
ASHA = 'acknowledged_by = "asha"\nacknowledged_until = '
PERMITS = '[[limit]]\nid = "x"\ncheck = "permission"\nwhy = "w"\nsource = "s"\n'
DENIED, SIDES = "symbols_denied = ", 'sides_allowed = ["BUY"]\n'
KINDS = [
    (LOTS + 'on_breach = "warn"\n', LOTS + 'on_breach = "warn"\nmode = "shadow"\n', "loosen"),
    (LOTS + f'on_breach = "warn"\n{ASHA}"2026-06-30"\n', LOTS + f'on_breach = "warn"\n{ASHA}"2026-12-31"\n', "loosen"),
    (LOTS + f'on_breach = "warn"\n{ASHA}"2026-12-31"\n', LOTS + f'on_breach = "warn"\n{ASHA}"2026-06-30"\n', "tighten"),
    (PERMITS + 'segments_allowed = ["NSE_EQ", "NSE_FNO"]\n', PERMITS + 'segments_allowed = ["NSE_EQ"]\n', "tighten"),
    (PERMITS + 'segments_allowed = ["NSE_EQ"]\n', PERMITS + 'segments_allowed = ["NSE_EQ", "NSE_FNO"]\n', "loosen"),
    (PERMITS + 'segments_allowed = ["NSE_EQ"]\n', PERMITS + 'segments_allowed = ["NSE_FNO"]\n', "loosen"),
    (
        PERMITS + 'segments_allowed = ["NSE_EQ", "NSE_FNO"]\n',
        PERMITS + 'segments_allowed = ["NSE_FNO", "NSE_EQ"]\n',
        "tighten",
    ),
    (PERMITS + DENIED + '["A"]\n', PERMITS + DENIED + '["A", "B"]\n', "tighten"),
    (PERMITS + DENIED + '["A", "B"]\n', PERMITS + DENIED + '["B", "A"]\n', "tighten"),
    (PERMITS + DENIED + '["A", "B"]\n', PERMITS + DENIED + '["A"]\n', "loosen"),
    (PERMITS + SIDES, PERMITS + SIDES + DENIED + '["A"]\n', "tighten"),
    (PERMITS + SIDES + DENIED + '["A"]\n', PERMITS + SIDES, "loosen"),
]


@pytest.mark.parametrize(("before", "after", "kind"), KINDS)
def test_which_way_a_change_goes(before: str, after: str, kind: str) -> None:
    """What watches where it warned, or longer, is laxer; a list of what is allowed is the tighter for what it leaves out."""
    (made,) = changes(book(NAME + before).limits, book(NAME + after))
    assert made.kind == kind


def test_what_was_not_there_and_what_is_gone_is_a_dash() -> None:
    """A number that was left out, and another check under the same name."""
    hedged = STATE + 'hedge_premium_inr_max = "5"\n'
    for before, after, said in ((STATE, hedged, ("—", "5.00")), (hedged, STATE, ("5.00", "—"))):
        (made,) = changes(book(NAME + before).limits, book(NAME + after))
        assert made.fields == (("hedge_premium_inr_max", *said),)
    (other,) = changes(book(NAME + LOTS).limits, book(NAME + LIMIT.replace('"ov"', '"x"')))
    assert other.kind == "loosen" and ("check", "lot_size", "order_value") in other.fields
