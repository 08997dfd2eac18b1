"""How the command speaks: one JSON document or plain tables on standard output, errors in one line."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

from riskguard.errors import (
    DecisionUnknownError,
    InputError,
    PermitError,
    ReleaseRefusedError,
    RiskGuardError,
)
from riskguard.redaction import redacted

OK, ERROR, USAGE, REFUSED, NOT_HALTED, HALTED_HERE = 0, 1, 2, 3, 4, 5

STATUS_HELP = "Exit status: 0 done or approved; 1 error or unknown outcome; 2 malformed input; 3 refused."

P = ParamSpec("P")
R = TypeVar("R")


def document(data: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(data, default=str, indent=2 if sys.stdout.isatty() else None))


def say(text: str) -> None:
    """Print one line for people."""
    print(text)


def fail(message: str, status: int) -> NoReturn:
    """Say what is wrong in one line on standard error, and leave."""
    print(f"riskguard: {redacted(' '.join(message.split()))}", file=sys.stderr)
    raise typer.Exit(status)


def status_of(error: RiskGuardError) -> int:
    """Return the exit status an error stands for."""
    if isinstance(error, DecisionUnknownError):
        return ERROR
    if isinstance(error, InputError):
        return USAGE
    if isinstance(error, ReleaseRefusedError | PermitError):
        return REFUSED
    return ERROR


def usage_status(error: Exception, *, as_json: bool) -> int | None:
    """
    Say in one line what typer found wrong with the words of a command; None when the error is not about them.

    By what it can do and not by its class: typer brought its own copy of click in 2026, and both are in use.
    """
    if isinstance(error, typer.Abort):
        print("riskguard: stopped, nothing was done", file=sys.stderr)
        return ERROR
    said = getattr(error, "format_message", None)
    if said is None:
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        print(said(), file=sys.stderr)
        return USAGE
    message = redacted(" ".join(said().split()))
    context = getattr(error, "ctx", None)
    path = "riskguard" if context is None else context.command_path
    if as_json:
        document({"error": "UsageError", "message": message})
    print(f"riskguard: {message.rstrip('.')}; see `{path} --help`", file=sys.stderr)
    return USAGE


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn riskguard's errors into one line and their exit status; with `--json` also into a document."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except RiskGuardError as e:
            message = "; ".join((str(e), *getattr(e, "__notes__", ())))  # a note says what came of undoing the act
            if kwargs.get("as_json"):
                document({"error": type(e).__name__, "message": redacted(message)})
            fail(message, status_of(e))
        except BrokenPipeError:
            raise  # whoever read us is gone: `main` leaves without a word
        except (OSError, MemoryError) as e:
            fail(f"{type(e).__name__}: {e}", ERROR)

    return wrapped


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table with rich; plain when piped."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    # Piped output is for programs and grep: no terminal's width may cut it.
    Console(width=None if sys.stdout.isatty() else 240, highlight=False).print(shown)
