"""PyTorch: plain training loops as runs, where you ask for it; weights and datasets of any run.

    import autotrack
    autotrack.enable(torch_loop=True)           # or AUTOTRACK_TORCH_LOOP=1; before or after `import torch`

The first step of an optimizer opens a run, which ends with the process (in a notebook with the cell): `failed` with
the traceback where an exception ends it. Inside `with autotrack.start_run():` it is that run. It holds:

* **params**: class, settings and number of parameters of each optimizer, as `optimizer`, `optimizer.lr`, …;
* **metrics**: `lr` and `grad_norm` (the 2-norm of the gradients that the optimizer stepped with), of the first ten
  steps and then of every n-th, n by the size of the model, and `steps`; with `torch_loss=True` also `loss`, what
  `backward` was called on since the step before. The step is the optimizer's own, counted from 1. Further groups have
  `lr/group_1`, further optimizers, in the order in which they were made, `optimizer_1/lr`;
* **datasets**: those of the loaders that the loop goes through, in the roles `train` and `validation`.

Inside a framework that is recorded, such as Lightning, the loop is part of its run. Without the setting no loop is
hooked. In a distributed training rank 0 records; the gradient norm is left out where parameters are sharded.

Weights, with or without `enable()`:

    run.log_model(module)                       # any torch.nn.Module, compiled or wrapped for data parallelism too
    run.log_model(module.state_dict(), "ema")   # or a mapping of names to tensors
    module.load_state_dict(run.load_model())    # and back, as a mapping of names to tensors

They are kept as safetensors, the format that runs no code when it is read. Tensors that share memory, such as tied
embeddings, are written once and come back under all of their names. Tensors that have not changed since the last
checkpoint are stored once. What safetensors cannot hold (sparse, quantised or sharded tensors, objects in a state dict
that JSON does not give back as they were) is told with the name of the entry, and never pickled.

`run.log_dataset` knows tensors, the datasets and loaders of torch and of the library `datasets`, and fingerprints what
lies in memory. What other datasets make is hashed as it passes from their loader to a training; none is asked for an
element.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import Integration, ModelFormat, hookimpl
from autotrack_torch import data

TORCH = Integration(
    name="torch",
    module="torch",
    install="autotrack_torch.hooks:install",
    requires=("torch>=2.1",),
)

FORMAT = ModelFormat(
    package="torch",
    save="autotrack_torch.weights:save",
    load="autotrack_torch.weights:load",
    formats=("safetensors",),
    needs=("torch",),
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration, and how torch's datasets are described, whichever integrations are enabled."""
    register(TORCH)
    data.register()


@hookimpl
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    """Register how modules and state dicts are saved and read."""
    register(FORMAT)
