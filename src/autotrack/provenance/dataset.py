"""Describing a dataset as it is passed to a training call, without changing, keeping or consuming it.

The record is `{kind, n_rows, n_columns, columns[{name, dtype}], bytes, parts{…}}`, as far as each is known, and of what
can be read the identities `{value, schema, rows, strict, coverage, method, grid}` of the canon `x1`
(`provenance.fingerprint`). Types are recognised without importing their packages; what nobody recognises is described
by its type alone. A product's plugin adds its own types: how they are described with `register`, how they are read with
`register_reader`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack import guard
from autotrack.provenance.fingerprint import registry

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.identity import Fingerprint

MOST_COLUMNS = 512
"""Columns beyond this are counted but not listed."""

Describe = Callable[[Any], dict[str, Any]]

load_describers: Callable[[], object] | None = None
"""Loads the plugins, which register their types; the session puts it here. Called where nobody knows a type."""

integrity: str = "off"
"""`blake3`: datasets are sealed too, see `autotrack.provenance.fingerprint.sealing`. Set by the session."""

seconds: float = 2.0
"""The budget of one fingerprint; the session sets it from `AUTOTRACK_DATASET_SECONDS`."""

BLOBS = ("grid", "manifest")
"""Keys of a record whose bytes are kept as blobs."""

_registered: dict[str, Describe] = {}


def register(type_name: str, describe: Describe) -> None:
    """Describe objects of the type `package.module.Name` (or of one derived from it) with `describe`."""
    _registered[type_name] = describe


def describe(data: Any, *, identify: bool = True) -> dict[str, Any]:
    """The record of one dataset. A mapping of named parts (`X`, `y`, `sample_weight`) gives a record with `parts`.

    With `identify`, also its identities. `grid` is the bytes of a blob then, which `kept` puts where it belongs.
    """
    record = _described(data)
    if identify:
        _identified(record, data)
    return record


def recorded(data: Any, run: Any, role: str, name: str) -> dict[str, Any]:
    """The record of a dataset of `run` (an `autotrack.run.Run`), whose blobs are kept in the run's home."""
    home: Path | None = run.home
    if home is None:  # nothing is kept
        return _described(data)
    from autotrack.provenance.fingerprint import leakage, manifest, sources

    record = _described(data)
    with manifest.cached_in(home) as files:
        found = _identified(record, data)
    with guard.guarded("fingerprint"):
        if "source" not in record and (source := sources.source_of(data)) is not None:
            record["source"] = source
        if found is not None:
            try:
                record.update(leakage.observe(run, role, name, found, files.row_set()))
            except OSError as problem:  # a full disk
                record["not_kept"] = f"row_set: {problem}"
        record.update(files.record())
    return kept(record, home)


def kept(record: dict[str, Any], home: Path | None) -> dict[str, Any]:
    """The record with `{digest, bytes}` for each blob that it has as bytes; without them where there is no home."""
    settled: dict[str, Any] = {}
    for key, value in record.items():
        if key in BLOBS and isinstance(value, bytes):
            if home is not None:
                from autotrack.provenance.blobs import Blobs

                try:
                    blob = Blobs(home).put_bytes(value)
                except OSError as problem:  # a full disk: the identities are recorded all the same
                    settled["not_kept"] = f"{key}: {problem}"
                else:
                    settled[key] = {"digest": blob.digest, "bytes": blob.bytes}
        elif key == "parts" and isinstance(value, Mapping):
            settled[key] = {name: kept(part, home) if isinstance(part, dict) else part for name, part in value.items()}
        else:
            settled[key] = value
    return settled


def _identified(record: dict[str, Any], data: Any) -> Fingerprint | None:
    """Add the identities of `data` to its record and those of its parts; what could be read of it."""
    if "value" in record or "stream" in record or "fingerprint" in guard.off:  # whoever described it knows better
        return None
    with guard.guarded("fingerprint"):
        from autotrack.provenance.fingerprint.identity import at_training

        found = at_training(registry.read(data), seconds)
        _add(record, found)
        if found.grid is not None:
            record["grid"] = found.grid.encode()
        if integrity != "off":
            record.update(_seal(data))
        return found
    return None


def _seal(data: Any) -> dict[str, str]:
    from autotrack.provenance.fingerprint.sealing import seal

    try:
        sealed = seal(data)
    except ImportError:
        why = "AUTOTRACK_INTEGRITY=blake3 needs the package blake3: pip install 'autotrack-ml[integrity]'"
        guard.warn_once("dataset:integrity", f"datasets are not sealed: {why}")
        return {"not_sealed": why}
    return {"sealed": sealed} if sealed else {"not_sealed": "not all of it can be read in a canonical form"}


def _add(record: dict[str, Any], found: Fingerprint) -> None:
    if "value" in record:
        return
    record.update(found.record())
    parts = record.get("parts")
    if isinstance(parts, dict):
        for name, part in found.parts.items():
            if isinstance(parts.get(name), dict):
                _add(parts[name], part)


def _described(data: Any) -> dict[str, Any]:
    if registry.is_parts(data):
        parts = {name: _described(part) for name, part in data.items() if part is not None}
        first = next(iter(parts.values()), {})
        return {"kind": "parts", "n_rows": first.get("n_rows"), "n_columns": first.get("n_columns"), "parts": parts}
    found = _registered_for(data)
    if found is not None:
        return {"kind": _type_name(data), **found(data)}
    if hasattr(data, "dtypes") and hasattr(data, "columns"):
        return _frame(data)
    if hasattr(data, "nnz") and hasattr(data, "shape"):
        return {**_array(data), "non_zero": int(data.nnz)}
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        return _array(data)
    if isinstance(data, list | tuple):
        width = len(data[0]) if data and isinstance(data[0], list | tuple) else 1
        return {"kind": type(data).__name__, "n_rows": len(data), "n_columns": width}
    if load_describers is not None:  # autotrack may not be enabled: an explicit callback, or a run of the user's
        load_describers()
        found = _registered_for(data)
    return {"kind": _type_name(data), **(found(data) if found is not None else {})}


def _registered_for(data: Any) -> Describe | None:
    for kind in type(data).__mro__:
        found = _registered.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    return None


def _array(data: Any) -> dict[str, Any]:
    shape = [int(size) for size in data.shape]
    columns = 1
    for size in shape[1:]:
        columns *= size
    record: dict[str, Any] = {
        "kind": _type_name(data),
        "shape": shape,
        "n_rows": shape[0] if shape else 1,
        "n_columns": columns,
        "dtype": str(data.dtype),
    }
    if isinstance(getattr(data, "nbytes", None), int):
        record["bytes"] = data.nbytes
    if getattr(data, "name", None) is not None:
        record["columns"] = [{"name": str(data.name), "dtype": str(data.dtype)}]
    return record


def _frame(data: Any) -> dict[str, Any]:
    names = list(data.columns)
    dtypes = list(data.dtypes)
    return {
        "kind": _type_name(data),
        "shape": [int(data.shape[0]), len(names)],
        "n_rows": int(data.shape[0]),
        "n_columns": len(names),
        "columns": [
            {"name": str(name), "dtype": str(dtype)}
            for name, dtype in zip(names[:MOST_COLUMNS], dtypes[:MOST_COLUMNS], strict=True)
        ],
    }


def _type_name(data: Any) -> str:
    kind = type(data)
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
