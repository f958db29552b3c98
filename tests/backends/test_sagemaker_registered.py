"""What is decided of a registered model reaches SageMaker's registry: packages, aliases, approvals, in any order."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from sagemaker_reading import Lent, content, lent, server  # isort: skip: skips where boto3 is missing
from mlflow_server import Journal
from sagemaker_server import Server

from autotrack.events import ModelLogged, RegistryLogged
from autotrack.registry.log import Step
from autotrack.registry.reading import _model, entry_record
from autotrack.registry.views import fold
from autotrack_sagemaker.names import safe_name
from autotrack_sagemaker.registered import annotation_key, verdict_of

__all__ = ["lent", "server"]


@dataclass
class Log:
    """The log of one model: what the forwarder lends of it, and its steps as events."""

    model: str
    digests: list[str]
    journal: Journal
    lent: Lent
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lent.context.registered = lambda name: self.record() if name == self.model and self.steps else None

    def add(self, action: str, version: int = 1, who: str = "ada", why: str = "", **record: Any) -> None:
        number = len(self.steps) + 1
        id, digest = f"{self.model}-{number}", self.digests[version - 1]
        self.steps.append(Step(id, number, self.model, action, digest, self.journal.run, who, why, record))

    def record(self) -> dict[str, Any]:
        found = fold(self.steps)[self.model]
        made = {
            (self.journal.run, digest): {"name": "clf", "format": "safetensors", "bytes": 3} for digest in self.digests
        }
        return _model(found, made) | {"log": [entry_record(found, entry) for entry in found.log]}

    def send(self, *, shuffled: bool = False) -> None:
        """Each step from a journal of its own."""
        steps = random.Random(7).sample(self.steps, len(self.steps)) if shuffled else self.steps
        for step in steps:
            one = Journal()
            one.run = self.journal.run
            one.add(RegistryLogged, step.model, step.action, step.id, step.digest, step.who, step.why, step.record)
            self.lent.open().deliver(one.records)

    def there(self, server: Server) -> list[dict[str, Any]]:
        """The packages of the group, as boto3 describes them, the oldest first."""
        client = server.client("sagemaker")
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=safe_name(self.model, 63))
        arns = [one["ModelPackageArn"] for page in pages for one in page["ModelPackageSummaryList"]]
        held = [client.describe_model_package(ModelPackageName=arn) for arn in arns]
        return sorted(held, key=lambda one: one["ModelPackageVersion"])


def log_of(lent: Lent, model: str, *texts: bytes) -> Log:
    journal = Journal()
    journal.run = f"run-of-{model}"
    return Log(model, [lent.keep(text) for text in texts], journal, lent)


def properties(held: list[dict[str, Any]], key: str) -> list[str | None]:
    return [one["CustomerMetadataProperties"].get(key) for one in held]


def aliases(held: list[dict[str, Any]]) -> list[list[str]]:
    mark = "autotrack.alias."
    return [
        sorted(key.removeprefix(mark) for key in one["CustomerMetadataProperties"] if key.startswith(mark))
        for one in held
    ]


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_group_becomes_as_the_log_says(shuffled: bool, server: Server, lent: Lent) -> None:
    log = log_of(lent, f"decided-{'shuffled' if shuffled else 'straight'}", b"one", b"two", b"six")
    for version in (1, 2, 3):
        log.add("register", version)
    log.add("alias", 1, alias="production")
    log.add("alias", 2, alias="trial")
    log.add("alias", 2, alias="production")
    log.add("unalias", 2, alias="trial")
    log.add("approve", 2, why="looked at it")
    log.add("stage", 2, stage="Production")
    log.add("annotate", 2, owner="risk", share=0.5)
    log.add("disapprove", 1, who="bob", why="too old")
    log.add("retire", 3, why="wrong data")
    log.send(shuffled=shuffled)
    held = log.there(server)
    assert properties(held, "autotrack.digest") == log.digests
    assert aliases(held) == [[], ["production"], []]
    assert [one["ModelApprovalStatus"] for one in held] == ["Rejected", "Approved", "Rejected"]
    assert [one.get("ApprovalDescription") for one in held] == [
        "bob: too old",
        "ada: looked at it",
        "retired: ada: wrong data",
    ]
    assert properties(held, "autotrack.stage") == [None, "Production", None]
    assert properties(held, "autotrack.retired") == [None, None, "wrong data"]
    assert properties(held, annotation_key("owner")) == [None, "risk", None]
    assert properties(held, annotation_key("share")) == [None, "0.5", None]
    sources = [one["InferenceSpecification"]["Containers"][0]["ModelDataSource"]["S3DataSource"] for one in held]
    assert [content(server, source["S3Uri"]) for source in sources] == [b"one", b"two", b"six"]
    assert not lent.notes


def test_what_is_taken_back_is_taken_back_there(server: Server, lent: Lent) -> None:
    log = log_of(lent, "back", b"one")
    log.add("register")
    log.add("approve")
    log.add("stage", stage="Production")
    log.add("annotate", owner="risk", team="a")
    log.add("alias", alias="production")
    log.send()
    log.add("disapprove")
    log.add("stage", stage=None)
    log.add("annotate", owner=None)
    log.add("unalias", alias="production")
    log.send()
    (held,) = log.there(server)
    kept = held["CustomerMetadataProperties"]
    assert held["ModelApprovalStatus"] == "Rejected" and "autotrack.stage" not in kept
    assert {key for key in kept if key.startswith("autotrack.a")} == {
        "autotrack.approval",
        "autotrack.annotation.team",
    }


def test_what_somebody_has_decided_there_is_left_alone(server: Server, lent: Lent) -> None:
    log = log_of(lent, "left-alone", b"one")
    log.add("register")
    log.send()
    (held,) = log.there(server)
    said = held["CustomerMetadataProperties"] | {"owner": "somebody else", "autotrack.alias.by-hand": "1"}
    server.client("sagemaker").update_model_package(
        ModelPackageArn=held["ModelPackageArn"],
        ModelApprovalStatus="Approved",
        ApprovalDescription="by hand",
        CustomerMetadataProperties=said,
    )
    log.add("annotate", team="risk")
    log.send()
    (held,) = log.there(server)
    assert held["ModelApprovalStatus"] == "Approved" and held["ApprovalDescription"] == "by hand"
    assert properties([held], "owner") == ["somebody else"] and aliases([held]) == [["by-hand"]]
    log.add("disapprove")
    log.send()
    assert log.there(server)[0]["ModelApprovalStatus"] == "Rejected"


@pytest.mark.parametrize("first", ["training", "step"])
def test_a_training_and_a_step_about_one_file_are_one_package(first: str, server: Server, lent: Lent) -> None:
    log = log_of(lent, f"one-{first}", b"one")
    log.add("register")
    log.add("alias", alias="production")
    log.journal.start()
    log.journal.add(ModelLogged, "clf", "safetensors", log.digests[0], 3, 1, register=log.model, aliases=["production"])

    def training() -> None:
        lent.open().deliver(log.journal.records)

    for _ in range(2):
        for act in (training, log.send) if first == "training" else (log.send, training):
            act()
        lent.context.state.clear()
    held = log.there(server)
    assert properties(held, "autotrack.digest") == log.digests
    assert aliases(held) == [["production"]]


def test_a_model_that_is_right_already_is_only_read(server: Server, lent: Lent) -> None:
    log = log_of(lent, "right", b"one")
    log.add("register")
    log.add("annotate", owner="risk")
    log.send()
    before = len(server.tell("calls"))
    log.send()
    assert [call for call in server.tell("calls")[before:] if call.startswith(("Create", "Update", "PUT"))] == []


def test_what_does_not_fit_is_noted_and_the_rest_is_there(server: Server, lent: Lent) -> None:
    log = log_of(lent, "fits not", b"one", b"two")
    log.add("register")
    log.add("annotate", **{"commas": "a, b", "é!": "x" * 900, "é?": ""})
    log.add("annotate", **{f"key {number}": number for number in range(60)})
    log.add("protect", alias="production", rules={})
    log.add("register", 2)
    lent.context.blob(log.digests[1]).unlink()
    log.send()
    (held,) = log.there(server)
    kept = held["CustomerMetadataProperties"]
    assert len(kept) == 50 and kept["autotrack.annotation.commas"] == "a_ b"
    told = {what: why for _, what, why in lent.notes}
    about = f"of version 1 of the registered model {log.model}"
    assert "at most 50" in told[f"annotation key 59 {about}"]
    assert "'a_ b'" in told[f"annotation commas {about}"]
    assert f"protect of the registered model {log.model}" in told
    assert "not on this machine" in told[f"version 2 of the registered model {log.model}"]


def test_annotations_that_differ_stay_two() -> None:
    assert len({annotation_key(key) for key in ("é!", "é?", "é", "é ", "a" * 100, "a" * 99 + "!")}) == 6
    assert all(len(annotation_key("!" * length)) <= 128 for length in (1, 100))


def test_the_verdict_of_people_comes_before_that_of_an_alias() -> None:
    nothing: dict[str, Any] = {"aliases": [], "retired": None, "objections": [], "approvals": []}
    yes, no = [{"who": "ada", "why": "good"}], [{"who": None, "why": ""}]
    assert verdict_of(nothing) == ("PendingManualApproval", "")
    assert verdict_of(nothing | {"aliases": ["Approved"]}) == ("Approved", "")
    assert verdict_of(nothing | {"aliases": ["rejected"], "approvals": yes}) == ("Rejected", "")
    assert verdict_of(nothing | {"approvals": yes}) == ("Approved", "ada: good")
    assert verdict_of(nothing | {"approvals": yes, "objections": no}) == ("Rejected", "somebody")
