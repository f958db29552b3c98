"""What `neptune` 1.x left on disk: folders of operations that wait for a server, read without the client.

The format is that of neptune 1.14 (`core/components/queue/disk_queue.py`, `internal/operation.py`) with its three
layouts (`metadata_containers/structure_version.py`). `data-<first version>.log` holds JSON objects, one a line; a
process that was killed may leave a torn last one. The server's `last_ack_version` says how much it has already taken:
whole files of such operations are gone, and so are temporary files that were uploaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from autotrack.importing import ForeignRun
from autotrack_neptune.attributes import Found, from_iso, from_seconds
from autotrack_neptune.operations import OPERATIONS, Context
from autotrack_neptune.telling import foreign

_LOG: Final = re.compile(r"data-(\d+)\.log")
_FOLDER: Final = re.compile(r"(?:(run|project|model|model_version)__)?([0-9a-fA-F-]{32,36})(?:__\d+__\w+)?")
_NAMED_WITHIN: Final = 400
"""How many operations are looked at for the name of a run."""


def runs(folders: list[Path], project: str | None, taken: set[str]) -> Iterator[ForeignRun]:
    """The runs of these folders, each once: a run that went on in another process has a folder for each."""
    by_run: dict[tuple[str, str], list[Path]] = {}
    for folder in folders:
        by_run.setdefault(_identity(folder), []).append(folder)
    for (kind, container), places in sorted(by_run.items()):
        origin = f"neptune:{container}"
        if origin in taken:
            continue
        taken.add(origin)
        reader = _Reader(origin, kind, container, sorted(places), project)
        yield foreign(reader.read, origin, reader.name())


def is_folder(folder: Path) -> bool:
    """Whether a folder holds such operations."""
    return any((folder / name).exists() for name in ("last_put_version", "last_ack_version", "metadata.json"))


def _identity(folder: Path) -> tuple[str, str]:
    metadata = _metadata(folder)
    container, kind = metadata.get("containerId"), metadata.get("containerType")
    for place in (folder, folder.parent):
        named = _FOLDER.fullmatch(place.name)
        if named is not None:
            container = container or named[2]
            kind = kind or named[1]
    if kind is None and (folder / "container_type").exists():
        kind = (folder / "container_type").read_text().strip()
    return str(kind or "run"), str(container or folder.name)


def _metadata(folder: Path) -> dict[str, Any]:
    try:
        held = json.loads((folder / "metadata.json").read_text())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _version(folder: Path, name: str) -> int | None:
    try:
        return int((folder / name).read_text())
    except (OSError, ValueError):
        return None


def _logs(folder: Path) -> list[Path]:
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _LOG.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


class _Reader:
    def __init__(self, origin: str, kind: str, container: str, folders: list[Path], project: str | None) -> None:
        self._make: Callable[[], Found] = lambda: Found(origin, project or "neptune", container, "offline", kind)
        self._container = container
        self._folders = folders

    def name(self) -> str:
        """What the run is called, as far as its first operations say."""
        named = custom = ""
        for number, (_, operation, _, _) in enumerate(self._operations(Found("", "", "", ""))):
            path = "/".join(map(str, operation.get("path", ())))
            if path == "sys/name":
                named = str(operation.get("value"))
            elif path == "sys/custom_run_id":
                custom = str(operation.get("value"))
            if named or number > _NAMED_WITHIN:
                break
        return named or custom or f"{self._container[:8]}"

    def read(self) -> Found:
        found = self._make()
        for folder in self._folders:
            metadata = _metadata(folder)
            found.format = str(metadata.get("mode") or found.format)
            created = from_iso(str(metadata.get("createdAt", "")))
            if created is not None:
                found.created = min(created, found.created or created)
            for ours, theirs in (("python", "pythonVersion"), ("platform", "os"), ("neptune", "neptuneClientVersion")):
                if metadata.get(theirs):
                    found.environment.setdefault(ours, str(metadata[theirs]))
        for folder, operation, version, at in self._operations(found, tell=True):
            time = None if at is None else from_seconds(at)
            found.ended = max(found.ended or 0, time or 0) or None
            kind = str(operation.get("type"))
            apply = OPERATIONS.get(kind)
            context = Context(found, folder, version, _version(folder, "last_ack_version") or 0, time)
            try:
                if apply is None:
                    found.lost[f"operations {kind}", "are not known"] += 1
                else:
                    apply(context, "/".join(map(str, operation["path"])), operation)
            except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
                found.lost[f"operations {kind}", "are not as the format has them"] += 1
        if found.created is None and found.ended is not None:
            found.created = self._oldest()
        return found

    def _oldest(self) -> int | None:
        """The date of the oldest file, for layouts that keep none."""
        stamps = [path.stat().st_mtime_ns for folder in self._folders for path in _logs(folder)]
        first = next((at for _, _, _, at in self._operations(Found("", "", "", "")) if at is not None), None)
        return from_seconds(first) if first is not None else min(stamps, default=None)

    def _operations(
        self, found: Found, *, tell: bool = False
    ) -> Iterator[tuple[Path, dict[str, Any], int, float | None]]:
        """Every operation as (folder, operation, version, seconds since the epoch)."""
        for folder in self._folders:
            before = 0
            for path in _logs(folder):
                for element in _elements(path):
                    if not isinstance(element, dict) or not isinstance(element.get("obj"), dict):
                        if tell:
                            found.lost["operations", "cannot be decoded"] += 1
                        continue
                    version = int(element.get("version", before + 1))
                    if tell and version > before + 1:
                        gone = "the server has taken them, and they are no longer here"
                        acknowledged = version - 1 <= (_version(folder, "last_ack_version") or 0)
                        why = gone if acknowledged else "are missing in the middle"
                        found.lost["operations", why] += version - before - 1
                    before = version
                    yield folder, element["obj"], version, element.get("at")
            put = _version(folder, "last_put_version")
            if tell and put is not None and put > before:
                acknowledged = put <= (_version(folder, "last_ack_version") or 0)
                if not acknowledged:
                    found.torn = True
                    found.lost["operations", "the process was killed before they were wholly written"] += put - before


def _elements(path: Path) -> Iterator[Any]:
    """The JSON values of a log, line by line; a last line that is torn is none."""
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            if not line.strip():
                continue
            try:
                yield json.loads(line, strict=False)
            except ValueError:
                if line.endswith("\n"):
                    yield None


def find(folder: Path) -> list[Path]:
    """The folders of operations in `folder`, itself included."""
    found = {path.parent for path in folder.rglob("data-*.log") if _LOG.fullmatch(path.name)}
    if folder.is_file():
        found = {folder.parent} if _LOG.fullmatch(folder.name) else set()
    return sorted(place for place in found if is_folder(place))
