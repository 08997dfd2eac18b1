"""Goal: the public door is what `__all__` says, documented, and costs next to nothing to open."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import riskguard

ROOT = Path(__file__).parents[1]
DOOR = ROOT / "riskguard" / "__init__.py"

HEAVY = ("sqlalchemy", "pydantic", "apscheduler", "typer", "click", "rich", "requests", "alembic", "pydantic_settings")
"""What `import riskguard` must not load: a strategy imports us at its start, and a kill before its flag."""


def test_all_is_sorted_and_complete() -> None:
    """Sorted, no name twice, and the same names in the three places that list them."""
    tree = ast.parse(DOOR.read_text(encoding="utf-8"))
    (typed,) = [each for each in tree.body if isinstance(each, ast.If)]
    for_checkers = [alias.name for each in typed.body for alias in each.names]  # type: ignore[attr-defined]

    assert riskguard.__all__ == sorted(set(riskguard.__all__))
    assert sorted(for_checkers) == riskguard.__all__
    assert sorted(riskguard._HOME_OF) == riskguard.__all__
    assert set(riskguard.__all__) <= set(dir(riskguard))


@pytest.mark.parametrize("name", riskguard.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    """A name can be imported, and says itself what it is (an inherited docstring is somebody else's)."""
    found = getattr(riskguard, name)

    said = found.__doc__ if inspect.isfunction(found) else vars(found).get("__doc__")
    assert said and len(said.split()) >= 3, f"{name} has no docstring of its own"
    assert found.__module__.startswith("riskguard.")


def test_everything_at_once_and_nothing_else() -> None:
    """`from riskguard import *` gives exactly `__all__`; another name is an AttributeError that names it."""
    space: dict[str, object] = {}
    exec("from riskguard import *", space)

    assert sorted(set(space) - {"__builtins__"}) == riskguard.__all__
    with pytest.raises(AttributeError, match="`Guard`"):
        _ = riskguard.Guard


def test_a_strategy_cannot_release_itself_by_the_public_door() -> None:
    """Release, apply and baseline live in `riskguard.admin`; the door and the guard do not have them."""
    words = ("release", "unlatch", "apply", "loosen", "baseline")

    def found(holder: object) -> set[str]:
        return {name for name in dir(holder) if any(word in name.lower() for word in words)}

    assert found(riskguard) == {"ReleaseRefusedError"}
    assert found(riskguard.RiskGuard) <= {"release_permit"}, "a permit is given back; a halt is not"


def test_import_riskguard_loads_nothing_heavy() -> None:
    """In a fresh process; and the first use of a name is what brings its room in."""
    code = (
        f"import sys, riskguard; print(*[name for name in {HEAVY!r} if name in sys.modules]); riskguard.Order;"
        "print(*[name for name in ('sqlalchemy', 'apscheduler', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)

    assert done.stdout == "\n\n"


MAKE = """
from pathlib import Path
from benchmarks.stage import build, rulebook
build(Path("desk"), rulebook())
"""
TRADE = """
import sys
from riskguard import Order, RiskGuard

class Clock:
    def now_us(self):
        return 1_717_472_700_000_000  # as the database was made

    elapsed_us = now_us

def order(quantity):
    return Order(account="leader", exchange_segment="NSE_EQ", security_id="1333", side="BUY", product="INTRADAY",
                 order_type="LIMIT", quantity=quantity, price="1650")

with RiskGuard.open("sqlite:///desk/risk.db", sweep=False, clock=Clock(), deadline_ms=60_000) as guard:
    before = set(sys.modules)
    approved, refused = guard.check(order(10)), guard.check(order(100))
    with approved.permit.sending() as wire:
        wire.order_id = "1"
    print(approved.approved, refused.approved, guard.state("leader").state.name)
    print(*sorted(set(sys.modules) - before))
    print(*[name for name in {heavy!r} if name in sys.modules])
"""


def test_a_guard_brings_what_it_needs_before_its_first_check(tmp_path: Path) -> None:
    """
    Nothing is imported lazily inside `check`, whatever it answers, nor on the way to the wire; and a strategy's process
    imports no SQLAlchemy at all, no scheduler, no command, no broker's library: they would be most of its start.
    """

    def run(code: str) -> str:
        environment = {"PATH": "/usr/bin:/bin", "RISKGUARD_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", code]
        return subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout

    run(MAKE)
    said = run(TRADE.format(heavy=tuple(name for name in HEAVY if name != "pydantic")))

    assert said == "True False ACTIVE\n\n\n"

    # The control: without the kept texts the same process imports it, answers the same, and is seen.
    without = (
        "from pathlib import Path\nfrom riskguard.store import texts\ntexts.path = lambda dialect: Path(dialect)\n"
    )
    answers, _, loaded = run(without + TRADE.format(heavy=("sqlalchemy",))).splitlines()
    assert (answers, loaded) == ("True False ACTIVE", "sqlalchemy")


def test_the_store_is_public_and_light() -> None:
    """Its `__all__` is sorted, complete and documented; importing it loads nothing heavy, nor does looking at it."""
    import riskguard.store as store

    assert store.__all__ == sorted(set(store.__all__))
    assert set(store.__all__) <= set(dir(store))
    assert set(store._HOME_OF) | {"rows"} == set(store.__all__)
    for name in store.__all__:
        assert (getattr(store, name).__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="`Databse`"):
        _ = store.Databse

    code = (
        f"import sys, riskguard.store, riskguard.store.rows; dir(riskguard.store);"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "\n"


def test_every_public_method_of_the_store_is_documented() -> None:
    """Each repository, and each of its methods, says what it does in its own words."""
    import inspect

    from riskguard.store import Database
    from riskguard.store.repositories.base import Repository

    areas = [name for name, found in vars(Database).items() if isinstance(found, property)]
    database = Database("sqlite:////nowhere.db")
    assert len(areas) >= 19
    for area in areas:
        repository = getattr(database, area)
        assert isinstance(repository, Repository) and type(repository).__doc__, area
        for name, method in inspect.getmembers(type(repository), inspect.isfunction):
            if not name.startswith("_"):
                assert method.__doc__ and len(method.__doc__.split()) >= 4, f"{area}.{name}"


def test_the_version_is_said_once() -> None:
    """`riskguard.__version__` is the distribution's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert riskguard.__version__ == project["version"]
    assert (ROOT / "riskguard" / "py.typed").exists()
