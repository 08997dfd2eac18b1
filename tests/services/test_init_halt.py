"""`init` makes the halt directories that never were, and never one that was lost: that is for a person's release."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from riskguard import admin
from riskguard.core.state import TradingState
from riskguard.services.setup import Initialised, initialise
from riskguard.store import halt
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk

PLACES = table("""
    directory          gone       back
    beside-the-file    halt       no
    beside-the-file    all-three  no
    of-the-host        halt       no
    of-the-host        all-three  yes
""")
"""Beside a file that stands there always was one; of the host, nothing at all means that nobody halted here yet."""


def lose(directory: Path, gone: str = "halt") -> Path:
    """Take away the halt directory, or all three of the state directory; returns the first."""
    for name in (halt.HALT,) if gone == "halt" else (halt.HALT, halt.ARMED, halt.GATE):
        shutil.rmtree(directory / name)
    return directory / halt.HALT


def add(desk: Desk, account: str = "new") -> Initialised:
    return initialise(desk.url, account=account, rulebook="default", clock=desk.clock)


def where(row: Row) -> object:
    marks = () if row.directory == "of-the-host" else (pytest.mark.sqlite_only("a directory beside the file"),)
    return pytest.param(row, marks=marks, id=str(row))


@pytest.mark.parametrize("row", [where(each) for each in PLACES])
def test_an_account_that_is_added_brings_no_lost_directory_back(desk: Desk, row: Row) -> None:
    """`leader` was killed by a flag alone: it must not be let go by the arrival of `new`, only by a release of all."""
    of_host = row.directory == "of-the-host"
    directory = desk.store.directories[-1 if of_host else 0]
    (directory / halt.HALT / halt.flag_name("ACCOUNT:leader", halt.new_kill_id())).touch()
    lost = lose(directory, row.gone)
    made = add(desk)

    assert made.lost == (() if row.has("back") else (lost,)) and lost.is_dir() == row.has("back")
    assert desk.guard.check(desk.order()).approved == row.has("back")
    assert desk.rows("SELECT count(*) FROM accounts") == [(2,)]  # the account itself is there either way


def test_without_that_care_the_halt_is_let_go(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an `init` that prepares whatever is missing approves past the lost halt."""
    lost = lose(desk.store.directories[-1])
    assert not desk.guard.check(desk.order()).approved

    def whatever_is_missing(directory: Path) -> bool:
        halt.prepare(directory)
        return True

    monkeypatch.setattr(halt, "prepare_new", whatever_is_missing)
    assert add(desk).lost == ()

    assert lost.is_dir() and desk.guard.check(desk.order()).approved


def test_a_new_database_lets_nobody_beside_it_go(desk: Desk, tmp_path: Path) -> None:
    """The host's directory halts every database of the host: a second one does not bring it back, and is halted too."""
    lost = lose(desk.store.directories[-1])
    made = initialise(f"sqlite:///{tmp_path / 'other' / 'second.db'}", account="other", clock=desk.clock)

    assert made.created and made.lost == (lost,)
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    done = admin.release(desk.store, None, by="asha", reason="understood", clock=desk.clock)
    assert done.state is TradingState.ACTIVE and desk.guard.check(desk.order()).approved


def test_where_nothing_ever_was_everything_is_made(tmp_path: Path, home: Path) -> None:
    """The other side: the first database of a host, and a host that holds nothing of ours yet."""
    shutil.rmtree(home, ignore_errors=True)
    made = initialise(f"sqlite:///{tmp_path / 'first' / 'risk.db'}")

    assert made.created and made.lost == ()
    for directory in (tmp_path / "first", home):
        assert len(list((directory / halt.ARMED).iterdir())) == halt.SPARES
        assert (directory / halt.HALT).is_dir() and (directory / halt.GATE).is_dir()


def test_two_kills_that_make_a_lost_directory_again_both_stand(tmp_path: Path) -> None:
    """Whoever comes second finds it made: its own flag stands in there as well, and the one for everybody."""
    halt.prepare(tmp_path)
    lose(tmp_path)
    start = threading.Barrier(2)

    def kill(kill_id: str) -> None:
        start.wait()
        assert halt.raise_flag((tmp_path,), "ACCOUNT:leader", kill_id, "")

    both = [threading.Thread(target=kill, args=(each,)) for each in ("1", "2")]
    for each in both:
        each.start()
    for each in both:
        each.join()

    scopes = [halt.parse_flag(each.name)[0] for each in (tmp_path / halt.HALT).iterdir()]
    assert scopes.count("ACCOUNT:leader") == 2 and "GLOBAL" in scopes
