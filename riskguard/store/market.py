"""
The dated market tables of this process: the shipped ones, and the user's own on top of them.

A user knows numbers no public table has (the multiplier of a contract, a protection percentage) and gets next
month's freeze quantities before we do: `market/<table>.csv` in the host directory, same form, is read after the
shipped table of that name. Files are read once, when the process first needs them.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from riskguard import data
from riskguard.core.market import VALUES, MarketTableError, MarketTables
from riskguard.home import host_home

log = logging.getLogger("riskguard")

FOLDER = "market"
BYTES_MAX = 4 * 1024 * 1024


def market_tables() -> MarketTables:
    """
    Return the tables this process judges by.

    A file of the user that cannot be used is left out with a warning, and `riskguard doctor` calls it an error:
    an exit must not hang on a comma. What it would have said is unknown then, and unknown refuses.
    """
    try:
        home = str(host_home())
    except RuntimeError:  # a user without a home has no files there
        home = ""
    return _tables(home)


@lru_cache(maxsize=4)
def _tables(home: str) -> MarketTables:
    found, wrong = read(Path(home) / FOLDER if home else None)
    for each in wrong:
        log.warning("%s; it is left out", each)
    return found


def read(folder: Path | None) -> tuple[MarketTables, list[str]]:
    """Return the tables with the user's files of *folder*, and what is wrong with those that were left out."""
    texts = {name: [data.market_text(name)] for name in VALUES}
    wrong = []
    for path in sorted(folder.glob("*.csv")) if folder is not None and folder.is_dir() else ():
        name = path.stem
        try:
            with path.open(encoding="utf-8-sig") as file:
                text = file.read(BYTES_MAX)
            MarketTables.parse({name: (text,)})
        except (OSError, UnicodeDecodeError, MarketTableError) as e:
            wrong.append(f"`{path}`: {e}")
        else:
            texts[name].append(text)
    return _parsed(tuple((name, tuple(each)) for name, each in texts.items())), wrong


@lru_cache(maxsize=4)
def _parsed(texts: tuple[tuple[str, tuple[str, ...]], ...]) -> MarketTables:
    """Read the same texts once, whatever home they are read for: it is a third of what opening a guard costs."""
    return MarketTables.parse(dict(texts))
