"""`riskguard audit`: is the journal true, anchors kept elsewhere, and the key of its macs."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskguard.cli.options import By, Db, Json, Reason
from riskguard.cli.output import document, one_line_errors, say
from riskguard.home import database_url

if TYPE_CHECKING:
    from riskguard.services.audit.report import Audit

app = typer.Typer(help="The journal: verify it, anchor it elsewhere, sign it.", no_args_is_help=True)
key_app = typer.Typer(help="The key of the journal's macs: make, show, renew.", no_args_is_help=True)
app.add_typer(key_app, name="key")


@app.command("verify")
@one_line_errors
def verify(
    db: Db = None,
    account: Annotated[list[str] | None, typer.Option("--account", help="This account alone; may be repeated.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Entries from this day in India, or this sequence, on.")
    ] = None,
    anchors: Annotated[
        Path | None, typer.Option("--anchors", help="Check that the journal holds every anchor of this log.")
    ] = None,
    replay: Annotated[bool, typer.Option(help="Also decide every order again on its kept facts.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, max=64, help="Processes; one for each core when left out.")] = None,
    as_json: Json = False,
) -> None:
    """
    Verify every account's journal: the chain, its macs, and what hangs on it. Nobody waits for it.

    Names the first bad row of each account: its sequence, and what is wrong with it. With `--anchors` also a journal whose
    end was cut off is found. Without the audit key macs are not judged, and that is said: it is then not all proven.

    Exit status: 0 all is proven; 1 something is wrong, or not readable; 2 malformed input; 3 nothing wrong was found, and
    not all is proven.
    """
    from riskguard.cli.upgrading import progress
    from riskguard.services.audit.verify import jobs_usual
    from riskguard.services.audit.verify import verify as audited
    from riskguard.store.session import Store

    since_us, first = _since(since)
    with contextlib.closing(Store(database_url(db))) as store, progress(quiet=as_json) as on_progress:
        found = audited(
            store, accounts=account or (), since_us=since_us, since=first, anchors=anchors, replay=replay,
            jobs=jobs or jobs_usual(), on_progress=lambda done, total: on_progress("entries", done, total),
        )  # fmt: skip
    if as_json:
        document(found.document())
    else:
        _show(found)
    if found.exit_status:
        raise typer.Exit(found.exit_status)


def _since(given: str | None) -> tuple[int | None, int | None]:
    """Return (microsecond the day begins in India, sequence) of `--since`; one of them, or neither."""
    from riskguard.core.calendar import ist_us
    from riskguard.errors import InputError

    if given is None:
        return None, None
    if given.isdecimal() and given.isascii() and 0 < int(given) < 2**63:
        return None, int(given)
    try:
        return ist_us(dt.date.fromisoformat(given)), None
    except ValueError:
        raise InputError(f"`--since` = `{given[:40]}`: wants a day like 2026-11-30, or a sequence like 4000") from None


def _show(found: Audit) -> None:
    for each in found.accounts:
        wrong = each.first_wrong
        said = "true" if wrong is None else f"WRONG ({wrong.what}): {wrong.detail}"
        if each.replay_disagrees:
            said += f"; replay disagrees at {', '.join(map(str, each.replay_disagrees))}"
        signed = f", {each.signed} signed" if each.signed else ""
        begins = f" from {each.first}" if each.first > 1 else ""
        say(f"{each.account}: {each.rows} rows{begins}{signed}: {said}")
        for other in each.wrong:
            if other is not wrong:
                say(f"{each.account}: WRONG ({other.what}): {other.detail}")
    if found.anchors is not None:
        say(f"anchors: {found.anchors} held")
    for line in found.unproven:
        say(f"NOT PROVEN: {line}")
    for line in found.notes:
        say(f"note: {line}")


@app.command("anchor")
@one_line_errors
def anchor(
    db: Db = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The log to append to; made 0600 when it is not there.")
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", help="Hand the line to this command, on its standard input; no shell.")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Keep how far every account's journal has come, where whoever rewrites the database cannot reach.

    Without options in RISKGUARD_ANCHOR_FILE and to RISKGUARD_ANCHOR_COMMAND, as `riskguard run` does each day and after
    each kill and release. It is refused when the database does not hold the last anchor: look, before another is kept.

    Exit status: 0 kept; 1 not kept, or not everywhere.
    """
    from riskguard.services.audit.keeping import Place, by_hand, place_of_process, words
    from riskguard.store.session import Store, clock_of

    place = place_of_process()
    if to is not None or command is not None:
        place = Place(to, words(command or "", "`--command`"), place.deadline_s)
    with contextlib.closing(Store(database_url(db))) as store:
        kept = by_hand(store, place, clock_of(store, None).now_us())
    if as_json:
        document({"anchor": kept.number, "hash": kept.hash, "signed": bool(kept.mac), "accounts": len(kept.heads)})
        return
    signed = "signed" if kept.mac else "not signed: there is no audit key"
    say(f"anchor {kept.number} kept: {len(kept.heads)} journals, {signed}")


