"""Where a file in the folder is not what git keeps of it, though git calls it unchanged.

An index, settings and the files of attributes enter; what leaves is which files have to be taken as they lie in the
folder: those that git was told not to look at, and those whose line ends, encoding or content are changed on their way
into the repository. What is encrypted on that way is a secret, and stays out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Final

from autotrack.provenance.code.git import Git
from autotrack.provenance.code.index import Index

_CONVERTS: Final = re.compile(rb"(?m)\b(text|eol|crlf|ident|filter|working-tree-encoding)\b")
_ENCRYPTS: Final = re.compile(r"crypt|sops|secret|vault|gpg|\bage\b", re.IGNORECASE)
"""Names of filters such as `git-crypt`, `transcrypt`'s `crypt`, `git-agecrypt`, `sops`."""
_MOST: Final = 1 << 20


def attributes(git: Git, index: Index, untracked: Iterable[str], others: Iterable[str]) -> bytes:
    """What all files of attributes say: those in the folder, and `others` by their paths."""
    named = {path for path in (*index.files, *untracked) if path.rpartition("/")[2] == ".gitattributes"}
    found = []
    for path in [*sorted(named), *others]:
        try:
            with open(os.path.join(git.folder, path), "rb") as opened:
                found.append(opened.read(_MOST))
        except OSError:
            continue
    return b"\n".join(found)


def everywhere(settings: Mapping[str, str], repository: str) -> list[str]:
    """The files of attributes that lie outside of the folder: the repository's own, and the user's."""
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    told = settings.get("core.attributesfile")
    return [repository, os.path.expanduser(told) if told else os.path.join(own, "git", "attributes")]


def converted(git: Git, index: Index, told: bytes, settings: Mapping[str, str], sizes: Mapping[str, int]) -> set[str]:
    """Of unchanged files, by their sizes in the folder, those that git keeps with another size. Raises `GitFailed`."""
    ends = settings.get("core.autocrlf", "").lower() in ("true", "input", "1", "yes", "on", "")
    if not (_CONVERTS.search(told) or (ends and "core.autocrlf" in settings)):
        return set()
    names = [index.files[path][1] for path in sizes]
    given = "".join(name + "\n" for name in names).encode()
    lines = git.run("cat-file", "--batch-check=%(objectsize)", stdin=given).splitlines() if names else []
    return {path for path, line in zip(sizes, lines, strict=True) if line.isdigit() and int(line) != sizes[path]}


def encrypted(git: Git, told: bytes, paths: Iterable[str]) -> dict[str, str]:
    """Files that a filter encrypts before git keeps them, with its name. Raises `GitFailed`."""
    if not _ENCRYPTS.search(" ".join(re.findall(r"filter=(\S+)", told.decode(errors="replace")))):
        return {}
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    fields = git.run("check-attr", "-z", "--stdin", "filter", stdin=given).split(b"\0")
    pairs = zip(fields[0::3], fields[2::3], strict=False)
    return {os.fsdecode(path): name.decode(errors="replace") for path, name in pairs if _ENCRYPTS.search(name.decode())}
