"""
The parts of a sweep, as the daemon calls them: who asks the broker what and when, and what is dropped instead of written.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from riskguard.core.seen import SeenFunds, SeenPosition
from riskguard.services.budget import ReadBudget
from riskguard.services.settings import DatabaseSettings
from riskguard.services.sweeps import reconciler
from riskguard.services.sweeps.cadence import BOOK, FUNDS, LOSS, SLOW, Cadence
from riskguard.services.sweeps.claims import Lease
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store import halt, runs, sweeps
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, FUTURE, SECOND, Desk, e4, locked, rulebook

Make = Callable[..., Sweeper]


class Counting:
    """The desk's broker, and what was asked of it. It may be told to wait before it answers."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.name = inner, "counting"
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda _what: None

    def __getattr__(self, what: str) -> Any:
        found = getattr(self.inner, what)
        if what not in ("orders", "trades", "positions", "funds"):
            return found

        def read() -> Any:
            self.asked.append(what)
            self.before(what)
            return found()

        return read


@pytest.fixture
def broker(desk: Desk) -> Counting:
    return Counting(desk.broker)


@pytest.fixture
def parts(desk: Desk, broker: Counting) -> Make:
    """Make sweepers as the daemon does, each as another process would."""

    def make(
        *, guard: Any = None, lease: Lease | None = None, budget: ReadBudget | None = None, **every: int
    ) -> Sweeper:
        settings = DatabaseSettings(**{"profile": "paper", "sweep_interval_s": 2, **every})  # type: ignore[arg-type]
        return Sweeper(
            guard or desk.guard, ACCOUNT, broker, alerts=desk.alerts, marks=desk.broker, cadence=Cadence.of(settings),
            lease=lease, budget=budget,
        )  # fmt: skip

    return make


def slots(desk: Desk, kind: str) -> int:
    return int(desk.one("SELECT count(*) FROM sweeps WHERE kind = ? AND finished_at_us IS NOT NULL", kind))


# -- who asks what ------------------------------------------------------------------------------------------------------


def test_the_loss_sweep_asks_the_broker_nothing(desk: Desk, parts: Make, broker: Counting) -> None:
    """Marks and what is known suffice to see a loss and to pull the switch, with a broker that answers nothing."""
    desk.hold(10, "1000")
    sweeper = parts()
    desk.broker.behave("all", "hang")
    for _ in range(2):
        desk.clock.advance(2)
        desk.guard.quote("NSE_EQ", "1333", ltp="490")
        report = sweeper.loss()

    assert report.killed and broker.asked == []
    assert desk.guard.state(ACCOUNT).state.name == "HALTED"


RHYTHM = table("""
    seconds  loss  book  funds
    2        1     1     1
    8        4     1     1
    10       5     1     1
    12       6     2     1
    60       30    6     1
    62       31    7     2
""")


