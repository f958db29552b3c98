"""Send runs to trackio, to a server of its own or into its local folder, and read its projects.

    export TRACKIO_SERVER_URL=http://tracker:7860/?write_token=…
    export AUTOTRACK_BACKENDS=local,trackio

With `TRACKIO_SERVER_URL` runs go there by HTTP, with the token of `TRACKIO_WRITE_TOKEN` or of the URL: trackio need not
be installed. Without it they go into the folder of `TRACKIO_DIR`, by trackio's own storage, which must be installed.

* a run is a run of the same id, in the project of the same name; params are its config;
* each call of `log_metrics` is one log with its step; sent twice it is there once, by its `log_id`;
* status, error, tags, datasets, parent and code are in the config's entry `autotrack`;
* models and artifacts are trackio artifacts that the run put out, by their digest.

`autotrack import trackio FOLDER` reads the projects in such a folder, without trackio.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, ImporterPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="trackio", factory="autotrack_trackio.backend:TrackioBackend", extra="trackio"))


@hookimpl
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Register the importer."""
    register(
        ImporterPlugin(
            name="trackio",
            factory="autotrack_trackio.importer:TrackioImporter",
            place="FOLDER",
        )
    )
