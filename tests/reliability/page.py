"""
Keeps the tables of docs/reliability.md: what each test claims, from its marker, and what the last soak showed.

    python -m tests.reliability.page            what is claimed, with figures and places
    python -m tests.reliability.page --soak     and the table of the last soak, from build/soak.jsonl

The markers are read, not run: their arguments are literals.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.reliability.claims import INVARIANTS, Claim, markdown
from tests.reliability.soak import LOG, read

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"


@dataclass(frozen=True, slots=True)
class Place:
    """One claim and the test that makes it."""

    claim: Claim
    path: Path
    test: str

    @property
    def link(self) -> str:
        return f"[{self.path.stem}]({os.path.relpath(self.path, PAGE.parent)})"


def places() -> list[Place]:
    """Return every claim of every test, in the order of the invariants, then by file."""
    found = [place for path in sorted((ROOT / "tests").rglob("test_*.py")) for place in claims_in(path)]
    order = list(INVARIANTS)
    return sorted(found, key=lambda place: order.index(place.claim.id))


def claims_in(path: Path) -> Iterator[Place]:
    """
    Yield the claims of the test functions of one file.

    Raises:
        ValueError: A marker's arguments are no literals, or name no invariant.
    """
    text = path.read_text(encoding="utf-8")
    if "mark.claim(" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if not (isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.claim"):
                continue
            try:
                given = [ast.literal_eval(each) for each in mark.args]
                named = {str(each.arg): ast.literal_eval(each.value) for each in mark.keywords}
            except ValueError:
                raise ValueError(f"{path.name}: {node.name}: write the arguments of its claim as literals") from None
            yield Place(Claim(*given, **named), path, node.name)


def claimed() -> str:
    """The table of invariants: how each is tried, with which figures, and where."""
    lines = ["| claim | how it is tried | CI | soak | bound in the soak | where |", "|---|---|---:|---:|---|---|"]
    rows: dict[tuple[str, ...], None] = {}
    for place in places():
        claim = place.claim
        limits = claim.soak_bounds_ms or claim.bounds_ms
        bound = ", ".join(f"{name} ≤ {most:g} ms" for name, most in limits.items())
        ci = f"{claim.ci:,} {claim.of}" if claim.ci else "–"
        rows[(claim.id, claim.tried, ci, f"{claim.soak:,} {claim.of}", bound, place.link)] = None
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def invariants() -> str:
    """Every invariant in its words; one that no test claims by a marker says so."""
    marked = {place.claim.id for place in places()} | {"Q"}
    lines = ["| claim | what is always so |", "|---|---|"]
    lines += [f"| {name} | {said}{'' if name in marked else ' *'} |" for name, said in INVARIANTS.items()]
    return "\n".join(lines)


def shown() -> str:
    """The last soak: its day and machine, and its table."""
    rows = read(LOG)
    if not rows:
        raise SystemExit(f"no soak to show: `{LOG.relative_to(ROOT)}` is not there; run `make soak`")
    day = datetime.fromtimestamp(LOG.stat().st_mtime, UTC).strftime("%Y-%m-%d")
    machine = f"{os.cpu_count()} cores, CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{day}, {machine}:\n\n{markdown(rows)}"


def replaced(page: str, name: str, text: str) -> str:
    """Put *text* between the page's marks of that name."""
    found, count = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
        lambda match: f"{match[1]}\n{text}\n\n{match[2]}",
        page,
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit(
            f"`{PAGE.name}` has {count} places `{name}`; write `<!-- {name} -->` and `<!-- /{name} -->` once"
        )
    return found


def made(page: str, *, soak: bool) -> str:
    """Return the page with its tables as they are now."""
    page = replaced(replaced(page, "invariants", invariants()), "claims", claimed())
    return replaced(page, "soak", shown()) if soak else page


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text(encoding="utf-8"), soak="--soak" in sys.argv[1:]), encoding="utf-8")
