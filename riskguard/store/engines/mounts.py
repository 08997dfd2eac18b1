"""
Which file system a file lies on, as far as this host tells: SQLite's locks are only as good as the file system's.

On a network file system a lock may be granted twice, and the shared memory of the log is not shared between hosts at
all: both sides would approve what together passes a limit. Standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "coda", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone"}
)  # fmt: skip
"""A database is refused here."""
SHARED = frozenset({"9p", "ceph", "fuse.ceph", "gfs2", "ocfs2", "lustre", "glusterfs", "virtiofs", "vboxsf", "prl_fs"})
"""Sound only while one machine alone uses it, which nobody here can know: `riskguard doctor` says so."""

_kinds: dict[int, str | None] = {}


def kind_of(path: Path | str) -> str | None:
    """Return the type of the file system *path* lies on (`ext4`, `nfs4`, …); None where the host does not tell."""
    try:
        device = os.stat(path).st_dev
    except OSError:
        return None
    return kind_of_device(device)


def kind_of_device(device: int) -> str | None:
    """The same for `st_dev`; read once for each device, because every opening of a database asks."""
    if device not in _kinds:
        _kinds[device] = _read(f"{os.major(device)}:{os.minor(device)}")
    return _kinds[device]


def forget() -> None:
    """Read it anew: a mount may have changed."""
    _kinds.clear()


def _read(device: str) -> str | None:
    try:
        lines = MOUNTINFO.read_text(errors="replace").splitlines()
    except OSError:
        return None  # no Linux, or no /proc
    for line in lines:
        fields, separator, rest = line.partition(" - ")
        if separator and fields.split()[2:3] == [device]:
            return rest.split()[0]
    return None
