"""Reading an Aim repository by the aim package: every run from its own files, whether it was indexed or not.

Aim's own API reads runs by an index that only `aim up` fills. A run that nobody looked at since, or that was killed, is
not in it, but its files are there. So each run is read from those (layout of aim 3.29: `meta/chunks`, `seqs/chunks`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from autotrack.errors import UsageError
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    MetricsLogged,
    ParamsLogged,
    RunEnded,
    RunStarted,
    Scalar,
    Status,
    TagsSet,
)
from autotrack.importing import ForeignRun, Keeping, run_id
from autotrack_aim.repository import modules

STATUSES: Final[tuple[Status, ...]] = ("finished", "failed", "killed", "pruned")
OURS: Final = ("autotrack", "tags", "datasets", "environment", "code")
"""Attributes that autotrack's own backend writes beside `hparams`."""


class AimImporter:
    """Reads the runs in a folder that holds `.aim`."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """Every run. No options."""
        if options:
            raise UsageError(f"aim's importer has no options, and was given {', '.join(options)}")
        folder = Path(place).expanduser().absolute()
        if folder.name == ".aim":
            folder = folder.parent
        if not (folder / ".aim" / "meta" / "chunks").is_dir():
            raise UsageError(f"{folder} has no Aim repository: name the folder that holds .aim")
        aim, _, repo, _ = modules()
        repository = repo.Repo.from_path(str(folder))
        for key in sorted(path.name for path in (folder / ".aim" / "meta" / "chunks").iterdir()):
            story = Story(aim, repository, key)
            yield ForeignRun(story.origin, story.name, story.tell)


class Story:
    """Tells one run."""

    def __init__(self, aim: Any, repository: Any, key: str) -> None:
        self._aim = aim
        self._repository = repository
        self.key = key

    @property
    def origin(self) -> str:
        """Aim's hashes are random, so they tell runs apart wherever the repository is."""
        return f"aim:{self.key}"

    @property
    def name(self) -> str:
        """The run's name; its hash where it has none."""
        props = self._repository.structured_db.find_run(self.key)
        return str((props.name if props else None) or self.key)

    def tell(self, keeping: Keeping) -> Iterator[AnyEvent]:
        """The events, in the order of time."""
        opened = self._opened()
        run, attributes = run_id(self.origin), dict(opened.meta_run_attrs_tree.collect(()) or {})
        ours = attributes.get("autotrack") or {}
        points = sorted(self._points(opened, run, attributes, keeping), key=lambda event: event.time)
        props = self._repository.structured_db.find_run(self.key)
        begin = _nanoseconds(props.creation_time) if props and props.creation_time else None
        begin = min([time for time in (begin, points[0].time if points else None) if time is not None], default=0)
        project = str((props.experiment if props else None) or "default")
        yield RunStarted(run, begin, self.name, project, None, "aim", {}, {})
        tags = {"aim.hash": self.key}
        labels = sorted(props.tags) if props else []
        own = {str(key): str(value) for key, value in (attributes.get("tags") or {}).items()} if ours else {}
        mine = {f"{key}: {value}" if value else key for key, value in own.items()}
        tags |= own | {label: "" for label in labels if label not in mine}
        if props and props.description:
            tags["aim.description"] = str(props.description)
        yield TagsSet(run, begin, tags)
        wanted = {key: value for key, value in attributes.items() if not (ours and key in OURS)}
        if params := dict(_flat(wanted)):
            yield ParamsLogged(run, begin, params)
        yield from self._files(opened, run, begin, keeping)
        yield from points
        ended = opened.meta_run_tree.get("end_time", None)
        status: Status | None = next((one for one in STATUSES if one == ours.get("status")), None)
        if status is None:
            status = "finished" if ended else "killed"  # who ends in order writes an end
            keeping.not_carried("status", "Aim keeps none: a run that has an end is told as finished, others as killed")
        last: int = max([begin, *(event.time for event in points), *([_nanoseconds(ended)] if ended else [])])
        yield RunEnded(run, last, status, _texts(ours.get("error")))

    def _opened(self) -> Any:
        """The run, read from its own files and not by the index."""
        opened = self._aim.Run(self.key, repo=self._repository, read_only=True)
        tree = self._repository.request_tree("meta", self.key, read_only=True, skip_read_optimization=True)
        opened.meta_tree = opened._tracker.meta_tree = tree.subtree("meta")
        opened.meta_run_tree = opened.meta_tree.subtree("chunks").subtree(self.key)
        opened.meta_attrs_tree = opened.meta_tree.subtree("attrs")
        opened.meta_run_attrs_tree = opened.meta_run_tree.subtree("attrs")
        return opened

    def _points(
        self, opened: Any, run: str, attributes: Mapping[str, Any], keeping: Keeping
    ) -> Iterator[MetricsLogged]:
        for kinds in opened.meta_run_tree.get("typed_traces", {}).items():
            if kinds[0] != "metric":
                count = sum(len(names) for names in kinds[1].values())
                keeping.not_carried(f"sequences of {kinds[0]}", "only numbers have a place", count)
        taken: dict[str, str] = {}
        for metric in opened.metrics():
            context = metric.context.to_dict()
            key = _key(metric.name, context)
            while taken.setdefault(key, repr((metric.name, context))) != repr((metric.name, context)):
                key += "_"
            steps, (values, epochs, times) = metric.data.numpy()
            if not all(map(math.isnan, epochs.tolist())):
                keeping.not_carried(f"epochs of {key}", "a point has a step and a time", len(steps))
            for step, value, time in zip(steps.tolist(), values.tolist(), times.tolist(), strict=True):
                yield MetricsLogged(run, _nanoseconds(time), step, {key: float(value)})

    def _files(self, opened: Any, run: str, begin: int, keeping: Keeping) -> Iterator[AnyEvent]:
        for name, artifact in sorted(opened.artifacts.items()):
            place = urlsplit(str(artifact.uri))
            source = Path(unquote(place.path))
            if place.scheme != "file" or not source.is_file():
                keeping.not_carried("files of artifacts", f"they are elsewhere ({place.scheme}) or gone")
                continue
            digest, size = keeping.keep(source)
            yield ArtifactLogged(run, begin, str(name), digest, size)


def _key(name: str, context: Mapping[str, Any]) -> str:
    """A series under one name: `{"subset": "val"}` comes before it, any other context with its keys."""
    if not context:
        return name
    if set(context) == {"subset"}:
        return f"{context['subset']}/{name}"
    return f"{','.join(f'{key}={value}' for key, value in sorted(context.items()))}/{name}"


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            # What most users set is `hparams`: its keys are the params.
            yield from _flat(value, "" if path == "hparams" else f"{path}.")
        elif value is None or isinstance(value, str | int | float):
            yield path, value
        else:
            yield path, json.dumps(value, default=str)


def _texts(error: Any) -> dict[str, str] | None:
    return {str(key): str(text) for key, text in error.items()} if error else None


def _nanoseconds(seconds: float) -> int:
    """Aim's times are floats, good to a microsecond."""
    return round(seconds * 1e6) * 1000
