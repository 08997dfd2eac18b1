"""
Runs the `riskguard` command in forked processes: real ones, which do not pay the imports each time.

Started once by `shell.Forker`; reads one JSON request per line and answers each with its exit status. Nothing is
opened before the fork, so a child is what a fresh process would be after its imports.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import traceback


def child(request: dict[str, object]) -> int:
    """Become the command; return its exit status."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(str(request[name]), flags, 0o600), number)
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    if "TEST_LOOK_S" in os.environ:
        from riskguard.services.kill import lookup

        lookup.LOOK_S = float(os.environ["TEST_LOOK_S"])
    os.chdir(str(request["cwd"]))
    sys.argv = ["riskguard", *request["words"]]  # type: ignore[misc]
    try:
        from riskguard.cli.main import main

        main()
        status: object = 0
    except SystemExit as e:
        status = e.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else 0 if status is None else 1


def warm() -> None:
    """
    Do once what every process does again: import everything, compile the statements, read what is shipped, build the
    tree of commands. Nothing is opened, no home is looked into; the cold tests show that a command can do it by itself.
    """
    import alembic.command  # noqa: F401
    import apscheduler.schedulers.background  # noqa: F401

    import riskguard
    import riskguard.cli.app as door
    from riskguard.core.rulebook import parse
    from riskguard.locate import rulebook_text
    from riskguard.services.sweeps import charging
    from riskguard.store import calendar, market
    from riskguard.store.spelling import Prepared

    for found in pkgutil.walk_packages(riskguard.__path__, "riskguard."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    for each in gc.get_objects():
        if isinstance(each, Prepared):
            each.compiled()
    market.read(None)
    calendar.shipped()
    charging._shipped()
    parse(rulebook_text("default"), account="leader")
    door.app = door.whole()  # type: ignore[assignment]
    gc.freeze()  # a child shares these pages, and does not walk through them


def serve() -> None:
    warm()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.alarm(int(request["seconds"]))  # a command that hangs dies, and the test says so
            os._exit(child(request))
        _pid, waited = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(waited), flush=True)


if __name__ == "__main__":
    serve()
