"""Where plain PyTorch loops are observed, with `torch_loop`; without it nothing is placed but what follows loaders.

Steps come from torch's official hook for the steps of all optimizers. `Optimizer.__init__` tells the order in which
they were made, `DataLoader.__iter__` the data; with `torch_loss`, `Tensor.backward` and `GradScaler.scale` tell the
loss.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from autotrack.plugin import Call, Installation, Outcome, settings, warn_once
from autotrack_torch import loading, passing
from autotrack_torch.loaders import Loaders
from autotrack_torch.loops import Loops
from autotrack_torch.losses import Losses

_in_use: weakref.WeakSet[Loops] = weakref.WeakSet()


def install(installation: Installation) -> None:
    """Place the hooks that the settings ask for; torch has been imported."""
    loading.install(installation)
    wanted = settings().torch_loop, settings().torch_loss
    installation.is_outdated = lambda: (settings().torch_loop, settings().torch_loss) != wanted
    with_loop, with_loss = wanted
    passing.install(installation, at_once=with_loop)
    if not with_loop:
        if "torch" in (settings().integrations or ()):
            warn_once("torch:loop", "plain PyTorch loops are recorded with enable(torch_loop=True) alone")
        return
    loaders = Loaders()
    loops = Loops(loaders)
    loaders.is_part_of_another = loops.is_part_of_another
    _in_use.add(loops)

    def watch_init(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        if outcome.error is None and not loops.is_part_of_another():
            loops.created(call.args[0])

    installation.on_remove(loops.end)
    installation.on_remove(register_optimizer_step_post_hook(loops.after_step).remove)
    installation.observe(torch.optim.Optimizer, "__init__", watch_init)
    installation.observe(torch.utils.data.DataLoader, "__iter__", loaders.watch_iteration)
    if with_loss:
        losses = loops.losses = Losses(loops.is_part_of_another)
        installation.observe(torch.Tensor, "backward", losses.watch_backward)
        scaler = getattr(torch.amp, "GradScaler", None) or torch.cuda.amp.GradScaler  # before torch 2.3
        installation.observe(scaler, "scale", losses.watch_scale)


def _in_forked_child() -> None:
    for loops in list(_in_use):
        loops.in_forked_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
