"""Subjects that have started, each with the homes that are delivered to it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from delivering import Courier, environment_of
from proxy import Proxy
from recorded import writers
from subject import EVERYTHING, ReadRun, Subject

from autotrack.forward.progress import Progress

SUBJECTS = "AUTOTRACK_TEST_SUBJECTS"
"""A comma list of the only subjects to take, for an environment that is there for some of them; by default all."""

NAMES = [
    path.stem
    for path in sorted((Path(__file__).parent / "subjects").glob("[!_]*.py"))
    if path.stem in os.environ.get(SUBJECTS, path.stem).split(",")
]


REGISTRIES = ("webhooks",)
"""Those that get no runs, only what is decided of registered models."""


class Place:
    """One such subject."""

    def __init__(self, module_name: str, folder: Path) -> None:
        self.folder = folder
        (folder / "homes").mkdir(parents=True)
        path = Path(__file__).parent / "subjects" / f"{module_name}.py"
        spec = importlib.util.spec_from_file_location(f"contract_subject_{module_name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        self.subject: Subject = module.Subject(folder)
        self.name = self.subject.name
        assert self.name.replace("-", "_") == module_name.replace("-", "_")
        assert self.subject.carries <= EVERYTHING
        self.variables = self.subject.start()
        self.courier = Courier(self.name, environment_of(self.variables, self.name), folder / "courier.log")
        self.cases: dict[str, ReadRun] | None = None
        """What its reader gave once it had every case."""

    def carries(self, feature: str) -> bool:
        """Whether the subject says so."""
        return feature in self.subject.carries

    def home(self, name: str) -> Path:
        """A new home."""
        home = self.folder / "homes" / name
        home.mkdir()
        return home

    def read(self, home: Path) -> dict[str, ReadRun]:
        """Every run that is there, under the names that were recorded where the forwarder has changed them."""
        return {run: self._as_recorded(home, run, read) for run, read in self.subject.read().items()}

    def notes(self, home: Path, run: str) -> dict[str, list[Any]]:
        """What the delivery of a home to this backend could not carry of a run, as `{what: [count, why]}`."""
        found: dict[str, list[Any]] = {}
        for progress in self._deliveries(home):
            found |= progress.notes.get(run, {})
        return found

    def dead(self, home: Path) -> int:
        """How many events of a home this backend has refused."""
        return sum(progress.dead for progress in self._deliveries(home))

    @contextmanager
    def proxied(self) -> Iterator[tuple[Proxy, Courier]]:
        """A proxy in front of its server, and who delivers through that. Skips what is not reached by HTTP."""
        subject = self.subject
        if subject.listens is None or subject.url_variable is None:
            pytest.skip(f"{self.name} is not reached by HTTP")
        proxy = Proxy(subject.listens)
        variables = {
            name: proxy.leading_to(value)
            if name == subject.url_variable or value.startswith(subject.listens)
            else value
            for name, value in self.variables.items()
        }
        try:
            with Courier(self.name, environment_of(variables, self.name), self.folder / "proxied.log") as courier:
                yield proxy, courier
        finally:
            proxy.close()

    def stop(self) -> None:
        """End what was started."""
        self.courier.restart()
        self.subject.stop()

    def _deliveries(self, home: Path) -> list[Progress]:
        return [Progress(home, writer, self.name) for writer in writers(home)]

    def _as_recorded(self, home: Path, run: str, read: ReadRun) -> ReadRun:
        original: dict[str, str] = {}
        for progress in self._deliveries(home):
            original |= {there: key for key, there in progress.names.get(run, {}).items()}
        return replace(
            read,
            **{
                part: {original.get(key, key): value for key, value in getattr(read, part).items()}
                for part in ("params", "metrics", "times", "tags")
            },
        )


class Places:
    """Every subject that a test has asked for; each is started once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, Place] = {}
        self._failed: dict[str, BaseException] = {}

    def get(self, name: str) -> Place:
        """One of them. Skips the test where its product is not installed."""
        if name in self._failed:
            raise self._failed[name]
        if name not in self._started:
            try:
                self._started[name] = Place(name, self._folder / name)
            except BaseException as problem:
                self._failed[name] = problem
                raise
        return self._started[name]

    def stop(self) -> None:
        """End all of them."""
        for place in self._started.values():
            place.stop()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """All subjects of a module's tests."""
    made = Places(tmp_path_factory.mktemp("battery"))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module", params=NAMES)
def any_place(request: pytest.FixtureRequest, places: Places) -> Place:
    """Each subject in turn, also those that get no runs."""
    return places.get(request.param)


@pytest.fixture(scope="module", params=[name for name in NAMES if name not in REGISTRIES])
def place(request: pytest.FixtureRequest, places: Places) -> Place:
    """Each subject in turn."""
    return places.get(request.param)
