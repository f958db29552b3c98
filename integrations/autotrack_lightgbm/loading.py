"""Files of models that the user loads and saves, so that the runs on both ends are linked."""

from __future__ import annotations

import os
from collections.abc import Generator

from autotrack.plugin import Call, Installation, Outcome, guarded, model_loaded, model_saved


def install(installation: Installation) -> None:
    """Place the observers."""
    import lightgbm

    installation.observe(lightgbm.Booster, "__init__", watch_load)
    installation.observe(lightgbm.Booster, "save_model", watch_save)


def watch_load(call: Call) -> Generator[None, Outcome, None]:
    """`Booster(model_file=…)`, which `init_model=` with a path does not call: that is told where it is given."""
    outcome = yield
    if outcome.error is None:
        path = call.args[3] if len(call.args) > 3 else call.kwargs.get("model_file")
        with guarded("lightgbm"):
            if isinstance(path, str | os.PathLike):  # it may be the bytes of a model as well
                model_loaded(path, "lightgbm.Booster")


def watch_save(call: Call) -> Generator[None, Outcome, None]:
    """`save_model`."""
    outcome = yield
    if outcome.error is None:
        path = call.args[1] if call.args[1:] else call.kwargs.get("filename")
        with guarded("lightgbm"):
            if isinstance(path, str | os.PathLike):
                model_saved(path, "lightgbm.save_model", call.args[0])
