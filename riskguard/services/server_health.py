"""What `riskguard doctor` asks of a PostgreSQL server: whether what it acknowledges lasts, who may undo it, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from riskguard.services.finding import Finding, Severity
from riskguard.store.session import Store

WAIT_S: Final = 2.0
FULL_PCT: Final = 80
SKEW_WARN_US: Final = 500_000
SETTINGS: Final = (
    "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'),"
    " current_setting('synchronous_commit'), current_setting('max_connections')::int,"
    " (SELECT count(*)::int FROM pg_stat_activity), current_setting('max_wal_senders')::int"
)
POWERS: Final = (
    "SELECT r.rolsuper, EXISTS (SELECT FROM pg_class c WHERE c.oid = 'public.decisions'::regclass AND c.relowner = r.oid)"
    " FROM pg_roles r WHERE r.rolname = current_user"
)
SWITCHED_OFF: Final = (
    "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgenabled = 'D'"
    " AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
)
HELD: Final = (
    "SELECT a.pid, extract(epoch FROM clock_timestamp() - a.state_change)::int, a.application_name FROM pg_stat_activity a"
    " WHERE a.datname = current_database() AND a.state LIKE 'idle in transaction%'"
    " AND a.state_change < clock_timestamp() - interval '5 seconds' AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid"
    " AND l.relation = 'public.account_heads'::regclass AND l.mode = 'RowExclusiveLock') ORDER BY 2 DESC LIMIT 3"
)


def postgresql_server(store: Store, now_us: int) -> Iterator[Finding]:
    """The server behind the database; nothing where it is a file."""
    if store.dialect != "postgresql":
        return
    with store.session(durable=False, wait_s=WAIT_S, account="") as session:
        store.roll_back(session)
    ahead_us: int = store.clock.ahead_us  # type: ignore[attr-defined]
    with store.reading(WAIT_S) as reading:
        one = reading.connection.execute
        settings: tuple[Any, ...] = one(SETTINGS).fetchone()
        is_superuser, is_owner = one(POWERS).fetchone()
        switched_off = [row[0] for row in one(SWITCHED_OFF).fetchall()]
        held = one(HELD).fetchall()
    yield from _lasting(settings)
    yield from _powers(is_superuser, is_owner)
    if switched_off:
        named = ", ".join(f"`{name}`" for name in switched_off[:3])
        said = (
            f"{len(switched_off)} triggers are switched off ({named}): what SQL changes is neither refused nor noticed"
        )
        yield Finding(
            Severity.ERROR, "postgresql", said, "`ALTER TABLE … ENABLE TRIGGER …`, then `riskguard audit verify`"
        )
    for pid, seconds, name in held:
        yield Finding(
            Severity.WARNING, "postgresql",
            f"process {pid} (`{name}`) has left a transaction open for {seconds} s that holds an account: no order of it passes",
            f"end that program's transaction, or `SELECT pg_terminate_backend({pid})`",
        )  # fmt: skip
    if abs(ahead_us) > SKEW_WARN_US:
        severity = Severity.ERROR if store.skew_us else Severity.WARNING
        way = "ahead of" if ahead_us < 0 else "behind"
        yield Finding(
            severity, "clock", f"this host is {abs(ahead_us) / 1e6:.1f} s {way} the database's server",
            "let NTP set both clocks; beyond 2 s nothing that adds risk passes",
        )  # fmt: skip


def _lasting(settings: tuple[Any, ...]) -> Iterator[Finding]:
    version, fsync, pages, commit, most, used, _senders = settings
    for name, value, what in (
        ("fsync", fsync, "a crash of the machine may lose or corrupt what was acknowledged, kills among it"),
        ("full_page_writes", pages, "a crash of the machine may corrupt the database"),
    ):
        if value == "off":
            yield Finding(Severity.ERROR, "postgresql", f"`{name}` is off: {what}", f"set `{name} = on` and restart")
    if commit == "off":
        yield Finding(
            Severity.INFO, "postgresql",
            f"PostgreSQL {version} has `synchronous_commit = off`; riskguard switches it on for all but approvals",
        )  # fmt: skip
    if used * 100 >= most * FULL_PCT:
        yield Finding(
            Severity.WARNING, "postgresql", f"{used} of {most} connections are taken: the next program may find none",
            "raise `max_connections`, or put a pooler in transaction mode before it",
        )  # fmt: skip


def _powers(is_superuser: bool, is_owner: bool) -> Iterator[Finding]:
    if is_superuser or is_owner:
        who = "a superuser" if is_superuser else "the role that owns the tables"
        yield Finding(
            Severity.WARNING, "postgresql", f"riskguard logs in as {who}: its programs could switch the triggers off",
            "a role of its own for programs: docs/how-to/postgresql.md",
        )  # fmt: skip
