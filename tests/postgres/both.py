"""
On which store a test's desk stands: SQLite, PostgreSQL, or one after the other.

    RISKGUARD_TEST_STORE=postgresql pytest tests/services      every test that makes a desk, on PostgreSQL
    pytest                                                     on SQLite; the core named below on both

A test of SQLite's own machinery says so: `@pytest.mark.sqlite_only("what a file is to it")`, and is skipped with that reason
(`pytest -rs` lists them). What needs no desk is left out on PostgreSQL: it would only be the ordinary run again.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

SQLITE, POSTGRESQL = "sqlite", "postgresql"
CHOSEN: Final = os.environ.get("RISKGUARD_TEST_STORE", "")
KINDS: Final = (SQLITE, POSTGRESQL)
CORE: Final = {
    "permits": (
        "sent_is_on_disk_before_the_block_begins",
        "eight_threads_with_the_same_permit_send_it_once",
        "an_answer_that_cannot_be_written_is_only_doubt",
        "a_permit_nobody_sends_is_gone_after_10_s",
        "a_kill_between_check_and_send_wins",
        "a_kill_of_all_by_sql_that_a_check_misses_is_caught_when_it_is_sent",
        "the_control_without_the_look_at_sent_that_order_goes_out",
        "acheck_answers_as_check_does_and_leaves_the_loop_free",
    ),
    "guard": (
        "an_approval_is_journaled_with_its_permit",
        "a_refusal_is_journaled_with_a_violation_that_names_its_limit",
        "the_journal_is_gapless_and_replays",
        "the_same_order_asked_twice_is_answered_once",
        "a_repeated_refusal_costs_a_row_each_second",
        "counts_of_repeats_survive_a_database_that_is_busy",
        "a_locked_database_refuses_within_the_deadline",
        "threads_share_one_guard",
        "the_next_sweep_adopts_the_spool_exactly_once",
        "an_interrupt_leaves_no_lock_behind",
        "a_generation_ahead_of_the_database_halts",
        "a_quote_reaches_other_processes_through_the_database",
    ),
    "latch": (
        "the_next_check_adopts_a_flag_without_a_row",
        "a_flag_whose_kill_is_released_is_removed",
        "a_global_flag_opens_a_run_for_every_account",
    ),
    "killswitch": (
        "a_kill_is_on_disk_in_every_place",
        "many_kills_at_once_all_take",
        "until_the_flag_is_on_disk_only_the_standard_library_is_needed",
        "a_locked_database_does_not_hold_the_flag_up",
    ),
    "killrun": (
        "every_cancel_is_a_message_and_a_step",
        "the_lease_is_taken_by_one_and_passed_on",
    ),
    "sweeper": (
        "two_daemons_sweep_each_slot_once",
        "a_sweep_that_died_before_its_kill_is_made_good",
        "the_baseline_of_a_day_is_written_once",
        "charges_grow_with_every_fill_and_never_by_sweeping",
    ),
    "release": (
        "it_names_the_kills_it_ends_and_removes_only_their_files",
        "a_global_halt_is_released_apart",
        "kill_and_release_at_once_end_as_the_journal_says",
        "the_journal_of_it_all_verifies",
    ),
    "triggers": (
        "many_second_rows_end_at_the_tightest",
        "a_loosening_among_tightenings_takes_nothing",
        "a_kill_by_sql_is_adopted_like_any_other",
        "what_sql_tightened_is_kept_and_adopted",
        "a_position_row_of_a_version_3_program_counts_at_once",
    ),
}
"""Tests of tests/services that run on both stores in an ordinary run, by file: one of each kind of statement and claim."""


def pytest_configure(config: pytest.Config) -> None:
    if CHOSEN and CHOSEN not in KINDS:
        raise pytest.UsageError(f"RISKGUARD_TEST_STORE is `{CHOSEN}`: it is one of {', '.join(KINDS)}")
    config.addinivalue_line("markers", "sqlite_only(reason): tries what only SQLite has; not run on PostgreSQL")


def kinds(path: Path, name: str, is_sqlite_only: bool) -> tuple[str, ...]:
    """The stores a test that makes a desk runs on."""
    if is_sqlite_only:
        return () if CHOSEN == POSTGRESQL else (SQLITE,)
    if CHOSEN:
        return (CHOSEN,)
    core = CORE.get(path.stem.removeprefix("test_"), ()) if path.parent.name == "services" else ()
    return KINDS if name.removeprefix("test_") in core else (SQLITE,)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_kind" not in metafunc.fixturenames:
        return
    marks = metafunc.definition.iter_markers("sqlite_only")
    found = kinds(Path(metafunc.definition.path), metafunc.definition.originalname, any(True for _ in marks))
    if len(found) == 2:
        metafunc.parametrize("store_kind", found)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Where PostgreSQL is asked for, skip SQLite's own with its reason, and leave out what makes no desk at all.

    In an ordinary run a test on both loses no case by it: its PostgreSQL half is left out.
    """
    kept, left = [], []
    for item in items:
        if CHOSEN == POSTGRESQL and "store_kind" not in getattr(item, "fixturenames", ()):
            left.append(item)
            continue
        mark = item.get_closest_marker("sqlite_only")
        if mark is None or _kind(item) == SQLITE:
            kept.append(item)
        elif CHOSEN:
            item.add_marker(pytest.mark.skip(reason=f"SQLite only: {mark.args[0]}"))
            kept.append(item)
        else:
            left.append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def _kind(item: pytest.Item) -> str:
    """The store this item stands on."""
    callspec = getattr(item, "callspec", None)
    return CHOSEN or (callspec.params.get("store_kind", SQLITE) if callspec is not None else SQLITE)


@pytest.fixture
def store_kind() -> str:
    """`sqlite` or `postgresql`; parametrised for the tests that run on both."""
    return CHOSEN or SQLITE


@pytest.fixture(scope="session")
def server_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Build each kind of database once on this process's server; tests work on copies."""
    from tests.postgres.desk import template

    made: dict[str, str] = {}

    def of(**how: Any) -> str:
        key = repr(sorted(how.items()))
        if key not in made:
            made[key] = template(tmp_path_factory.mktemp("rules"), **how)
        return made[key]

    yield of


@pytest.fixture
def server_desks(server_templates: Callable[..., str], clock: Any) -> Iterator[Callable[..., Any]]:
    """Make a desk on PostgreSQL, as `make_desk` does on SQLite."""
    from tests.postgres.desk import desks

    with contextlib.ExitStack() as stack:
        yield desks(server_templates, stack, clock)


def pytest_sessionfinish() -> None:
    """Stop this process's server: a worker of pytest-xdist leaves without its exit handlers."""
    postgres = sys.modules.get("tests.store.postgres")
    if postgres is not None and postgres.server.cache_info().currsize:
        postgres.server().stop()
