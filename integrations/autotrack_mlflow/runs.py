"""Runs: each exists once on the server, whatever was lost or sent twice.

`runs/create` is not safe to repeat, so a run carries its own id in the tag `autotrack.run_id`, and is searched by it
whenever the backend's state does not know it. Events that come before their `RunStarted` (another process of the same
run was delivered first) make a stand-in that the `RunStarted` completes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from autotrack.backend import BackendContext, BackendRejected
from autotrack.events import RunEnded, RunStarted
from autotrack.turns import one_at_a_time
from autotrack_mlflow.artifacts import Artifacts
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.experiments import Experiments
from autotrack_mlflow.places import Owner
from autotrack_mlflow.standins import StandIns

STATUSES: Final = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
    "pruned": "KILLED",
}
RUN_ID, PARENT_ID, STAND_IN = "autotrack.run_id", "autotrack.parent_id", "autotrack.stand_in"
PARAM_TAG = "autotrack.param."


@dataclass
class KnownRun:
    """What is known of a run on the server."""

    run: str
    id: str
    experiment: str
    artifact_uri: str
    begun: bool = False
    """Whether everything that its `RunStarted` says has arrived."""
    stand_in: bool = False
    changed: list[str] = field(default_factory=list)
    """Params whose newest value is a tag."""

    @property
    def owner(self) -> Owner:
        """Whose files its artifacts are."""
        return Owner(self.artifact_uri, "run_id", self.id)


class Runs:
    """Finds, creates, reopens and ends runs."""

    def __init__(
        self,
        client: Client,
        context: BackendContext,
        experiments: Experiments,
        artifacts: Artifacts,
        note: Callable[[str, str, str], None],
    ) -> None:
        self._client = client
        self._context = context
        self._experiments = experiments
        self._artifacts = artifacts
        self._note = note
        self._stand_ins = StandIns(context.home)
        self._fresh: set[str] = set()
        """Runs that this very process created, so that nobody can have ended them yet."""

    def start(self, event: RunStarted) -> KnownRun:
        """The run of `event`, created, completed or reopened as need be."""
        known = self._remembered(event.run)
        if known is None:
            experiment, _ = self._experiments.of(event.project)
            places = self._experiments.all() if event.resumed else [experiment, *self._experiments.known()]
            with one_at_a_time(self._context.home, "mlflow"):
                places = [*places, *self._stand_ins.of(self._server(), event.run)]
                known = self._search(event.run, places) or self._create(event, self._tags(event))
        if not known.begun:
            if known.stand_in:
                self._complete(known, event)
            self._adopt_children(known)
            self._artifacts.describe(known.run, known.owner, event)
            known.begun = True
            self.remember(known)
        if event.resumed:
            self._reopen(known, event.time)
        return known

    def known(self, run: str, time: int) -> KnownRun:
        """The run with this id of ours, wherever it is; a stand-in if it is nowhere yet."""
        found = self._remembered(run) or self._search(run, self._experiments.known())
        if found is None:
            with one_at_a_time(self._context.home, "mlflow"):
                found = self._search(run, self._experiments.all())
                if found is None:
                    unknown = RunStarted(run, time, run, self._context.settings.resolved_project)
                    found = self._create(unknown, {RUN_ID: run, STAND_IN: "1"})
                    self._stand_ins.add(self._server(), run, found.experiment)
        return found

    def end(self, known: KnownRun, event: RunEnded) -> None:
        """Set status and end time, unless the server knows of a later end already."""
        ended = _milliseconds(event.time)
        if known.run in self._fresh or self._ended_at(known) <= ended:
            self._client.post("runs/update", {"run_id": known.id, "status": STATUSES[event.status], "end_time": ended})
        self._context.state.pop("run:" + known.run, None)  # an ended run is found by its tag, should it come again
        self._fresh.discard(known.run)

    def get(self, known: KnownRun) -> dict[str, Any]:
        """Everything that the server holds of the run but the histories of its metrics."""
        run: dict[str, Any] = self._client.get("runs/get", run_id=known.id)["run"]
        return run

    def remember(self, known: KnownRun) -> None:
        """Keep what is known in the backend's state."""
        self._context.state["run:" + known.run] = asdict(known)

    def _server(self) -> str:
        return str(self._context.state.get("server", ""))

    def _remembered(self, run: str) -> KnownRun | None:
        kept = self._context.state.get("run:" + run)
        return KnownRun(**kept) if kept else None

    def _search(self, run: str, experiments: list[str]) -> KnownRun | None:
        found = self._with_tag(RUN_ID, run, experiments, "ALL")
        if not found:
            return None
        # Two are possible only when a request that timed out here was still carried out: the first one counts.
        first = min(found, key=lambda item: (int(item["info"].get("start_time", 0)), item["info"]["run_id"]))
        if first["info"].get("lifecycle_stage") == "deleted":
            raise BackendRejected(f"run {run} is deleted in MLflow")
        tags = tags_of(first)
        changed = [key.removeprefix(PARAM_TAG) for key in tags if key.startswith(PARAM_TAG)]
        known = _known(run, first["info"], stand_in=tags.get(STAND_IN) == "1", changed=changed)
        self.remember(known)
        return known

    def _with_tag(self, key: str, value: str, experiments: list[str], view: str) -> list[dict[str, Any]]:
        if not experiments:
            return []
        mark = '"' if "'" in value else "'"
        body = {
            "experiment_ids": list(dict.fromkeys(experiments)),
            "filter": f"tags.`{key}` = {mark}{value}{mark}",
            "run_view_type": view,
            "max_results": 1000,
        }
        runs: list[dict[str, Any]] = self._client.post("runs/search", body).get("runs", [])
        return runs

    def _create(self, event: RunStarted, tags: dict[str, str]) -> KnownRun:
        experiment, name = self._experiments.of(event.project)
        try:
            info = self._create_in(experiment, event, tags)
        except Refused:
            self._experiments.forget(event.project)
            again, name = self._experiments.of(event.project)
            if again == experiment:
                raise
            info = self._create_in(again, event, tags)
        if name != self._experiments.expected(event.project):
            self._note(event.run, f"experiment {event.project}", f"it is deleted in MLflow; the run is in {name}")
        known = _known(event.run, info, stand_in=STAND_IN in tags)
        self._fresh.add(event.run)
        self.remember(known)
        return known

    def _create_in(self, experiment: str, event: RunStarted, tags: dict[str, str]) -> dict[str, Any]:
        body = {
            "experiment_id": experiment,
            "run_name": event.name,
            "start_time": _milliseconds(event.time),
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        info: dict[str, Any] = self._client.post("runs/create", body)["run"]["info"]
        return info

    def _tags(self, event: RunStarted) -> dict[str, str]:
        environment, code = event.environment, event.code
        command = environment.get("command")
        source = code.get("script") or (" ".join(map(str, command)) if isinstance(command, list) else command)
        tags = {
            RUN_ID: event.run,
            "autotrack.project": event.project,
            "autotrack.integration": event.integration,
            "mlflow.runName": event.name,
            "mlflow.source.name": source,
            "mlflow.source.type": source and "LOCAL",
            "mlflow.source.git.commit": code.get("commit"),
            "mlflow.source.git.branch": code.get("branch"),
            "mlflow.user": environment.get("user"),
        }
        if event.parent:
            tags[PARENT_ID] = event.parent
            parent = (
                self._remembered(event.parent)
                or self._search(event.parent, self._experiments.known())
                or self._search(event.parent, self._experiments.all())  # of another project
            )
            if parent is not None:
                tags["mlflow.parentRunId"] = parent.id
        return {key: str(value)[:8000] for key, value in tags.items() if value}

    def _complete(self, known: KnownRun, event: RunStarted) -> None:
        tags = {**self._tags(event), STAND_IN: "0"}
        body = {"run_id": known.id, "tags": [{"key": key, "value": value} for key, value in tags.items()]}
        self._client.post("runs/update", {"run_id": known.id, "run_name": event.name})
        self._client.post("runs/log-batch", body)
        known.stand_in = False

    def _adopt_children(self, known: KnownRun) -> None:
        """Tell children that were delivered before their parent who it is."""
        for child in self._with_tag(PARENT_ID, known.run, [known.experiment], "ACTIVE_ONLY"):
            if "mlflow.parentRunId" not in tags_of(child):
                body = {"run_id": child["info"]["run_id"], "key": "mlflow.parentRunId", "value": known.id}
                self._client.post("runs/set-tag", body)

    def _reopen(self, known: KnownRun, time: int) -> None:
        info = self.get(known)["info"]
        # An end after this start means that the start is a replay, and the run was ended since.
        if info.get("status") != "RUNNING" and int(info.get("end_time", 0)) <= _milliseconds(time):
            self._client.post("runs/update", {"run_id": known.id, "status": "RUNNING"})

    def _ended_at(self, known: KnownRun) -> int:
        info = self.get(known)["info"]
        return 0 if info.get("status") == "RUNNING" else int(info.get("end_time", 0))


def tags_of(run: dict[str, Any]) -> dict[str, str]:
    """The tags of a run as the server answers them."""
    return {item["key"]: item.get("value", "") for item in run.get("data", {}).get("tags", ())}


def params_of(run: dict[str, Any]) -> dict[str, str]:
    """The params of a run as the server answers them."""
    return {item["key"]: item.get("value", "") for item in run.get("data", {}).get("params", ())}


def _known(run: str, info: dict[str, Any], **more: Any) -> KnownRun:
    return KnownRun(run, info["run_id"], str(info["experiment_id"]), info.get("artifact_uri", ""), **more)


def _milliseconds(time: int) -> int:
    return max(0, time // 1_000_000)
