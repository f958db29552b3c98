"""What is installed in this interpreter, read from the `*.dist-info` folders themselves.

`sys.path` enters; a `Distribution` for each name leaves, with what its installer has noted ("Recording installed
projects" and "Direct URL data structure" of the packaging specifications). Three small files of each are read;
`importlib.metadata` would parse all of it, which takes ten times as long. The first folder on the path wins, as it does
for imports.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_DASHES = re.compile(r"[-_.]+")
_LEGACY = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py\d[\d.]*)?\.egg-info")


@dataclass(frozen=True)
class Distribution:
    """One installed distribution: its normalised name, its version, and where it came from."""

    name: str
    version: str
    tags: tuple[str, ...] = ()
    """The tags of the wheel that was installed, such as `cp311-cp311-linux_x86_64`; empty where it was none."""
    build: str = ""
    direct: dict[str, Any] = field(default_factory=dict)
    """`direct_url.json`: empty where it came from an index, by its name."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Of the wheel, where the installer noted them."""
    record: str = ""
    """SHA-256 of `RECORD`, which lists every installed file with its hash."""

    @property
    def editable(self) -> bool:
        """Whether it is imported from its source folder."""
        return bool(self.direct.get("dir_info", {}).get("editable"))


def distributions(path: Iterable[str]) -> list[Distribution]:
    """Every distribution on `path`, by name."""
    found: dict[str, Distribution] = {}
    for folder in dict.fromkeys(path):
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:  # a zip file, or a folder that is not there
            continue
        for name in names:
            if name.endswith(".dist-info"):
                project, _, version = name.removesuffix(".dist-info").partition("-")
            elif legacy := _LEGACY.fullmatch(name):
                project, version = legacy["name"], legacy["version"]
            else:
                continue
            key = _DASHES.sub("-", project).lower()
            if version and key not in found:
                found[key] = _read(os.path.join(folder, name), key, version)
    return [found[key] for key in sorted(found)]


def _read(folder: str, name: str, version: str) -> Distribution:
    wheel = _content(os.path.join(folder, "WHEEL")).decode(errors="replace").splitlines()
    record = _content(os.path.join(folder, "RECORD"))
    direct = _json(os.path.join(folder, "direct_url.json"))
    noted = direct.get("archive_info") or _json(os.path.join(folder, "provenance_url.json")).get("archive_info") or {}
    hashes = dict(noted.get("hashes") or {})
    if not hashes and isinstance(old := noted.get("hash"), str) and "=" in old:
        algorithm, _, value = old.partition("=")
        hashes[algorithm] = value
    return Distribution(
        name,
        version,
        tuple(line[5:] for line in wheel if line.startswith("Tag: ")),
        next((line[7:] for line in wheel if line.startswith("Build: ")), ""),
        direct,
        {str(key): str(value) for key, value in hashes.items()},
        hashlib.sha256(record).hexdigest() if record else "",
    )


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as opened:
            return opened.read()
    except OSError:
        return b""


def _json(path: str) -> dict[str, Any]:
    content = _content(path)
    try:
        found = json.loads(content) if content else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