@app.command("accept")
@one_line_errors
def accept(by: By, reason: Reason, db: Db = None, as_json: Json = False) -> None:
    """
    Answer, with the audit key, for all entries that stand in the journal now and carry no mac.

    One signed entry per account. Run `riskguard audit verify` first: what is accepted is accepted as it stands.

    Exit status: 0 accepted; 1 no key, or not written.
    """
    from riskguard.services.audit.sealing import seal
    from riskguard.store.session import Store

    with contextlib.closing(Store(database_url(db))) as store:
        sealed = seal(store, by=by, reason=reason)
    if as_json:
        document(sealed)
        return
    for account, sequence in sealed.items():
        say(f"{account}: what stands before sequence {sequence} is accepted by {by}")


@key_app.command("init")
@one_line_errors
def init(
    keyring: Annotated[
        bool, typer.Option("--keyring", help="Put the key into the keyring of the operating system instead of a file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Make the first key. It is shown nowhere; back it up where the database is not.

    From then on every entry this host writes is signed. `riskguard audit accept` answers for those before.

    Exit status: 0 made; 1 there is one already, or it cannot be written.
    """
    from riskguard.store.secrets import audit_key

    made = audit_key.create(in_keyring=keyring)
    if as_json:
        document({"source": made.source, "key_id": made.ids[0]})
        return
    say(f"audit key `{made.ids[0]}` made in {made.source}")
    say("running processes sign with it within a second; then: `riskguard audit verify`, `riskguard audit accept`")


@key_app.command("status")
@one_line_errors
def status(as_json: Json = False) -> None:
    """
    Show where the key comes from, and the ids of the keys at hand. Never a key.

    Exit status: 0 there is one; 1 there is none, or it may not be used.
    """
    from riskguard.errors import AuditKeyError
    from riskguard.store.secrets import audit_key

    found = audit_key.at_hand()
    if found is None:
        raise AuditKeyError(f"there is no audit key: `{audit_key.MAKER}` makes one in `{audit_key.key_file()}`")
    if as_json:
        document({"source": found.source, "key_ids": list(found.ids)})
        return
    say(f"{found.source}: signs with `{found.ids[0]}`; verifies {', '.join(f'`{each}`' for each in found.ids)}")


@key_app.command("rotate")
@one_line_errors
def rotate(as_json: Json = False) -> None:
    """
    Put a new key before the others: new entries are signed with it. Keep the older ones: they verify what they signed.

    Exit status: 0 done; 1 there is no key, or riskguard cannot write to its source.
    """
    from riskguard.store.secrets import audit_key

    found = audit_key.add_newest()
    if as_json:
        document({"source": found.source, "key_ids": list(found.ids)})
        return
    say(f"{found.source} signs with `{found.ids[0]}` from now on; {len(found.ids) - 1} older kept to verify with")
