"""Run: one training execution, and the only writer of events.

User code and integrations call a `Run`; what leaves is encoded events in this process's journal. Nothing here raises
into training because of a value that cannot be recorded: the value is converted or dropped, with one warning.
How points get there, the hot path, is `autotrack.points`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from autotrack import guard
from autotrack.errors import UsageError
from autotrack.events import (
    ConsoleLogged,
    DatasetLogged,
    ParamsLogged,
    ProvenanceLogged,
    RunEnded,
    RunStarted,
    Sink,
    Status,
    Step,
    TagsSet,
)
from autotrack.outcome import error_record, status_of
from autotrack.points import Points

_time_ns = time.time_ns


class Run(Points):
    """One training execution.

    Steps are exact: integers, or decimals such as `0.25`. Without a step a series goes on at the step after its last.
    """

    def __init__(
        self,
        sink: Callable[[], Sink],
        *,
        name: str,
        project: str,
        run_id: str | None = None,
        parent: str | None = None,
        integration: str | None = None,
        owner: bool = True,
        resumed: bool = False,
        not_to: Sequence[str] = (),
        environment: Mapping[str, Any] | None = None,
        code: Mapping[str, Any] | None = None,
    ) -> None:
        """`sink` is asked for the journal at each event, so that a forked child writes to its own."""
        from autotrack.provenance.masking import masked

        super().__init__(run_id or os.urandom(8).hex(), sink)
        self.name = name = masked(name)
        self.project = project
        self.parent_id = parent
        self.integration = integration
        self.status: Status = "running"
        self.when_ended: list[Callable[[], object]] = []
        """Called once when the run ends: the session forgets the run so, and closes its scope."""
        self.when_described: list[Callable[[str, str, Mapping[str, Any]], object]] = []
        """Called with the role, name and record of each dataset. What a `SystemExit` of theirs ends is the training."""
        self.owner = owner
        """Whether this process started the run, and may end it."""
        self.registers = True
        """Whether models that it keeps may become versions of registered ones: not where it repeats another run."""
        self._names: dict[str, int] = {}
        if owner:
            made_of = dict(environment or {}), dict(code or {})
            begun = RunStarted(self.id, _time_ns(), name, project, parent, integration, *made_of, resumed, list(not_to))
            sink().append_event(begun, essential=True)

    @property
    def home(self) -> Path | None:
        """The folder that blobs of this run go to; None where nothing is kept."""
        return self._sink().home

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record hyperparameters. Nested mappings become dotted keys; a key logged again replaces the value."""
        with guard.guarded("log_params"):
            from autotrack.provenance.params import flatten

            self._append(ParamsLogged(self.id, _time_ns(), flatten(params)))

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Label the run with free text. What looks like a secret is masked, as in params."""
        with guard.guarded("set_tags"):
            from autotrack.provenance.params import texts

            self._append(TagsSet(self.id, _time_ns(), texts(tags)))

    def log_dataset(self, data: Any, role: str = "train", name: str = "data") -> None:
        """Record which data was used: `role` is `train`, `validation`, `test` or `predict`.

        `data` is looked at as it is now, and neither changed, kept nor consumed. A mapping gives named parts.
        """
        with guard.guarded("log_dataset"):
            from autotrack.provenance.dataset import recorded
            from autotrack.provenance.masking import masked

            name = masked(name)  # a path or an address, perhaps
            record = recorded(data, self, role, name)
            self._append(DatasetLogged(self.id, _time_ns(), role, name, record))
            for seen in self.when_described:
                seen(role, name, record)

    def log_model(
        self,
        model: Any,
        name: str = "model",
        *,
        step: Step | None = None,
        register: str | None = None,
        aliases: Iterable[str] = (),
    ) -> None:
        """Keep the model's weights in a safe format. One that cannot be saved so is told once, with the reason.

        It becomes the next version of the registered model `register`, here and in backends that have a registry, and
        `aliases` point to it. A run that `autotrack reproduce` makes registers nothing.
        """
        with guard.guarded("log_model"):
            from autotrack.provenance.keeping import model_event, registered

            home = self.home
            if home is None:  # nothing is kept, which has been said where it was not asked for
                self.append(b"")
                return
            event = model_event(self.id, model, self._unique(name), step, home)
            if event.problem:
                guard.warn_once(f"model:{event.problem}", f"the model {name!r} is not kept: {event.problem}")
            self._append(registered(event, register, aliases) if self.registers else event)

    def load_model(self, name: str | None = None) -> Any:
        """A model that this run has kept, as `autotrack.load_model` gives it, and raising what that raises."""
        from autotrack.provenance import weights

        return weights.kept(self.id, name)

    def log_artifact(self, source: str | os.PathLike[str] | bytes, name: str | None = None) -> None:
        """Keep a file, or bytes under `name`, as it is now."""
        with guard.guarded("log_artifact"):
            from autotrack.provenance.keeping import artifact_event

            if isinstance(source, bytes) and not name:
                raise UsageError("bytes need a name: run.log_artifact(data, 'report.html')")
            home = self.home
            if home is None:
                self.append(b"")
                return
            self._append(artifact_event(self.id, source, name, home))

    def log_figure(self, figure: Any, name: str) -> None:
        """Keep a matplotlib figure (anything with `savefig`) or a plotly one (`write_html`) under `name`."""
        with guard.guarded("log_figure"):
            from autotrack.provenance.keeping import drawn

            self.log_artifact(drawn(figure, name), name)

    def log_evaluation(
        self,
        targets: Any,
        predictions: Any,
        *,
        data: Any = None,
        name: str = "test",
        metric: str | None = None,
        higher_is_better: bool | None = None,
        model: str | None = None,
    ) -> None:
        """Keep what the model answered for each row of `data`, so that it can be compared with another row by row.

        One target and one prediction (a label, a number, or the probabilities of all classes) for each row; without
        targets, `predictions` are scores. `metric` is `accuracy`, `log_loss`, `mse` or `mae`, by default as the
        answers are; its value becomes the metric `name/metric`. `data` becomes a dataset of the run in the role `test`;
        a fingerprint of it does as well. `model` names one of several models of this run.
        """
        with guard.guarded("log_evaluation"):
            from autotrack.provenance.evaluating import keep

            judged = {"metric": metric, "higher_is_better": higher_is_better}
            keep(self, targets, predictions, data=data, name=name, model=model, **judged)

    def log_provenance(self, kind: str, record: Mapping[str, Any]) -> None:
        """Record what the run was made of: `kind` is `code`, `environment`, `notebook` or `randomness`.

        A value `{digest, bytes}` in `record` names a blob. Keys that were recorded before are replaced.
        """
        with guard.guarded("log_provenance"):
            self._append(ProvenanceLogged(self.id, _time_ns(), kind, dict(record)))

    def log_console(self, stream: str, text: str) -> None:
        """Record what was written to `stream`, which is `stdout` or `stderr`."""
        with guard.guarded("log_console"):
            self._append(ConsoleLogged(self.id, _time_ns(), stream, text))

    def end(self, status: Status = "finished", error: BaseException | None = None) -> None:
        """End the run. In a process that does not own it, this process's part in it; a second end is ignored."""
        with guard.guarded("end"):
            if self.status != "running":
                return
            if status == "running":
                raise UsageError("a run ends as finished, failed, killed or pruned")
            self.status = status
            while self.when_ended:
                self.when_ended.pop()()
            if self.owner:
                self._append(RunEnded(self.id, _time_ns(), status, _error(error)), essential=True)

    def reopen(self) -> None:
        """Go on with a run that has ended: it is `running` until it ends again."""
        with guard.guarded("reopen"):
            if self.status == "running":
                return
            self.status = "running"
            if self.owner:
                begun = RunStarted(self.id, _time_ns(), self.name, self.project, self.parent_id, resumed=True)
                self._append(begun, essential=True)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(status_of(error), error)

    def _unique(self, name: str) -> str:
        """`name`, or `name-2` and so on where this run has used it: a second model does not hide the first."""
        used = self._names[name] = self._names.get(name, 0) + 1
        return name if used == 1 else f"{name}-{used}"


def _error(error: BaseException | None) -> dict[str, str] | None:
    """The error's record. Addresses with logins and commands with tokens are often told in messages."""
    found = error_record(error)
    if found is None:
        return None
    from autotrack.provenance.masking import masked

    return {part: masked(text) for part, text in found.items()}


__all__ = ["Run"]
