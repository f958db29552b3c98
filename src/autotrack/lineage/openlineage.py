"""Runs as OpenLineage events, for catalogues such as Marquez or DataHub.

Written after the specification 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json) and its facets. Each run is a
`START` event and, once it has ended, one of `COMPLETE`, `FAIL` and `ABORT` with its inputs and outputs. A model is a
dataset there: one that a run writes and another reads. Names are identities: `x1:…` for data, `sha256:…` for files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from autotrack.lineage.columns import columns_of
from autotrack.lineage.graph import Edge, Graph, Node

if TYPE_CHECKING:
    from autotrack.store.query import Store

SPEC: Final = "https://openlineage.io/spec/"
EVENT: Final = SPEC + "2-0-2/OpenLineage.json#/$defs/RunEvent"
PRODUCER: Final = "urn:autotrack:lineage"
"""A URI, as the specification wants it; it names what wrote the events, not a place."""
FACETS: Final = {
    "parent": "1-2-0/ParentRunFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "sourceCodeLocation": "1-1-0/SourceCodeLocationJobFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "datasetType": "1-0-1/DatasetTypeDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
}
ENDS: Final = {"finished": "COMPLETE", "failed": "FAIL", "killed": "ABORT", "pruned": "ABORT"}

_OURS: Final = UUID("5f8e2a6c-9d0b-5a3e-8c47-61746b207631")
"""The name space in which the id of a run becomes the UUID that the specification wants: the same one every time."""


def events(store: Store, graph: Graph) -> list[dict[str, Any]]:
    """The events of every run in the graph that the store knows, by their time."""
    ids = [
        node.id.removeprefix("run:") for node in graph.nodes.values() if node.kind == "run" and "status" in node.told
    ]
    found: list[dict[str, Any]] = []
    records = {record["id"]: record for record in store.records(ids)}
    for record in records.values():
        run, job = _run(record, records), _job(record)
        common = {"run": run, "job": job, "producer": PRODUCER, "schemaURL": EVENT}
        found.append({"eventType": "START", "eventTime": record["started_at"], **common, "inputs": [], "outputs": []})
        node = f"run:{record['id']}"
        inputs = [
            _input(graph, edge, record) for edge in graph.into(node, "input") if not edge.source.startswith("run:")
        ]
        outputs = [_output(graph.nodes[edge.target]) for edge in graph.out_of(node, "output")]
        kind = ENDS.get(record["status"])
        if kind is not None:
            end = {"eventType": kind, "eventTime": record["ended_at"] or record["started_at"]}
            found.append({**end, **common, "inputs": inputs, "outputs": outputs})
        else:
            found[-1] |= {"inputs": inputs, "outputs": outputs}
    return sorted(found, key=lambda event: str(event["eventTime"]))


def run_uuid(run: str) -> str:
    """The UUID of a run, made of its id."""
    return str(uuid5(_OURS, run))


def _run(record: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "autotrack": {"_producer": PRODUCER, "_schemaURL": SPEC + "2-0-2/OpenLineage.json#/$defs/RunFacet"}
        | {"run": record["id"], "name": record["name"], "status": record["status"]}
    }
    parent = known.get(record["parent_id"] or "")
    if parent is not None:
        job = _job(parent)
        named = {"namespace": job["namespace"], "name": job["name"]}
        facets["parent"] = _facet("parent", run={"runId": run_uuid(parent["id"])}, job=named)
    error = record["error"]
    if error:
        message = f"{error['type']}: {error['message']}"
        more = {"stackTrace": error["traceback"]} if error.get("traceback") else {}
        facets["errorMessage"] = _facet("errorMessage", message=message, programmingLanguage="python", **more)
    return {"runId": run_uuid(record["id"]), "facets": facets}


def _job(record: dict[str, Any]) -> dict[str, Any]:
    told = {
        "processingType": "BATCH",
        "integration": (record["integration"] or "autotrack").upper(),
        "jobType": "TRAINING",
    }
    facets = {"jobType": _facet("jobType", **told)}
    code = record["code"]
    remote = code.get("remote")
    if isinstance(remote, str) and "://" in remote and code.get("commit"):
        more = {"version": code["commit"], "branch": code.get("branch"), "path": code.get("entry")}
        facets["sourceCodeLocation"] = _facet(
            "sourceCodeLocation", type="git", url=remote, repoUrl=remote, **{key: it for key, it in more.items() if it}
        )
    return {"namespace": f"autotrack/{record['project'] or 'default'}", "name": record["name"], "facets": facets}


def _input(graph: Graph, edge: Edge, record: dict[str, Any]) -> dict[str, Any]:
    node = graph.nodes[edge.source]
    if node.kind == "model":
        return _model(node)
    role, name = edge.told.get("role"), edge.told.get("name")
    found = (one for one in record["datasets"] if (one["role"], one["name"]) == (role, name))
    told: dict[str, Any] = next(
        (one["fingerprint"] for one in found if one["fingerprint"].get("value") == node.told["value"]), {}
    )
    facets: dict[str, Any] = {}
    if node.told["value"]:
        facets["version"] = _facet("version", datasetVersion=node.told["value"])
    columns = columns_of(told)
    if columns:
        fields = [{"name": one["name"], **({"type": one["dtype"]} if one.get("dtype") else {})} for one in columns]
        facets["schema"] = _facet("schema", fields=fields)
    ours = {"role": role, "name": name, "n_rows": node.told.get("n_rows")}
    base = {"_producer": PRODUCER, "_schemaURL": SPEC + "2-0-2/OpenLineage.json#/$defs/InputDatasetFacet"}
    identity = node.told["value"] or node.id.removeprefix("dataset:")
    return {
        "namespace": "autotrack",
        "name": identity,
        "facets": facets,
        "inputFacets": {"autotrack": base | {key: value for key, value in ours.items() if value is not None}},
    }


def _output(node: Node) -> dict[str, Any]:
    told = _model(node)
    if isinstance(node.told.get("bytes"), int):
        told["outputFacets"] = {"outputStatistics": _facet("outputStatistics", size=node.told["bytes"], fileCount=1)}
    return told


def _model(node: Node) -> dict[str, Any]:
    digest = node.told.get("digest")
    identity = f"sha256:{digest}" if digest else node.id.removeprefix("model:")
    form = {"subType": node.told["format"]} if node.told.get("format") else {}
    facets = {
        "version": _facet("version", datasetVersion=identity),
        "datasetType": _facet("datasetType", datasetType="MODEL", **form),
    }
    return {"namespace": "autotrack", "name": identity, "facets": facets}


def _facet(name: str, **told: Any) -> dict[str, Any]:
    kind = FACETS[name].rpartition("/")[2]
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}facets/{FACETS[name]}.json#/$defs/{kind}", **told}


__all__ = ["events", "run_uuid"]
