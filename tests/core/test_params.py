"""Plans ask with plain twins of the parameters: the same values and methods, and as little to be changed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from riskguard.core.checks import ALWAYS, CHECKS, build_validators
from riskguard.core.limits import Limit
from riskguard.core.params import Params, as_decimal
from riskguard.core.rulebook import parse
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
