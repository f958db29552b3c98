"""Files of models that the user loads and saves, so that the runs on both ends are linked."""

from __future__ import annotations

import os
from collections.abc import Generator

from autotrack.plugin import Call, Installation, Outcome, guarded, model_loaded, model_saved


def install(installation: Installation) -> None:
    """Place the observers."""
    import catboost

    installation.observe(catboost.CatBoost, "load_model", watch_load)
    installation.observe(catboost.CatBoost, "save_model", watch_save)


def watch_load(call: Call) -> Generator[None, Outcome, None]:
    """`load_model` of any class of CatBoost."""
    outcome = yield
    if outcome.error is None:
        path = call.args[1] if call.args[1:] else call.kwargs.get("fname")
        with guarded("catboost"):
            if isinstance(path, str | os.PathLike):  # it may be the bytes of a model as well
                model_loaded(path, "catboost.load_model")


def watch_save(call: Call) -> Generator[None, Outcome, None]:
    """`save_model`."""
    outcome = yield
    if outcome.error is None:
        path = call.args[1] if call.args[1:] else call.kwargs.get("fname")
        with guarded("catboost"):
            if isinstance(path, str | os.PathLike):
                model_saved(path, "catboost.save_model", call.args[0])
