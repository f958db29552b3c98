"""The files of a run as the exporter has them: rows that name them, and where each lies below the project's files."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from autotrack.events import ArtifactLogged, ModelLogged
from autotrack_neptune import naming
from autotrack_neptune.attributes import rounded
from autotrack_neptune.columns import row
from autotrack_neptune.places import file_name, folder_name

_KINDS: Final = frozenset({"file", "file_series", "file_set", "artifact"})


class Files:
    """Gathers what is to lie where while it makes the rows."""

    def __init__(self, run: str, artifacts: Iterable[ArtifactLogged], blob: Callable[[str], Path]) -> None:
        self.folder = folder_name(run)
        self._blob = blob
        self.places: dict[str, str] = {}
        """For each place the digest of the file that is to lie there."""
        self.models: dict[int, str] = {}
        """For each model, by its turn, the path of its file."""
        self._taken: set[str] = set()
        self._known: dict[str, Any] = {}
        self._artifacts = []
        for artifact in artifacts:
            if not self.there(artifact.digest):
                continue
            if artifact.media_type == naming.ATTRIBUTES:
                self._known = _object(self._blob(artifact.digest))
            elif artifact.media_type not in naming.SERIES:
                self._artifacts.append(artifact)

    def there(self, digest: str | None) -> bool:
        """Whether a file was kept."""
        return bool(digest) and self._blob(str(digest)).exists()

    def types(self) -> dict[str, str]:
        """For params that Neptune had, their types there, where autotrack has none of the kind."""
        held = self._known.get("types")
        return held if isinstance(held, dict) else {}

    def blobs(self, digests: Iterable[str]) -> dict[str, str]:
        """Have the files that a record names lie there too; their places."""
        found = {digest: f"{self.folder}/blobs/{digest}" for digest in sorted(set(digests)) if self.there(digest)}
        self.places |= {place: digest for digest, place in found.items()}
        return found

    def rows(self, models: list[ModelLogged]) -> Iterator[dict[str, Any]]:
        """A row for each file, and one for each set of files."""
        for number, model in enumerate(models):
            path = self._unused(f"models/{model.name}")
            if self.there(model.digest):
                self.models[number] = path
                yield row(path, "file", self._lay(str(model.digest), f"{model.name}-{model.format}"))
        sets: set[str] = set()
        for artifact in self._artifacts:
            known = _dict(_dict(self._known.get("files")).get(artifact.name))
            path, kind = str(known.get("path", "")), str(known.get("type", ""))
            if not path or kind not in _KINDS:
                path = naming.FILES + artifact.name if naming.reserved(artifact.name) else artifact.name
                yield row(self._unused(path), "file", self._lay(artifact.digest, artifact.name))
            elif kind == "file_set":
                folder = f"{self.folder}/sets/{folder_name(path)}"
                self.places[f"{folder}/{_inner(str(known.get('inner')))}"] = artifact.digest
                if path not in sets:
                    sets.add(path)
                    yield row(path, kind, {"path": folder})
            else:
                step = None if known.get("step") is None else rounded(known["step"])
                place = self._lay(artifact.digest, str(known.get("inner") or artifact.name))
                yield {**row(path, kind, place), "step": step}

    def _lay(self, digest: str, name: str) -> dict[str, str]:
        place = f"{self.folder}/{digest[:16]}/{file_name(name)}"
        self.places[place] = digest
        return {"path": place}

    def _unused(self, path: str) -> str:
        number, unique = 1, path
        while unique in self._taken:
            number += 1
            unique = f"{path}-{number}"
        self._taken.add(unique)
        return unique


def _inner(name: str) -> str:
    """A path within a set of files that stays within it."""
    inner = posixpath.normpath(f"/{name}").lstrip("/")
    return inner or "file"


def _object(place: Path) -> dict[str, Any]:
    try:
        return _dict(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
