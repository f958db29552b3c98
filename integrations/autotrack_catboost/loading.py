"""Files of models that the user loads and saves, so that the runs on both ends are linked."""

from __future__ import annotations

from autotrack.plugin import Installation, watch_loading, watch_saving


def install(installation: Installation) -> None:
    """Place the observers, which serve every class of CatBoost."""
    import catboost

    installation.observe(catboost.CatBoost, "load_model", watch_loading("catboost.load_model", "fname"))
    installation.observe(catboost.CatBoost, "save_model", watch_saving("catboost.save_model", "fname"))
