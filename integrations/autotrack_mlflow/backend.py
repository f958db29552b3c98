"""The backend: sorts a batch by run, and sends each run's share in few requests.

Records of one journal enter, in order. Per run they are gathered until the run ends or the batch does, then sent by
subject. A request that fails leaves what was sent before it in place; the batch comes again, and everything that is
sent again changes nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import partial

from autotrack.backend import BackendContext, BackendUnavailable, Limits
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
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
from autotrack_mlflow import databricks
from autotrack_mlflow.address import TRACKING_URI, address_from, is_databricks
from autotrack_mlflow.artifacts import Artifacts
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.console import Console
from autotrack_mlflow.datasets import Datasets
from autotrack_mlflow.experiments import Experiments
from autotrack_mlflow.keys import KEY_CHARACTERS, KEY_LENGTH
from autotrack_mlflow.labels import PARAM_LENGTH, TAG_LENGTH, Label, Labels
from autotrack_mlflow.models import Models
from autotrack_mlflow.places import Places
from autotrack_mlflow.provenance import Provenance, Told
from autotrack_mlflow.registered import Registered
from autotrack_mlflow.registry import Registry
from autotrack_mlflow.runs import KnownRun, Runs
from autotrack_mlflow.series import Series


class Share:
    """What one batch holds for one run."""

    def __init__(self, known: KnownRun, series: Series) -> None:
        self.known = known
        self.series = series
        self.params: list[tuple[str, Label]] = []
        self.tags: dict[str, Label] = {}
        self.datasets: list[DatasetLogged] = []
        self.artifacts: list[ArtifactLogged] = []
        self.models: list[tuple[str, ModelLogged]] = []
        self.notes: list[tuple[str, int, NoteLogged]] = []
        self.provenance: list[Told] = []
        self.console: list[tuple[str, int, ConsoleLogged]] = []


class MlflowBackend:
    """Delivers runs to an MLflow tracking server."""

    limits = Limits(
        key_length=KEY_LENGTH,
        key_characters=KEY_CHARACTERS,
        param_length=PARAM_LENGTH,
        tag_length=TAG_LENGTH,
        changed_params=False,
        integer_steps=True,
        infinities=False,
        registry=True,
    )
    product = "MLflow"
    """What answers, for `check`."""

    def connect(self) -> Client:
        """The client to use; a product that speaks the same API with other credentials replaces this."""
        return Client(address_from(os.environ))

    def places(self, client: Client) -> Places:
        """Where files go; a product that keeps them otherwise replaces this."""
        return databricks.WorkspacePlaces(client) if self._on_databricks() else Places(client)

    def server(self) -> str:
        """What tells this server from others: ids that were learned of one mean nothing to another."""
        return self._client.address.shown

    def open(self, context: BackendContext) -> None:
        """Find the server. Raises `UsageError` if the variables name none, `BackendUnavailable` if it is away."""
        self._client = self.connect()
        self._context = context
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._held: dict[str, int] = {}
        folder = partial(databricks.folder, self._client) if self._on_databricks() else None
        experiments = Experiments(self._client, context, os.environ.get("MLFLOW_EXPERIMENT_NAME") or None, folder)
        self._artifacts = Artifacts(self.places(self._client), context, self._note)
        self._runs = Runs(self._client, context, experiments, self._artifacts, self._note)
        self._labels = Labels(self._client, self._runs, self._note)
        self._datasets = Datasets(self._client, self._runs, self._note)
        self._models = Models(self._client, context, self._runs, self._artifacts, self._note)
        self._registry = Registry(self._client, self._note)
        self._registered = Registered(self._client, context, self._runs, self._models, self._registry, self._note)
        self._provenance = Provenance(self._client, context, self._artifacts, self._note)
        self._console = Console(self._client, context, self._runs, self._artifacts, self._labels)
        try:
            self._client.post("experiments/search", {"max_results": 1})
        except Refused as refusal:
            raise BackendUnavailable(
                f"{self._client.address.shown} is no MLflow server ({refusal}); check {self._client.address.variable}"
            ) from None

    def check(self) -> str:
        """Say which server answers, and where; `open` has asked it."""
        product = "Databricks" if self._on_databricks() else self.product
        return " ".join(filter(None, (product, self._client.version(), "at", self.server())))

    def resume(self, writer: str) -> int | None:
        """MLflow keeps no cursor of ours."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Send a batch; what MLflow cannot carry is noted once the whole batch is held."""
        self._notes.clear()
        self._check_state()
        shares: dict[str, Share] = {}
        for record in batch:
            self._take(record, shares)
        for share in shares.values():
            self._send(share)
        # One look a model, however many steps of it came; after the runs, whose files its versions are made of.
        for step in {step.model: step for step in map(_step, batch) if step is not None}.values():
            self._registered.follow(step)
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        last = batch[-1]
        self._held[last.writer] = max(last.sequence, self._held.get(last.writer, -1))
        return last.sequence

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _on_databricks(self) -> bool:
        return is_databricks(os.environ.get(TRACKING_URI, "").strip())

    def _check_state(self) -> None:
        # Here and not in `open`: the forwarder reads the state anew once it has claimed the journal.
        state = self._context.state
        if state.get("server") != self.server():
            state.clear()  # what was learned of another server is of no use here
            state["server"] = self.server()

    def _take(self, record: Record, shares: dict[str, Share]) -> None:
        event = record.event
        if isinstance(event, WriterStarted | WriterEnded | RegistryLogged):
            return
        run = event.run
        if isinstance(event, RunStarted):
            # At once, so that a child that ends within the batch finds its parent.
            known = self._runs.start(event)
            if run not in shares:
                shares[run] = Share(known, Series(run, self._note))
            shares[run].known = known
            return
        if run not in shares:
            shares[run] = Share(self._runs.known(run, event.time), Series(run, self._note))
        share = shares[run]
        if isinstance(event, MetricsLogged):
            share.series.add(event)
            return
        replayed = record.sequence <= self._held.get(record.writer, -1)
        if isinstance(event, ParamsLogged):
            share.params += [self._labels.param(run, key, value, replayed) for key, value in event.params.items()]
        elif isinstance(event, TagsSet):
            share.tags.update(self._labels.tag(run, key, value, replayed) for key, value in event.tags.items())
        elif isinstance(event, DatasetLogged):
            share.datasets.append(event)
        elif isinstance(event, ArtifactLogged):
            share.artifacts.append(event)
        elif isinstance(event, ModelLogged):
            share.models.append((f"{record.writer}:{record.sequence}", event))
        elif isinstance(event, NoteLogged):
            share.notes.append((record.writer, record.sequence, event))
        elif isinstance(event, ProvenanceLogged):
            share.provenance.append(Told(event, replayed))
            share.tags.update(self._provenance.tags(share.provenance[-1]))
        elif isinstance(event, ConsoleLogged):
            share.console.append((record.writer, record.sequence, event))
        elif isinstance(event, RunEnded):
            share.tags.update(_outcome(event, replayed))
            self._send(shares.pop(run), ended=True)
            self._runs.end(share.known, event)

    def _send(self, share: Share, *, ended: bool = False) -> None:
        known = share.known
        share.tags.update(self._labels.send_params(known, share.params))
        self._labels.send_tags(known, share.tags)
        share.series.send(self._client, known.id)
        self._datasets.send(known, share.datasets)
        for artifact in share.artifacts:
            self._artifacts.send(known.owner, artifact)
        for event_id, model in share.models:
            self._registry.register(known, event_id, model, self._models.send(known, model))
        self._provenance.send(known, share.provenance)
        self._console.send(known, share.console, ended=ended)
        self._labels.send_notes(known, share.notes)

    def _note(self, run: str, what: str, why: str) -> None:
        self._notes[run, what, why] += 1


def _step(record: Record) -> RegistryLogged | None:
    return record.event if isinstance(record.event, RegistryLogged) else None


def _outcome(event: RunEnded, replayed: bool) -> dict[str, Label]:
    tags: dict[str, str] = {"autotrack.status": event.status}
    if event.error:
        kind, message = event.error.get("type", ""), event.error.get("message", "")
        tags["autotrack.error"] = f"{kind}: {message}"[:TAG_LENGTH]
        tags["autotrack.traceback"] = event.error.get("traceback", "")[-TAG_LENGTH:]
    return {key: Label(value, replayed) for key, value in tags.items() if value}
