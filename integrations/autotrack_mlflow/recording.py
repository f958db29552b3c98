"""One run that the user's own calls of MLflow make, as it is written into a run of ours.

One that `mlflow.start_run` makes is a container: what trains while it is open is recorded in it. The backend `mlflow`
does not get what MLflow gets from the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotrack.plugin import (
    begin_leaf,
    carried,
    current,
    enter_container,
    guarded,
    leave,
    rejoin_leaf,
    resume,
)

if TYPE_CHECKING:
    from autotrack.events import Status
    from autotrack.run import Run

NAME: Final = "mlflow"
MOST_FILES: Final = 1_000
MOST_BYTES: Final = 1 << 30
"""Most that is copied of one call, which has to wait for that."""

PARENT: Final = "mlflow.parentRunId"
_STATUSES: Final[dict[str, Status]] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}


class Recording:
    """What is known of one run of MLflow's."""

    def __init__(self, run: Run, *, owns: bool, not_to: Sequence[str], inside: bool) -> None:
        self.run = run
        self.owns = owns
        self._not_to = not_to
        self._scope = enter_container(run) if owns and inside else None
        run.when_ended.append(self._left)

    @property
    def is_open(self) -> bool:
        """Whether the run goes on."""
        return self.run.status == "running"

    def metrics(self, values: Mapping[str, Any], step: int) -> None:
        """Record points."""
        if values and self._goes_on():
            self.run.log_metrics(values, step, not_to=self._not_to)

    def params(self, params: Mapping[str, Any]) -> None:
        """Record params."""
        if params and self._goes_on():
            self.run.log_params(params)

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Record tags, but for those that say what is said otherwise."""
        kept = {key: value for key, value in tags.items() if key not in (PARENT, "mlflow.runName")}
        if kept and self._goes_on():
            self.run.set_tags(kept)

    def files(self, path: Any, below: Any, *, keep_name: bool) -> None:
        """Keep a file, or those in a folder; `below` is the folder that they are to have."""
        root = Path(str(path))
        if not self._goes_on():
            return
        found = [root] if root.is_file() else [one for one in sorted(root.rglob("*")) if one.is_file()]
        size = sum(one.stat().st_size for one in found)
        if len(found) > MOST_FILES or size > MOST_BYTES:
            self.run.note(f"artifact {root.name}", f"{len(found)} files of {size} bytes are too much to copy")
            return
        for one in found:
            name = one.name if root.is_file() else one.relative_to(root.parent if keep_name else root).as_posix()
            self.run.log_artifact(one, f"{below}/{name}" if below else name)

    def dataset(self, name: str, digest: str) -> None:
        """Tell of a dataset what MLflow was told: its rows are not at hand any more."""
        if self._goes_on():
            self.run.set_tags({f"mlflow.dataset.{name}": digest})

    def status(self, status: str, error: BaseException | None) -> None:
        """The run has ended so, or goes on."""
        ended = _STATUSES.get(status)
        if ended is None or not self.is_open:
            if ended is None:
                self._goes_on()
            return
        with guarded(NAME):
            if self.owns:
                self.run.end(ended, error if ended != "finished" else None)
            else:
                self._left()

    def _goes_on(self) -> bool:
        """Whether something can be recorded: a run that has ended is running again, as it is in MLflow."""
        if not self.is_open and self.owns:
            again = rejoin_leaf(self.run, reopen=True)
            if again is not None:
                again.leave()
        return self.is_open

    def _left(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            leave(scope)


def begin(theirs: Any, others: Mapping[str, Recording | None], *, inside: bool) -> Recording | None:
    """Begin to record a run of MLflow's, or the one with an id that is all that is known of it.

    In the run of the user's that is open around it, else in one of its own: MLflow says whether it has a parent.
    """
    tags = dict(theirs.data.tags) if not isinstance(theirs, str) else {}
    name = theirs if isinstance(theirs, str) else theirs.info.run_name
    run_id = theirs if isinstance(theirs, str) else theirs.info.run_id
    around = current()
    own = around is not None and any(one is not None and one.owns and one.run is around.run for one in others.values())
    parent = others.get(tags.get(PARENT, ""))
    details: dict[str, Any] = {"not_to": [NAME], **({"parent": parent.run.id} if parent is not None else {})}
    with resume(() if own or parent is not None else carried()):
        leaf = begin_leaf(NAME, name=name or run_id, **details)
        if leaf is None:
            return None
        leaf.leave()  # a container: trainings while it is open are recorded too
    recording = Recording(leaf.run, owns=leaf.owns, not_to=leaf.not_to, inside=inside)
    recording.tags({**tags, "mlflow.run_id": run_id})
    return recording


__all__ = ["NAME", "Recording", "begin"]
