"""Goal: what goes wrong beside the work is said, and what was kept for later stays: nothing is swallowed without a word."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from riskguard.home import host_home
from riskguard.services.alerts import OutboxAlerts
from riskguard.services.kill import latch
from riskguard.services.sweeps import charging
from riskguard.store import violations
from riskguard.store.generation import generation_path
from tests.services.desk import Desk


def refused(desk: Desk) -> int:
    """A server that is slow to say that a lock is held is "unavailable", a quick one "busy": either is the refusal."""
    return int(desk.one("SELECT count(*) FROM risk_violations WHERE code IN ('STORE_BUSY', 'STORE_UNAVAILABLE')"))


def spool(desk: Desk) -> Any:
    """Let the database be locked while an order is refused; returns the spool file, old enough to be taken over."""
    desk.store.deadline_s = 0.005
    with desk.locked():
        desk.guard.check(desk.order())
    desk.store.deadline_s = 5
    desk.age_spool()
    (path,) = desk.spool_files()
    return path


def test_refusals_that_cannot_be_read_stay(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """They wait, with a warning, and the sweep is done; once they can be read they are taken over."""
    path = spool(desk)
    kept = path.with_name("kept-elsewhere.part")
    path.rename(kept)
    path.mkdir()
    kept.rename(desk.path.parent / "aside")

    assert desk.sweep().pnl is not None

    assert path.exists() and refused(desk) == 0 and "cannot be read" in caplog.text
    path.rmdir()
    (desk.path.parent / "aside").rename(path)
    desk.sweep()
    assert refused(desk) == 1 and not path.exists()


@pytest.mark.parametrize("line", [b"5", b'"text"', b"[5]", b"[[]]", b"{}", b"null"])
def test_a_line_that_is_no_refusal_costs_only_itself(desk: Desk, line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A sweep that broke on it would break on it for ever; it is named in the log."""
    path = spool(desk)
    path.write_bytes(line + b"\n" + path.read_bytes())

    assert desk.sweep().pnl is not None

    assert refused(desk) == 1 and "left out" in caplog.text


def test_an_alert_that_cannot_be_made_is_in_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """`tell` never raises; its words are not lost with it."""

    class Broken:
        def now_us(self) -> int:
            raise ArithmeticError("no time")

        elapsed_us = now_us

    OutboxAlerts(desk.url, clock=Broken()).tell("leader", "critical", "the switch was not pulled")

    assert "the switch was not pulled" in caplog.text and "no time" in caplog.text


def test_alerts_the_channels_do_not_take_either_are_in_the_log(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The database is locked and the direct way breaks: both are said, and the thread goes on."""

    def broken(_notice: object) -> None:
        raise OSError("no route")

    alerts = OutboxAlerts(desk.url, clock=desk.clock, directly=broken, write_wait_s=0.01)
    with desk.unwritable():
        alerts.tell("leader", "critical", "halted")
        assert alerts.flush(30)
    alerts.tell("leader", "info", "later")
    assert alerts.flush(30)
    alerts.close()

    assert "no route" in caplog.text
    assert desk.rows("SELECT message FROM alerts WHERE message = 'later'") == [("later",)]


def test_a_generation_file_that_is_not_written_is_said(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A kill stands without it; that a restored backup would go unnoticed is a warning."""
    generation_path(desk.store.path).mkdir()

    latch.after_commit(desk.store, 7)

    assert "GENERATION" in caplog.text


def test_a_table_of_charges_that_cannot_be_looked_at_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """None at all is the usual case and silent; one that is there and cannot be read is named."""
    with caplog.at_level(logging.WARNING):
        shipped = charging.charge_table()
        assert caplog.text == ""
        path = host_home() / charging.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(path)
        try:
            assert charging.charge_table() is shipped
        finally:
            path.unlink()
    assert "left out" in caplog.text


def test_adopting_raises_what_cannot_be_read(desk: Desk) -> None:
    """The caller keeps the file: a count of none would let it be removed."""
    with desk.store.session(durable=True, wait_s=5.0) as session, pytest.raises(OSError, match="directory"):
        violations.adopt(session, desk.path.parent, desk.clock.now_us())
