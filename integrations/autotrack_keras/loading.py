"""Files of models that the user loads and saves, so that the runs on both ends are linked."""

from __future__ import annotations

import os
from collections.abc import Generator

from autotrack.plugin import Call, Installation, Outcome, guarded, model_loaded, model_saved


def install(installation: Installation) -> None:
    """Watch what every way to load and save a model or its weights goes through."""
    from keras.src.saving import saving_lib

    for name, observer in (
        ("load_model", watch_load),
        ("load_weights_only", watch_load),
        ("save_model", watch_save),
        ("save_weights_only", watch_save),
    ):
        if hasattr(saving_lib, name):
            installation.observe(saving_lib, name, observer)


def watch_load(call: Call) -> Generator[None, Outcome, None]:
    """`load_model` and `model.load_weights`."""
    outcome = yield
    if outcome.error is None:
        with guarded("keras"):
            path = call.named().get("filepath")
            if isinstance(path, str | os.PathLike):
                model_loaded(path, f"keras.{call.function.__name__.removesuffix('_only')}")


def watch_save(call: Call) -> Generator[None, Outcome, None]:
    """`model.save` and `model.save_weights`, also those of a callback."""
    outcome = yield
    if outcome.error is None:
        with guarded("keras"):
            given = call.named()
            path = given.get("filepath")
            if isinstance(path, str | os.PathLike):
                model_saved(path, f"keras.{call.function.__name__.removesuffix('_only')}", given.get("model"))
