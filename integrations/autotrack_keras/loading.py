"""Files of models that the user loads and saves, so that the runs on both ends are linked."""

from __future__ import annotations

from autotrack.plugin import Installation, watch_loading, watch_saving


def install(installation: Installation) -> None:
    """Watch what every way to load and save a model or its weights goes through."""
    from keras.src.saving import saving_lib

    for name in ("load_model", "load_weights_only"):
        if hasattr(saving_lib, name):
            by = f"keras.{name.removesuffix('_only')}"
            installation.observe(saving_lib, name, watch_loading(by, "filepath"))
    for name in ("save_model", "save_weights_only"):
        if hasattr(saving_lib, name):
            by = f"keras.{name.removesuffix('_only')}"
            installation.observe(saving_lib, name, watch_saving(by, "filepath", "model"))
