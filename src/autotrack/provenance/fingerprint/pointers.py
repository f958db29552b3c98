"""What small files beside data say of it: the pointers of DVC, the logs of Delta and the metadata of Iceberg."""

from __future__ import annotations

import os
import re
from typing import Any, Final

from autotrack.provenance.masking import masked

Record = dict[str, Any]

LONGEST_POINTER: Final = 4 << 20
"""Bytes of a `dvc.lock` beyond which it is not looked into."""


def delta_version(log: str) -> int | None:
    """The newest version in the log of a Delta table."""
    commits = [name[:20] for name in os.listdir(log) if re.fullmatch(r"\d{20}\.json", name)]
    return int(max(commits)) if commits else None


def iceberg_metadata(folder: str) -> str | None:
    """The newest file of metadata of an Iceberg table."""
    if not os.path.isdir(folder):
        return None
    found = [name for name in os.listdir(folder) if name.endswith(".metadata.json")]
    if not found:
        return None
    return max(found, key=lambda name: (int(re.sub(r"\D.*", "", name.lstrip("v")) or 0), name))


def dvc(path: str) -> Record:
    """What DVC's pointer says of the file, or of a folder around it: `{dvc: {md5, from}}`."""
    around = path
    while True:
        pointer = around + ".dvc"
        if os.path.isfile(pointer):
            found = _output(_small(pointer), os.path.basename(around))
            if found:
                return {"dvc": {**found, "from": masked(pointer)}}
        parent = os.path.dirname(around)
        lock = os.path.join(parent, "dvc.lock")
        if os.path.isfile(lock):
            text, inside = _small(lock), os.path.relpath(path, parent).replace(os.sep, "/")
            while inside:
                found = _output(text, inside)
                if found:
                    return {"dvc": {**found, "from": masked(lock)}}
                inside = inside.rpartition("/")[0]
        if parent == around or os.path.isdir(os.path.join(around, ".git")):
            return {}
        around = parent


def _small(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(LONGEST_POINTER)


def _output(text: str, path: str) -> Record | None:
    """The entry of `path` in DVC's YAML: a list of mappings of plain scalars, which needs no parser."""
    entry: Record = {}
    for line in [*text.splitlines(), "-"]:
        content = line.strip()
        begins = content.startswith("-")
        key, colon, value = content.lstrip("- ").partition(":")
        if begins or not colon or not value.strip():
            if entry.get("path") == path and "md5" in entry:
                return {name: entry[name] for name in ("md5", "hash") if name in entry}
            entry = {}
        if colon and value.strip():
            entry[key.strip()] = value.strip().strip("'\"")
    return None
