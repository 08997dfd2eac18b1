"""Rulebooks: what is refused, what a change means, and that nothing malformed ever reads as "unlimited"."""

from __future__ import annotations

import copy
import tomllib
from datetime import date
from typing import Any

import pytest

from riskguard.core.calendar import ist_us
from riskguard.core.checks import EVERY, MANDATORY, by_name
from riskguard.core.limits import limit_from
from riskguard.core.params import Params
from riskguard.core.rulebook import (
    LIMIT_KEYS,
    STRICTER_ABOVE,
    STRICTER_BELOW,
    STRICTER_GONE,
    Rulebook,
    changes,
    parse,
    written,
)
from riskguard.errors import RulebookError
from riskguard.locate import folder, rulebook_text

SHIPPED = sorted(path.stem for path in folder("rules").glob("*.toml"))


def text_of(book: dict[str, Any]) -> str:
    """Write a parsed rulebook back as TOML."""
    lines = [f"{key} = {value_of(value)}" for key, value in book.items() if key != "limit"]
    for limit in book["limit"]:
        lines += ["[[limit]]", *(f"{key} = {value_of(value)}" for key, value in limit.items())]
    return "\n".join(lines)


def value_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(value_of(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {value_of(each)}" for key, each in value.items()) + "}"
    return repr(value)


def book(text: str) -> Rulebook:
    return parse(text, account="leader", author="desk")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_rulebooks_are_whole(name: str) -> None:
    """Each parses, explains every limit, and survives being written back."""
    text = rulebook_text(name)
    parsed = book(text)

    assert all(limit.why and limit.source for limit in parsed.limits)
    assert set(MANDATORY) <= {limit.check.name for limit in parsed.limits if limit.mode == "enforce"}
    assert text.startswith("#:schema ../schema/rulebook.schema.json\n")
    again = parse(written(parsed.name, parsed.limits, account="leader"), account="leader", author="desk")
    assert again.limits == parsed.limits
    assert [each.canonical() for each in book(text_of(tomllib.loads(text))).limits] == [
        each.canonical() for each in parsed.limits
    ]


WRONG: list[Any] = [
    0, -1, 1.5, 10**40, float("nan"), float("inf"), 1e400, True, "", "  ", "0", "-5", "abc", "unlimited", "1e5", "NaN", "5,000",
    "₹5000", "5000 lots", "60s", "3%", "0.00001", [], {}, [0], ["  "], [True], {"open": "10:00"},
]  # fmt: skip
"""No parameter of any check takes one of these: 0 and less, too much, no number, no finite one, the wrong unit or kind."""


# -- every field of every check ---------------------------------------------------------------------------------------

EXAMPLES: dict[str, dict[str, Any]] = {}
for _name in SHIPPED:
    for _limit in tomllib.loads(rulebook_text(_name))["limit"]:
        EXAMPLES.setdefault(_limit["check"], {k: v for k, v in _limit.items() if k not in LIMIT_KEYS})


def paths(model: type[Params], example: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return where each field of *model* stands in *example*: those it leaves out, and those of tables inside it, too."""
    found: list[tuple[Any, ...]] = []
    for name in model.model_fields:
        found.append((name,))
        value = example.get(name)
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(inner, dict):
            start = (name, 0) if isinstance(value, list) else (name,)
            found += [(*start, key) for key in inner]
    return found


def put(example: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(example)
    inside: Any = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return made


def reads(check: str, parameters: dict[str, Any]) -> bool:
    scope = "GROUP:desk" if by_name(check).scopes == ("GROUP",) else "ACCOUNT:leader"
    try:
        limit_from(id="tried", check=check, parameters=parameters, scope=scope)
    except RulebookError:
        return False
    return True


@pytest.mark.parametrize("check", [check.name for check in EVERY])
def test_every_field_of_every_check_refuses_nonsense(check: str) -> None:
    """
    Whatever the check and the field, also one no shipped rulebook uses: nothing of the list is taken for a number, a
    list or a word. A check that is added is tried here without anybody writing it down.
    """
    example, params = EXAMPLES[check], by_name(check).params
    assert reads(check, example)
    accepted = []
    for path in paths(params, example):
        for value in WRONG:
            if reads(check, put(example, path, value)) and (path[-1], value) not in (
                ("reserve", 0),
                ("reserve", False),
                ("include_exit_cost", True),
                ("include_holdings", True),
            ):
                accepted.append((path, value))
        if reads(check, put(example, (*path[:-1], f"{path[-1]}x"), 1)):
            accepted.append((path, "misspelt"))

    assert accepted == []


@pytest.mark.parametrize("check", [check.name for check in EVERY])
def test_a_field_that_is_needed_is_missed(check: str) -> None:
    """Taken away one at a time; one that may be left out is said so by its type, and leaves a limit that still holds."""
    example, params = EXAMPLES[check], by_name(check).params

    for name, field in params.model_fields.items():
        without = {key: value for key, value in example.items() if key != name}
        if field.is_required():
            assert not reads(check, without), name
        if len(without) < len(example) and not without and params.model_fields:
            assert check in ("trading_state",) or not reads(check, without), "a limit without any number limits nothing"


@pytest.mark.parametrize("check", [check.name for check in EVERY])
def test_every_number_is_known_to_tighten_one_way(check: str) -> None:
    """A field nobody has sorted would make every change of it a loosening; a list and a word are sorted by themselves."""
    example = EXAMPLES[check]
    for path in paths(by_name(check).params, example):
        inside: Any = example
        for key in path:
            inside = inside.get(key) if isinstance(inside, dict) else inside[key]
        if isinstance(inside, int | str) and str(inside).replace(".", "").isdigit():
            assert path[-1] in STRICTER_BELOW | STRICTER_ABOVE | STRICTER_GONE, path


REFUSED = [
    ("", "`rulebook` is missing"),
    ('rulebook = "x"', "no `[[limit]]`"),
    ('rulebook = "x"\nlimits = []', "did you mean `limit`?"),
    ('rulebook = "x"\n[[limit]]\ncheck = "order_value"', "`id` is missing"),
    ('rulebook = "x"\n[[limit]]\nid = "a"\ncheck = "order_valu"', "did you mean `order_value`?"),
    ('rulebook = "x"\n[[limit]]\nid = "a"\ncheck = "order_value"\norder_valu_inr_max = "1"', "did you mean"),
    ("rulebook = ", "not TOML"),
    ('rulebook = "x"\nlimit = [7]', "limit 1: wants a table `[[limit]]`"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[1])
def test_a_refusal_says_what_was_likely_meant(case: tuple[str, str]) -> None:
    """The message names the key and the way out."""
    with pytest.raises(RulebookError) as caught:
        book(case[0])

    assert case[1] in str(caught.value)


def test_what_must_not_be_switched_off() -> None:
    """A mandatory check cannot only watch; the trading state is never in shadow; ids are unique; scopes are ours."""
    default = rulebook_text("default")
    for old, new, said in [
        ('check = "order_value"', 'check = "order_value"\nmode = "shadow"', "mandatory"),
        ('check = "order_value"', 'check = "order_value"\non_breach = "warn"', "mandatory"),
        ('check = "trading_state"', 'check = "trading_state"\nmode = "shadow"', "never in shadow"),
        ('id = "lot-size"', 'id = "price-tick"', "stands twice"),
        ('check = "lot_size"', 'check = "lot_size"\nscope = "ACCOUNT:other"', "applied to `leader`"),
        ('check = "lot_size"', 'check = "lot_size"\nscope = "COUNTRY:IN"', "no scope"),
    ]:
        assert default.count(old) == 1
        with pytest.raises(RulebookError, match=said):
            book(default.replace(old, new))


CHANGED = [
    ('order_value_inr_max = "100000"', 'order_value_inr_max = "99999.99"', "tighten"),
    ('order_value_inr_max = "100000"', 'order_value_inr_max = "100000.00"', "keep"),
    ('order_value_inr_max = "100000"', 'order_value_inr_max = "100000.01"', "loosen"),
    ("within_s = 2", "within_s = 3", "tighten"),
    ("within_s = 2", 'within_s = "1.9999"', "loosen"),
    ("{ messages_max = 10, reserve = 3, per_s = 1 }", "{ messages_max = 10, reserve = 4, per_s = 1 }", "tighten"),
    ("{ messages_max = 10, reserve = 3, per_s = 1 }", "{ messages_max = 11, reserve = 4, per_s = 1 }", "loosen"),
    ('unit = "inr"', 'unit = "units"', "loosen"),
    ('check = "order_quantity"', 'check = "order_quantity"\non_breach = "halt"', "tighten"),
    ('check = "order_quantity"', 'check = "order_quantity"\nmode = "shadow"', "loosen"),
    ('check = "order_quantity"', 'check = "order_quantity"\non_breach = "warn"', "loosen"),
    ('check = "order_quantity"', 'check = "order_quantity"\nscope = "SEGMENT:NSE_EQ"', "loosen"),
    ("warn_at_pct = [50, 75, 85, 90, 95]", "warn_at_pct = [50]", "loosen"),
    ('plan = "cancel"', 'plan = "halt"', "loosen"),
]


@pytest.mark.parametrize("case", CHANGED, ids=lambda case: f"{case[1][:40]} {case[2]}")
def test_only_what_provably_tightens_counts_as_tightening(case: tuple[str, str, str]) -> None:
    """Everything doubtful is a loosening."""
    old, new, kind = case
    default = rulebook_text("default")
    assert old in default
    found = changes(book(default).limits, book(default.replace(old, new)))

    assert {change.kind for change in found} - {"keep"} == ({kind} - {"keep"})


# -- an acknowledgement ----------------------------------------------------------------------------------------------

WATCHING = 'check = "order_value"\nmode = "shadow"'
ACKNOWLEDGED = [
    ("", "mandatory"),
    ('acknowledged_by = "asha"', "acknowledged_until"),
    ('acknowledged_until = "2026-12-31"', "acknowledged_by"),
    ('acknowledged_by = " "\nacknowledged_until = "2026-12-31"', "acknowledged_by"),
    ('acknowledged_by = "asha"\nacknowledged_until = "next week"', "last day"),
    ('acknowledged_by = "asha"\nacknowledged_until = "2026-02-30"', "last day"),
    ('acknowledged_by = "asha"\nacknowledged_until = "20261231"', "last day"),
    ('acknowledged_by = "asha"\nacknowledged_until = 2026-12-31T10:00:00', "last day"),
    ('acknowledged_by = "asha"\nacknowledged_until = "2026-12-31"', ""),
    ('acknowledged_by = "asha"\nacknowledged_until = 2026-12-31', ""),
]


@pytest.mark.parametrize("case", ACKNOWLEDGED, ids=lambda case: case[0][-30:] or "none")
def test_a_mandatory_limit_only_watches_under_somebodys_name(case: tuple[str, str]) -> None:
    """A person and a last day, both; a day that is none is refused."""
    given, said = case
    text = rulebook_text("default").replace('check = "order_value"', f"{WATCHING}\n{given}")
    if said:
        with pytest.raises(RulebookError, match=said):
            book(text)
        return
    (limit,) = [each for each in book(text).limits if each.check.name == "order_value"]

    assert (limit.acknowledged_by, limit.acknowledged_until) == ("asha", "2026-12-31")


def test_what_is_never_in_shadow_cannot_be_acknowledged_away() -> None:
    """Neither shadow nor warn, whoever answers for it; and a limit that enforces has nothing to acknowledge."""
    default = rulebook_text("default")
    signed = 'acknowledged_by = "asha"\nacknowledged_until = "2026-12-31"'
    for old, new, said in [
        ('check = "trading_state"', f'check = "trading_state"\nmode = "shadow"\n{signed}', "never in shadow"),
        ('check = "order_validity"', f'check = "order_validity"\non_breach = "warn"\n{signed}', "cannot only warn"),
        ('check = "lot_size"', f'check = "lot_size"\n{signed}', "only watches"),
    ]:
        with pytest.raises(RulebookError, match=said):
            book(default.replace(old, new))


@pytest.mark.parametrize(
    ("second", "mode", "on_breach", "until", "watches"),
    [
        (-1, "shadow", "reject", "2026-12-31", True),
        (0, "shadow", "reject", "2026-12-31", False),
        (-1, "enforce", "warn", "2026-12-31", True),
        (0, "enforce", "warn", "2026-12-31", False),
        (-1, "enforce", "reject", "", False),
        (-1, "shadow", "reject", "", False),  # a row some other program wrote: nobody answers for it
    ],
)
def test_past_its_last_day_it_enforces_again(second: int, mode: str, on_breach: str, until: str, watches: bool) -> None:
    """The last moment of the last day in India still watches, midnight does not."""
    limit = limit_from(
        id="value", check="order_value", parameters={"order_value_inr_max": "1"}, scope="ACCOUNT:leader", mode=mode,
        on_breach=on_breach, acknowledged_until=until,
    )  # fmt: skip

    assert limit.only_watches(ist_us(date(2027, 1, 1), second)) == watches


def test_other_limits_watch_as_long_as_they_like() -> None:
    """Only mandatory ones need a name; a last day may be given all the same, and holds."""
    given = {"id": "lot", "check": "lot_size", "parameters": {}, "scope": "ACCOUNT:leader", "mode": "shadow"}

    assert limit_from(**given).only_watches(ist_us(date(2099, 1, 1)))
    assert not limit_from(**given, acknowledged_until="2026-12-31").only_watches(ist_us(date(2027, 1, 1)))


UNTIL = [
    ("", "2026-12-31", "loosen"), ("2026-12-31", "2026-12-30", "tighten"), ("2026-12-30", "2026-12-31", "loosen"),
    ("2026-12-31", "", "tighten"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "kind"), UNTIL)
def test_watching_longer_is_a_loosening(before: str, after: str, kind: str) -> None:
    """From enforcing to watching, and a later last day; the other way round it tightens."""

    def text(until: str) -> str:
        given = (
            f'{WATCHING}\nacknowledged_by = "asha"\nacknowledged_until = "{until}"'
            if until
            else 'check = "order_value"'
        )
        return rulebook_text("default").replace('check = "order_value"', given)

    found = changes(book(text(before)).limits, book(text(after)))

    assert {change.kind for change in found} - {"keep"} == {kind}


COLLARS: dict[str, Any] = {
    "share": {"collar_pct_max": "3"}, "future": {"collar_pct_max": "2"},
    "option": {"collar_pct_max": "40", "collar_ticks_max": 400},
}  # fmt: skip
WORDS = [
    ("trading_window", {"square_off_tail_s": "none"}, {"square_off_tail_s": 600}, "tighten"),
    ("trading_window", {"square_off_tail_s": 600}, {"square_off_tail_s": "none"}, "loosen"),
    ("trading_window", {"square_off_tail_s": 600}, {"square_off_tail_s": 601}, "tighten"),
    ("trading_window", {"unknown_day": "allow"}, {"unknown_day": "refuse"}, "tighten"),
    ("trading_window", {"unknown_day": "refuse"}, {"unknown_day": "allow"}, "loosen"),
    ("trading_window", {}, {"windows": [{"open": "09:20", "close": "15:00"}]}, "tighten"),
    ("trading_window", {"windows": [{"open": "09:20", "close": "15:00"}]}, {}, "loosen"),
    ("trading_window", {"windows": [{"open": "09:20", "close": "15:00"}]},
     {"windows": [{"open": "09:30", "close": "14:00"}]}, "tighten"),
    ("trading_window", {"windows": [{"open": "09:20", "close": "15:00"}]},
     {"windows": [{"open": "09:30", "close": "15:01"}]}, "loosen"),
    ("trading_state", {}, {"hedge_premium_inr_max": "1000"}, "loosen"),
    ("trading_state", {"hedge_premium_inr_max": "1000"}, {}, "tighten"),
    ("trading_state", {"hedge_premium_inr_max": "1000"}, {"hedge_premium_inr_max": "999"}, "tighten"),
    ("price_collar", COLLARS, {**COLLARS, "share": {"collar_pct_max": "2.9"}}, "tighten"),
    ("price_collar", COLLARS, {**COLLARS, "share": {"collar_pct_max": "3.1"}}, "loosen"),
    ("price_collar", COLLARS, {**COLLARS, "option": {"collar_pct_max": "39"}}, "tighten"),
    ("price_collar", {**COLLARS, "option": {"collar_pct_max": "40"}}, COLLARS, "loosen"),
    ("naked_short_option", {"naked_lots_max": 1}, {"naked_lots_max": "none"}, "tighten"),
    ("naked_short_option", {"naked_lots_max": "none"}, {"naked_lots_max": 1}, "loosen"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "before", "after", "kind"), WORDS)
def test_words_and_absences_tighten_the_right_way(
    check: str, before: dict[str, Any], after: dict[str, Any], kind: str
) -> None:
    """ "none" and "session" bound nothing; a premium that is not there lets nothing through."""
    base = {"unknown_day": "allow", "windows": "session", "square_off_tail_s": 600} if check == "trading_window" else {}

    def of(given: dict[str, Any]) -> Rulebook:
        limit = {"id": "it", "check": check, **base, **given, "why": "a test", "source": "the test"}
        return book(text_of({"rulebook": "tried", "limit": [limit]}))

    assert [change.kind for change in changes(of(before).limits, of(after))] == [kind]


def test_a_limit_left_out_is_retired_and_a_new_one_added() -> None:
    """Both are named; taking a limit away is taking safety away."""
    default = rulebook_text("default")
    without = default.replace(
        '[[limit]]\nid = "lot-size"\ncheck = "lot_size"', '[[limit]]\nid = "lots"\ncheck = "lot_size"'
    )
    kinds = {change.limit_id: change.kind for change in changes(book(default).limits, book(without))}

    assert kinds["lot-size"] == "retire" and kinds["lots"] == "add"
    loosening = {change.limit_id for change in changes(book(default).limits, book(without)) if change.loosens}
    assert loosening == {"lot-size"}


def test_who_answers_for_it_is_written_down() -> None:
    """An acknowledgement reads back as it was given, name and last day."""
    given = f'{WATCHING}\nacknowledged_by = "asha"\nacknowledged_until = "2026-12-31"'
    limits = book(rulebook_text("default").replace('check = "order_value"', given)).limits
    again = book(written("default", limits, account="leader")).limits
    (value,) = [each for each in again if each.check.name == "order_value"]

    assert (value.acknowledged_by, value.acknowledged_until, value.mode) == ("asha", "2026-12-31", "shadow")
    assert [each.canonical() for each in again] == [each.canonical() for each in limits]
