"""One training with an accelerator, as it is written into its run; the hooks and the tracker both write through it.

What the script tells the accelerator enters, and waits until the run begins: until then `load_state` may say that it
goes on with another one. Of the accelerator only a weak reference is held.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrack.plugin import (
    begin_leaf,
    current,
    expect_stream,
    follow_stream,
    guarded,
    is_silent,
    log_defaults,
    rejoin_leaf,
    run_of,
    settings,
)
from autotrack_accelerate import data
from autotrack_accelerate.naming import fed

if TYPE_CHECKING:
    from autotrack.plugin import Leaf
    from autotrack.run import Run

waiting: weakref.WeakSet[Recording] = weakref.WeakSet()
"""Those whose run is to begin with the next backward pass, and begins with the end of the process if none comes."""

_forks = 0
"""How many forks lie between this process and the first of its line: known without a system call at each row."""

watch: list[Callable[[], None]] = []
"""What has the backward pass observed, while the hooks are placed."""


class Recording:
    """A training that is recorded, from `init_trackers` or the first `log` to `end_training`."""

    def __init__(self, accelerator: Any = None) -> None:
        self.accelerator: Any = weakref.ref(accelerator) if accelerator is not None else lambda: None
        self.explicit = False
        """Whether a tracker of ours asks for the run."""
        self.name: str | None = None
        self.given: Run | None = None
        """The run that a tracker was made with."""
        self.tags: dict[str, Any] = {}
        self.project: str | None = None
        self.continues: str | None = None
        self.config: dict[str, Any] = {}
        self.run: Run | None = None
        self.step: Any = None
        self.hears: list[Any] | None = None
        """The trackers beside which it takes what is logged: none of them is ours."""
        self._leaf: Leaf | None = None
        self._joined = False
        self._not_to: Sequence[str] = ()
        self._forks = _forks
        self._told: dict[str, Any] = {}
        self._loaders: list[weakref.ref[Any]] = []
        self._expected: list[weakref.ref[Any]] = []

    @property
    def is_open(self) -> bool:
        """Whether its run has begun and goes on; a forked child has its objects, and no part in it."""
        return self._leaf is not None and self._forks == _forks

    def wait(self) -> None:
        """Begin with the next backward pass."""
        if self.run is None and not is_silent():
            waiting.add(self)
            for begin in watch:
                begin()

    def configure(self, config: Mapping[str, Any] | None) -> None:
        """Take what `init_trackers` was given as config."""
        if config:
            self.config.update(config)
            if self.is_open and self.run is not None:
                self.run.log_params(config)

    def open(self) -> Run | None:
        """The run, which begins now if it has not yet; None where this training is not recorded."""
        if self._forks != _forks:
            return None
        if self.run is not None:
            return self.run
        leaf = self._begin()
        if leaf is None:
            return None
        waiting.discard(self)
        run = self.run = leaf.run
        self._leaf, self._not_to = leaf, leaf.not_to
        run.when_ended.append(self._ended)
        if self.tags:
            run.set_tags(self.tags)
        run.log_params(self.config)
        self.prepared()
        return run

    def log(self, values: Mapping[str, Any], step: Any) -> None:
        """Record what `Accelerator.log` is given."""
        run = self.open()
        if run is None:
            return
        if step is not None:
            self.step = step
        if run.status == "running":
            run.log_metrics(flat(values), step, not_to=self._not_to)
            return
        again = rejoin_leaf(run, reopen=True)  # after `end_training`
        if again is not None:
            with again:
                run.log_metrics(flat(values), step, not_to=self._not_to)

    def prepared(self) -> None:
        """Record what the accelerator has prepared since it was last looked at."""
        accelerator, run = self.accelerator(), self.run
        if accelerator is None or run is None or run.status != "running":
            return
        with guarded("accelerate"):
            found = data.params(accelerator)
            new = {key: value for key, value in found.items() if key not in self.config and key not in self._told}
            self._told |= new
            run.log_params(new)
            log_defaults(run, new, data.defaults(accelerator))
        if not settings().datasets:
            return
        for role, name, loader in data.datasets(accelerator):
            if not any(one() is loader for one in self._loaders):
                self._loaders.append(weakref.ref(loader))
                run.log_dataset(loader, role=role, name=name)
                follow_stream(run, loader, role=role, name=name)

    def expect(self) -> None:
        """A script reads from its loaders before the backward pass that begins the run: that is not to be lost."""
        accelerator = self.accelerator()
        if accelerator is None or not settings().datasets:
            return
        for _, _, loader in data.datasets(accelerator):
            if not any(one() is loader for one in self._expected):
                self._expected.append(weakref.ref(loader))
                expect_stream(loader)

    def keep_models(self, step: Any = None) -> None:
        """Keep the weights of what the accelerator has prepared."""
        accelerator, run = self.accelerator(), self.run
        if accelerator is None or run is None:
            return
        for index, model in enumerate(getattr(accelerator, "_models", ())):
            run.log_model(model, "model" if index == 0 else f"model_{index}", step=step)

    def finish(self, error: BaseException | None = None) -> None:
        """End the run, or this training's part in it."""
        run = self.open() if self in waiting else self.run
        leaf = self._leaf
        waiting.discard(self)
        if run is None or leaf is None or not self.is_open:
            return
        with guarded("accelerate"):
            if error is None and settings().models != "off":
                self.keep_models()
        self._leaf = None
        leaf.end(error)

    def _begin(self) -> Leaf | None:
        accelerator, backends = self.accelerator(), settings().backends
        reported = [name for name in (fed(accelerator) if accelerator is not None else ()) if name in backends]
        if self.given is not None:
            return rejoin_leaf(self.given, not_to=reported)
        for optimizer in getattr(accelerator, "_optimizers", ()):
            run = run_of(data.unwrapped_optimizer(optimizer))
            if run is not None and run.status == "running" and current() is None:
                # Its steps have been recorded from the first one on.
                return rejoin_leaf(run, not_to=reported)
        return begin_leaf(
            "accelerate",
            name=self.name or "",  # after the script
            explicit=self.explicit,
            continues=self.continues,
            project=None if settings().project else self.project,
            not_to=reported,
        )

    def _ended(self) -> None:
        leaf, self._leaf = self._leaf, None
        if leaf is not None:  # by the end of the process, or of the user's run around it
            leaf.leave()


def flat(values: Mapping[str, Any], before: str = "") -> Mapping[str, Any]:
    """The metrics of a call: nested ones, as TensorBoard takes them, with a slash between the names."""
    if not before and not any(type(value) is not float and isinstance(value, Mapping) for value in values.values()):
        return values
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{before}{key}/"))
        else:
            found[f"{before}{key}"] = value
    return found


def _in_forked_child() -> None:
    global _forks
    _forks += 1


def at_exit() -> None:
    """Record what ended before its first backward pass, such as a script that failed while it read its data."""
    interactive = hasattr(sys, "ps1") or "IPython" in sys.modules
    error = None if interactive else getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    for recording in list(waiting):
        with guarded("accelerate"):
            recording.finish(error)


atexit.register(at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
