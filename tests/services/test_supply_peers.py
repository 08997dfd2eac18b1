"""
Limits over several accounts, on real databases: what a sibling was approved counts at the very next check anywhere.

Each account has a desk of its own on one file: its own connections and memory, as another process would have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskguard.core.decide import Decision
from riskguard.services import overview
from riskguard.services.setup import initialise
from tests.reliability.actors import acting
from tests.services.desk import CALL, FUTURE, Clock, Desk, rulebook

BOOK = rulebook(
    group_position='check = "net_position"\nscope = "GROUP:family"\nposition_max = "100"\nunit = "units"',
    everybodys_value='check = "open_order_value"\nscope = "GLOBAL"\nopen_order_value_inr_max = "50000"',
)
WIDE = rulebook(everybodys_value='check = "open_order_value"\nscope = "GLOBAL"\nopen_order_value_inr_max = "50000"')
Family = Callable[..., tuple[Desk, Desk, Desk]]


@pytest.fixture
def family(make_desk: Callable[..., Desk], tmp_path: Path, clock: Clock) -> Iterator[Family]:
    """Make a leader and a sibling of one group, and a stranger in none, each flat and watched."""
    made: list[Desk] = []

    def desks(text: str = BOOK, days: int = 0) -> tuple[Desk, Desk, Desk]:
        leader = make_desk(text=text, accounts=("leader", "sibling"), group="family")
        book = tmp_path / "wide.toml"
        book.write_text(WIDE)
        initialise(leader.url, account="stranger", rulebook=str(book), clock=clock)
        made.extend([leader, *(leader.beside(name) for name in ("sibling", "stranger"))])
        clock.advance(days * 86_400)  # the day a database is made has no opening equity
        for each in made:
            each.sweep(0)
        return made[0], made[1], made[2]

    yield desks
    for each in made[1:]:
        each.close()


def ask(desk: Desk, quantity: int, side: str = "BUY", **changes: object) -> Decision:
    decision = desk.guard.check(desk.order(side, quantity, **changes))
    assert decision.recorded
    return decision


def codes(decision: Decision) -> list[str]:
    return [each.code.value for each in decision.rejects]


def assert_replays(desk: Desk) -> None:
    """Every journal is whole, and deciding again on what was kept agrees."""
    found = overview.verify(desk.store)
    assert len(found) == 4
    assert [(each["wrong"], each["replay_disagrees"]) for each in found] == [(None, [])] * len(found)


def test_a_siblings_approval_counts_at_the_very_next_check(family: Family) -> None:
    """The group's 100 are one pot, whoever asks and however often who asked before; a stranger has its own."""
    leader, sibling, stranger = family()
    assert ask(leader, 40).approved and ask(sibling, 50).approved

    refused = ask(leader, 11)
    assert codes(refused) == ["NET_POSITION_ABOVE_LIMIT"]
    assert (refused.rejects[0].measured, refused.rejects[0].max_quantity) == (101, 10)
    assert ask(leader, 10).approved
    assert codes(ask(sibling, 1)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert ask(stranger, 200).approved
    assert ask(leader, 100, "SELL").approved  # the other side is a pot of its own
    assert_replays(leader)


def test_a_limit_of_all_accounts_counts_the_stranger(family: Family) -> None:
    """GLOBAL holds over everybody: 500 orders' worth at 100."""
    leader, sibling, stranger = family()
    assert ask(stranger, 440).approved and ask(sibling, 20).approved

    refused = ask(leader, 41)
    assert codes(refused) == ["OPEN_ORDER_VALUE_ABOVE_LIMIT"]
    assert (str(refused.rejects[0].measured), refused.rejects[0].max_quantity) == ("50100.00", 40)
    assert ask(leader, 40).approved
    assert_replays(leader)


def test_what_a_sibling_gives_back_is_there_again(family: Family) -> None:
    """Released, refused by the broker, or expired unsent: each at the next check of the other process."""
    leader, sibling, _ = family()
    held = ask(sibling, 100)
    assert codes(ask(leader, 1)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert held.permit is not None
    held.permit.release()
    taken = ask(leader, 100)
    assert taken.approved and codes(ask(sibling, 1)) == ["NET_POSITION_ABOVE_LIMIT"]

    leader.clock.advance(9.999)
    assert codes(ask(sibling, 1)) == ["NET_POSITION_ABOVE_LIMIT"]
    leader.clock.advance(0.001)
    assert ask(sibling, 100).approved
    assert leader.permit(str(taken.client_order_id)) == "EXPIRED"  # written, not merely ignored
    assert codes(ask(leader, 1)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert_replays(leader)


def test_a_refusal_undoes_no_more_than_itself(family: Family) -> None:
    """What expired is written with the refusal that met it, and the book kept afterwards is the one on disk."""
    leader, sibling, _ = family()
    assert ask(sibling, 60).approved
    leader.clock.advance(10)
    assert codes(ask(leader, 101)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert ask(leader, 100).approved
    assert codes(ask(leader, 1)) == codes(ask(sibling, 1)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert_replays(leader)


def test_a_siblings_fills_and_positions_count(family: Family) -> None:
    """A position held counts like one working, in the account that holds it alone."""
    leader, sibling, _ = family()
    sibling.hold(70)
    leader.sweep()
    assert ask(leader, 30).approved
    assert codes(ask(leader, 1)) == ["NET_POSITION_ABOVE_LIMIT"]
    # A sale in one account excuses no purchase in the other.
    assert codes(ask(leader, 2, "BUY")) == ["NET_POSITION_ABOVE_LIMIT"]
    sibling.quote("100")
    sibling.place(sibling.order("SELL", 70, "100"))
    sibling.sweep()
    sibling.sweep(6)
    leader.sweep()
    assert ask(leader, 70).approved
    assert_replays(leader)


def test_who_joins_or_leaves_the_group_counts_at_once(family: Family) -> None:
    """The roll is read at every check, not once a process."""
    leader, sibling, stranger = family()
    assert ask(stranger, 80).approved
    assert ask(leader, 60).approved
    leader.sql("UPDATE accounts SET group_name = 'family' WHERE account = 'stranger'")
    assert codes(ask(leader, 1)) == ["NET_POSITION_ABOVE_LIMIT"]
    leader.sql("UPDATE accounts SET group_name = '' WHERE account = 'stranger'")
    assert ask(leader, 1).approved
    assert ask(sibling, 39).approved


def test_a_sibling_nobody_has_seen_leaves_the_sum_unknown(family: Family, clock: Clock, tmp_path: Path) -> None:
    """An account without a complete position list may hold anything."""
    leader, _, _ = family()
    assert ask(leader, 1).approved
    initialise(leader.url, account="newcomer", group="family", rulebook=str(tmp_path / "wide.toml"), clock=clock)
    refused = ask(leader, 1)
    assert codes(refused) == ["POSITION_UNKNOWN"] and "`newcomer`" in refused.rejects[0].message


MONEY = rulebook(
    family_leverage='check = "leverage"\nscope = "GROUP:family"\nleverage_max = "0.5"',
    family_naked='check = "naked_short_option"\nscope = "GROUP:family"\nnaked_lots_max = 2',
)


def test_equity_and_options_of_a_group_come_from_rows(family: Family) -> None:
    """Two accounts of ₹10 lakh bear ₹10 lakh together at half; their short calls count in the underlying's price."""
    leader, sibling, _ = family(MONEY, days=1)
    sibling.quote("20000", FUTURE)
    assert sibling.guard.check(sibling.order_of(FUTURE, "BUY", 25, "20000")).approved  # 5 lakh
    assert ask(leader, 4_990, price="100").approved
    refused = ask(leader, 20, price="100")
    assert codes(refused) == ["LEVERAGE_ABOVE_LIMIT"]
    assert (str(refused.rejects[0].limit), refused.rejects[0].max_quantity) == ("1000000.00", 10)

    leader.clock.advance(10)
    sibling.sql(
        "INSERT INTO instruments (security_id, exchange_segment, symbol, trading_symbol, instrument_type, lot_size,"
        " tick_size, updated_at) VALUES ('13', 'IDX_I', 'NIFTY', 'NIFTY', 'INDEX', 1, 0, 0)"
    )
    sibling.guard.quote("IDX_I", "13", ltp="200", at=leader.clock.now_us())
    for each in (leader, sibling):
        each.guard.quote(*CALL.key, ltp="5", at=leader.clock.now_us())
    assert sibling.guard.check(sibling.order_of(CALL, "SELL", 25, "5")).approved
    assert leader.guard.check(leader.order_of(CALL, "SELL", 25, "5")).approved
    naked = leader.guard.check(leader.order_of(CALL, "SELL", 25, "5"))
    assert codes(naked) == ["NAKED_SHORT_ABOVE_LIMIT"]
    # Two lots of 25 at the index's 200 are 10,000: of 10 lakh 9.9 are left, 100 short of one share's.
    assert ask(leader, 9_900, price="100").approved
    assert codes(ask(leader, 1, price="100")) == ["LEVERAGE_ABOVE_LIMIT"]
    assert_replays(leader)


EACH = 200


def test_two_processes_never_pass_the_groups_ceiling_together(family: Family) -> None:
    """Two accounts, 200 orders each at once, each alone within the ceiling: exactly the ceiling is approved."""
    leader, _, _ = family(BOOK.replace('position_max = "100"', f'position_max = "{EACH + 50}"'))
    url, at_us = leader.url, leader.clock.now_us()
    with acting(2, "asker", url, at_us=at_us, deadline_ms=60_000) as actors:
        for actor, account in zip(actors, ("leader", "sibling"), strict=True):
            for number in range(EACH):
                actor.tell(account=account, client_order_id=f"r-{number}")
        answers = [[actor.hear() for _ in range(EACH)] for actor in actors]

    approved = [sum(each["approved"] for each in one) for one in answers]
    assert sum(approved) == EACH + 50 and all(approved), approved
    assert {code for one in answers for each in one for code in each["codes"]} == {"NET_POSITION_ABOVE_LIMIT"}
    assert leader.one("SELECT sum(quantity) FROM permits WHERE state = 'GRANTED'") == EACH + 50
    assert_replays(leader)


def test_without_the_group_limit_they_do(family: Family) -> None:
    """The control: the same orders under limits of one account each all pass."""
    leader, _, _ = family(rulebook(own='check = "net_position"\nposition_max = "250"\nunit = "units"'))
    with acting(2, "asker", leader.url, at_us=leader.clock.now_us(), deadline_ms=60_000) as actors:
        for actor, account in zip(actors, ("leader", "sibling"), strict=True):
            for number in range(EACH):
                actor.tell(account=account, client_order_id=f"r-{number}")
        approved = [sum(actor.hear()["approved"] for _ in range(EACH)) for actor in actors]

    assert approved == [EACH, EACH]
