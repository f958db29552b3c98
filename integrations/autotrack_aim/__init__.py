"""Send runs to a local Aim repository, and read such repositories.

    export AUTOTRACK_AIM_REPO=/data/experiments        # the folder that holds `.aim`
    export AUTOTRACK_BACKENDS=local,aim

Aim (3.29; its wheels end with Python 3.12) must be installed where the forwarder runs, and is imported there alone.
Without the variable the repository is beside `AUTOTRACK_HOME`.

* a run is a run, under a hash made of its id, in the experiment of its project's name; params are `hparams`;
* metrics are sequences with their steps and times; a step that comes again replaces the value;
* tags are tags and `tags`; datasets, status, error and parent are `datasets` and `autotrack`;
* models and artifacts are artifacts, kept in the folder `artifacts` of the repository.

`autotrack import aim FOLDER` reads a repository, with runs that were killed or that no `aim up` has indexed.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, ImporterPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="aim", factory="autotrack_aim.backend:AimBackend", extra="aim"))


@hookimpl
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Register the importer."""
    register(
        ImporterPlugin(name="aim", factory="autotrack_aim.importer:AimImporter", extra="aim", place="FOLDER of a .aim")
    )
