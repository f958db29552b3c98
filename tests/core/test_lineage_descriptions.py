"""The commands that describe runs, models and data for people and other tools."""

import hashlib
import importlib.util
import json
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import autotrack
from autotrack.cli.lineage import croissant
from autotrack.cli.main import program
from autotrack.lineage.croissant import croissant as described
from autotrack.lineage.croissant import data_type
from autotrack.plugin import describe_with, model_loaded, model_saved, model_used
from autotrack.provenance.fingerprint.sources import of_path
from autotrack.testing import Recorded, recording

VALUE = "x1:" + "a" * 32


class Customers:
    """Data of a type that a plugin knows."""


def customers(_: Customers) -> dict[str, Any]:
    columns = [{"name": "age", "dtype": "int64"}, {"name": "city", "dtype": "object"}]
    source = {"kind": "file", "path": "data/customers.csv", "dvc": {"md5": "b" * 32}, "bytes": 123}
    return {"value": VALUE, "n_rows": 1500, "n_columns": 2, "columns": columns, "source": source}


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    """A model that one run made and another loaded, and a run that failed."""
    describe_with(f"{__name__}.Customers", customers)
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    with recording(tmp_path / "home", project="churn") as found:
        with autotrack.start_run("first", params={"lr": 0.1, "odd|name": "a`b|c"}) as run:
            run.log_dataset(Customers(), role="train", name="customers")
            run.log_metrics({"loss": 0.25}, step=3)
            run.log_provenance("code", {"commit": "c0ffee", "dirty": True, "remote": "https://example.org/x.git"})
            model_saved(file, "acme.save")
            model_used("hf:acme/base@c0ffee", "transformers.from_pretrained", name="acme/base")
        run.log_provenance("randomness", {"seeded": False})
        with autotrack.start_run("second"):
            model_loaded(file, "acme.load")
            with autotrack.start_run("part [red]"):
                pass
        with pytest.raises(ValueError), autotrack.start_run("broken"):
            raise ValueError("it broke")
        yield found


