"""Rulebooks: what is refused, what a change means, and that nothing malformed ever reads as "unlimited"."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest

from riskguard.core.rulebook import Rulebook, changes, parse
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
    assert [each.canonical() for each in book(text_of(tomllib.loads(text))).limits] == [
        each.canonical() for each in parsed.limits
    ]


WRONG: list[Any] = [0, -1, float("nan"), float("inf"), 1e400, True, "", "abc", [], "1e5"]


def mutations(limit: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every limit that differs from *limit* in one key: missing, misspelt, or of a wrong value."""
    made = []
    for key, standing in limit.items():
        if key not in ("on_breach", "plan", "mode", "scope"):  # these have a documented default
            made.append((f"{key} missing", {k: v for k, v in limit.items() if k != key}))
        made.append((f"{key} misspelt", {(f"{key}x" if k == key else k): v for k, v in limit.items()}))
        wrong: list[Any] = [7, "", "unlimited", -1] if isinstance(standing, str) else WRONG
        if key in ("why", "source"):
            wrong = [7, "", "  "]
        elif key == "id":
            wrong = [7, "", "x" * 65]
        elif key.endswith("_inr_max") or key == "position_max":
            wrong = [*WRONG, "0", "-5", "5,000", "₹5000", "NaN", "0.00001"]
        made += [(f"{key} = {value!r}", {**limit, key: value}) for value in wrong]
    return made


@pytest.mark.parametrize("name", SHIPPED)
def test_every_key_mutated_is_refused(name: str) -> None:
    """One key at a time: typo, missing, 0, negative, NaN, text, the wrong kind. None is applied, none is unlimited."""
    good = tomllib.loads(rulebook_text(name))
    accepted, tried = [], 0
    for number, limit in enumerate(good["limit"]):
        for said, mutated in mutations(limit):
            bad = copy.deepcopy(good)
            bad["limit"][number] = mutated
            tried += 1
            try:
                book(text_of(bad))
            except RulebookError:
                continue
            accepted.append(f"{limit['id']}: {said}")

    assert tried > 300
    assert accepted == []


REFUSED = [
    ("", "`rulebook` is missing"),
    ('rulebook = "x"', "no `[[limit]]`"),
    ('rulebook = "x"\nlimits = []', "did you mean `limit`?"),
    ('rulebook = "x"\n[[limit]]\ncheck = "order_value"', "`id` is missing"),
    ('rulebook = "x"\n[[limit]]\nid = "a"\ncheck = "order_valu"', "did you mean `order_value`?"),
    ('rulebook = "x"\n[[limit]]\nid = "a"\ncheck = "order_value"\norder_valu_inr_max = "1"', "did you mean"),
    ("rulebook = ", "not TOML"),
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


def test_a_limit_left_out_is_retired_and_a_new_one_added() -> None:
    """Both are named; taking a limit away is taking safety away."""
    default = rulebook_text("default")
    without = default.replace(
        '[[limit]]\nid = "lot-size"\ncheck = "lot_size"', '[[limit]]\nid = "lots"\ncheck = "lot_size"'
    )
    kinds = {change.limit_id: change.kind for change in changes(book(default).limits, book(without))}

    assert kinds["lot-size"] == "retire" and kinds["lots"] == "add"
