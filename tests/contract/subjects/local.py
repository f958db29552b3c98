"""The local store, read by its own query API from every home of the battery."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package

from subject import EVERYTHING, ReadModel, ReadRun

from autotrack.provenance.blobs import Blobs
from autotrack.registry import reading
from autotrack.settings import load
from autotrack.store.query import Store


class Subject:
    name = "local"
    carries = EVERYTHING
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        self._homes = folder / "homes"

    def start(self) -> dict[str, str]:
        return {}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for home in sorted(self._homes.iterdir()):
            if (home / "store.db").exists():
                with Store.open(home, load({}, home=home)) as store:
                    runs = [run["id"] for run in store.runs()]
                    assert not found.keys() & set(runs)
                    found |= {run: _read(store, home, run) for run in runs}
        return found

    def read_model(self, name: str) -> ReadModel:
        home = self._homes / "registered"
        with Store.open(home, load({}, home=home)) as store:
            found = reading.model(store, name)
        return ReadModel(
            [one["digest"] for one in reversed(found["versions"])],
            {alias: one["digest"] for alias, one in found["aliases"].items()},
        )

    def stop(self) -> None:
        pass


def _read(store: Store, home: Path, run: str) -> ReadRun:
    record, blobs = store.run(run), Blobs(home)

    def content(digest: str) -> bytes:
        with blobs.open(digest) as opened:
            return opened.read()

    read = ReadRun(
        name=record["name"],
        status=record["status"],
        params=record["params"],
        tags=record["tags"],
        parent=record["parent_id"],
        datasets=[(one["role"], one["name"]) for one in record["datasets"]],
        models={one["name"]: content(one["digest"]) for one in record["models"]},
        artifacts={one["name"]: content(one["digest"]) for one in record["artifacts"]},
        error=(record["error"] or {}).get("message"),
    )
    for key in store.keys(run):
        points = store.points(run, key)
        steps = [str(points.step(index)) for index in range(len(points))]
        read.metrics[key] = list(zip(steps, points.values.tolist(), strict=True))
        read.times[key] = [time / 1e9 for time in points.times.tolist()]
    return read
