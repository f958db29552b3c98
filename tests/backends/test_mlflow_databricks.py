"""The MLflow backend and Databricks: addresses and tokens by its own variables, folders, and files by signed addresses.

No workspace runs here. A gate stands for one: it answers what only Databricks answers, with requests and answers held
against MLflow's own messages for them, and passes everything else on to a real MLflow server.
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from autotrack.backend import BackendUnavailable
from autotrack.errors import UsageError
from autotrack.events import ArtifactLogged, ConsoleLogged, MetricsLogged, ModelLogged, ProvenanceLogged, RunEnded
from autotrack.remote import Bearer
from autotrack_mlflow.address import address_from

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from gate import Answer, Gate, Request
from mlflow_server import Journal, Lent, Server, lent, no_mlflow_settings, run_of

__all__ = ["lent", "no_mlflow_settings"]

ROOT = "dbfs:/databricks/mlflow-tracking"
TOKEN = "dapi0123456789abcdef"


@pytest.fixture(autouse=True)
def no_databricks_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "CONFIG_PROFILE", "INSECURE"):
        monkeypatch.delenv("DATABRICKS_" + name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none.cfg"))


class Workspace(Gate):
    """What a workspace has otherwise than MLflow's server."""

    def __init__(self, server: Server, kind: str = "AWS_PRESIGNED_URL") -> None:
        self.kind = kind
        self.files: dict[str, bytes] = {}
        self.signed_in = 0
        super().__init__(server.url, self._look, self._change)

    def _change(self, request: Request, content: bytes) -> bytes:
        return content.replace(b"mlflow-artifacts:", ROOT.encode())

    def _look(self, request: Request) -> Answer | None:
        parts = urlsplit(request.path)
        if parts.path.startswith("/storage/"):
            return self._store(request, parts.path)
        if parts.path == "/oidc/v1/token":
            return self._sign_in(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(401)
        if parts.path == "/api/2.0/preview/scim/v2/Me":
            return Answer(200, {"userName": "ada@example.org"})
        if "/credentials-for-" in parts.path:
            return self._sign(parts.path, request.body)
        if parts.path.endswith("/experiments/create") and not json.loads(request.body)["name"].startswith("/"):
            return Answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "not an absolute path"})
        if parts.path.endswith("/artifacts/list"):
            asked = {key: value for key, (value,) in parse_qs(parts.query).items()}
            names = [name.removeprefix(asked["run_id"] + "/") for name in self.files if asked["run_id"] in name]
            inside = [name for name in names if name.startswith(asked["path"] + "/")]
            return Answer(200, {"files": [{"path": name, "is_dir": False} for name in inside]})
        return Answer(404) if "mlflow-artifacts" in parts.path else None

    def _sign_in(self, request: Request) -> Answer:
        self.signed_in += 1
        if request.headers.get("authorization") != "Basic " + b64encode(b"principal:s3cret").decode():
            return Answer(400, {"error": "invalid_client"})
        assert parse_qs(request.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["all-apis"]}
        return Answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})

    def _store(self, request: Request, path: str) -> Answer:
        assert "authorization" not in request.headers, "the token is sent to the store as well"
        assert request.path.endswith("?signature=s")
        if request.method == "PUT":
            assert request.headers["x-signed"] == "yes"
            assert (request.headers.get("x-ms-blob-type") == "BlockBlob") == (self.kind == "AZURE_SAS_URI")
            self.files[path.removeprefix("/storage/")] = request.body
            return Answer(200)
        held = self.files.get(path.removeprefix("/storage/"))
        return Answer(403) if held is None else Answer(200, held)

    def _sign(self, path: str, body: bytes) -> Answer:
        messages = pytest.importorskip("mlflow.protos.databricks_artifacts_pb2")
        json_format = pytest.importorskip("google.protobuf.json_format")
        model = re.search("/logged-models/([^/]+)/", path)
        names = {
            "read": "GetCredentialsForRead",
            "write": "GetCredentialsForWrite",
            "upload": "GetCredentialsForLoggedModelUpload",
            "download": "GetCredentialsForLoggedModelDownload",
        }
        message = getattr(messages, names[path.rpartition("-")[2]])
        asked = json_format.Parse(body, message())  # an unknown field is an error
        if model:
            (file,) = asked.paths
            name = f"{model[1]}/{file}"
        else:
            (file,) = asked.path
            name = f"{asked.run_id}/{file}"
        credential = {
            "path": file,
            "signed_uri": f"{self.url}/storage/{name}?signature=s",
            "headers": [{"name": "x-signed", "value": "yes"}],
            "type": self.kind,
        }
        if model:
            answer = {"credentials": [{"model_id": model[1], "credential_info": credential}]}
        else:
            answer = {"credential_infos": [credential]}
        json_format.ParseDict(answer, message.Response())
        return Answer(200, answer)


