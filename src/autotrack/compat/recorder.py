"""Recording what a drop-in is told: the only room of the drop-ins that touches a run of autotrack.

Paths, values and steps enter as the product's users give them; what leaves are params, points, tags and artifacts of
one run, under the same paths. Without a run (`debug`, `disabled`) everything is taken and nothing kept.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from autotrack import current_run
from autotrack.compat import kept
from autotrack.compat.aliasing import PRODUCTS
from autotrack.compat.lines import Lines
from autotrack.events import MetricsLogged, Status, encode
from autotrack.importing import run_id as id_of_origin
from autotrack.patching import job
from autotrack.plugin import enter_container, guarded, leave, settings, warn_once
from autotrack.provenance.keeping import artifact_event
from autotrack.run import Run
from autotrack.scalars import as_number, exact_step
from autotrack.session import session

TAG_PATHS: Final = ("sys/",)
"""Below these the product keeps what describes the run itself: tags, and no params."""


LINES: Final = "application/jsonl"
TEXTS: Final = "application/x-neptune-string-series+jsonl"
HISTOGRAMS: Final = "application/x-neptune-histogram-series+jsonl"
"""Media types of such artifacts: those of the last two are what `autotrack import neptune` gives the same series."""


class Recorder:
    """One run as a drop-in records it. Nothing here raises into training."""

    def __init__(self, product: str, run: Run | None) -> None:
        self.product = product
        self.run = run
        self._lines: dict[str, Lines] = {}
        self._ended = False

    @classmethod
    def open(
        cls,
        product: str,
        *,
        name: str | None,
        project: str | None,
        run_id: str | None = None,
        resumed: bool = False,
        alone: bool = True,
    ) -> Recorder:
        """Begin a run, or go on with one. Runs of a product that knows no parents have none but the user's own run.

        `alone`: it is the run that trainings of this thread belong to, until it ends.
        """
        with guarded(product):
            around = current_run()
            if around is None:
                parent = job.parent_of_runs(settings().run_id)
            else:
                parent = around.parent_id if around.integration in PRODUCTS else around.id
            details: dict[str, Any] = {"run_id": run_id} if run_id else {}
            if parent == run_id:
                parent = None
            run = session.open_run(
                name, project=project, parent=parent, integration=product, resumed=resumed, **details
            )
            if run_id and run.home is not None:
                kept.remember(run.id)
            if alone:
                opened = enter_container(run)
                run.when_ended.append(lambda: leave(opened))
            return cls(product, run)
        return cls(product, None)

    @property
    def id(self) -> str:
        """The run's id; of none that is recorded, a placeholder."""
        return self.run.id if self.run is not None else "not-recorded"

    def values(self, values: Mapping[str, Any]) -> None:
        """Single values under their paths: params, and what describes the run itself, tags."""
        if self.run is None or not values:
            return
        params = {path: value for path, value in values.items() if not path.startswith(TAG_PATHS)}
        if params:
            self.run.log_params(params)
        if len(params) < len(values):
            self.run.set_tags({path: value for path, value in values.items() if path not in params})

    def point(self, path: str, value: float, step: Any, seconds: float | None = None) -> None:
        """One point of a series of numbers; `seconds` since the epoch where the caller says when it was."""
        self.points({path: value}, step, seconds)

    def points(self, values: Mapping[str, Any], step: Any, seconds: float | None = None) -> None:
        """Points of several series at one step."""
        run = self.run
        if run is None:
            return
        if seconds is None:
            run.log_metrics(values, step)
            return
        with guarded(
            self.product
        ):  # a run tells the time of each call itself: a time of the caller's goes in as an event
            numbers = {path: as_number(value) for path, value in values.items()}
            taken = {path: number for path, number in numbers.items() if number is not None}
            if len(taken) < len(numbers):
                self.lacks("values that are no numbers", "a series holds numbers alone", len(numbers) - len(taken))
            if taken:
                run.append(encode(MetricsLogged(run.id, round(seconds * 1e9), exact_step(step), taken)))

    def line(
        self, path: str, step: Any, seconds: float | None, told: Mapping[str, Any], media_type: str = LINES
    ) -> None:
        """One entry of a series that is no series of numbers: text, a histogram, a file. It grows as an artifact."""
        run = self.run
        if run is None:
            return
        with guarded(self.product):
            lines = self._lines.get(path)
            if lines is None:
                lines = self._lines[path] = Lines(lambda data, name: self._keep(run, data, name, media_type), path)
            lines.add(exact_step(step), time.time() if seconds is None else seconds, told)

    @staticmethod
    def _keep(run: Run, data: bytes, name: str, media_type: str) -> None:
        """An artifact whose media type says what the series was: the name alone could not."""
        if run.home is None:
            return
        event = artifact_event(run.id, data, name, run.home)
        run.append(encode(msgspec.structs.replace(event, media_type=media_type)))

    def file(self, name: str, source: str | os.PathLike[str] | bytes) -> bool:
        """A file, or bytes, as an artifact of this name; whether there was one to keep."""
        if self.run is None:
            return True
        if not isinstance(source, bytes) and not os.path.isfile(source):
            self.lacks(f"file {name}", f"there is no file at {os.fspath(source)}")
            return False
        self.run.log_artifact(source, name)
        return True

    def labels(self, path: str, labels: Iterable[str]) -> None:
        """A set of words, as one tag: a JSON list, as `autotrack import neptune` has it."""
        if self.run is not None:
            self.run.set_tags({path: json.dumps(sorted(labels), ensure_ascii=False)})

    def lacks(self, what: str, why: str, count: int = 1) -> None:
        """Say once, to the user and in the record, what the drop-in does not do."""
        warn_once(f"{self.product}:{what}", f"{self.product} drop-in: {what}: {why}")
        if self.run is not None:
            self.run.note(what, why, count)

    def flush(self) -> None:
        """Have everything that was told in the journal."""
        for lines in self._lines.values():
            with guarded(self.product):
                lines.flush()

    def end(self, status: Status = "finished", error: BaseException | None = None) -> None:
        """End the run; a second end is ignored."""
        if self._ended:
            return
        self._ended = True
        self.flush()
        self._lines.clear()
        if self.run is not None:
            self.run.end(status, error)


def origin_id(product: str, project: str, kind: str, name: str) -> str:
    """The id of the run that the product knows by a name of the user's: the same in every process."""
    return id_of_origin(f"{product} drop-in\0{project}\0{kind}\0{name}")


def recorded_project(project: str | None) -> str:
    """The name of the project that runs go to: as given, as NEPTUNE_PROJECT says, or autotrack's own."""
    return project or os.environ.get("NEPTUNE_PROJECT") or settings().resolved_project
