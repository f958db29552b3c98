"""From a batch of records to rows: what the batch says, grouped by table and by run, before any SQL.

Records enter in the order of their journal; rows and, for metrics, arrays of points per (run, key) leave. Pure: nothing
is read from the database here, so the transaction that follows is short.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import numpy as np

from autotrack.events import (
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
    Step,
    TagsSet,
)
from autotrack.journal.removed import is_tombstone, removals
from autotrack.store.series import Points, from_steps, joined, step_from_text, step_text

Row = dict[str, Any]

SYMBOL_FOR_NUL: Final = "\u2400"
"""Stands in names for the NUL character, which PostgreSQL cannot hold; JSON columns keep it as an escape."""

LONGEST_NAME: Final = 500
"""Characters of a name or key: PostgreSQL indexes up to 2,700 bytes."""


@dataclass
class _Group:
    """Metric events of one run that carry the same keys."""

    arrivals: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[Iterable[float]] = field(default_factory=list)


@dataclass
class Gathered:
    """What a batch says. `runs` tells when each run is first spoken of."""

    runs: dict[str, int] = field(default_factory=dict)
    lifecycle: dict[str, list[RunStarted | RunEnded]] = field(default_factory=dict)
    params: list[Row] = field(default_factory=list)
    tags: dict[tuple[str, str], Row] = field(default_factory=dict)
    datasets: dict[tuple[str, str, str, str], Row] = field(default_factory=dict)
    models: list[Row] = field(default_factory=list)
    artifacts: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    notes: list[Row] = field(default_factory=list)
    provenance: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    console: list[Row] = field(default_factory=list)
    registry: dict[str, Row] = field(default_factory=dict)
    links: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    tombstones: dict[str, Row] = field(default_factory=dict)
    points: dict[tuple[str, str], Points] = field(default_factory=dict)
    _groups: dict[tuple[str, tuple[str, ...]], _Group] = field(default_factory=dict)

    def text(self, text: str, run: str, time: int) -> str:
        """`text` as both databases can hold it; a change is noted in the run's record."""
        if "\0" in text:
            text = text.replace("\0", SYMBOL_FOR_NUL)
            why = f"a name or text held the NUL character, kept as {SYMBOL_FOR_NUL}"
            self.notes.append({"run_id": run, "what": "NUL characters", "count": 1, "why": why, "time": time})
        return text.encode(errors="backslashreplace").decode()  # a lone surrogate is no text in any database

    def name(self, text: str, run: str, time: int) -> str:
        """`text` as an index of either database can hold it; the whole of one that is cut is in the run's notes."""
        text = self.text(text, run, time)
        if len(text) <= LONGEST_NAME:
            return text
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        short = f"{text[: LONGEST_NAME - 17]}…{digest}"
        why = f"kept as {short}, since a name has at most {LONGEST_NAME} characters; the whole of it is: {text}"
        self.notes.append({"run_id": run, "what": "long names", "count": 1, "why": why, "time": time})
        return short

    def link(self, run: str, relation: str, identity: str, time: int) -> None:
        """The run has to do with something that other runs may have to do with too."""
        name = self.name(identity, run, time)
        self.links[run, relation, name] = {"run_id": run, "relation": relation, "identity": name}


def gather(records: Iterable[Record]) -> Gathered:
    """Everything that the records say, in their order."""
    found = Gathered()
    groups, runs = found._groups, found.runs
    for arrival, record in enumerate(records):
        event = record.event
        if type(event) is MetricsLogged:
            values = event.values
            run = event.run
            group = groups.get((run, (*values,)))
            if group is None:
                group = groups[(run, (*values,))] = _Group()
                runs.setdefault(run_name(run), event.time)
            group.arrivals.append(arrival)
            group.steps.append(event.step)
            group.times.append(event.time)
            group.values.append(values.values())
        elif handler := _HANDLERS.get(type(event)):
            run = run_name(event.run)
            if run:  # notes of a writer belong to no run
                runs.setdefault(run, event.time)
            handler(found, run, event)
    _arrange(found)
    return found


def run_name(run: str) -> str:
    """A run's id as the tables hold it."""
    return run.replace("\0", SYMBOL_FOR_NUL)


def as_json(value: Any) -> str:
    """`value` as the JSON of the tables: NaN and infinities bare, what JSON does not know as its text."""
    return _encode(value)


def _arrange(found: Gathered) -> None:
    parts: dict[tuple[str, str], list[tuple[list[int], Points]]] = {}
    for (run, keys), group in found._groups.items():
        numerators, scale = from_steps(group.steps)
        times = np.array(group.times, dtype=np.int64)
        count = len(group.times)
        values = np.fromiter(chain.from_iterable(group.values), np.float64, count * len(keys))
        columns = np.ascontiguousarray(values.reshape(count, len(keys)).T)
        for key, column in zip(keys, columns, strict=True):
            name = found.name(key, run_name(run), group.times[0])
            parts.setdefault((run_name(run), name), []).append(
                (group.arrivals, Points(numerators, scale, times, column))
            )
    found._groups.clear()
    for place, pieces in parts.items():
        found.points[place] = pieces[0][1] if len(pieces) == 1 else _interleaved(pieces)


def _interleaved(pieces: list[tuple[list[int], Points]]) -> Points:
    arrivals = np.concatenate([np.array(arrivals) for arrivals, _ in pieces])
    return joined([points for _, points in pieces])[np.argsort(arrivals, kind="stable")]


def _lifecycle(found: Gathered, run: str, event: RunStarted | RunEnded) -> None:
    found.lifecycle.setdefault(run, []).append(event)
    if isinstance(event, RunStarted) and event.resumed:
        found.link(run, "resumed", str(event.time), event.time)


