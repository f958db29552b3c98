"""The module that is meant where it is wrapped: compiled, or made parallel over devices or processes.

A module enters; the module inside leaves, or its state dict with the names that it has unwrapped, so that what is kept
loads into the plain module whatever it was trained as.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside its wrappers."""
    while (name := _inside(module)) is not None:
        module = getattr(module, name)
    return module


def state_of(module: torch.nn.Module) -> dict[str, Any]:
    """The state dict of a module without the prefixes of wrappers, its own or those of modules in it.

    Raises `LookupError` for one that is sharded over processes: collecting it takes all of them.
    """
    if _is_sharded(module):
        raise LookupError(
            f"a {type(module).__qualname__} is sharded over processes; log a full state dict, collected by all of them"
        )
    prefixes = []
    for path, inner in module.named_modules(remove_duplicate=False):
        name = _inside(inner)
        if name is not None:
            before = f"{path}." if path else ""
            prefixes.append((f"{before}{name}.", before))
    prefixes.sort(key=lambda pair: -len(pair[0]))  # the innermost first: it is a part of those around it
    state: dict[str, Any] = {}
    for name, value in module.state_dict().items():
        for wrapped, plain in prefixes:
            if name.startswith(wrapped):
                name = plain + name.removeprefix(wrapped)
        state[name] = value
    return state


def _inside(module: torch.nn.Module) -> str | None:
    """The attribute in which a wrapper holds its module; None for what is no wrapper."""
    if isinstance(module, DistributedDataParallel | DataParallel):
        return "module"
    compiled = getattr(sys.modules.get("torch._dynamo.eval_frame"), "OptimizedModule", None)
    return "_orig_mod" if compiled is not None and isinstance(module, compiled) else None


def _is_sharded(module: torch.nn.Module) -> bool:
    sharded = getattr(sys.modules.get("torch.distributed.fsdp"), "FullyShardedDataParallel", None)
    if sharded is not None and any(isinstance(inner, sharded) for inner in module.modules()):
        return True
    return any(hasattr(parameter, "ds_tensor") for parameter in module.parameters())  # DeepSpeed's ZeRO, third stage
