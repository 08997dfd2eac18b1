"""
The typer application: each command reads its options, calls one service, and prints.

A command's module is imported, and its options read, when it is the one asked for: for thirty of them that is most of what
a command takes.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from riskguard.cli.commands import COMMANDS
from riskguard.cli.kill import HELP as KILL_HELP

_STYLE: Final[dict[str, Any]] = {"no_args_is_help": True, "pretty_exceptions_enable": False, "rich_markup_mode": None}


def build(name: str) -> Any:
    """Import one command and read its options."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(f"riskguard.cli.{module}"), attribute)
    alone = typer.Typer(**_STYLE, add_completion=False)
    alone.callback()(lambda: None)  # or typer would take an application of one command for that command
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    elif name == "kill":
        takes = {"allow_extra_args": True, "ignore_unknown_options": True}
        alone.command(name, help=KILL_HELP, short_help=COMMANDS[name][1], context_settings=takes)(found)
    else:
        alone.command(name)(found)
    group: Any = typer.main.get_command(alone)
    return group.commands[name]


class Commands(TyperGroup):
    """The commands by name; until one is asked for, only its name and the line `--help` shows of it."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._built: set[str] = set()
        for name, (_, words) in COMMANDS.items():
            self.commands[name] = TyperCommand(name, help=words)

    def built(self, name: str) -> Any:
        """Return the command itself."""
        if name not in self._built:
            self.commands[name] = build(name)
            self._built.add(name)
        return self.commands[name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command the words name; asked by whoever runs or completes it, not by who lists them."""
        if args[0] in COMMANDS:
            self.built(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="riskguard",
    cls=Commands,
    help="A risk-control engine with a kill switch for people who trade by program.",
    add_completion=True,
    **_STYLE,
)


def whole() -> Commands:
    """Return the application with every command built, for who looks at all of them."""
    made: Any = typer.main.get_command(app)
    for name in COMMANDS:
        made.built(name)
    found: Commands = made
    return found


def kill(context: typer.Context) -> None:
    # Listed here so that `riskguard --help` shows it; `riskguard.cli.main` runs it before typer is imported.
    from riskguard.cli.kill import main

    raise typer.Exit(main(context.args))


def _version(wanted: bool) -> None:
    if wanted:
        from riskguard import __version__

        print(f"riskguard {__version__} (Python {sys.version.split()[0]})")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A risk-control engine with a kill switch for people who trade by program."""
