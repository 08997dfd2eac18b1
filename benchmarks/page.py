"""Writes what one run measured between the marks of docs/benchmarks.md; the words around them are a person's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.peers.known import guarantees

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write(machine: dict[str, object], found: dict[str, list[Row]], took_s: float, page: Path = PAGE) -> None:
    """
    Put the tables of one run in the place of those of the last one, by group.

    Raises ValueError when the page has no marks: then nothing is written.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"`{page}` has no `{BEGIN}` and `{END}`: write them where the tables belong")
    said = ", ".join(f"{name} {value}" for name, value in machine.items())
    parts = [f"One run of {took_s / 60:.0f} minutes. {said}."]
    for name, rows in found.items():
        parts.append(f"### {name}\n\n" + "\n".join(_table(rows)))
        if name == "peers":
            parts.append("What the answer of each is worth afterwards:\n\n" + "\n".join(_lines(guarantees())))
    page.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}", encoding="utf-8")


def _table(rows: Iterable[Row]) -> list[str]:
    lines: list[tuple[str, ...]] = [("figure", "measured", "budget", "", "beside")]
    for row in rows:
        budget = "" if row.budget is None else f"{row.budget:g} {row.unit}".strip()
        why = f"{row.floor} — {row.why}" if row.verdict == "MISSED" and row.why else row.floor
        lines.append((row.name, row.said, budget, row.verdict, why))
    return _lines(lines)


def _lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a Markdown table, its first row the headings."""
    written = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return [written[0], "|" + "---|" * len(rows[0]), *written[1:]]
