"""Exporting a version with its record as one bundle: an OCI image layout with the media types of CNCF ModelPack.

A version enters, a folder or a tar file leaves, the same bytes each time. What is in it, by name:

| file | what |
|---|---|
| `model.FORMAT` | the model's file |
| `README.md` | its card |
| `autotrack/record.json` | the whole record of its run, as `autotrack show --json` prints it |
| `autotrack/series.json` | the points of all metrics: `{key: {steps, times, values}}`, times in nanoseconds |
| `autotrack/registry.json` | the version, and all steps that are about it |
| `autotrack/signature.json` | its signature, where there is one |
| `autotrack/files/DIGEST` | files that the record names: the code, the environment, evaluations; artifacts if wished |

Source of the media types: https://github.com/modelpack/model-spec, docs/spec.md and docs/config.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotrack.errors import ModelNotFound
from autotrack.lineage import lineage
from autotrack.lineage.card import model_card
from autotrack.provenance.evaluations import KIND
from autotrack.registry import layout
from autotrack.registry.layout import Layer, canonical
from autotrack.registry.signing import signature_of
from autotrack.store.records import jsonable

if TYPE_CHECKING:
    from autotrack.registry.promotion import Side

Record = dict[str, Any]

ARTIFACT: Final = "application/vnd.cncf.model.manifest.v1+json"
CONFIG: Final = "application/vnd.cncf.model.config.v1+json"
WEIGHTS: Final = "application/vnd.cncf.model.weight.v1.raw"
DOCUMENT: Final = "application/vnd.cncf.model.doc.v1.raw"
CODE: Final = "application/vnd.cncf.model.code.v1.raw"
DATA: Final = "application/vnd.cncf.model.dataset.v1.raw"

RECORD: Final = "autotrack/record.json"
SERIES: Final = "autotrack/series.json"
REGISTRY: Final = "autotrack/registry.json"
SIGNATURE: Final = "autotrack/signature.json"
FILES: Final = "autotrack/files/"

VERSION: Final = 1
"""Of what the JSON files hold."""


def export(side: Side, model: Record, target: Path, *, artifacts: bool = False) -> Record:
    """Write the bundle of a version of `model`, as `reading.model` tells it, to `target`; says what is in it.

    Raises `ModelNotFound` where its file or its run is gone, `FileExistsError`, `Damaged`, `OSError`.
    """
    run = side.run
    if run is None:
        raise ModelNotFound(f"the run that made {model['name']}/{side.version['version']} is not known here")
    layers = list(_layers(side, run, model, artifacts))
    config = Layer.of("", CONFIG, canonical(_config(side, run, model, layers)))
    told = {"version": side.version["version"], "title": model["name"], "created": side.version["registered_at"]}
    annotations = {f"org.opencontainers.image.{key}": str(value) for key, value in told.items()}
    digest = layout.write(
        target,
        config,
        layers,
        artifact_type=ARTIFACT,
        ref=f"v{side.version['version']}",
        annotations=annotations,
    )
    files = [{"name": one.name, "digest": one.digest, "bytes": one.size} for one in layers]
    return {
        "path": str(target),
        "digest": digest,
        "model": model["name"],
        "version": side.version["version"],
        "files": files,
    }


def _layers(side: Side, run: Record, model: Record, artifacts: bool) -> Iterator[Layer]:
    form = side.version.get("format") or "bin"
    if not side.blobs.has(side.digest):
        raise ModelNotFound(f"the file {side.digest} of {model['name']}/{side.version['version']} is not here any more")
    yield _kept(side, f"model.{form}", WEIGHTS, side.digest)
    card = model_card(run, lineage(side.store, run["id"], 1), side.version.get("name"))
    yield Layer.of("README.md", DOCUMENT, card.encode())
    yield Layer.of(RECORD, DOCUMENT, canonical({"version": VERSION, "run": jsonable(run)}))
    yield Layer.of(SERIES, DOCUMENT, canonical(_series(side, run)))
    steps = [one for one in model["log"] if one["digest"] == side.digest]
    registry = {"version": VERSION, "model": model["name"], "registered": side.version, "steps": steps}
    yield Layer.of(REGISTRY, DOCUMENT, canonical(jsonable(registry)))
    signature = signature_of(side.version)
    if signature is not None and side.blobs.has(signature):
        yield _kept(side, SIGNATURE, DOCUMENT, signature)
    wanted = dict.fromkeys(named(run.get("code")), CODE) | dict.fromkeys(named(run.get("environment")), CODE)
    wanted |= dict.fromkeys(named(run.get(KIND)), DATA)
    if artifacts:
        wanted |= {one["digest"]: wanted.get(one["digest"], DOCUMENT) for one in run["artifacts"]}
    for digest, media_type in sorted(wanted.items()):
        if side.blobs.has(digest) and digest not in (side.digest, signature):
            yield _kept(side, FILES + digest, media_type, digest)


def named(value: Any) -> Iterator[str]:
    """The digests of files that a part of a record names."""
    if isinstance(value, Mapping):
        if isinstance(value.get("digest"), str) and isinstance(value.get("bytes"), int):
            yield str(value["digest"])
        for inside in value.values():
            yield from named(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from named(inside)


def _kept(side: Side, name: str, media_type: str, digest: str) -> Layer:
    return Layer(name, media_type, digest, side.blobs.size(digest), partial(side.blobs.open, digest))


def _series(side: Side, run: Record) -> Record:
    found: Record = {}
    for key in side.store.keys(run["id"]):
        points = side.store.points(run["id"], key)
        steps = [points.step(at) for at in range(len(points))]
        found[key] = {
            "steps": [step if isinstance(step, int) else format(step, "f") for step in steps],
            "times": points.times.tolist(),
            "values": jsonable(points.values.tolist()),
        }
    return found


def _config(side: Side, run: Record, model: Record, layers: list[Layer]) -> Record:
    code = run.get("code") or {}
    descriptor = {
        "name": str(model["name"]),
        "version": str(side.version["version"]),
        "title": f"{model['name']} {side.version['version']}",
        "createdAt": str(side.version["registered_at"]),
        "description": f"trained by run {run['id']} ({run['name']}) of project {run['project']}",
    }
    if isinstance(code.get("commit"), str):
        descriptor["revision"] = code["commit"]
    told = side.signature.get("class") or side.signature.get("estimator")
    config = {"format": str(side.version.get("format") or "")} | ({"architecture": str(told)} if told else {})
    return {
        "descriptor": descriptor,
        "config": config,
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{one.digest}" for one in layers]},
    }


__all__ = ["ARTIFACT", "export"]
