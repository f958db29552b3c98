"""Write runs as the files of DVCLive, for DVC and its tools to show: neither has to be installed.

    export AUTOTRACK_BACKENDS=local,dvclive
    export AUTOTRACK_DVCLIVE_DIR=dvclive        # by default <home>/dvclive, which git does not see

Each run has a folder below that one, as `Live(dir=…)` makes it: `plots/metrics/**/*.tsv`, `metrics.json`,
`params.yaml`, `plots/images`, `artifacts` and a `dvc.yaml` that says what they are; and `autotrack.yaml`, a second file
of params with the run's name, status, tags, error and datasets.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="dvclive", factory="autotrack_dvclive.backend:DvcliveBackend"))


__all__ = ["autotrack_register_backends"]
