"""Send runs to TensorBoard, bring event files in, and record what a `SummaryWriter` is told.

    export AUTOTRACK_BACKENDS=local,tensorboard
    tensorboard --logdir .autotrack/tensorboard

Event files are written without TensorFlow and without the package tensorboard, one for each run and journal, below
`AUTOTRACK_TENSORBOARD_DIR` (or `TENSORBOARD_LOGDIR`, `TENSORBOARD_LOGGING_DIR`), else `<home>/tensorboard`.

    autotrack import tensorboard runs/

reads event files of any writer. And with `autotrack.enable("tensorboard")`, or `AUTOTRACK_INTEGRATIONS=tensorboard`,
what a script tells the `SummaryWriter` of torch or of tensorboardX becomes a run too, which every other backend gets.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, ImporterPlugin, Integration, hookimpl

TENSORBOARD = Integration(
    name="tensorboard",
    module="os",  # there at once: torch and tensorboardX each have a SummaryWriter, and are waited for there
    install="autotrack_tensorboard.hooks:install",
    opt_in=True,
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register the source."""
    register(TENSORBOARD)


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="tensorboard", factory="autotrack_tensorboard.backend:TensorboardBackend"))


@hookimpl
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Register the importer."""
    register(ImporterPlugin("tensorboard", "autotrack_tensorboard.importer:Importer", place="FOLDER"))


__all__ = [
    "TENSORBOARD",
    "autotrack_register_backends",
    "autotrack_register_importers",
    "autotrack_register_integrations",
]
