"""Bring runs over from Neptune, and write them as the files of its exporter.

The hosted service ended on 2026-03-05. What is left of its users' runs lies in files, and those are read without any
server and without any client of Neptune's:

    autotrack import neptune PATH      # tables of neptune-exporter, folders of neptune 1.x, SQLite of neptune-scale

The backend `neptune-export` writes runs in the schema of `neptune-exporter`, whose loaders carry them into Comet,
GoodSeed, LitLogger, Minfx, MLflow, Pluto, Weights & Biases and ZenML:

    export AUTOTRACK_BACKENDS=local,neptune-export
    export AUTOTRACK_NEPTUNE_EXPORT=exports

The backend `neptune` sends runs to a self-hosted Neptune through its client (`neptune-scale`, or `neptune` for 2.x):

    export AUTOTRACK_BACKENDS=local,neptune
    export NEPTUNE_API_TOKEN=… NEPTUNE_PROJECT=workspace/project
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, ImporterPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backends; their modules are imported in the forwarder alone."""
    register(BackendPlugin(name="neptune", factory="autotrack_neptune.backend:NeptuneBackend", extra="neptune-scale"))
    register(BackendPlugin(name="neptune-export", factory="autotrack_neptune.export:NeptuneExport", extra="neptune"))


@hookimpl
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Register the importer."""
    register(ImporterPlugin("neptune", "autotrack_neptune.importer:Importer", "neptune", "PATH"))
