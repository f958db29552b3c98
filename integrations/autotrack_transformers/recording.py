"""One trainer as it is written into its run; the observed calls and the callbacks both write through it.

Arguments, states and models of transformers enter and leave as params, series, artifacts and weights. The trainer
itself is never held.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrack.plugin import (
    Ongoing,
    checkpoint_saved,
    follow_stream,
    guarded,
    log_defaults,
    plain,
    prepare_streams,
    run_behind_checkpoint,
    settings,
    trained,
)
from autotrack_transformers import model as models
from autotrack_transformers.arguments import ALWAYS, compared, whole

if TYPE_CHECKING:
    from autotrack.run import Run

STATE = "trainer_state.json"
"""The file of a checkpoint that the first process alone writes, and last."""


class Recording:
    """A trainer that is recorded in a run, through its training and whatever it evaluates before and after."""

    def __init__(self, run: Run, trainer: Any, *, owned: bool) -> None:
        self.run = run
        self.owned = owned
        """Whether the run was opened for this trainer; it then goes on with what the trainer does later."""
        self.not_to: Sequence[str] = ()
        """Backends that the trainer's own `report_to` feeds with the same rows."""
        self.listener: Any = None
        """The one callback of the trainer that speaks; others of ours are silent."""
        self.trained = False
        self._described = False
        self._folder = ""
        self._best: str | None = None
        self._given: dict[str, Any] = {}
        self._datasets: dict[tuple[str, int], Callable[[Any], bool]] = {}
        self._streams: dict[tuple[bool, int], tuple[str, str, type]] = {}
        """Role and name of each dataset, by whether it trains and its identity, until its loader is seen."""
        self._trainer = weakref.ref(trainer)

    @property
    def awaits(self) -> bool:
        """Whether there are datasets of which no loader has been seen."""
        return bool(self._streams)

    def of(self, trainer: Any) -> bool:
        """Whether it is this trainer's."""
        return self._trainer() is trainer

    def begin_training(self, trainer: Any, trial: Any) -> None:
        """Record what `train` was called with. In a trial, the arguments are still those of the trial before."""
        self.trained = True
        args = trainer.args
        prepare_streams(self.run)
        if trial is None:
            with guarded("transformers"):
                self.describe(args, trainer.model)
        else:
            self._folder = f"run-{getattr(trial, 'number', '')}"
        self.dataset(trainer.train_dataset, "train", "train")
        if getattr(args, "eval_strategy", "no") != "no" or getattr(args, "eval_on_start", False):
            self.dataset(trainer.eval_dataset, "validation", "eval")

    def describe(self, args: Any, model: Any) -> None:
        """Record what the trainer was made with, once."""
        if self._described:
            return
        self._described = True
        self._arguments(args)
        self._artifact(whole(args), "training_args.json")
        if model is None:
            return
        with guarded("transformers"):
            self.params({"model": models.facts(model)})
            self._artifact(models.config_of(model), "model_config.json")
        with guarded("transformers"):
            adapters = models.adapters(model)
            for name, config in adapters.items():
                params, defaults = models.adapter_params(config)
                params = {f"peft.{name}.{key}": value for key, value in params.items()}
                self.params(params)
                log_defaults(self.run, params, {f"peft.{name}.{key}": value for key, value in defaults.items()})
            if adapters:
                self._artifact({name: whole(config) for name, config in adapters.items()}, "peft_config.json")

    def params(self, params: Mapping[str, Any]) -> None:
        """Record those params that are new or have changed."""
        new = {name: value for name, value in params.items() if name not in self._given or self._given[name] != value}
        self._given.update(new)
        if new:
            self.run.log_params(new)

    def dataset(self, data: Any, role: str, name: str) -> None:
        """Record a dataset, or each of several by its name, the first time that it is used in this role."""
        if data is None or not settings().datasets:
            return
        if isinstance(data, Mapping):
            for key, one in data.items():
                self.dataset(one, role, str(key))
            return
        is_same = self._datasets.get((role, id(data)))
        if is_same is not None and is_same(data):
            return
        self._datasets[role, id(data)] = _sameness(data)
        self._streams[role == "train", id(data)] = role, name, data.__class__
        with guarded("transformers"):
            self.run.log_dataset(data, role=role, name=name)

    def loader(self, loader: Any, *, trains: bool) -> None:
        """What the trainer is about to read, or reads already, is followed as the dataset that is behind it."""
        data = getattr(loader, "dataset", None)
        for one in (data, getattr(data, "dataset", None)):  # accelerate puts its own around a stream
            found = self._streams.get((trains, id(one)))
            if one is not None and found is not None and found[2] is one.__class__:
                del self._streams[trains, id(one)]
                follow_stream(self.run, loader, role=found[0], name=found[1], described_as=one)
                return

    def train_begins(self, args: Any, state: Any, model: Any) -> None:
        """Record what the trainer made of the arguments."""
        self.describe(args, model)
        batch = int(getattr(state, "train_batch_size", None) or args.train_batch_size)
        world = int(getattr(args, "world_size", 1))
        self._arguments(args)
        self.params(
            {
                **(getattr(state, "trial_params", None) or {}),
                "max_steps": state.max_steps,
                "train_batch_size": batch,
                "total_train_batch_size": batch * world * args.gradient_accumulation_steps,
                "world_size": world,
            }
        )
        if state.global_step:
            self.run.set_tags({"resumed_at_step": state.global_step})

    def saved(self, args: Any, state: Any, model: Any) -> None:
        """Record a checkpoint that has been written."""
        # In a search, the folder of the trial is in between.
        trial = self._folder and (getattr(state, "trial_name", None) or self._folder)
        folder = os.path.join(args.output_dir, trial, f"checkpoint-{state.global_step}")
        if not os.path.isdir(folder):
            return
        checkpoint_saved(self.run, folder, state.global_step)
        if os.path.isfile(os.path.join(folder, STATE)):
            # In a distributed training other processes may still write into the folder, which then is another.
            checkpoint_saved(self.run, os.path.join(folder, STATE), state.global_step)
        self._tell_best(state)
        if settings().models == "all" and model is not None and not models.is_spread(model):
            self.run.log_model(models.weights(model), f"checkpoint-{state.global_step}", step=state.global_step)

    def finish(self, trainer: Any) -> None:
        """Record how the training came out; it has ended well."""
        state, model = trainer.state, trainer.model
        best = getattr(state, "best_model_checkpoint", None)
        step = _step_of(state, best)
        with guarded("transformers"):
            if state.best_metric is not None:
                self.run.log_metrics(
                    {"best_metric": state.best_metric}, step if step is not None else state.global_step
                )
            self._tell_best(state)
        if model is None:
            return
        with guarded("transformers"):
            trained(model, self.run)
        with guarded("transformers"):
            self._keep(trainer, model, best, step)

    def _arguments(self, args: Any) -> None:
        """Record the training arguments that matter, and what those that are not the defaults would have been."""
        found, defaults = compared(args, ALWAYS)
        self.params(found)
        with guarded("transformers"):
            log_defaults(self.run, found, defaults)

    def _tell_best(self, state: Any) -> None:
        # As soon as it is known: a training that is killed has its best checkpoint too.
        if state.best_model_checkpoint and state.best_model_checkpoint != self._best:
            self._best = state.best_model_checkpoint
            self.run.set_tags({"best_model_checkpoint": self._best})

    def _keep(self, trainer: Any, model: Any, best: str | None, step: int | None) -> None:
        wanted = settings().models
        if wanted == "off":
            return
        if models.is_spread(model):
            self.run.note("model", "its weights are spread over processes; the trainer's checkpoints hold them")
            return
        if wanted in ("final", "all") or best is None:
            self.run.log_model(models.weights(model), "model")
        if wanted in ("best", "all") and best is not None:
            if trainer.args.load_best_model_at_end:
                self.run.log_model(models.weights(model), "best", step=step)
                return
            tensors = models.weights_in(best) if os.path.isdir(best) else None
            if tensors is None:
                self.run.note("model best", f"{best} holds no weights in a safe format")
            else:
                self.run.log_model(tensors, "best", step=step)

    def _artifact(self, content: Mapping[str, Any], name: str) -> None:
        if content:
            self.run.log_artifact(json.dumps(plain(content), indent=1).encode(), name)


def _sameness(data: Any) -> Callable[[Any], bool]:
    """What tells whether another object at the address of `data` is `data`, without holding it."""
    try:
        held = weakref.ref(data)
    except TypeError:  # a list
        size = len(data) if hasattr(data, "__len__") else None
        return lambda other: size is None or len(other) == size
    return lambda other: held() is other


def run_behind(folder: str | os.PathLike[str]) -> str | None:
    """The id of the run that saved the checkpoint in `folder`, or None."""
    return run_behind_checkpoint(folder) or run_behind_checkpoint(os.path.join(folder, STATE))


def _step_of(state: Any, checkpoint: str | None) -> int | None:
    step = getattr(state, "best_global_step", None)
    if step is None and checkpoint:  # transformers before 4.50 tells it by the folder alone
        tail = checkpoint.rpartition("-")[2]
        step = int(tail) if tail.isdigit() else None
    return step


_ongoing: Ongoing[Recording] = Ongoing("transformers")
now, recorded_in = _ongoing.now, _ongoing.recorded_in
