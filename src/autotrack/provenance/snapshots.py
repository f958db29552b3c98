"""Snapshots of models on their way to a safe format: signed when taken, checked before anything looks inside.

A snapshot may be a pickle, and loading a pickle runs code. Each is therefore signed (HMAC-SHA256) with a key that only
this user's account holds, and one that was not signed with it (a home folder that came with a cloned repository, say)
is refused. The file is `signature (32 bytes), length of the converter's name (u16), the name, the data`. A model that
is kept in parts is a snapshot too: of its recipe, with `IN_PARTS` in the converter's place.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from autotrack.errors import AutotrackError

IN_PARTS: Final = "in parts"


class SnapshotRefused(AutotrackError):
    """A snapshot that this account did not sign, or that is not there any more."""


def take(home: Path, converter: str, data: bytes) -> str:
    """Spool a snapshot; returns its name. When this returns it survives the death of the process."""
    name = secrets.token_hex(8)
    folder = home / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    head = len(converter).to_bytes(2, "little") + converter.encode()
    signature = _sign(head, data)
    path = folder / f"{name}.snapshot"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(signature + head)
            file.write(data)
    except BaseException:  # the disk is full: what is there of it is of no use
        path.unlink(missing_ok=True)
        raise
    return name


def read(home: Path, name: str) -> tuple[str, bytes]:
    """The converter and the data of a snapshot. Raises `SnapshotRefused`."""
    try:
        content = path_of(home, name).read_bytes()
    except FileNotFoundError:
        raise SnapshotRefused(f"the snapshot {name} is not in {home / 'spool'} any more") from None
    signature, rest = content[:32], content[32:]
    length = int.from_bytes(rest[:2], "little")
    head, data = rest[: 2 + length], rest[2 + length :]
    if not hmac.compare_digest(signature, _sign(head, data)):
        raise SnapshotRefused(f"the snapshot {name} was not taken by this account on this machine and is not opened")
    return head[2:].decode(), data


def discard(home: Path, name: str) -> None:
    """Remove a snapshot that has been converted."""
    path_of(home, name).unlink(missing_ok=True)


def path_of(home: Path, name: str) -> Path:
    """Where a snapshot lies."""
    return home / "spool" / f"{name}.snapshot"


def _sign(head: bytes, data: bytes) -> bytes:
    # Hashing first lets the data be signed in place, without a copy.
    return hmac.digest(_key(), hashlib.sha256(head).digest() + hashlib.sha256(data).digest(), "sha256")


def _key() -> bytes:
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "autotrack"
    path = folder / "snapshot-key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f".{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    try:
        os.link(draft, path)
    except FileExistsError:  # another process was first: its key counts
        pass
    draft.unlink()
    return path.read_bytes()
