"""The names that git gives to objects: the hash of a head and the content (gitformat-pack(5), gitdatamodel).

With them a snapshot is known before git is asked to make it, and need not be made again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any, Final

COMMIT: Final = "tree {}\nauthor {who} 0 +0000\ncommitter {who} 0 +0000\n\n{message}"


def name_of(kind: str, content: bytes, length: int) -> str:
    """The name of an object, of `length` hexadecimal digits: 40, or 64 where the repository uses SHA-256."""
    named = hashlib.sha1(usedforsecurity=False) if length == 40 else hashlib.sha256()
    named.update(f"{kind} {len(content)}\0".encode())
    named.update(content)
    return named.hexdigest()


def name_of_tree(files: Iterable[tuple[str, str, str]], length: int) -> str:
    """The name of the tree that holds these files, each a path, a mode and an object."""
    root: dict[bytes, Any] = {}
    for path, mode, name in files:
        *folders, last = os.fsencode(path).split(b"/")
        folder = root
        for part in folders:
            folder = folder.setdefault(part, {})
        folder[last] = mode.encode(), bytes.fromhex(name)
    return _tree(root, length)


def name_of_commit(tree: str, who: str, message: str, length: int) -> str:
    """The name of a commit of `tree` without parents, by `who` at the beginning of time."""
    return name_of("commit", COMMIT.format(tree, who=who, message=message).encode(), length)


def _tree(folder: dict[bytes, Any], length: int) -> str:
    entries = []
    for name, one in folder.items():
        if isinstance(one, dict):
            entries.append((name + b"/", b"40000 " + name + b"\0" + bytes.fromhex(_tree(one, length))))
        else:
            entries.append((name, one[0] + b" " + name + b"\0" + one[1]))
    return name_of("tree", b"".join(entry for _, entry in sorted(entries)), length)
