"""The drop-in for `neptune_scale`, the client of Neptune 3: the same calls, recorded as runs of autotrack.

    from autotrack.compat.neptune_scale import Run

    with Run(experiment_name="baseline", project="team/churn") as run:
        run.log_configs({"parameters/lr": 0.1})
        run.log_metrics({"train/loss": 0.5}, step=0.5)

Configs are params, metrics metrics with their exact steps, tags tags; texts, histograms and files are artifacts.
docs/backends/neptune.md has the whole table, and what the drop-in lacks.
"""

from __future__ import annotations

from typing import Final

from autotrack.compat.neptune_scale import exceptions as exceptions
from autotrack.compat.neptune_scale import legacy as legacy
from autotrack.compat.neptune_scale import projects as projects
from autotrack.compat.neptune_scale import types as types
from autotrack.compat.neptune_scale.logging_handler import NeptuneLoggingHandler
from autotrack.compat.neptune_scale.run import Run

MODULES: Final = {
    "api": "run",
    "exceptions": "exceptions",
    "legacy": "legacy",
    "logging": "logging_handler",
    "projects": "projects",
    "types": "types",
    "util": "logging_handler",
}
"""Which of our modules stands for which of the client's, for `autotrack.compat.install`."""

OUTSIDE: Final[dict[str, str]] = {}
"""Extensions that are packages of their own: none below this name."""

__all__ = ["NeptuneLoggingHandler", "Run"]
