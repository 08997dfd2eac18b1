"""
Sends one alert through apprise, in a process of its own: what hangs in a service's library is killed with it.

Reads one JSON document on standard input (`url`, `title`, `message`, `severity`, `check`) and answers with one on
standard output (`ok`, `error`). Run by path, so that nothing of riskguard is imported; the URL is never an argument.
"""

from __future__ import annotations

import json
import logging
import sys


class _Kept(logging.Handler):
    """Keeps what apprise says of its failure: it returns no reason."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def main() -> int:
    given = json.load(sys.stdin)
    kept = _Kept()
    root = logging.getLogger()
    root.handlers[:] = [kept]
    try:
        import apprise
    except ImportError:
        return _answer(False, "apprise is not installed: `pip install 'riskguard[notify]'`")
    kinds = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
    sender = apprise.Apprise()
    if not sender.add(given["url"]):
        return _answer(False, "apprise does not know such a URL")
    if given.get("check"):
        return _answer(True, "")
    done = sender.notify(
        title=given["title"], body=given["message"], body_format=apprise.NotifyFormat.TEXT,
        notify_type=kinds.get(given["severity"], apprise.NotifyType.INFO),
    )  # fmt: skip
    return _answer(bool(done), "" if done else "; ".join(kept.said)[-500:] or "apprise gave no reason")


def _answer(ok: bool, error: str) -> int:
    json.dump({"ok": ok, "error": error}, sys.stdout)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
