"""moto's server on loopback, made as strict as SageMaker: run as a program, it serves until it is ended.

moto keeps what it is sent. In front of it stands what the service does and moto does not: each request must fit its
shapes (`botocore_shapes`), a second create of a name is refused, what is missing is said to be missing, tags of one key
replace each other, credentials may be wrong, points may be refused. What it was sent wrongly, and the points that it
holds (moto has no `BatchGetMetrics`), it tells under `/strict/`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import requests

START_SECONDS = 60
REGION = "eu-central-1"
ACCOUNT = "123456789012"
WRONG_KEY = "AKIAWRONGWRONGWRONG1"
OLDEST = 1_000_000_000
"""Points from before this second are refused, as the service refuses those of more than two weeks ago."""


class Server:
    """One such server on a free port, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        if any(importlib.util.find_spec(name) is None for name in ("boto3", "moto", "flask")):
            pytest.skip("boto3 and moto are not installed")
        self.folder = folder
        self.url = ""
        self._clients: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, str]:
        """Start it and wait until it answers; the variables that lead to it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with (self.folder / "moto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(port)], stdout=log, stderr=log, env={**os.environ, "TMPDIR": "/tmp"}
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}/strict/violations", timeout=1).ok:
                    return self.variables()
            time.sleep(0.05)
        self.stop()
        raise AssertionError((self.folder / "moto.log").read_text(errors="replace")[-2000:])

    def variables(self) -> dict[str, str]:
        """The environment of a backend that is to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, name: str) -> Any:
        """boto3's client, for readers: no part of the backend."""
        if name not in self._clients:
            import boto3

            variables = self.variables()
            session = boto3.session.Session(
                variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=REGION
            )
            self._clients[name] = session.client(name, endpoint_url=self.url)
        return self._clients[name]

    def tell(self, what: str) -> Any:
        """What the server says under `/strict/`."""
        return requests.get(f"{self.url}/strict/{what}", timeout=30).json()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


class Strict:
    """A WSGI application in front of moto's."""

    def __init__(self, moto: Any) -> None:
        self.moto = moto
        self.violations: list[str] = []
        self.calls: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/strict/"):
            return _answer(start_response, 200, self._tell(path.removeprefix("/strict/")))
        if WRONG_KEY in environ.get("HTTP_AUTHORIZATION", ""):
            return _refuse(start_response, "UnrecognizedClientException", "The security token is invalid.", 403)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if not target.startswith("SageMaker.") and path != "/BatchPutMetrics":
            self.calls.append(f"{environ['REQUEST_METHOD']} {path}")
            return self.moto(environ, start_response)
        operation = target.partition(".")[2] or path.strip("/")
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = json.loads(content or b"{}")
        self.calls.append(operation)
        service = "sagemaker-metrics" if path == "/BatchPutMetrics" else "sagemaker"
        wrong = violations(service, operation, body)
        if wrong:
            self.violations += wrong
            return _refuse(start_response, "ValidationException", "; ".join(wrong))
        refusal = self._refusal(operation, body)
        if refusal:
            return _refuse(start_response, *refusal)
        if service == "sagemaker-metrics":
            errors = [
                {"Code": "VALIDATION_ERROR", "MetricIndex": index}
                for index, metric in enumerate(body["MetricData"])
                if metric["Timestamp"] < OLDEST
            ]
            if errors:
                body["MetricData"] = [one for one in body["MetricData"] if one["Timestamp"] >= OLDEST]
                answer = self._pass_on(environ, body) if body["MetricData"] else {}
                return _answer(start_response, 200, {**answer, "Errors": errors})
        environ["wsgi.input"] = _Bytes(content)
        return self.moto(environ, start_response)

    def _pass_on(self, environ: dict[str, Any], body: Any) -> Any:
        content = json.dumps(body).encode()
        environ |= {"wsgi.input": _Bytes(content), "CONTENT_LENGTH": str(len(content))}
        return json.loads(b"".join(self.moto(environ, lambda *_: None)))

    def _refusal(self, operation: str, body: dict[str, Any]) -> tuple[str, str] | None:
        held = self._state()
        for name, places in (
            ("ExperimentName", held.experiments),
            ("TrialName", held.trials),
            ("TrialComponentName", held.trial_components),
            ("ModelPackageGroupName", held.model_package_groups),
        ):
            kind = name.removesuffix("Name")
            there = str(body.get(name, "")).lower() in {one.lower() for one in places}
            if operation == f"Create{kind}" and there:
                return "ValidationException", f"{kind} {body[name]} already exists"
            if operation == f"Describe{kind}" and not there:
                groups = kind == "ModelPackageGroup"
                return "ValidationException" if groups else "ResourceNotFound", f"{kind} {body[name]} does not exist."
        if operation == "AddTags":
            resource = held._get_resource_from_arn(body["ResourceArn"])
            keys = {tag["Key"] for tag in body["Tags"]}
            resource.tags[:] = [tag for tag in resource.tags if tag["Key"] not in keys]
            if len(resource.tags) + len(keys) > 50:
                return "ResourceLimitExceeded", "A resource has at most 50 tags"
        return None

    def _tell(self, what: str) -> Any:
        if what in ("violations", "calls"):
            return getattr(self, what)
        component = self._state().trial_components[what.removeprefix("points/")]
        return {
            name: [[step, point["Value"], point["Timestamp"]] for step, point in metric["Values"].items()]
            for name, metric in component.metrics.items()
        }

    def _state(self) -> Any:
        from moto.sagemaker.models import sagemaker_backends

        return sagemaker_backends[ACCOUNT][REGION]


class _Bytes:
    """What werkzeug reads a body from."""

    def __init__(self, content: bytes) -> None:
        import io

        stream = io.BytesIO(content)
        self.read, self.readline, self.readinto = stream.read, stream.readline, stream.readinto


def _answer(start_response: Any, status: int, body: Any) -> list[bytes]:
    content = json.dumps(body).encode()
    head = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(content)))]
    start_response(f"{status} {'OK' if status == 200 else 'Refused'}", head)
    return [content]


def _refuse(start_response: Any, code: str, message: str, status: int = 400) -> list[bytes]:
    return _answer(start_response, status, {"__type": code, "message": message})


def _mend(component: Any) -> None:
    """Moto answers 500 where the deviation of large values overflows: such a component then has no summaries."""
    summaries = component.gen_metrics_response_object

    def mended(self: Any) -> Any:
        try:
            return summaries(self)
        except OverflowError:
            return []

    component.gen_metrics_response_object = mended


def main(port: int) -> None:
    """Serve until the process is ended."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from moto.sagemaker.models import FakeTrialComponent
    from werkzeug.serving import make_server

    _mend(FakeTrialComponent)
    application = Strict(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", port, application, True, request_handler=MotoRequestHandler).serve_forever()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from botocore_shapes import violations

    main(int(sys.argv[1]))
