"""Importing a bundle: the run and its files into this home, and the model as a version of the registry here.

The path of a bundle enters. Before anything is written, every file is checked. The run gets an id of its own here,
always the same, and its record says which run and version it was; so a second import of the same bundle changes
nothing. Aliases, approvals and the verdicts of gates stay with the registry that they were given in: they are kept to
read, and move nothing here. A signature goes with the file that it is of, and is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from autotrack.errors import UsageError
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    ProvenanceLogged,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.importing import ForeignRun, Keeping, run_id
from autotrack.moving.bringing import Report, bring_all
from autotrack.registry import reading, signing
from autotrack.registry.bundle import ARTIFACT, FILES, RECORD, REGISTRY, SERIES, SIGNATURE, VERSION
from autotrack.registry.layout import Damaged
from autotrack.registry.layout_reading import Bundle, opened
from autotrack.registry.log import check_name
from autotrack.registry.writing import opened as opened_store
from autotrack.registry.writing import step
from autotrack.session import session
from autotrack.store.query import Store

Record = dict[str, Any]

IMPORTED: Final = "imported"
"""The kind of what the run's record says of where it came from."""

_OWN: Final = frozenset({
    "id", "name", "project", "status", "started_at", "ended_at", "parent_id", "integration", "params", "metrics",
    "tags", "datasets", "models", "artifacts", "error", "notes", "params_history",
})  # fmt: skip
"""Fields of a run's record that are no kind of what it was made of."""

_HEX = re.compile("[0-9a-f]{64}")


