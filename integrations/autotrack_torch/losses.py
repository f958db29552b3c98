"""The loss of a plain loop, seen where the backward pass begins.

Gradients add up until the optimizer steps, and so do the losses here: their sum is what the step goes down on, with
gradient accumulation and with several losses too. Each thread has its own. What is held is detached, and let go at the
step.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any

import torch

from autotrack.plugin import Call, Outcome


class Since(threading.local):
    """What a thread has seen since its last step."""

    first: torch.Tensor | None = None
    sum: torch.Tensor | None = None
    scaled: tuple[weakref.ref[Any], torch.Tensor] | None = None


class Losses:
    """The losses since the last step."""

    def __init__(self, is_part_of_another: Callable[[], bool]) -> None:
        self.wanted = True
        """Whether the next step is to be recorded with its loss."""
        self._is_part_of_another = is_part_of_another
        self._since = Since()

    def take(self, *, closure: bool) -> torch.Tensor | None:
        """The loss of the step that has just been taken, which begins the next.

        A closure is called several times in one step; the first time tells the loss before it, as `step` returns it.
        """
        since = self._since
        first, total = since.first, since.sum
        since.first = since.sum = since.scaled = None
        return first if closure else total

    def watch_backward(self, call: Call) -> None:
        """`Tensor.backward` of a loss: a single number without a gradient of its own."""
        if not self.wanted:
            return
        loss = call.args[0]
        given = call.args[1] if len(call.args) > 1 else call.kwargs.get("gradient")
        if given is None and loss.numel() == 1 and not torch.compiler.is_compiling() and not self._is_part_of_another():
            since = self._since
            scaled = since.scaled
            plain = scaled[1] if scaled is not None and scaled[0]() is loss else loss.detach()
            plain = plain.reshape(())
            if since.sum is None:
                since.first = since.sum = plain
            else:
                since.sum = since.sum + plain.to(since.sum.device)

    def watch_scale(self, call: Call) -> Generator[None, Outcome, None]:
        """`GradScaler.scale`: the backward pass begins at the scaled loss, and the plain one is what counts."""
        if not self.wanted:
            return
        outcome = yield
        plain = call.args[1] if len(call.args) > 1 else call.kwargs.get("outputs")
        if outcome.error is None and isinstance(plain, torch.Tensor) and outcome.result is not plain:
            self._since.scaled = weakref.ref(outcome.result), plain.detach()
