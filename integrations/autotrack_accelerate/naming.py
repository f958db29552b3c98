"""The names of trackers in `log_with`: ours is added, and those of others tell which backends an accelerator feeds."""

from __future__ import annotations

from typing import Any

from autotrack.plugin import Installation

NAME = "autotrack"

BACKENDS = {"comet_ml": "comet"}
"""What autotrack calls the backend of a tracker, where accelerate calls it something else."""


def install(installation: Installation) -> None:
    """Let `log_with="autotrack"` be legal, where accelerate lets others register; its trackers have been imported."""
    from accelerate import tracking

    register = getattr(tracking, "register_tracker_class", None)
    known: dict[str, Any] = getattr(tracking, "LOGGER_TYPE_TO_CLASS", {})
    if register is None or NAME in known:
        return
    from autotrack_accelerate.tracker import AutotrackTracker

    register(AutotrackTracker)

    def undo() -> None:
        if known.get(NAME) is AutotrackTracker:
            del known[NAME]

    installation.on_remove(undo)


def fed(accelerator: Any) -> list[str]:
    """The backends that the accelerator's own trackers feed, by autotrack's names."""
    from accelerate.tracking import GeneralTracker

    trackers: list[Any] = list(getattr(accelerator, "log_with", None) or ())
    names = [str(getattr(one, "name", one) if isinstance(one, GeneralTracker) else one) for one in trackers]
    return [BACKENDS.get(name, name) for name in names if name != NAME]
