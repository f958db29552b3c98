"""Prints, as JSON, what a client of Neptune offers: for each module its public names with their signatures.

Run by `test_compat_neptune_signatures.py`, once with the real packages and once with the drop-ins in their place.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from typing import Any

MODULES = {
    "neptune": [
        *("neptune", "neptune.attributes", "neptune.constants", "neptune.envs", "neptune.exceptions"),
        *("neptune.handler", "neptune.integrations.python_logger", "neptune.integrations.utils", "neptune.management"),
        *("neptune.metadata_containers", "neptune.table", "neptune.types", "neptune.typing", "neptune.utils"),
    ],
    "neptune_scale": [
        *("neptune_scale", "neptune_scale.api.run", "neptune_scale.exceptions", "neptune_scale.legacy"),
        *("neptune_scale.projects", "neptune_scale.types"),
    ],
}
CALLED = ("__getitem__", "__setitem__", "__delitem__", "__enter__", "__exit__")


def names_of(module: Any) -> list[str]:
    """What the module means to offer."""
    told = getattr(module, "__all__", None)
    if told is None:
        told = [
            name
            for name, one in vars(module).items()
            if not name.startswith("_") and getattr(one, "__module__", None) == module.__name__
        ]
    return sorted(told)


def signature(one: Any) -> list[Any] | None:
    """Name, kind and default of each parameter; None for what cannot be called so."""
    try:
        found = inspect.signature(one)
    except (TypeError, ValueError):
        return None
    return [
        (each.name, each.kind.name, None if each.default is inspect.Parameter.empty else _shown(each.default))
        for each in found.parameters.values()
    ]


def _shown(default: Any) -> str:
    plain = (str, int, float, bool, type(None))
    return repr(default) if isinstance(default, plain) else type(default).__name__


def described(one: Any) -> dict[str, Any]:
    """What is known of one name from outside."""
    if not inspect.isclass(one):
        return {
            "kind": "function" if callable(one) else "value",
            "signature": signature(one) if callable(one) else None,
        }
    if issubclass(one, BaseException):
        return {
            "kind": "exception",
            "bases": [base.__name__ for base in one.__mro__ if base.__name__ not in ("object",)],
        }
    methods = {
        name: signature(method)
        for name, method in inspect.getmembers(one)
        if (not name.startswith("_") or name in CALLED) and callable(method) and not inspect.isclass(method)
    }
    return {"kind": "class", "signature": signature(one), "methods": methods}


def main(product: str, drop_in: bool) -> None:
    if drop_in:
        import autotrack.compat

        autotrack.compat.install(product)
    found: dict[str, Any] = {}
    for name in MODULES[product]:
        module = importlib.import_module(name)
        found[name] = {each: described(getattr(module, each)) for each in names_of(module) if hasattr(module, each)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], len(sys.argv) > 2)
