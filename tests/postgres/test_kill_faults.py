"""
A kill while the server, the link to it or who holds its locks is broken: this host is halted in any case, and it says which.

Exit status 0 only when the row stands; 5 when it is this host alone. The flag is adopted when the server is back.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from riskguard.services.kill import killswitch
from riskguard.services.kill.killswitch import HALTED, HALTED_HERE, engage
from tests.postgres.crew import crew
from tests.postgres.ground import codes, guarding, order
from tests.postgres.proxy import Proxy
from tests.reliability.actors import opened, say, told
from tests.services.desk import eventually

COMMIT = re.compile(rb"COMMIT\x00")
WAIT_S = 1.5
FAULTS: dict[str, Callable[[Proxy], None]] = {
    "refused": lambda proxy: proxy.refuse(),
    "half-open to the server": lambda proxy: proxy.half_open("to_server"),
    "half-open to the client": lambda proxy: proxy.half_open("to_client"),
    "swallows everything": lambda proxy: proxy.blackhole(),
    "reset at COMMIT": lambda proxy: _at_commit(proxy, "cut_before"),
    "reset after COMMIT": lambda proxy: _at_commit(proxy, "cut_after"),
}


def _at_commit(proxy: Proxy, how: str) -> None:
    setattr(proxy.faults, how, COMMIT)


def runs(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(DISTINCT kill_id) FROM kill_runs").fetchone()
    return int(found[0]) if found else 0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("is_open", [False, True], ids=["by a command", "by a process that is connected"])
@pytest.mark.claim("I1c", "a kill while PostgreSQL cannot be reached", of="kills", ci=1, soak=2)
def test_a_kill_halts_this_host_whatever_the_link_does(
    link: tuple[Proxy, str], url: str, claim: Any, monkeypatch: pytest.MonkeyPatch, fault: str, is_open: bool
) -> None:
    """Status and row agree, or the status says less; no check of this host is approved; healed, the row is there, once."""
    monkeypatch.setattr(killswitch, "LOCK_WAIT_S", WAIT_S)
    proxy, through = link
    shown = claim("I1c")
    with guarding(through) as guard:
        assert guard.check(order("before")).approved
        for number in range(shown.figure):
            standing = runs(url)
            FAULTS[fault](proxy)
            began = time.monotonic()
            outcome = engage(guard.store if is_open else through, "leader", by="desk", reason=fault)
            took_s = time.monotonic() - began
            row = runs(url) - standing
            refused = not guard.check(order(f"meanwhile{number}")).approved
            proxy.heal()
            eventually(lambda n=number: codes(guard.check(order(f"healed{n}"))) == ["TRADING_HALTED"], 60)
            shown.measured_ms(took_s * 1000)
            shown.trial(
                outcome.exit_status in (HALTED, HALTED_HERE)
                and (outcome.exit_status != HALTED or row == 1)
                and bool(outcome.flags)
                and refused
                and runs(url) - standing == 1,
                f"{outcome} after {took_s:.1f} s, {row} rows, refused {refused}, {runs(url) - standing} in the end",
            )
            assert took_s < WAIT_S + 10


@pytest.mark.parametrize("is_silent", [False, True], ids=["reset", "silent"])
def test_a_kill_on_a_link_that_died_since_takes_another(link: tuple[Proxy, str], url: str, is_silent: bool) -> None:
    """A firewall forgot the connection this process has; a new one is let through: status 0, the account alone is halted."""
    proxy, through = link
    with guarding(through) as guard:
        assert guard.check(order("before")).approved
        proxy.faults.is_silent, proxy.faults.cut_at_message = is_silent, 1
        began = time.monotonic()
        outcome = guard.kill("leader", by="desk", reason="dead link")
        took_s = time.monotonic() - began

    assert (outcome.exit_status, outcome.scope, proxy.cuts, runs(url)) == (HALTED, "ACCOUNT:leader", 1, 1)
    assert took_s < 10


def test_the_control_a_good_link_is_status_zero(link: tuple[Proxy, str], url: str) -> None:
    assert engage(link[1], "leader", by="desk", reason="fine").exit_status == HALTED and runs(url) == 1


def holder(url: str, options: dict[str, Any]) -> None:
    """Stop in the middle of a session, with its locks, as a process that is suspended does."""
    guard = opened(url, options)
    say(ready=True)
    for what in told():
        with guard.store.session(account=what["account"]):
            say(holding=True)
            os.kill(os.getpid(), signal.SIGSTOP)


@contextlib.contextmanager
def stopped_holder(url: str, account: str | None) -> Iterator[None]:
    with crew(1, holder, url) as (one,):
        one.tell(account=account)
        assert one.hear() == {"holding": True}
        yield


@pytest.mark.parametrize("account", ["leader", None], ids=["of the account", "of all"])
def test_a_stopped_process_that_holds_the_lock_is_sent_away(url: str, account: str | None) -> None:
    """A check waits its deadline and is busy; a kill gets its row; and after some seconds all goes on without anybody's help."""
    with guarding(url, 500) as guard:
        assert guard.check(order("before")).approved
        with stopped_holder(url, account):
            assert codes(guard.check(order("busy"))) == ["STORE_BUSY"]
            eventually(lambda: guard.check(order("after")).approved, 30)
        with stopped_holder(url, account):
            assert engage(url, "leader", by="desk", reason="suspended").exit_status == HALTED
        assert codes(guard.check(order("halted"))) == ["TRADING_HALTED"]


def test_a_person_who_left_a_transaction_open_cannot_stop_a_kill(url: str) -> None:
    """psql in another window, idle in a transaction that holds the heads: the kill ends that session."""
    with psycopg.connect(url) as person:
        person.execute("SELECT FROM account_heads FOR UPDATE")
        assert engage(url, "leader", by="desk", reason="lunch").exit_status == HALTED
        with pytest.raises(psycopg.OperationalError):
            person.execute("SELECT 1")
