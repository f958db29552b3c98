"""Experiments and runs of an SQLite database of MLflow's, read by SQL alone (the tables of MLflow 2 and 3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autotrack.errors import UsageError
from autotrack_mlflow.found import (
    Experiment,
    File,
    FoundInput,
    FoundModel,
    FoundRun,
    Point,
    files_below,
    local_path,
)


class Tabled:
    """One database, opened to read. `artifacts` is the folder that a server was told to keep files in, if it was."""

    def __init__(self, database: Path, artifacts: Path | None = None) -> None:
        self._artifacts = artifacts or database.parent / "mlartifacts"
        try:
            self._tables = sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=ro", uri=True)
            self._names = {name for (name,) in self._tables.execute("SELECT name FROM sqlite_master")}
        except sqlite3.Error as problem:
            raise UsageError(f"{database} cannot be read as a database: {problem}") from None
        self._tables.row_factory = sqlite3.Row
        if not {"experiments", "runs", "metrics", "params", "tags"} <= self._names:
            raise UsageError(f"{database} is no database of MLflow's: it lacks the tables experiments, runs, metrics")

    def experiments(self) -> Iterator[Experiment]:
        """All that are not deleted."""
        for row in self._rows("SELECT * FROM experiments WHERE lifecycle_stage = 'active' ORDER BY experiment_id"):
            number = row["experiment_id"]
            tags = self._pairs("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", number)
            deleted = "SELECT COUNT(*) FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'deleted'"
            count = self._tables.execute(deleted, (number,)).fetchone()[0]
            yield Experiment(str(number), row["name"], tags, count)

    def runs(self, experiment: Experiment, deleted: bool) -> Iterator[tuple[str, str, Callable[[], FoundRun]]]:
        """Its runs, oldest first."""
        only = "" if deleted else "AND lifecycle_stage = 'active' "
        order = f"SELECT * FROM runs WHERE experiment_id = ? {only}ORDER BY start_time, run_uuid"
        for row in self._rows(order, int(experiment.id)):
            yield row["run_uuid"], row["name"] or "", partial(self._read, dict(row), experiment)

    def _read(self, row: dict[str, Any], experiment: Experiment) -> FoundRun:
        run_id = row["run_uuid"]
        tags = self._pairs("SELECT key, value FROM tags WHERE run_uuid = ?", run_id)
        return FoundRun(
            id=run_id,
            name=row["name"] or tags.get("mlflow.runName", ""),
            experiment=experiment.name,
            experiment_id=experiment.id,
            status=row["status"] or "",
            started=row["start_time"] or 0,
            ended=row["end_time"],
            params=self._pairs("SELECT key, value FROM params WHERE run_uuid = ?", run_id),
            tags=tags,
            inputs=list(self._inputs(run_id)),
            series=partial(self._series, run_id),
            files=partial(self._files, row["artifact_uri"] or ""),
            models=partial(self._models, run_id),
            user=row["user_id"] or "",
        )

    def _inputs(self, run_id: str) -> Iterator[FoundInput]:
        if "inputs" not in self._names:
            return
        wanted = (
            "SELECT i.input_uuid, d.* FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
            "WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id = ? "
            "ORDER BY d.name, d.digest"
        )
        for row in self._rows(wanted, run_id):
            dataset = {
                "name": row["name"],
                "digest": row["digest"],
                "source_type": row["dataset_source_type"],
                "source": row["dataset_source"],
                "schema": row["dataset_schema"],
                "profile": row["dataset_profile"],
            }
            tags = self._pairs("SELECT name, value FROM input_tags WHERE input_uuid = ?", row["input_uuid"])
            yield FoundInput({key: value for key, value in dataset.items() if value is not None}, tags)

    def _series(self, run_id: str) -> Iterator[tuple[str, list[Point]]]:
        wanted = "SELECT DISTINCT key FROM metrics WHERE run_uuid = ? ORDER BY key"
        for (key,) in self._tables.execute(wanted, (run_id,)).fetchall():
            points = self._tables.execute(
                "SELECT timestamp, step, value, is_nan FROM metrics WHERE run_uuid = ? AND key = ? "
                "ORDER BY timestamp, step, value",
                (run_id, key),
            )
            yield key, [(time, step, float("nan") if nan else value) for time, step, value, nan in points]

    def _files(self, uri: str) -> Iterator[File]:
        return files_below(self._folder(uri))

    def _models(self, run_id: str) -> list[FoundModel]:
        if "logged_models" not in self._names:
            return []
        wanted = (
            "SELECT i.step, m.* FROM inputs i JOIN logged_models m ON m.model_id = i.destination_id "
            "WHERE i.source_type = 'RUN_OUTPUT' AND i.source_id = ? ORDER BY m.creation_timestamp_ms, m.model_id"
        )
        return [
            FoundModel(
                row["model_id"],
                row["name"],
                row["step"] or 0,
                self._pairs("SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ?", row["model_id"]),
                partial(self._files, row["artifact_location"] or ""),
            )
            for row in self._rows(wanted, run_id)
        ]

    def _folder(self, uri: str) -> Path | None:
        if uri.startswith("mlflow-artifacts:"):
            return self._artifacts / uri.removeprefix("mlflow-artifacts:").strip("/")
        return local_path(uri)

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self._tables.execute(query, values).fetchall()

    def _pairs(self, query: str, value: Any) -> dict[str, str]:
        return {key: text or "" for key, text in self._tables.execute(query, (value,))}
