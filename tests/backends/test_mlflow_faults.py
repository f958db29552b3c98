"""The MLflow backend when the server or the way to it fails: nothing is lost, nothing arrives twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import autotrack_mlflow.client as client_module
from autotrack.backend import BackendRejected, BackendUnavailable
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    RunEnded,
    TagsSet,
)
from autotrack.remote import Address, Bearer
from autotrack_mlflow.address import address_from
from autotrack_mlflow.backend import MlflowBackend
from autotrack_mlflow.client import Client

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import FaultyProxy, Journal, Lent, Server, faulty_proxy, lent, no_mlflow_settings, run_of

__all__ = ["lent", "no_mlflow_settings"]


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(server) as proxy:
        yield proxy


def full(lent: Lent) -> Journal:
    journal = Journal()
    journal.start(environment={"python": "3.12"})
    journal.add(ParamsLogged, {"lr": 0.1})
    journal.add(ParamsLogged, {"lr": 0.2})
    for step in range(1100):
        journal.add(MetricsLogged, step, {"loss": float(step)})
    journal.add(TagsSet, {"team": "risk"})
    journal.add(DatasetLogged, "train", "data", {"value": "x1:" + "0" * 32})
    journal.add(ArtifactLogged, "a.txt", lent.keep(b"text"), 4)
    journal.add(ModelLogged, "model", "safetensors", lent.keep(b"weights"), 7)
    journal.add(NoteLogged, "dropped", 3, "why")
    journal.add(RunEnded, "finished")
    return journal


def check_full(server: Server, journal: Journal) -> None:
    run = run_of(server, journal)
    assert run["status"] == "FINISHED"
    assert run["params"] == {"lr": "0.1"} and run["tags"]["autotrack.param.lr"] == "0.2"
    assert [float(value) for _, _, value in run["metrics"]["loss"]] == [float(step) for step in range(1100)]
    assert run["tags"]["team"] == "risk" and '"dropped": 3' in run["tags"]["autotrack.notes"]
    assert len(run["datasets"]) == 1 and len(run["models"]) == 1
    assert run["artifacts"] == ["a.txt", "autotrack/run.json"]
    assert len([item for item in server.ask("models") if item["run"] == run["id"]]) == 1


def deliver_until_held(backend: MlflowBackend, journal: Journal, tries: int = 60) -> list[BackendUnavailable]:
    """What the forwarder does, without its waiting."""
    errors: list[BackendUnavailable] = []
    for _ in range(tries):
        try:
            assert backend.deliver(journal.records) == journal.records[-1].sequence
            return errors
        except BackendUnavailable as error:
            errors.append(error)
    raise AssertionError(f"never delivered: {errors[-1]}")


@pytest.mark.parametrize("fault", ["429", "500", "close", "lost", "hang"])
def test_each_request_fails_once(
    fault: str, server: Server, proxy: FaultyProxy, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "READ_SECONDS", 0.7 if fault == "hang" else 30.0)
    backend = lent.backend(proxy.url, monkeypatch)
    failed: set[tuple[str, str, int]] = set()
    count: dict[tuple[str, str], int] = {}

    def once(method: str, path: str) -> str:
        """Every request of a delivery fails the first time that the delivery comes that far."""
        key = (method, path.split("?")[0])
        count[key] = count.get(key, 0) + 1
        if (*key, count[key]) in failed:
            return ""
        failed.add((*key, count[key]))
        count.clear()
        return fault

    proxy.fault = once
    journal = full(lent)
    errors = deliver_until_held(backend, journal)
    assert len(errors) >= 10
    if fault == "429":
        assert all(error.retry_after == 7 for error in errors)
    proxy.fault = lambda method, path: ""
    check_full(server, journal)
    backend.close()


def test_lost_answers_and_lost_state(
    server: Server, proxy: FaultyProxy, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = full(lent)
    for path in ("runs/create", "log-batch", "log-inputs", "logged-models", "runs/outputs", "runs/update"):
        backend = lent.backend(proxy.url, monkeypatch)
        proxy.fault = lambda method, asked, path=path: "lost" if asked.endswith(path) and method == "POST" else ""
        with pytest.raises(BackendUnavailable):
            backend.deliver(journal.records)
        proxy.fault = lambda method, asked: ""
        backend.close()
        lent.context.state.clear()  # killed before the forwarder kept it
    backend = lent.backend(proxy.url, monkeypatch)
    backend.deliver(journal.records)
    check_full(server, journal)
    backend.close()


def test_missing_credentials_name_the_variable(proxy: FaultyProxy, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.fault = lambda method, path: "401"
    with pytest.raises(BackendUnavailable, match="MLFLOW_TRACKING_TOKEN"):
        lent.backend(proxy.url, monkeypatch)


def test_a_server_that_is_none_is_said_so(proxy: FaultyProxy, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.fault = lambda method, path: "absent"
    with pytest.raises(BackendUnavailable, match="MLFLOW_TRACKING_URI"):
        lent.backend(proxy.url, monkeypatch)


def test_what_the_server_refuses_is_rejected_and_the_rest_can_follow(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start()
    bad = journal.add(MetricsLogged, 0, {"no[brackets]": 1.0})
    good = journal.add(MetricsLogged, 0, {"loss": 1.0})
    backend = lent.backend(server.url, monkeypatch)
    with pytest.raises(BackendRejected, match="brackets"):
        backend.deliver(journal.records)
    with pytest.raises(BackendRejected):
        backend.deliver([bad])
    backend.deliver([good])
    assert list(run_of(server, journal)["metrics"]) == ["loss"]
    backend.close()


def test_a_server_without_logged_models_gets_run_artifacts(
    server: Server, proxy: FaultyProxy, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.fault = lambda method, path: "absent" if "logged-models" in path else ""
    journal = Journal()
    journal.start()
    journal.add(ModelLogged, "clf", "skops", lent.keep(b"weights"), 7)
    backend = lent.backend(proxy.url, monkeypatch)
    backend.deliver(journal.records)
    backend.deliver(journal.records)
    run = run_of(server, journal)
    assert run["artifacts"] == ["clf/MLmodel", "clf/model.skops"] and run["models"] == []
    backend.close()


def test_a_server_that_keeps_artifacts_elsewhere(
    server: Server, tmp_path: Path, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = Server(server.program, tmp_path, "--no-serve-artifacts", "--default-artifact-root", str(tmp_path / "root"))
    apart.start()
    try:
        journal = full(lent)
        backend = lent.backend(apart.url, monkeypatch)
        backend.deliver(journal.records)
        run = run_of(apart, journal)
        assert run["status"] == "FINISHED" and len(run["metrics"]["loss"]) == 1100 and run["artifacts"] == []
        told = {what for _, what, why in lent.notes if "takes no uploads" in why}
        assert told == {"artifact a.txt", "model model", "environment and code"}
        backend.close()
    finally:
        apart.stop()


def test_the_server_goes_away_and_comes_back(
    server: Server, tmp_path: Path, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Server(server.program, tmp_path)
    own.start()
    try:
        journal = full(lent)
        backend = lent.backend(own.url, monkeypatch)
        backend.deliver(journal.records[:700])
        own.stop()
        with pytest.raises(BackendUnavailable, match="no answer"):
            backend.deliver(journal.records[700:])
        with pytest.raises(BackendUnavailable, match="no answer"):
            Lent(tmp_path / "second").backend(own.url, monkeypatch)
        own.start()
        backend.deliver(journal.records[700:])
        check_full(own, journal)
        backend.close()
    finally:
        own.stop()


def test_the_address_from_the_standard_variables(server: Server) -> None:
    given = {"MLFLOW_TRACKING_URI": "https://user:word@host/x/", "MLFLOW_TRACKING_TOKEN": "t0ken"}
    address = address_from(given)
    assert isinstance(address.auth, Bearer) and address.verify is True
    assert address.shown == "https://host/x"
    both = address_from({**given, "MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"})
    assert both.auth is not None and not isinstance(both.auth, Bearer)
    assert address_from({**given, "MLFLOW_TRACKING_INSECURE_TLS": "true"}).verify is False
    assert address_from({**given, "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem"}).verify == "/ca.pem"


def test_the_token_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Watching(Bearer):
        def __call__(self, request):  # type: ignore[no-untyped-def]
            signed = super().__call__(request)
            seen.append(signed.headers["Authorization"])
            return signed

    client = Client(Address(server.url, "MLFLOW_TRACKING_URI", auth=Watching("t0ken")))
    assert client.post("experiments/search", {"max_results": 1})["experiments"]
    client.close()
    assert seen == ["Bearer t0ken"]
