"""Which files of models this process loads and saves, so that one run's model is known again in another run.

Paths and runs enter when a framework has read or written a file; `inputs` and `outputs` of the runs leave, each keyed
by the SHA-256 of a file. What is loaded before any run began belongs to the runs that begin after it. Files are only
read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from autotrack.provenance import checkpoints
from autotrack.provenance.digests import Digests, State, state_of
from autotrack.provenance.masking import masked
from autotrack.provenance.origin import run_of

if TYPE_CHECKING:
    from autotrack.settings import Settings

MOST_LOADED: Final = 16 << 30
MOST_SAVED: Final = 64 << 20
"""Bytes of a file up to which it is hashed at all. A larger one that is saved while something trains is known again by
where it lies, its size and its time alone."""

PATIENCE: Final = 2.0
"""Seconds that the end of a run, and of the process, waits for what is still being hashed."""

REMEMBERED: Final = 32
"""Files that were loaded outside any run; beyond it the oldest are forgotten."""

MOST_FILES: Final = 64
"""Files that one run is told to have loaded; the rest are counted."""


class Loaded(NamedTuple):
    """One model file that was loaded: `by` says with what, `run` which run had saved it, where that is known."""

    state: State
    by: str
    run: str | None


_apart: ContextVar[bool] = ContextVar("autotrack_model_files_apart", default=False)


@contextmanager
def apart() -> Iterator[None]:
    """What is loaded and saved inside is work of autotrack's own, and no model file of the user's."""
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


class ModelFiles:
    """The model files of this process. A witness (`autotrack.provenance.witnesses`)."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._before: dict[str, tuple[Path, Loaded | dict[str, Any]]] = {}
        """What was loaded outside any run, with the home that was in force."""
        self._digests = Digests("autotrack-model-files")
        self._saved: dict[str, set[str]] = {}
        self._told: dict[str, set[str]] = {}
        self._begun: set[str] = set()

    def loaded(self, path: str | os.PathLike[str], by: str, run: Any, home: Path) -> None:
        """`by` has loaded the file at `path`, inside `run` or, where that is None, outside any."""
        self._check_process()
        state = None if _apart.get() else state_of(path)
        if state is None or _is_below(state.path, home):  # what is lent from the home has been told already
            return
        found = Loaded(state, by, checkpoints.run_behind(home, state.path))
        if run is not None:
            self._tell(run, found)
            return
        self._keep(state.path, home, found)
        if state.size <= MOST_LOADED:
            self._digests.learn(state, lambda digest: None, "")

    def used(self, identity: str, told: Mapping[str, Any], run: Any, home: Path) -> None:
        """Something with a known identity (a digest, `hf:name@commit`) was loaded; `told` describes it."""
        self._check_process()
        if run is not None:
            if told.get("run") != run.id:
                run.log_provenance("inputs", {identity: dict(told)})
            return
        self._keep(identity, home, {identity: {**told, "before": True}})

    def saved(self, path: str | os.PathLike[str], by: str, run: Any, home: Path, *, remember: bool = True) -> None:
        """`by` has written a model of `run` to the file at `path`; without `remember` where it lies is known."""
        self._check_process()
        state = None if _apart.get() else state_of(path)
        if state is None or _is_below(state.path, home):
            return
        if remember:
            checkpoints.remember(home, run.id, state.path, None)
        if state.size > MOST_SAVED:
            return

        def tell(digest: str) -> None:
            self._saved.setdefault(run.id, set()).add(digest)
            run.log_provenance("outputs", {digest: {"file": masked(state.path), "bytes": state.size, "by": by}})

        self._digests.learn(state, tell, run.id)

    def begun(self, run: Any) -> None:
        """What was loaded before is an input of a run that is no part of another run of this process."""
        self._check_process()
        known = run.id in self._begun or run.parent_id in self._begun
        self._begun.add(run.id)
        if known:
            return
        ready: dict[str, Any] = {}
        for home, found in list(self._before.values()):
            if home != run.home:
                continue
            if isinstance(found, dict):
                ready |= found
            elif found.run != run.id and (digest := self._digests.known(found.state)):
                ready[digest] = {**_told(found), "before": True}
            else:
                self._tell(run, found, before=True)
        if ready:
            run.log_provenance("inputs", ready)

    def ending(self, run: Any) -> None:
        """Wait a little for what is hashed for this run."""
        if not self._digests.wait(run.id, PATIENCE):
            run.note("model files", "a file was still being hashed when the run ended")

    def close(self) -> None:
        """Wait a little for all that is hashed; what is late is dropped, since the journal is about to be closed."""
        self._digests.wait(None, PATIENCE)
        self._digests.drop()
        for held in (self._saved, self._told, self._begun):
            held.clear()

    def forked(self) -> None:
        """The thread is the parent's."""
        self._forget()

    def _tell(self, run: Any, found: Loaded, *, before: bool = False) -> None:
        already = self._told.setdefault(run.id, set())
        if found.run == run.id or found.state.path in already:  # its own checkpoint, or one that it reads again
            return
        if len(already) >= MOST_FILES:
            run.note("model files", f"more than {MOST_FILES} files were loaded; the rest are not told")
            return
        already.add(found.state.path)
        told = {**_told(found), **({"before": True} if before else {})}
        if found.state.size > MOST_LOADED:
            if found.run is not None:
                run.log_provenance("inputs", {f"run:{found.run}": told})
            else:
                run.note("model files", f"{found.state.path} has more than {MOST_LOADED >> 30} GiB and is not hashed")
            return

        def tell(digest: str) -> None:
            if digest not in self._saved.get(run.id, ()):
                run.log_provenance("inputs", {digest: told})

        self._digests.learn(found.state, tell, run.id)

    def _keep(self, key: str, home: Path, found: Loaded | dict[str, Any]) -> None:
        self._before.pop(key, None)
        self._before[key] = home, found
        while len(self._before) > REMEMBERED:
            self._before.pop(next(iter(self._before)))

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            self._forget()


model_files = ModelFiles()


def witness(settings: Settings) -> ModelFiles:
    """The witness of this process."""
    return model_files


def builds_on(run: Any, model: Any, by: str) -> None:
    """The training of `run` goes on from `model`, an object that this process has trained in another run."""
    earlier = run_of(model)
    if earlier is not None and earlier.id != run.id:
        run.log_provenance("inputs", {f"run:{earlier.id}": {"by": by, "run": earlier.id}})


def _told(found: Loaded) -> dict[str, Any]:
    told: dict[str, Any] = {"file": masked(found.state.path), "bytes": found.state.size, "by": found.by}
    if found.run is not None:
        told["run"] = found.run
    return told


def _is_below(path: str, home: Path) -> bool:
    return path.startswith(os.path.realpath(home) + os.sep)


__all__ = ["ModelFiles", "apart", "builds_on", "model_files"]
