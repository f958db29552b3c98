"""Which files stay out of a capsule: what is a secret by its name or its content, and what is huge.

Paths enter, relative to the project's root; what leaves says of each whether it is kept, or why not. Content is looked
at for private keys and for the forms of well-known tokens (`provenance.masking`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotrack.provenance.masking import holds_secret, rules

MOST_BYTES: Final = 10_000_000
"""Of one file."""
MOST_IN_ALL: Final = 100_000_000
"""Of all files of a capsule; beyond it the largest stay out."""
MOST_LISTED: Final = 200
"""Entries of a list in the record."""

_SECRET_NAMES: Final = re.compile(
    r"""(?:
        \.env (?:rc)? (?:\..+)? | .+\.env | \.netrc | _netrc | \.pgpass | \.my\.cnf | \.s3cfg | \.boto | \.htpasswd
        | \.git-credentials | \.dockercfg | \.vault-token | \.npmrc | \.pypirc
        | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)? (?:\.(?!pub$).+)?
        | .+\.(?:pem|key|p12|pfx|jks|keystore|ppk|kdbx|asc\.key|p8)
        | credentials (?:\.(?:json|ya?ml|ini|toml|csv|txt))? | client_secrets?.*\.json | service[_-]?account.*\.json
        | application_default_credentials\.json | secrets? \.(?:json|ya?ml|ini|toml|txt|env) | kubeconfig
        | kaggle\.json | \.databrickscfg | token (?:\.(?:json|txt))?
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_HARMLESS_NAMES: Final = re.compile(r".*\.(?:example|sample|template|dist|tmpl)", re.IGNORECASE)
_SECRET_FOLDERS: Final = frozenset({".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker", ".gcloud"})


class Stopped(Exception):
    """There is no time left for the capsule."""


@dataclass(frozen=True)
class LeftOut:
    """A file that is not in the capsule."""

    path: str
    bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is, as it was when it was looked at."""

    path: str
    mode: int
    size: int
    written: tuple[int, int]
    """When, and to which place on the disk: with the size, what differs when the file has been written since."""

    @classmethod
    def seen(cls, path: str, status: os.stat_result) -> Kept:
        """As `status` tells it."""
        return cls(path, status.st_mode, status.st_size, (status.st_mtime_ns, status.st_ino))


def secret_by_name(path: str) -> bool:
    """Whether the path, with `/` between folders, is that of a file which holds secrets by custom."""
    *folders, name = path.split("/")
    if _SECRET_FOLDERS.intersection(folder.lower() for folder in folders):
        return True
    return _SECRET_NAMES.fullmatch(name) is not None and not _HARMLESS_NAMES.fullmatch(name)


def sift(
    root: str, paths: Iterable[str], still: Callable[[], object], clean: Container[str] = ()
) -> tuple[list[Kept], list[LeftOut], list[str]]:
    """What of `paths` is kept, left out, and not there at all. `still` is called between files, and may raise.

    The content of those in `clean` is known to hold no secret.
    """
    sizes: list[Kept] = []
    left: list[LeftOut] = []
    absent: list[str] = []
    for path in paths:
        still()
        try:
            status = os.lstat(os.path.join(root, path))
        except OSError:
            absent.append(path)
            continue
        if why := _unread(path, status):
            left.append(LeftOut(path, status.st_size, why))
        else:
            sizes.append(Kept.seen(path, status))
    total = sum(one.size for one in sizes)
    if total > MOST_IN_ALL:  # before anything is read: an unignored folder of data may be larger than memory
        sizes.sort(key=lambda one: one.size)
        while total > MOST_IN_ALL:
            largest = sizes.pop()
            total -= largest.size
            left.append(LeftOut(largest.path, largest.size, _TOGETHER))
    kept: list[Kept] = []
    for one in sizes:
        still()
        why = None if one.path in clean or stat.S_ISLNK(one.mode) else _content(os.path.join(root, one.path))
        if why:
            left.append(LeftOut(one.path, one.size, why))
        else:
            kept.append(one)
    return kept, left, absent


_TOGETHER: Final = f"all files together are larger than {MOST_IN_ALL // 1_000_000} MB"


def listed(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries for the record, bounded: the last then says how many more there are."""
    if len(entries) <= MOST_LISTED:
        return entries
    return [*entries[:MOST_LISTED], {"path": "…", "why": f"{len(entries) - MOST_LISTED} more"}]


def left_out(entries: Iterable[LeftOut]) -> list[dict[str, Any]]:
    """The record of what was left out, secrets first."""
    ordered = sorted(entries, key=lambda one: (one.why.startswith(("larger", "all")), one.path))
    return listed([{"path": shown(one.path), "bytes": one.bytes, "why": one.why} for one in ordered])


def shown(path: str) -> str:
    """A path as text that can be recorded: file names are bytes, and need not be UTF-8."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


class LookedAt:
    """Objects of git whose content was looked at before and holds no secret, by their names, in a file of the home."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"clean-{rules()}"
        try:
            self._known = frozenset(self._file.read_text().split())
        except (OSError, ValueError):
            self._known = frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def keep(self, names: Iterable[str]) -> None:
        """Remember these, and no longer what is not among them, where there is something new. Raises `OSError`."""
        found = set(names)
        if found - self._known:
            draft = self._file.with_name(f".{self._file.name}-{os.getpid()}")
            draft.write_text("\n".join(sorted(found)))
            os.replace(draft, self._file)


def _unread(path: str, status: os.stat_result) -> str | None:
    """Why the file stays out, as far as can be told without reading it."""
    if secret_by_name(path):
        return "a secret, by its name"
    if stat.S_ISLNK(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return "not a file"
    return f"larger than {MOST_BYTES // 1_000_000} MB" if status.st_size > MOST_BYTES else None


def _content(path: str) -> str | None:
    """Why the file stays out, by what it holds."""
    try:
        with open(path, "rb", buffering=0) as opened:
            kind = holds_secret(opened.read())
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    return f"holds {kind}" if kind else None
