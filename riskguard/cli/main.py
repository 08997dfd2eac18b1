"""
The door of the `riskguard` command.

`kill` goes its own way before anything else is imported: until its flag is on disk it needs only the standard
library. Everything else is a typer application.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; never shows a traceback unless RISKGUARD_DEBUG is set."""
    status: object = 1
    if len(sys.argv) > 1 and sys.argv[1] == "kill":
        from riskguard.cli.kill import main as kill

        sys.exit(kill(sys.argv[2:]))
    if not all(map(_is_text, sys.argv)):
        print("riskguard: the words of this command hold bytes that are no text: type them again", file=sys.stderr)
        sys.exit(2)
    try:
        from riskguard.cli.app import app

        status = app(standalone_mode=False)  # a command ends with its status, or with nothing when all went well
    except (BrokenPipeError, KeyboardInterrupt):
        # Whoever read us is gone, or a person stopped us: nothing more to say.
        os._exit(130)
    except Exception as e:
        from riskguard.cli.output import usage_status

        found = usage_status(e, as_json="--json" in sys.argv)
        if found is not None:
            sys.exit(found)
        from riskguard.redaction import redacted

        if os.environ.get("RISKGUARD_DEBUG"):
            import traceback

            print(redacted(traceback.format_exc()), end="", file=sys.stderr)
            sys.exit(1)
        said = redacted(f"{type(e).__name__}: {e}")
        print(f"riskguard: internal error: {said}; set RISKGUARD_DEBUG=1 to see where", file=sys.stderr)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _is_text(word: str) -> bool:
    """Say whether the database and the terminal can keep *word*: a command line may hold any bytes."""
    return word.isascii() or not any("\ud800" <= character <= "\udfff" for character in word)
