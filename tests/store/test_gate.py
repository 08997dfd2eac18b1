"""The gate a kill raises before it asks for the database's lock: up while its holder lives, and never in anybody's way after."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from riskguard.store import halt
from riskguard.store.gate import gate, gate_is_up


def prepared(tmp_path: Path) -> Path:
    halt.prepare(tmp_path / "state")
    return tmp_path / "state"


def test_a_gate_is_up_while_its_holder_lives(tmp_path: Path) -> None:
    """Held, left behind by the dead, and none at all."""
    directory = prepared(tmp_path)
    assert not gate_is_up(directory)
    with gate(directory):
        assert gate_is_up(directory)
        with gate(directory):
            assert gate_is_up(directory)
        assert gate_is_up(directory)
    assert not gate_is_up(directory) and list((directory / halt.GATE).iterdir()) == []


def test_a_gate_whose_holder_was_killed_blocks_nobody(tmp_path: Path) -> None:
    """Its lock died with it; the file is removed by whoever meets it, unless it is only just being made."""
    directory = prepared(tmp_path)
    script = (
        "import os, pathlib, sys; from riskguard.store.gate import gate\n"
        "up = gate(pathlib.Path(sys.argv[1])); up.__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(directory)], timeout=30, check=False)
    (left,) = (directory / halt.GATE).iterdir()

    assert not gate_is_up(directory) and left.exists()
    os.utime(left, (1, 1))
    assert not gate_is_up(directory) and not left.exists()


@pytest.mark.parametrize("locked_first", [True, False], ids=["as it is", "control: named before it is locked"])
def test_a_writer_that_looks_at_the_wrong_moment_does_not_take_the_gate_from_its_maker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked_first: bool
) -> None:
    """Looking means trying the lock: whoever is just making the gate must get it all the same."""
    directory = prepared(tmp_path)
    lock, rename, asked = fcntl.flock, os.rename, []

    def looked_at(descriptor: int, how: int) -> None:
        asked.append(descriptor)
        if len(asked) == 1:
            gate_is_up(directory)  # a writer, at the moment the maker asks for the lock
            if len(asked) == 1:
                lock(descriptor, how)
        else:
            lock(descriptor, how)
            if len(asked) == 2:
                lock(asked[0], how)  # the maker, while the writer still has it: fails

    if not locked_first:
        opened = os.open
        monkeypatch.setattr(os, "open", lambda path, *how: opened(str(path).replace("/gate/.", "/gate/"), *how))
        monkeypatch.setattr(os, "rename", lambda *_names: None)
    monkeypatch.setattr(fcntl, "flock", looked_at)
    with gate(directory):
        monkeypatch.setattr(fcntl, "flock", lock)
        assert gate_is_up(directory) is locked_first
    monkeypatch.setattr(os, "rename", rename)
    assert list((directory / halt.GATE).iterdir()) == []


def test_without_its_directory_there_is_no_gate_and_the_work_goes_on(tmp_path: Path) -> None:
    """A gate never halts: where it cannot be made a kill goes on without it."""
    directory = prepared(tmp_path)
    shutil.rmtree(directory / halt.GATE)
    with gate(directory):
        assert not gate_is_up(directory)


def test_what_a_maker_left_that_died_before_its_gate_had_a_name_goes_with_the_next_one(tmp_path: Path) -> None:
    """Hidden, nobody would ever meet it; one that is only just being made stays."""
    directory = prepared(tmp_path)
    left, fresh = (directory / halt.GATE / name for name in (".dead", ".being-made"))
    for each in (left, fresh):
        each.touch(0o600)
    os.utime(left, (1, 1))
    with gate(directory):
        assert left.exists()

    assert not left.exists() and fresh.exists()
