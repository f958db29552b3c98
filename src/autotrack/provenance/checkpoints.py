"""Which run saved a checkpoint, so that a training that goes on from it in a later process goes on with that run.

Each checkpoint that a run saves is remembered in `<home>/checkpoints`, one small file under its path and one under what
it is (name, sizes, time of its last change), so that one that was moved is found too. A file that somebody else has
written there since is not taken for the one that was remembered. The checkpoint is neither changed nor read.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autotrack.events import Step


def remember(home: Path, run: str, path: str | os.PathLike[str], step: Step | None) -> None:
    """`run` saved the checkpoint, a file or a folder, that is now at `path`. Raises `OSError` where there is none."""
    place, identity = _place(path), _identity(path)
    folder = home / "checkpoints"
    folder.mkdir(exist_ok=True)
    content = json.dumps({"run": run, "path": place, "identity": identity, "step": step})
    for key in (place, identity):
        draft = folder / f".{os.getpid()}-{secrets.token_hex(4)}"
        draft.write_text(content)
        draft.replace(folder / _name(key))


def run_behind(home: Path, path: str | os.PathLike[str]) -> str | None:
    """The id of the run that saved the checkpoint at `path`, or None."""
    try:
        identity = _identity(path)
    except OSError:
        return None
    for key in (_place(path), identity):
        try:
            kept = json.loads((home / "checkpoints" / _name(key)).read_text())
        except (OSError, ValueError):
            continue
        if kept.get("identity") == identity:
            run: str = kept["run"]
            return run
    return None


def _place(path: str | os.PathLike[str]) -> str:
    return os.path.realpath(path)


def _identity(path: str | os.PathLike[str]) -> str:
    top = Path(path)
    files = sorted(item for item in top.rglob("*") if item.is_file()) if top.is_dir() else [top]
    told = [top.name]
    for file in files:
        facts = file.stat()
        told.append(f"{file.relative_to(top)} {facts.st_size} {facts.st_mtime_ns}")
    return "\n".join(told)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32] + ".json"
