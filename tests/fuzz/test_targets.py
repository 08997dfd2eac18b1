"""
Goal: whatever bytes come in, the answer is typed: the targets of `make fuzz`, some thousand seeded mutations of each.

A soak fuzzes each target for RISKGUARD_FUZZ_MINUTES (20), by coverage where atheris is installed.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz import corpus, running, targets
from tests.fuzz.__main__ import main
from tests.fuzz.running import Found, drive, fuzzed, mutations
from tests.fuzz.targets import TARGETS, opened

INPUTS = {"rulebook": 700, "message": 3_000, "order": 2_500, "webhook": 250}
SEED = 20_261_123


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_break_nothing(name: str, tmp_path: Path) -> None:
    """Seeded, so that a failure comes back; every seed goes in as it is first."""
    with opened(name) as target:
        assert drive(name, target, islice(mutations(name, SEED), INPUTS[name]), tmp_path) == INPUTS[name]


@pytest.mark.parametrize("name", TARGETS)
def test_the_control_a_break_is_found_kept_and_replayed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that breaks on some mutation is found, by name, and its input breaks it again."""

    def breaks(data: bytes) -> None:
        assert b"limit" not in data and b'"order' not in data and b'"price' not in data, "broken"

    with pytest.raises(Found, match=f"tests.fuzz {name} --replay") as caught:
        drive(name, breaks, islice(mutations(name, SEED), INPUTS[name]), tmp_path)
    (kept,) = tmp_path.glob("crash-*")
    assert str(kept) in str(caught.value)
    with pytest.raises(AssertionError, match="broken"):
        breaks(kept.read_bytes())
    if name == "rulebook":
        assert main([name, "--replay", str(kept)]) == 0  # the true target takes it


def test_the_control_an_unlimited_rulebook_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `rulebook` looks for can happen: a reader that lets an untyped error out fails within the inputs above."""
    honest = targets.parse

    def careless(text: str, **how: str) -> object:
        if "nan" in text or "inf" in text.lower():
            raise ValueError("not a number")
        return honest(text, **how)

    monkeypatch.setattr(targets, "parse", careless)
    with pytest.raises(Found, match="not a number"):
        drive("rulebook", targets.rulebook, islice(mutations("rulebook", SEED), INPUTS["rulebook"]), tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_the_words_are_a_dictionary_libfuzzer_reads(name: str) -> None:
    """One quoted word a line, printable, quotes and backslashes escaped."""
    for line in corpus.dictionary(name).splitlines():
        assert line.startswith('"') and line.endswith('"') and line.isascii() and line.isprintable()
        assert '"' not in line[1:-1]


def test_without_atheris_nothing_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m tests.fuzz` says what drove it: where atheris is missing, our own mutations."""
    monkeypatch.setattr(running, "has_atheris", lambda: False)

    assert main(["message", "--minutes", "0.01", "--into", str(tmp_path)]) == 0

    assert re.fullmatch(r"message: \d+ mutations \(no atheris here\)\n", capsys.readouterr().out)


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_for_long(name: str, tmp_path: Path) -> None:
    """Whatever reaches a new line of code keeps the same promises."""
    print(fuzzed(name, 60 * float(os.environ.get("RISKGUARD_FUZZ_MINUTES", "20")), tmp_path))
