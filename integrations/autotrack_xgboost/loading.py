"""Files of models that the user loads and saves, so that the runs on both ends are linked."""

from __future__ import annotations

from autotrack.plugin import Installation, watch_loading, watch_saving


def install(installation: Installation) -> None:
    """Place the observers: estimators, and `xgb_model=` with a path, load and save by a booster."""
    import xgboost

    installation.observe(xgboost.Booster, "load_model", watch_loading("xgboost.Booster.load_model", "fname"))
    installation.observe(xgboost.Booster, "save_model", watch_saving("xgboost.save_model", "fname"))
