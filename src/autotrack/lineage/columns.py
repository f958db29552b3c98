"""The columns of a dataset as its record names them."""

from __future__ import annotations

from typing import Any


def columns_of(fingerprint: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns of a dataset's record, `[{name, dtype, width}]`; those of its named parts one after another.

    An array without names is one column, as wide as it is.
    """
    if fingerprint.get("columns"):
        return [one for one in fingerprint["columns"] if isinstance(one, dict) and "name" in one]
    found: list[dict[str, Any]] = []
    for name, part in (fingerprint.get("parts") or {}).items():
        inner = columns_of(part)
        if not inner and part.get("dtype"):
            inner = [{"name": name, "dtype": part["dtype"], "width": part.get("n_columns", 1)}]
        found += inner
    return found
