"""What an index of git holds beside plain files, without their content: submodules and pointers of Git LFS."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Final

from autotrack.provenance.code.git import Git, GitFailed
from autotrack.provenance.code.sifting import shown
from autotrack.provenance.code.status import Status
from autotrack.provenance.masking import masked

_POINTER: Final = re.compile(rb"version https://[^\n]*git-lfs[^\n]*\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_LONGEST_POINTER: Final = 1024


@dataclass
class Index:
    """Files as (mode, object) and submodules as commits, both by path."""

    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    submodules: dict[str, str] = field(default_factory=dict)
    unlooked: set[str] = field(default_factory=set)
    """Files that git was told to take for unchanged: `assume-unchanged`, `skip-worktree`."""


def read_index(output: bytes) -> Index:
    """The index as `git ls-files --stage -v -z` prints it."""
    found = Index()
    for line in output.split(b"\0"):
        if line:
            about, _, name = line.partition(b"\t")
            tag, mode, object_name, _ = about.decode().split(" ")
            path = os.fsdecode(name)
            if mode == "160000":
                found.submodules[path] = object_name
                continue
            found.files[path] = mode, object_name
            if tag.islower() or tag == "S":
                found.unlooked.add(path)
    return found


def read_settings(output: bytes) -> dict[str, str]:
    """Settings by name as `git config -z --get-regexp` prints them; of several of one name the last, as in git."""
    pairs = (os.fsdecode(line).partition("\n") for line in output.split(b"\0") if line)
    return {name: value for name, _, value in pairs}


def submodules(git: Git, index: Index, status: Status) -> list[dict[str, Any]]:
    """Path, commit and address of each submodule, and whether it has changes that no commit has."""
    if not index.submodules:
        return []
    lines = git.run("config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.(path|url)$", none=1)
    settings = read_settings(lines)
    names = {path: name.rpartition(".")[0] for name, path in settings.items() if name.endswith(".path")}
    found = []
    for path, commit in sorted(index.submodules.items()):
        flags = status.submodules.get(path, "")
        if "C" in flags:
            try:
                commit = git.run("-C", path, "rev-parse", "HEAD").decode().strip()
            except GitFailed:  # it has none, or is not checked out
                pass
        url = settings.get(f"{names.get(path)}.url")
        dirty = "M" in flags or "U" in flags
        found.append({"path": shown(path), "commit": commit, "url": masked(url) if url else None, "dirty": dirty})
    return found


def pointers(git: Git, index: Index, status: Status) -> dict[str, dict[str, Any]]:
    """Unchanged files that git holds only a pointer of: by path, the SHA-256 and size of what Git LFS keeps."""
    if not any(_names_lfs(os.path.join(git.folder, path)) for path in index.files if _base(path) == ".gitattributes"):
        return {}
    listed = git.run("ls-files", "-z", "--", ":(attr:filter=lfs)").split(b"\0")
    paths = [path for line in listed if (path := os.fsdecode(line)) in index.files and path not in status.changed]
    if not paths:
        return {}
    given = "".join(index.files[path][1] + "\n" for path in paths).encode()
    sizes = [line.split() for line in git.run("cat-file", "--batch-check", stdin=given).splitlines()]
    found = {}
    for path, (name, *about) in zip(paths, sizes, strict=True):
        if about[0] == b"blob" and int(about[1]) <= _LONGEST_POINTER:
            told = _POINTER.match(git.run("cat-file", "blob", name.decode()))
            if told:
                found[path] = {"path": shown(path), "oid": f"sha256:{told[1].decode()}", "bytes": int(told[2])}
    return found


def _names_lfs(attributes: str) -> bool:
    try:
        with open(attributes, "rb") as opened:
            return b"filter=lfs" in opened.read(1 << 20)
    except OSError:
        return False


def _base(path: str) -> str:
    return path.rpartition("/")[2]
