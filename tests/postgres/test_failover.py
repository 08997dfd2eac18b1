"""
Another server answers under the same name: restored from an old backup, promoted though it lagged, or a standby that only reads.

A host that saw a kill does not believe a database that has forgotten it, and says so until a person has looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.services.kill.killswitch import HALTED, HALTED_HERE, engage
from riskguard.services.orders.guard import RiskGuard
from tests.postgres.ground import a_host, codes, guarding, order, serving
from tests.postgres.proxy import proxied
from tests.postgres.server import DURABLE, Cluster


@pytest.fixture
def server(prepared_home: Any) -> Iterator[Cluster]:
    with serving(DURABLE) as made:
        yield made


@pytest.fixture
def hosts(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "first", tmp_path / "second"


def lower_flags(home: Path) -> None:
    """Take the flag files away, so that only the memory of the generation is left."""
    for each in (home / "halt").glob("*"):
        each.unlink()


def forget(home: Path) -> None:
    """The control: without its memory of the generation a host believes what it is shown."""
    for each in home.rglob("*GENERATION*"):
        each.unlink()


def killed_and_set_back(server: Cluster, first: Path, second: Path) -> None:
    """One host kills, another sees it; then the server comes back from a copy that knows nothing of it."""
    url = server.url("risk")
    older = server.copy()
    with a_host(second), guarding(url) as there:
        assert there.check(order("before")).approved
        with a_host(first):
            assert engage(url, "leader", by="desk", reason="fat finger").exit_status == HALTED
        assert codes(there.check(order("seen"))) == ["TRADING_HALTED"]
    lower_flags(first)
    server.restore(older)


def test_a_server_restored_from_before_a_kill_is_not_believed(server: Cluster, hosts: tuple[Path, Path]) -> None:
    """Neither by the host that killed nor by one that merely saw it; a host that never heard of it cannot know."""
    killed_and_set_back(server, *hosts)
    for host in hosts:
        with a_host(host), guarding(server.url("risk")) as guard:
            assert codes(guard.check(order(f"after-{host.name}"))) == ["TRADING_HALTED"]
    with a_host(hosts[0].with_name("third")), guarding(server.url("risk")) as guard:
        assert guard.check(order("elsewhere")).approved


def test_the_control_without_the_generation_file_it_is_believed(server: Cluster, hosts: tuple[Path, Path]) -> None:
    """The same server, and hosts that have forgotten how many latches they saw: nothing else would have told them."""
    killed_and_set_back(server, *hosts)
    for host in hosts:
        forget(host)
        with a_host(host), guarding(server.url("risk")) as guard:
            assert guard.check(order(f"after-{host.name}")).approved


def test_an_open_guard_notices_that_its_server_was_set_back(server: Cluster, hosts: tuple[Path, Path]) -> None:
    """The process goes on with what it keeps in memory: neither the account it read nor the halt it saw may mislead it."""
    url = server.url("risk")
    older = server.copy()
    with a_host(hosts[0]), guarding(url) as guard:
        for number in range(3):
            assert guard.check(order(f"before{number}")).approved
        assert guard.kill("leader", by="desk", reason="fat finger").exit_status == HALTED
        lower_flags(hosts[0])
        assert codes(guard.check(order("halted"))) == ["TRADING_HALTED"]
        server.restore(older)
        heard = until_answered(guard, "after")
        assert heard == ["TRADING_HALTED"]


def test_an_open_guard_on_a_server_set_back_without_a_kill_reads_it_anew(
    server: Cluster, hosts: tuple[Path, Path]
) -> None:
    """Approvals were lost with the restore: what is reserved is what the rows say now, and the journal goes on from them."""
    from riskguard.store import journal

    url = server.url("risk")
    older = server.copy()
    with a_host(hosts[0]), guarding(url) as guard:
        for number in range(3):
            assert guard.check(order(f"before{number}")).approved
        server.restore(older)
        assert until_answered(guard, "after") == []
        with guard.store.session() as session:
            rows, wrong = journal.verify(session, "leader")
            assert wrong is None
            permits = {row.client_order_id for row in _live(session)}
        assert len(permits) == 1 and rows > 0


def _live(session: Any) -> Any:
    from riskguard.store import permits

    return permits.live(session, "leader")


def until_answered(guard: RiskGuard, name: str) -> list[str]:
    """Ask until the new server is found; its codes, [] for an approval."""
    from tests.services.desk import eventually

    heard: list[list[str]] = []

    def answered() -> bool:
        decision = guard.check(order(f"{name}{len(heard)}"))
        heard.append([] if decision.approved else codes(decision))
        return decision.approved or "TRADING_HALTED" in heard[-1]

    eventually(answered, 60)
    return heard[-1]


def test_a_standby_that_lagged_and_was_promoted_is_not_believed(server: Cluster, hosts: tuple[Path, Path]) -> None:
    """The address leads to the other server now, which never got the kill: every host that saw it stays halted."""
    other = server.standby(follow=False)
    try:
        with proxied(server.sockets) as proxy, a_host(hosts[0]):
            url = proxy.url("risk")
            with guarding(url) as guard:
                assert guard.check(order("before")).approved
                assert guard.kill("leader", by="desk", reason="fat finger").exit_status == HALTED
                lower_flags(hosts[0])
                server.kill()
                other.promote()
                proxy.point_to(other.sockets)
                assert until_answered(guard, "after") == ["TRADING_HALTED"]
    finally:
        other.close()


def test_a_standby_takes_no_orders_and_a_kill_says_it_is_of_this_host_only(
    server: Cluster, hosts: tuple[Path, Path]
) -> None:
    """Failed over to a server that only reads: nothing is approved, and a kill halts this host with exit status 5."""
    other = server.standby(follow=True)
    try:
        with proxied(server.sockets) as proxy, a_host(hosts[0]):
            url = proxy.url("risk")
            with guarding(url) as guard:
                assert guard.check(order("before")).approved
                proxy.point_to(other.sockets)
                for number in range(3):
                    decision = guard.check(order(f"reading{number}"))
                    assert codes(decision) == ["STORE_UNAVAILABLE"] and not decision.recorded
                assert guard.kill("leader", by="desk", reason="fat finger").exit_status == HALTED_HERE
                assert not guard.check(order("killed")).approved
                proxy.point_to(server.sockets)
                assert until_answered(guard, "back") == ["TRADING_HALTED"]  # the flag was adopted
    finally:
        other.close()
