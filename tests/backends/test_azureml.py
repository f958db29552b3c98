"""The Azure ML backend against a real MLflow server under the path of a workspace, and beside Azure's own plugin."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
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
    RunEnded,
    TagsSet,
)
from autotrack.remote import Bearer
from autotrack_azureml.address import AzureIdentity, address_from
from autotrack_azureml.backend import AzureMlBackend

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from azureml_workspace import SCOPE, STATIC_PREFIX, Workspace
from gate import Answer, Gate, Request
from mlflow_server import Journal, Lent, Server, executable, lent, no_mlflow_settings

__all__ = ["lent", "no_mlflow_settings"]

URI = f"azureml://westeurope.api.azureml.ms/mlflow/v1.0{SCOPE}"
PLUGIN = Path(__file__).with_name("azureml_plugin.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = executable()
    if program is None:
        pytest.skip("needs a real MLflow: set AUTOTRACK_TEST_MLFLOW to the path of an `mlflow` executable")
    running = Server(program, tmp_path_factory.mktemp("azureml"), "--static-prefix", STATIC_PREFIX)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def opened(lent: Lent, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> AzureMlBackend:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", workspace.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", workspace.token)
    backend = AzureMlBackend()
    backend.open(lent.context)
    return backend


def everything(lent: Lent, name: str) -> Journal:
    journal = Journal(project="churn")
    journal.start(name, environment={"python": "3.12"})
    journal.add(ParamsLogged, {"lr": 0.1})
    for step in range(3):
        journal.add(MetricsLogged, step, {"loss": 1.0 / (step + 1)})
    journal.add(TagsSet, {"team": "risk"})
    journal.add(DatasetLogged, "train", "rows", {"value": "x1:" + "0" * 32})
    journal.add(ArtifactLogged, "plots/a.txt", lent.keep(b"text"), 4)
    journal.add(ModelLogged, "clf", "safetensors", lent.keep(b"weights"), 7, 2, register="churn", aliases=["now"])
    journal.add(RunEnded, "finished")
    return journal


def run_in(server: Server, journal: Journal) -> dict[str, Any]:
    answer = server.ask("everything", server.database, str(server.folder / "artifacts"))
    (run,) = [run for run in answer if run["tags"]["autotrack.run_id"] == journal.run]
    found: dict[str, Any] = run
    return found


def test_a_run_reaches_a_workspace_over_https_and_once(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal = everything(lent, "everything")
    certificate = certified(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Workspace(server, context) as workspace:
        assert workspace.uri.startswith("azureml://")
        backend = opened(lent, workspace, monkeypatch)
        backend.deliver(journal.records)
        backend.deliver(journal.records)
        backend.close()
        lent.context.state.clear()
        again = opened(lent, workspace, monkeypatch)
        again.deliver(journal.records)
        again.close()
        assert all(request.path.startswith("/mlflow/v2.0/subscriptions/") for request in workspace.requests)
    run = run_in(server, journal)
    assert (run["name"], run["status"], run["params"]) == ("everything", "FINISHED", {"lr": "0.1"})
    assert [[step, value] for step, _, value in run["metrics"]["loss"]] == [[0, 1.0], [1, 0.5], [2, 1 / 3]]
    assert run["tags"]["team"] == "risk" and run["datasets"] == [["train", "rows"]]
    assert bytes.fromhex(run["artifacts"]["plots/a.txt"]) == b"text"
    assert bytes.fromhex(run["models"]["clf"]) == b"weights"
    inside = server.ask("versions", "churn", server.database)
    assert len(inside["versions"]) == 1 and inside["aliases"] == {"now": "1"}
    assert inside["versions"][0]["source"].endswith("/artifacts/clf-2")


def certified(folder: Path) -> Path:
    """A certificate of this machine's own, with its key, in one file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_azure_s_own_plugin_reads_what_was_sent_and_is_read_beside_it(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = os.environ.get("AUTOTRACK_TEST_AZUREML_MLFLOW")
    if not python:
        pytest.skip("set AUTOTRACK_TEST_AZUREML_MLFLOW to a python that has azureml-mlflow")
    journal = everything(lent, "beside")
    with Workspace(server) as workspace:
        backend = opened(lent, workspace, monkeypatch)
        backend.deliver(journal.records)
        backend.close()
        done = subprocess.run(
            [python, str(PLUGIN), workspace.url, SCOPE, workspace.token, journal.run],
            capture_output=True,
            text=True,
            timeout=120,
            env={name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        read = json.loads(done.stdout.splitlines()[-1])
    assert read["params"] == {"lr": "0.1"} and read["loss"] == [[0, 1.0], [1, 0.5], [2, 1 / 3]]
    assert read["status"] == "FINISHED" and read["experiment"] == "churn" and read["alias"] >= 1
    assert read["own"] in {run["name"] for run in server.ask("everything", server.database, str(server.folder))}


class FileService(Gate):
    """A workspace with Azure's artifact service, which has each path once, and a storage that it signs addresses of."""

    def __init__(self, server: Server) -> None:
        self.files: dict[str, bytes] = {}
        super().__init__(server.url, self._look, self._change)

    def _change(self, request: Request, content: bytes) -> bytes:
        # The form of a run's artifacts in Azure ML (`_ARTIFACT_URI_REGEX` of azureml-mlflow).
        try:
            answer = json.loads(content)
        except ValueError:
            return content
        for run in (answer.get("run", {}), *answer.get("runs", ())):
            if run:
                info = run["info"]
                info["artifact_uri"] = (
                    f"azureml://host/mlflow/v2.0{SCOPE}/experiments/churn/runs/{info['run_id']}/artifacts"
                )
        return json.dumps(answer).encode()

    def _look(self, request: Request) -> Answer | None:
        path, _, query = request.path.partition("?")
        if path.startswith("/storage/"):
            assert "authorization" not in request.headers
            if request.method == "PUT":
                assert request.headers["x-ms-blob-type"] == "BlockBlob"
                self.files[path.removeprefix("/storage/")] = request.body
                return Answer(201)
            return Answer(200, self.files[path.removeprefix("/storage/")])
        if path.startswith(f"/history/v1.0{SCOPE}/experiments/churn/runs/"):
            return self._serve(path, query, request.body)
        return Answer(404) if "/logged-models" in path else None

    def _serve(self, path: str, query: str, body: bytes) -> Answer:
        if path.endswith("/artifacts/contentinfo"):
            where = query.removeprefix("path=").replace("%2F", "/")
            return Answer(200, {"contentUri": f"{self.url}/storage/{where}?sig=s", "path": where})
        assert path.endswith("/artifacts/batch/metadata")
        (asked,) = json.loads(body)["paths"]
        where = asked["path"]
        if where in self.files:
            problem = {
                "error": {"code": "UserError", "message": f"Resource Conflict: ArtifactId {where} already exists."}
            }
            return Answer(200, {"artifactContentInformation": {}, "errors": {where: problem}})
        content = {where: {"contentUri": f"{self.url}/storage/{where}?sig=s", "path": where}}
        return Answer(200, {"artifactContentInformation": content, "errors": {}})


def test_files_go_to_the_artifact_service_and_one_that_changes_is_told(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = everything(lent, "files")
    journal.add(ArtifactLogged, "plots/a.txt", lent.keep(b"other"), 5)
    journal.add(ConsoleLogged, "stdout", "text\n")
    with FileService(server) as service:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{service.url}/mlflow/v2.0{SCOPE}")
        backend = AzureMlBackend()
        backend.open(lent.context)
        for _ in range(2):
            backend.deliver(journal.records[:-2])
        assert lent.notes == [] or {what for _, what, _ in lent.notes} == {"types of params"}
        backend.deliver(journal.records)
        backend.close()
    assert service.files["plots/a.txt"] == b"text"
    assert service.files["clf-2/model.safetensors"] == b"weights" and b"clf" in service.files["clf-2/MLmodel"]
    assert service.files["autotrack/console.log"] == b"text\n"
    assert ("artifact plots/a.txt", "Azure ML replaces no file of a run: the first one stays") in {
        (what, why) for _, what, why in lent.notes
    }


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    given = address_from({"MLFLOW_TRACKING_URI": URI + "?", "MLFLOW_TRACKING_TOKEN": "t"})
    assert given.url == f"https://westeurope.api.azureml.ms/mlflow/v2.0{SCOPE}"
    assert isinstance(given.auth, Bearer)
    for wrong in ("", "azureml://host/mlflow/v1.0", f"ftp://host/mlflow/v1.0{SCOPE}", "http://localhost:5000"):
        with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
            address_from({"MLFLOW_TRACKING_URI": wrong})
    with pytest.raises(UsageError, match="plain http"):
        address_from({"MLFLOW_TRACKING_URI": f"http://example.org/mlflow/v1.0{SCOPE}", "MLFLOW_TRACKING_TOKEN": "t"})
    plain = address_from({"MLFLOW_TRACKING_URI": f"http://[::1]:80/mlflow/v1.0{SCOPE}"})
    assert plain.url.startswith("http://[::1]:80/") and plain.auth is None


def test_a_token_of_azure_s_is_kept_until_it_grows_old() -> None:
    class Credential:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def get_token(self, scope: str) -> Any:
            self.asked.append(scope)
            return SimpleNamespace(token=f"t{len(self.asked)}", expires_on=0 if len(self.asked) == 1 else 2**40)

    credential = Credential()
    identity = AzureIdentity("eastus.api.ml.azure.us", {}, credential)
    given = [identity(SimpleNamespace(headers={})).headers["Authorization"] for _ in range(3)]  # type: ignore[arg-type]
    assert given == ["Bearer t1", "Bearer t2", "Bearer t2"]
    assert credential.asked == ["https://management.usgovcloudapi.net/.default"] * 2


def test_no_token_names_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("azure.identity")
    monkeypatch.setenv("AZURE_CLIENT_ID", "id")  # half of what is needed: nothing is asked on the network
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    address = address_from({"MLFLOW_TRACKING_URI": URI})
    assert isinstance(address.auth, AzureIdentity)
    with pytest.raises(BackendUnavailable, match=r"MLFLOW_TRACKING_TOKEN.*AZURE_CLIENT_ID"):
        address.auth(SimpleNamespace(headers={}))  # type: ignore[arg-type]
