"""Plans ask with plain twins of the parameters: the same values and methods, and as little to be changed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from riskguard.core.checks import ALWAYS, CHECKS, build_validators
from riskguard.core.limits import Limit, limit_from
from riskguard.core.params import Params, as_decimal
from riskguard.core.rulebook import parse
from riskguard.errors import RulebookError
from riskguard.locate import folder, rulebook_text

SHIPPED = [
    limit
    for path in sorted(folder("rules").glob("*.toml"))
    for limit in parse(rulebook_text(path.stem), account="leader", author="desk").limits
]


def says_the_same(model: object, twin: object) -> bool:
    """Compare value by value, parameters within parameters by their fields."""
    if isinstance(model, Params):
        names = type(model).model_fields
        return not isinstance(twin, Params) and all(
            says_the_same(getattr(model, name), getattr(twin, name)) for name in names
        )
    if isinstance(model, list):
        return isinstance(twin, list) and all(map(says_the_same, model, twin)) and len(model) == len(twin)
    return type(model) is type(twin) and model == twin


@pytest.mark.parametrize("limit", [*ALWAYS, *SHIPPED], ids=lambda limit: f"{limit.check.name}-{limit.id}")
def test_the_twin_holds_what_the_limit_says(limit: Limit) -> None:
    """Every field of every shipped limit, and of the built-in ones, reads the same from both."""
    assert says_the_same(limit.params, limit.asked.params)
    assert not says_the_same(limit.params, limit.params)  # negative control: the model is no twin of itself
    assert limit.asked.limit is limit


def test_the_twin_has_the_methods_and_cannot_change() -> None:
    """What a check computes from its parameters gives the same, inherited methods too; writing to either fails."""
    limit = next(each for each in SHIPPED if each.check.name == "daily_loss")
    model, twin = limit.params, limit.asked.params

    for equity_e4 in (None, 0, 1, 10_000_000_000):
        assert twin.limit_e4(equity_e4) == model.limit_e4(equity_e4)  # type: ignore[attr-defined]
        assert twin.binding_e4(equity_e4) == model.binding_e4(equity_e4)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="parameters do not change"):
        twin.daily_loss_inr_max = 1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        _ = twin.daily_loss_max  # type: ignore[attr-defined]


def test_parameters_within_parameters_are_plain_too() -> None:
    """The windows of a throttle are read for every order: they are no models either, and keep their order."""
    limit = next(each for each in SHIPPED if each.check.name == "order_rate")
    windows, twins = limit.params.windows, limit.asked.params.windows  # type: ignore[attr-defined]

    assert len(windows) == len(twins) > 1
    assert not any(isinstance(each, Params) for each in twins)
    assert [each.per_s for each in twins] == [each.per_s for each in windows]


def test_building_twice_is_building_once() -> None:
    """Every mandatory check reads its parameters afterwards, whoever asked first."""
    build_validators()
    build_validators()
    assert all(check.params.__pydantic_complete__ for check in CHECKS if check.mandatory)


REALS = [
    (0.1, "0.1000"),
    (1e-7, "0.0000"),
    (100.00005, "100.0000"),
    (2.675, "2.6750"),
    (123456789.1234, "123456789.1234"),
]


@pytest.mark.parametrize(("value", "written"), REALS)
def test_a_real_column_as_a_person_wrote_it(value: float, written: str) -> None:
    """Four places; what a float shows is what is rounded, not the binary number behind it."""
    assert str(as_decimal(value)) == written


def test_validators_are_built_at_first_use_or_when_asked_for() -> None:
    """A start builds those every account needs, and leaves sixty others alone; each still judges what it is given."""
    said = (
        "from riskguard.core.checks import CHECKS, build_validators\n"
        "built = lambda: {c.name for c in CHECKS if c.params.__pydantic_complete__}\n"
        "before = built()\n"
        "build_validators()\n"
        "mandatory = {c.name for c in CHECKS if c.mandatory}\n"
        "assert len(before) < 10 and mandatory <= built() and len(built()) < len(CHECKS), (before, built())\n"
        "CHECKS[[c.name for c in CHECKS].index('order_quantity')].params.read({'quantity_max': 5, 'unit': 'units'}, where='x')\n"
        "assert 'order_quantity' in built()\n"
    )

    subprocess.run([sys.executable, "-c", said], check=True)


READ: list[tuple[str, dict[str, Any], str]] = [
    ("unconfirmed_in_flight", {"answer_s_max": "31622400"}, "{'answer_s_max': '31622400.00'}"),
    ("unconfirmed_in_flight", {"answer_s_max": "0.0001"}, "{'answer_s_max': '0.0001'}"),
    ("unconfirmed_in_flight", {"answer_s_max": "31622400.0001"}, "limit `x`: `answer_s_max` = 31622400.0001: is beyond ±31622400"),
    ("unconfirmed_in_flight", {"answer_s_max": "x"}, "limit `x`: `answer_s_max` = x: is not a plain decimal number like `1650.05`"),
    ("unconfirmed_in_flight", {"answer_s_max": [1]}, "limit `x`: `answer_s_max` = [1]: wants text, int or Decimal, not list"),
    ("unconfirmed_in_flight", {"answer_s_max": "\u202ea\nb" + "y" * 50},
     "limit `x`: `answer_s_max` = \\u202ea\\nb" + "y" * 36 + ": is not a plain decimal number like `1650.05`"),
    ("concentration", {"concentration_pct_max": "1000"}, "{'concentration_pct_max': '1000.00'}"),
    ("concentration", {"concentration_pct_max": "0.01"}, "{'concentration_pct_max': '0.01'}"),
    ("concentration", {"concentration_pct_max": "1000.01"}, "limit `x`: `concentration_pct_max` = 1000.01: is beyond ±1000"),
    ("concentration", {"concentration_pct_max": "0.001"}, "limit `x`: `concentration_pct_max` = 0.001: has more than two decimals"),
    ("order_value", {}, "limit `x`: `order_value_inr_max` is missing"),
    ("order_value", {"order_value_inr_max": 5, "zzz": 1}, "limit `x`: unknown key `zzz`: known: order_value_inr_max"),
    ("order_validity", {"zzz": 1}, "limit `x`: unknown key `zzz`: known: none"),
    ("order_value", {"order_value_inr_maxx": 5},
     "limit `x`: `order_value_inr_max` is missing; unknown key `order_value_inr_maxx`: did you mean `order_value_inr_max`?"),
    ("trading_window", {}, "limit `x`: `unknown_day` is missing; `windows` is missing; `square_off_tail_s` is missing"),
    ("order_rate", {"windows": [{"messages_max": 10, "reserve": 3}]}, "limit `x`: `windows.0.per_s` is missing"),
    ("order_rate", {"windows": [{"messages_max": 10, "reserve": 3, "per_s": 1, "windowz": 1}]},
     "limit `x`: unknown key `windows.0.windowz`: did you mean `windows`?"),
    ("price_collar", {"zzz": 1},
     "limit `x`: `share` is missing; `future` is missing; `option` is missing; unknown key `zzz`: known: share, future, option"),
    ("daily_loss", {"warn_at_pct": [80], "reduce_only_at_pct": 80, "at_once_pct": 150},
     "limit `x`: `(whole)` = {'warn_at_pct': [80], 'reduce_only_at_pc: wants `daily_loss_inr_max` or `daily_loss_pct_max`"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "given", "said"), READ, ids=str)
def test_parameters_are_read_or_refused_to_the_letter(check: str, given: dict[str, Any], said: str) -> None:
    """The most and the least of each unit, one more and one less; what is wrong stands in one line, bounded and escaped."""
    try:
        found = str(limit_from(id="x", check=check, parameters=given, scope="ACCOUNT:a").params.model_dump(mode="json"))
    except RulebookError as e:
        found = str(e)
    assert found == said


def test_a_measure_of_an_account_is_not_taken_over_a_part_of_one() -> None:
    """It would stand there and never fire."""
    with pytest.raises(RulebookError) as caught:
        limit_from(id="x", check="token_expiry", parameters={"before_end_s": 5}, scope="STRATEGY:x")
    assert str(caught.value) == (
        "limit `x`: `token_expiry` cannot be measured over `STRATEGY:x`: scope it to one of ACCOUNT, GROUP, GLOBAL"
    )


TIMES = [
    ("09:20", "09:20"), ("09:20:05", "09:20:05"), ("09:20:00", "09:20"), ("00:00", "00:00"), ("22:59:59", "22:59:59"),
    ("9:20", None), ("24:00", None), ("09:60", None), ("09:20:60", None), ("09:20:5", None), (920, None), ("09.20", None),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kept"), TIMES)
def test_a_time_of_day(given: object, kept: str | None) -> None:
    """Hours and minutes, and seconds where they are; written back as short as it can be."""
    windows = [{"open": given, "close": "23:00"}]
    parameters = {"unknown_day": "allow", "windows": windows, "square_off_tail_s": 5}
    if kept is None:
        with pytest.raises(RulebookError, match=r': wants a time in India like "09:20"(;|$)'):
            limit_from(id="x", check="trading_window", parameters=parameters, scope="ACCOUNT:a")
    else:
        made = limit_from(id="x", check="trading_window", parameters=parameters, scope="ACCOUNT:a")
        assert made.params.model_dump(mode="json")["windows"] == [{"open": kept, "close": "23:00"}]


def test_a_twin_made_now_holds_every_value() -> None:
    """Those of tables inside it, too, as plain as itself."""
    made = limit_from(id="x", check="order_value", parameters={"order_value_inr_max": 5}, scope="ACCOUNT:a")
    assert made.params.plain().order_value_inr_max == 50_000  # type: ignore[attr-defined]
    windows = [{"messages_max": 10, "reserve": 3, "per_s": 1}]
    paced = limit_from(id="x", check="order_rate", parameters={"windows": windows}, scope="ACCOUNT:a")
    (window,) = paced.params.plain().windows  # type: ignore[attr-defined]
    assert (window.messages_max, window.reserve, window.per_s) == (10, 3, 1_000_000) and not isinstance(window, Params)
