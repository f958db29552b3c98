"""Describing a dataset as it is passed to a training call, without changing, keeping or consuming it.

The record is `{kind, n_rows, n_columns, columns[{name, dtype}], bytes, parts{…}}`, as far as each is known. Types are
recognised without importing their packages; what nobody recognises is described by its type alone. A product's plugin
adds its own types with `register`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MOST_COLUMNS = 512
"""Columns beyond this are counted but not listed."""

Describe = Callable[[Any], dict[str, Any]]

load_describers: Callable[[], object] | None = None
"""Loads the plugins, which register their types; the session puts it here. Called where nobody knows a type."""

_registered: dict[str, Describe] = {}


def register(type_name: str, describe: Describe) -> None:
    """Describe objects of the type `package.module.Name` (or of one derived from it) with `describe`."""
    _registered[type_name] = describe


def describe(data: Any) -> dict[str, Any]:
    """The record of one dataset. A mapping of named parts (`X`, `y`, `sample_weight`) gives a record with `parts`."""
    if _is_parts(data):
        parts = {name: describe(part) for name, part in data.items() if part is not None}
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


def _is_parts(data: Any) -> bool:
    return isinstance(data, Mapping) and bool(data) and all(isinstance(name, str) for name in data)


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
