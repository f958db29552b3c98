"""One stage of a trainer (`fit`, `validate`, `test` or `predict`) as it is written into the run of that trainer.

A trainer has one run, which later stages reopen. What Lightning's hooks tell enters; params, datasets, tags and weights
leave. Metrics come through a logger (`autotrack_lightning.logger`), or through `rows` where the trainer has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from autotrack.plugin import (
    Leaf,
    begin_leaf,
    builds_on,
    current,
    follow_stream,
    guarded,
    log_defaults,
    prepare_streams,
    rejoin_leaf,
    run_behind_checkpoint,
    settings,
    trained,
)
from autotrack_lightning import checkpoints, params, rows
from autotrack_lightning.data import datasets
from autotrack_lightning.logger import JoinedMethods, LoggerMethods

if TYPE_CHECKING:
    from autotrack.run import Run

FEEDS = {"MLFlowLogger": "mlflow", "WandbLogger": "wandb", "NeptuneLogger": "neptune", "CometLogger": "comet"}
"""Loggers of Lightning, and the backends that they send to themselves."""

_runs: WeakKeyDictionary[Any, Run] = WeakKeyDictionary()
_open: WeakKeyDictionary[Any, Recording] = WeakKeyDictionary()


class Recording:
    """A stage of a trainer that is being recorded, from its first hook to its last."""

    def __init__(self, trainer: Any, module: Any, leaf: Leaf, joined_class: type[Any]) -> None:
        self.trainer = trainer
        self.module = module
        self.run = leaf.run
        self.leaf = leaf
        self.rows: rows.Rows | None = None
        self._joined: Any = None
        self._described: set[str] = set()
        self._kept_at: int | None = None
        _runs[trainer] = leaf.run
        _open[trainer] = self
        builds_on(leaf.run, module, f"Trainer.{trainer.state.fn or 'fit'}")
        prepare_streams(leaf.run)  # Lightning begins to read before it says that it trains
        if not trainer.loggers:
            # Being the first logger would move the folders of checkpoints and make `self.logger` true.
            self.rows = rows.Rows(trainer, leaf.run)
        elif (own := _own_logger(trainer)) is not None:
            own.take(leaf)
        else:
            self._joined = joined_class(leaf, trainer.loggers[0])
            trainer.loggers.append(self._joined)

    def params(self) -> None:
        """Record what trainer, module, and, in a `fit`, optimizers and schedulers are set to."""
        trainer, module = self.trainer, self.module
        found: dict[str, Any] = {}
        usual: dict[str, Any] = {}
        with guarded("lightning"):
            if getattr(trainer, "enable_autolog_hparams", True):
                found = params.saved(trainer, module)
                usual = params.saved_defaults(trainer, module)
        ours = {**params.flags(trainer), **{f"model.{key}": value for key, value in params.model(module).items()}}
        if trainer.state.fn == "fit":
            ours |= {**params.optimizers(trainer), **params.early_stopping(trainer)}
        names = {key: f"trainer.{key}" if key in found else key for key in ours}
        found |= {names[key]: value for key, value in ours.items()}
        self.run.log_params(found)
        with guarded("lightning"):
            defaults = {**params.flag_defaults(trainer), **params.defaults(trainer)}
            usual |= {names[key]: value for key, value in defaults.items() if key in names}
            log_defaults(self.run, found, usual)

    def data(self, loaders: Any, role: str) -> None:
        """Record the datasets behind the dataloaders, the first time that they are seen in this stage."""
        if loaders is None or role in self._described or not settings().datasets:
            return
        self._described.add(role)
        for name, data, loader in datasets(loaders, role):
            self.run.log_dataset(data, role=role, name=name)
            follow_stream(self.run, loader, role=role, name=name, described_as=data)

    def last_values(self) -> None:
        """The training has ended: one point for each metric that Lightning's cadence never gave to a logger."""
        seen = self.rows.seen if self.rows is not None else _seen(self.trainer)
        left = {key: value for key, value in rows.logged(self.trainer).items() if key not in seen and key != rows.STEP}
        if left:
            self.run.log_metrics(left, rows.step_of(self.trainer))

    def saved(self, path: Any) -> None:
        """A checkpoint has been written to `path`, with the weights that the module has now."""
        step = self.trainer.global_step
        # The best and the last one are often of the same step, and the same.
        if settings().models == "all" and self.trainer.state.fn == "fit" and step != self._kept_at:
            self._kept_at = step
            self.keep(Path(path).stem, step)

    def finish_fit(self) -> None:
        """A `fit` has come to its end: what its checkpoints and early stopping say, and the weights."""
        with guarded("lightning"):
            checkpoints.facts(self.trainer, self.run, rows.step_of(self.trainer))
        with guarded("lightning"):
            trained(self.module, self.run)
        with guarded("lightning"):
            wanted = settings().models
            best = checkpoints.best(self.trainer) if wanted == "best" else None
            if best is not None and checkpoints.keep_best(self.run, best):
                return
            if wanted != "off":
                self.keep("model", self.trainer.global_step)

    def keep(self, name: str, step: int) -> None:
        """Keep the weights that the module has now."""
        strategy = type(self.trainer.strategy).__name__
        if strategy.startswith(("FSDP", "DeepSpeed", "ModelParallel")):
            self.run.note(f"model {name}", f"{strategy} holds the weights in shards; they are in the checkpoints")
        else:
            self.run.log_model(self.module, name, step=step)

    def end(self, error: BaseException | None = None) -> None:
        """End this stage, and with it the run where it is this trainer's own."""
        _open.pop(self.trainer, None)
        part(self.trainer, self._joined)
        self.leaf.end(error)


