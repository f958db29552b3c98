"""Registered models that W&B's registry must be looked at for: what a journal says of them enters, and waits its turn.

A model waits for the end of the run that a step names. While runs of the journal go on, what goes wrong with the
registry is tried again later and holds back none of them; once none does, nothing more may come, and it must be done.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from autotrack.errors import BackendUnavailable
from autotrack.events import ModelLogged, RegistryLogged

AGAIN: Final = 60.0
"""Seconds after which what went wrong is tried again while the journal goes on."""

_tried: dict[str, float] = {}


@dataclass(frozen=True)
class Waiting:
    """Why W&B's registry must be looked at for a model."""

    run: str
    """Of the last step, or empty."""
    since: int
    """When that was taken, in nanoseconds."""
    about: tuple[str, ...] | None = None
    """The digests that must be linked in the end; None: all. Others have steps of their own that wait for them."""
    registered: tuple[str, ...] = ()
    """Those that a training has registered itself: the store must have taken them in."""


class Follows(Protocol):
    """What brings one model up to date."""

    def follow(self, model: str, waiting: Waiting, still_open: Collection[str]) -> bool:
        """False where a run in `still_open` must end first. Raises `BackendUnavailable`."""
        ...


class Models:
    """Those that wait, kept in the delivery's state as JSON."""

    def __init__(self, kept: Mapping[str, Mapping[str, Any]], notes: Counter[tuple[str, str, str]]) -> None:
        self._waiting = {model: _waiting_from(one) for model, one in kept.items()}
        self._notes = notes
        self._new: set[str] = set()

    def concerns(self, model: str, event: ModelLogged | RegistryLogged) -> None:
        """A step, or a training's own registration, is about this model."""
        before = self._waiting.get(model, Waiting("", 0, ()))
        found = (event.digest,) if event.digest else ()
        by_training = found if isinstance(event, ModelLogged) else ()
        about = (*(before.about or ()), *found)
        self._waiting[model] = Waiting(event.run, event.time, about, before.registered + by_training)
        self._new.add(model)

    def follow(self, follows: Follows, still_open: Collection[str], *, has_ended: bool) -> None:
        """Bring up to date what need not wait; `has_ended` says that a run has just been uploaded.

        Raises `BackendUnavailable` where something must be tried again and no run is open any more.
        """
        problem: BackendUnavailable | None = None
        for model, waiting in list(self._waiting.items()):
            is_due = model in self._new or has_ended or time.monotonic() - _tried.get(model, -AGAIN) >= AGAIN
            if waiting.run in still_open or still_open and not is_due:
                continue
            noted = self._notes.copy()
            _tried[model] = time.monotonic()
            try:
                if follows.follow(model, waiting, still_open):
                    del self._waiting[model]
            except BackendUnavailable as one:
                problem = problem or one
                self._notes.clear()  # what was left out is told when it is done
                self._notes.update(noted)
        if problem is not None and not still_open:
            raise problem

    def to_keep(self) -> dict[str, Any]:
        """For the state."""
        return {model: asdict(one) for model, one in self._waiting.items()}


def _waiting_from(kept: Mapping[str, Any]) -> Waiting:
    return Waiting(kept["run"], kept["since"], tuple(kept["about"]), tuple(kept["registered"]))
