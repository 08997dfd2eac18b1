"""
What several processes reserve at once never passes a limit together, and goes exactly up to it.

One account, many accounts side by side, and a group whose accounts share one pot: narrow locks must not let two of the same
pot through, and a limit that reaches over accounts must hold them all.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from riskguard.store import journal
from tests.postgres.crew import crew, placer
from tests.postgres.ground import another, guarding
from tests.postgres.server import Cluster
from tests.services.desk import eventually, rulebook

PROCESSES = 8


def position_max(units: int, scope: str = "") -> str:
    where = f'scope = "{scope}"\n' if scope else ""
    return f'check = "net_position"\n{where}position_max = "{units}"\nunit = "units"'


def held(url: str) -> dict[str, int]:
    """What the permits of each account reserve, in units, from the rows alone."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT account, sum(quantity) FROM permits WHERE state NOT IN ('EXPIRED', 'VOID', 'RELEASED', 'REFUSED') "
            "GROUP BY account"
        ).fetchall()
    return {account: int(units) for account, units in found}


def race(url: str, accounts: tuple[str, ...], orders: int, **options: Any) -> dict[str, int]:
    """All processes place so many orders on each account, at once; what went to the broker, by account."""
    with crew(PROCESSES, placer, url, deadline_ms=60_000, **options) as placers:
        for number, each in enumerate(placers):
            turned = accounts[number % len(accounts) :] + accounts[: number % len(accounts)]
            each.tell(orders=orders, accounts=turned)
        placed: dict[str, int] = {}
        for each in placers:
            for account, count in each.hear(600)["placed"].items():
                placed[account] = placed.get(account, 0) + count
    return placed


def chain_holds(url: str, accounts: tuple[str, ...]) -> None:
    with guarding(url) as guard, guard.store.session() as session:
        for account in accounts:
            assert journal.verify(session, account)[1] is None


@pytest.mark.claim("I2", "PostgreSQL: 8 processes on one account", of="orders", ci=64, soak=3_200, seconds=60)
def test_one_account_is_filled_exactly_to_its_limit(shared: Cluster, prepared_home: Any, claim: Any) -> None:
    shown = claim("I2")
    each = shown.figure // PROCESSES
    most = shown.figure // 2 + 3  # no multiple of anything
    url = another(shared, text=rulebook(net_position=position_max(most)))
    placed = race(url, ("leader",), each)
    shown.trials(each * PROCESSES, [] if placed == {"leader": most} else [f"{placed} for a limit of {most}"])
    assert held(url) == {"leader": most}
    chain_holds(url, ("leader",))


@pytest.mark.claim("I2", "PostgreSQL: 8 processes on four accounts", of="orders", ci=64, soak=3_200, seconds=60)
def test_accounts_side_by_side_are_filled_exactly(shared: Cluster, prepared_home: Any, claim: Any) -> None:
    """Each process goes round the accounts from another beginning, so that their locks cross."""
    shown = claim("I2")
    accounts = ("a", "b", "c", "d")
    each = shown.figure // PROCESSES // len(accounts)
    most = each * PROCESSES // 2 + 1
    url = another(shared, accounts=accounts, text=rulebook(net_position=position_max(most)))
    placed = race(url, accounts, each)
    shown.trials(each * PROCESSES * 4, [] if placed == dict.fromkeys(accounts, most) else [f"{placed}, limit {most}"])
    assert held(url) == dict.fromkeys(accounts, most)
    chain_holds(url, accounts)


@pytest.mark.parametrize("scope", ["GROUP:family", "GLOBAL"])
@pytest.mark.claim(
    "I2", "PostgreSQL: 8 processes on three accounts with one pot", of="orders", ci=48, soak=1_200, seconds=60
)
def test_a_pot_that_accounts_share_is_filled_exactly(
    shared: Cluster, prepared_home: Any, claim: Any, scope: str
) -> None:
    """Whoever is approved, all together reach the group's (or everybody's) limit and not one more."""
    shown = claim("I2")
    accounts = ("a", "b", "c")
    each = shown.figure // PROCESSES // len(accounts)
    most = each * PROCESSES + 1  # a third of what is asked
    text = rulebook(shared_pot=position_max(most, scope))
    if scope == "GLOBAL":
        value = f'check = "open_order_value"\nscope = "GLOBAL"\nopen_order_value_inr_max = "{most * 100}"'
        text = rulebook(shared_pot=value)
    url = another(shared, accounts=accounts, text=text, group="family")
    placed = race(url, accounts, each)
    shown.trials(each * PROCESSES * 3, [] if sum(placed.values()) == most else [f"{placed} for a pot of {most}"])
    assert sum(held(url).values()) == most
    chain_holds(url, accounts)


def both_behind_the_heads(server: Cluster, **options: Any) -> int:
    """Two accounts with one pot of one unit: each asks while another program holds the heads, which then lets go. Approved."""
    text = rulebook(shared_pot=position_max(1, "GROUP:family"))
    url = another(server, accounts=("a", "b"), text=text, group="family")
    with crew(2, placer, url, deadline_ms=60_000, **options) as placers:
        with psycopg.connect(url) as holder:
            holder.execute("SELECT FROM account_heads FOR UPDATE")
            for each, account in zip(placers, ("a", "b"), strict=True):
                each.tell(orders=1, accounts=[account])
            eventually(lambda: waiting(url) >= 2, 60)
            holder.rollback()
        for each in placers:
            each.hear(600)
    return sum(held(url).values())


def waiting(url: str) -> int:
    """How many sessions wait for a lock."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return 0 if found is None else int(found[0])


def test_of_two_that_waited_for_the_last_unit_one_gets_it(shared: Cluster, prepared_home: Any) -> None:
    assert both_behind_the_heads(shared) == 1


def test_the_control_without_the_lock_both_get_it(shared: Cluster, prepared_home: Any) -> None:
    """Sessions that lock nothing have read the pot before they wait: what each saw is old when it writes."""
    assert both_behind_the_heads(shared, without="lock") == 2
