"""Run by the interpreter that has trackio: its server, or what its own API reads in its folder, as JSON.

Usage: `python trackio_program.py serve PORT`, `… write`, or `… read`, which answers each line of
standard input. TRACKIO_DIR says where.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trackio
from trackio import cas
from trackio.sqlite_storage import SQLiteStorage


def read() -> list[dict[str, Any]]:
    """Every run of every project: what `trackio.Api()` and the pages of the dashboard read."""
    found = []
    for project in SQLiteStorage.get_projects():
        for run in trackio.Api().runs(project):
            files = SQLiteStorage.get_run_artifacts(project, run_name=run.name, run_id=run.id)["output"]
            found.append(
                {
                    "project": project,
                    "id": run.id,
                    "name": run.name,
                    "config": run.config,
                    "logs": [
                        {key: repr(value) if isinstance(value, float) else value for key, value in log.items()}
                        for log in SQLiteStorage.get_logs(project, run.name, run_id=run.id)
                    ],
                    "files": [content(project, file) for file in sorted(files, key=lambda file: file["version"])],
                }
            )
    return found


def content(project: str, file: dict[str, Any]) -> dict[str, Any]:
    """One version of an artifact, with the bytes of its only file in hexadecimal."""
    manifest = SQLiteStorage.get_artifact_manifest(project, file["name"], f"v{file['version']}")
    (entry,) = manifest["manifest"]
    data = cas.blob_path(project, entry["digest"]).read_bytes()
    return {"name": file["name"], "type": manifest["type"], "path": entry["path"], "bytes": data.hex()}


def write() -> None:
    """A project as users of trackio have it, for the importer."""
    import numpy

    for name, scale in (("first", 1.0), ("second", 2.0)):
        run = trackio.init(
            project="hobby", name=name, config={"lr": 0.1 * scale, "layers": [1, 2], "deep": {"a": True}}
        )
        for step in range(4):
            trackio.log({"loss": scale / (step + 1), "odd": float("inf") if step else float("nan")}, step=step)
        if name == "first":
            trackio.log({"picture": trackio.Image(numpy.zeros((4, 4, 3), dtype="uint8")), "words": "hello"}, step=4)
            trackio.log({"table": trackio.Table(columns=["a"], data=[[1], [2]])}, step=5)
            trackio.alert("careful", text="loss is odd")
            file = run.log_artifact(__file__, name="program", type="code")
            assert file is not None
        trackio.finish()


def main() -> None:
    """Do what the arguments ask."""
    if sys.argv[1] == "serve":
        trackio.show(open_browser=False, block_thread=True, host="127.0.0.1", share=False, server_port=int(sys.argv[2]))
    elif sys.argv[1] == "write":
        write()
    else:
        answers, sys.stdout = sys.stdout, sys.stderr
        for _ in sys.stdin:
            print(json.dumps(read()), file=answers, flush=True)


if __name__ == "__main__":
    main()
