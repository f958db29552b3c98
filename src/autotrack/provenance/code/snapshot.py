"""A snapshot of a git work tree: a commit under a ref of our own, and a bundle that needs no repository.

A repository enters. What leaves is the record of what its folder held: base commit, branch, the tree with changed,
untracked and binary files in and ignored ones out, and a bundle in the blobs. The commit has no parent, no date and no
author of its own, and the bundle holds whole objects alone, so that the same tree gives the same commit and the same
blob. An index of our own is used: of the user's repository nothing is changed but that objects and one ref are added.

The bundle is a header as `gitformat-bundle` has it and a pack: `git clone x.bundle` makes a checkout of it, and
`restore` reads it without git.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from autotrack.provenance.blobs import Blob, Blobs
from autotrack.provenance.code.conversion import attributes, converted, encrypted, everywhere
from autotrack.provenance.code.git import IDENTITY, Git
from autotrack.provenance.code.index import Index, pointers, read_index, read_settings, submodules
from autotrack.provenance.code.objects import name_of, name_of_commit, name_of_tree
from autotrack.provenance.code.sifting import Kept, LeftOut, LookedAt, left_out, listed, shown, sift
from autotrack.provenance.code.status import Status, read_status
from autotrack.provenance.masking import masked

REFS: Final = "refs/autotrack/"
_LINK: Final = "120000"
_SETTINGS: Final = r"^(remote\..*\.url|branch\..*\.remote|filter\..*|core\.(autocrlf|attributesfile))$"
_MESSAGE: Final = "autotrack: the work tree as it was\n"


@dataclass(frozen=True)
class Entry:
    """A file of the snapshot: its mode and object as git writes them, and the file as it was seen in the folder."""

    mode: str
    object: str
    kept: Kept | None


@dataclass(frozen=True)
class Snapshot:
    """What was taken: the record, and the files by their path."""

    record: dict[str, Any]
    root: Path
    files: dict[str, Entry]


def take(git: Git, blobs: Blobs, work: Path, never: Path) -> Snapshot:
    """Take a snapshot of the work tree that `git.folder` is in. `work` is an empty folder for what is temporary.

    `never` is a folder whose files are not taken: autotrack's home. Raises `GitFailed`, `OSError`.
    """
    told, configured = git.together(
        ("rev-parse", "--show-object-format", "--show-toplevel", *_paths("index", "objects", REFS, "info/attributes")),
        ("config", "-z", "--get-regexp", _SETTINGS),
    )
    form, *lines = os.fsdecode(told).splitlines()
    top, index, objects, refs, own_attributes = (os.path.join(git.folder, line) for line in lines)
    length = 64 if form == "sha256" else 40
    git.folder = root = Path(top)
    settings = read_settings(configured)
    git.filters = tuple(sorted({name[7:].rpartition(".")[0] for name in settings if name.startswith("filter.")}))
    git.variables = {"GIT_INDEX_FILE": str(work / "index")}
    if os.path.exists(index):
        _copy(index, work / "index")
    keeps_ref = os.access(objects, os.W_OK)
    if not keeps_ref:  # a repository that is mounted read-only
        (work / "objects").mkdir()
        git.variables |= {"GIT_OBJECT_DIRECTORY": str(work / "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects}

    status_told, index_told = git.together(
        ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all"),
        ("ls-files", "--stage", "-v", "-z"),
    )
    status, index_has = read_status(status_told), read_index(index_told)
    lfs = pointers(git, index_has, status)
    looked_at = LookedAt(blobs.folder.parent / "capsules")
    told = attributes(git, index_has, status.untracked, everywhere(settings, own_attributes))
    secret = encrypted(git, told, {*index_has.files, *status.untracked})
    files, left = _files(git, index_has, status, set(lfs), secret, never, looked_at)
    _unlearn(files, index_has, converted(git, index_has, told, settings, _unchanged_sizes(files)))
    fresh = _named(root, files, left, length)
    hidden = {path for path in fresh if path in index_has.unlooked and files[path].object != index_has.files[path][1]}
    status.changes |= dict.fromkeys(hidden, "modified")
    tree = name_of_tree(_entries(files, index_has), length)
    commit = name_of_commit(tree, IDENTITY, _MESSAGE, length)
    bundle = _kept(blobs, commit) if not keeps_ref or os.path.isfile(os.path.join(refs, commit)) else None
    if bundle is None:  # nobody has taken this very tree before
        _add(git, work, index_has, files, fresh)
        tree = git.run("write-tree").decode().strip()
        commit = git.run("commit-tree", tree, stdin=_MESSAGE.encode()).decode().strip()
        with git.started("update-ref", REFS + commit, commit) if keeps_ref else nullcontext() as adding:
            bundle = _kept(blobs, commit) or _bundle(git, blobs, commit)
            if adding is not None:
                git.finish(adding, "update-ref")
        looked_at.keep(entry.object for entry in files.values() if entry.kept is not None and entry.mode != _LINK)
    changes = [{"path": shown(path), "change": change} for path, change in sorted(status.changes.items())]
    record = {
        "kind": "git",
        "commit": status.commit,
        "branch": status.branch,
        "snapshot": commit,
        "tree": tree,
        "ref": REFS + commit if keeps_ref else None,
        "bundle": {"digest": bundle.digest, "bytes": bundle.bytes},
        "files": len(files),
        "remote": _remote(settings, status.branch),
        "dirty": bool(status.changes),
        "changes": listed(changes),
        "left_out": left_out(left),
        "submodules": submodules(git, index_has, status),
        "lfs": listed(list(lfs.values())),
        "root": shown(str(root)),
    }
    return Snapshot(record, root, files)


def _files(
    git: Git,
    index: Index,
    status: Status,
    pointers: set[str],
    secret: dict[str, str],
    never: Path,
    looked_at: LookedAt,
) -> tuple[dict[str, Entry], list[LeftOut]]:
    """The files that the snapshot is to have, without an object where it is still to be made; what is left out."""
    root = str(git.folder)
    home = os.path.relpath(never, root).replace(os.sep, "/") + "/"
    left = [LeftOut(path, 0, "a git repository of its own") for path in status.untracked if path.endswith("/")]
    left += [LeftOut(path, 0, f"a secret, encrypted by the filter {name}") for path, name in sorted(secret.items())]
    candidates = {*index.files, *status.untracked} - status.deleted - pointers - {one.path for one in left}
    known = {path: held for path, held in index.files.items() if path not in status.changed | index.unlooked}
    clean = {path for path, (_, name) in known.items() if name in looked_at}
    paths = sorted(path for path in candidates if not path.startswith(home))
    kept, sifted, absent = sift(root, paths, git.left, clean)
    files: dict[str, Entry] = {}
    for one in kept:
        held = known.get(one.path)
        files[one.path] = Entry(*held, one) if held else Entry(_mode(one), "", one)
    files |= {path: Entry(*index.files[path], None) for path in pointers}
    return files, [*left, *sifted, *(LeftOut(path, 0, "not checked out") for path in absent)]


def _unchanged_sizes(files: dict[str, Entry]) -> dict[str, int]:
    """The sizes in the folder of the plain files that git calls unchanged."""
    plain = ((path, entry) for path, entry in files.items() if entry.object and entry.mode != _LINK)
    return {path: entry.kept.size for path, entry in plain if entry.kept is not None}


def _unlearn(files: dict[str, Entry], index: Index, paths: set[str]) -> None:
    """Have these files named by what they hold in the folder, which is not what git keeps of them."""
    for path in paths:
        files[path] = Entry(index.files[path][0], "", files[path].kept)


def _named(root: Path, files: dict[str, Entry], left: list[LeftOut], length: int) -> list[str]:
    """Name the objects of the files that have none yet; their paths. What has gone meanwhile is left out."""
    fresh = []
    for path in [path for path, entry in files.items() if not entry.object]:
        full, mode = root / path, files[path].mode
        try:
            content = os.fsencode(os.readlink(full)) if mode == _LINK else full.read_bytes()
        except OSError as problem:
            left.append(LeftOut(path, 0, f"cannot be read: {problem.strerror}"))
            del files[path]
            continue
        files[path] = Entry(mode, name_of("blob", content, length), files[path].kept)
        fresh.append(path)
    return fresh


def _entries(files: dict[str, Entry], index: Index) -> Iterator[tuple[str, str, str]]:
    yield from ((path, entry.mode, entry.object) for path, entry in files.items())
    yield from ((path, "160000", name) for path, name in index.submodules.items())


def _paths(*names: str) -> Iterator[str]:
    for name in names:
        yield from ("--git-path", name)


def _add(git: Git, work: Path, index: Index, files: dict[str, Entry], fresh: list[str]) -> None:
    """Make the objects of `fresh`, and our index hold `files` and submodules, and no more."""
    sources = []
    for number, path in enumerate(fresh):
        source = os.path.join(git.folder, path)
        if files[path].mode == _LINK:  # git would hash what it leads to
            link = work / f"link-{number}"
            link.write_bytes(os.fsencode(os.readlink(source)))
            source = str(link)
        sources.append(_quoted(source))
    if sources:
        given = b"\n".join(sources) + b"\n"
        names = git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=given).split()
        for path, name in zip(fresh, names, strict=True):
            files[path] = Entry(files[path].mode, name.decode(), files[path].kept)
    zero = "0" * len(next(iter(index.files.values()))[1]) if index.files else ""
    lines = [f"0 {zero}\t".encode() + os.fsencode(path) for path in index.files if path not in files]
    lines += [f"{files[path].mode} {files[path].object}\t".encode() + os.fsencode(path) for path in fresh]
    if lines:
        git.run("update-index", "-z", "--index-info", stdin=b"\0".join(lines) + b"\0")


def _kept(blobs: Blobs, commit: str) -> Blob | None:
    """The bundle that a run before has kept of this very snapshot."""
    try:
        digest, size = (blobs.folder.parent / "capsules" / commit).read_text().split()
        return Blob(digest, int(size), known=True) if blobs.claim(digest) and blobs.size(digest) == int(size) else None
    except (OSError, ValueError):
        return None


def _bundle(git: Git, blobs: Blobs, commit: str) -> Blob:
    """The snapshot as a bundle in the blobs."""
    header = "# v2 git bundle\n" if len(commit) == 40 else "# v3 git bundle\n@object-format=sha256\n"
    header += f"{commit} HEAD\n{commit} refs/heads/snapshot\n\n"
    options = ("--window=0", "--depth=0", "--no-reuse-object", "--no-use-bitmap-index", "--compression=1")
    with git.streaming("pack-objects", "--revs", "--stdout", "-q", *options, stdin=f"{commit}\n".encode()) as pack:
        blob = blobs.put_stream(_Headed(header.encode(), pack))  # type: ignore[arg-type]
    (blobs.folder.parent / "capsules" / commit).write_text(f"{blob.digest} {blob.bytes}")
    return blob


class _Headed:
    """A stream with something before it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def read(self, count: int) -> bytes:
        head, self._head = self._head, b""
        return head or self._rest.read(count)


def _remote(settings: dict[str, str], branch: str | None) -> str | None:
    """Where the branch comes from, or else `origin`, without a login."""
    names = (settings.get(f"branch.{branch}.remote"), "origin")
    found = next((url for name in names if name and (url := settings.get(f"remote.{name}.url"))), None)
    return masked(found) if found else None


def _copy(index: str, target: Path) -> None:
    """With its times: by the age of an index git knows what may have been written after it, in the same second."""
    with open(index, "rb") as opened:
        times = os.fstat(opened.fileno())
        target.write_bytes(opened.read())
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def _mode(kept: Kept) -> str:
    if stat.S_ISLNK(kept.mode):
        return _LINK
    return "100755" if kept.mode & stat.S_IXUSR else "100644"


def _quoted(path: str) -> bytes:
    """A path as one line for git, in quotes as in C where it could not stand in one."""
    name = os.fsencode(path)
    if name[:1] != b'"' and not set(name) & {10, 13}:
        return name
    return b'"' + b"".join(b"\\%03o" % byte if byte in (10, 13, 34, 92) else bytes([byte]) for byte in name) + b'"'
