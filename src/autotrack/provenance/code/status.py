"""What `git status --porcelain=v2 -z` tells (git-status(1), "Porcelain Format Version 2"), as data."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

_WORDS: Final = {"A": "added", "D": "deleted"}


@dataclass
class Status:
    """The state of a work tree against its index and its commit; paths are relative to the root."""

    commit: str | None = None
    """None on a branch that has no commit yet."""
    branch: str | None = None
    """None where HEAD is detached."""
    changes: dict[str, str] = field(default_factory=dict)
    """By path: added, modified, deleted, untracked, unmerged or submodule."""
    changed: set[str] = field(default_factory=set)
    """Files whose content is not, or may not be, what the index has; untracked ones with them."""
    deleted: set[str] = field(default_factory=set)
    """Files that the index has and the folder has not."""
    untracked: list[str] = field(default_factory=list)
    """Files that git does not know and does not ignore; a repository of its own ends with `/`."""
    submodules: dict[str, str] = field(default_factory=dict)
    """Submodules that differ, each with the letters `C` (another commit), `M` (changes) and `U` (untracked files)."""


def read_status(output: bytes) -> Status:
    """Read the output of `git status --porcelain=v2 --branch -z --no-renames`."""
    found = Status()
    for line in output.split(b"\0"):
        text = os.fsdecode(line)
        kind = text[:1]
        if kind == "#":
            _head(found, text)
        elif kind == "?":
            path = text[2:]
            found.untracked.append(path)
            found.changed.add(path)
            found.changes[path] = "untracked"
        elif kind == "1":
            _, states, module, _, _, _, _, _, path = text.split(" ", 8)
            _ordinary(found, states, module, path)
        elif kind == "u":
            parts = text.split(" ", 10)
            found.changes[parts[10]] = "unmerged"
            (found.deleted if parts[6] == "000000" else found.changed).add(parts[10])
    return found


def _head(found: Status, text: str) -> None:
    _, name, value = text.split(" ", 2)
    if name == "branch.oid" and value != "(initial)":
        found.commit = value
    elif name == "branch.head" and value != "(detached)":
        found.branch = value


def _ordinary(found: Status, states: str, module: str, path: str) -> None:
    index, folder = states[0], states[1]
    if module[0] == "S":
        found.submodules[path] = module[1:].replace(".", "")
        found.changes[path] = "submodule"
        return
    if folder == "D":
        found.deleted.add(path)
    elif folder != ".":
        found.changed.add(path)
    found.changes[path] = "deleted" if folder == "D" else _WORDS.get(index) or _WORDS.get(folder) or "modified"
