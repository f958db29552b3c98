"""TensorBoard: event files, read by the package tensorboard."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from subject import EVERYTHING, ReadRun
from tensorboard_reader import Shown, folders, shown


class Subject:
    name = "tensorboard"
    carries = EVERYTHING - {"fractional_steps", "exact_values", "models", "artifacts", "registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "logs"

    def start(self) -> dict[str, str]:
        return {"AUTOTRACK_TENSORBOARD_DIR": str(self._folder)}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for folder in folders(self._folder):
            run = shown(folder)
            ours = run.merged("autotrack/run")
            assert ours["id"] not in found
            found[ours["id"]] = as_read(run)
        return found

    def stop(self) -> None:
        pass


def as_read(run: Shown) -> ReadRun:
    """A folder of TensorBoard's in our words."""
    ours, errors = run.merged("autotrack/run"), run.texts.get("autotrack/error", [])
    return ReadRun(
        name=ours["name"],
        status=run.texts.get("autotrack/status", ["running"])[-1],
        # The texts have the newest; a very long one is on the page HParams alone.
        params={**run.hparams, **run.merged("autotrack/params")},
        metrics={tag: [(str(step), value) for step, value, _ in points] for tag, points in run.scalars.items()},
        times={tag: [time for _, _, time in points] for tag, points in run.scalars.items()},
        tags=run.merged("autotrack/tags"),
        parent=ours.get("parent"),
        datasets=[(tag.split("/")[1], tag.split("/", 2)[2]) for tag in run.texts if tag.startswith("datasets/")],
        artifacts={tag: images[-1] for tag, images in run.images.items()},
        error=errors[-1] if errors else None,
    )
