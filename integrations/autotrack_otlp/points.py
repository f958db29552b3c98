"""From events to data points: each event gives the same points whenever it comes and however batches are cut.

That is what makes sending again harmless: OTLP identifies a point by resource, metric, attributes and time. So a
resource changes with the event that changes it, and what is known of a run is kept with the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Final

from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack_otlp.encoding import INT64, Attributes, Part, Point, Value

RUN: Final = "autotrack.run"
"""The gauge that tells how a run fares: 1 while it runs, 0 when it has ended."""
KEPT: Final = 200
"""Runs of one journal whose params are kept for the case that they go on."""

Note = Callable[[str, str, str], None]


class Translator:
    """Turns one batch into parts, and into what is known of its runs after it."""

    def __init__(self, runs: dict[str, Any], project: str, service: str | None, more: Attributes, note: Note) -> None:
        self.runs = deepcopy(runs)
        """What is known of each run: to be kept when the batch is held."""
        self.parts: dict[str, list[Part]] = {}
        """By run."""
        self._project = project
        self._service = service
        self._more = more
        self._note = note
        self._seen: set[tuple[Any, ...]] = set()
        self._changed: set[str] = set()
        """Runs whose resource is not that of their last part any more."""

    def take(self, event: AnyEvent) -> None:
        """Add what an event says."""
        run = event.run
        if isinstance(event, MetricsLogged):
            self._take_points(event)
        elif isinstance(event, RunStarted):
            known = self._known(run)
            known |= {"name": event.name, "project": event.project, "status": "running"}
            known |= {"parent": event.parent} if event.parent else {}
            known |= {"integration": event.integration} if event.integration else {}
            self._tell(event)
        elif isinstance(event, ParamsLogged):
            self._known(run)["params"] |= {key: self._value(run, key, value) for key, value in event.params.items()}
            self._tell(event)
        elif isinstance(event, TagsSet):
            self._known(run)["tags"] |= event.tags
            self._tell(event)
        elif isinstance(event, RunEnded):
            self._known(run)["status"] = event.status
            self._tell(event, event.error or {})
            self._forget()
        elif isinstance(event, DatasetLogged | ModelLogged | ArtifactLogged):
            kind = type(event).__name__.removesuffix("Logged").lower()
            self._note(run, f"{kind} {event.name!r}", f"OTLP's metrics have no place for a {kind}")

    def _take_points(self, event: MetricsLogged) -> None:
        part, attributes = self._part(event.run), {"step": event.step}
        for key, value in event.values.items():
            identity = (event.run, key, event.step, event.time)
            if identity in self._seen:
                self._note(event.run, f"metric {key!r}", "two points of one step and nanosecond are one in OTLP")
            self._seen.add(identity)
            part.metrics.setdefault(key, []).append(Point(event.time, float(value), attributes))

    def _tell(self, event: AnyEvent, error: dict[str, str] | None = None) -> None:
        self._changed.add(event.run)
        status = self._known(event.run)["status"]
        attributes = {"status": status}
        attributes |= {f"exception.{_WORDS[name]}": text for name, text in (error or {}).items() if name in _WORDS}
        point = Point(event.time, int(status == "running"), attributes)
        self._part(event.run).metrics.setdefault(RUN, []).append(point)

    def _part(self, run: str) -> Part:
        """The part of the run with the resource as it is now."""
        parts = self.parts.setdefault(run, [])
        if not parts or run in self._changed:
            parts.append(Part(self._resource(run)))
            self._changed.discard(run)
        return parts[-1]

    def _resource(self, run: str) -> Attributes:
        known = self._known(run)
        project = known.get("project") or self._project
        resource: dict[str, Value] = {**self._more, "service.name": self._service or project}
        resource |= {"autotrack.run.id": run, "autotrack.project": project}
        resource |= {
            f"autotrack.run.{name}": known[name] for name in ("name", "parent", "integration") if name in known
        }
        resource |= {f"autotrack.param.{key}": value for key, value in known["params"].items()}
        return resource | {f"autotrack.tag.{key}": value for key, value in known["tags"].items()}

    def _known(self, run: str) -> dict[str, Any]:
        known: dict[str, Any] = self.runs.setdefault(run, {"params": {}, "tags": {}, "status": "running"})
        return known

    def _value(self, run: str, key: str, value: Value) -> Value:
        if isinstance(value, int) and value not in INT64:
            self._note(run, f"param {key!r}", "an integer beyond 64 bits is sent as text")
            return str(value)
        return value

    def _forget(self) -> None:
        ended = [run for run, known in self.runs.items() if known["status"] != "running"]
        for run in ended[: max(0, len(self.runs) - KEPT)]:
            del self.runs[run]


_WORDS: Final = {"type": "type", "message": "message", "traceback": "stacktrace"}


def requests(parts: Sequence[Part], most: int) -> list[list[Part]]:
    """The parts in requests of at most `most` points."""
    found: list[list[Part]] = []
    room = 0
    for part in parts:
        for name, points in part.metrics.items():
            start = 0
            while start < len(points):
                if not room:
                    found.append([])
                    room = most
                last = found[-1]
                if not last or last[-1].resource is not part.resource:
                    last.append(Part(part.resource))
                taken = points[start : start + room]
                last[-1].metrics[name] = taken
                start, room = start + len(taken), room - len(taken)
    return found


__all__ = ["RUN", "Translator", "requests"]
