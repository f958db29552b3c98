"""What `ModelCheckpoint` and `EarlyStopping` tell, and the weights of the best checkpoint. Files are only read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from autotrack.plugin import checkpoint_saved

if TYPE_CHECKING:
    from autotrack.run import Run


def facts(trainer: Any, run: Run, step: int) -> None:
    """Record where the best and the last checkpoint are, the best score, and when training was stopped early."""
    tags: dict[str, Any] = {}
    values: dict[str, Any] = {}
    callbacks = [it for it in trainer.checkpoint_callbacks if hasattr(it, "best_model_path")]
    for callback in callbacks:
        of = f"/{callback.monitor or 'last'}" if len(callbacks) > 1 else ""
        for name in ("monitor", "best_model_path", "last_model_path"):
            if getattr(callback, name, None):
                tags[name + of] = getattr(callback, name)
        if callback.best_model_score is not None:
            values["best_model_score" + of] = callback.best_model_score
        for path in {callback.best_model_path, callback.last_model_path, *callback.best_k_models}:
            if path and os.path.exists(path):
                checkpoint_saved(run, path)
    stoppers = trainer.early_stopping_callbacks
    for callback in stoppers:
        of = f"/{callback.monitor}" if len(stoppers) > 1 else ""
        if callback.best_score is not None and abs(callback.best_score) != float("inf"):
            values["best_score" + of] = callback.best_score
        if callback.stopped_epoch or callback.wait_count >= callback.patience:
            values["stopped_epoch" + of] = callback.stopped_epoch
    if tags:
        run.set_tags(tags)
    if values:
        run.log_metrics(values, step)


def best(trainer: Any) -> str | None:
    """The path of the best checkpoint, if there is one on this machine."""
    for callback in trainer.checkpoint_callbacks:
        path = getattr(callback, "best_model_path", None)
        if path and os.path.exists(path):
            return str(path)
    return None


def keep_best(run: Run, path: str) -> bool:
    """Keep the weights in the checkpoint at `path`; whether they could be read without running code."""
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        weights, step = checkpoint["state_dict"], checkpoint.get("global_step")
    except Exception as problem:
        why = str(problem).partition("\n")[0]
        run.note("model best", f"{path} cannot be read as weights alone ({why}); the final weights are kept instead")
        return False
    run.log_model(weights, "best", step=step)
    return True
