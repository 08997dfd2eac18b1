"""
`riskguard kill`: needs no option, no confirmation and no configuration, and never asks twice.

Standard library only until the flag is on disk. Whatever cannot be understood halts more, not less.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import Any

from riskguard.home import database_url
from riskguard.services.kill import killswitch
from riskguard.services.kill.lookup import Lookup
from riskguard.store import halt

HELP = """usage: riskguard kill [ACCOUNT | --all | --group NAME] [--by NAME] [--reason TEXT]
                      [--plan halt|cancel|flatten|broker] [--db URL] [--no-wait] [--json]
       riskguard kill --resume [ACCOUNT] [--db URL] [--json]

Halt ACCOUNT, or everything when none is named: refuse new orders, then cancel the working ones that add risk.
The flag is on disk first; a locked, full or missing database does not stop it. Nothing is asked.

  --plan     halt: touch no order; cancel (default): cancel what adds risk, keep protective stops;
             flatten: close intraday and today's F&O positions too; broker: and the broker's own switch.
             flatten and broker need a terminal or an operator token; without one `cancel` is done.
  --group    every account of the group: one kill each, reported each; an unknown group halts everything
  --resume   halt nothing: carry on what an earlier kill left to do, of ACCOUNT or of all
  --by       who decided (default: the operating-system user)
  --reason   shown with every order refused from now on
  --no-wait  do not follow the cancelling and closing; a daemon or the next sweep carries it on
  --json     print one JSON document

Release is another command: riskguard release.

