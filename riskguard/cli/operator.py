"""
Who may do what a strategy must not: a person at a terminal, or a program with the operator's token.

The token stands in the environment (`RISKGUARD_OPERATOR_TOKEN`); only its SHA-256 is kept, in `operator.sha256`
of the host directory, 0600. Make one with `riskguard operator-token`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
from pathlib import Path

from riskguard.home import host_home

VARIABLE = "RISKGUARD_OPERATOR_TOKEN"


def token_file() -> Path:
    return host_home() / "operator.sha256"


def is_operator() -> bool:
    """Say whether a person sits at a terminal, or the right token is in the environment."""
    if sys.stdin is not None and sys.stdin.isatty():
        return True
    given = os.environ.get(VARIABLE, "")
    try:
        kept = token_file().read_text().strip()
    except OSError:
        return False
    return bool(given and kept) and hmac.compare_digest(hashlib.sha256(given.encode()).hexdigest(), kept)


def new_token() -> str:
    """Make a token, keep its hash, and return it: it is shown once and kept nowhere."""
    token = secrets.token_urlsafe(32)
    path = token_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, hashlib.sha256(token.encode()).hexdigest().encode())
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    return token
