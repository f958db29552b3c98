"""The code of a run as a page shows it: the uncommitted change as a diff, and the files of the capsule.

A record's `code` and the blobs enter; text leaves. The change is taken with git where the repository is still on this
machine, with no hook, filter or text converter run; elsewhere from the capsule, which knows what was there and not
what was there before.
"""

from __future__ import annotations

import os
import re
import socket
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code.archive import read
from autotrack.provenance.code.bundle import Damaged, tree_files
from autotrack.provenance.code.git import Git, GitFailed
from autotrack.provenance.code.sifting import Stopped
from autotrack.provenance.parts import PartDamaged

MOST_DIFF: Final = 512 << 10
"""Bytes of a change that are shown."""
MOST_TEXT: Final = 256 << 10
"""Of one file."""
MOST_FILES: Final = 2000
LARGEST_CAPSULE: Final = 48 << 20
SECONDS: Final = 5.0
LONG_FILE: Final = 5000
"""Changed lines from which a file's change is not shown."""
MOST_LONG: Final = 200

REMEMBERED: Final = 4
"""Capsules that stay in memory: who reads one file of one will read another."""
_recent: OrderedDict[tuple[str, str], dict[str, bytes]] = OrderedDict()

_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_LINK: Final = "120000"


class _Unknown(Exception):
    """It cannot be told; the text says why."""


def code(blobs: Blobs, record: dict[str, Any]) -> dict[str, Any]:
    """The run's `code` and `{diff, diff_problem, diff_truncated, listing[{path, bytes}], listing_problem}`."""
    told = dict(record.get("code") or {})
    contents: dict[str, bytes] = {}
    problem = None
    try:
        contents = _contents(blobs, told)
    except _Unknown as why:
        problem = str(why)
    listing = [{"path": path, "bytes": len(content)} for path, content in sorted(contents.items())]
    told |= {"listing": listing[:MOST_FILES], "listing_total": len(listing), "listing_problem": problem}
    diff, why_not = _change(told, record.get("environment") or {}, contents)
    cut = len(diff) > MOST_DIFF
    return told | {"diff": diff[:MOST_DIFF], "diff_truncated": cut, "diff_problem": why_not}


def source(blobs: Blobs, record: dict[str, Any], path: str) -> dict[str, Any] | None:
    """One file of the capsule as `{path, text, bytes, truncated}`; `text` is None where it is none. None: no such."""
    try:
        content = _contents(blobs, record.get("code") or {}).get(path)
    except _Unknown:
        return None
    if content is None:
        return None
    told = {"path": path, "bytes": len(content), "truncated": len(content) > MOST_TEXT}
    return told | {"text": None if b"\0" in content[:8192] else content[:MOST_TEXT].decode(errors="replace")}


def _contents(blobs: Blobs, told: dict[str, Any]) -> dict[str, bytes]:
    kind = told.get("kind")
    named = told.get("bundle") if kind == "git" else told.get("archive")
    if not isinstance(named, dict) or kind not in ("git", "files"):
        raise _Unknown(told.get("problem") or "no sources were kept with this run (AUTOTRACK_CODE)")
    if int(named.get("bytes") or 0) > LARGEST_CAPSULE:
        raise _Unknown("the capsule is too large to be looked into here: autotrack reproduce RUN --check unpacks it")
    try:
        return _read(blobs, str(named["digest"]), str(told["tree"]) if kind == "git" else "")
    except FileNotFoundError:
        raise _Unknown(f"the capsule {str(named['digest'])[:12]} is not kept here any more") from None
    except (Damaged, PartDamaged, ValueError, IndexError, OSError) as problem:
        raise _Unknown(f"the capsule cannot be read: {problem}") from None


def _read(blobs: Blobs, digest: str, tree: str) -> dict[str, bytes]:
    known = _recent.get((digest, tree))
    if known is None:
        known = _recent[digest, tree] = _unpacked(blobs, digest, tree)
        while len(_recent) > REMEMBERED:
            _recent.popitem(last=False)
    return known


def _unpacked(blobs: Blobs, digest: str, tree: str) -> dict[str, bytes]:
    if blobs.size(digest) > LARGEST_CAPSULE:
        raise Damaged("it is larger than the record says")
    with blobs.open(digest) as opened:
        data = opened.read()
    if tree:
        return {file.path: file.content for file in tree_files(data, tree) if file.mode != _LINK}
    return {name: content for name, content, _ in read(data)}


def _change(told: dict[str, Any], environment: dict[str, Any], contents: dict[str, bytes]) -> tuple[str, str | None]:
    """The uncommitted change as a unified diff, and what it lacks."""
    if told.get("kind") != "git" or not told.get("dirty"):
        return "", None
    commit, snapshot = str(told.get("commit") or ""), str(told.get("snapshot") or "")
    try:
        if not _COMMIT.fullmatch(commit):
            raise _Unknown("there was no commit yet")
        if not _COMMIT.fullmatch(snapshot) or environment.get("host") != socket.gethostname():
            raise _Unknown("the repository is on another machine")
        return _from_git(str(told.get("root") or ""), commit, snapshot), None
    except _Unknown as why:
        new = [one["path"] for one in told.get("changes") or () if one.get("change") in ("added", "untracked")]
        parts = [_addition(path, contents[path]) for path in new if path in contents]
        return "".join(parts), f"{why}: new files are shown, what was changed or deleted is only named"


def _from_git(root: str, commit: str, snapshot: str) -> str:
    folder = Path(root)
    if not folder.is_absolute() or not (folder / ".git").exists():
        raise _Unknown(f"the repository {root} is not here any more")
    command = ("diff-tree", "-r", "-M", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index")
    git = Git(folder, SECONDS)
    try:
        # Data that lies about uncommitted would hide the change of the code: what is long is only named.
        counts = git.run(*command, "--no-renames", "--numstat", "-z", commit, snapshot).split(b"\0")
        long = [os.fsdecode(one.split(b"\t", 2)[2]) for one in counts if _lines(one) > LONG_FILE]
        without = [f":(top,exclude,literal){path}" for path in long[:MOST_LONG]]
        told = git.run(*command, "-p", "--submodule=short", commit, snapshot, "--", ":(top)", *without)
    except (GitFailed, Stopped) as problem:
        raise _Unknown(f"git cannot tell ({problem})") from None
    return told.decode(errors="replace")


def _lines(count: bytes) -> int:
    """Lines that a file gained and lost, of a row of `--numstat`; binary ones have none."""
    added, _, rest = count.partition(b"\t")
    removed = rest.partition(b"\t")[0]
    return int(added) + int(removed) if added.isdigit() and removed.isdigit() else 0


def _addition(path: str, content: bytes) -> str:
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n"
    if b"\0" in content[:8192]:
        return f"{head}Binary files /dev/null and b/{path} differ\n"
    lines = content[:MOST_TEXT].decode(errors="replace").splitlines()
    body = "".join(f"+{line}\n" for line in lines)
    return f"{head}--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}"


__all__ = ["code", "source"]