def begin(
    trainer: Any, module: Any, *, name: str | None, run: Run | None, joined: type[Any], **details: Any
) -> Recording | None:
    """Begin to record what the trainer is about to do; None where that is part of another training."""
    end_stale(trainer)
    for logger in [it for it in trainer.loggers if isinstance(it, JoinedMethods)]:
        part(trainer, logger)
    leaf = _leaf(trainer, module, name, run, details)
    if leaf is None:
        return None
    recording = Recording(trainer, module, leaf, joined)
    with guarded("lightning"):
        recording.params()
    return recording


def part(trainer: Any, logger: Any) -> None:
    """Take a logger of ours out of the trainer's, whichever list they are in now."""
    for index, one in enumerate(trainer.loggers):
        if one is logger and logger is not None:
            del trainer.loggers[index]
            return


def of(trainer: Any) -> Recording | None:
    """What is being recorded of the trainer, if anything is."""
    return _open.get(trainer)


def all_open() -> list[Recording]:
    """What is being recorded in this process."""
    return list(_open.values())


def run_of_trainer(trainer: Any) -> Run | None:
    """The run of a trainer, open or not."""
    return _runs.get(trainer)


def end_stale(trainer: Any) -> None:
    """End what no hook has ended, since a callback before ours raised: else all that trains later would be silent."""
    for other, recording in list(_open.items()):
        if other is trainer or other.state.status in ("interrupted", "finished"):
            recording.end(RuntimeError("the trainer did not come to its end"))


def _leaf(trainer: Any, module: Any, name: str | None, run: Run | None, details: dict[str, Any]) -> Leaf | None:
    logger = _own_logger(trainer)
    run = run or (logger.given if logger is not None else None)
    fed = {FEEDS[kind.__name__] for it in trainer.loggers for kind in type(it).__mro__ if kind.__name__ in FEEDS}
    not_to = tuple(it for it in settings().backends if it in fed)
    if run is not None:
        return rejoin_leaf(run, not_to=not_to)
    opened = logger.hand_over() if logger is not None else None
    if opened is not None:
        opened.not_to = not_to
        return opened
    around = current()
    before = _runs.get(trainer)
    if before is not None and (around is None or around.run is None):
        return rejoin_leaf(before, reopen=True, not_to=not_to)
    if trainer.state.fn == "fit" and trainer.ckpt_path and "run_id" not in details:
        details["continues"] = run_behind_checkpoint(trainer.ckpt_path)
    if logger is not None and logger.is_new:
        details.setdefault("run_id", logger.run_id)  # the folder of the trainer's checkpoints is called so already
    name = name or (logger.label if logger is not None else None) or type(module).__name__
    return begin_leaf("lightning", name=name, explicit=True, not_to=not_to, **details)


def tell_folder(trainer: Any) -> None:
    """Tell loggers of the user's where the trainer puts what has no other place."""
    for it in trainer.loggers:
        if isinstance(it, LoggerMethods):
            it.folder = trainer.default_root_dir


def tell_run(trainer: Any, run_id: str, again: bool) -> None:
    """Tell the user's logger the id that the run of this trainer will have in this process, and if it goes on."""
    logger = _own_logger(trainer)
    if logger is not None and logger.is_new:
        logger.run_id, logger.goes_on = run_id, again or logger.goes_on


def tell_begun(trainer: Any) -> None:
    """Tell the user's logger that a launched process has begun its run: what is launched next goes on with it."""
    logger = _own_logger(trainer)
    if logger is not None and logger.is_new:
        logger.goes_on = True


def _own_logger(trainer: Any) -> LoggerMethods | None:
    """The user's own `AutotrackLogger` among the trainer's loggers."""
    return next((it for it in trainer.loggers if isinstance(it, LoggerMethods)), None)


def _seen(trainer: Any) -> set[str]:
    return {key for it in trainer.loggers if isinstance(it, LoggerMethods | JoinedMethods) for key in it.seen}
