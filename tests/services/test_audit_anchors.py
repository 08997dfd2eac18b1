"""Goal: a journal whose end was cut off, and a database that is an older one, contradict what was kept elsewhere."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from riskguard import admin
from riskguard.errors import AnchorError
from riskguard.services.audit import anchors
from riskguard.services.audit.keeping import AnchorKeeper, Place, by_hand
from riskguard.services.audit.report import Audit
from riskguard.services.audit.verify import verify
from riskguard.services.upkeep.daily import Upkeep
from riskguard.store.secrets import audit_key
from riskguard.store.session import Store
from tests.services.desk import ACCOUNT, DAY, Desk, Heard


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "anchors.jsonl"


def kept(desk: Desk, log: Path) -> int:
    desk.guard.check(desk.order())
    with contextlib.closing(Store(desk.url)) as store:
        return by_hand(store, Place(log), desk.clock.advance(1)).number


def audited(desk: Desk, log: Path) -> Audit:
    return verify(Store(desk.url), anchors=log)


def whats(found: Audit) -> list[tuple[str, int | None, str]]:
    return [(account, wrong.sequence, wrong.what) for account, wrong in found.wrong]


def test_the_log_is_private_grows_and_is_a_chain(desk: Desk, log: Path) -> None:
    """0600 in a 0700 directory; each line holds the hash of the one before; all of them are held."""
    assert [kept(desk, log) for _ in range(3)] == [1, 2, 3]
    assert log.stat().st_mode & 0o777 == 0o600 and log.parent.stat().st_mode & 0o777 == 0o700
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["previous"] for each in lines] == ["", lines[0]["hash"], lines[1]["hash"]]
    found = audited(desk, log)
    found.require()
    assert found.anchors == 3


def test_a_restored_backup_is_behind_its_anchors(desk: Desk, log: Path) -> None:
    """The anchor is ahead of the database, which says where it ends; and no further anchor blesses that."""
    kept(desk, log)
    restore = desk.saved()
    kept(desk, log)
    restore()

    found = audited(desk, log)
    (account, sequence, what), *_ = whats(found)
    ends = desk.one("SELECT max(sequence) FROM decisions WHERE account = 'leader'")
    assert (account, sequence, what) == (ACCOUNT, ends + 1, "anchor")
    assert "older backup was restored" in found.wrong[0][1].detail and found.anchors == 1
    with pytest.raises(AnchorError, match="does not hold the last anchor"):
        by_hand(Store(desk.url), Place(log), desk.clock.now_us())
    assert len(log.read_text().splitlines()) == 2


def test_another_database_is_said_to_be_another(make_desk: Callable[..., Desk], log: Path) -> None:
    """Two databases do not share a log."""
    one = make_desk()
    other = make_desk(hold_s=0)
    one.sweep()
    kept(one, log)
    other.clock.advance(1)
    assert one.one("SELECT hash FROM decisions WHERE account = 'GLOBAL'")
    line = json.loads(log.read_text())
    line["database"] = "0" * 64
    forged = anchors.Anchor(
        1, line["at_us"], line["why"], "0" * 64, line["generation"], tuple(map(tuple, line["heads"])), "", ""
    )
    forged = anchors.Anchor(**{**_fields(forged), "hash": anchors.hash_of(forged)})
    log.write_bytes(forged.line())
    assert "another database" in audited(one, log).wrong[0][1].detail


def _fields(anchor: anchors.Anchor) -> dict[str, object]:
    return {name: getattr(anchor, name) for name in anchors.Anchor.__dataclass_fields__}


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda lines: [lines[0][:-5] + b"\n", *lines[1:]], "line 1 .* is no anchor"),
        (lambda lines: [lines[0].replace(b'"by hand"', b'"by hanD"'), *lines[1:]], "line 1 .* was changed"),
        (lambda lines: lines[1:], "line 1 .* does not follow"),
        (lambda lines: [lines[0], lines[2]], "line 2 .* does not follow"),
        (lambda lines: [*lines[:2], lines[2][:-1]], "line 3 .* is cut off"),
        (lambda lines: [*lines, b"{}\n"], "line 4 .* is no anchor"),
    ],
)  # fmt: skip
def test_a_log_that_was_changed_is_no_evidence(
    desk: Desk, log: Path, harm: Callable[..., list[bytes]], says: str
) -> None:
    """Verification raises; and no anchor is appended to it."""
    for _ in range(3):
        kept(desk, log)
    log.write_bytes(b"".join(harm(log.read_bytes().splitlines(keepends=True))))
    with pytest.raises(AnchorError, match=says):
        audited(desk, log)
    with pytest.raises(AnchorError, match=says):
        kept(desk, log)


def test_a_log_whose_own_end_was_cut_off_is_noticed_by_the_database(desk: Desk, log: Path) -> None:
    """The database remembers how far the log had come."""
    for _ in range(3):
        kept(desk, log)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    assert [what for _account, _sequence, what in whats(audited(desk, log))] == ["anchor"]
    with pytest.raises(AnchorError, match="ends at anchor 2, the database remembers 3"):
        kept(desk, log)


def test_anchors_are_signed_and_a_forged_mac_is_found(desk: Desk, log: Path) -> None:
    audit_key.create()
    audit_key.forget(desk.store)
    kept(desk, log)
    line = json.loads(log.read_text())
    assert line["mac"].startswith(audit_key.at_hand().ids[0])  # type: ignore[union-attr]
    line["mac"] = line["mac"][:-1] + ("0" if line["mac"][-1] != "0" else "1")
    log.write_text(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n")
    with pytest.raises(AnchorError, match="carries a mac the key does not make"):
        audited(desk, log)


# -- to a command -----------------------------------------------------------------------------------------------


def test_a_command_gets_the_line_without_a_shell(desk: Desk, tmp_path: Path) -> None:
    """What it keeps is a log like any other; words are words, also those a shell would take apart."""
    out = tmp_path / "a b; echo"
    program = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read())"
    place = Place(command=(sys.executable, "-c", program, str(out)))
    for _ in range(2):
        desk.guard.check(desk.order())
        by_hand(Store(desk.url), place, desk.clock.advance(1))
    assert audited(desk, out).anchors == 2
    audited(desk, out).require()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ((sys.executable, "-c", "import sys; sys.exit(3)"), "ended with 3"),
        ((sys.executable, "-c", "import time; time.sleep(600)"), "no end within"),
        (("/nowhere/at/all",), "cannot be started"),
    ],
)  # fmt: skip
def test_a_command_that_does_not_keep_it_is_an_error(desk: Desk, command: tuple[str, ...], says: str) -> None:
    with pytest.raises(AnchorError, match=says):
        by_hand(
            Store(desk.url),
            Place(command=command, deadline_s=0.5 if "sleep" in command[-1] else 20),
            desk.clock.now_us(),
        )
    assert desk.one("SELECT count(*) FROM upkeep_runs WHERE kind = 'anchor'") == 0


# -- by the daemon ----------------------------------------------------------------------------------------------


def test_the_daemon_keeps_one_a_day_and_one_after_each_kill_and_release(desk: Desk, log: Path) -> None:
    """Two daemons keep each of them once; a day without a kill has one."""
    keepers = [AnchorKeeper(Store(desk.url), desk.clock, desk.alerts, Place(log)) for _ in range(2)]
    day = "2025-06-02"

    def ticked(*, is_time: bool = False) -> list[str]:
        return [slot for each in keepers for slot in each.tick(is_time=is_time)]

    assert ticked() == [] and ticked(is_time=True) == [day] and ticked(is_time=True) == []
    desk.kill()
    assert ticked() == ["generation 1"] and ticked(is_time=True) == []
    desk.clock.advance(100)
    desk.sweep()
    admin.release(desk.store, ACCOUNT, by="asha", reason="it is over", clock=desk.clock)
    assert ticked() == ["generation 2"] and ticked() == []
    desk.clock.at_us += DAY
    assert ticked(is_time=True) == ["2025-06-03"]
    assert [json.loads(line)["why"] for line in log.read_text().splitlines()] == [
        "daily",
        "generation 1",
        "generation 2",
        "daily",
    ]
    audited(desk, log).require()


def test_what_cannot_be_kept_is_told_and_tried_again(desk: Desk, log: Path) -> None:
    """Three times a slot; the place may come back in between."""
    log.parent.mkdir()
    log.mkdir()
    heard = Heard()
    keeper = AnchorKeeper(Store(desk.url), desk.clock, heard, Place(log))
    assert keeper.tick(is_time=True) == [] and len(heard.said) == 1 and heard.said[0][1] == "critical"
    shutil.rmtree(log)
    assert keeper.tick(is_time=True) == ["2025-06-02"] and len(heard.said) == 1


def test_upkeep_keeps_it_where_the_environment_says(desk: Desk, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daily run of the daemon, after hours; nothing without a place."""
    desk.clock.advance(12 * 3600)
    assert "anchor" not in Upkeep(desk.url, clock=desk.clock).tick()
    monkeypatch.setenv("RISKGUARD_ANCHOR_FILE", str(log))
    desk.clock.at_us += DAY
    assert "anchor" in Upkeep(desk.url, clock=desk.clock).tick()
    assert audited(desk, log).anchors == 1


def test_a_log_others_may_write_to_is_refused(desk: Desk, log: Path) -> None:
    kept(desk, log)
    log.chmod(0o666)
    with pytest.raises(AnchorError, match="chmod 600"):
        kept(desk, log)
