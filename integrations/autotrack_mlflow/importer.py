"""Bringing runs of MLflow in: from a tracking server, a database or a folder `mlruns`, without MLflow.

PLACE is the server's `http(s)://` address (credentials by MLflow's own variables), an SQLite file or `sqlite:///…`
address, or a folder. Options: `experiment`, the name of the one experiment that is wanted; `deleted=keep` brings
deleted runs as well; `artifacts`, the folder that `mlflow server --artifacts-destination` names, for a database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from autotrack.errors import UsageError
from autotrack.events import AnyEvent
from autotrack.importing import ForeignRun, Keeping
from autotrack_mlflow.address import address_from
from autotrack_mlflow.filed import Filed
from autotrack_mlflow.found import Experiment, FoundRun, Source
from autotrack_mlflow.served import Served
from autotrack_mlflow.tabled import Tabled
from autotrack_mlflow.telling import told

OPTIONS: Final = ("experiment", "deleted", "artifacts")


class Importer:
    """Reads runs of MLflow."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """The runs of all experiments that are not deleted, or of one. Raises `UsageError`."""
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise UsageError(f"the importer mlflow knows no option {unknown[0]!r}; it knows {', '.join(OPTIONS)}")
        if options.get("deleted", "pass") not in ("keep", "pass"):
            raise UsageError("the option deleted is keep or pass")
        source = source_at(place, options.get("artifacts"))
        wanted, met = options.get("experiment"), False
        for experiment in source.experiments():
            if wanted is None or wanted in (experiment.name, experiment.id):
                met = True
                yield from _runs(source, experiment, options.get("deleted") == "keep")
        if wanted is not None and not met:
            raise UsageError(f"{place} has no experiment {wanted!r}, or it is deleted")


def source_at(place: str, artifacts: str | None = None) -> Source:
    """What is at a place. Raises `UsageError`."""
    folder = Path(artifacts).expanduser() if artifacts else None
    if place.startswith(("http://", "https://", "databricks")):
        return Served(address_from({**os.environ, "MLFLOW_TRACKING_URI": place}))
    if place.startswith("sqlite:///"):
        return Tabled(Path(place.removeprefix("sqlite:///")), folder)
    path = Path(place.removeprefix("file://")).expanduser()
    if path.is_file():
        return Tabled(path, folder)
    if not path.is_dir():
        raise UsageError(f"{place} is no server's address, no database and no folder")
    if (path / "mlruns").is_dir() and not any(path.glob("*/meta.yaml")):
        path = path / "mlruns"
    return Filed(path)


def _runs(source: Source, experiment: Experiment, deleted: bool) -> Iterator[ForeignRun]:
    first = True
    for run_id, name, read in source.runs(experiment, deleted):
        beside = experiment if first else None
        yield ForeignRun(f"mlflow:{run_id}", name or run_id, partial(_events, read, beside, deleted))
        first = False


def _events(
    read: Callable[[], FoundRun], experiment: Experiment | None, deleted: bool, keeping: Keeping
) -> Iterator[AnyEvent]:
    if experiment is not None:  # once an experiment: it has no other place in a record of runs
        for key in sorted(experiment.tags):
            keeping.not_carried(f"tag {key!r} of the experiment {experiment.name}", "projects have no tags")
        if experiment.deleted_runs and not deleted:
            what = f"deleted runs of the experiment {experiment.name}"
            keeping.not_carried(what, "-o deleted=keep brings them", experiment.deleted_runs)
    yield from told(read(), keeping)


__all__ = ["Importer", "source_at"]
