"""Files of weights that the user loads and saves, so that the runs on both ends are linked.

`torch.load`, `torch.save` and their like in safetensors are watched in place. They read and write anything; what looks
like weights is told: a module, or a mapping of which some names end as those of parameters do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping
from itertools import islice
from types import ModuleType
from typing import Any, Final

import torch

from autotrack.plugin import Call, Installation, Outcome, guarded, model_loaded, model_saved

ENDINGS: Final = ("weight", "bias", "embedding", "running_mean")
LOOKED_AT: Final = 256
"""Names of a mapping that are looked at: the first of a large model may be buffers."""


def install(installation: Installation) -> None:
    """Place the observers."""
    installation.observe_code(torch.serialization.load, watch_load)
    installation.observe_code(torch.serialization.save, watch_save)

    def safetensors(module: ModuleType) -> None:
        installation.observe_code(module.load_file, watch_load_file)
        installation.observe_code(module.save_file, watch_save_file)

    installation.when_imported("safetensors.torch", safetensors)


def watch_load(call: Call) -> Generator[None, Outcome, None]:
    """`torch.load`."""
    outcome = yield
    if outcome.error is None:
        _loaded(call.args[0] if call.args else call.kwargs.get("f"), outcome.result, "torch.load")


def watch_save(call: Call) -> Generator[None, Outcome, None]:
    """`torch.save`."""
    outcome = yield
    if outcome.error is None:
        _saved(call, "obj", "f", "torch.save")


def watch_load_file(call: Call) -> Generator[None, Outcome, None]:
    """`safetensors.torch.load_file`."""
    outcome = yield
    if outcome.error is None:
        path = call.args[0] if call.args else call.kwargs.get("filename")
        _loaded(path, outcome.result, "safetensors.torch.load_file")


def watch_save_file(call: Call) -> Generator[None, Outcome, None]:
    """`safetensors.torch.save_file`."""
    outcome = yield
    if outcome.error is None:
        _saved(call, "tensors", "filename", "safetensors.torch.save_file")


def is_weights(value: Any) -> bool:
    """Whether `value` looks like a model: a module, a state dict, or a checkpoint that holds one."""
    if isinstance(value, torch.nn.Module):
        return True
    if not isinstance(value, Mapping):
        return False
    return _names_parameters(value) or any(
        isinstance(one, torch.nn.Module) or isinstance(one, Mapping) and _names_parameters(one)
        for one in islice(value.values(), LOOKED_AT)
    )


def _names_parameters(value: Mapping[Any, Any]) -> bool:
    return any(
        isinstance(name, str) and name.endswith(ENDINGS) and isinstance(one, torch.Tensor)
        for name, one in islice(value.items(), LOOKED_AT)
    )


def _loaded(file: Any, value: Any, by: str) -> None:
    with guarded("torch"):
        path = path_of(file)
        if path is not None and not _is_loading_data() and is_weights(value):
            model_loaded(path, by)


def _saved(call: Call, first: str, second: str, by: str) -> None:
    with guarded("torch"):
        given = {**dict(zip((first, second), call.args, strict=False)), **call.kwargs}
        path = path_of(given.get(second))
        if path is not None and is_weights(given.get(first)):
            model = given[first] if isinstance(given[first], torch.nn.Module) else None
            model_saved(path, by, model)


def path_of(file: Any) -> str | os.PathLike[str] | None:
    """The path of a file that is named or open; None for what lies nowhere."""
    if isinstance(file, str | os.PathLike):
        return file
    name = getattr(file, "name", None)  # an open file: Lightning opens what it loads itself
    return name if isinstance(name, str) else None


def _is_loading_data() -> bool:
    """Whether this is a worker process of a loader, whose files are samples."""
    module = sys.modules.get("torch.utils.data._utils.worker")
    return module is not None and module.get_worker_info() is not None
