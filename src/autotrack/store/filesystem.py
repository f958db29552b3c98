"""Which paths lie on a network file system: there SQLite's write-ahead log, which shares memory, cannot be used.

A path enters; the type of its file system and whether it may be shared between machines leave.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

NETWORK: Final = frozenset((
    "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cephfs", "cifs", "cvmfs", "davfs", "eos", "fhgfs", "gfs", "gfs2",
    "glusterfs", "gpfs", "hdfs", "lustre", "macfuse", "ncp", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs",
    "osxfuse", "panfs", "pvfs2", "smb2", "smb3", "smbfs", "sshfs", "virtiofs", "vboxsf", "webdav", "wekafs",
))  # fmt: skip
_LOCAL_FUSE: Final = frozenset({"fuse.overlayfs", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.ext2", "fuse.encfs"})


def type_of(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that holds `path` (`ext4`, `nfs4`, …), or `""` where that cannot be told.

    `mounts` is the text of a table of mounts in the form of `/proc/mounts`; by default, the system's own.
    """
    if mounts is None:
        mounts = _mounts()
    wanted = os.path.realpath(path)
    best, found = -1, ""
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), parts[1])
        inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # the later of two mounts on one point hides the earlier
            best, found = len(point), parts[2]
    return found


def is_network(path: Path, mounts: str | None = None) -> bool:
    """Whether `path` lies on a file system that other machines may have mounted too."""
    kind = type_of(path, mounts).lower()
    if kind.startswith("fuse."):
        return kind not in _LOCAL_FUSE
    return kind in NETWORK


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(errors="surrogateescape")
    except OSError:
        pass
    try:
        import psutil

        partitions = psutil.disk_partitions(all=True)
    except Exception:  # psutil absent, or it cannot tell on this system: taken as local
        return ""
    return "\n".join(
        f"{part.device.replace(' ', '_') or '-'} {part.mountpoint.replace(' ', chr(92) + '040')} {part.fstype or '-'}"
        for part in partitions
    )
