"""The generation beside the database: it only grows, and what cannot be read is no number."""

from __future__ import annotations

from pathlib import Path

from riskguard.store.generation import generation_path, read_generation, write_generation
from tests.services.desk import Desk


def test_the_generation_only_grows(tmp_path: Path) -> None:
    """Nothing there is 0, unreadable is unknown, and a smaller number never replaces a larger one."""
    database = tmp_path / "risk.db"
    assert read_generation(database) == 0
    for generation in (1, 3, 2, 3):
        write_generation(database, generation)
    assert read_generation(database) == 3
    with generation_path(database).open("a") as torn:
        torn.write("\n1")  # of 12: the power went before it was synced, and nobody was told of it
    write_generation(database, 13)
    assert read_generation(database) == 13
    for nonsense in ("", "x", "1.5", "٣x"):
        generation_path(database).write_text(nonsense)
        assert read_generation(database) is None
    assert [path.name for path in tmp_path.iterdir()] == ["risk.db.GENERATION"]


def test_an_unreadable_generation_is_not_replaced_by_a_guess(desk: Desk) -> None:
    """A kill or release that meets one writes the next number it knows; until then everything is halted."""
    generation_path(desk.path).write_text("nonsense")
    desk.sweep()
    assert not desk.guard.check(desk.order()).approved
    desk.kill()

    assert read_generation(desk.path) == 1