def _params(found: Gathered, run: str, event: ParamsLogged) -> None:
    for key, value in event.params.items():
        name = found.name(key, run, event.time)
        found.params.append({"run_id": run, "key": name, "value": as_json(value), "time": event.time})


def _tags(found: Gathered, run: str, event: TagsSet) -> None:
    for key, value in event.tags.items():
        name, text = found.name(key, run, event.time), found.text(value, run, event.time)
        found.tags[run, name] = {"run_id": run, "key": name, "value": text, "time": event.time}


def _dataset(found: Gathered, run: str, event: DatasetLogged) -> None:
    role, name = found.name(event.role, run, event.time), found.name(event.name, run, event.time)
    record = as_json(event.record)
    # One dataset that is used every epoch is one row: same role, same name, same description.
    digest = hashlib.sha256(json.dumps(event.record, default=str, sort_keys=True).encode()).hexdigest()
    found.datasets.setdefault(
        (run, role, name, digest),
        {"run_id": run, "role": role, "name": name, "digest": digest, "record": record, "time": event.time},
    )
    if isinstance(event.record.get("value"), str):
        found.link(run, "dataset", event.record["value"], event.time)


def _model(found: Gathered, run: str, event: ModelLogged) -> None:
    def text(value: str | None) -> str | None:
        return None if value is None else found.text(value, run, event.time)

    found.models.append(
        {
            "run_id": run,
            "name": text(event.name),
            "step": None if event.step is None else step_text(step_from_text(str(event.step))),
            "format": text(event.format),
            "digest": text(event.digest),
            "bytes": event.bytes,
            "signature": None if event.signature is None else as_json(event.signature),
            "snapshot": text(event.snapshot),
            "problem": text(event.problem),
            "time": event.time,
        }
    )
    for step in steps_of(event):
        _registry(found, run, step)


def steps_of(event: ModelLogged) -> Iterator[RegistryLogged]:
    """The steps of the registry that a training takes by logging a model that is to be registered."""
    if event.register and event.digest:
        for action, record in (("register", {}), *(("alias", {"alias": alias}) for alias in event.aliases)):
            told = "\0".join((event.run, str(event.time), event.register, event.digest, action, *record.values()))
            step = hashlib.sha256(told.encode(errors="backslashreplace")).hexdigest()[:32]
            yield RegistryLogged(event.run, event.time, event.register, action, step, event.digest, record=dict(record))


def _registry(found: Gathered, run: str, event: RegistryLogged) -> None:
    found.registry.setdefault(
        event.id,
        {
            "event_id": event.id,
            "time": event.time,
            "model": found.name(event.model, run, event.time),
            "action": found.name(event.action, run, event.time),
            "digest": event.digest,
            "run_id": run,
            "who": found.text(event.who, run, event.time),
            "why": found.text(event.why, run, event.time),
            "record": as_json(event.record),
        },
    )


def _artifact(found: Gathered, run: str, event: ArtifactLogged) -> None:
    name, digest = found.name(event.name, run, event.time), found.name(event.digest, run, event.time)
    found.artifacts[run, name, digest] = {
        "run_id": run,
        "name": name,
        "digest": digest,
        "bytes": event.bytes,
        "media_type": found.text(event.media_type, run, event.time),
        "time": event.time,
    }


def _note(found: Gathered, run: str, event: NoteLogged) -> None:
    what, why = found.text(event.what, run, event.time), found.text(event.why, run, event.time)
    found.notes.append({"run_id": run, "what": what, "count": event.count, "why": why, "time": event.time})


def _provenance(found: Gathered, run: str, event: ProvenanceLogged) -> None:
    if is_tombstone(event):
        _tombstones(found, event)
        return
    kind = found.name(event.kind, run, event.time)
    for key, value in event.record.items():
        name = found.name(key, run, event.time)
        told = {"run_id": run, "kind": kind, "key": name, "value": as_json(value), "time": event.time}
        found.provenance[run, kind, name] = told
        if kind in ("inputs", "outputs"):
            found.link(run, kind, key, event.time)
            if isinstance(value, dict) and isinstance(value.get("run"), str):
                found.link(run, kind, f"run:{value['run']}", event.time)
        elif kind == "reproduces" and key == "run":
            found.link(run, kind, f"run:{value}", event.time)


def _tombstones(found: Gathered, event: ProvenanceLogged) -> None:
    for one in removals(event):
        run, who, why = run_name(one.run), found.text(one.who, "", one.time), found.text(one.why, "", one.time)
        found.runs.setdefault(run, one.time)  # so that its row is locked
        found.tombstones[run] = {"run_id": run, "time": one.time, "who": who, "why": why}


def _console(found: Gathered, run: str, event: ConsoleLogged) -> None:
    text = found.text(event.text, run, event.time)
    found.console.append(
        {"run_id": run, "stream": found.name(event.stream, run, event.time), "text": text, "time": event.time}
    )


_encode: Final = json.JSONEncoder(default=str, separators=(",", ":")).encode
_HANDLERS: Final[dict[type, Callable[[Gathered, str, Any], None]]] = {
    RunStarted: _lifecycle,
    RunEnded: _lifecycle,
    ParamsLogged: _params,
    TagsSet: _tags,
    DatasetLogged: _dataset,
    ModelLogged: _model,
    ArtifactLogged: _artifact,
    NoteLogged: _note,
    ProvenanceLogged: _provenance,
    ConsoleLogged: _console,
    RegistryLogged: _registry,
}
