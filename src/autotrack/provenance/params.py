"""Hyperparameters as flat dotted keys with plain values, secrets masked, and stable names for everything else.

Nothing of the user's is changed or kept: mappings are read, never stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from autotrack.provenance.masking import MASK, is_secret, mask_urls, masked

if TYPE_CHECKING:
    from autotrack.events import Scalar

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def flatten(params: Mapping[Any, Any]) -> dict[str, Scalar]:
    """Flatten nested mappings to `outer.inner` keys and make every value a scalar or text."""
    flat: dict[str, Scalar] = {}
    _into(flat, "", params, ())
    return flat


def texts(labels: Mapping[Any, Any]) -> dict[str, str]:
    """Labels as texts, with secrets masked by their names and forms."""
    return {str(key): MASK if _hides(key, value) else masked(str(value)) for key, value in labels.items()}


def _into(flat: dict[str, Scalar], prefix: str, params: Mapping[Any, Any], inside: tuple[int, ...]) -> None:
    for key, value in params.items():
        name = f"{prefix}{key}"
        if _hides(key, value):
            flat[name] = MASK
        elif isinstance(value, Mapping) and value and id(value) not in inside:
            _into(flat, name + ".", value, (*inside, id(params)))
        else:
            flat[name] = scalar(value)


def scalar(value: Any) -> Scalar:
    """One value as a param: plain scalars as they are, functions and classes by name, anything else by its repr."""
    if value is None or isinstance(value, bool):
        return value
    if type(value) in (int, float, str):
        if isinstance(value, str):
            return masked(value)
        return value if not isinstance(value, int) or -(2**63) <= value < 2**64 else str(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        try:
            item = value.item()
        except Exception:  # a lazy or device array that cannot be read: its repr must do
            item = None
        if type(item) in (int, float, bool, str):
            return scalar(item)
    if callable(value):
        name = getattr(value, "__qualname__", None)
        if name:
            return f"{getattr(value, '__module__', None) or '?'}.{name}"
    try:
        text = str(value) if isinstance(value, str) else repr(value)
    except Exception:  # a user's repr that raises
        text = f"<{type(value).__qualname__}>"
    return masked(_ADDRESS.sub("", text))


def plain(value: Any, _inside: tuple[int, ...] = ()) -> Any:
    """A configuration as JSON can hold it: mappings and lists keep their shape, the rest is as in params.

    Sets are sorted, so that the same configuration is always the same text; NaN and infinities are texts.
    """
    if isinstance(value, float) and not isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(float(value))]
    if id(value) not in _inside:
        inside = (*_inside, id(value))
        if isinstance(value, Mapping):
            return {str(key): MASK if _hides(key, one) else plain(one, inside) for key, one in value.items()}
        if isinstance(value, set | frozenset):
            return sorted((plain(one, inside) for one in value), key=str)
        if isinstance(value, list | tuple):
            return [plain(one, inside) for one in value]
    return scalar(value)


def _hides(key: Any, value: Any) -> bool:
    return is_secret(str(key)) and value is not None and not isinstance(value, bool)


__all__ = ["MASK", "flatten", "is_secret", "mask_urls", "plain", "scalar", "texts"]
