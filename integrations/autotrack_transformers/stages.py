"""Which run a call of a trainer is recorded in: a new one, the one it resumes, the trainer's own, or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from autotrack.plugin import Leaf, begin_leaf, current, is_silent, rejoin_leaf
from autotrack_transformers.callback import EnabledCallback, Listener
from autotrack_transformers.recording import Recording, recorded_in, run_behind
from autotrack_transformers.reporting import fed

if TYPE_CHECKING:
    from autotrack.run import Run

_recordings: WeakKeyDictionary[Any, Recording] = WeakKeyDictionary()
"""The latest recording of each trainer, for what it does before or after its training."""


class Asked(NamedTuple):
    """What the callbacks of a trainer ask for."""

    explicit: bool
    """Whether any of them was asked for by the user."""
    run: Run | None
    name: str


def asked(trainer: Any) -> Asked:
    """What this trainer's callbacks ask for; the name is theirs, the trainer's `run_name` or its class."""
    own = [it for it in trainer.callback_handler.callbacks if isinstance(it, Listener)]
    args = trainer.args
    given = getattr(args, "run_name", None)
    name = given if given and given != args.output_dir else type(trainer).__name__
    return Asked(
        any(it.explicit for it in own),
        next((it.run for it in own if it.run is not None), None),
        next((it.name for it in own if it.name), name),
    )


def begin(trainer: Any, name: str | None = None, **details: Any) -> Leaf | None:
    """Begin to record in the run that the user gave, in the one that is open, or in a new one."""
    wish = asked(trainer)
    if wish.run is not None:
        return rejoin_leaf(wish.run)
    reported = fed(trainer.callback_handler.callbacks)
    return begin_leaf("transformers", name=name or wish.name, explicit=wish.explicit, not_to=reported, **details)


def begin_training(trainer: Any, resume: Any) -> Leaf | None:
    """Begin to record `train`; None where it is silent."""
    if not may_record(trainer):
        return None
    continues = _resumed(trainer, resume)
    before = _recordings.get(trainer)
    if before is not None and before.owned and _is_at_hand(before):
        first = not before.trained and continues is None  # what was evaluated first belongs to the training
        if first or before.run.id == continues:
            return rejoin_leaf(before.run, reopen=True)
    return begin(trainer, continues=continues)


def begin_evaluation(trainer: Any) -> Leaf | None:
    """Begin to record `evaluate` or `predict`; None where it is silent."""
    if not may_record(trainer):
        return None
    return rejoin(trainer) or begin(trainer)


def rejoin(trainer: Any) -> Leaf | None:
    """Go on with the run of what this trainer did last; None where there is none, or another has been opened since."""
    before = _recordings.get(trainer)
    if before is None or not _is_at_hand(before):
        return None
    # A training that failed stays failed, whatever is measured on its model afterwards.
    return rejoin_leaf(before.run, reopen=before.owned and before.run.status == "finished")


def may_record(trainer: Any) -> bool:
    """Whether a call of this trainer is the first process's, and part of nothing that is recorded already."""
    return not is_silent() and bool(trainer.is_world_process_zero())


@contextmanager
def heard(trainer: Any, leaf: Leaf) -> Iterator[Recording]:
    """Inside, the events of this trainer reach the recording of the leaf's run."""
    recording = _recordings.get(trainer)
    if recording is None or recording.run is not leaf.run:
        recording = _recordings[trainer] = Recording(leaf.run, trainer, owned=leaf.owns)
    callbacks = trainer.callback_handler.callbacks
    listener = next((it for it in callbacks if isinstance(it, Listener)), None)
    added = None
    if listener is None:  # a trainer that was made before `enable()`
        listener = added = EnabledCallback()
        callbacks.insert(0, added)
    recording.listener, recording.not_to = listener, fed(callbacks)
    try:
        with recorded_in(recording):
            yield recording
    finally:
        for index, callback in enumerate(callbacks):
            if callback is added:
                del callbacks[index]
                break


def _is_at_hand(recording: Recording) -> bool:
    """Whether no other run has been opened around this call since, such as one of the user's."""
    around = current()
    if around is None or around.run is None or around.run is recording.run:
        return True
    return around.run.id == recording.run.parent_id


def _resumed(trainer: Any, resume: Any) -> str | None:
    """The id of the run that saved the checkpoint which `train` is told to resume from, or None."""
    if resume is True:
        from transformers import trainer_utils

        folder = trainer.args.output_dir
        last: Callable[[str], str | None] = trainer_utils.get_last_checkpoint
        resume = last(folder) if os.path.isdir(folder) else None
    return run_behind(resume) if isinstance(resume, str | os.PathLike) else None
