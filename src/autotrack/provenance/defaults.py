"""Which params of a run are not what they are when nothing is said.

Values enter by the names under which a run has them, with the defaults that the framework itself tells. `changed` goes
into the run's record as `defaults`, of each param that is something else its default, and `unchanged`, the names of the
others. There is no guess: a param whose default is not known, or cannot be compared with it, is in neither.
"""

from __future__ import annotations

import inspect
import math
import struct
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from autotrack.provenance.params import plain

if TYPE_CHECKING:
    from autotrack.run import Run

KIND: Final = "defaults"
"""What `Run.log_provenance` keeps them as."""

LONGEST: Final = 200
"""Characters of a default that is shown as text."""

LARGEST: Final = 3e38
"""What fits 32 bits."""

_PLAIN: Final = (str, int, float, type(None))
_NAMED: Final = (type, FunctionType, BuiltinFunctionType)

_told: WeakKeyDictionary[Run, dict[str, tuple[Any, ...]]] = WeakKeyDictionary()
"""By run, what was told of each name: `()` is unchanged, one element is the default of one that is changed."""


def declared(made_by: Any) -> Mapping[str, Any]:
    """The defaults in the signature of a function or a class, by the names of its parameters.

    Of a class whose `__init__` takes `**more`, also those of the next class above it that has one, and so on. Empty for
    what does not tell its signature. Read once, so asking again costs nothing.
    """
    found: Mapping[str, Any] = _declared(made_by)
    return found


@lru_cache(maxsize=512)
def _declared(made_by: Any) -> Mapping[str, Any]:
    functions = [made_by]
    if isinstance(made_by, type):
        functions = [vars(one)["__init__"] for one in made_by.__mro__ if "__init__" in vars(one)]
    found: dict[str, Any] = {}
    named: set[str] = set()
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            break
        found |= {one.name: one.default for one in parameters if one.default is not one.empty and one.name not in named}
        named |= {one.name for one in parameters}
        if all(one.kind is not one.VAR_KEYWORD for one in parameters):
            break
    return MappingProxyType(found)


def log_defaults(run: Run, held: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Tell of each param in `held` whether it is its default, as far as `defaults` has one for it.

    Both have the names under which the params are recorded; a param that its library has chosen by itself may be given
    as its own default. What was told of this run before holds on, with the newest word on each name.
    """
    new: dict[str, tuple[Any, ...]] = {}
    for name, value, default in _named(held, defaults):
        same = is_default(value, default)
        if same is not None:
            new[name] = () if same else (_shown(name, default),)
    told = _told.setdefault(run, {})
    if all(told.get(name) == word for name, word in new.items()):
        return
    told |= new
    changed = {name: word[0] for name, word in told.items() if word}
    run.log_provenance(KIND, {"changed": changed, "unchanged": [name for name, word in told.items() if not word]})


def _named(held: Mapping[str, Any], defaults: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Name, value and default of each param: what is in a mapping is a param of its own, with a dotted name."""
    for name, default in defaults.items():
        if name not in held:
            continue
        value = held[name]
        if not isinstance(value, Mapping) or not value:
            yield f"{before}{name}", value, default
        else:
            inside = default if isinstance(default, Mapping) else dict.fromkeys(value, default)
            yield from _named(value, inside, f"{before}{name}.")


def is_default(value: Any, default: Any) -> bool | None:
    """Whether a param's value is its default; None where the two cannot be compared for certain."""
    if value is default:
        return True
    value, default = _value(value), _value(default)
    if isinstance(default, _PLAIN):
        if isinstance(value, _PLAIN):
            return _equal(value, default)
        return False if default is None or not hasattr(value, "item") else None
    if isinstance(default, list | tuple):
        if not isinstance(value, list | tuple):
            return False if isinstance(value, _PLAIN) else None
        return len(value) == len(default) and _all(map(is_default, value, default))
    if isinstance(default, Mapping):
        if not isinstance(value, Mapping):
            return False if isinstance(value, _PLAIN) else None
        return value.keys() == default.keys() and _all(is_default(value[key], default[key]) for key in default)
    if isinstance(default, _NAMED):
        return False if isinstance(value, (*_PLAIN, *_NAMED)) else None
    return None


def _value(value: Any) -> Any:
    """The plain value of an enumeration's member and of a scalar of numpy's."""
    if isinstance(value, Enum):
        return value.value
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value


def _equal(value: Any, default: Any) -> bool:
    if isinstance(value, bool) is not isinstance(default, bool):  # True is one to Python, and another param
        return False
    if value == default or value != value and default != default:
        return True
    if type(value) is float and isinstance(default, float) and math.isclose(value, default, rel_tol=1e-7):
        if abs(default) > LARGEST:
            return False
        (rounded,) = struct.unpack("f", struct.pack("f", default))
        return bool(value == rounded)  # a framework keeps it in 32 bits
    return False


def _all(verdicts: Any) -> bool | None:
    found = list(verdicts)
    if False in found:
        return False
    return None if None in found else True


def _shown(name: str, default: Any) -> Any:
    """The default as a record has it: masked as a param is, and of an object no more than the beginning."""
    shown = plain({name: _value(default)})[name]
    return shown if isinstance(shown, int | float | None) else _short(shown)


def _short(shown: Any) -> Any:
    if isinstance(shown, str):
        return shown[:LONGEST]
    return shown if len(str(shown)) <= LONGEST else str(shown)[:LONGEST]


__all__ = ["KIND", "declared", "is_default", "log_defaults"]
