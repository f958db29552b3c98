"""Saving a model in a safe format and reading it again: which plugin knows how, found by the model's type.

A product's plugin registers a format for its package (`autotrack.contracts.ModelFormat`). Its `save` answers at once:
with the bytes in a safe format, with the parts that make them, or with a snapshot that is quick to take and that the
forwarder turns into a safe format later, with the converter that the plugin names. Nothing of the model is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from autotrack.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path

    from autotrack.provenance.packing import Piece


@dataclass(frozen=True)
class Saved:
    """A model as bytes, either whole (`data`) or in `parts`.

    With a `converter` (`package.module:function`) the data are a snapshot that it turns safe. Parts are asked for one
    after another, once, before `log_model` returns, and perhaps from another thread; those that an earlier model of
    this home had too are not stored again. A tensor makes a good part. `size` is what all parts have together.
    """

    format: str
    data: bytes | None = None
    converter: str | None = None
    signature: dict[str, Any] | None = None
    parts: Iterable[Piece] | None = None
    size: int = 0


class Format(Protocol):
    """What is needed here of a `ModelFormat`."""

    @property
    def package(self) -> str: ...
    @property
    def save(self) -> str: ...
    @property
    def load(self) -> str: ...
    @property
    def formats(self) -> tuple[str, ...]: ...
    @property
    def needs(self) -> tuple[str, ...]: ...


registered: Callable[[], Sequence[Format]] = lambda: ()  # noqa: E731  the session says what plugins have registered
"""Every format that a plugin has registered. Plugins are found when it is first asked."""

kept: Callable[[str, str | None], Any]
"""Reads a kept model of a run, by the run's id and the model's name. Set from above, where the store can be read."""

PACKAGE = "package"
"""The entry of a signature that says which package's plugin has saved the model."""

LOOKED_AT = 64
"""How many values of a mapping are looked at for whose they are."""


def save(model: Any) -> Saved:
    """The model as bytes. Raises `LookupError` where no plugin knows its type; else what the plugin raises."""
    by_package = {one.package: one for one in reversed(registered())}
    for kind in _kinds(model):
        found = by_package.get(kind.__module__.partition(".")[0])
        if found is not None:
            saved: Saved = _function(found.save)(model)
            return replace(saved, signature={**(saved.signature or {}), PACKAGE: found.package})
    raise LookupError(
        f"no plugin knows how to save a {type(model).__module__}.{type(model).__qualname__} in a safe format; "
        "save it to a file and use log_artifact"
    )


def load(path: Path, format: str, signature: Mapping[str, Any] | None) -> Any:
    """The model in the file at `path`. Raises `PluginError` with what to install; else what the plugin raises."""
    told = dict(signature or {})
    package = told.pop(PACKAGE, None)
    able = [one for one in registered() if format in one.formats]
    found = next((one for one in able if one.package == package), able[0] if able else None)
    if found is None:
        raise PluginError(
            f"no plugin reads models in the format {format!r}; install the one that kept it"
            + (f", a plugin for {package}" if package else "")
        )
    try:
        return _function(found.load)(path, told)
    except ImportError as problem:
        raise PluginError(
            f"reading a model in the format {format!r} needs something that is not installed ({problem}); "
            f"pip install {' '.join(found.needs or (found.package,))}"
        ) from problem


def _kinds(model: Any) -> Iterator[type]:
    """The classes by which a plugin may know the model: its own, and of a mapping (a state dict) its values'."""
    yield from type(model).__mro__
    if isinstance(model, Mapping):
        for value in islice(model.values(), LOOKED_AT):
            yield from type(value).__mro__


def _function(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


__all__ = ["Saved", "load", "save"]
