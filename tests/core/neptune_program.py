"""Uses Neptune's own clients offline, as their users do: `neptune_program.py {neptune|scale} FOLDER`.

Prints as JSON what a second witness reads of what was written: the client's own queue, or the classes of `neptune-api`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def neptune(folder: Path) -> list[Any]:
    import threading

    import neptune as client
    from neptune.core.components.queue.disk_queue import DiskQueue
    from neptune.internal.operation import Operation
    from neptune.types import File

    (folder / "model.bin").write_bytes(b"weights")
    (folder / "plots").mkdir()
    for name in ("a", "b"):
        (folder / "plots" / f"{name}.txt").write_text(name)
    run = client.init_run(
        mode="offline", project="ws/proj", name="mine", tags=["t1", "t2"], source_files=[],
        capture_hardware_metrics=False, capture_stdout=False, capture_stderr=False, git_ref=False,
    )  # fmt: skip
    run["parameters"] = {"lr": 0.1, "n": 32, "opt": "adam", "flag": True, "nested": {"x": 1}}
    run["when"] = datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    for number in range(5):
        run["train/loss"].append(1 / (number + 1), step=number / 10, timestamp=1700000000.125 + number)
    run["train/acc"].extend([0.1, 0.2, 0.3])
    run["notes"].append("hello")
    run["notes"].append("wörld", step=7)
    run["model"].upload("model.bin")
    run["memory"].upload(File.from_content("inline", extension="txt"))
    run["plots"].upload_files("plots/*.txt")
    run["sys/tags"].remove("t1")
    run["gone"] = 1
    del run["gone"]
    run.stop()
    (place,) = (folder / ".neptune" / "offline").iterdir()
    queue = DiskQueue(place, lambda op: op.to_dict(), Operation.from_dict, threading.RLock())
    return [[element.obj.to_dict(), element.ver] for element in iter(queue.get, None)]


def scale(folder: Path) -> list[Any]:
    from google.protobuf.json_format import MessageToDict
    from neptune_api.proto.neptune_pb.ingest.v1.common_pb2 import Run as CreateRun
    from neptune_api.proto.neptune_pb.ingest.v1.common_pb2 import UpdateRunSnapshot
    from neptune_scale import Run
    from neptune_scale.types import File, Histogram

    (folder / "w.bin").write_bytes(b"weights")
    when = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    quiet: dict[str, Any] = {"mode": "offline", "project": "ws/proj", "enable_console_log_capture": False}
    quiet["source_tracking_config"] = None
    with Run(run_id="r-1", experiment_name="exp", creation_time=when, **quiet) as run:
        run.log_configs({"lr": 0.1, "n": -3, "s": "ünï", "b": True, "d": when, "set": ["b", "a"]})
        for number in range(3):
            at = datetime(2024, 5, 6, 8, 0, number, 500000, tzinfo=UTC)
            run.log_metrics({"loss": 1 / (number + 1), "acc": float("nan")}, step=number + 0.29, timestamp=at)
        run.log_metrics({"edge": float("-inf")}, step=999_999_999.25)
        run.log_string_series({"log": "line"}, step=1)
        run.log_histograms({"h": Histogram(bin_edges=[0, 1, 2.5], counts=[3, 4])}, step=2)
        run.log_histograms({"h": Histogram(bin_edges=[0, 1, 2.5], densities=[0.3, 0.4])}, step=3)
        run.add_tags(["t1", "t2"])
        run.remove_tags(["t1"])
        run.assign_files({"model": "w.bin", "memory": b"inline"})
        run.log_files({"shots": File("w.bin", mime_type="app/x")}, step=4.5)
    with Run(run_id="r-2", fork_run_id="r-1", fork_step=1.29, **quiet) as run:
        run.log_metrics({"loss": 5}, step=2)
    found = []
    for place in sorted((folder / ".neptune").glob("*/run_operations.sqlite3")):
        database = sqlite3.connect(place)
        for kind, content in database.execute("SELECT operation_type, operation FROM run_operations"):
            message = (CreateRun if kind else UpdateRunSnapshot).FromString(content)
            found.append([place.parent.name.split("_")[2], kind, MessageToDict(message)])
    return found


if __name__ == "__main__":
    target = Path(sys.argv[2])
    os.chdir(target)
    witness = {"neptune": neptune, "scale": scale}[sys.argv[1]](target)
    (target / "witness.json").write_text(json.dumps(witness))
    os._exit(0)  # the clients have threads and handlers that would hold on
