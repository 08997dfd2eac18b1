"""`riskguard sandbox`: a Dhan of one account on this machine, to rehearse against."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from riskguard.cli.output import one_line_errors, say


@one_line_errors
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API; 0: any that is free.")] = 8_700,
    stream_port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the order updates; 0: any.")] = 0,
    scenario: Annotated[
        Path | None, typer.Option("--scenario", help="TOML file: account, market, behaviour and faults.")
    ] = None,
) -> None:
    """
    Serve Dhan's API on this machine: orders that fill, positions that lag, switches, limits, and faults on demand.

    Nothing leaves this machine and no real account is touched. Stop it with Ctrl-C. See docs/how-to/sandbox.md.

    Exit status: 0 stopped; 1 error; 2 malformed input.
    """
    from riskguard.brokers.dhan.sandbox import Sandbox, Scenario, read_scenario

    played = read_scenario(scenario) if scenario is not None else Scenario()
    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopped.set())
    with Sandbox(played, port=port, stream_port=stream_port) as running:
        say(f"base URL  {running.url}")
        say(f"updates   {running.stream_url}")
        say(f"client id {played.client_id}")
        say(f"token     {played.token}")
        say("")
        say("with dhanhq:     context = DhanContext(client_id, token)")
        say(f'                 context.get_dhan_http().base_url = "{running.url}"')
        say(f"with riskguard:  riskguard init --profile dhan --client-id {played.client_id} --base-url {running.url}")
        say('move the market: curl -d \'{"segment": "NSE_EQ", "security_id": "1333", "ltp": "1650"}\' \\')
        say(f"                   {running.url.removesuffix('/v2')}/sandbox/quote")
        sys.stdout.flush()  # whoever started it through a pipe waits for these lines
        while not stopped.wait(3_600):
            pass
    say("stopped")
