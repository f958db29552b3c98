"""Turning snapshots of models into safe formats, once for all backends, before any of them sees the event.

The outcome is kept beside the spool as `<snapshot>.json`, so that a backend that is configured later gets the same.
"""

from __future__ import annotations

import json
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from autotrack.events import ModelLogged, Record
from autotrack.provenance import snapshots
from autotrack.provenance.blobs import Blobs

_one_at_a_time = threading.Lock()


def prepare(home: Path, record: Record) -> Record:
    """The record as backends get it: a model's snapshot is replaced by the blob that it became, or by the reason."""
    event = record.event
    if not isinstance(event, ModelLogged) or event.snapshot is None:
        return record
    with _one_at_a_time:
        outcome = _outcome(home, event.snapshot)
    changed = msgspec.structs.replace(
        event, snapshot=None, digest=outcome.get("digest"), bytes=outcome.get("bytes"), problem=outcome.get("problem")
    )
    return msgspec.structs.replace(record, event=changed)


def _outcome(home: Path, snapshot: str) -> dict[str, Any]:
    kept = home / "spool" / f"{snapshot}.json"
    try:
        found: dict[str, Any] = json.loads(kept.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        pass
    else:
        return found
    try:
        converter, data = snapshots.read(home, snapshot)
        module, _, name = converter.partition(":")
        blob = Blobs(home).put_bytes(getattr(import_module(module), name)(data))
        outcome: dict[str, Any] = {"digest": blob.digest, "bytes": blob.bytes}
    except Exception as problem:  # whatever a converter raises: the run's record says it
        outcome = {"problem": f"{type(problem).__name__}: {problem}"}
    draft = kept.with_name(f".{kept.name}-{os.getpid()}-{threading.get_ident()}")
    draft.write_text(json.dumps(outcome))
    draft.replace(kept)
    snapshots.discard(home, snapshot)
    return outcome
