"""Writing an OCI image layout into a folder or one tar file: files under their SHA-256, and a manifest that names them.

Files and what is to be said of them enter, a layout leaves, always the same bytes for the same content.
`autotrack.registry.layout_reading` reads it.

Format: https://github.com/opencontainers/image-spec/blob/main/image-layout.md, manifest.md, and (for the media types)
https://github.com/modelpack/model-spec.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from autotrack.errors import AutotrackError

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
FILEPATH: Final = "org.cncf.model.filepath"
"""The annotation of a layer that says what its file is called."""

_BLOCK: Final = 1 << 20


class Damaged(AutotrackError):
    """A bundle is not what it says; nothing of it has been taken over."""


@dataclass(frozen=True)
class Layer:
    """One file of a bundle. `open` gives its bytes; `digest` is the SHA-256 in hexadecimal."""

    name: str
    media_type: str
    digest: str
    size: int
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)

    @classmethod
    def of(cls, name: str, media_type: str, data: bytes) -> Layer:
        """A file of these bytes."""
        return cls(name, media_type, hashlib.sha256(data).hexdigest(), len(data), lambda: BytesIO(data))

    def descriptor(self) -> dict[str, Any]:
        """As a manifest names it."""
        told = {"mediaType": self.media_type, "digest": f"sha256:{self.digest}", "size": self.size}
        return {**told, "annotations": {FILEPATH: self.name}} if self.name else told


def canonical(value: Any) -> bytes:
    """JSON, always the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def write(
    target: Path,
    config: Layer,
    layers: Sequence[Layer],
    *,
    artifact_type: str,
    ref: str,
    annotations: Mapping[str, str],
) -> str:
    """Write a layout with one manifest; into a tar file where the name of `target` ends so. Gives its digest.

    Raises `FileExistsError` where there is something already, `Damaged` where a file is not what its digest says.
    """
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact_type,
            "config": config.descriptor(),
            "layers": [layer.descriptor() for layer in layers],
            "annotations": dict(annotations),
        }
    )
    top = Layer.of("", MANIFEST, manifest)
    named = {**top.descriptor(), "artifactType": artifact_type}
    named["annotations"] = {"org.opencontainers.image.ref.name": ref, **annotations}
    index = canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]})
    files = [
        ("oci-layout", Layer.of("", "", canonical({"imageLayoutVersion": "1.0.0"}))),
        ("index.json", Layer.of("", "", index)),
    ]
    blobs = {layer.digest: layer for layer in (*layers, config, top)}
    files += [(f"blobs/sha256/{digest}", blob) for digest, blob in sorted(blobs.items())]
    if target.exists() or target.is_symlink():
        raise FileExistsError(f"{target} is there already; give another name, or remove it")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.suffix == ".tar":
            _write_tar(draft, files)
        else:
            _write_folder(draft, files)
        os.rename(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True) if draft.is_dir() else draft.unlink(missing_ok=True)
    return top.digest


def _write_folder(target: Path, files: Sequence[tuple[str, Layer]]) -> None:
    (target / "blobs" / "sha256").mkdir(parents=True)
    for name, layer in files:
        with open(target / name, "xb") as written:
            _copy(layer, written)


def _write_tar(target: Path, files: Sequence[tuple[str, Layer]]) -> None:
    with tarfile.open(target, "x", format=tarfile.PAX_FORMAT) as archive:
        for name, layer in files:
            entry = tarfile.TarInfo(name)  # no owner, and a time that is always the same
            entry.size, entry.mode = layer.size, 0o644
            with layer.open() as source:
                checked = _Checked(source)
                archive.addfile(entry, checked)
            checked.compare(layer)


def _copy(layer: Layer, target: BinaryIO) -> None:
    with layer.open() as source:
        checked = _Checked(source)
        while block := checked.read(_BLOCK):
            target.write(block)
    checked.compare(layer)


class _Checked:
    """A stream that is hashed as it is read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._found, self._size = source, hashlib.sha256(), 0

    def read(self, count: int = -1) -> bytes:
        block = self._source.read(count)
        self._found.update(block)
        self._size += len(block)
        return block

    def compare(self, layer: Layer) -> None:
        if (self._found.hexdigest(), self._size) != (layer.digest, layer.size):
            raise Damaged(f"the file {layer.name or layer.digest} is damaged: its SHA-256 is {self._found.hexdigest()}")


__all__ = ["Damaged", "Layer", "canonical", "write"]
