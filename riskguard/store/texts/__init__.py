"""The compiled text of every statement written with `store.spelling`, one file for each database, by digest of spelling."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

Dialect = Literal["sqlite", "postgresql"]


def path(dialect: Dialect) -> Path:
    return Path(__file__).with_name(f"{dialect}.json")


@cache
def kept(dialect: Dialect) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return digest -> (text, values written into it). A file that cannot be read keeps nothing: Core makes the texts."""
    loader: Any = __spec__.loader  # reads a checkout, a wheel and a zip
    try:
        lines = json.loads(loader.get_data(str(path(dialect))))
    except OSError:
        return {}
    return {digest: (text, constants) for digest, text, constants in lines}