@pytest.mark.parametrize("row", RHYTHM, ids=str)
def test_each_kind_keeps_its_own_pace(desk: Desk, parts: Make, row: Row) -> None:
    """Fired every two seconds, each does what is due: a row in `sweeps` for each slot, and no more."""
    desk.clock.at_us = desk.clock.at_us // (60 * SECOND) * 60 * SECOND + 60 * SECOND - 2 * SECOND
    sweeper = parts()
    before = {kind: slots(desk, kind) for kind in (LOSS, BOOK, FUNDS)}
    for _ in range(row.number("seconds") // 2):
        desk.clock.advance(2)
        sweeper.loss()
        sweeper.loss()
        sweeper.book()
        sweeper.book()
        sweeper.slow()

    for name, kind in (("loss", LOSS), ("book", BOOK), ("funds", FUNDS)):
        assert slots(desk, kind) - before[kind] == row.number(name), name


def test_an_order_that_was_sent_is_asked_about_at_once(desk: Desk, parts: Make) -> None:
    """Ten seconds would be long to wait for a fill: the next loss sweep sees the message and wants the book."""
    sweeper = parts(sweep_book_s=300)
    desk.clock.advance(2)
    sweeper.book()
    sweeper.loss()
    desk.clock.advance(2)
    sweeper.loss()
    assert not sweeper.book(), "the control: nothing was sent, nothing is asked"
    desk.quote("100")
    desk.place(desk.order(price="100"))
    desk.clock.advance(2)
    sweeper.loss()

    assert sweeper.book()
    assert desk.permit("o-1") == "FILLED"


def test_an_event_asks_for_the_book_now(desk: Desk, parts: Make) -> None:
    """A feed that lost messages says so: one look more, whatever the slot."""
    sweeper = parts()
    fired = []
    sweeper.on_event = lambda: fired.append("book")
    desk.clock.advance(20)
    assert sweeper.book() and not sweeper.book()
    sweeper.wake(BOOK)

    assert fired == ["book"] and sweeper.book() and not sweeper.book()


def test_while_a_kill_run_is_open_every_list_is_asked_for_every_two_seconds(desk: Desk, parts: Make) -> None:
    """And again at the usual pace once it is done."""
    desk.quote("100")
    desk.past(desk.order(price="90"))
    sweeper = parts(sweep_book_s=300, sweep_funds_s=300)
    sweeper.book()
    sweeper.slow()
    desk.kill(plan="cancel")
    sweeper.follow_kills()
    assert sweeper.killing
    looks = []
    for _ in range(12):
        desk.clock.advance(2)
        looks.append((sweeper.book(), sweeper.slow()))
        sweeper.follow_kills()
        if desk.one("SELECT state FROM kill_runs") == "DONE":
            break
    assert looks and all(look == (True, ("funds",)) for look in looks)
    desk.clock.advance(2)

    assert desk.one("SELECT state FROM kill_runs") == "DONE"
    assert not sweeper.book() and sweeper.slow() == ()


def test_the_kill_run_begins_when_the_limit_is_reached(desk: Desk, parts: Make) -> None:
    """The loss sweep only pulls the switch; who carries it out is told in the same moment."""
    desk.hold(10, "1000")
    sweeper, told = parts(), []
    sweeper.on_kill = lambda: told.append(desk.one("SELECT count(*) FROM kill_runs"))
    desk.clock.advance(2)
    desk.quote("240")
    assert sweeper.loss().killed

    assert told == [1] and sweeper.killing


def test_the_switch_is_pulled_before_anybody_is_told(desk: Desk, parts: Make) -> None:
    """Telling may wait for a log nobody reads: by the first word about the loss the account is halted."""
    desk.hold(10, "1000")
    sweeper, states = parts(), []
    told = desk.alerts.tell

    def tell(account: str, severity: str, message: str) -> None:
        states.append(desk.guard.state(ACCOUNT).state.name)
        told(account, severity, message)

    desk.alerts.tell = tell  # type: ignore[method-assign]
    desk.clock.advance(2)
    desk.guard.quote("NSE_EQ", "1333", ltp="240")

    assert sweeper.loss().killed and states and set(states) == {"HALTED"}


def test_what_a_broker_does_not_offer_is_not_asked(desk: Desk) -> None:
    """The broker whose requests are counted has an attribute `ledger`, and it is no book of money."""
    from riskguard.services.counting import CountedBroker, ledger_of
    from riskguard.services.sweeps import asking

    counted = CountedBroker(desk.broker, ACCOUNT, ledger_of(desk.guard))

    class Teller:
        """A broker that keeps a ledger and a demat account."""

        name = "teller"

        def ledger(self, first: str, last: str) -> tuple[Any, ...]:
            return ()

        def holdings(self) -> tuple[Any, ...]:
            return ()

    teller: Any = Teller()
    assert [kind for kind in SLOW if asking.offers(counted, kind)] == ["funds"]
    assert [kind for kind in SLOW if asking.offers(teller, kind)] == ["funds", "holdings", "ledger"]
    assert asking.ask(teller, "ledger", desk.clock).value == ()


def test_holdings_and_the_ledger_are_stored_and_the_profile_is_judged_by(desk: Desk, parts: Make) -> None:
    """Each at its own pace, outside any lock; what the broker says of the account goes to the judgement."""
    from riskguard.core.seen import SeenHolding, SeenLedgerEntry, SeenProfile

    broker: Any = desk.broker
    broker.holdings = lambda: (SeenHolding("NSE_EQ", "1333", 10, 8, e4("95")),)
    broker.ledger = lambda first, last: (SeenLedgerEntry("L1", first, "DEPOSIT", e4("5000"), "by UPI"),)
    broker.profile = lambda: SeenProfile(None, ("NSE_EQ",), False, "the address is not registered")
    sweeper = Sweeper(
        desk.guard, ACCOUNT, broker, alerts=desk.alerts, cadence=Cadence.of(DatabaseSettings()), marks=broker
    )
    desk.clock.advance(2)

    assert sweeper.slow() == ("funds", "holdings", "profile", "ledger") and sweeper.slow() == ()
    assert desk.rows("SELECT security_id, total_qty, available_qty FROM holdings") == [("1333", 10, 8)]
    assert desk.one("SELECT count(*) FROM ledger_entries") == 1
    assert sweeper.known.profile is not None and sweeper.known.profile.may_place is False
    assert sweeper.known.funds is not None and sweeper.known.funds_at_us == desk.clock.now_us()


OPENS = table("""
    first  then
    funds  book
    book   funds
""")


@pytest.mark.parametrize("row", OPENS, ids=str)
def test_the_day_begins_with_what_the_broker_says_it_had(desk: Desk, parts: Make, row: Row) -> None:
    """The book's look has no funds in it: whichever comes first, the baseline has them, and a later answer changes none."""
    desk.clock.advance(86_400)  # the day a database is made is begun by `init`
    sweeper = parts()
    do: dict[str, Callable[[], object]] = {"funds": sweeper.slow, "book": sweeper.book}
    assert do[row.first]() and do[row.then]()
    begun = desk.rows("SELECT session_date, source, opening_equity_e4 FROM day_baselines ORDER BY session_date")
    assert begun[-1] == ("2025-06-03", "OPEN", desk.broker.funds().opening_e4)

    desk.broker.funds = lambda: SeenFunds(e4("7"), e4("7"), None)  # type: ignore[method-assign]
    desk.clock.advance(60)
    assert sweeper.slow()
    assert desk.rows("SELECT session_date, source, opening_equity_e4 FROM day_baselines ORDER BY session_date") == begun


def test_funds_of_yesterday_begin_no_day(desk: Desk, parts: Make) -> None:
    """A daemon that ran over midnight knows them still: what the new day began with is asked anew."""
    sweeper = parts()
    assert sweeper.slow()
    desk.clock.advance(86_400)
    assert sweeper.book()
    assert desk.rows("SELECT opening_equity_e4 FROM day_baselines WHERE session_date = '2025-06-03'") == [(None,)]
    assert sweeper.slow()
    assert desk.rows("SELECT opening_equity_e4 FROM day_baselines WHERE session_date = '2025-06-03'") != [(None,)]


def test_a_process_that_has_not_looked_yet_lets_no_risk_in_while_something_is_in_doubt(
    make_desk: Callable[..., Desk],
) -> None:
    """
    Another process died with an order sent and unanswered. The one that follows judges losses at once and leaves no
    heartbeat before it has seen the broker's orders: also another share's order waits for that. The control has no doubt.
    """
    for doubt in (True, False):
        desk = make_desk(text=rulebook(sweep_heartbeat='check = "sweep_heartbeat"\nintervals_max = 3'))
        desk.sweep()
        desk.quote("100")
        if doubt:
            with pytest.raises(KeyboardInterrupt), desk.guard.check(desk.order()).permit.sending():
                raise KeyboardInterrupt
            assert desk.permit("o-1") == "UNKNOWN"
        desk.clock.advance(60)
        desk.guard.quote(*FUTURE.key, ltp="100")
        desk.broker.behave("orders", "fail")
        sweeper = Sweeper(desk.guard, ACCOUNT, desk.broker, marks=desk.broker, cadence=Cadence.of(DatabaseSettings()))
        assert sweeper.loss().pnl is not None and sweeper.book()

        def asked(desk: Desk = desk) -> list[str]:
            return [each.code.value for each in desk.guard.check(desk.order_of(FUTURE, "BUY", 25, "100")).rejects]

        assert asked() == (["SWEEP_STALE"] if doubt else [])
        desk.broker.behave("orders", "ok")
        for _ in range(5):
            desk.clock.advance(2)
            sweeper.loss(), sweeper.book()
        desk.clock.advance(2)
        sweeper.loss()
        assert asked() == []


# -- what a read costs -----------------------------------------------------------------------------------------------------


def test_a_broker_that_says_too_many_is_asked_less(desk: Desk, parts: Make, broker: Counting) -> None:
    """429 on one list: the rate halves, the next tick waits, and the loss sweep goes on meanwhile."""
    from riskguard.errors import BrokerUnavailableError

    budget = ReadBudget(desk.clock)
    sweeper = parts(budget=budget)

    def refuse(what: str) -> None:
        raise BrokerUnavailableError("HTTP 429 DH-904")

    broker.before = refuse
    desk.clock.advance(20)
    assert sweeper.book()
    assert budget.refused == 3 and budget.rate_per_s < 1
    broker.before = lambda _what: None
    desk.clock.advance(20)
    assert not sweeper.book(), "held back"
    assert sweeper.loss().pnl is not None
    desk.clock.skipped_us += 30 * SECOND

    assert sweeper.book()


def test_a_look_that_is_held_back_for_long_is_told(desk: Desk, parts: Make) -> None:
    """Once, not at every tick."""
    budget = ReadBudget(desk.clock)
    sweeper = parts(budget=budget)
    with budget.kill_reads():
        for _ in range(40):
            desk.clock.advance(2)
            sweeper.book()

    assert len([1 for _, _, said in desk.alerts.said if "wait for the read budget" in said]) == 1


def test_a_kill_run_reads_before_the_sweep_does(desk: Desk, parts: Make, broker: Counting) -> None:
    """The bucket is empty: the kill run looks all the same, and no sweep reads while it does."""
    budget = ReadBudget(desk.clock)
    sweeper = parts(budget=budget)
    desk.quote("100")
    desk.past(desk.order(price="90"))
    while budget.take(1):
        pass
    desk.kill(plan="cancel")
    during = []
    broker.before = lambda _what: during.append(budget.take(1))
    desk.clock.advance(20)
    assert not sweeper.book()
    sweeper.follow_kills()

    assert len(broker.asked) >= 3 and not any(during)
    assert [each.status for each in desk.broker.orders()] == ["CANCELLED"]


# -- what is dropped instead of written ------------------------------------------------------------------------------------


def during_the_look(broker: Counting, work: Callable[[], object]) -> None:
    """Do *work* once, while the sweep waits for the broker's positions."""

    def once(what: str) -> None:
        if what == "positions":
            broker.before = lambda _what: None
            work()

    broker.before = once


def test_a_look_the_scheduler_gave_up_writes_nothing(desk: Desk, parts: Make, broker: Counting) -> None:
    """It hung for a minute and answers at last: what it saw is old, and the slot stays unfinished."""
    sweeper = parts()
    desk.clock.advance(20)
    before = slots(desk, BOOK), desk.one("SELECT count(*) FROM snapshots WHERE complete = 1")

    def hang() -> None:
        desk.clock.skipped_us += 60 * SECOND

    during_the_look(broker, hang)
    assert not sweeper.book()
    assert (slots(desk, BOOK), desk.one("SELECT count(*) FROM snapshots WHERE complete = 1")) == before
    desk.clock.advance(20)

    assert sweeper.book(), "the control: the next look is written"


def test_a_daemon_that_was_paused_writes_nothing_once_another_has_taken_over(
    desk: Desk, parts: Make, broker: Counting
) -> None:
    """Its lease ended while it looked; the other's token is higher: fenced, in the transaction that would write."""
    first, second = Lease(), Lease()
    paused, other = parts(lease=first), parts(guard=desk.another_guard(), lease=second)
    desk.clock.advance(20)

    def take_over() -> None:
        assert other.loss().pnl is None, "the lease still stands"
        desk.clock.advance(10)
        assert other.loss().pnl is not None

    during_the_look(broker, take_over)
    before = slots(desk, BOOK)
    assert not paused.book() and slots(desk, BOOK) == before
    desk.clock.advance(10)

    assert paused.loss().pnl is not None, "the other is gone: it may take over again"
    assert (first.token, second.token) == (3, 2)


def test_a_slot_somebody_took_over_is_not_finished_twice(desk: Desk, parts: Make, broker: Counting) -> None:
    """Without a lease: who claimed first took too long, another did the slot, the first one's look is dropped."""
    slow, quick = parts(), parts(guard=desk.another_guard())
    desk.clock.advance(20)
    slot = desk.clock.now_us() // (10 * SECOND)

    def take_over() -> None:
        with desk.store.session() as session:
            session.run(
                runs.TAKE_OVER, of_account=ACCOUNT, of_kind=BOOK, of_slot=slot, now_us=desk.clock.now_us(), by="quick"
            )

    during_the_look(broker, take_over)

    assert not slow.book()
    assert desk.rows("SELECT holder, finished_at_us FROM sweeps WHERE kind = 'book' AND slot = ?", slot) == [
        ("quick", None)
    ]
    desk.clock.advance(10)
    assert quick.book()


def test_an_older_look_never_overwrites_a_newer_one(desk: Desk) -> None:
    """A kill run looked meanwhile: the sweep's fills count all the same, its lists of what rests and what is held do not."""
    from riskguard.core.seen import Seen
    from tests.services.test_reconciler import DATE, listed, trade

    now_us = desk.clock.advance(20)
    newer = Seen(now_us, (SeenPosition("NSE_EQ", "1333", "INTRADAY", 10),), (listed("TRADED", 10),), (trade(10),), None)
    older = Seen(now_us - SECOND, (), (listed("PENDING"),), (trade(4, trade_id="T0", order_id="B0"),), None)
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        assert reconciler.take_over(session, ACCOUNT, DATE, newer, now_us, "kill-run")
        assert not reconciler.take_over(session, ACCOUNT, DATE, older, now_us, "sweep")

    assert desk.one("SELECT status FROM orders WHERE id = 'B1'") == "EXECUTED"
    assert desk.one("SELECT filled_quantity FROM day_books") == 14
    assert desk.one("SELECT count(*) FROM snapshots WHERE source = 'sweep' AND fetched_at_us = ?", now_us - SECOND) == 0


def test_a_clock_that_was_set_back_hides_no_look(desk: Desk) -> None:
    """Lists of the future prove nothing about which came later: what is seen now is written."""
    from riskguard.core.seen import Seen
    from tests.services.test_reconciler import DATE

    ahead_us = desk.clock.now_us()
    now_us = desk.clock.advance(-3600)
    seen = Seen(now_us, (), (), (), SeenFunds(e4("1"), None, None))
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        assert sweeps.newest_list_us(session, ACCOUNT, "positions", ahead_us) is not None
        assert reconciler.take_over(session, ACCOUNT, DATE, seen, now_us, "sweep")


# -- long lists, long waits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 250])
def test_a_long_list_is_written_in_chunks_and_becomes_visible_at_once(
    desk: Desk, parts: Make, broker: Counting, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows first, in transactions of a hundred; the header last, with the fills and orders of the same look."""
    held = tuple(SeenPosition("NSE_EQ", f"7{number:05d}", "INTRADAY", 1) for number in range(rows))
    monkeypatch.setattr(desk.broker, "positions", lambda: held)
    seen_by_others: list[tuple[Any, ...]] = []
    newest = desk.one("SELECT max(id) FROM snapshots")
    plain = reconciler.take_over

    def watched(*given: Any, **more: Any) -> bool:
        seen_by_others.extend(desk.rows("SELECT id FROM snapshots WHERE complete = 1 AND id > ?", newest))
        return plain(*given, **more)

    monkeypatch.setattr("riskguard.services.sweeps.sweeper.take_over", watched)
    sweeper = parts()
    desk.clock.advance(20)
    assert sweeper.book()
    ((snapshot, complete),) = desk.rows(
        "SELECT id, complete FROM snapshots WHERE kind = 'positions' ORDER BY id DESC LIMIT 1"
    )

    assert complete == 1 and desk.one("SELECT count(*) FROM positions WHERE snapshot_id = ?", snapshot) == rows
    assert seen_by_others == []


def test_a_chunk_a_crash_left_behind_is_seen_by_nobody(desk: Desk) -> None:
    """Half a list without its header is neither a position nor flat."""
    from riskguard.core.seen import Seen

    held = tuple(SeenPosition("NSE_EQ", f"7{number:05d}", "INTRADAY", 1) for number in range(150))
    before = desk.guard.check(desk.order()).approved
    reconciler.stage(desk.store, ACCOUNT, Seen(desk.clock.now_us(), held, None, None, None), "sweep")
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        from riskguard.store import loader

        account = loader.load(session, ACCOUNT, "", desk.clock.now_us()).account
        desk.store.roll_back(session)

    assert before and desk.one("SELECT count(*) FROM positions") == 150
    assert not any(key[1].startswith("7") for key in account.positions)


@pytest.mark.sqlite_only("only SQLite's lock is unfair enough to want a gate")
def test_a_sweep_that_waits_for_the_lock_raises_the_gate(desk: Desk, parts: Make) -> None:
    """After a tenth of a second it asks writers to stand back, and takes the gate down when it is through."""
    sweeper, seen = parts(), threading.Event()
    gate = desk.store.directories[0] / halt.GATE
    desk.clock.advance(2)
    done = threading.Thread(target=sweeper.loss)
    with locked(desk.path):
        done.start()
        while done.is_alive() and not seen.wait(0.002):
            if any(gate.iterdir()):
                seen.set()
    done.join(30)

    assert seen.is_set() and list(gate.iterdir()) == []
    assert desk.one("SELECT count(*) FROM sweeps WHERE finished_at_us = ?", desk.clock.now_us()) == 1


# -- a small bot beside a daemon ------------------------------------------------------------------------------------------------


def test_a_bots_own_thread_stands_back_while_a_daemon_sweeps(desk: Desk, parts: Make) -> None:
    """The daemon holds the lease: the bot's fire does nothing; it ends, and the bot watches again."""
    daemon = Lease()
    watching = parts(guard=desk.another_guard(), lease=daemon)
    bot = Sweeper(desk.guard, ACCOUNT, desk.broker, lease=Lease(only_yields=True))
    desk.clock.advance(2)
    assert watching.loss().pnl is not None
    desk.clock.advance(2)
    assert bot.sweep().pnl is None
    assert bot.sweep(now=True).pnl is None, "the daemon answers for the account"
    desk.clock.advance(2)
    assert watching.loss().pnl is not None
    daemon.give_back(desk.store, desk.clock.now_us())

    desk.clock.advance(2)
    assert bot.sweep().pnl is not None


def test_roll_over_leaves_its_row_once(desk: Desk, parts: Make) -> None:
    """One row a session, whoever opened it; the loss sweep opens no day, because it has not looked."""
    sweeper = parts()
    desk.clock.advance(86_400)
    sweeper.loss()
    rows = "SELECT slot FROM sweeps WHERE kind = 'rollover' AND finished_at_us > ?"
    began_us = desk.clock.now_us() - SECOND
    assert desk.rows(rows, began_us) == []
    for _ in range(3):
        sweeper.book()
        desk.clock.advance(20)

    assert len(desk.rows(rows, began_us)) == 1


def test_what_failed_stands_in_the_row_of_its_sweep(desk: Desk, parts: Make) -> None:
    """A list that could not be read: the slot is done, and says what is missing."""
    sweeper = parts()
    desk.broker.behave("trades", "fail")
    desk.clock.advance(20)
    assert sweeper.book()
    (said,) = desk.rows("SELECT findings FROM sweeps WHERE kind = 'book' ORDER BY slot DESC LIMIT 1")[0]

    assert [code for code, _, _ in json.loads(said)] == ["BROKER_READ_FAILED"]
    assert any("trades" in message for _, _, message in desk.alerts.said)


@pytest.fixture(autouse=True)
def _quiet(desk: Desk) -> Iterator[None]:
    """Sweeps of one test never meet those of another: each has its own desk, and its clock begins anew."""
    yield
    assert desk.one("SELECT count(*) FROM sweeps WHERE finished_at_us > ?", desk.clock.now_us() + 7200 * SECOND) == 0
