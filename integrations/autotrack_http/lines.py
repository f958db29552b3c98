"""An event as one line of JSON: `docs/backends/http.schema.json`, version 1.

Events enter, bytes leave, the same for the same event whenever it is encoded. JSON has no NaN and no infinities
(RFC 8259, 6): among metrics they are the strings `NaN`, `Infinity`, `-Infinity`; among params, where a text may say
the same, they are `{"float": "NaN"}`. Times are ISO 8601 with nanoseconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RegistryLogged,
    RunEnded,
    RunStarted,
    TagsSet,
)

SCHEMA: Final = 1
"""Version of the schema: it grows with a change that would mislead a reader of the one before."""

_KINDS: Final[dict[type[Any], str]] = {
    RunStarted: "run_started",
    ParamsLogged: "params",
    MetricsLogged: "metrics",
    TagsSet: "tags",
    DatasetLogged: "dataset",
    ModelLogged: "model",
    ArtifactLogged: "artifact",
    NoteLogged: "note",
    ProvenanceLogged: "provenance",
    ConsoleLogged: "console",
    RunEnded: "run_ended",
    RegistryLogged: "registry",
}
_NOT_TOLD: Final = frozenset({"run", "time", "not_to", "snapshot"})
"""Fields that stay here: those that every line has under a name of its own, and those that concern us alone."""


def key(record: Record) -> str:
    """What identifies an event for ever."""
    return f"{record.writer}/{record.sequence}"


def line(record: Record, became: Mapping[str, Any]) -> bytes | None:
    """The event as a line, its end included; None for events that tell of the journal itself.

    `became` is what became of a step of a registered model: `autotrack.registry.telling`.
    """
    event = record.event
    kind = _KINDS.get(type(event))
    if kind is None:
        return None
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "key": key(record),
        "kind": kind,
        "run": event.run,
        "time": moment(event.time),
    }
    for name in event.__struct_fields__:
        if name not in _NOT_TOLD:
            told["of" if name == "kind" else name] = plain(getattr(event, name))
    if isinstance(event, ParamsLogged):
        told["params"] = {name: _param(value) for name, value in event.params.items()}
    told |= plain(became)
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def files(event: AnyEvent) -> Iterator[tuple[str, str]]:
    """(what it is, digest) of every file that an event names."""
    if type(event) is ArtifactLogged:
        yield f"artifact {event.name!r}", event.digest
    elif isinstance(event, ModelLogged) and (digest := event.digest) is not None:
        yield f"model {event.name!r}", digest
    elif isinstance(event, ProvenanceLogged | DatasetLogged):
        for named in _digests(event.record):
            yield "record", named


def moment(nanoseconds: int) -> str:
    """A time as ISO 8601 in UTC, exact."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def plain(value: Any) -> Any:
    """A value as JSON can hold it: numbers that it lacks become their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _param(value: Any) -> Any:
    return {"float": plain(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _digests(record: Any) -> Iterator[str]:
    """Of every `{digest, bytes}` in a record."""
    if isinstance(record, Mapping):
        if isinstance(record.get("digest"), str) and len(record["digest"]) == 64 and "bytes" in record:
            yield record["digest"]
        record = list(record.values())
    if isinstance(record, list):
        for part in record:
            yield from _digests(part)


__all__ = ["SCHEMA", "files", "key", "line", "moment", "plain"]
