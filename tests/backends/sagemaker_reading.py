"""What the tests of the SageMaker backend share: the server, an open backend, and reading back with boto3.

Every request is checked against the service's own shapes: as it leaves the backend, and as it arrives.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrack_sagemaker.backend import SagemakerBackend
from autotrack_sagemaker.names import entity_of
from autotrack_sagemaker.service import clients

pytest.importorskip("botocore", reason="needs boto3: pip install boto3 moto")

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from botocore_shapes import watch
from mlflow_server import Lent as LentBlobs
from sagemaker_server import Server


class Lent(LentBlobs):
    """What the forwarder lends; opens the SageMaker backend."""

    found: list[str]
    watched: set[int]

    def open(self) -> SagemakerBackend:
        self.context.state = json.loads(json.dumps(dict(self.context.state)))
        backend = SagemakerBackend()
        backend.open(self.context)
        made = clients()
        for client in (made.sagemaker, made.metrics, made.s3):
            if id(client) not in self.watched:
                watch(client, self.found)
                self.watched.add(id(client))
        return backend


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("sagemaker"))
    running.start()
    try:
        yield running
        assert running.tell("violations") == []
    finally:
        running.stop()


FOUND: list[str] = []
WATCHED: set[int] = set()


@pytest.fixture
def lent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lent]:
    for key, value in server.variables().items():
        monkeypatch.setenv(key, value)
    for key in ("AWS_PROFILE", "AWS_REGION", "AUTOTRACK_SAGEMAKER_BUCKET", "AUTOTRACK_SAGEMAKER_IMAGE"):
        monkeypatch.delenv(key, raising=False)
    FOUND.clear()
    made = Lent(tmp_path)
    made.found, made.watched = FOUND, WATCHED
    yield made
    assert FOUND == []


def component(server: Server, run: str) -> dict[str, Any]:
    held: dict[str, Any] = server.client("sagemaker").describe_trial_component(TrialComponentName=entity_of(run))
    return held


def tags(server: Server, arn: str) -> dict[str, str]:
    pages = server.client("sagemaker").get_paginator("list_tags").paginate(ResourceArn=arn)
    listed = [tag for page in pages for tag in page["Tags"]]
    found = {tag["Key"]: tag["Value"] for tag in listed}
    assert len(found) == len(listed)
    return found


def content(server: Server, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bytes(server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
