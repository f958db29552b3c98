"""SageMaker's managed MLflow: a real MLflow server behind a gate that checks each signature, with botocore."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrack.backend import BackendUnavailable
from autotrack.errors import UsageError
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    RunEnded,
    TagsSet,
)
from autotrack_mlflow.backend import MlflowBackend
from autotrack_sagemaker.managed import ManagedBackend, address_of, arn_from, aws_session

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

pytest.importorskip("botocore")
from mlflow_server import Journal, Lent, Server, executable, lent, no_mlflow_settings, run_of
from sagemaker_gate import APP, ARN, KEY, REGION, SECRET, SignedGate

__all__ = ["lent", "no_mlflow_settings"]

BUCKET = "managed"


@pytest.fixture(autouse=True)
def only_these_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of whoever runs the tests, and no machine that is asked for credentials."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "SAGEMAKER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def opened(kind: type[MlflowBackend], lent: Lent, monkeypatch: pytest.MonkeyPatch, **variables: str) -> MlflowBackend:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    lent.context.state = json.loads(json.dumps(dict(lent.context.state)))
    backend = kind()
    backend.open(lent.context)
    return backend


def everything(lent: Lent) -> Journal:
    journal = Journal(project="churn it is")
    journal.start("everything", environment={"python": "3.12"})
    journal.add(ParamsLogged, {"lr": "0.1"})
    for step in range(3):
        journal.add(MetricsLogged, step, {"loss": 1.0 / (step + 1)})
    journal.add(TagsSet, {"team": "risk ü"})
    journal.add(DatasetLogged, "train", "rows", {"value": "x1:" + "0" * 32})
    journal.add(ArtifactLogged, "plots/röc + curve.bin", lent.keep(bytes(range(256)) * 9000), 256 * 9000)
    journal.add(ArtifactLogged, "empty", lent.keep(b""), 0)
    journal.add(ModelLogged, "clf", "safetensors", lent.keep(b"weights"), 7, register="churn it is", aliases=["now"])
    journal.add(ConsoleLogged, "stdout", "text\n")
    journal.add(ProvenanceLogged, "randomness", {"seed": 7})
    journal.add(RunEnded, "finished")
    return journal


@pytest.mark.parametrize("arn", [ARN, APP], ids=["tracking server", "app"])
def test_every_request_is_signed_as_aws_wants_it(
    arn: str, server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = everything(lent)
    with SignedGate(server, arn) as gate:
        backend = opened(ManagedBackend, lent, monkeypatch, **gate.variables)
        backend.deliver(journal.records)
        backend.deliver(journal.records)
        backend.close()
        assert len(gate.requests) > 30 and gate.sessions == {""}
        assert not any(SECRET in str(request) for request in gate.requests)
    run = run_of(server, journal)
    assert run["status"] == "FINISHED" and run["tags"]["team"] == "risk ü" and len(run["metrics"]["loss"]) == 3
    content = bytes.fromhex(server.ask("artifact", run["id"], "plots/röc + curve.bin"))
    assert content == bytes(range(256)) * 9000
    assert "empty" in run["artifacts"] and "autotrack/console.log" in run["artifacts"] and len(run["models"]) == 1
    assert lent.notes == []
    assert SECRET not in json.dumps(dict(lent.context.state))


def test_a_session_token_goes_with_it(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    with SignedGate(server) as gate:
        opened(ManagedBackend, lent, monkeypatch, **gate.variables, AWS_SESSION_TOKEN="t0ken").close()
        assert gate.sessions == {"t0ken"}


def test_wrong_and_missing_credentials_name_the_variables(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SignedGate(server) as gate:
        wrong = {**gate.variables, "AWS_SECRET_ACCESS_KEY": "another"}
        with pytest.raises(BackendUnavailable, match=r"403.*AWS_ACCESS_KEY_ID") as raised:
            opened(ManagedBackend, lent, monkeypatch, **wrong)
        assert "another" not in str(raised.value)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(BackendUnavailable, match=r"no credentials for AWS.*AWS_PROFILE"):
            opened(ManagedBackend, lent, monkeypatch)


def test_two_servers_of_one_region_are_not_taken_for_one(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = everything(lent)
    with SignedGate(server) as gate:
        opened(ManagedBackend, lent, monkeypatch, **gate.variables).deliver(journal.records[:1])
        assert lent.context.state["server"] == ARN
        gate.arn = ARN + "-2"
        backend = opened(ManagedBackend, lent, monkeypatch, MLFLOW_TRACKING_URI=ARN + "-2")
        lent.context.state["experiment:churn it is"] = ["999", "churn it is"]
        backend.deliver(journal.records[:1])
        assert lent.context.state["server"] == ARN + "-2"
        assert lent.context.state["experiment:churn it is"][0] != "999"


def test_hosts_and_headers_are_those_of_sagemaker_mlflow() -> None:
    session = aws_session()
    server_address = address_of(arn_from(ARN), session, {})
    assert server_address.url == f"https://{REGION}.experiments.sagemaker.aws"
    assert dict(server_address.headers) == {"x-mlflow-sm-tracking-server-arn": ARN}
    app_address = address_of(arn_from(APP), session, {})
    assert app_address.url == f"https://mlflow.sagemaker.{REGION}.app.aws"
    assert dict(app_address.headers) == {"x-sm-mlflow-app-arn": APP}
    assert (arn_from(ARN).service, arn_from(APP).service) == ("sagemaker-mlflow", "sagemaker")
    custom = address_of(arn_from(ARN), session, {"SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": "https://vpce.example.org/"})
    assert (custom.url, custom.variable) == ("https://vpce.example.org", "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT")
    for wrong in ("", "http://localhost", ARN.replace("arn:aws:", "arn:aws-cn:"), ARN.replace("tracking", "other")):
        with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
            arn_from(wrong)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The address of moto's AWS on loopback, with a bucket."""
    moto = pytest.importorskip("moto.server")
    import boto3

    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        url = f"http://{host}:{port}"
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}.items():
                patch.setenv(name, value)
            s3 = boto3.client("s3", region_name=REGION, endpoint_url=url)
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield url
    finally:
        running.stop()


