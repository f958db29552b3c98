"""The MLflow backend against a real MLflow server, read back with MLflow's own client."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path

import pytest

from autotrack.errors import UsageError
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    RunEnded,
    TagsSet,
    WriterEnded,
    WriterStarted,
)
from autotrack_mlflow.backend import MlflowBackend
from autotrack_mlflow.keys import safe_key

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Journal, Lent, Server, lent, no_mlflow_settings, run_of, the_run

__all__ = ["lent", "no_mlflow_settings"]


def everything(lent: Lent) -> Journal:
    """A run that has every kind of event."""
    journal = Journal()
    journal.add(WriterStarted, journal.writer, 1, 0.0, "host", "boot", "1", ["mlflow"], run="")
    journal.start(
        "everything",
        integration="sklearn",
        environment={"python": "3.12", "command": ["python", "train.py"]},
        code={"script": "/src/train.py", "commit": "c0ffee", "branch": "main"},
    )
    journal.add(ParamsLogged, {"lr": 0.1, "depth": 3, "name": "abc", "flag": True, "nothing": None, "empty": ""})
    for step in range(3):
        journal.add(MetricsLogged, step, {"loss": 1.0 / (step + 1), "gpu:0/util": 50.0})
    journal.add(TagsSet, {"team": "risk", "line": "first\nsecond ü"})
    record = {"value": "x1:" + "a" * 32, "n_rows": 10, "columns": [{"name": "age", "type": "int64"}], "source": "a.csv"}
    journal.add(DatasetLogged, "train", "customers", record)
    journal.add(DatasetLogged, "test", "customers", record)
    content = bytes(range(256)) * 100
    journal.add(ArtifactLogged, "plots/röc curve.bin", lent.keep(content), len(content))
    journal.add(ModelLogged, "clf/1", "safetensors", lent.keep(b"weights"), 7, 4)
    journal.add(NoteLogged, "dropped points", 3, "not numbers")
    journal.add(NoteLogged, "dropped points", 2, "not numbers")
    journal.add(RunEnded, "failed", {"type": "ValueError", "message": "bad", "traceback": "Traceback: bad"})
    journal.add(WriterEnded, run="")
    return journal


def check_everything(server: Server, lent: Lent, journal: Journal) -> None:
    """The whole of `everything`, exactly once."""
    run = run_of(server, journal)
    assert run["name"] == "everything" and run["experiment"] == "project"
    assert run["status"] == "FAILED"
    assert run["start"] == journal.records[1].event.time // 1_000_000
    assert run["end"] == journal.records[-2].event.time // 1_000_000
    assert run["params"] == {"lr": "0.1", "depth": "3", "name": "abc", "flag": "True", "nothing": "None", "empty": ""}
    times = [record.event.time // 1_000_000 for record in journal.records if isinstance(record.event, MetricsLogged)]
    assert run["metrics"]["loss"] == [[step, times[step], repr(1.0 / (step + 1))] for step in range(3)]
    assert len(run["metrics"]["gpu:0/util"]) == 3
    tags = run["tags"]
    assert tags["team"] == "risk" and tags["line"] == "first\nsecond ü"
    assert tags["mlflow.source.name"] == "/src/train.py" and tags["mlflow.source.git.commit"] == "c0ffee"
    assert tags["autotrack.integration"] == "sklearn"
    assert tags["autotrack.error"] == "ValueError: bad" and "Traceback" in tags["autotrack.traceback"]
    assert json.loads(tags["autotrack.notes"])["counts"] == {"dropped points": 5}
    roles = {item["name"]: item["tags"]["mlflow.data.context"] for item in run["datasets"]}
    assert roles == {"customers": "train", "customers (test)": "test"}
    assert all(item["digest"] == "x1:" + "a" * 32 for item in run["datasets"])
    assert json.loads(run["datasets"][0]["profile"])["num_rows"] == 10
    assert json.loads(run["datasets"][0]["schema"])["mlflow_colspec"][0]["type"] == "long"
    assert run["artifacts"] == ["autotrack/run.json", "plots/röc curve.bin"]
    assert bytes.fromhex(server.ask("artifact", run["id"], "plots/röc curve.bin")) == bytes(range(256)) * 100
    described = json.loads(bytes.fromhex(server.ask("artifact", run["id"], "autotrack/run.json")))
    assert described["code"]["branch"] == "main" and described["environment"]["python"] == "3.12"
    models = [item for item in server.ask("models") if item["run"] == run["id"]]
    assert [(item["name"], item["status"]) for item in models] == [("clf-1", "READY")]
    assert run["models"] == [[models[0]["id"], 4]]


def test_every_event_arrives_and_a_replay_changes_nothing(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = everything(lent)
    backend = lent.backend(server.url, monkeypatch)
    assert backend.resume(journal.writer) is None
    assert backend.deliver(journal.records) == journal.records[-1].sequence
    check_everything(server, lent, journal)
    backend.deliver(journal.records)
    for record in journal.records:
        backend.deliver([record])
    check_everything(server, lent, journal)
    backend.close()
    lent.context.state.clear()  # the process was killed before the forwarder kept anything
    again = lent.backend(server.url, monkeypatch)
    again.deliver(journal.records[:5])
    again.deliver(journal.records[3:9])
    again.deliver(journal.records[5:])
    check_everything(server, lent, journal)
    again.close()


def test_values_and_steps(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    journal.start()
    values = [math.nan, math.inf, -math.inf, 5e-324, -0.0, 1.7976931348623157e308]
    for step, value in enumerate(values):
        journal.add(MetricsLogged, step, {"odd": value})
    for step in (-1, 2**62, -(2**63)):
        journal.add(MetricsLogged, step, {"far": 1.0})
    journal.add(MetricsLogged, "2.5", {"fraction": 1.0})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    backend.deliver(journal.records)
    metrics = run_of(server, journal)["metrics"]
    found = [float(value) for _, _, value in metrics["odd"]]
    huge = sys.float_info.max
    assert math.isnan(found[0]) and found[1:] == [huge, -huge, 5e-324, 0.0, huge]  # SQLite knows no -0.0
    assert [step for step, _, _ in metrics["far"]] == [-(2**63), -1, 2**62]
    assert [step for step, _, _ in metrics["fraction"]] == [2]
    told = [what for _, what, _ in lent.notes]
    assert told == ["metric fraction"] * 2  # each delivery tells
    backend.close()


def test_two_values_in_one_millisecond_stay_two(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    journal.start()
    for value in (1.0, 2.0, 2.0):
        journal.add(MetricsLogged, 0, {"loss": value})
    first = journal.records[1].event
    batch = [
        record if index == 0 else type(record)(record.writer, record.sequence, record.position, event)
        for index, record in enumerate(journal.records)
        for event in [MetricsLogged(first.run, first.time + index, 0, getattr(record.event, "values", {}))]
    ]
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(batch)
    assert [value for _, _, value in run_of(server, journal)["metrics"]["loss"]] == ["1.0", "2.0"]
    assert [what for _, what, _ in lent.notes] == ["metric loss"]
    backend.close()


def test_a_changed_param_keeps_both_values(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    journal.start()
    journal.add(ParamsLogged, {f"p{number}": number for number in range(250)})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    changed = journal.add(ParamsLogged, {"p7": "new", "p8": 8, "later": 1})
    journal.add(MetricsLogged, 0, {"loss": 1.0})
    backend.deliver(journal.records[-2:])
    run = run_of(server, journal)
    assert len(run["params"]) == 251 and run["params"]["p7"] == "7"
    assert run["tags"]["autotrack.param.p7"] == "new" and "autotrack.param.p8" not in run["tags"]
    assert len(run["metrics"]["loss"]) == 1
    told = Counter(what for _, what, _ in lent.notes)
    assert told == {"types of params": 252, "param p7": 1}  # MLflow has text alone
    back = journal.add(ParamsLogged, {"p7": 7, "twice": 1})
    last = journal.add(ParamsLogged, {"twice": 2})
    backend.deliver([back, last])
    for batch in ([], [changed], journal.records[:2], [back, last], journal.records):
        if batch:
            backend.deliver(batch)
        run = run_of(server, journal)
        assert run["tags"]["autotrack.param.p7"] == "7", "the newest value, though it equals the first"
        assert (run["params"]["twice"], run["tags"]["autotrack.param.twice"]) == ("1", "2")
    backend.close()


def test_long_values_and_odd_keys_cost_no_batch(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    journal.start()
    journal.add(ParamsLogged, {"long": "x" * 6001, "a//b": 1, "plain": 2})
    journal.add(TagsSet, {"long": "y" * 8001, "/abs": "z"})
    journal.add(MetricsLogged, 0, {"val/": 1.0, "../up": 2.0, "plain": 3.0})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    told = {what for _, what, _ in lent.notes}
    backend.deliver(journal.records)
    run = run_of(server, journal)
    assert run["params"] == {"long": "x" * 6000, "a/_/b": "1", "plain": "2"}
    assert run["tags"]["long"] == "y" * 8000 and run["tags"]["_/abs"] == "z"
    assert {key: len(points) for key, points in run["metrics"].items()} == {"val/_": 1, "__/up": 1, "plain": 1}
    assert told == {
        "types of params",
        "param long",
        "param a//b",
        "tag long",
        "tag /abs",
        "metric val/",
        "metric ../up",
    }
    backend.close()


@pytest.mark.parametrize("key", ["a//b", "/a", "a/", ".", "..", "../a", "a/./b", "a/../b", "..a"])
def test_safe_keys_are_stable(key: str) -> None:
    safe = safe_key(key)
    assert safe != key and safe_key(safe) == safe


@pytest.mark.parametrize(
    "uri", ["", "sqlite:///mlflow.db", "databricks://none", "azureml://host", "arn:aws:sagemaker:x"]
)
def test_an_address_that_cannot_be_used_names_its_variable(
    uri: str, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
        MlflowBackend().open(lent.context)


def test_the_run_lookup_of_the_tests_finds_one_run_only(server: Server) -> None:
    with pytest.raises(AssertionError):
        the_run(server, "no such run")


def test_metrics_of_the_system_are_among_mlflow_s_own_and_the_server_says_what_it_is(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start()
    journal.add(MetricsLogged, 0, {"system/cpu": 12.5, "system/gpu/0/utilization": 99.0, "loss": 0.5})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    assert backend.check() == f"MLflow {server.ask('version')} at {server.url}"
    found = server.ask("system_metrics", run_of(server, journal)["id"])
    assert found == ["system/cpu", "system/gpu/0/utilization"] and lent.notes == []
    backend.close()
