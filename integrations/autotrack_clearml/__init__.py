"""Send runs to a ClearML server, or write them as offline sessions, which `Task.import_offline_session` brings to one.

    export CLEARML_API_HOST=…  CLEARML_API_ACCESS_KEY=…  CLEARML_API_SECRET_KEY=…  CLEARML_FILES_HOST=…
    export AUTOTRACK_BACKENDS=local,clearml

ClearML itself need not be installed where you train. Without `CLEARML_API_HOST`, or with `CLEARML_OFFLINE_MODE=1`, a
session is made when its run ends, in the folder that ClearML uses: `offline/offline-<run id>.zip` below
`CLEARML_CACHE_DIR` (`~/.clearml/cache`), with a folder of the same name.

* a run is a task of the same name and project; params are its hyperparameters in the section `General`;
* `val/loss` is the series `loss` of the plot `val`; a name without a slash is both;
* tags are labels and, with their keys, the section `Tags`; datasets are the section `Datasets`;
* status, error and parent are the section `autotrack`; what the process wrote is the console of a session;
* models and artifacts are artifacts.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="clearml", factory="autotrack_clearml.backend:ClearmlBackend"))
