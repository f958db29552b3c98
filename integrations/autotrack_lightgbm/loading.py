"""Files of models that the user loads and saves, so that the runs on both ends are linked."""

from __future__ import annotations

from autotrack.plugin import Installation, watch_loading, watch_saving


def install(installation: Installation) -> None:
    """Place the observers. `init_model=` with a path makes no booster of it: that is told where it is given."""
    import lightgbm

    installation.observe(lightgbm.Booster, "__init__", watch_loading("lightgbm.Booster", "model_file"))
    installation.observe(lightgbm.Booster, "save_model", watch_saving("lightgbm.save_model", "filename"))