def test_a_role_is_taken_on_first(server: Server, aws: str, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.backends import get_backend

    role = "arn:aws:iam::111122223333:role/team"
    with SignedGate(server) as gate:
        assumed = get_backend("sts")["111122223333"]["global"]
        gate.secret_of = lambda key: assumed.get_assumed_role_from_access_key(key).secret_access_key
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws)
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        opened(ManagedBackend, lent, monkeypatch, **gate.variables, SAGEMAKER_MLFLOW_ASSUME_ROLE_ARN=role).close()
        (token,) = gate.sessions
        assert token and len(assumed.assumed_roles) == 1
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
        with pytest.raises(BackendUnavailable, match="SAGEMAKER_MLFLOW_ASSUME_ROLE_ARN"):
            opened(ManagedBackend, lent, monkeypatch)


@pytest.fixture(scope="module")
def in_bucket(aws: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps files in a bucket and takes no uploads itself, as a managed one does."""
    program = executable()
    if program is None:
        pytest.skip("needs a real MLflow: set AUTOTRACK_TEST_MLFLOW to the path of an `mlflow` executable")
    options = ("--no-serve-artifacts", "--default-artifact-root", f"s3://{BUCKET}/runs")
    running = Server(program, tmp_path_factory.mktemp("managed"), *options)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "MLFLOW_S3_ENDPOINT_URL": aws,
        }.items():
            patch.setenv(name, value)
        running.start()
        running.ask("models")  # so that the reader has these variables too
    try:
        yield running
    finally:
        running.stop()


def check_files(server: Server, journal: Journal) -> None:
    run = run_of(server, journal)
    assert run["artifacts"] == [
        "autotrack/console.log",
        "autotrack/randomness.json",
        "autotrack/run.json",
        "empty",
        "plots/röc + curve.bin",
    ]
    content = bytes.fromhex(server.ask("artifact", run["id"], "plots/röc + curve.bin"))
    assert content == bytes(range(256)) * 9000
    assert bytes.fromhex(server.ask("artifact", run["id"], "autotrack/console.log")) == b"text\nmore\n"
    (model,) = [item for item in server.ask("models") if item["run"] == run["id"]]
    assert model["status"] == "READY"
    assert bytes.fromhex(server.ask("model_file", model["id"], "model.safetensors")) == b"weights"


def test_files_of_a_managed_mlflow_go_to_its_bucket(
    in_bucket: Server, aws: str, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = everything(lent)
    journal.add(ConsoleLogged, "stdout", "more\n")
    with SignedGate(in_bucket) as gate:
        variables: dict[str, Any] = {**gate.variables, "AWS_ENDPOINT_URL_S3": aws, "AWS_DEFAULT_REGION": REGION}
        backend = opened(ManagedBackend, lent, monkeypatch, **variables)
        backend.deliver(journal.records)
        backend.deliver(journal.records)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        backend.close()
        away = opened(ManagedBackend, lent, monkeypatch)
        with pytest.raises(BackendUnavailable, match="bucket managed"):
            away.deliver(journal.records)
        away.close()
    check_files(in_bucket, journal)
    assert lent.notes == []


def test_an_ordinary_server_on_a_bucket_signs_the_addresses_of_its_files(
    in_bucket: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials of AWS: the server gives an address for each file."""
    journal = everything(lent)
    journal.add(ConsoleLogged, "stdout", "more\n")
    backend = opened(MlflowBackend, lent, monkeypatch, MLFLOW_TRACKING_URI=in_bucket.url)
    backend.deliver(journal.records)
    backend.deliver(journal.records)
    backend.close()
    check_files(in_bucket, journal)
    assert lent.notes == []
