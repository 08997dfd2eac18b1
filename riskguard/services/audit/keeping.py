"""
Keeping anchors: once a day, soon after each kill and release, and by hand; in a file, or handed to a command.

Where to is said by the environment of the process that keeps them, never by the database: whoever can write there must
not choose what the daemon runs, nor where its evidence goes. The act of a kill is not waited with for an anchor: the
daemon sees a minute later that one happened.
"""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from riskguard.core.calendar import Calendar
from riskguard.errors import AnchorError, RiskGuardError, SettingsError
from riskguard.ports import Alerts, Clock
from riskguard.services.audit import anchors
from riskguard.services.audit.anchors import KIND, Anchor
from riskguard.services.audit.reading import snapshot
from riskguard.services.settings import process_settings
from riskguard.store import upkeep_runs as record
from riskguard.store.secrets import audit_key
from riskguard.store.session import GLOBAL, Store
from riskguard.store.statements import fixed, prepare
from riskguard.store.tables.journal import account_heads

log = logging.getLogger("riskguard")

WAIT_S: Final = 5.0
GENERATION = prepare(sa.select(account_heads.c.generation).where(account_heads.c.account == fixed(GLOBAL)))


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where anchors are kept: in *file*, handed to *command*, or both. *deadline_s* is the command's.

    A command is words, run without a shell; the line stands on its standard input, and it has kept it when it ends with 0.
    """

    file: Path | None = None
    command: tuple[str, ...] = ()
    deadline_s: float = 10.0

    def __bool__(self) -> bool:
        return self.file is not None or bool(self.command)


def place_of_process() -> Place:
    """Return where this process keeps anchors; raises SettingsError for a setting it cannot obey."""
    settings = process_settings()
    return Place(
        Path(settings.anchor_file).expanduser() if settings.anchor_file else None,
        words(settings.anchor_command, "RISKGUARD_ANCHOR_COMMAND"),
        settings.anchor_deadline_s,
    )


def words(command: str, setting: str) -> tuple[str, ...]:
    """Return the words of a command, as a shell would part them; raises SettingsError naming *setting*."""
    try:
        return tuple(shlex.split(command))
    except ValueError as e:
        raise SettingsError(f"{setting}: {e}: a word in quotes ends with one") from None


def keep(store: Store, place: Place, why: str, now_us: int) -> tuple[Anchor, dict[str, Any]]:
    """
    Make an anchor and keep it at *place*; returns it and what the record of upkeep remembers.

    Raises AnchorError: it was not kept in every place; the database does not hold the last one; or the log was changed.
    """
    if not place:
        raise AnchorError("nobody said where to keep it: `--to FILE`, `--command`, or RISKGUARD_ANCHOR_FILE")
    keys = audit_key.of(store)
    with snapshot(store) as session:
        if place.file is not None:
            name_of_file = place.file

            def make(last: Anchor | None, log_name: str) -> Anchor:
                if last is None:
                    return anchors.made(session, (0, ""), why, now_us, keys)
                anchors.refuse_contradicted(session, last)
                known = anchors.remembered_number(session, log_name)
                if known > last.number:
                    raise AnchorError(
                        f"the anchor log `{name_of_file}` ends at anchor {last.number}, the database remembers {known}: it "
                        "was cut; keep it as evidence, and begin another log"
                    )
                return anchors.made(session, (last.number, last.hash), why, now_us, keys)

            anchor, log_name = anchors.append(name_of_file, make)
        else:
            before = next((each for each in anchors.remembered(session)), None)
            after = (0, "") if before is None else (before["number"], before["hash"])
            anchor = anchors.made(session, after, why, now_us, keys)
            log_name = anchor.hash if before is None else before["log"]
    if place.command:
        _hand_over(place, anchor)
    return anchor, {
        "log": log_name, "number": anchor.number, "hash": anchor.hash, "generation": anchor.generation, "why": why,
        "to": [*([] if place.file is None else [str(place.file)]), *place.command[:1]],
    }  # fmt: skip


def _hand_over(place: Place, anchor: Anchor) -> None:
    from riskguard.services.alerts.senders import NotSentError, run_command

    try:
        run_command(place.command, anchor.line().decode(), place.deadline_s)
    except NotSentError as e:
        raise AnchorError(f"anchor {anchor.number} was not handed over: {e}") from None


def by_hand(store: Store, place: Place, now_us: int) -> Anchor:
    """Keep an anchor for a person, and remember it."""
    anchor, said = keep(store, place, "by hand", now_us)
    with store.session(durable=True, wait_s=WAIT_S, account="") as session:
        record.by_hand(session, KIND, said, now_us, now_us)
    return anchor


# -- by the daemon ----------------------------------------------------------------------------------------------


class AnchorKeeper:
    """What `riskguard run` asks every minute: is an anchor due, for the day, or because of a kill or a release."""

    def __init__(self, store: Store, clock: Clock, alerts: Alerts | None = None, place: Place | None = None) -> None:
        self.store = store
        self.clock, self.alerts = clock, alerts
        self.place = place_of_process() if place is None else place

    def tick(self, *, is_time: bool) -> list[str]:
        """
        Keep what is due; returns the slots that were kept. *is_time*: the day's upkeep may begin. Never raises ours.

        A second daemon finds the slot done; one that failed is tried again twice.
        """
        if not self.place:
            return []
        try:
            now_us = self.clock.now_us()
            due = [Calendar.session_date(now_us).isoformat()] if is_time else []
            with snapshot(self.store) as session:
                (generation,) = session.row(GENERATION) or (0,)
                last = next((each["generation"] for each in anchors.remembered(session)), 0)
            if generation > last:
                due.append(f"generation {generation}")
            return [slot for slot in due if self._once(slot, now_us)]
        except RiskGuardError as e:
            log.warning("anchors wait: %s", e)
            return []
        finally:
            self.store.close()

    def _once(self, slot: str, now_us: int) -> bool:
        with self.store.session(durable=True, wait_s=WAIT_S, account="") as session:
            run_id = record.claim(session, KIND, slot, now_us)
        if run_id is None:
            return False
        outcome, detail = self._try(slot, now_us)
        with self.store.session(durable=True, wait_s=WAIT_S, account="") as session:
            record.finish(session, run_id, outcome, detail, self.clock.now_us())
        return outcome == "DONE"

    def _try(self, slot: str, now_us: int) -> tuple[str, dict[str, Any]]:
        why = slot if slot.startswith("generation") else "daily"
        try:
            return "DONE", keep(self.store, self.place, why, now_us)[1]
        except (RiskGuardError, OSError) as e:
            said = str(e) or type(e).__name__
        except Exception as e:  # a bug here must not end the thread of upkeep, and must not be silent
            log.exception("anchor %s", slot)
            said = f"internal error: {type(e).__name__}: {e}"
        log.error("the anchor of the journal failed: %s", said)
        if self.alerts is not None:
            self.alerts.tell(GLOBAL, "critical", f"the anchor of the journal failed: {said}")
        return "FAILED", {"error": said}
