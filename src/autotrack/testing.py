"""For authors of plugins: record real trainings in a folder of the test's own and look at what was written.

    from autotrack.testing import recording

    def test_fit_is_one_run(tmp_path):
        with recording(tmp_path, "acme") as recorded:
            acme.train(...)
        (run,) = recorded.runs()
        assert run.status == "finished"
        assert run.metrics["loss"] == [(0, 0.5), (1, 0.25)]

Faults of autotrack and of plugins raise inside `recording` (`AUTOTRACK_STRICT`) instead of being reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotrack import guard
from autotrack.calls import disable, enable
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    RunEnded,
    RunStarted,
    Scalar,
    Step,
    TagsSet,
)
from autotrack.forward.prepare import prepared
from autotrack.journal.reader import Journal, journals
from autotrack.provenance.blobs import Blobs
from autotrack.session import session


@dataclass
class RecordedRun:
    """One run as its events tell it."""

    id: str
    name: str
    integration: str | None
    parent: str | None
    status: str = "running"
    error: dict[str, str] | None = None
    params: dict[str, Scalar] = field(default_factory=dict)
    metrics: dict[str, list[tuple[Step, float]]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: list[DatasetLogged] = field(default_factory=list)
    models: list[ModelLogged] = field(default_factory=list)
    artifacts: dict[str, ArtifactLogged] = field(default_factory=dict)
    notes: list[NoteLogged] = field(default_factory=list)
    ends: int = 0


class Recorded:
    """What is in the journals below one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def runs(self) -> list[RecordedRun]:
        """Every run, in the order of their starts."""
        found: dict[str, RecordedRun] = {}
        events = [record.event for folder in journals(self.home) for record in Journal(folder).records()]
        for event in sorted(events, key=lambda event: event.time):  # a run may go on in another journal
            _apply(found, event)
        return list(found.values())

    def content(self, artifact: ArtifactLogged | ModelLogged) -> bytes:
        """The bytes that an artifact's or a model's event names, as a backend gets them."""
        if isinstance(artifact, ModelLogged):
            artifact = prepared(self.home, artifact)
        assert artifact.digest is not None, "the event names no blob"
        with Blobs(self.home).open(artifact.digest) as opened:
            return opened.read()


@contextmanager
def recording(home: Path, *integrations: str, strict: bool = True, **settings: Any) -> Iterator[Recorded]:
    """Record into `home` with the named integrations (none: all), without a forwarder; undone at the end.

    The code is not kept unless `code=True` is given: it would be that of the tests.
    """
    session.close()
    guard.reset()
    settings = {"forwarder": "off", "strict": strict, "home": home, "code": False, **settings}
    enable(*integrations, **settings)
    try:
        yield Recorded(home)
    finally:
        disable()
        session.close()
        session.configure()


def _apply(found: dict[str, RecordedRun], event: Any) -> None:
    if isinstance(event, RunStarted) and event.resumed and event.run in found:
        found[event.run].status, found[event.run].error = "running", None
        return
    if isinstance(event, RunStarted):
        found[event.run] = RecordedRun(event.run, event.name, event.integration, event.parent)
        return
    run = found.get(event.run)
    if run is None:
        return
    if isinstance(event, ParamsLogged):
        run.params.update(event.params)
    elif isinstance(event, MetricsLogged):
        for key, value in event.values.items():
            run.metrics.setdefault(key, []).append((event.step, value))
    elif isinstance(event, TagsSet):
        run.tags.update(event.tags)
    elif isinstance(event, DatasetLogged):
        run.datasets.append(event)
    elif isinstance(event, ModelLogged):
        run.models.append(event)
    elif isinstance(event, ArtifactLogged):
        run.artifacts[event.name] = event
    elif isinstance(event, NoteLogged):
        run.notes.append(event)
    elif isinstance(event, RunEnded):
        run.status, run.error, run.ends = event.status, event.error, run.ends + 1
