"""One `SummaryWriter`, as it is written into a run of ours.

It is a container: what trains while it is open is recorded in it. The backend `tensorboard` does not get what
TensorBoard gets from the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from autotrack.plugin import begin_leaf, carried, current, enter_container, guarded, leave, rejoin_leaf, resume

if TYPE_CHECKING:
    from autotrack.run import Run

NAME: Final = "tensorboard"
MOST_FILES: Final = 1_000
LARGEST_FILE: Final = 32_000_000
"""Texts and pictures that are kept of one run, and how large one may be."""


class Recording:
    """What is known of one writer."""

    def __init__(self, run: Run, *, owns: bool, not_to: Sequence[str]) -> None:
        self.run = run
        self.owns = owns
        self.error: BaseException | None = None
        self._not_to = not_to
        self._scope = enter_container(run) if owns else None
        self._files = 0
        run.when_ended.append(self._left)

    @property
    def is_open(self) -> bool:
        """Whether the run goes on."""
        return self.run.status == "running"

    def log(self, values: Mapping[str, Any], step: Any) -> None:
        """Record points; a writer that was closed and writes again goes on with its run."""
        if self.is_open:
            self.run.log_metrics(values, step, not_to=self._not_to)
        elif self.owns:
            again = rejoin_leaf(self.run, reopen=True)
            if again is not None:
                with again:
                    self.run.log_metrics(values, step)

    def params(self, params: Mapping[Any, Any]) -> None:
        """Record hyperparameters."""
        if self.is_open:
            self.run.log_params({str(key): value for key, value in params.items()})

    def file(self, name: str, content: bytes) -> None:
        """Keep a text or a picture."""
        if not self.is_open:
            return
        self._files += 1
        if self._files > MOST_FILES:
            self.run.note("texts and pictures", f"of one writer {MOST_FILES} are kept")
        elif len(content) > LARGEST_FILE:
            self.run.note(name, f"it has {len(content)} bytes: those of at most {LARGEST_FILE} are kept")
        else:
            self.run.log_artifact(content, name)

    def end(self) -> None:
        """The writer is closed, or nobody has it any more."""
        if not self.is_open:
            return
        with guarded(NAME):
            if self.owns:
                error = self.error
                status = "finished" if error is None else "failed" if isinstance(error, Exception) else "killed"
                self.run.end(status, error)  # type: ignore[arg-type]  # each of them is a status
            else:
                self._left()

    def _left(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            leave(scope)


def begin(writer: Any, others: Sequence[Recording]) -> Recording | None:
    """Begin to record a writer: in the run that is open around it, else in one of its own.

    `others` are recordings of writers that are open: a second writer is no part of the first one's run.
    """
    around = current()
    beside = around is not None and any(one.run is around.run for one in others)
    folder = str(getattr(writer, "log_dir", None) or getattr(writer, "logdir", None) or "")
    details: dict[str, Any] = {"name": PurePath(folder).name or NAME, "not_to": [NAME]}
    with resume(() if beside else carried()):
        leaf = begin_leaf(NAME, **details)
        if leaf is None:
            return None
        leaf.leave()  # trainings while it is open are recorded too: it is a container
    if folder:
        leaf.run.set_tags({"tensorboard.log_dir": folder})
    return Recording(leaf.run, owns=leaf.owns, not_to=leaf.not_to)


__all__ = ["NAME", "Recording", "begin"]
