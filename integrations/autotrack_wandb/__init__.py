"""Send runs to Weights & Biases, read its files, and record what a script tells it.

**Backend.** Writes W&B's own offline files, without the SDK; `wandb sync` uploads them. With a key at hand they are
uploaded by themselves, when a run has ended, by the SDK in the forwarder's process, and W&B's registry follows what is
decided of registered models.

    export AUTOTRACK_BACKENDS=local,wandb
    export WANDB_MODE=offline            # or WANDB_API_KEY=…

The standard variables of W&B configure it: `WANDB_DIR` (default: the home, `.autotrack`), `WANDB_MODE`,
`WANDB_API_KEY` or a netrc file, `WANDB_BASE_URL`, `WANDB_ENTITY`, `WANDB_PROJECT`, `WANDB_RUN_GROUP`, `WANDB_JOB_TYPE`,
`WANDB_TAGS`, `WANDB_NOTES`, `WANDB_ORGANIZATION`; and `AUTOTRACK_WANDB_REGISTRY` names the registry (default: `model`).

**Importer.** `autotrack import wandb PATH` reads `.wandb` files and the folders that they lie in, without the SDK.

**Source.** With `enable("wandb")` or `AUTOTRACK_INTEGRATIONS=wandb`, runs that a script makes with `wandb.init` are
recorded as well and go to every other backend; in the modes `offline` and `disabled` too.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, ImporterPlugin, Integration, hookimpl

WANDB = Integration(
    name="wandb",
    module="wandb",
    install="autotrack_wandb.hooks:install",
    requires=("wandb>=0.19",),
    opt_in=True,
)


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="wandb", factory="autotrack_wandb.backend:WandbBackend", extra="wandb"))


@hookimpl
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Register what reads W&B's files."""
    register(ImporterPlugin(name="wandb", factory="autotrack_wandb.importer:Importer", place="PATH"))


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register what observes the user's own calls of W&B."""
    register(WANDB)


__all__ = [
    "WANDB",
    "autotrack_register_backends",
    "autotrack_register_importers",
    "autotrack_register_integrations",
]
