"""Keeping files and models of a run: bytes go to blobs, to parts, or as snapshots to the spool; an event names them."""

from __future__ import annotations

import io
import mimetypes
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from autotrack import guard
from autotrack.errors import UsageError
from autotrack.events import ArtifactLogged, ModelLogged, Step
from autotrack.provenance import modelfiles, packing, snapshots, weights
from autotrack.provenance.blobs import Blobs


def artifact_event(run: str, source: str | os.PathLike[str] | bytes, name: str | None, home: Path) -> ArtifactLogged:
    """Keep `source` and give the event that says so. Raises `UsageError` for a file that is not there."""
    if isinstance(source, bytes):
        content: bytes | Path = source
    else:
        content = Path(source)
        if not content.is_file():
            raise UsageError(f"{content} is not a file that can be read; give log_artifact the path of a file")
    label = name or (content.name if isinstance(content, Path) else "artifact")
    media_type = mimetypes.guess_type(label)[0] or "application/octet-stream"
    blobs = Blobs(home)
    kept = blobs.put_bytes(content) if isinstance(content, bytes) else blobs.put_file(content)
    return ArtifactLogged(run, time.time_ns(), label, kept.digest, kept.bytes, media_type)


def model_event(run: str, model: Any, name: str, step: Step | None, home: Path) -> ModelLogged:
    """Keep `model` and give the event that says so, or that says why nothing was kept. Never raises for a model."""
    now = time.time_ns()
    try:
        with modelfiles.apart():  # some products save to a file alone
            saved = weights.save(model)
        if saved.parts is not None:
            recipe = packing.keep(home, saved.parts, saved.size)
            taken = snapshots.take(home, snapshots.IN_PARTS, recipe.encode())
            return ModelLogged(
                run, now, name, saved.format, None, recipe.size, step, snapshot=taken, signature=saved.signature
            )
        data = saved.data or b""
        if saved.converter is not None:
            taken = snapshots.take(home, saved.converter, data)
            return ModelLogged(run, now, name, saved.format, step=step, snapshot=taken, signature=saved.signature)
        kept = Blobs(home).put_bytes(data)
    except Exception as problem:  # a model's own serialisation may raise anything
        reason = f"{type(problem).__name__}: {problem}" if not isinstance(problem, LookupError) else str(problem)
        return ModelLogged(run, now, name, "none", step=step, problem=reason)
    return ModelLogged(run, now, name, saved.format, kept.digest, kept.bytes, step, signature=saved.signature)


def registered(event: ModelLogged, name: str | None, aliases: Iterable[str]) -> ModelLogged:
    """The event of a model that is to be registered as `name`, if any. Aliases of nothing are told once."""
    words = [aliases] if isinstance(aliases, str) else list(aliases)
    if words and not name:
        guard.warn_once("aliases", "aliases need a registered model: log_model(model, register='clf', aliases=[…])")
    return replace(event, register=str(name), aliases=[str(word) for word in words]) if name else event


def drawn(figure: Any, name: str) -> bytes:
    """A figure as the bytes of a file called `name`. Raises `UsageError` for what cannot be drawn."""
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=Path(name).suffix.lstrip(".") or "png")
        return buffer.getvalue()
    if hasattr(figure, "to_html"):
        return str(figure.to_html()).encode()
    raise UsageError(f"a {type(figure).__name__} has neither savefig nor to_html; save it and use log_artifact")
