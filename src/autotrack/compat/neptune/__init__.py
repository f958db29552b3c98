"""The drop-in for `neptune` 1.x: the same calls, recorded as runs of autotrack. No request is made, no token needed.

    import autotrack.compat.neptune as neptune

    run = neptune.init_run(project="team/churn", tags=["baseline"])
    run["parameters"] = {"lr": 0.1, "depth": 4}
    for epoch in range(3):
        run["train/loss"].append(1 / (epoch + 1))
    run.stop()

What goes where: single values are params under their path; series of numbers are metrics with their steps; series of
texts and files, files and sets of files are artifacts; what is below `sys/` (name, description, tags) are tags; code,
environment, console and the outcome are what autotrack records of every run. docs/backends/neptune.md has the whole
table, and what the drop-in lacks.
"""

from __future__ import annotations

from typing import Final

from autotrack.compat.neptune import attributes as attributes
from autotrack.compat.neptune import checks as checks
from autotrack.compat.neptune import constants as constants
from autotrack.compat.neptune import container as container
from autotrack.compat.neptune import envs as envs
from autotrack.compat.neptune import exceptions as exceptions
from autotrack.compat.neptune import handler as handler
from autotrack.compat.neptune import integrations as integrations
from autotrack.compat.neptune import objects as objects
from autotrack.compat.neptune import python_logger as python_logger
from autotrack.compat.neptune import tables as tables
from autotrack.compat.neptune import types as types
from autotrack.compat.neptune import typing as typing
from autotrack.compat.neptune import utils as utils
from autotrack.compat.neptune.constants import ANONYMOUS_API_TOKEN
from autotrack.compat.neptune.objects import Model, ModelVersion, Project, Run

__version__ = "1.14.0"
"""The version of the client whose calls these are."""

init_run = init = Run
init_model = Model
init_model_version = ModelVersion
init_project = Project

MODULES: Final = {
    "attributes": "attributes",
    "constants": "constants",
    "envs": "envs",
    "exceptions": "exceptions",
    "common.exceptions": "exceptions",
    "handler": "handler",
    "integrations.python_logger": "python_logger",
    "integrations.utils": "checks",
    "integrations": "integrations",
    "internal.types.stringify_value": "types",
    "internal.utils": "checks",
    "internal": "checks",
    "logging": "python_logger",
    "management": "management",
    "metadata_containers.metadata_container": "container",
    "metadata_containers": "objects",
    "objects": "objects",
    "run": "objects",
    "project": "objects",
    "runs_table": "tables",
    "table": "tables",
    "types.mode": "types",
    "types": "types",
    "typing": "typing",
    "utils": "utils",
    "version": "constants",
}
"""Which of our modules stands for which of the client's, for `autotrack.compat.install`."""

_EXTENSIONS: Final = """
aws detectron2 fastai lightgbm optuna prophet pytorch sacred sklearn tensorboard tensorflow_keras xgboost
"""

OUTSIDE: Final = {f"integrations.{name}": f"neptune_{name}" for name in _EXTENSIONS.split()}
"""Integrations that are packages of their own, and run on the drop-in where they are installed."""

__all__ = [
    "ANONYMOUS_API_TOKEN",
    "Model",
    "ModelVersion",
    "Project",
    "Run",
    "__version__",
    "init_model",
    "init_model_version",
    "init_project",
    "init_run",
]
