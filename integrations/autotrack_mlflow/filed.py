"""Experiments and runs of a folder `mlruns`, as MLflow's file store wrote it (the layout of MLflow 1 to 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from autotrack.errors import UsageError
from autotrack_mlflow.found import Experiment, FoundInput, FoundModel, FoundRun, Point, files_below

META = "meta.yaml"
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}


class Filed:
    """One folder. Files are looked for beside the runs, wherever the folder was once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not any(folder.glob(f"*/{META}")):
            raise UsageError(f"{folder} is no folder of MLflow's: it holds no experiment with a {META}")

    def experiments(self) -> Iterator[Experiment]:
        """All that are not deleted."""
        for meta in sorted(self._folder.glob(f"*/{META}")):
            found = _yaml(meta)
            if found.get("lifecycle_stage") != "deleted" and meta.parent.name not in (".trash", "models"):
                deleted = sum(run.get("lifecycle_stage") == "deleted" for _, run in _metas(meta.parent))
                yield Experiment(meta.parent.name, str(found.get("name", "")), _texts(meta.parent / "tags"), deleted)

    def runs(self, experiment: Experiment, deleted: bool) -> Iterator[tuple[str, str, Callable[[], FoundRun]]]:
        """Its runs, oldest first."""
        found = [
            (int(meta.get("start_time") or 0), folder, meta)
            for folder, meta in _metas(self._folder / experiment.id)
            if deleted or meta.get("lifecycle_stage") != "deleted"
        ]
        for _, folder, meta in sorted(found, key=lambda item: (item[0], item[1].name)):
            name = str(meta.get("run_name") or "")
            yield folder.name, name, partial(self._read, folder, meta, experiment)

    def _read(self, folder: Path, meta: dict[str, Any], experiment: Experiment) -> FoundRun:
        tags = _texts(folder / "tags")
        status = meta.get("status")
        return FoundRun(
            id=folder.name,
            name=str(meta.get("run_name") or tags.get("mlflow.runName", "")),
            experiment=experiment.name,
            experiment_id=experiment.id,
            status=_STATUSES.get(status, "") if isinstance(status, int) else str(status or ""),
            started=int(meta.get("start_time") or 0),
            ended=int(meta["end_time"]) if meta.get("end_time") else None,
            params=_texts(folder / "params"),
            tags=tags,
            inputs=list(self._inputs(folder)),
            series=partial(_series, folder / "metrics"),
            files=partial(files_below, folder / "artifacts"),
            models=partial(self._models, folder),
            user=str(meta.get("user_id") or ""),
        )

    def _inputs(self, run: Path) -> Iterator[FoundInput]:
        for meta in sorted(run.glob(f"inputs/*/{META}")):
            found = _yaml(meta)
            described = run.parent / "datasets" / str(found.get("source_id")) / META
            if found.get("source_type") == "DATASET" and described.is_file():
                dataset = {key: str(value) for key, value in _yaml(described).items() if value is not None}
                yield FoundInput(dataset, {str(key): str(text) for key, text in (found.get("tags") or {}).items()})

    def _models(self, run: Path) -> list[FoundModel]:
        models = []
        for meta in sorted(run.glob(f"outputs/*/{META}")):
            found = _yaml(meta)
            place = run.parent / "models" / str(found.get("destination_id"))
            if (place / META).is_file():
                name = str(_yaml(place / META).get("name") or place.name)
                files = partial(files_below, place / "artifacts")
                models.append(FoundModel(place.name, name, int(found.get("step") or 0), _texts(place / "tags"), files))
        return models


def _metas(experiment: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for meta in sorted(experiment.glob(f"*/{META}")):
        if (meta.parent / "metrics").is_dir() or (meta.parent / "artifacts").is_dir():
            yield meta.parent, _yaml(meta)


def _series(folder: Path) -> Iterator[tuple[str, list[Point]]]:
    for key, file in files_below(folder):
        assert isinstance(file, Path)
        points: dict[tuple[int, int, str], Point] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) >= 2:
                point = (int(words[0]), int(words[2]) if len(words) > 2 else 0, float(words[1]))
                # A point that belongs to a logged model as well stands there twice.
                points[point[0], point[1], repr(point[2])] = point
        yield key, list(points.values())


def _texts(folder: Path) -> dict[str, str]:
    """Params or tags: a file each, whose name may hold slashes."""
    return {key: file.read_text(encoding="utf-8") for key, file in files_below(folder) if isinstance(file, Path)}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("reading a folder of MLflow's needs PyYAML: pip install pyyaml") from None
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
