"""The SageMaker backend when credentials, buckets or the way to the service fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from autotrack.backend import BackendUnavailable
from autotrack.errors import UsageError
from autotrack.events import (
    ArtifactLogged,
    MetricsLogged,
    ModelLogged,
)
from autotrack_sagemaker.service import clients

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from sagemaker_reading import Lent, component, content, lent, server  # isort: skip: skips where boto3 is missing
from mlflow_server import Journal
from sagemaker_server import REGION, WRONG_KEY, Server

__all__ = ["lent", "server"]


def test_what_was_confirmed_is_not_sent_again_when_a_batch_fails_half_way(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start()
    for step in range(30):
        journal.add(MetricsLogged, step, {"m": float(step)})
    backend = lent.open()
    put, calls = clients().metrics.batch_put_metrics, []

    def fails_at_third(**request: Any) -> Any:
        calls.append([point["Step"] for point in request["MetricData"]])
        return put(**request) if len(calls) != 3 else {"Errors": [{"Code": "INTERNAL_ERROR", "MetricIndex": 4}]}

    monkeypatch.setattr(clients().metrics, "batch_put_metrics", fails_at_third)
    with pytest.raises(BackendUnavailable, match="INTERNAL_ERROR"):
        backend.deliver(journal.records)
    backend.deliver(journal.records)
    assert [step for call in calls for step in call] == [*range(30), 24]
    assert lent.notes == []


def test_the_bucket_that_is_named_is_used_and_never_created(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_SAGEMAKER_BUCKET", "s3://team-files/runs/")
    journal = Journal()
    journal.start()
    journal.add(ArtifactLogged, "a.txt", lent.keep(b"text"), 4)
    backend = lent.open()
    with pytest.raises(BackendUnavailable, match="AUTOTRACK_SAGEMAKER_BUCKET"):
        backend.deliver(journal.records)
    place = {"LocationConstraint": REGION}
    server.client("s3").create_bucket(Bucket="team-files", CreateBucketConfiguration=place)
    backend.deliver(journal.records)
    uri = component(server, journal.run)["OutputArtifacts"]["a.txt"]["Value"]
    assert uri.startswith("s3://team-files/runs/autotrack/") and content(server, uri) == b"text"
    monkeypatch.setenv("AUTOTRACK_SAGEMAKER_BUCKET", "https://files")
    with pytest.raises(UsageError, match="AUTOTRACK_SAGEMAKER_BUCKET"):
        lent.open()


def test_a_large_file_goes_in_parts(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotrack_sagemaker.files.WHOLE", 1000)
    data = bytes(9 << 20)  # over what boto3 sends in one request
    journal = Journal()
    journal.start()
    journal.add(ModelLogged, "big", "safetensors", lent.keep(data), len(data))
    lent.open().deliver(journal.records)
    assert content(server, component(server, journal.run)["OutputArtifacts"]["model/big"]["Value"]) == data
    before = server.tell("calls")
    lent.context.state.clear()
    lent.open().deliver(journal.records)
    assert not [call for call in server.tell("calls")[len(before) :] if call.startswith(("PUT", "POST"))]


def test_a_file_that_is_gone_is_told(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    journal.add(ArtifactLogged, "a.txt", "0" * 64, 4)
    lent.open().deliver(journal.records)
    assert [note[1] for note in lent.notes] == ["artifact a.txt"]


def test_wrong_missing_and_mended_credentials(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    journal.start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", WRONG_KEY)
    with pytest.raises(BackendUnavailable, match=r"UnrecognizedClientException.*AWS_ACCESS_KEY_ID") as caught:
        lent.open()
    assert "secret-of-the-test" not in str(caught.value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(BackendUnavailable, match=r"no credentials.*AWS_PROFILE"):
        lent.open()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(BackendUnavailable, match=r"nobody.*AWS_PROFILE"):
        lent.open()
    monkeypatch.delenv("AWS_PROFILE")
    for key, value in server.variables().items():
        monkeypatch.setenv(key, value)
    lent.open().deliver(journal.records)
    assert component(server, journal.run)["DisplayName"] == "a-run"


def test_what_the_variables_lack_is_said(lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(UsageError, match="AWS_DEFAULT_REGION"):
        lent.open()
    monkeypatch.setenv("AWS_REGION", REGION)  # what containers on AWS have
    lent.open()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackendUnavailable, match=r"no answer from http://127.0.0.1:9.*AWS_ENDPOINT_URL"):
        lent.open()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no address")
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL"):
        lent.open()
