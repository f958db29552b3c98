"""What is in a saved model, from its file alone: names, types and shapes of its tensors. Nothing is loaded or executed.

The bytes of a blob enter, in the safe formats that plugins keep models in; rows leave. safetensors begins with the
length of its header (8 bytes, little-endian) and the header as JSON (https://github.com/huggingface/safetensors); skops
and Keras are zip archives, of arrays as `.npy` files in the one, of one HDF5 file in the other.
"""

from __future__ import annotations

import io
import json
import zipfile
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO, Final

from autotrack.provenance.blobs import Blobs

LARGEST_HEADER: Final = 16 << 20
LARGEST_ARCHIVE: Final = 256 << 20
MOST_TENSORS: Final = 5000
LARGEST_NUMBER: Final = 1 << 53
"""What JSON's readers take for an exact number."""

Tensor = dict[str, Any]


def tensors(blobs: Blobs, digest: str, format: str) -> dict[str, Any]:
    """`{tensors: [{name, dtype, shape, bytes}], total, parameters, why}`, at most `MOST_TENSORS` of them.

    `why` says why there are none. Raises `FileNotFoundError` where the blob is not kept, `PartDamaged`.
    """
    why = None
    found: list[Tensor] = []
    reader = {"safetensors": _safetensors, "skops": _skops, "keras": _keras}.get(format)
    if reader is None:
        why = f"the format {format} is not one of named tensors"
    elif format != "safetensors" and blobs.size(digest) > LARGEST_ARCHIVE:
        why = "the file is too large to be looked into here"
    else:
        with blobs.open(digest) as opened:
            try:
                found = reader(opened)
            except _Unknown as problem:
                why = str(problem)
            except (ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile, RecursionError) as problem:
                why = f"the file is not what its format says: {str(problem)[:200]}"
    if any(_count(one["shape"]) > LARGEST_NUMBER or not 0 <= one["bytes"] <= LARGEST_NUMBER for one in found):
        found, why = [], "the file names tensors of impossible sizes"
    parameters = sum(_count(one["shape"]) for one in found)
    return {"tensors": found[:MOST_TENSORS], "total": len(found), "parameters": parameters, "why": why}


class _Unknown(Exception):
    """It cannot be looked into; the text says why."""


def _count(shape: list[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def _safetensors(opened: BinaryIO) -> list[Tensor]:
    length = int.from_bytes(opened.read(8), "little")
    if length > LARGEST_HEADER:
        raise ValueError("its header is too long")
    header = json.loads(opened.read(length))
    rows = []
    for name, told in header.items():
        if name != "__metadata__":
            start, end = told["data_offsets"]
            shape = [int(size) for size in told["shape"]]
            rows.append({"name": name, "dtype": str(told["dtype"]), "shape": shape, "bytes": int(end) - int(start)})
    return rows


def _archive(opened: BinaryIO) -> zipfile.ZipFile:
    return zipfile.ZipFile(opened if opened.seekable() else io.BytesIO(opened.read()))


def _skops(opened: BinaryIO) -> list[Tensor]:
    from numpy.lib import format as npy

    with _archive(opened) as archive:
        names = _attributes(json.loads(archive.read("schema.json"))) if _fits(archive, "schema.json") else {}
        rows = []
        for entry in archive.infolist()[:MOST_TENSORS]:
            if not entry.filename.endswith(".npy"):
                continue
            with archive.open(entry) as file:
                version = npy.read_magic(file)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read(file)
            name = names.get(entry.filename, entry.filename)
            size = _count(list(shape)) * dtype.itemsize
            rows.append({"name": name, "dtype": str(dtype), "shape": [int(one) for one in shape], "bytes": size})
    return rows


def _fits(archive: zipfile.ZipFile, name: str) -> bool:
    return name in archive.namelist() and archive.getinfo(name).file_size <= LARGEST_HEADER


def _attributes(schema: Any) -> dict[str, str]:
    """The file of each array -> the attributes that lead to it, as the schema of skops nests them."""
    found: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = [("", schema)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, list):
            waiting += [(f"{path}[{index}]", one) for index, one in enumerate(node)]
        elif isinstance(node, dict):
            if isinstance(node.get("file"), str) and node["file"].endswith(".npy"):
                found.setdefault(node["file"], path or node["file"])
            # `content` is how skops spells what an object holds: it is no name of the user's.
            below = [(key, value) for key, value in node.items() if isinstance(value, dict | list)]
            inner = ("content", "attrs")
            waiting += [(path if key in inner else f"{path}.{key}".strip("."), value) for key, value in below]
    return found


def _keras(opened: BinaryIO) -> list[Tensor]:
    if find_spec("h5py") is None:
        raise _Unknown("its weights can be listed where h5py is installed: pip install h5py")
    with _archive(opened) as archive:
        name = "model.weights.h5"
        if name not in archive.namelist() or archive.getinfo(name).file_size > LARGEST_ARCHIVE:
            raise _Unknown("it holds no weights that can be listed")
        data = io.BytesIO(archive.read(name))
    rows: list[Tensor] = []

    def visit(path: str, node: Any) -> None:
        if hasattr(node, "shape") and hasattr(node, "dtype"):
            shape = [int(size) for size in node.shape or ()]
            size = _count(shape) * node.dtype.itemsize
            rows.append({"name": path, "dtype": str(node.dtype), "shape": shape, "bytes": size})

    try:
        with import_module("h5py").File(data, "r") as file:
            file.visititems(visit)
    except OSError as problem:
        raise ValueError(str(problem)) from problem
    return rows


__all__ = ["tensors"]
