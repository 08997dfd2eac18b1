"""Tables a person can check by eye: the first line names the columns, cells are two blanks or more apart."""

from __future__ import annotations

import re
from pathlib import Path

from riskguard.core.money import to_e4


def stories(path: Path) -> dict[str, str]:
    """Return what a file of expectations says, by name: parts with a blank line between, each headed by its name."""
    found: dict[str, str] = {}
    for part in path.read_text(encoding="utf-8").strip().split("\n\n"):
        name, _, rest = part.partition("\n")
        found[name.rstrip(":")] = rest
    return found


class Row:
    """One case. A cell is read by its column's name: as text, as a number, or as rupees; `-` is None."""

    def __init__(self, names: list[str], cells: list[str]) -> None:
        self._cells = dict(zip(names, cells, strict=True))

    def __getattr__(self, name: str) -> str:
        try:
            return self.__dict__["_cells"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"no column `{name}`") from None

    def __str__(self) -> str:
        return " ".join(self._cells.values())

    def opt(self, name: str) -> str | None:
        """Return the cell as text, None for `-`."""
        return None if self._cells[name] == "-" else self._cells[name]

    def number(self, name: str) -> int:
        """Return the cell as a whole number; underscores are allowed."""
        return int(self._cells[name])

    def opt_number(self, name: str) -> int | None:
        return None if self._cells[name] == "-" else self.number(name)

    def e4(self, name: str) -> int | None:
        """Return rupees as 1/10000 rupee, None for `-`."""
        return None if self._cells[name] == "-" else to_e4(self._cells[name])

    def has(self, name: str) -> bool:
        """Return a cell of yes or no."""
        return {"yes": True, "no": False}[self._cells[name]]


def table(text: str) -> list[Row]:
    """Parse *text*; a row with too few or too many cells is an error, not a shorter case."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.strip().splitlines() if line.strip()]
    names, *rows = lines
    for cells in rows:
        assert len(cells) == len(names), f"{len(cells)} cells under {len(names)} columns: {cells}"
    return [Row(names, cells) for cells in rows]
