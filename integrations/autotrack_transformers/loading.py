"""Models that the user loads with `from_pretrained` and saves with `save_pretrained`: folders, or names on the hub."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final

from autotrack.plugin import Call, Installation, Outcome, guarded, model_loaded, model_saved, model_used

WEIGHTS: Final = re.compile(r"(adapter_)?(pytorch_)?model(-\d+-of-\d+)?\.(safetensors|bin)")
"""The files of a folder that hold weights: one, or the numbered parts of a large model."""


def install(installation: Installation) -> None:
    """Place the observers; a class of the library's that has its own method calls these two."""
    from transformers import PreTrainedModel

    installation.observe(PreTrainedModel, "from_pretrained", watch_load)
    installation.observe(PreTrainedModel, "save_pretrained", watch_save)


def watch_load(call: Call) -> Generator[None, Outcome, None]:
    """`from_pretrained` of a folder, or of a name that the library has found on the hub."""
    outcome = yield
    if outcome.error is not None:
        return
    with guarded("transformers"):
        name = call.args[1] if call.args[1:] else call.kwargs.get("pretrained_model_name_or_path")
        if not isinstance(name, str | os.PathLike):
            return
        subfolder = call.kwargs.get("subfolder") or ""
        if os.path.isdir(name):
            for file in weights(Path(name) / subfolder):
                model_loaded(file, "transformers.from_pretrained")
            return
        model = outcome.result[0] if isinstance(outcome.result, tuple) else outcome.result
        commit = getattr(getattr(model, "config", None), "_commit_hash", None)
        if commit:
            model_used(f"hf:{name}@{commit}", "transformers.from_pretrained", name=str(name))


def watch_save(call: Call) -> Generator[None, Outcome, None]:
    """`save_pretrained`, of the user's or of a trainer's checkpoint."""
    outcome = yield
    if outcome.error is not None:
        return
    with guarded("transformers"):
        folder: Any = call.args[1] if call.args[1:] else call.kwargs.get("save_directory")
        if isinstance(folder, str | os.PathLike) and os.path.isdir(folder):
            for file in weights(Path(folder)):
                model_saved(file, "transformers.save_pretrained", call.args[0])


def weights(folder: Path) -> Iterator[Path]:
    """The files of weights in a folder, in the order of their parts."""
    yield from sorted(item for item in folder.iterdir() if WEIGHTS.fullmatch(item.name))
