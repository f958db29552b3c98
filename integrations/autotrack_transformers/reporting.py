"""The names of trackers in `report_to`: ours is added, and those of others tell which backends a trainer feeds itself.

The table `INTEGRATION_TO_CALLBACK` is changed in place, so that every name bound to it sees the change.
"""

from __future__ import annotations

from typing import Any

from autotrack.plugin import Installation

NAME = "autotrack"

BACKENDS = {"azure_ml": "azureml", "comet_ml": "comet", "dagshub": "mlflow"}
"""What autotrack calls the backend of a tracker, where transformers calls it something else."""


def install(installation: Installation) -> None:
    """Let `report_to="autotrack"` be legal; transformers' table of trackers has been imported."""
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    from autotrack_transformers.callback import ReportingCallback

    trackers: dict[str, Any] = INTEGRATION_TO_CALLBACK
    if NAME not in trackers:
        trackers[NAME] = ReportingCallback
        installation.on_remove(lambda: trackers.__delitem__(NAME))


def fed(callbacks: list[Any]) -> list[str]:
    """The backends that these callbacks of a trainer feed, by autotrack's names."""
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    names = [
        BACKENDS.get(name, name)
        for name, kind in INTEGRATION_TO_CALLBACK.items()
        if name != NAME and any(isinstance(callback, kind) for callback in callbacks)
    ]
    return sorted(set(names))
