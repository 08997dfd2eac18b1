"""The house stands: `core/` is pure, and the arrows between the rooms point inward. Each rule is shown to fail, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "riskguard"

CORE_MAY_IMPORT = {
    "__future__", "bisect", "collections", "csv", "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions",
    "functools", "hashlib", "itertools", "json", "operator", "re", "tomllib", "types",
    "typing", "pydantic", "riskguard.core", "riskguard.errors",
}  # fmt: skip
"""Modules that compute. Whoever adds one says here that it reads no file, clock, socket or environment."""

CORE_MAY_NOT_CALL = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"}
CLOCKS = {"now", "today", "utcnow", "fromtimestamp", "time_ns", "monotonic", "perf_counter"}
FLOAT_ALLOWED_IN = {"as_decimal"}
"""REAL columns of the old schema come in through this function of `core/params.py`, and through it alone."""
CODE_MADE_IN = {"joined"}
"""`core/passing.py` joins the lines of the checks to one function, and nothing else makes code of text."""

BASE = {"errors", "ports", "clock", "home", "locate", "data", "redaction"}
MAY_IMPORT = {
    # room: the rooms it may know, besides itself
    "__main__": {"cli"},
    "cli": {"admin", "services", "store", "brokers", "feeds", "core", "__version__", *BASE},
    "admin": {"services", "store", "brokers", "feeds", "core", *BASE},
    "integrations": {"services", "store", "brokers", "core", *BASE},
    "services": {"store", "brokers", "feeds", "core", *BASE},
    "store": {"core", *BASE},
    "brokers": {"core", *BASE},
    "feeds": {"core", *BASE},
    "core": {"errors"},
    "ports": {"core", "errors"},
    "errors": set(),
    "clock": {"errors"},
    "home": {"errors"},
    "locate": {"errors"},
    "data": {"errors"},
    "redaction": set(),
}


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every import in *tree*, inside functions too; *package* resolves relative ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            parent = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            if base == "riskguard":  # `from riskguard import data` names a room
                yield from ((node.lineno, f"riskguard.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base


def impurities(source: str, package: str = "riskguard.core") -> list[str]:
    """Return what *source* may not do in `core/`, one line each."""
    tree = ast.parse(source)
    found = []
    for line, name in imports(tree, package):
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in CORE_MAY_IMPORT):
            found.append(f"line {line}: imports `{name}`")
    spared = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef) and outer.name in FLOAT_ALLOWED_IN
        for inner in ast.walk(outer)
    }
    makes_code = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef) and outer.name in CODE_MADE_IN
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in ("exec", "compile")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (float, complex) and id(node) not in spared:
            found.append(f"line {node.lineno}: float `{node.value!r}`")
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in CORE_MAY_NOT_CALL and id(node) not in makes_code:
            found.append(f"line {node.lineno}: calls `{called.id}`")
        if isinstance(called, ast.Name) and called.id == "float" and id(node) not in spared:
            found.append(f"line {node.lineno}: calls `float`")
        if isinstance(called, ast.Attribute) and called.attr in CLOCKS:
            found.append(f"line {node.lineno}: asks the time with `{called.attr}`")
    return found


STATEMENTS_ELSEWHERE = {
    "services/alerts": {"channels", "deliveries", "watch"},
    "services/audit": {"anchors", "keeping"},
    "services/instruments": {"importing", "on_server"},
    "services/upkeep": {"archive", "archive_file", "backup", "checkup", "retention", "vacuum"},
    "services": {"server", "setup", "upgrade"},
}
"""
Who still writes SQL outside `store/`: the outbox's workers, the journal's anchors, the master's importer, what moves whole
tables to the archive, and what makes and upgrades a database. The list may get shorter.
"""


def statements_in(source: str) -> list[str]:
    """Return the imports with which *source* could write SQL of its own; a prepared statement's type is none."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] == "sqlalchemy"]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.split(".")[0] == "sqlalchemy":
                found.append(module)
            if module in ("riskguard.store.statements", "riskguard.store.spelling"):
                found += [alias.name for alias in node.names if alias.name != "Prepared"]
    return found


def room_of(path: Path) -> str:
    """Return the room of a module: the folder under `riskguard/`, or its own name where it is a file there."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def bent_arrows(source: str, room: str, package: str) -> list[str]:
    """Return the imports of *source* that point outward, sideways, or at no room of the house."""
    found = []
    for line, name in imports(ast.parse(source), package):
        if name.split(".")[0] != "riskguard":
            continue
        other = name.split(".")[1] if "." in name else "(the public door)"
        if other != room and other not in MAY_IMPORT[room]:
            found.append(f"line {line}: `{room}` imports `{name}`")
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
CORE = [path for path in MODULES if room_of(path) == "core"]


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", CORE, ids=name)
def test_core_is_pure(path: Path) -> None:
    """No file, clock, socket, log or float: a decision is a function of its arguments, here and in a replay."""
    assert impurities(path.read_text(encoding="utf-8"), package_of(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_arrows_point_inward(path: Path) -> None:
    """cli → admin, services → store, brokers, feeds → core; nothing sideways but admin, which may use services."""
    assert room_of(path) in MAY_IMPORT, f"`{room_of(path)}` is no room of the house: say here what it may import"
    assert bent_arrows(path.read_text(encoding="utf-8"), room_of(path), package_of(path)) == []


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) not in ("store", "core")], ids=name)
def test_statements_are_written_in_the_store(path: Path) -> None:
    """A service asks the store's statements; who still writes some is named, and is off the list once it does not."""
    listed = path.stem in STATEMENTS_ELSEWHERE.get(str(path.parent.relative_to(PACKAGE)), ())
    assert bool(statements_in(path.read_text(encoding="utf-8"))) == listed


