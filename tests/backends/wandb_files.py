"""W&B's own side: the python that has its SDK, and every record of a folder as the SDK's protobuf classes decode it.

Run as a program (by that python) it prints the runs of a folder `wandb` as JSON. It shares no line with what it checks.
"""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60


def wandb_python() -> str:
    """The python that has W&B's SDK; skips the test where none has."""
    given = os.environ.get("AUTOTRACK_TEST_WANDB")
    if given:
        return given
    if importlib.util.find_spec("wandb") is None or importlib.util.find_spec("wandb.sdk") is None:
        pytest.skip("wandb is not installed; AUTOTRACK_TEST_WANDB may name a python that has it")
    return sys.executable


def environment_for_wandb(folder: Path, **more: str) -> dict[str, str]:
    """An environment in which the SDK stays in `folder`, asks nobody and finds this checkout where it needs it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "AUTOTRACK_"))}
    root = Path(__file__).parents[2]
    places = [str(root / "src"), str(root / "integrations"), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(places),
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        **more,
    }


def run_script(folder: Path, script: str, **variables: str) -> str:
    """Run a script with the SDK, in `folder`; gives what it printed."""
    done = subprocess.run(
        [wandb_python(), "-c", script],
        cwd=folder,
        env=environment_for_wandb(folder, **variables),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def read_folder(folder: Path) -> list[dict[str, Any]]:
    """Every `.wandb` file below `folder` as the SDK's classes give it, in the order of their runs' starts."""
    done = subprocess.run(
        [wandb_python(), __file__, str(folder)],
        env=environment_for_wandb(folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _record_class() -> Any:
    import types

    if "wandb" not in sys.modules:  # the package itself takes a second to import, and its messages need none of it
        spec = importlib.util.find_spec("wandb")
        assert spec is not None
        package = sys.modules["wandb"] = types.ModuleType("wandb")
        package.__path__ = list(spec.submodule_search_locations or ())
        package.__dict__["__version__"] = "0"
    from wandb.proto.wandb_internal_pb2 import Record

    return Record


def _records(path: Path) -> Any:
    Record = _record_class()
    data, at = path.read_bytes(), 7
    record: bytes | None = None
    assert data[:7] == b":W&B\xe1\xbe\x00", path
    while at < len(data):
        left = 32768 - at % 32768
        if left < 7:
            assert not any(data[at : at + left]), "the end of a block is not zero"
            at += left
            continue
        checksum, length, kind = struct.unpack("<IHB", data[at : at + 7])
        body = data[at + 7 : at + 7 + length]
        assert len(body) == length and length + 7 <= left, "a chunk is longer than its block"
        assert zlib.crc32(bytes([kind]) + body) == checksum
        assert (kind in (1, 2)) == (record is None), "chunks do not follow each other"
        record, at = (record or b"") + body, at + 7 + length  # a first chunk may be empty: it just fills its block
        if kind in (1, 4):
            message = Record()
            message.ParseFromString(record)
            size = message.ByteSize()
            message.DiscardUnknownFields()
            assert message.ByteSize() == size, "a field that the SDK does not know"
            yield message
            record = None
    assert record is None


def _set(target: dict[str, Any], item: Any) -> None:
    path = list(item.nested_key) or [item.key]
    for step in path[:-1]:
        target = target.setdefault(step, {})
        assert isinstance(target, dict), path
    # Numbers keep their text: a step of 2**53 + 1 is no float.
    target[path[-1]] = json.loads(item.value_json, parse_float=lambda text: {"float": text})


def _read(path: Path) -> dict[str, Any]:
    run: dict[str, Any] = {"path": str(path), "config": {}, "summary": {}, "history": [], "metrics": {}}
    run |= {"files": {}, "artifacts": [], "output": [], "exit": None, "runs": []}
    for number, record in enumerate(_records(path), 1):
        assert record.num == number
        kind = record.WhichOneof("record_type")
        if number <= 2:
            assert kind == ("header", "run")[number - 1]
        assert run["exit"] is None, "a record behind the end of the run"
        if kind == "run":
            one = record.run
            for item in one.config.update:
                _set(run["config"], item)
            started = one.start_time.seconds + one.start_time.nanos / 1e9
            run["runs"].append({"name": one.display_name, "tags": list(one.tags), "git": one.git.commit})
            run |= {"id": one.run_id, "name": one.display_name, "project": one.project, "group": one.run_group}
            run |= {"tags": list(one.tags), "started": started, "entity": one.entity, "notes": one.notes}
            run |= {"job_type": one.job_type, "resumed": one.resumed, "host": one.host}
        elif kind in ("config", "summary"):
            for item in getattr(record, kind).update:
                _set(run[kind], item)
        elif kind == "history":
            row: dict[str, Any] = {}
            for item in record.history.item:
                _set(row, item)
            assert row["_step"] == record.history.step.num
            run["history"].append(row)
        elif kind == "metric":
            run["metrics"][record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "files":
            for file in record.files.files:
                content = path.parent / "files" / file.path
                run["files"][file.path] = content.read_bytes().hex() if content.is_file() else None
        elif kind == "artifact":
            one = record.artifact
            contents = {entry.path: Path(entry.local_path).read_bytes().hex() for entry in one.manifest.contents}
            metadata = json.loads(one.metadata or "{}")
            run["artifacts"].append({"name": one.name, "type": one.type, "metadata": metadata, "contents": contents})
            run["artifacts"][-1] |= {"digest": one.digest, "aliases": list(one.aliases)}
        elif kind == "output_raw":
            run["output"].append([record.output_raw.output_type, record.output_raw.line])
        elif kind == "exit":
            run["exit"] = {"code": record.exit.exit_code, "not_complete": record.exit.not_complete}
        elif kind == "environment":
            run["environment"] = {"program": record.environment.program, "python": record.environment.python}
    return run


if __name__ == "__main__":
    runs = [_read(path) for path in sorted(Path(sys.argv[1]).rglob("*.wandb"))]
    json.dump(sorted(runs, key=lambda run: run["started"]), sys.stdout)
