"""riskguard as a role that owns nothing: what a desk is granted is what its programs need, and a doctor sees who owns too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from riskguard import admin
from riskguard.core.order import Order
from riskguard.home import state_directories
from riskguard.services.finding import Severity
from riskguard.services.server_health import postgresql_server
from riskguard.services.setup import initialise
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard
from riskguard.store import halt
from riskguard.store.session import Store
from tests.services.desk import fill
from tests.store import postgres

PATIENCE_MS = 10_000
GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO desk;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO desk;
"""


@pytest.fixture
def database(tmp_path: Path, home: Path) -> Iterator[str]:
    """A filled database, and a role `desk` with what the how-to grants: its name."""
    with postgres.database(lambda url: fill(url, tmp_path)) as name:
        with postgres.server().connect(name) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'desk'").fetchone():
                connection.execute("CREATE ROLE desk LOGIN")
            connection.execute(GRANTS)
        yield name
        with postgres.server().connect(name) as connection:
            connection.execute("DROP OWNED BY desk")


def test_the_how_to_grants_what_a_test_grants() -> None:
    """The page and this file say the same."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "postgresql.md").read_text()
    for line in GRANTS.strip().splitlines():
        assert line in page


def test_a_desk_needs_no_more_than_it_is_granted(database: str) -> None:
    """Check, refuse, send, sweep, kill and release, as a role that owns nothing."""
    url = postgres.server().url(database, user="desk")
    with open_guard(url, sweep=False, deadline_ms=PATIENCE_MS) as guard:
        guard.report_positions([], account="leader")
        Sweeper(guard, "leader", None).sweep(now=True)
        guard.quote("NSE_EQ", "1333", ltp="100")

        approved = guard.check(_order(1))
        assert approved.approved, approved.explain()
        with approved.permit.sending() as wire:
            wire.order_id = "1"
        assert not guard.check(_order(10_000_000)).approved
        assert guard.kill("leader", by="desk", reason="a test").exit_status == 0
        assert not guard.check(_order(1)).approved
        Sweeper(guard, "leader", None).sweep(now=True)
        review = admin.review(guard.store, "leader", by="desk")
        assert review.scope == "leader"


def _order(quantity: int) -> Order:
    return Order(
        account="leader", exchange_segment="NSE_EQ", security_id="1333", side="BUY", product="INTRADAY",
        order_type="LIMIT", quantity=quantity, price="100",
    )  # fmt: skip


def test_a_doctor_sees_who_owns_too_much_and_what_does_not_last(database: str) -> None:
    """A superuser is warned of, a desk is not; `fsync = off` is an error, for a kill could be lost."""
    found = {}
    for user in ("postgres", "desk"):
        store = Store(postgres.server().url(database, user=user), deadline_ms=PATIENCE_MS)
        found[user] = list(postgresql_server(store, 0))
        store.close()

    assert any("superuser" in each.what for each in found["postgres"])
    assert not any("switch the triggers off" in each.what for each in found["desk"])
    for each in found.values():
        assert any(
            one.severity is Severity.ERROR and "fsync" in one.what for one in each
        )  # the tests' server has it off


def test_a_trigger_that_is_switched_off_is_found(database: str) -> None:
    """The control of what plain SQL can do to itself: whoever owns the tables can, and it shows."""
    with postgres.server().connect(database) as connection:
        connection.execute("ALTER TABLE traders_control DISABLE TRIGGER traders_control_holds")
    store = Store(postgres.server().url(database), deadline_ms=PATIENCE_MS)
    found = [each.what for each in postgresql_server(store, 0)]
    store.close()

    assert any("traders_control_holds" in what for what in found)


def test_a_second_machine_joins_with_the_same_line(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` on a host without halt directories leaves the account as it is; where they are, the account is there already."""
    from riskguard.errors import SettingsError

    url = postgres.server().url(database)
    with pytest.raises(SettingsError, match="there already"):
        initialise(url)
    monkeypatch.setenv("RISKGUARD_HOME", str(tmp_path / "second"))

    joined = initialise(url)

    assert (joined.created, joined.limits, joined.account) == (False, 0, "leader")
    assert all((each / halt.HALT).is_dir() for each in state_directories(url))