@pytest.mark.parametrize(
    ("source", "noticed"),
    [
        ("import sqlalchemy as sa", True), ("from sqlalchemy.dialects import sqlite", True),
        ("from riskguard.store.statements import prepare", True),
        ("from riskguard.store.spelling import Prepared, param", True),
        ("def f():\n    import sqlalchemy", True), ("from riskguard.store.spelling import Prepared", False),
        ("from riskguard.store.queries.alerts import NEWEST", False), ("import sqlite3", False),
    ],
)  # fmt: skip
def test_a_statement_outside_the_store_is_noticed(source: str, noticed: bool) -> None:
    """A rule that cannot fail holds nothing."""
    assert bool(statements_in(source)) == noticed


def test_there_is_something_to_look_at() -> None:
    """The walk finds the files it is about."""
    assert len(CORE) > 30
    assert {room_of(path) for path in MODULES} >= {"core", "store", "brokers", "feeds", "services", "errors", "ports"}


@pytest.mark.parametrize(
    "source",
    [
        "import os", "import time", "import logging", "import sqlalchemy", "from pathlib import Path", "import socket",
        "from riskguard.store import halt", "from riskguard import data", "import riskguard.clock", "from .. import clock",
        "from ..store import halt", "def f():\n    import random", "limit = 0.5", "limit = -1.5", "x = 1j", "y = 1e3",
        "x = float(3)", "open('f')", "print(1)", "eval('1')", "exec('1')", "def joined():\n    eval('1')",
        "datetime.now()", "date.today()", "a.b.utcnow()",
        "def as_decimal():\n    import os", "def other(x):\n    return float(x)",
    ],
)  # fmt: skip
def test_each_impurity_is_noticed(source: str) -> None:
    """A rule that cannot fail holds nothing."""
    assert impurities(source)


@pytest.mark.parametrize(
    "source",
    [
        "from riskguard.core.money import SCALE", "from . import money", "from .checks import lot_size",
        "from riskguard.errors import InputError", "from collections.abc import Mapping", "from pydantic import Field",
        "from datetime import date, time", "x: float = y", "isinstance(x, float)", "def as_decimal(x):\n    return float(x) + 0.5",
        "x = 10_000", "text = '1.5'", "self.now", "now_us()",
    ],
)  # fmt: skip
def test_what_is_pure_passes(source: str) -> None:
    """Types, text and whole numbers are fine, and so is the one function that takes a REAL column."""
    assert impurities(source) == []


OUTWARD = [
    ("core", "from riskguard.store import halt"),
    ("core", "from riskguard.ports import Broker"),
    ("store", "from riskguard.services.orders import guard"),
    ("store", "from riskguard.brokers.paper import PaperBroker"),
    ("brokers", "from riskguard.store.engines.sqlite import connect"),
    ("brokers", "def f():\n    from riskguard.feeds import bars"),
    ("feeds", "import riskguard.services.orders.guard"),
    ("services", "from riskguard import admin"),
    ("services", "from riskguard.cli import main"),
    ("services", "from riskguard.admin import release"),
    ("services", "from riskguard import RiskGuard"),
    ("admin", "from riskguard.cli import main"),
    ("errors", "from riskguard.core.money import SCALE"),
    ("home", "import riskguard.store.halt"),
    ("ports", "from riskguard.services.orders import guard"),
    ("store", "import riskguard"),
]


@pytest.mark.parametrize("case", OUTWARD, ids=str)
def test_each_bent_arrow_is_noticed(case: tuple[str, str]) -> None:
    """Outward, sideways, through the public door, and inside a function too."""
    room, source = case
    assert bent_arrows(source, room, f"riskguard.{room}")


INWARD = [
    ("cli", "from riskguard.services.orders import guard"),
    ("cli", "from riskguard.admin import release"),
    ("admin", "from riskguard.services.kill.latch import x"),
    ("services", "from riskguard.store import journal"),
    ("services", "from riskguard.brokers.paper import PaperBroker"),
    ("store", "from riskguard.core.order import Order"),
    ("brokers", "from . import paper"),
    ("brokers", "from riskguard.data import charges_text"),
    ("store", "import sqlalchemy"),
]


@pytest.mark.parametrize("case", INWARD, ids=str)
def test_straight_arrows_pass(case: tuple[str, str]) -> None:
    """Inward, within a room, and to other people's libraries."""
    room, source = case
    assert bent_arrows(source, room, f"riskguard.{room}") == []