class Bundles:
    """The importer `bundle`: the run inside one bundle."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """The run of the bundle at `place`. Raises `UsageError`, `Damaged`."""
        if options:
            raise UsageError(f"a bundle has no option {next(iter(options))!r}")
        if not Path(place).exists():
            raise UsageError(f"there is no bundle at {place}")
        with opened(Path(place), artifact_type=ARTIFACT) as bundle:
            run = told_run(bundle)
            yield ForeignRun(origin(run), str(run["name"]), lambda keeping: _events(bundle, run, keeping))


def origin(run: Record) -> str:
    """What identifies a run that came in a bundle."""
    return f"bundle:{run['id']}"


def bring(path: Path, name: str | None = None, why: str = "") -> Record:
    """Import the bundle at `path`, as a version of `name`, by default of the model that it was; says what is new.

    Raises `UsageError`, `Damaged` before anything is written, and what `autotrack.moving.bringing.bring_all` and
    `autotrack.registry.writing.step` raise.
    """
    if not path.exists():
        raise UsageError(f"there is no bundle at {path}")
    settings = session.settings
    with opened(path, artifact_type=ARTIFACT) as bundle:
        run, told = told_run(bundle), _told_registry(bundle)
        model = check_name(name or str(told["model"]))
        report = bring_all("bundle", str(path), {}, settings.resolved_home, settings)
        if not report.complete:
            raise Damaged(f"{path} was not taken over whole: {_problems(report)}")
        with opened_store() as store:
            return _register(store, bundle, model, run, told, report, why)


def _register(store: Store, bundle: Bundle, model: str, run: Record, told: Record, report: Report, why: str) -> Record:
    version = told["registered"]
    digest = str(version["digest"])
    here = run_id(origin(run))
    known = reading.folded_if_known(store, model)
    new = known is None or digest not in known.versions
    if new:
        came = {"bundle": bundle.digest, "model": told["model"], "version": version["version"], "run": run["id"]}
        record = {key: version[key] for key in ("format", "bytes") if version.get(key) is not None}
        step(
            model,
            "register",
            digest,
            why or f"imported from a bundle of {told['model']}/{version['version']}",
            {"model": version.get("name"), **record, IMPORTED: came},
            here,
            store=store,
        )
    if SIGNATURE in bundle.layers:
        held = reading.model(store, model)
        mine = next(one for one in held["versions"] if one["digest"] == digest)
        if signing.signature_of(mine) is None:
            record = dict((version.get("signed") or {}).get("record") or {})
            layer = bundle.layers[SIGNATURE]
            record["signature"] = {"digest": layer.digest, "bytes": layer.size}
            step(model, "sign", digest, "imported with the bundle", record, here, store=store)
    found = next(one for one in reading.model(store, model)["versions"] if one["digest"] == digest)
    return {
        "model": model,
        "version": found["version"],
        "digest": digest,
        "run": here,
        "registered": new,
        "imported": report.runs[0].outcome,
        "from": {"model": told["model"], "version": version["version"], "run": run["id"], "bundle": bundle.digest},
        "not_carried": report.record()["not_carried"],
    }


def told_run(bundle: Bundle) -> Record:
    """The record of the run. Raises `Damaged`."""
    told = bundle.json(RECORD)
    run = told.get("run") if isinstance(told, dict) else None
    if not isinstance(run, dict) or told.get("version") != VERSION or not set(run) >= _OWN:
        raise Damaged(f"{RECORD} is of another version, or no whole record of a run")
    record: Record = run
    return record


def _told_registry(bundle: Bundle) -> Record:
    told = bundle.json(REGISTRY)
    version = told.get("registered") if isinstance(told, dict) else None
    if not isinstance(version, dict) or "version" not in version or not isinstance(told.get("model"), str):
        raise Damaged(f"{REGISTRY} tells of no version")
    weights = {layer.digest for layer in bundle.layers.values() if layer.name.startswith("model.")}
    if version.get("digest") not in weights:
        raise Damaged("the model in the bundle is not the version that its record tells of")
    registry: Record = told
    return registry


def _events(bundle: Bundle, run: Record, keeping: Keeping) -> Iterator[AnyEvent]:
    here, start = run_id(origin(run)), _nanoseconds(run["started_at"])
    end = _nanoseconds(run["ended_at"]) if run.get("ended_at") else start
    kept = _keep(bundle, keeping)
    yield RunStarted(here, start, str(run["name"]), str(run["project"]), integration=run.get("integration"))
    came = {"run": run["id"], "parent": run.get("parent_id"), "model": _told_registry(bundle)["model"]}
    yield ProvenanceLogged(here, start, IMPORTED, came)
    if run["params"]:
        yield ParamsLogged(here, start, run["params"])
    if run["tags"]:
        yield TagsSet(here, start, run["tags"])
    for kind, record in sorted(run.items()):
        if kind not in _OWN and kind != IMPORTED and isinstance(record, dict) and record:
            yield ProvenanceLogged(here, start, kind, _without(record, kept, keeping, kind))
    for one in run["datasets"]:
        record = _without(one["fingerprint"], kept, keeping, "data")
        yield DatasetLogged(here, start, str(one["role"]), str(one["name"]), record)
    yield from _points(bundle, here)
    for one in run["artifacts"]:
        if one["digest"] in kept:
            yield ArtifactLogged(here, end, str(one["name"]), one["digest"], int(one["bytes"]))
        else:
            keeping.not_carried("artifact", "it is not in the bundle; export with --artifacts")
    for one in run["models"]:
        if one["digest"] in kept:
            at = one.get("step")
            at = at if at is None or isinstance(at, int) else str(at)
            name, kind, size, told = str(one["name"]), str(one["format"]), int(one["bytes"]), one.get("signature")
            yield ModelLogged(here, end, name, kind, one["digest"], size, at, signature=told)
        else:
            keeping.not_carried("model", "a bundle has one model")
    for one in run["notes"]:
        yield NoteLogged(here, end, str(one["what"]), int(one["count"]), str(one["why"]))
    if run["status"] != "running":
        yield RunEnded(here, end, run["status"], run.get("error"))


def _keep(bundle: Bundle, keeping: Keeping) -> set[str]:
    """Keep the files that records name. Raises `Damaged` where one is another than when it was checked."""
    kept = set()
    for name, layer in bundle.layers.items():
        if name.startswith(("model.", FILES)) or name == SIGNATURE:
            with layer.open() as opened_file:
                digest, _ = keeping.keep(opened_file)
            if digest != layer.digest:
                raise Damaged(f"the file {name} has changed while it was read")
            kept.add(digest)
    return kept


def _points(bundle: Bundle, here: str) -> Iterator[MetricsLogged]:
    """The points, those that were logged together in one event, in the order of time."""
    together: dict[tuple[int, int | str], dict[str, float]] = {}
    for key, series in bundle.json(SERIES).items():
        for at, moment, value in zip(series["steps"], series["times"], series["values"], strict=True):
            together.setdefault((int(moment), at if isinstance(at, int) else str(at)), {})[str(key)] = float(value)
    for (moment, at), values in sorted(together.items(), key=lambda one: one[0][0]):
        yield MetricsLogged(here, moment, at, values)


def _without(value: Any, kept: set[str], keeping: Keeping, kind: str) -> Any:
    """A part of a record without what names files that are not in the bundle."""
    if isinstance(value, list):
        return [_without(one, kept, keeping, kind) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, inside in value.items():
        digest = inside.get("digest") if isinstance(inside, dict) else None
        if isinstance(digest, str) and "bytes" in inside and _HEX.fullmatch(digest) and digest not in kept:
            keeping.not_carried(f"{kind}/{key}", "its file is not in the bundle")
        else:
            found[key] = _without(inside, kept, keeping, kind)
    return found


def _nanoseconds(time: Any) -> int:
    """A time of a record, ISO 8601 in UTC to the microsecond."""
    moment = datetime.fromisoformat(str(time))
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


def _problems(report: Report) -> str:
    return "; ".join(str(one["problem"]) for one in report.record()["problems"][:3])


__all__ = ["Bundles", "bring"]
