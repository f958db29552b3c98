"""Run by the interpreter that has DVCLive and DVC: what their own readers find below a folder, as JSON.

Usage: `python dvclive_reader.py FOLDER`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
from dvc.utils.serialize import load_yaml
from dvclive.utils import parse_json, parse_tsv


def runs(root: Path) -> list[dict[str, Any]]:
    """Every folder with a dvc.yaml."""
    return [_run(Path(at)) for at, _, names in sorted(os.walk(root)) if "dvc.yaml" in names]


def _run(folder: Path) -> dict[str, Any]:
    described = load_yaml(str(folder / "dvc.yaml"))
    COMPILED_MULTI_STAGE_SCHEMA(described)  # raises for what DVC would refuse
    params = [load_yaml(str(folder / name)) for name in described["params"]]
    live = SimpleNamespace(plots_dir=str(folder / "plots"), metrics_file=str(folder / "metrics.json"))
    series = {}
    for file in sorted((Path(live.plots_dir) / "metrics").rglob("*.tsv")):
        name = file.relative_to(Path(live.plots_dir) / "metrics").as_posix().removesuffix(".tsv")
        # The last column is the value; DVCLive's reader takes quotes as CSV does.
        series[name] = [[row["timestamp"], row["step"], list(row.values())[-1]] for row in parse_tsv(str(file))]
    return {
        "folder": str(folder),
        "params": params[0] if len(params) > 1 else {},
        "told": params[-1],
        "series": series,
        "latest": parse_json(live.metrics_file) if described.get("metrics") else {},
        "files": {
            key: {**entry, "bytes": (folder / entry["path"]).read_bytes().hex()}
            for key, entry in described.get("artifacts", {}).items()
        },
        "plots": described.get("plots", []),
    }


if __name__ == "__main__":
    print(json.dumps(runs(Path(sys.argv[1]))))
