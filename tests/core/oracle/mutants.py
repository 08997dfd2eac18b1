"""
The code under test with one comparison wrong: `<` for `<=`, `>` for `>=`, and the other way round.

A mutant is a file compiled again with that one sign changed; the file itself is not touched.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from riskguard.core import direction, exposure, facts, measure, pricing
from riskguard.core.checks import CHECKS
from riskguard.core.exposure import held, losses, margin, orders, prices, units, value
from riskguard.core.limits import Check

_OTHER: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}


PARTS = {exposure: (held, prices, units, value, orders, losses, margin)}
"""A package is changed as if it were one file: its functions call each other across its files."""


class Mutant(NamedTuple):
    """
    One comparison changed: in which file, function and line it stands, and the `place`-th of that line.

    Either `check` is to be asked instead of the one of its name, or `patches` are to be set in `core.facts`.
    """

    where: str
    function: str
    line: str
    place: int
    check: Check | None
    patches: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.where}: {self.line}" + (f" [{self.place}]" if self.place else "")


class _Changed(NamedTuple):
    """A file compiled with one comparison changed; `functions` is its namespace."""

    function: str
    line: str
    is_sign: bool  # a side is +1 or −1: at 0 there is nothing to tell apart
    functions: dict[str, Any]


class _Swap(ast.NodeVisitor):
    """Change the comparison operator number *which*, counted as the functions are walked."""

    def __init__(self, which: int) -> None:
        self.which, self.seen = which, 0
        self.function, self.line, self.is_sign = "", 0, False
        self._inside: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        for number, operator in enumerate(node.ops):
            if type(operator) in _OTHER:
                if self.seen == self.which:
                    node.ops[number] = _OTHER[type(operator)]()
                    self.line, self.function = node.lineno, self._inside[0]
                    left, right = ast.unparse(node.left), ast.unparse(node.comparators[number])
                    self.is_sign = right == "0" and (left == "sign" or left.endswith(".sign"))
                self.seen += 1


def of_checks() -> list[Mutant]:
    """Every comparison in the functions of every check, and those of the helper the exposure checks share."""
    made: list[Mutant] = []
    for check in CHECKS:
        for changed in _changes(sys.modules[check.run.__module__]):
            _add(made, check.name, changed, check, changed.functions)
    shared = next(check for check in CHECKS if check.name == "gross_exposure")
    for changed in _changes(measure):
        helper = SimpleNamespace(**{**vars(measure), **changed.functions})
        _add(made, "measure", changed, shared, _compiled(sys.modules[shared.run.__module__], -1, measure=helper)[1])
    return made


def of_the_book() -> list[Mutant]:
    """Every comparison of what the checks stand on: direction, exposure and prices."""
    made: list[Mutant] = []
    for module in (direction, pricing, exposure):
        for changed in _changes(module):
            _add(made, module.__name__.rpartition(".")[2], changed, None, changed.functions)
    return made


def _add(made: list[Mutant], where: str, changed: _Changed, check: Check | None, functions: dict[str, Any]) -> None:
    if changed.is_sign:
        return
    place = sum((other.where, other.line) == (where, changed.line) for other in made)
    patches: dict[str, Any] = {}
    if check is not None:
        over = None if check.over is None else functions["over"]
        check = replace(check, run=functions["check"], over=over, passes="")
    elif where == "exposure":
        patches["exposure"] = SimpleNamespace(**functions)
    else:
        whole = vars({"direction": direction, "pricing": pricing}[where])
        patches = {name: functions[name] for name, each in vars(facts).items() if _is_of(name, each, whole)}
    made.append(Mutant(where, changed.function, changed.line, place, check, patches))


def _is_of(name: str, each: object, whole: dict[str, Any]) -> bool:
    """Say whether `core.facts` took this function from the module *whole*."""
    return inspect.isfunction(each) and whole.get(name) is each and each.__module__ == whole["__name__"]


def _changes(module: ModuleType) -> Iterator[_Changed]:
    """Compile the functions of *module* once for every comparison in them."""
    lines = _source(module).splitlines()
    which = 0
    while True:
        swap, functions = _compiled(module, which)
        if not swap.line:
            return
        yield _Changed(swap.function, lines[swap.line - 1].strip(), swap.is_sign, functions)
        which += 1


def _compiled(module: ModuleType, which: int, **names: Any) -> tuple[_Swap, dict[str, Any]]:
    """Return what was changed (which < 0: nothing), and the functions in a namespace of their own."""
    tree = ast.parse(_source(module))
    tree.body = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    swap = _Swap(which)
    swap.visit(tree)
    namespace = {name: each for part in (*PARTS.get(module, ()), module) for name, each in vars(part).items()} | names
    if which < 0 or swap.line:
        tree.body = [*ast.parse("from __future__ import annotations").body, *tree.body]
        exec(compile(ast.fix_missing_locations(tree), module.__file__ or "", "exec"), namespace)
    return swap, namespace


def _source(module: ModuleType) -> str:
    return "\n".join(inspect.getsource(part) for part in PARTS.get(module, (module,)))


Noticed = Callable[[int], bool]


def noticed_at(differs: Noticed, cases_max: int) -> int | None:
    """Return the number of the first case that *differs*, None if none of so many does."""
    return next((number for number in range(cases_max) if differs(number)), None)