def call(*words: str) -> str:
    done = CliRunner().invoke(program, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_tree_tells_both_directions(recorded: Recorded) -> None:
    text = call("show", "second", "--lineage")
    lines = [re.sub(r"^[│├└─\s]+", "", line) for line in text.splitlines()]
    assert re.fullmatch(r"second \w{16} finished", lines[0])
    assert re.fullmatch(r"used \S*model.bin [0-9a-f]{12} by acme.load", lines[1])
    assert re.fullmatch(r"made by first \w{16} finished", lines[2])
    assert f"train data customers {VALUE[:15]} 1,500 rows" in lines
    assert "used acme/base hf:acme/base@c0ffee by transformers.from_pretrained" in lines
    assert re.fullmatch(r"has part part \[red\] \w{16} finished", lines[-1])
    above = call("show", "part [red]", "--lineage")
    assert re.search(r"part of second \w{16} finished\n", above) and "made by first" in above


def test_depth_bounds_the_tree(recorded: Recorded) -> None:
    near = call("show", "part [red]", "--lineage", "--depth", "1")
    assert "part of second" in near and "customers" not in near, "what second used is named, and not followed"
    assert "1 runs were not followed" in near


def test_json_has_nodes_and_edges(recorded: Recorded) -> None:
    graph = json.loads(call("show", "second", "--lineage", "--json"))
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert graph["root"] == f"run:{autotrack.get_run('second')['id']}" in nodes
    assert nodes[f"dataset:{VALUE}"]["n_rows"] == 1500
    assert {edge["relation"] for edge in graph["edges"]} == {"input", "output", "child"}
    assert all(edge["source"] in nodes and edge["target"] in nodes for edge in graph["edges"])


FACETS = {
    "ParentRunFacet": {"run": dict, "job": dict},
    "ErrorMessageRunFacet": {"message": str, "programmingLanguage": str},
    "SourceCodeLocationJobFacet": {"type": str, "url": str},
    "JobTypeJobFacet": {"processingType": str, "integration": str},
    "DatasetVersionDatasetFacet": {"datasetVersion": str},
    "SchemaDatasetFacet": {"fields": list},
    "DatasetTypeDatasetFacet": {"datasetType": str},
    "OutputStatisticsOutputDatasetFacet": {"size": int},
    "RunFacet": {},
    "InputDatasetFacet": {},
}
"""What the specification 2-0-2 requires in each facet that is used."""

URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+")


def check_facets(facets: dict[str, Any]) -> None:
    for facet in facets.values():
        assert URI.fullmatch(facet["_producer"]) and URI.fullmatch(facet["_schemaURL"])
        required = FACETS[facet["_schemaURL"].rpartition("/")[2]]
        assert all(isinstance(facet[key], kind) for key, kind in required.items()), facet


def check_event(event: dict[str, Any]) -> None:
    """What the specification 2-0-2 requires of a run event."""
    assert event["eventType"] in ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert URI.fullmatch(event["producer"])
    assert event["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    assert str(uuid.UUID(event["run"]["runId"])) == event["run"]["runId"]
    check_facets(event["run"]["facets"])
    for thing in (event["job"], *event["inputs"], *event["outputs"]):
        assert isinstance(thing["namespace"], str) and isinstance(thing["name"], str) and thing["name"]
        for kind in ("facets", "inputFacets", "outputFacets"):
            check_facets(thing.get(kind, {}))


def test_openlineage_events_are_what_the_specification_asks_for(recorded: Recorded) -> None:
    events = json.loads(call("show", "second", "--openlineage"))
    for event in events:
        check_event(event)
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)
    by_run: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_run.setdefault(event["run"]["runId"], []).append(event)
    assert sorted([one["eventType"] for one in those] for those in by_run.values()) == [["START", "COMPLETE"]] * 3
    ends = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    made = ends["first"]["outputs"][0]
    assert made["name"].startswith("sha256:") and made["outputFacets"]["outputStatistics"]["size"] == 7
    assert [one["name"] for one in ends["second"]["inputs"]] == [made["name"]]
    data = next(one for one in ends["first"]["inputs"] if one["name"] == VALUE)
    assert [field["name"] for field in data["facets"]["schema"]["fields"]] == ["age", "city"]
    assert ends["first"]["job"]["facets"]["sourceCodeLocation"]["version"] == "c0ffee"
    parent = ends["part [red]"]["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == ends["second"]["run"]["runId"] and parent["job"]["name"] == "second"
    failed = json.loads(call("show", "broken", "--openlineage"))[-1]
    check_event(failed)
    assert failed["eventType"] == "FAIL" and "it broke" in failed["run"]["facets"]["errorMessage"]["message"]


def test_a_card_says_what_the_record_holds_and_no_more(recorded: Recorded, tmp_path: Path) -> None:
    run = autotrack.get_run("first")
    with pytest.raises(autotrack.errors.ModelNotFound):
        call("card", "first")
    keep_a_model(run["id"])
    card = call("card", "first")
    front, _, body = card.removeprefix("---\n").partition("---\n")
    assert front == 'base_model:\n- "acme/base"\ntags:\n- "autotrack"\nmetrics:\n- "loss"\n'
    assert f"| train | customers | 1500 | 2 | `{VALUE}` |" in body
    assert r"| odd\|name | `a'b\|c` |" in body and "| loss | 0.25 | 3 |" in body
    assert "commit `c0ffee` of https://example.org/x.git, with changes that were not committed" in body
    assert f"autotrack.load_model({run['id']!r}, 'clf')" in body
    assert "No seed was set" in body and "No validation or test data" in body
    assert "license" not in card
    call("card", f"{run['id']}:clf", "-o", str(tmp_path / "README.md"))
    assert (tmp_path / "README.md").read_text() == card


def keep_a_model(run: str) -> None:
    from autotrack.events import ModelLogged
    from autotrack.session import session

    digest = "c" * 64
    session.sink().append_event(ModelLogged(run, 1, "clf", "skops", digest, 1234, None, signature={"class": "a.B"}))


@pytest.mark.skipif(not importlib.util.find_spec("huggingface_hub"), reason="needs huggingface_hub")
def test_the_hub_reads_the_card(recorded: Recorded) -> None:
    from huggingface_hub import ModelCard

    keep_a_model(autotrack.get_run("first")["id"])
    card = ModelCard(call("card", "first"))
    assert card.data.to_dict() == {"base_model": ["acme/base"], "tags": ["autotrack"], "metrics": ["loss"]} or (
        card.data.base_model,
        card.data.tags,
        card.data.metrics,
    ) == (["acme/base"], ["autotrack"], ["loss"])


def test_croissant_names_the_file_and_its_columns(recorded: Recorded) -> None:
    done = CliRunner().invoke(croissant, ["first:train", "--license", "https://spdx.org/licenses/MIT"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["@type"] == "sc:Dataset" and told["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert told["identifier"] == VALUE and told["license"] == "https://spdx.org/licenses/MIT"
    (file,) = told["distribution"]
    assert file["md5"] == "b" * 32 and file["contentUrl"] == "customers.csv" and file["encodingFormat"] == "text/csv"
    (rows,) = told["recordSet"]
    assert [(one["name"], one["dataType"]) for one in rows["field"]] == [("age", "sc:Integer"), ("city", "sc:Text")]
    assert all(one["source"]["fileObject"]["@id"] == file["@id"] for one in rows["field"])


def test_croissant_hashes_a_file_that_is_what_it_was(recorded: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("age,city\n1,Rome\n")
    source = {**(of_path(path) or {}), "claimed": True}
    fingerprint = {"columns": [{"name": "age", "dtype": "int64"}], "source": source}
    dataset = {"role": "test", "name": "data", "fingerprint": fingerprint}
    (file,) = described({"id": "1", "name": "one"}, dataset)["distribution"]
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and file["contentSize"] == "16 B"
    path.write_text("age,city\n2,Rome\n3,Oslo\n")
    assert "distribution" not in described({"id": "1", "name": "one"}, dataset)


def test_croissant_leads_to_the_hub() -> None:
    fingerprint = {"source": {"kind": "huggingface", "repo": "acme/rows", "commit": "c0ffee"}}
    told = described({"id": "1", "name": "one"}, {"role": "test", "name": "data", "fingerprint": fingerprint})
    assert told["sameAs"] == "https://huggingface.co/datasets/acme/rows/tree/c0ffee"


def test_croissant_of_data_in_memory_claims_no_file() -> None:
    fingerprint = {"kind": "parts", "n_rows": 3, "parts": {"X": {"dtype": "float32", "n_columns": 4}}}
    told = described({"id": "1", "name": "one"}, {"role": "test", "name": "data", "fingerprint": fingerprint})
    assert "distribution" not in told and "recordSet" not in told and "license" not in told
    assert told["variableMeasured"] == [{"@type": "sc:PropertyValue", "name": "X", "description": "float32, 4 columns"}]


def test_a_role_that_is_not_there_is_said(recorded: Recorded) -> None:
    done = CliRunner().invoke(croissant, ["first:test"])
    assert "no data in the role 'test'" in str(done.exception) and "train" in str(done.exception)


def test_a_dataset_is_found_by_role_and_name_as_in_the_other_commands(recorded: Recorded) -> None:
    found = json.loads(call("data", "croissant", "first:train/customers"))
    assert found["name"] == "customers"
    done = CliRunner().invoke(croissant, ["first:train/nobody"])
    assert "called 'nobody'" in str(done.exception)


def test_a_name_of_several_lines_is_one_line_of_a_card(recorded: Recorded) -> None:
    with autotrack.start_run("one\n# two") as run:
        run.log_metric("loss", 1.0)
    keep_a_model(run.id)
    assert "\n# one \\# two: clf\n" in call("card", run.id)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("int64", "sc:Integer"), ("UInt8", "sc:Integer"), ("float32", "sc:Float"), ("bool", "sc:Boolean"),
     ("datetime64[ns, UTC]", "sc:Date"), ("string[pyarrow]", "sc:Text"), ("category", "sc:Text"), ("list", None)],
)  # fmt: skip
def test_types_of_columns(dtype: str, kind: str | None) -> None:
    assert data_type(dtype) == kind


@pytest.mark.skipif(not importlib.util.find_spec("mlcroissant"), reason="needs mlcroissant")
def test_mlcroissant_reads_it(recorded: Recorded, tmp_path: Path) -> None:
    import mlcroissant

    CliRunner().invoke(croissant, ["first:train", "-o", str(tmp_path / "data.json")])
    read = mlcroissant.Dataset(str(tmp_path / "data.json"))
    assert not read.metadata.ctx.issues.errors
