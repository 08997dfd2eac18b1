"""
Runs the `riskguard` command in forked processes: real ones, which do not pay the imports each time.

Started once by `shell.Forker`; reads one JSON request per line and answers each with its exit status. Nothing is
opened before the fork, so a child is what a fresh process would be after its imports.
"""

from __future__ import annotations

import json
import os
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


def serve() -> None:
    # What the commands import lazily is imported here, once; the cold tests show that they can do it themselves.
    import riskguard.cli.app
    import riskguard.cli.follow
    import riskguard.services.overview
    import riskguard.services.setup
    import riskguard.services.wiring
    import riskguard.store.inspect  # noqa: F401

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
