"""Comparing the kept weights of two runs: by their digests and, where those differ, by what the files hold.

Two files may differ though the weights do not: some formats hold addresses or times. So both are read by the plugin
that knows the format, and what they hold is compared: names, shapes, types, and every number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

import numpy as np

from autotrack.provenance import weights
from autotrack.provenance.lending import Lender
from autotrack.reproduce.curves import Tolerance, equal
from autotrack.session import session
from autotrack.store.remote_blobs import lender

_PLAIN: Final = (str, bytes, bytearray, int, complex, bool, type(None), type, range, slice)
_NAMED: Final = (FunctionType, BuiltinFunctionType, np.ufunc)
_DEPTH: Final = 200


@dataclass(frozen=True)
class Weighed:
    """How a kept model of a rerun compares with the recorded one."""

    name: str
    step: Any
    bitwise: bool = False
    """The files are the same bytes."""
    same: bool | None = None
    """Whether they hold the same, to the last bit; None where that cannot be told, for `problem`."""
    within: bool | None = None
    largest: float = 0.0
    """The largest absolute difference of two numbers."""
    where: str | None = None
    """The first place at which they differ by more than is tolerated, or at all."""
    opaque: bool = False
    """They differ in bytes that only their product can read: settings of no account may be in there, or all of it."""
    problem: str | None = None

    def told(self) -> dict[str, Any]:
        """As the record of a verdict has it."""
        fields = {"same": self.same, "within_tolerance": self.within, "largest": self.largest}
        more = {"where": self.where, "problem": self.problem}
        return {"name": self.name, "step": self.step, "bitwise": self.bitwise, **fields, **more}


def weigh(
    was: list[dict[str, Any]], now: list[dict[str, Any]], home: Path, tolerance: Tolerance, more: float = 0
) -> list[Weighed]:
    """Compare the models of two runs that have the same name and step. `home` holds their files.

    `more` is an absolute difference that is allowed beside the tolerance. Models that were not kept are passed over.
    One that only the first run has kept is no difference: how often a long training keeps one is a matter of time.
    """
    found = []
    others = [model for model in now if model["digest"]]
    for model in was:
        if not model["digest"]:
            continue
        name, step = model["name"], model["step"]
        other = next((one for one in others if _place(one) == _place(model)), None)
        if other is None:
            found.append(Weighed(name, step, problem="the rerun has kept no such weights"))
        elif other["digest"] == model["digest"]:
            others.remove(other)
            found.append(Weighed(name, step, bitwise=True, same=True, within=True))
        else:
            others.remove(other)
            found.append(_by_content(model, other, home, tolerance, more))
    return found


def _place(model: Mapping[str, Any]) -> tuple[str, Any]:
    """The name and the step; with a step, the number that several of one name are told apart by does not matter."""
    name, step = str(model["name"]), model["step"]
    return (name if step is None else re.sub(r"-\d+$", "", name)), step


def _by_content(
    was: Mapping[str, Any], now: Mapping[str, Any], home: Path, tolerance: Tolerance, more: float
) -> Weighed:
    name, step = was["name"], was["step"]
    try:
        with lender(home, session.settings) as lent:
            a, b = _read(lent, was), _read(lent, now)
            same, within, opaque, largest, where = True, True, False, 0.0, None
            for place, gap, near in _gaps(a, b, tolerance, more):
                if near is None:
                    opaque, where = True, where or place
                    continue
                same, largest = False, max(largest, gap)
                if where is None or (within and not near):
                    where = place
                within = within and near
            if opaque and within:
                return Weighed(name, step, opaque=True, where=where, problem=f"the bytes of {where or name} differ")
            return Weighed(name, step, same=same, within=within, largest=largest, where=where)
    except Exception as problem:  # whatever a framework's loader raises
        return Weighed(name, step, problem=f"the weights cannot be compared: {type(problem).__name__}: {problem}")


def _read(lent: Lender, model: Mapping[str, Any]) -> Any:
    path = lent.lend(model["digest"], f"model.{model['format']}")
    return weights.load(path, model["format"], model.get("signature"))


def _gaps(a: Any, b: Any, tolerance: Tolerance, more: float) -> Iterator[tuple[str, float, bool | None]]:
    """Where two objects differ: the place, the largest gap of numbers there, and whether it is tolerated.

    Of bytes that are not the same nobody knows: the last is None.
    """
    seen: set[tuple[int, int]] = set()
    keep: list[Any] = []  # what is made on the way must live, or its id would come again
    waiting = [("", a, b, 0)]
    while waiting:
        place, x, y, depth = waiting.pop()
        if (id(x), id(y)) in seen or depth > _DEPTH:
            continue
        seen.add((id(x), id(y)))
        keep += (x, y)
        if type(x) is not type(y):
            yield place, float("inf"), False
            continue
        arrays = _as_arrays(x, y)
        if arrays is not None:
            yield from _array_gaps(place, *arrays, tolerance, more)
        elif isinstance(x, _PLAIN + _NAMED):
            if x != y:
                yield place, float("inf"), None if isinstance(x, bytes | bytearray) else False
        else:
            inside, other = _inside(x), _inside(y)
            if [key for key, _ in inside] != [key for key, _ in other]:
                yield place, float("inf"), False
                continue
            pairs = zip(inside, other, strict=True)
            waiting += [(f"{place}.{key}".lstrip("."), p, q, depth + 1) for (key, p), (_, q) in pairs]


def _as_arrays(x: Any, y: Any) -> tuple[Any, Any] | None:
    if isinstance(x, np.ndarray):
        return (x, y) if x.dtype != object else None
    if isinstance(x, np.generic | float):
        return np.asarray(x), np.asarray(y)
    if hasattr(x, "detach") and hasattr(x, "numpy"):  # a tensor; what numpy lacks is as exact in 32 bits
        pair = []
        for one in (x, y):
            one = one.detach().cpu()
            pair.append((one.float() if "bfloat16" in str(one.dtype) else one).numpy())
        return pair[0], pair[1]
    return None


def _array_gaps(place: str, x: Any, y: Any, tolerance: Tolerance, more: float) -> Iterator[tuple[str, float, bool]]:
    if x.shape != y.shape or x.dtype != y.dtype:
        yield place, float("inf"), False
    elif x.dtype.names:
        for name in x.dtype.names:
            yield from _array_gaps(f"{place}.{name}", x[name], y[name], tolerance, more)
    elif x.dtype.kind == "f":
        same = equal(x, y)
        if not same.all():
            with np.errstate(invalid="ignore", over="ignore"):
                gaps = np.abs(y.astype(np.float64) - x.astype(np.float64))
            near = tolerance.allows(x.astype(np.float64), y.astype(np.float64), more)
            yield place, float(np.max(gaps[np.isfinite(gaps)], initial=0.0)), bool(near.all())
    elif x.tobytes() != y.tobytes():
        yield place, float("inf"), False


def _inside(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [(str(at), item) for at, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [(str(at), item) for at, item in enumerate(sorted(value, key=repr))]
    if isinstance(value, np.ndarray):
        return [(str(at), item) for at, item in enumerate(value.ravel().tolist())]
    # What the object itself would be pickled from; nothing is unpickled.
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return [("name", reduced)]
    state = reduced[2] if len(reduced) > 2 else None
    arguments = [(f"argument {at}", item) for at, item in enumerate(reduced[1]) if not isinstance(item, type)]
    if isinstance(state, Mapping):  # which version wrote it is no part of what was learnt
        return [*arguments, *((str(key), item) for key, item in state.items() if "version" not in str(key))]
    items = [list(part) for part in reduced[3:5] if part is not None]
    return [*arguments, ("state", state), *((f"items {at}", item) for at, item in enumerate(items))]


__all__ = ["Weighed", "weigh"]
