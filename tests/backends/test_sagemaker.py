"""The SageMaker backend on moto's server, made as strict as the service, and read back with boto3."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    RunEnded,
    TagsSet,
)
from autotrack_sagemaker.names import entity_of, safe_name

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from sagemaker_reading import Lent, component, content, lent, server, tags  # isort: skip: skips where boto3 is missing
from mlflow_server import Journal
from sagemaker_server import ACCOUNT, REGION, Server

__all__ = ["lent", "server"]


def everything(lent: Lent) -> Journal:
    journal = Journal(project="churn of 2026")
    journal.start("my run", integration="sklearn", code={"commit": "c0ffee", "branch": "main"})
    journal.add(ParamsLogged, {"lr": 0.1, "depth": 3, "name": "abc", "lines": "one\ntwo", "huge": 2**60})
    for step in range(25):
        journal.add(MetricsLogged, step, {"loss": 1.0 / (step + 1), "gpu:0/util": 50.0})
    journal.add(TagsSet, {"team": "risk", "odd": "50% (first)", "long key " + "k" * 150: "v"})
    journal.add(DatasetLogged, "train", "customers", {"value": "x1:" + "a" * 32, "source": "s3://data/a.csv"})
    data = bytes(range(256)) * 10
    journal.add(ArtifactLogged, "plots/röc curve.bin", lent.keep(data), len(data), "image/png")
    journal.add(ArtifactLogged, "x" * 200, lent.keep(b"long name"), 9, "application/vnd.ms-excel")
    journal.add(ModelLogged, "clf", "safetensors", lent.keep(b"weights"), 7, 4)
    journal.add(ProvenanceLogged, "code", {"remote": "https://example.org/code.git"})
    journal.add(RunEnded, "failed", {"type": "ValueError", "message": "bad\nthing", "traceback": "…"})
    return journal


def check_everything(server: Server, journal: Journal) -> None:
    held = component(server, journal.run)
    assert held["DisplayName"] == "my-run" and held["MetadataProperties"]["CommitId"] == "c0ffee"
    assert held["Status"] == {"PrimaryStatus": "Failed", "Message": "ValueError: bad thing"}
    first, last = journal.records[0].event.time, journal.records[-1].event.time
    assert held["StartTime"].timestamp() == first / 1e9 and held["EndTime"].timestamp() == last / 1e9
    params = held["Parameters"]
    assert params["lr"] == {"NumberValue": 0.1} and params["depth"] == {"NumberValue": 3.0}
    assert params["name"] == {"StringValue": "abc"} and params["huge"] == {"StringValue": str(2**60)}
    assert params["lines"] == {"StringValue": '"one\\ntwo"'}
    assert params["autotrack.tag.odd"] == {"StringValue": "50% (first)"}
    assert params["autotrack.tag.long key " + "k" * 150] == {"StringValue": "v"}
    found = tags(server, held["TrialComponentArn"])
    assert found["team"] == "risk" and found["autotrack.run_id"] == journal.run and found["autotrack.name"] == "my run"
    assert found["autotrack.remote"] == "https://example.org/code.git" and found["autotrack.status"] == "failed"
    assert held["InputArtifacts"] == {"train/customers": {"Value": "s3://data/a.csv#x1:" + "a" * 32}}
    outputs = held["OutputArtifacts"]
    image = outputs.pop("plots/röc curve.bin")
    assert image["MediaType"] == "image/png" and content(server, image["Value"]) == bytes(range(256)) * 10
    model = outputs.pop("model/clf")
    assert model["Value"].endswith("/clf.safetensors") and content(server, model["Value"]) == b"weights"
    assert model["Value"].startswith(f"s3://sagemaker-{REGION}-{ACCOUNT}/autotrack/{entity_of(journal.run)}/")
    ((name, entry),) = outputs.items()
    assert len(name) == 128 and "MediaType" not in entry and content(server, entry["Value"]) == b"long name"
    points = server.tell(f"points/{entity_of(journal.run)}")
    assert [point[:2] for point in points["loss"]] == [[step, 1.0 / (step + 1)] for step in range(25)]
    assert points["loss"][1][2] == pytest.approx(journal.records[3].event.time / 1e9, abs=1e-6)
    summary = {one["MetricName"]: one for one in held["Metrics"]}["loss"]
    assert (summary["Count"], summary["Last"], summary["Max"]) == (25, 1.0 / 25, 1.0)


def test_every_event_arrives_and_a_replay_changes_nothing(server: Server, lent: Lent) -> None:
    journal = everything(lent)
    backend = lent.open()
    assert backend.resume(journal.writer) is None
    assert backend.deliver(journal.records) == journal.records[-1].sequence
    check_everything(server, journal)
    assert ("param huge", "SageMaker has no such number: it is a text") in {note[1:] for note in lent.notes}
    backend.deliver(journal.records)
    for record in journal.records:
        backend.deliver([record])
    check_everything(server, journal)
    lent.context.state.clear()  # the process was killed before the forwarder kept anything
    again = lent.open()
    before = len(server.tell("calls"))
    again.deliver(journal.records[:5])
    again.deliver(journal.records[3:9])
    again.deliver(journal.records[5:])
    check_everything(server, journal)
    sent = server.tell("calls")[before:]
    assert not [call for call in sent if call.startswith(("Create", "Associate", "PUT"))], (
        "nothing is made a second time"
    )


def test_a_project_is_an_experiment_and_a_child_is_in_the_trial_of_its_parent(server: Server, lent: Lent) -> None:
    parent, child, grandchild = (Journal(project="Nested runs!") for _ in range(3))
    parent.start("parent")
    child.start("child", parent=parent.run)
    grandchild.start("grandchild", parent=child.run)
    backend = lent.open()
    for journal in (grandchild, child, parent):  # whichever comes first
        backend.deliver(journal.records)
        backend.deliver(journal.records)
    experiment = safe_name("Nested runs!", 120)
    assert experiment.startswith("Nested-runs-") and experiment != "Nested-runs"
    client = server.client("sagemaker")
    trials = client.list_trials(ExperimentName=experiment)["TrialSummaries"]
    names = {trial["TrialName"]: client.list_trial_components(TrialName=trial["TrialName"]) for trial in trials}
    found = {
        name: sorted(one["TrialComponentName"] for one in answer["TrialComponentSummaries"])
        for name, answer in names.items()
    }
    assert found == {
        entity_of(parent.run): sorted(map(entity_of, (parent.run, child.run))),
        entity_of(child.run): [entity_of(grandchild.run)],
    }
    assert tags(server, component(server, child.run)["TrialComponentArn"])["autotrack.parent_id"] == parent.run


def test_events_before_their_start_make_one_component(server: Server, lent: Lent) -> None:
    first, second = Journal(), Journal()
    second.run = first.run
    first.start("named late")
    second.begin += 10**9
    second.add(ParamsLogged, {"a": 1})
    second.add(MetricsLogged, 0, {"m": 1.0})
    lent.open().deliver(second.records)
    assert component(server, first.run)["DisplayName"] == entity_of(first.run)
    lent.context.state.clear()
    lent.open().deliver(first.records)
    held = component(server, first.run)
    assert held["DisplayName"] == "named-late" and held["Parameters"] == {"a": {"NumberValue": 1.0}}
    assert held["StartTime"].timestamp() == first.begin / 1e9


def test_an_end_that_comes_again_does_not_undo_a_later_part(server: Server, lent: Lent) -> None:
    first, later = Journal(), Journal()
    first.start("part one")
    first.add(RunEnded, "killed")
    later.run, later.begin = first.run, first.begin + 10**10
    later.start("part two", resumed=True)
    backend = lent.open()
    backend.deliver(first.records)
    backend.deliver(later.records)
    held = component(server, first.run)
    assert held["Status"]["PrimaryStatus"] == "InProgress" and held["DisplayName"] == "part-one"
    later.add(RunEnded, "finished")
    backend.deliver(later.records[1:])
    lent.context.state.clear()
    again = lent.open()
    again.deliver(first.records)
    again.deliver(later.records)
    again.deliver(first.records)
    held = component(server, first.run)
    assert held["Status"]["PrimaryStatus"] == "Completed"
    assert held["StartTime"].timestamp() == first.begin / 1e9
    assert tags(server, held["TrialComponentArn"])["autotrack.status"] == "finished"


def test_an_older_value_that_comes_again_does_not_replace_a_newer_one(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    old, new = lent.keep(b"old"), lent.keep(b"new")
    for lr, team, digest in ((0.5, "risk", old), (0.25, "fraud", new)):
        journal.add(ParamsLogged, {"lr": lr})
        journal.add(TagsSet, {"team": team})
        journal.add(ArtifactLogged, "a.txt", digest, 3)
    backend = lent.open()
    for batch in (journal.records, journal.records[:4]):
        backend.deliver(batch)
        held = component(server, journal.run)
        assert held["Parameters"]["lr"] == {"NumberValue": 0.25}
        assert tags(server, held["TrialComponentArn"])["team"] == "fraud"
        assert content(server, held["OutputArtifacts"]["a.txt"]["Value"]) == b"new"


def test_models_are_registered_as_versions_and_aliases_move(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    one, two, three = (lent.keep(text) for text in (b"one", b"two", b"three"))
    journal.add(ModelLogged, "clf", "safetensors", one, 3, 1, register="churn model", aliases=["champion"])
    journal.add(
        ModelLogged, "clf-2", "safetensors", two, 3, 2, register="churn model", aliases=["Approved", "champion"]
    )
    journal.add(ModelLogged, "clf-3", "ubj", three, 5, "2.5", register="churn model", aliases=["rejected"])
    lent.open().deliver(journal.records)
    lent.context.state.clear()
    lent.open().deliver(journal.records)
    group = safe_name("churn model", 63)
    client = server.client("sagemaker")
    listed = client.list_model_packages(ModelPackageGroupName=group, SortBy="CreationTime")["ModelPackageSummaryList"]
    held = [client.describe_model_package(ModelPackageName=one["ModelPackageArn"]) for one in listed]
    held.sort(key=lambda one: one["ModelPackageVersion"])
    assert [one["ModelPackageVersion"] for one in held] == [1, 2, 3]
    assert [one["ModelApprovalStatus"] for one in held] == ["PendingManualApproval", "Approved", "Rejected"]
    aliased = ["autotrack.alias.champion" in one["CustomerMetadataProperties"] for one in held]
    assert aliased == [False, True, False]
    assert held[2]["CustomerMetadataProperties"]["autotrack.step"] == "2.5"
    sources = [one["InferenceSpecification"]["Containers"][0]["ModelDataSource"]["S3DataSource"] for one in held]
    assert [content(server, source["S3Uri"]) for source in sources] == [b"one", b"two", b"three"]
    assert {(source["S3DataType"], source["CompressionType"]) for source in sources} == {("S3Object", "None")}
    assert all(one[1] == "registered name 'churn model'" for one in lent.notes)