def everything(lent: Lent) -> Journal:
    journal = Journal(project="churn")
    journal.start(environment={"python": "3.12"})
    journal.add(MetricsLogged, 1, {"loss": 0.5})
    journal.add(ArtifactLogged, "plots/a b.txt", lent.keep(b"text"), 4)
    journal.add(ArtifactLogged, "empty", lent.keep(b""), 0)
    journal.add(ModelLogged, "clf", "safetensors", lent.keep(b"weights"), 7, register="clf")
    journal.add(ModelLogged, "clf-2", "safetensors", lent.keep(b"weights 2"), 9, register="main.default.clf")
    journal.add(ConsoleLogged, "stdout", "first\n")
    journal.add(ConsoleLogged, "stdout", "second\n")
    journal.add(ProvenanceLogged, "randomness", {"seed": 7})
    journal.add(RunEnded, "finished")
    return journal


@pytest.mark.parametrize("kind", ["AWS_PRESIGNED_URL", "AZURE_SAS_URI"])
def test_a_run_and_its_files_reach_a_workspace(
    kind: str, server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = everything(lent)
    with Workspace(server, kind) as workspace:
        monkeypatch.setenv("DATABRICKS_HOST", workspace.url + "/")
        monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
        backend = lent.backend("databricks", monkeypatch)
        backend.deliver(journal.records[:7])
        backend.deliver(journal.records[5:])
        backend.deliver(journal.records)
        backend.close()
    run = run_of(server, journal)
    assert run["experiment"] == "/Users/ada@example.org/churn" and run["status"] == "FINISHED"
    files = {name.removeprefix(run["id"] + "/"): content for name, content in workspace.files.items()}
    assert files["plots/a%20b.txt"] == b"text" and files["empty"] == b""
    assert files["autotrack/console.log"] == b"first\nsecond\n"
    assert json.loads(files["autotrack/randomness.json"]) == {"seed": 7}
    assert {files[f"{model}/model.safetensors"] for model, _ in run["models"]} == {b"weights", b"weights 2"}
    assert len(server.ask("versions", "clf")["versions"]) >= 1
    assert {what for _, what, why in lent.notes if "Unity Catalog" in why} == {"registered model main.default.clf"}


def test_a_store_that_wants_several_requests_is_told_and_costs_no_metric(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autotrack.backend import BackendRejected

    journal = Journal()
    journal.start()
    journal.add(ArtifactLogged, "a.txt", lent.keep(b"text"), 4)
    with Workspace(server, "AZURE_ADLS_GEN2_SAS_URI") as workspace:
        monkeypatch.setenv("DATABRICKS_HOST", workspace.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
        backend = lent.backend("databricks", monkeypatch)
        backend.deliver(journal.records[:1])
        with pytest.raises(BackendRejected, match="ADLS_GEN2"):
            backend.deliver(journal.records[1:])
        backend.close()


def test_a_wrong_token_names_its_variable(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    with Workspace(server) as workspace:
        monkeypatch.setenv("DATABRICKS_HOST", workspace.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", "other")
        with pytest.raises(BackendUnavailable, match=r"401.*DATABRICKS_TOKEN"):
            lent.backend("databricks", monkeypatch)


def test_a_service_principal_signs_in_once(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    with Workspace(server) as workspace:
        monkeypatch.setenv("DATABRICKS_HOST", workspace.url)
        monkeypatch.setenv("DATABRICKS_CLIENT_ID", "principal")
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "s3cret")
        backend = lent.backend("databricks", monkeypatch)
        journal = Journal()
        backend.deliver([journal.start()])
        backend.close()
        assert workspace.signed_in == 1
        assert run_of(server, journal)["status"] == "RUNNING"
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "wrong")
        with pytest.raises(BackendUnavailable, match="DATABRICKS_CLIENT_SECRET") as raised:
            lent.backend("databricks", monkeypatch)
        assert "wrong" not in str(raised.value)


def test_profiles_are_read_as_databricks_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "databrickscfg"
    path.write_text(
        "[DEFAULT]\nhost = https://default.example.org\ntoken = d%3D\n"
        "[prod]\nhost = prod.example.org/\ntoken = p\n[bare]\nhost = https://bare.example.org\n"
    )
    config = {"DATABRICKS_CONFIG_FILE": str(path)}

    def found(uri: str, **more: str) -> tuple[str, str]:
        address = address_from({"MLFLOW_TRACKING_URI": uri, **config, **more})
        assert isinstance(address.auth, Bearer)
        return address.url, address.auth.token

    variables = {"DATABRICKS_HOST": "https://v.example.org", "DATABRICKS_TOKEN": "v"}
    assert found("databricks") == ("https://default.example.org", "d%3D")
    assert found("databricks", **variables) == ("https://v.example.org", "v")
    assert found("databricks://prod", **variables) == ("https://prod.example.org", "p")
    assert found("databricks", DATABRICKS_CONFIG_PROFILE="prod") == ("https://prod.example.org", "p")
    for uri in ("databricks://bare", "databricks://none"):  # the token of DEFAULT is not for another host
        with pytest.raises(UsageError, match="DATABRICKS_HOST and DATABRICKS_TOKEN"):
            found(uri)
    with pytest.raises(UsageError, match="secret scope"):
        found("databricks://scope:prefix")
