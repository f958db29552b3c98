"""Numbers that a device computes, read without making the training wait for it.

A 0-d tensor of ours enters when the training is at a step; its number leaves at once from the processor's own memory,
and from an accelerator later, when it has long been computed. Nothing of the user's is kept: a loss comes detached.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch

NEVER_READ = ("meta", "xla")
"""Devices on which reading would fail, or would make a lazy graph run."""


FEW = 32
"""Norms that are sooner added up one by one than by torch."""


class Readings:
    """Numbers on their way from a device, with what they are for."""

    def __init__(self, arrived: Callable[[str, int, float], None]) -> None:
        """`arrived(key, step, value)` is called for each that comes late."""
        self._arrived = arrived
        self.late: list[tuple[str, int, torch.Tensor, Any]] = []

    def read(self, key: str, step: int, number: torch.Tensor) -> float | None:
        """The number, or None where it comes later, or never."""
        kind = number.device.type
        if kind == "cpu":
            return number.item()
        if kind in NEVER_READ:
            return None
        if kind == "cuda":
            # Into pinned memory behind the work that is queued, with an event that tells when it is there: asking the
            # tensor itself would wait until the device has done all that it was given.
            host = torch.empty((), dtype=number.dtype, pin_memory=True)
            host.copy_(number, non_blocking=True)
            there: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
            there.record(torch.cuda.current_stream(number.device))
            self.late.append((key, step, host, there))
        else:
            self.late.append((key, step, number, None))
        return None

    def collect(self, *, wait: bool = False) -> None:
        """Hand over what has arrived; with `wait`, everything."""
        waiting, self.late = self.late, []
        for key, step, number, there in waiting:
            if there is not None and not wait and not there.query():
                self.late.append((key, step, number, there))
                continue
            if there is not None:
                there.synchronize()
            self._arrived(key, step, float(number))


def gradient_norm(optimizer: torch.optim.Optimizer) -> float | torch.Tensor | None:
    """The 2-norm of all gradients that the optimizer has: a number, or a 0-d tensor on their device.

    None where there is none, and where a part of them is on another process: that norm would take a collective, in
    which the other ranks do not join.
    """
    tensor, strided = torch.Tensor, torch.strided
    gradients: list[torch.Tensor] = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is None:
                continue
            if type(gradient) is not tensor or type(parameter) not in PLAIN:
                return None
            if gradient.layout is not strided:
                gradient = gradient.coalesce().values() if gradient.layout is torch.sparse_coo else gradient.values()
            gradients.append(gradient)
    if not gradients:
        return None
    kind = gradients[0].device.type
    if kind in NEVER_READ or kind == "cuda" and torch.cuda.is_current_stream_capturing():
        return None  # what a stream captures now runs again and again
    norms: list[torch.Tensor] = list(torch._foreach_norm(gradients))  # pyright: ignore[reportPrivateImportUsage]
    if kind == "cpu" and len(norms) <= FEW:
        squares = 0.0
        for norm in norms:
            one = norm.item()
            squares += one * one
        return sqrt(squares)
    try:
        every = torch.stack(norms)
    except RuntimeError:  # on several devices, or of several types
        every = torch.stack([norm.to(norms[0].device, norms[0].dtype) for norm in norms])
    total: torch.Tensor = torch.linalg.vector_norm(every)
    return total


PLAIN = (torch.nn.Parameter, torch.Tensor)
"""Types of parameters that are whole in this process: those of sharding are types of their own."""
