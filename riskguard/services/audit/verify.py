"""
Is the journal true: every account's chain, its macs, all that hangs on it, and the anchors kept elsewhere.

It reads one instant of the database and takes no lock. Memory is flat in the number of entries: what is kept is what
kills, releases, applied rulebooks and changes by SQL say, which are few. Long chains are judged in parts by several
processes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final

from riskguard.errors import InputError, UnknownAccountError
from riskguard.services.audit import control
from riskguard.services.audit.part import Claims, Part, archives_of, sealed_after, walk, walk_apart
from riskguard.services.audit.reading import snapshot
from riskguard.services.audit.report import AccountAudit, Audit
from riskguard.store.journal import HEAD_OF, Walker, Wrong, wrong_end
from riskguard.store.queries.audit import ENDS, HEADS, NEXT_ACCOUNT, TIME_AT, WAITING
from riskguard.store.secrets import audit_key
from riskguard.store.secrets.audit_key import AuditKeys
from riskguard.store.session import ACCOUNTS, GLOBAL, Session, Store

PART_ROWS: Final = 4_000
"""Entries one process judges at once: few enough that nobody waits long for who is last."""
START_PARTS: Final = 10
"""A process that starts costs about as much as judging so many parts: shorter journals are judged in this one."""
ASKED_AHEAD: Final = 2
"""Parts a process has at hand: the one it judges, and the next."""
JOBS_MAX: Final = 8

Progress = Callable[[int, int], None]

_Span = tuple[str, int, int]


def verify(
    store: Store, *, accounts: Iterable[str] = (), since_us: int | None = None, since: int | None = None,
    anchors: Path | None = None, replay: bool = False, jobs: int = 1, keys: AuditKeys | None = None,
    part_rows: int = PART_ROWS, on_progress: Progress = lambda _done, _total: None,
) -> Audit:  # fmt: skip
    """
    Verify the journal. *accounts*: those alone; *since_us*, *since*: entries from that moment, or sequence, on.

    What lies before the first entry asked for is taken as it stands. *keys* are those at hand, unless given. With *jobs*
    above 1 long chains are judged by that many processes, this one among them; the others start anew and import the
    program that asks: it must be one that can be imported. *replay* decides every order again.

    Raises AuditKeyError for a key source that may not be used, AnchorError for an anchor log that is none,
    UnknownAccountError, StoreUnavailableError. What was found wrong is in the report, not raised: see `Audit.require`.
    """
    began = time.monotonic()
    at_hand = keys if keys is not None else audit_key.at_hand()
    asked = tuple(accounts)
    with archives_of(store) as archives, snapshot(store) as session:
        spans = list(_spans(session, asked, since_us, since))
        report = Audit([AccountAudit(account, first) for account, first, _last in spans])
        total = sum(max(0, last - first + 1) for _account, first, last in spans)
        found: dict[str, list[Part]] = {account: [] for account, _first, _last in spans}
        tasks = [(account, *each) for account, first, last in spans for each in _cut(first, last, part_rows)]
        done = 0

        def moved(rows: int) -> None:
            nonlocal done
            done += rows
            on_progress(done, total)

        def here(account: str, first: int, last: int) -> Part:
            return walk(session, account, first, last, keys=at_hand, replay=replay, archives=archives, on_rows=moved)

        if jobs > 1 and keys is None and total > START_PARTS * part_rows:
            for part, is_ours in _apart(store.url, tasks, replay, jobs, here):
                found[part.account].append(part)
                if not is_ours:
                    moved(part.rows)
        else:
            for account, first, last in tasks:
                if not any(each.wrong for each in found[account]):  # nothing can be said beyond a wrong entry
                    found[account].append(here(account, first, last))
        whole = not asked and since_us is None and since is None
        claims = {account: _judge(session, report, account, found[account], at_hand, whole) for account in found}
        if anchors is not None:
            from riskguard.services.audit.anchors import check

            check(session, report, anchors, at_hand)
        _control(session, report, claims, whole)
    report.seconds = time.monotonic() - began
    return report


# -- what is asked for ----------------------------------------------------------------------------------------


def _spans(session: Session, asked: tuple[str, ...], since_us: int | None, since: int | None) -> Iterator[_Span]:
    """Yield (account, first, last) of the chains asked for, GLOBAL first; to the head or the last row, whichever is later."""
    heads = dict(session.rows(HEADS))
    names = {GLOBAL, *heads, *(row[0] for row in session.rows(ACCOUNTS)), *_with_entries(session)}
    for name in asked:
        if name not in names:
            raise UnknownAccountError(name, tuple(sorted(names)))
    for name in sorted(asked or names, key=lambda each: (each != GLOBAL, each)):
        (end,) = session.row(ENDS, account=name) or (0,)
        last = max(heads.get(name, 0), end or 0)
        if last == 0 and name not in asked and name != GLOBAL and name.startswith("GROUP:"):
            continue  # a head that groups bump, without a chain
        first = 1 if since is None else since
        if since_us is not None:
            first = max(first, _first_since(session, name, last, since_us))
        yield name, max(1, first), last


def _with_entries(session: Session) -> Iterator[str]:
    name = ""
    while (row := session.row(NEXT_ACCOUNT, after=name)) is not None and row[0] is not None:
        name = row[0]
        yield name


def _first_since(session: Session, account: str, last: int, since_us: int) -> int:
    """Return the first sequence at or after a moment, by halving: a clock that was set back may blur it by its step."""
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        row = session.row(TIME_AT, account=account, sequence=middle)
        if row is None or row[0] >= since_us:
            high = middle
        else:
            low = middle + 1
    return low


def _cut(first: int, last: int, rows: int) -> Iterator[tuple[int, int]]:
    if rows < 1:
        raise InputError(f"`part_rows` = {rows}: at least 1")
    yield from ((each, min(each + rows - 1, last)) for each in range(first, last + 1, rows))


def jobs_usual() -> int:
    """Return how many processes a command uses."""
    return min(JOBS_MAX, os.cpu_count() or 1)


def _apart(
    url: str, tasks: list[_Span], replay: bool, jobs: int, here: Callable[[str, int, int], Part]
) -> Iterator[tuple[Part, bool]]:  # fmt: skip
    """
    Judge the parts in *jobs* processes; yields each with whether it was judged in this one.

    The others are started anew: a fork would carry connections over. This one begins at once, from the other end, and
    takes over what one that was killed left, as for too little memory.
    """
    left, asked = deque(tasks), dict[Future[Part], _Span]()
    others = min(jobs, len(tasks)) - 1
    with ProcessPoolExecutor(others, multiprocessing.get_context("spawn")) as pool:
        collects = gc.isenabled()
        gc.disable()  # as in the others: nothing here makes cycles
        try:
            while left or asked:
                while left and len(asked) < ASKED_AHEAD * others:
                    task = left.popleft()
                    asked[_asked(pool, (url, *task, replay))] = task
                if left:
                    yield here(*left.pop()), True
                for future in [each for each in asked if each.done() or not left]:
                    task = asked.pop(future)
                    try:
                        part = future.result()
                    except BrokenProcessPool:
                        yield here(*task), True
                    else:
                        yield part, False
        finally:
            if collects:
                gc.enable()
            pool.shutdown(wait=False, cancel_futures=True)


def _asked(pool: ProcessPoolExecutor, task: tuple[str, str, int, int, bool]) -> Future[Part]:
    """Ask a process for a part; of processes that were killed the answer is that."""
    try:
        return pool.submit(walk_apart, task)
    except BrokenProcessPool as e:
        answer: Future[Part] = Future()
        answer.set_exception(e)
        return answer


# -- what was found -------------------------------------------------------------------------------------------


def _judge(
    session: Session, report: Audit, account: str, parts: list[Part], keys: AuditKeys | None, whole: bool
) -> Claims:  # fmt: skip
    """Put the parts of one account together: the first wrong entry, its end, its macs."""
    audit = report.of(account)
    claims = Claims()
    true: list[Part] = []
    for part in sorted(parts, key=lambda each: each.first):
        true.append(part)
        audit.rows += part.rows
        audit.signed += part.signed
        audit.replay_disagrees += part.replay_disagrees
        claims.merge(part.claims)
        if part.wrong is not None:
            audit.wrong.append(part.wrong)
            break
    if not audit.wrong and (true or audit.first == 1):
        walker = Walker(account, audit.first + audit.rows, true[-1].last_hash if true else "")
        head = session.row(HEAD_OF, account=account)
        end = wrong_end(None if head is None else (head[0], head[1]), walker)
        if end is not None:
            audit.wrong.append(end)
    _macs(session, report, audit, true, keys)
    if whole and not audit.wrong:
        found = (sum(each.permits for each in true), sum(each.violations for each in true))
        audit.wrong += control.put_in(session, account, *found)
        if count := control.unclaimed(session, account):
            report.notes.append(
                f"{account}: {count} rows of risk_violations hang on no entry (version 3, or written by SQL)"
            )
    return claims


def _macs(session: Session, report: Audit, audit: AccountAudit, parts: list[Part], keys: AuditKeys | None) -> None:
    """
    Judge entries without a mac, and say what no key at hand could judge.

    Those before the first mac may be older than the key, or all there is of a journal that was written anew: not proven.
    One behind a mac was written without the key: wrong. A seal answers for both.
    """
    account = audit.account
    if unjudged := sum(each.unjudged for each in parts):
        unknown = next((each.unknown for each in parts if each.unknown is not None), None)
        if unknown is None or keys is None:
            said = "no audit key is at hand"
        else:
            having = ", ".join(f"`{each}`" for each in keys.ids)
            said = f"the first of them, sequence {unknown[0]}, names key `{unknown[1]}`; at hand: {having}"
        report.unproven.append(f"{account}: the macs of {unjudged} entries were not judged: {said}")
    if keys is None:
        return
    early, late, rows, is_keyed = None, None, 0, False
    for part in parts:
        if part.seal is not None:
            early, late, rows, is_keyed = None, part.unsigned, 0, True
            continue
        if not is_keyed and part.unsigned is not None and part.unsigned != part.unsigned_late:
            early = part.unsigned if early is None else early
            rows += (part.first_signed or part.last + 1) - part.unsigned
        late = late if late is not None else part.unsigned if is_keyed else part.unsigned_late
        is_keyed = is_keyed or part.first_signed is not None
    first = audit.first_wrong
    if late is not None and not (first is not None and sealed_after(session, account, late, keys)):
        said = f"sequence {late} carries no mac, and entries before it do: it was written without the key"
        audit.wrong.append(Wrong(late, "mac", said))
    elif early is not None:
        report.unproven.append(
            f"{account}: {rows} entries from sequence {early} on carry no mac: `riskguard audit accept` answers for them"
        )


def _control(session: Session, report: Audit, claims: dict[str, Claims], whole: bool) -> None:
    """Compare the claims of chains that are whole; after a wrong entry nobody knows what else was claimed."""
    broken = {each.account for each in report.accounts if each.wrong}
    standing = {account: each for account, each in claims.items() if account not in broken}
    for account, wrong in control.wrongs(session, standing, whole=whole and not broken):
        report.of(account).wrong.append(wrong)
    (count,) = session.row(WAITING) or (0,)
    if count:
        report.notes.append(
            f"{count} changes to limits or latch by SQL are not in the journal yet: the next check adopts them"
        )
