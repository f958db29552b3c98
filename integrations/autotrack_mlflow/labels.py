"""Params, tags and the counts of notes: what describes a run.

MLflow never changes a param: a second value for a key fails the whole request. So the first value is the param and the
newest one the tag `autotrack.param.<key>`, and params never share a request with anything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotrack.events import NoteLogged, Scalar
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.keys import safe_key
from autotrack_mlflow.runs import PARAM_TAG, KnownRun, Runs, params_of, tags_of

PARAM_LENGTH, TAG_LENGTH = 6000, 8000
LABELS_PER_REQUEST, BYTES_PER_REQUEST = 100, 900_000
NOTES_TAG = "autotrack.notes"


@dataclass(frozen=True)
class Label:
    """One value of one key. `replayed` says that it was delivered before, and so must not replace a newer value."""

    value: str
    replayed: bool


class Labels:
    """Sends params, tags and notes."""

    def __init__(self, client: Client, runs: Runs, note: Callable[[str, str, str], None]) -> None:
        self._client = client
        self._runs = runs
        self._note = note

    def param(self, run: str, key: str, value: Scalar, replayed: bool) -> tuple[str, Label]:
        """A param as MLflow takes it; what had to be changed is noted."""
        if not isinstance(value, str):
            self._note(run, "types of params", "MLflow keeps numbers and flags as text")
        return self._label(run, "param", key, str(value), PARAM_LENGTH, replayed)

    def tag(self, run: str, key: str, value: str, replayed: bool) -> tuple[str, Label]:
        """A tag as MLflow takes it; what had to be changed is noted."""
        return self._label(run, "tag", key, value, TAG_LENGTH, replayed)

    def send_params(self, known: KnownRun, params: Sequence[tuple[str, Label]]) -> dict[str, Label]:
        """Send params in the order in which they were logged; returns the tags that carry changed values."""
        first: dict[str, Label] = {}
        tags: dict[str, Label] = {}
        for key, label in params:
            if key in known.changed or key in tags or first.setdefault(key, label).value != label.value:
                tags[key] = label
        fresh = {key: label for key, label in first.items() if key not in known.changed}
        for chunk in _chunks(fresh):
            try:
                self._send(known, "params", chunk)
            except Refused:
                held = params_of(self._runs.get(known))
                if not any(held.get(key, label.value) != label.value for key, label in chunk.items()):
                    raise
                for key, label in chunk.items():
                    if held.get(key, label.value) != label.value:
                        tags.setdefault(key, label)
                self._send(known, "params", {key: label for key, label in chunk.items() if key not in held})
        for key, label in tags.items():
            if not label.replayed:
                self._note(known.run, f"param {key}", f"MLflow keeps the first value; the newest is a tag {PARAM_TAG}*")
        added = [key for key in tags if key not in known.changed]
        if added:
            known.changed += added
            self._runs.remember(known)
        return {PARAM_TAG + key: label for key, label in tags.items()}

    def send_tags(self, known: KnownRun, tags: Mapping[str, Label]) -> None:
        """Send tags; those that were delivered before only where the server lacks them."""
        if any(label.replayed for label in tags.values()):
            held = tags_of(self._runs.get(known))
            tags = {key: label for key, label in tags.items() if not (label.replayed and key in held)}
        for chunk in _chunks(tags):
            self._send(known, "tags", chunk)

    def send_notes(self, known: KnownRun, notes: Sequence[tuple[str, int, NoteLogged]]) -> None:
        """Add `(writer, sequence, note)`s to the counts in one tag, each exactly once.

        The tag also holds how far each writer is counted: the server keeps both in one step, so that a note that
        comes again, whatever was lost here, is known.
        """
        if not notes:
            return
        held = decoded(tags_of(self._runs.get(known)).get(NOTES_TAG))
        counts: dict[str, int] = dict(held.get("counts", {}))
        until: dict[str, int] = dict(held.get("until", {}))
        before = dict(until)
        for writer, sequence, event in notes:
            if sequence > before.get(writer, -1):
                counts[event.what[:250]] = counts.get(event.what[:250], 0) + event.count
                until[writer] = max(sequence, until.get(writer, -1))
        if until == before:
            return
        value = json.dumps({"counts": counts, "until": until})
        while len(value) > TAG_LENGTH and counts:  # a run with hundreds of kinds of notes: the rest are one number
            kind = min((key for key in counts if key != "others"), key=lambda key: counts[key])
            counts["others"] = counts.get("others", 0) + counts.pop(kind)
            value = json.dumps({"counts": counts, "until": until})
        self._send(known, "tags", {NOTES_TAG: Label(value, False)})

    def _label(self, run: str, kind: str, key: str, value: str, length: int, replayed: bool) -> tuple[str, Label]:
        name, what = safe_key(key), f"{kind} {key}"
        if name != key:
            self._note(run, what, f"MLflow does not take this name; it is {name}")
        if len(value) > length:
            self._note(run, what, f"MLflow keeps {length} characters of it")
        return name, Label(value[:length], replayed)

    def _send(self, known: KnownRun, kind: str, labels: Mapping[str, Label]) -> None:
        if labels:
            pairs = [{"key": key, "value": label.value} for key, label in labels.items()]
            self._client.post("runs/log-batch", {"run_id": known.id, kind: pairs})


def _chunks(labels: Mapping[str, Label]) -> Iterator[dict[str, Label]]:
    """Parts that one request may hold: hosted servers also limit its bytes (1 MB)."""
    chunk: dict[str, Label] = {}
    size = 0
    for key, label in labels.items():
        bytes_here = len(json.dumps(label.value)) + len(key) + 30
        if chunk and (len(chunk) == LABELS_PER_REQUEST or size + bytes_here > BYTES_PER_REQUEST):
            yield chunk
            chunk, size = {}, 0
        chunk[key] = label
        size += bytes_here
    if chunk:
        yield chunk


def decoded(value: str | None) -> dict[str, Any]:
    """A tag of ours that holds JSON; empty where somebody has put something else in its place."""
    try:
        found = json.loads(value or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
