"""Giving back a kept model, by run or by registered version, without running what its file brings along.

The record of a model enters; the model leaves, read by the plugin of its format from a file whose SHA-256 has just been
found to be the one that the record names. A file that would run code when it is read, such as a pickle, is only read
for somebody who says which digest he expects.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile, ZipFile

from autotrack.errors import ModelNotFound, PluginError
from autotrack.provenance import weights
from autotrack.provenance.parts import PartDamaged
from autotrack.store.remote_blobs import lender

if TYPE_CHECKING:
    from autotrack.settings import Settings

Record = dict[str, Any]

RUNS_CODE: Final = frozenset(
    ("bin", "ckpt", "cloudpickle", "dill", "h5", "hdf5", "joblib", "pickle", "pkl", "pt", "pth", "torch", "torchscript")
)
"""Formats whose readers do what the file says. A file of another format that is a pickle all the same counts too."""

_BLOCK: Final = 1 << 20
_PICKLE: Final = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
"""How a pickle of protocol 2 to 5 begins: the opcode PROTO, then the protocol
(https://github.com/python/cpython/blob/main/Lib/pickletools.py)."""


def kept_in(record: Record, name: str | None) -> Record:
    """The last kept model in a run's record, or the last of this name. Raises `ModelNotFound`."""
    found = [model for model in record["models"] if name in (None, model["name"])]
    for model in reversed(found):
        if model["digest"] is not None:
            kept: Record = model
            return kept
    if found:
        reason = found[-1].get("problem") or "nothing says why"
        raise ModelNotFound(f"the model {found[-1]['name']!r} of run {record['id']} was not kept: {reason}")
    names = ", ".join(repr(model["name"]) for model in record["models"])
    raise ModelNotFound(
        f"run {record['id']} has no model" + (f" {name!r}; it has {names}" if name is not None and names else "")
    )


def read(model: Record, what: str, settings: Settings, pinned: str | None = None) -> Any:
    """The model of a record with `digest`, `format` and `signature`; `what` names it in errors.

    `pinned` is the SHA-256 that the user expects. Raises `ModelNotFound` where the file is gone or is another, and
    `PluginError` where something is missing, or where reading would run code and no digest was pinned.
    """
    digest, kind = model["digest"], str(model.get("format") or "")
    expected = None if pinned is None else pinned.strip().lower().removeprefix("sha256").lstrip(":-")
    if expected is not None and expected != digest:
        raise ModelNotFound(f"{what} is not what was pinned: its digest is {digest}, and {expected} was expected")
    with lender(settings.resolved_home, settings) as lent:
        try:
            path = lent.lend(digest, f"model.{kind or 'bin'}")
            held = _sha256(path)
        except FileNotFoundError:
            lost = f"its file {digest} is not in {settings.resolved_home} any more"
            raise ModelNotFound(f"{what} cannot be read: {lost}") from None
        except PartDamaged as problem:
            raise ModelNotFound(f"{what} cannot be read: {problem}") from problem
        if held != digest:
            raise ModelNotFound(f"{what} cannot be read: its file is damaged, its digest is {held} and not {digest}")
        if runs_code(path, kind):
            if expected is None:
                raise PluginError(
                    f"{what} is in the format {kind!r}, and reading it would run whatever code it holds; if you know "
                    f"who made it, pin it: load_model(…, digest={digest!r})"
                )
            return _read_trusted(path, kind, model.get("signature"))
        return weights.load(path, kind, model.get("signature"))


def runs_code(path: Path, format: str) -> bool:
    """Whether reading this file may run what it says: by its format, or because a pickle is in it."""
    if format.lower() in RUNS_CODE:
        return True
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in _PICKLE:
        return True
    if start == b"PK\x03\x04":  # an archive, as torch writes them, holds its pickle as a member
        try:
            with ZipFile(path) as archive:
                return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
        except (BadZipFile, OSError):
            return False
    return False


def _read_trusted(path: Path, kind: str, signature: Record | None) -> Any:
    try:
        return weights.load(path, kind, signature)
    except PluginError:
        if kind.lower() not in ("pickle", "pkl"):
            raise
    with path.open("rb") as file:
        return pickle.load(file)  # its digest is the one that the user has pinned


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
