"""Keras models in Keras's own format, `.keras`: a zip of the architecture as JSON and the weights as HDF5.

It is read with `safe_mode`, which refuses to run code that a file holds. Models are only read. A large file is kept in
parts, a weight in each, so that weights that successive checkpoints share are stored once.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from autotrack.plugin import Saved
from autotrack_keras.serializing import serializing

FORMAT = "keras"

IN_PARTS_FROM = 1 << 20
"""Bytes of a file from which it is kept in parts."""


@dataclass(frozen=True)
class Kept:
    """A model that Keras has saved to a `.keras` file already."""

    path: str


def save(model: Any) -> Saved:
    """The model, with the state of its optimizer. Raises what Keras, or a class of the user's, raises."""
    from keras.src.saving import saving_lib

    buffer = io.BytesIO()
    with serializing():
        saving_lib.save_model(model, buffer)
    return _saved(dateless(buffer.getvalue()), signature(model))


def save_file(kept: Kept) -> Saved:
    """A file of Keras's as a model."""
    return _saved(Path(kept.path).read_bytes(), {})


def load(path: str | os.PathLike[str], signature: Any = None) -> Any:
    """The model in the `.keras` file at `path`. Raises what Keras raises, as for a class that it does not find."""
    import keras

    return keras.saving.load_model(path, safe_mode=True)


def signature(model: Any) -> dict[str, Any]:
    """The class, and what the model takes and gives where that is known."""
    told: dict[str, Any] = {"class": f"{type(model).__module__}.{type(model).__qualname__}"}
    for name in ("input_shape", "output_shape"):
        try:
            shape = getattr(model, name)
        except Exception:  # a model of the user's own class has no fixed one
            continue
        told[name] = _plain(shape)
    return told


def dateless(content: bytes) -> bytes:
    """A `.keras` file without the time of its saving, so that the same model is the same bytes."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(result, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "metadata.json":
                told = json.loads(data)
                told.pop("date_saved", None)
                data = json.dumps(told).encode()
            undated = zipfile.ZipInfo(entry.filename)
            undated.compress_type, undated.external_attr = entry.compress_type, entry.external_attr
            target.writestr(undated, data)
    return result.getvalue()


def pieces(content: bytes) -> Iterator[memoryview]:
    """The file cut before and after each weight; together they are `content`."""
    view = memoryview(content)
    done = 0
    for start, length in sorted(_weights(content)):
        if start >= done:
            yield view[done:start]
            yield view[start : start + length]
            done = start + length
    yield view[done:]


def _weights(content: bytes) -> Iterator[tuple[int, int]]:
    """Where in the file each weight lies, and how long it is."""
    h5py: Any = import_module("h5py")  # a dependency of Keras; it has no types
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [it for it in archive.infolist() if it.filename.endswith(".h5") and it.compress_type == 0]
    for entry in entries:
        # Behind the local header, whose name and extra field have their lengths in its last four bytes.
        name, extra = struct.unpack_from("<HH", content, entry.header_offset + 26)
        begin = entry.header_offset + 30 + name + extra
        found: list[tuple[int, int]] = []

        def look(_: str, thing: Any, found: list[tuple[int, int]] = found, begin: int = begin) -> None:
            offset = thing.id.get_offset() if isinstance(thing, h5py.Dataset) else None
            if offset is not None:
                found.append((begin + offset, thing.id.get_storage_size()))

        with h5py.File(io.BytesIO(content[begin : begin + entry.file_size]), "r") as file:
            file.visititems(look)
        yield from found


def _saved(content: bytes, told: dict[str, Any]) -> Saved:
    if len(content) < IN_PARTS_FROM:
        return Saved(format=FORMAT, data=content, signature=told)
    return Saved(format=FORMAT, parts=pieces(content), size=len(content), signature=told)


def _plain(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {str(key): _plain(one) for key, one in shape.items()}
    return [_plain(one) for one in shape] if isinstance(shape, list | tuple) else shape
