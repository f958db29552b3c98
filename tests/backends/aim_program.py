"""Run by the interpreter that has Aim: reads a repository as `aim up` does, or writes one as users do.

`python aim_program.py read FOLDER` answers each line of standard input with every run, as JSON;
`python aim_program.py write FOLDER` writes a repository for the importer, with a run that is killed.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import aim
from aim.sdk.index_manager import RepoIndexManager
from aim.sdk.repo import Repo


def read(folder: str) -> list[dict[str, Any]]:
    """Index all runs, as `aim up` does when it sees that they changed, and read them by Aim's own API."""
    if not (Path(folder) / ".aim").exists():
        return []
    repo = Repo(folder)
    manager = RepoIndexManager(repo)
    keys = os.listdir(Path(repo.path) / "meta" / "chunks")  # what Aim lists is half a second old
    for key in keys:
        assert manager.index(key)
    repo.meta_tree.preload()
    found = [as_json(run) for run in repo.iter_runs()]
    assert len(found) == len(keys)
    repo.close()
    return found


def as_json(run: Any) -> dict[str, Any]:
    series = {}
    for metric in run.metrics():
        assert metric.context.to_dict() == {}
        steps, (values, _, times) = metric.data.numpy()
        points = zip(steps.tolist(), values.tolist(), times.tolist(), strict=True)
        series[metric.name] = [[step, repr(float(value)), time] for step, value, time in points]
    return {
        "hash": run.hash,
        "name": run.name,
        "experiment": run.experiment,
        "created": run.creation_time,
        "ended": run.end_time,
        "tags": sorted(run.tags),
        "attributes": {key: run.get(key, {}) for key in ("hparams", "autotrack", "datasets", "tags", "code")},
        "series": series,
        "files": {
            name: Path(file.uri.removeprefix("file://")).read_bytes().hex() for name, file in run.artifacts.items()
        },
    }


def content(file: Any) -> str:
    """By Aim's own download, in hexadecimal."""
    with tempfile.TemporaryDirectory() as folder:
        return Path(file.download(folder)).read_bytes().hex()


def write(folder: str) -> None:
    for number, end in enumerate(("closed", "killed")):
        run = aim.Run(repo=folder, experiment="hobby", system_tracking_interval=None, capture_terminal_logs=False)
        run.name = end
        run["hparams"] = {"lr": 0.5 + number, "deep": {"layers": [1, 2]}, "none": None}
        run["dataset"] = "rows"
        run.add_tag("nice")
        for step in range(5):
            run.track(step / 4, name="loss", step=step, context={"subset": "train"})
            run.track(step / 8, name="loss", step=step * 10, context={"subset": "val", "fold": 1})
        run.track(float("inf"), name="plain", step=3)
        run.track(aim.Text("words"), name="text", step=0)
        if end == "closed":
            run.set_artifacts_uri((Path(folder).absolute() / "files").as_uri())
            run.log_artifact(__file__, name="code/program.py", block=True)
            run.close()
            del run
            gc.collect()
        else:
            os.kill(os.getpid(), 9)


def main() -> None:
    if sys.argv[1] == "write":
        write(sys.argv[2])
    answers, sys.stdout = sys.stdout, sys.stderr
    for _ in sys.stdin:
        print(json.dumps(read(sys.argv[2])), file=answers, flush=True)


if __name__ == "__main__":
    main()
