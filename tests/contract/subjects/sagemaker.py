"""SageMaker's experiments, on moto's server with the service's strictness before it.

Read with boto3's own list, describe and get calls; the points of metrics are read from moto's state, since it has no
`BatchGetMetrics`. Every request of the backend was checked against the shapes that botocore ships.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "backends"))

from sagemaker_server import Server
from subject import EVERYTHING, ReadModel, ReadRun

TAG_PARAM = "autotrack.tag."
ALIAS = "autotrack.alias."


class Subject:
    name = "sagemaker"
    carries = EVERYTHING - {
        "nan",
        "infinities",
        "fractional_steps",
        "equal_points",
        "repeated_steps",
        "param_types",
    }
    url_variable = "AWS_ENDPOINT_URL"
    listens: str | None = None

    def __init__(self, folder: Path) -> None:
        self._server = Server(folder)

    def start(self) -> dict[str, str]:
        variables = self._server.start()
        self.listens = self._server.url
        return variables

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        client, s3 = self._server.client("sagemaker"), self._server.client("s3")
        for page in client.get_paginator("list_trial_components").paginate():
            for summary in page["TrialComponentSummaries"]:
                run, read = read_component(self._server, client, s3, summary["TrialComponentName"])
                assert run and run not in found
                found[run] = read
        return found

    def read_model(self, name: str) -> ReadModel:
        client, read = self._server.client("sagemaker"), ReadModel()
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=name)
        arns = [one["ModelPackageArn"] for page in pages for one in page["ModelPackageSummaryList"]]
        held = [client.describe_model_package(ModelPackageName=arn) for arn in arns]
        for one in sorted(held, key=lambda one: one["ModelPackageVersion"]):
            properties = one["CustomerMetadataProperties"]
            read.versions.append(properties["autotrack.digest"])
            for alias in (key.removeprefix(ALIAS) for key in properties if key.startswith(ALIAS)):
                assert alias not in read.aliases, "an alias in two places"
                read.aliases[alias] = properties["autotrack.digest"]
        return read

    def stop(self) -> None:
        wrong = self._server.tell("violations")
        self._server.stop()
        assert not wrong, wrong[:10]


def read_component(server: Server, client: Any, s3: Any, name: str) -> tuple[str, ReadRun]:
    """Our id of the run that a trial component stands for, and the run."""
    held = client.describe_trial_component(TrialComponentName=name)
    tags = {
        tag["Key"]: tag["Value"]
        for page in client.get_paginator("list_tags").paginate(ResourceArn=held["TrialComponentArn"])
        for tag in page["Tags"]
    }
    params = {key: _value(value) for key, value in (held.get("Parameters") or {}).items()}
    tags |= {key.removeprefix(TAG_PARAM): params.pop(key) for key in list(params) if key.startswith(TAG_PARAM)}
    ours = {key: tags.pop(key) for key in list(tags) if key.startswith("autotrack.")}
    status = held.get("Status") or {}
    read = ReadRun(
        name=ours.get("autotrack.name", held["DisplayName"]),
        status=ours.get("autotrack.status") if status.get("PrimaryStatus") != "InProgress" else "running",
        params=params,
        tags=tags,
        parent=ours.get("autotrack.parent_id"),
        error=status.get("Message"),
        datasets=[_pair(key) for key in held.get("InputArtifacts") or {}],
    )
    for key, artifact in (held.get("OutputArtifacts") or {}).items():
        place = urlsplit(artifact["Value"])
        content = s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
        if key.startswith("model/"):
            read.models[key.removeprefix("model/")] = content
        else:
            read.artifacts[key] = content
    for key, points in server.tell(f"points/{name}").items():
        read.metrics[key] = [(str(step), float(value)) for step, value, _ in points]
        read.times[key] = [float(time) for _, _, time in points]
    return ours.get("autotrack.run_id", ""), read


def _value(value: dict[str, Any]) -> Any:
    if "NumberValue" in value:
        return value["NumberValue"]
    text = value["StringValue"]
    return json.loads(text) if text.startswith('"') and "\\n" in text else text


def _pair(key: str) -> tuple[str, str]:
    role, _, name = key.partition("/")
    return role, name
