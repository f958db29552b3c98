"""Fitted estimators in the format of skops, which can be looked into and loaded without running code.

Making it takes longer than many fits. So the training process takes a pickle, the quickest snapshot there is, and the
forwarder makes the skops file from it (`to_skops`). That pickle is never kept and never loaded anywhere else; it is
signed, and opened by an unpickler that knows the packages below and nothing more. A model with something of another
package in it, such as a class of the user's script that the forwarder could not import, is written as skops at once.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from autotrack.plugin import Saved

PACKAGES = frozenset({"sklearn", "numpy", "scipy", "pandas", "joblib", "xgboost", "lightgbm", "catboost", "imblearn"})
"""Packages whose classes a snapshot may hold: the forwarder's Python has them where the training's has."""

FUNCTION_PACKAGES = frozenset({"sklearn", "scipy"})
"""Packages whose functions may be in a model as its params. The others have some that read files or run code."""

BUILTINS = frozenset(
    {"bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set"}
    | {"slice", "str", "tuple"}
)
PLAIN = frozenset(
    {("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "deque"), ("functools", "partial")}
    | {("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__")}
    | {("_codecs", "encode"), ("decimal", "Decimal"), ("datetime", "datetime"), ("datetime", "timedelta")}
)
REBUILDING = frozenset(
    {"_reconstruct", "_mareconstruct", "scalar", "_frombuffer", "__bit_generator_ctor", "__generator_ctor"}
    | {"__randomstate_ctor", "_unpickle_block", "_new_Index"}
)
"""Functions of numpy and pandas that their arrays, generators and indexes are rebuilt by."""


def save(model: Any) -> Saved:
    """A snapshot of a fitted estimator, or where that must be, its skops file. Raises `LookupError` with the reason."""
    if not _has_skops():
        raise LookupError(
            "skops is not installed, which keeps scikit-learn models; pip install 'autotrack-ml[sklearn]'"
        )
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, protocol=5)
    signature = _signature(model)
    try:
        pickler.dump(model)
    except _Foreign as met:
        import skops.io

        if "<" in met.name:
            raise LookupError(
                f"it holds {met.name}, which cannot be found again by its name; define it in a module"
            ) from None
        return Saved("skops", skops.io.dumps(model), signature=signature)
    return Saved("skops", buffer.getvalue(), converter="autotrack_sklearn.weights:to_skops", signature=signature)


def to_skops(data: bytes) -> bytes:
    """The skops file of a snapshot that `save` took. Raises `pickle.UnpicklingError` for what it would not take."""
    import skops.io

    model = _Unpickler(io.BytesIO(data)).load()
    written: bytes = skops.io.dumps(model)
    return written


def load(path: Path, signature: Mapping[str, Any]) -> Any:
    """The estimator in a skops file.

    Raises `LookupError` where the file holds something that a snapshot may not hold: to read that runs somebody's code,
    which is for the user to decide.
    """
    import skops.io

    found = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in found if not _is_known_by_name(name)]
    if foreign:
        raise LookupError(
            f"the model holds {', '.join(foreign)}, which is neither scikit-learn's nor of a package that comes with "
            "it; if you trust it, read the model's file with skops.io.load(file, trusted=[…]): it is the blob that its "
            "digest names"
        )
    return skops.io.load(path, trusted=found)


def _is_known_by_name(name: str) -> bool:
    module, _, last = name.rpartition(".")
    place = "sklearn._loss._loss" if module == "_loss" else module
    if place.partition(".")[0] not in PACKAGES and place != "builtins" and (place, last) not in PLAIN:
        return False  # not even imported
    try:
        return is_known(module, last, getattr(import_module(place), last))
    except (ImportError, AttributeError):
        return False


def is_known(module: str, name: str, thing: Any) -> bool:
    """Whether a snapshot may refer to `thing`, which is called `name` in `module`."""
    # Up to scikit-learn 1.8 the compiled losses of gradient boosting name their module without its package.
    package = "sklearn" if module == "_loss" else module.partition(".")[0]
    if module == "builtins":
        return name in BUILTINS
    if (module, name) in PLAIN:
        return True
    if package not in PACKAGES:
        return False
    if isinstance(thing, type) or name in REBUILDING or name.startswith("__pyx_unpickle_"):
        return True
    if package == "numpy":
        return type(thing).__name__ == "ufunc"
    return package in FUNCTION_PACKAGES


_NAMED = (type, FunctionType)


class _Foreign(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Pickler(pickle.Pickler):
    """Stops at the first class or function that the unpickler would refuse."""

    def reducer_override(self, thing: Any) -> Any:
        # Called for each object that is no plain value: for the class of an instance and for functions too.
        if isinstance(thing, _NAMED) and not is_known(thing.__module__ or "builtins", thing.__qualname__, thing):
            raise _Foreign(f"{thing.__module__}.{thing.__qualname__}")
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "_loss":
            import_module("sklearn._loss._loss")  # registers itself under that name too
        found = super().find_class(module, name)
        if not is_known(module, name, found):
            raise pickle.UnpicklingError(f"a snapshot of a scikit-learn model may not hold {module}.{name}")
        return found


def _signature(model: Any) -> dict[str, Any]:
    record: dict[str, Any] = {"estimator": f"{type(model).__module__}.{type(model).__qualname__}"}
    try:
        count, names = getattr(model, "n_features_in_", None), getattr(model, "feature_names_in_", None)
    except Exception:  # a pipeline whose first step does not know
        return record
    if count is not None:
        record["n_features_in"] = int(count)
    if names is not None:
        record["feature_names_in"] = [str(name) for name in names[:512]]
    return record


@cache
def _has_skops() -> bool:
    return importlib.util.find_spec("skops") is not None