Exit status: 0 halted; 4 NOT halted; 5 halted on this host, the database was not updated. What was cancelled and closed is
said, not part of the status. With --resume: 0 everything that was left is proven done; 1 something is not.
"""

PLANS = ("halt", "cancel", "flatten", "broker")
VALUED = ("--by", "--reason", "--plan", "--db", "--group")
OPTIONS = (*VALUED, "--all", "--no-wait", "--json", "--resume")
FOLLOW_S_MAX = 20.0


class Arguments:
    """What could be understood, and what is to be said about the rest. A plain class: `dataclasses` costs 5 ms."""

    def __init__(self) -> None:
        self.account: str | None = None
        self.values: dict[str, str] = {}
        self.wait = True
        self.json = False
        self.help = False
        self.resume = False
        self.notes: list[str] = []


def parse(words: list[str]) -> Arguments:
    """Understand what can be understood. Doubt about the account halts everything."""
    made, names, doubtful = Arguments(), [], False
    said = [_readable(word) for word in words]
    rest = iter(range(len(words)))
    for place in rest:
        word = words[place]
        name, equals, value = word.partition("=")
        if name in VALUED:
            follows = words[place + 1] if place + 1 < len(words) else ""
            if not equals and follows.partition("=")[0] not in OPTIONS:
                value = follows
                next(rest, None)
            made.values[name] = value if name == "--db" else _readable(value)
        elif word in ("-h", "--help"):
            made.help = True
        elif word == "--all":
            doubtful = True  # everything: whatever else was named is inside
        elif word == "--no-wait":
            made.wait = False
        elif word == "--resume":
            made.resume = True
        elif word == "--json":
            made.json = True
        elif word.startswith("-") and word != "-":
            made.notes.append(f"`{said[place]}` is no option; it was ignored")
            follows = words[place + 1] if place + 1 < len(words) else ""
            doubtful = doubtful or bool(follows and not follows.startswith("-") and not equals)
        else:
            names.append(said[place])
    if len(names) == 1 and not doubtful:
        made.account = names[0]
    if "--group" in made.values and (names or doubtful):
        made.account = None  # more than the group was named: what is meant is not clear, so it is everything
        made.values.pop("--group")
        made.notes.append("more than the group is named: everything is halted")
    elif made.resume and made.account is None and names:
        made.notes.append(f"it is not clear which account is meant ({', '.join(names)}): all are carried on")
    elif made.account is None and names and "--all" not in words:
        made.notes.append(f"it is not clear which account is meant ({', '.join(names)}): everything is halted")
    return made


def main(words: list[str]) -> int:
    """Kill, report, follow the run; returns the exit status."""
    given = parse(words)
    if given.help:
        print(HELP)
        return 0
    if given.resume:
        from riskguard.cli.resume import resume

        return resume(given)
    plan = given.values.get("--plan", "cancel")
    if plan not in PLANS:
        given.notes.append(f"`--plan {plan}` is none of {', '.join(PLANS)}: `cancel` is done")
        plan = "cancel"
    if plan in ("flatten", "broker"):
        from riskguard.cli.operator import is_operator

        if not is_operator():
            given.notes.append(f"`--plan {plan}` needs a terminal or an operator token: `cancel` is done")
            plan = "cancel"
    by, reason = given.values.get("--by", ""), given.values.get("--reason", "")
    try:
        url = database_url(given.values.get("--db"))
    except Exception as e:  # no home, no default: what was named is tried all the same
        url = given.values.get("--db") or ""
        given.notes.append(f"the default database could not be found: {e}")
    outcomes = _engage(url, given, by or _user(), reason, plan)
    status = max(outcome.exit_status for outcome in outcomes)
    if killswitch.NOT_HALTED in [outcome.exit_status for outcome in outcomes]:
        status = killswitch.NOT_HALTED  # the worst of them, whatever its number
    runs: list[dict[str, Any]] = []
    if given.wait and any(outcome.exit_status == killswitch.HALTED for outcome in outcomes):
        try:
            from riskguard.cli.follow import follow

            accounts = [name for outcome in outcomes for name in outcome.accounts]
            runs = follow(url, accounts, show=not given.json, wait_s_max=FOLLOW_S_MAX)
        except KeyboardInterrupt:
            given.notes.append("the halt stands; a daemon or the next sweep carries the cancelling on")
        except Exception as e:
            given.notes.append(f"the halt stands, but its orders were not followed up here: {e}")
    try:
        _say(outcomes, status, given, plan, runs)
        sys.stdout.flush()
    except OSError:  # nobody listens any more; the exit status must still say what was reached
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return status


def _engage(url: str, given: Arguments, by: str, reason: str, plan: str) -> tuple[killswitch.KillOutcome, ...]:
    """Halt what is meant: all flags first. From there on anything may be imported."""
    group = given.values.get("--group")
    if group is not None:
        try:
            found = killswitch.engage_group(url, group, by=by, reason=reason, plan=plan)
            if found[0].scope == halt.GLOBAL:
                given.notes.append(f"no group `{group}` could be found: everything is halted instead")
            return found
        except Exception as e:
            given.notes.append(f"the group could not be halted account by account ({e}): everything is halted instead")
    with closing(Lookup(url)) as lookup:
        try:
            raised = killswitch.raise_flags(url, given.account, by=by, reason=reason, plan=plan, lookup=lookup)
        except Exception as e:  # whatever broke, the database may still take the row
            raised = killswitch.Raised(halt.new_kill_id(), halt.GLOBAL, [], f"no flag could be written: {e}")
        return (
            killswitch.engage(url, given.account, by=by, reason=reason, plan=plan, raised=raised, lookup=lookup),
        )  # fmt: skip


def _say(
    outcomes: tuple[killswitch.KillOutcome, ...], status: int, given: Arguments, plan: str, runs: list[dict[str, Any]]
) -> None:
    outcome = outcomes[0]
    if given.json:
        import json

        document = {
            "halted": all(each.halted for each in outcomes),
            "exit_status": status,
            "kill_id": outcome.kill_id,
            "scope": outcome.scope,
            "plan": plan,
            "flags": [str(path) for each in outcomes for path in each.flags],
            "runs": runs,
            "notes": [*given.notes, *(each.note for each in outcomes if each.note)],
        }
        if len(outcomes) > 1:
            document["kills"] = [
                {"kill_id": each.kill_id, "scope": each.scope, "exit_status": each.exit_status} for each in outcomes
            ]
        print(json.dumps(document))
        return
    for each in outcomes:
        print(each.report(), file=sys.stderr if each.exit_status == killswitch.NOT_HALTED else sys.stdout)
    for note in given.notes:
        print(f"note: {note}")
    say_runs(runs)


def say_runs(runs: list[dict[str, Any]]) -> None:
    """Name what is proven stopped and what is not, account by account."""
    if not runs:
        return
    from riskguard.cli.follow import is_over, proven

    for run in runs:
        word = "proven" if is_over(run) else "NOT proven"
        why = f", {run['blocked_by']}" if run["blocked_by"] else ""
        print(f"{run['account']}: {run['state']} at {run['step']} ({word}{why}): {run['detail']}")
        done, not_done = proven(run)
        if done:
            print(f"  proven: {'; '.join(done)}")
        if not_done:
            print(f"  NOT proven: {'; '.join(not_done)}")
            if run["state"] == "DONE" and not is_over(run):
                print(f"  nobody carries it on: kill again, or close what is left: riskguard exit {run['account']}")
            else:
                print(f"  carry it on: riskguard kill --resume {run['account']}")


def _user() -> str:
    return _readable(os.environ.get("RISKGUARD_BY", "")) or killswitch._user()


def _readable(text: str) -> str:
    """Return *text* as the database can keep it: bytes of a command line that are no text become `?`."""
    return text.encode(errors="replace").decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
