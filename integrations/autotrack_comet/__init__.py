"""Write runs as Comet offline experiments, which `comet upload` brings to Comet.

    export COMET_PROJECT_NAME=…  COMET_WORKSPACE=…
    export AUTOTRACK_BACKENDS=local,comet
    comet upload .autotrack/comet/archives/*.zip        # later, where Comet is reached

Comet itself need not be installed where you train. An archive is made when its run ends, in `COMET_OFFLINE_DIRECTORY`,
or in `comet/archives` below `AUTOTRACK_HOME`.

* a run is an experiment of the same name, in `COMET_PROJECT_NAME` or the project of the run; its key is made of the
  run's id, so that an archive that was uploaded cannot be uploaded as a second experiment;
* params are hyperparameters, metrics are metrics with their steps and milliseconds, tags are labels and others;
* datasets, parent and status are others, `autotrack.…`; the error of a failed run is the experiment's error;
* models are models, artifacts are assets; commit, branch and what the process wrote are where Comet has them.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="comet", factory="autotrack_comet.backend:CometBackend"))
