"""Turning snapshots of models into safe formats, once for all backends, before any of them sees the event.

A model in parts is in a safe format already: its file gets its name here, the SHA-256, which would have cost the
training more than all the rest. The outcome is kept in the spool as `<snapshot>.json`, so that a backend that is
configured later gets the same. Where the disk is full the snapshot stays, and is tried again.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from autotrack.errors import BackendUnavailable
from autotrack.events import ModelLogged, Record
from autotrack.provenance import snapshots
from autotrack.provenance.blobs import Blob, Blobs
from autotrack.provenance.parts import PartDamaged, Recipe

FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
REMEMBERED: Final = 4

_one_at_a_time = threading.Lock()
_recent: dict[tuple[str, bytes], Blob] = {}
"""Recipes that were just kept: a model that is logged again unchanged is not hashed again."""


def prepare(home: Path, record: Record) -> Record:
    """The record as backends get it: a model's snapshot is replaced by the blob that it became, or by the reason."""
    event = record.event
    if not isinstance(event, ModelLogged) or event.snapshot is None:
        return record
    return msgspec.structs.replace(record, event=prepared(home, event))


def prepared(home: Path, event: ModelLogged) -> ModelLogged:
    """A model's event as backends get it."""
    if event.snapshot is None:
        return event
    with _one_at_a_time:
        outcome = _outcome(home, event.snapshot)
    return msgspec.structs.replace(
        event, snapshot=None, digest=outcome.get("digest"), bytes=outcome.get("bytes"), problem=outcome.get("problem")
    )


def _outcome(home: Path, snapshot: str) -> dict[str, Any]:
    kept = home / "spool" / f"{snapshot}.json"
    found = _read(kept)
    if found is not None:
        return found
    try:
        blob = _converted(home, *snapshots.read(home, snapshot))
        outcome: dict[str, Any] = {"digest": blob.digest, "bytes": blob.bytes}
    except Exception as problem:  # whatever a converter raises: the run's record says it
        if isinstance(problem, OSError) and problem.errno in FULL:
            raise BackendUnavailable(f"a model cannot be kept yet: {problem}") from problem
        outcome = {"problem": f"{type(problem).__name__}: {problem}"}
    draft = kept.with_name(f".{kept.name}-{os.getpid()}-{threading.get_ident()}")
    draft.write_text(json.dumps(outcome))
    try:
        os.link(draft, kept)  # a reader and the forwarder may both be at it: whoever came first has decided
    except FileExistsError:
        outcome = _read(kept) or outcome
    except (OSError, AttributeError):  # a file system without hard links
        draft.replace(kept)
    draft.unlink(missing_ok=True)
    snapshots.discard(home, snapshot)
    return outcome


def _read(kept: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(kept.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found


def _converted(home: Path, converter: str, data: bytes) -> Blob:
    blobs = Blobs(home)
    if converter != snapshots.IN_PARTS:
        module, _, name = converter.partition(":")
        return blobs.put_bytes(getattr(import_module(module), name)(data))
    place = (str(home), data)
    blob = _recent.get(place)
    if blob is None or not blobs.claim(blob.digest):
        recipe = Recipe.decode(data)
        try:
            blob = blobs.put_recipe(recipe)
        except PartDamaged:
            blobs.parts.mark_damaged(recipe)  # the next model that has the same keeps it again
            raise
    _recent[place] = blob
    while len(_recent) > REMEMBERED:
        del _recent[next(iter(_recent))]
    return blob
