"""Which split data belongs to, by the name of the caller's variable that holds it: `X_test`, `y_train`, `val_x`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

_SPLIT = re.compile(
    r"(?:^|[^a-z]|(?<=[_xy]))(train|test|val|valid|validation)(?:ing)?(?=$|[^a-z]|[xy]?$)", re.IGNORECASE
)
_OURS = frozenset({"autotrack", "autotrack_sklearn", "sklearn"})
_OPTIMISED = 0x1
_SNAPSHOTS = sys.version_info < (3, 13)


def split_of(*values: Any) -> str:
    """`train`, `validation`, `test` or nothing. The last of `values` that a telling variable holds decides.

    The last, since `y` comes after `X`, and predictions often are in a variable without a split.
    """
    wanted = [value for value in reversed(values) if hasattr(value, "shape") or isinstance(value, list)]
    if not wanted:
        return ""
    frame = _caller()
    if frame is None:
        return ""
    local = frame.f_locals
    split = _split_among(wanted, local, frame.f_globals)
    # Up to Python 3.12 a function's frame keeps this dict, and with it all its variables, alive: `del X` would free
    # nothing. It is emptied, unless the user holds it too (references: the frame's, ours, the argument's).
    if _SNAPSHOTS and frame.f_code.co_flags & _OPTIMISED and sys.getrefcount(local) <= 3:
        local.clear()
    return split


def split_in(name: str) -> str:
    """The split that a variable's name tells: `X_val` is `validation`; `interval`, `latest` and `value` tell none."""
    found = _SPLIT.search(name)
    if found is None:
        return ""
    word = found.group(1).lower()
    return word if word in ("train", "test") else "validation"


def _split_among(wanted: list[Any], *scopes: Mapping[str, Any]) -> str:
    for value in wanted:
        for names in scopes:
            for name, held in list(names.items()):
                if held is value and (split := split_in(name)):
                    return split
    return ""


def _caller() -> FrameType | None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS:
        frame = frame.f_back
    return frame
