"""W&B: its offline files, decoded by the SDK's own protobuf classes in the python that has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from subject import EVERYTHING, ReadRun
from wandb_files import read_folder, wandb_python


class Subject:
    name = "wandb"
    carries = EVERYTHING - {"registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        wandb_python()
        self._folder = folder / "files of wandb"
        self._folder.mkdir(parents=True)

    def start(self) -> dict[str, str]:
        return {"WANDB_DIR": str(self._folder), "WANDB_MODE": "offline"}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for file in read_folder(
            self._folder
        ):  # what several processes wrote of one run has one id, as `wandb sync` sees it
            ours = file["config"]["autotrack"]
            assert file["id"] == ours["run_id"]
            add(found.setdefault(file["id"], ReadRun(name=file["name"])), file)
        return found

    def stop(self) -> None:
        pass


def add(read: ReadRun, file: dict[str, Any]) -> None:
    """Add what one file says of a run."""
    ours = file["config"].pop("autotrack")
    file["config"].pop("_wandb", None)
    read.name = file["name"] or read.name
    read.status = ours.get("status", read.status)
    read.params |= plain(flat(file["config"]))
    read.tags |= ours.get("tags", {})
    read.parent = ours.get("parent_id", read.parent)
    read.datasets += [(role, name) for role, names in ours.get("datasets", {}).items() for name in names]
    read.error = (ours.get("error") or {}).get("message", read.error)
    paths = {one["path"]: name for name, one in ours.get("artifacts", {}).items()}
    read.artifacts |= {paths[path]: bytes.fromhex(content) for path, content in file["files"].items()}
    for artifact in file["artifacts"]:
        if artifact["type"] == "model":
            (content,) = artifact["contents"].values()
            read.models[artifact["metadata"]["name"]] = bytes.fromhex(content)
    for row in file["history"]:
        step = row.pop("autotrack/step")
        text = step["float"] if isinstance(step, dict) else str(step)
        for key, value in row.items():
            if not key.startswith("_"):
                assert file["metrics"][key.replace(".", "\\.")] == "autotrack/step"
                read.metrics.setdefault(original(key), []).append((text, plain(value)))
                read.times.setdefault(original(key), []).append(plain(row["_timestamp"]))


def original(key: str) -> str:
    """A metric's own name."""
    return key.removeprefix("autotrack/")


def flat(config: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values under dotted keys, as W&B shows them."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value.keys() != {"float"}:
            found |= flat(value, f"{before}{key}.")
        else:
            found[before + key] = value
    return found


def plain(value: Any) -> Any:
    """Numbers as numbers."""
    if isinstance(value, dict):
        return float(value["float"]) if value.keys() == {"float"} else {key: plain(one) for key, one in value.items()}
    return value
