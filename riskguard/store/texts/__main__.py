"""Write the kept texts anew: `python -m riskguard.store.texts`, after a change of a statement or of a table it names."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator

import riskguard.store
from riskguard.store import texts
from riskguard.store.spelling import Prepared


def statements() -> Iterator[Prepared]:
    """Yield every statement that stands in a module of the store, alone or in a tuple, list or dictionary."""
    for module in pkgutil.walk_packages(riskguard.store.__path__, "riskguard.store."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            held = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else [value]
            yield from (each for each in held if isinstance(each, Prepared))


def file(dialect: texts.Dialect) -> str:
    """Return what should stand in the file of *dialect*: a line for each statement that has a spelling, by its text."""
    spelled = {each.digest(dialect): each for each in statements()}
    made = [(*each.by_core(dialect), digest) for digest, each in spelled.items() if digest is not None]
    lines = [
        json.dumps([digest, text, constants])
        for text, constants, digest in sorted(made, key=lambda line: (line[0], line[2]))
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    for each in ("sqlite", "postgresql"):
        texts.path(each).write_text(file(each), encoding="utf-8")
