"""Experiments, trials and trial components: each exists once, under a name that follows from what it stands for.

A run is the trial component `autotrack-<run id>`, so that every journal of the run finds it. A run without a parent is
in a trial of its own, one with a parent in the parent's trial. Events that come before their `RunStarted` (another
process of the run was delivered first) make a component that the `RunStarted` completes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from autotrack.backend import BackendContext
from autotrack.events import RunStarted
from autotrack.turns import one_at_a_time
from autotrack_sagemaker.changes import Changes, is_over
from autotrack_sagemaker.names import ENTITY_LENGTH, entity_of, one_line, safe_name, shown_name
from autotrack_sagemaker.service import Refused, Service


@dataclass(frozen=True)
class KnownRun:
    """A run whose trial component exists."""

    run: str
    component: str


class Runs:
    """Finds and creates what runs need; what it found is kept in the backend's state."""

    def __init__(self, service: Service, context: BackendContext) -> None:
        self._service = service
        self._context = context

    def start(self, event: RunStarted) -> KnownRun:
        """The run of `event`, created, completed or reopened as need be."""
        known = KnownRun(event.run, entity_of(event.run))
        remembered = self._context.state.get("run:" + event.run)
        if remembered is not None and remembered["begun"] and not event.resumed:
            return known
        experiment = self._experiment(event.project)
        with one_at_a_time(self._context.home, "sagemaker"):
            held = self._describe(known.component)
            if held is None:
                self._create(known, event)
            else:
                self._complete(known, event, held)
            self._place(known, event, experiment)
        self._remember(known, begun=True)
        return known

    def known(self, run: str, time: int) -> KnownRun:
        """The run with this id of ours; its component is created if it is not there yet."""
        known = KnownRun(run, entity_of(run))
        if "run:" + run in self._context.state:
            return known
        with one_at_a_time(self._context.home, "sagemaker"):
            if self._describe(known.component) is None:
                self._create(known, RunStarted(run, time, known.component, ""))
        self._remember(known, begun=False)
        return known

    def end(self, known: KnownRun) -> None:
        """Forget what was remembered of a run that has ended: should it come again, it is looked up."""
        self._context.state.pop("run:" + known.run, None)

    def account(self) -> str:
        """The number of the account, as the names of its resources have it."""
        return str(self._context.state.get("account", ""))

    def tags(self, event: RunStarted, changes: Changes, *, replayed: bool) -> None:
        """Set the tags that a start means. A later start of the same run completes them, and changes none."""
        tags = {
            "autotrack.run_id": event.run,
            "autotrack.parent_id": event.parent,
            "autotrack.project": event.project,
            "autotrack.name": event.name,
            "autotrack.integration": event.integration,
            "autotrack.commit": event.code.get("commit"),
            "autotrack.branch": event.code.get("branch"),
        }
        for key, value in tags.items():
            if value:
                changes.tag(key, str(value), replayed=replayed or event.resumed)

    def _remember(self, known: KnownRun, *, begun: bool) -> None:
        remembered = self._context.state.setdefault("run:" + known.run, {"begun": False, "highest": {}})
        remembered["begun"] = remembered["begun"] or begun

    def _describe(self, component: str) -> dict[str, Any] | None:
        try:
            held = self._service.call("describe_trial_component", TrialComponentName=component)
        except Refused as refusal:
            if refusal.is_missing:
                return None
            raise
        self._learn_account(held.get("TrialComponentArn", ""))
        return held

    def _create(self, known: KnownRun, event: RunStarted) -> None:
        code = event.code
        metadata = {"GeneratedBy": "autotrack", "CommitId": code.get("commit"), "Repository": code.get("remote")}
        made = self._service.call(
            "create_trial_component",
            TrialComponentName=known.component,
            DisplayName=shown_name(event.name),
            Status={"PrimaryStatus": "InProgress"},
            StartTime=moment(event.time),
            MetadataProperties={key: one_line(str(value))[:1024] for key, value in metadata.items() if value},
        )
        self._learn_account(made.get("TrialComponentArn", ""))

    def _complete(self, known: KnownRun, event: RunStarted, held: dict[str, Any]) -> None:
        changes: dict[str, Any] = {}
        started, name = moment(event.time), shown_name(event.name)
        if "StartTime" not in held or started < held["StartTime"]:
            changes["StartTime"] = started
        if held.get("DisplayName") != name and (not event.resumed or held.get("DisplayName") == known.component):
            changes["DisplayName"] = name
        # An end after this start means that the start is a replay, and the run was ended since.
        if event.resumed and is_over(held) and ("EndTime" not in held or held["EndTime"] <= started):
            changes["Status"] = {"PrimaryStatus": "InProgress"}
        if changes:
            self._service.call("update_trial_component", TrialComponentName=known.component, **changes)

    def _place(self, known: KnownRun, event: RunStarted, experiment: str) -> None:
        trials = self._service.pages("list_trials", "TrialSummaries", TrialComponentName=known.component)
        names = {trial["TrialName"] for trial in trials}
        trial = entity_of(event.parent or event.run)
        if trial in names:
            return
        if names and event.resumed:  # it was placed by its first start, which may have known its parent
            return
        try:
            self._service.call("describe_trial", TrialName=trial)
        except Refused as refusal:
            if not refusal.is_missing:
                raise
            self._unless_there("create_trial", TrialName=trial, ExperimentName=experiment)
        self._service.call("associate_trial_component", TrialComponentName=known.component, TrialName=trial)

    def _experiment(self, project: str) -> str:
        name = safe_name(project, ENTITY_LENGTH)
        known: list[str] = self._context.state.setdefault("experiments", [])
        if name in known:
            return name
        try:
            held = self._service.call("describe_experiment", ExperimentName=name)
        except Refused as refusal:
            if not refusal.is_missing:
                raise
            described = {} if name == project else {"Description": one_line(project)[:3072]}
            held = self._unless_there("create_experiment", ExperimentName=name, **described)
        self._learn_account(held.get("ExperimentArn", ""))
        known.append(name)
        return name

    def _unless_there(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return self._service.call(operation, **parameters)
        except Refused as refusal:
            if not refusal.is_there_already:  # another machine was first
                raise
            return {}

    def _learn_account(self, arn: str) -> None:
        # arn:partition:service:region:account:resource
        if arn and not self._context.state.get("account"):
            self._context.state["account"] = arn.split(":")[4]


def moment(time: int) -> datetime:
    """Nanoseconds since the epoch as AWS takes them, in whole milliseconds."""
    seconds, rest = divmod(max(0, time) // 1_000_000, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


__all__ = ["KnownRun", "Runs", "moment"]
