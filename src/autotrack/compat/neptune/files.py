"""The fields that hold files: one file, a set of them, and files that are tracked by their hash alone."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from autotrack.compat import kept
from autotrack.compat.neptune import types
from autotrack.compat.neptune.fields import Attribute

if TYPE_CHECKING:
    from autotrack.compat.neptune.container import MetadataContainer


@dataclass
class FileEntry:
    """One entry of a set of files. `size` is in bytes."""

    name: str
    size: int | None
    mtime: datetime
    file_type: str


@dataclass
class ArtifactFileData:
    """One tracked file. `size` is in bytes, `file_hash` its SHA-256."""

    file_path: str
    file_hash: str
    type: str
    metadata: dict[str, str] = field(default_factory=dict)
    size: int | None = None


class File(Attribute):
    """One file: the artifact of the field's path, with the file's extension."""

    name: str | None = None
    """The name of the artifact."""

    def upload(self, value: Any, *, wait: bool = False) -> None:
        """Keep a file as it is now."""
        file = types.File.create_from(value)
        ending = f".{file.extension}" if file.extension else ""
        name = self._path if self._path.endswith(ending) else self._path + ending
        if self._container._recorder.file(name, file.source()):
            self.name = name

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Keep a file as it is now."""
        self.upload(value)

    def download(self, destination: str | None = None, progress_bar: Any = None) -> None:
        """Write the file to a path, or into a folder; by default into the working folder."""
        name = self.name or self._path
        path = destination or os.path.basename(name)
        if destination and os.path.isdir(destination):
            path = os.path.join(destination, os.path.basename(name))
        self._container._write_file(name, path)

    def fetch_extension(self) -> str:
        """What the name of the file ends in, without the dot."""
        return os.path.splitext(self.name or "")[1][1:]


class FileSet(Attribute):
    """Files below a path: each is an artifact `<path>/<its own path>`."""

    def __init__(self, container: MetadataContainer, path: str) -> None:
        super().__init__(container, path)
        self._entries: dict[str, FileEntry] = {}

    def upload_files(self, globs: str | Iterable[str], *, wait: bool = False) -> None:
        """Keep every file that a pattern fits, and all that is in a folder that one fits."""
        for path, name in found_by([globs] if isinstance(globs, str) else globs):
            if self._container._recorder.file(f"{self._path}/{name}", path):
                status = os.stat(path)
                self._entries[name] = FileEntry(
                    name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC), "file"
                )

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Keep these files; those from before are no longer listed."""
        self._entries.clear()
        self.upload_files(value.file_globs if isinstance(value, types.FileSet) else value)

    def delete_files(self, paths: str | Iterable[str], *, wait: bool = False) -> None:
        """No longer list these files; they stay in the record."""
        for path in [paths] if isinstance(paths, str) else paths:
            for name in [name for name in self._entries if name == path or name.startswith(path.rstrip("/") + "/")]:
                del self._entries[name]
        self._container._recorder.lacks("delete_files()", "what was recorded stays in the record")

    def list_fileset_files(self, path: str | None = None) -> list[FileEntry]:
        """What is at `path` in the set: files and folders, one level deep."""
        below = f"{path.strip('/')}/" if path else ""
        found: dict[str, FileEntry] = {}
        for name, entry in sorted(self._entries.items()):
            if not name.startswith(below):
                continue
            first, _, rest = name[len(below) :].partition("/")
            kind = "directory" if rest else "file"
            found[first] = FileEntry(first, None if rest else entry.size, entry.mtime, kind)
        return list(found.values())

    def download(self, destination: str | None = None, progress_bar: Any = None) -> None:
        """Write all files as one zip, called as the field, into a folder; the working folder by default."""
        path = destination or "."
        if os.path.isdir(path):
            path = os.path.join(path, os.path.basename(self._path) + ".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for name in self._entries:
                data = kept.file_of(self._container._recorder.id, f"{self._path}/{name}")
                if data is not None:
                    archive.writestr(name, data)


class Artifact(Attribute):
    """Tracked files: their hash is a param, the list of them the artifact `<path>.files.json`; they are not copied."""

    hash: str | None = None
    _files: tuple[ArtifactFileData, ...] | None = None

    @property
    def files(self) -> tuple[ArtifactFileData, ...]:
        """The tracked files, of a run that is taken up again from its record."""
        if self._files is None:
            data = kept.file_of(self._container._recorder.id, f"{self._path}.files.json") if self.hash else None
            self._files = tuple(ArtifactFileData(**one) for one in json.loads(data or b"[]"))
        return self._files

    def track_files(self, path: str, *, destination: str | None = None, wait: bool = False) -> None:
        """Hash the file, or every file below the folder, at `path` as they are now.

        What lies elsewhere (`s3://…`) is not read: its address alone is recorded.
        """
        place = path.removeprefix("file://")
        if "://" in place:
            self._container._recorder.lacks("track_files() of remote files", "their address is recorded, and no hash")
            found = [ArtifactFileData(place, "", place.partition(":")[0])]
        else:
            below = f"{destination.strip('/')}/" if destination else ""
            found = [
                ArtifactFileData(below + name, _sha256(one), "Local", {"file_path": one}, os.path.getsize(one))
                for one, name in found_by([place])
            ]
        self._become((*(one for one in self.files if one.file_path not in {f.file_path for f in found}), *found))

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Be what another artifact is."""
        self.hash = value.hash
        self._become(tuple(getattr(value, "files", ())))

    def fetch(self) -> Any:
        """The tracked files, to assign them elsewhere."""
        copy = types.Artifact(self.hash)
        copy.files = self.files  # type: ignore[attr-defined]
        return copy

    def fetch_hash(self) -> str:
        """One hash over the paths and contents of all files: SHA-256, in hexadecimal."""
        return self.hash or ""

    def fetch_files_list(self) -> list[ArtifactFileData]:
        """The tracked files."""
        return list(self.files)

    def download(self, destination: str | None = None, progress_bar: Any = None) -> None:
        """Copy the files, where they still lie, into a folder; the working folder by default."""
        for one in self.files:
            source = one.metadata.get("file_path", "")
            if os.path.isfile(source):
                target = os.path.join(destination or ".", one.file_path)
                os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
                if not os.path.exists(target) or not os.path.samefile(source, target):
                    shutil.copyfile(source, target)

    def _become(self, files: tuple[ArtifactFileData, ...]) -> None:
        self._files = tuple(sorted(files, key=lambda one: one.file_path))
        if self._files:
            told = json.dumps([[one.file_path, one.file_hash] for one in self._files])
            self.hash = hashlib.sha256(told.encode()).hexdigest()
        recorder = self._container._recorder
        recorder.values({self._path: f"sha256:{self.hash}"})
        listed = [{key: one for key, one in asdict(file).items() if key != "metadata"} for file in self._files]
        recorder.file(f"{self._path}.files.json", json.dumps(listed, indent=1).encode())


def found_by(globs: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each file that a pattern fits, or that is in a folder that one fits: its path, and its name below the set.

    Names are relative to the working folder where the file is in it, else to the folder that holds what was named.
    """
    here = os.getcwd()
    for pattern in globs:
        for match in sorted(glob.glob(os.path.expanduser(pattern), recursive=True)):
            top = os.path.abspath(match)
            root = here if top.startswith(here + os.sep) else os.path.dirname(top)
            if os.path.isfile(top):
                yield top, os.path.relpath(top, root)
            for folder, _, names in sorted(os.walk(top)):
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    yield path, os.path.relpath(path, root)


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
