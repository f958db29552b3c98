"""The backend: sorts a batch by run, and sends each run's share: points, files, then what describes the run.

Records of one journal enter, in order. A request that fails leaves what was sent before it in place; the batch comes
again, and everything that is sent again changes nothing: names follow from what they stand for, files from their
content, and points that the service has confirmed are not sent a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from autotrack.backend import BackendContext, BackendUnavailable, Limits
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RegistryLogged,
    RunEnded,
    RunStarted,
    TagsSet,
    WriterEnded,
    WriterStarted,
)
from autotrack_sagemaker.changes import Changes, apply
from autotrack_sagemaker.described import artifact_entry, dataset_entry, entry_key
from autotrack_sagemaker.files import Files
from autotrack_sagemaker.names import KEY_CHARACTERS, KEY_LENGTH
from autotrack_sagemaker.registered import ONLY_HERE, Registered
from autotrack_sagemaker.registry import Registry
from autotrack_sagemaker.runs import KnownRun, Runs, moment
from autotrack_sagemaker.series import Series
from autotrack_sagemaker.service import Refused, Service

GONE = "its file is not on this machine any more"


class Share:
    """What one batch holds for one run."""

    def __init__(self, known: KnownRun, series: Series) -> None:
        self.known = known
        self.series = series
        self.changes = Changes()
        self.artifacts: list[tuple[ArtifactLogged, bool]] = []
        self.models: list[tuple[ModelLogged, bool]] = []


class SagemakerBackend:
    """Delivers runs to SageMaker's experiments and its model registry."""

    limits = Limits(key_length=KEY_LENGTH, key_characters=KEY_CHARACTERS, integer_steps=True, registry=True)

    def open(self, context: BackendContext) -> None:
        """Find the service. Raises `UsageError` without a region, `BackendUnavailable` if it is away."""
        self._context = context
        self._service = Service()
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._held: dict[str, int] = {}
        self._confirmed: set[tuple[str, int, str]] = set()
        self._runs = Runs(self._service, context)
        self._files = Files(self._service, context, self._runs)
        self._registry = Registry(self._service, context)
        self._registered = Registered(self._service, context, self._runs, self._files, self._registry, self._note)
        try:
            self._service.call("list_experiments", MaxResults=1)
        except Refused as refusal:
            raise BackendUnavailable(f"{refusal}; check AWS_ENDPOINT_URL") from None

    def resume(self, writer: str) -> int | None:
        """SageMaker keeps no cursor of ours."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Send a batch; what SageMaker cannot carry is noted once the whole batch is held."""
        self._notes.clear()
        self._service.renew()
        self._check_state()
        shares: dict[str, Share] = {}
        for record in batch:
            self._take(record, shares)
        for share in shares.values():
            self._send(share)
        for step in steps_in(batch):
            self._registered.follow(step)
        for share in shares.values():
            self._context.state["run:" + share.known.run]["highest"] = share.series.highest
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        last = batch[-1]
        self._held[last.writer] = max(last.sequence, self._held.get(last.writer, -1))
        self._confirmed = {point for point in self._confirmed if point[0] != last.writer or point[1] > last.sequence}
        return last.sequence

    def close(self) -> None:
        """The clients stay for the process's other journals."""

    def _check_state(self) -> None:
        # Here and not in `open`: the forwarder reads the state anew once it has claimed the journal.
        state, place = self._context.state, f"{self._service.region} {self._service.shown}"
        if state.get("place") != place:
            state.clear()  # what was learned of another region is of no use here
            state["place"] = place

    def _share(self, known: KnownRun) -> Share:
        highest = self._context.state["run:" + known.run]["highest"]
        note = partial(self._note, known.run)
        return Share(known, Series(highest, note, milliseconds=self._service.milliseconds))

    def _take(self, record: Record, shares: dict[str, Share]) -> None:
        event = record.event
        if isinstance(event, WriterStarted | WriterEnded | RegistryLogged):
            return
        run, replayed = event.run, record.sequence <= self._held.get(record.writer, -1)
        if isinstance(event, RunStarted):
            known = self._runs.start(event)
            share = shares.setdefault(run, self._share(known))
            share.known = known
            self._runs.tags(event, share.changes, replayed=replayed)
            return
        if run not in shares:
            shares[run] = self._share(self._runs.known(run, event.time))
        share = shares[run]
        changes = share.changes
        if isinstance(event, MetricsLogged):
            share.series.add(record.writer, record.sequence, event)
        elif isinstance(event, ParamsLogged):
            for key, value in event.params.items():
                why = changes.param(key, value, replayed=replayed)
                if why:
                    self._note(run, f"param {key}", why)
        elif isinstance(event, TagsSet):
            for key, value in event.tags.items():
                changes.tag(key, value, replayed=replayed)
        elif isinstance(event, DatasetLogged):
            changes.inputs[self._key(run, f"{event.role}/{event.name}")] = dataset_entry(event), replayed
        elif isinstance(event, ArtifactLogged):
            share.artifacts.append((event, replayed))
        elif isinstance(event, ModelLogged):
            share.models.append((event, replayed))
        elif isinstance(event, ProvenanceLogged) and event.kind == "code":
            for key in ("commit", "branch", "remote"):
                if event.record.get(key):
                    changes.tag(f"autotrack.{key}", str(event.record[key]), replayed=replayed)
        elif isinstance(event, RunEnded):
            changes.end(event, moment(event.time))
            self._send(shares.pop(run))
            self._runs.end(share.known)

    def _send(self, share: Share) -> None:
        known, run = share.known, share.known.run
        share.series.send(self._service, known.component, self._confirmed)
        for artifact, replayed in share.artifacts:
            what = f"artifact {artifact.name}"
            uri = self._files.keep(known, artifact.digest, artifact.name, partial(self._note, run, what, GONE))
            if uri is not None:
                entry = artifact_entry(uri, artifact.media_type)
                share.changes.outputs[self._key(run, artifact.name)] = entry, replayed
        for model, replayed in share.models:
            if model.digest is None:  # the record says why nothing was kept
                continue
            what, name = f"model {model.name}", f"{model.name}.{model.format}"
            uri = self._files.keep(known, model.digest, name, partial(self._note, run, what, GONE))
            if uri is not None:
                share.changes.outputs[self._key(run, f"model/{model.name}")] = artifact_entry(uri), replayed
                if model.register and not self._registry.register(known, model, uri, partial(self._note, run)):
                    self._follow_log(model)
        apply(share.changes, self._service, self._context.home, known.component, partial(self._note, run))

    def _follow_log(self, model: ModelLogged) -> None:
        name = model.register or ""
        record = self._context.registered(name)
        if record is not None and any(one["digest"] == model.digest for one in record["versions"]):
            self._registered.equal(model.run, model.time, name, record)
        elif "local" in self._context.settings.backends:
            raise BackendUnavailable(f"a registration of {name} waits for the store to take it in")
        else:
            why = "the model is a version already, and no store says what it is called"
            self._note(model.run, f"registered name {name!r}", why)

    def _key(self, run: str, name: str) -> str:
        key = entry_key(name)
        if key != name:
            self._note(run, f"name {name!r}", f"is called {key!r} there")
        return key

    def _note(self, run: str, what: str, why: str) -> None:
        self._notes[run, what, why] += 1


def steps_in(batch: Sequence[Record]) -> list[RegistryLogged]:
    """The steps of registered models: the last one of each model, and all of those that SageMaker has nothing for."""
    last: dict[tuple[str, str], RegistryLogged] = {}
    for record in batch:
        event = record.event
        if isinstance(event, RegistryLogged):
            last[event.model, event.id if event.action in ONLY_HERE else ""] = event
    return list(last.values())
