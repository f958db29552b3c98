"""What a gate is asked about: a candidate, the champion that it would follow, and everything recorded of both.

A reference to a version and the name of an alias enter; a `Promotion` leaves. Records are read when they are first
looked at, files of models when a gate asks for them. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from autotrack.errors import ModelNotFound, RunNotFound
from autotrack.provenance import weights
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.lending import Lender
from autotrack.registry import evaluation, reading
from autotrack.registry.log import Reference, check_alias, parse

if TYPE_CHECKING:
    from autotrack.registry.evaluation import Evaluated
    from autotrack.store.query import Store

Record = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One of the two versions."""

    version: Record
    """As `autotrack models show --json` tells it."""
    store: Store = field(repr=False)
    home: Path = field(repr=False)
    blobs: Blobs = field(repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of the model's file, which is what a version is."""
        return str(self.version["digest"])

    @property
    def signature(self) -> Record:
        """What was recorded of its inputs and outputs when it was kept."""
        return dict(self.version.get("signature") or {})

    @cached_property
    def run(self) -> Record | None:
        """The whole record of the run that made it; None where this store does not know it."""
        if not self.version.get("run"):
            return None
        try:
            return self.store.run(str(self.version["run"]))
        except RunNotFound:
            return None

    @cached_property
    def evaluations(self) -> list[Evaluated]:
        """Its evaluations, oldest first."""
        return evaluation.of_version(self.store, self.blobs, self.version, self.run)

    def open(self) -> BinaryIO:
        """Its file, to read. Raises `FileNotFoundError` where it is not kept."""
        return self.blobs.open(self.digest)

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Its file under a path, for the block. Raises `OSError` where it is not kept or is damaged."""
        with Lender(self.home, self.blobs) as lender:
            yield lender.lend(self.digest, f"model.{self.version.get('format') or 'bin'}")

    def load(self) -> Any:
        """The model, as `autotrack.load_model` gives it: no code that its file brings along is run."""
        with self.file() as path:
            return weights.load(path, str(self.version.get("format")), self.signature)


@dataclass(frozen=True)
class Promotion:
    """An alias is to be moved to a candidate."""

    model: str
    alias: str
    candidate: Side
    champion: Side | None
    """What the alias points to now, if anything."""
    rules: Mapping[str, Mapping[str, Any]]
    """The gates that protect the alias, with their options."""
    approvals: int
    """How many people must have approved of it."""
    sample: Any = None
    """Rows to predict on, where the user gave some."""


def promotion(
    store: Store,
    home: Path,
    reference: str,
    alias: str,
    *,
    blobs: Blobs | None = None,
    sample: Callable[[], Any] | None = None,
) -> Promotion:
    """The promotion of the version that `reference` names to `alias`. Raises `ModelNotFound`, `UsageError`."""
    named = parse(reference)
    model = reading.model(store, named.model)
    if alias not in model["aliases"]:  # one that a training has made may be called as it likes
        check_alias(alias)
    held = reading.resolve(store, str(named))
    candidate = _side(model, held["digest"], store, home, blobs or Blobs(home))
    champion = None
    if alias in model["aliases"]:
        now = reading.resolve(store, str(Reference(named.model, alias)))
        champion = _side(model, now["digest"], store, home, candidate.blobs)
    protection = model["protected"].get(alias) or {}
    rules = {name: dict(options or {}) for name, options in dict(protection.get("gates") or {}).items()}
    given = sample() if sample is not None else None
    return Promotion(
        named.model, alias, candidate, champion, rules, int(protection.get("approvals") or 0), sample=given
    )


def _side(model: Record, digest: str, store: Store, home: Path, blobs: Blobs) -> Side:
    for version in model["versions"]:
        if version["digest"] == digest:
            return Side(version, store, home, blobs)
    raise ModelNotFound(f"the model {model['name']} has no version {digest}")


__all__ = ["Promotion", "Side", "promotion"]
