"""Models that MLflow's registry gets: one version for each event, whatever is sent twice, and its aliases."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotrack.backend import BackendUnavailable
from autotrack.events import ModelLogged, RunEnded

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Journal, Lent, Server, faulty_proxy, lent, no_mlflow_settings, run_of

__all__ = ["lent", "no_mlflow_settings"]


def registered(lent: Lent, name: str, *aliases: tuple[str, ...]) -> Journal:
    """A run with a model for each tuple of aliases, all registered under one name."""
    journal = Journal()
    journal.start()
    for number, words in enumerate(aliases):
        digest = lent.keep(f"weights {number}".encode())
        journal.add(ModelLogged, f"clf-{number}", "safetensors", digest, 9, number, register=name, aliases=list(words))
    journal.add(RunEnded, "finished")
    return journal


def test_each_event_is_one_version_and_aliases_point_to_the_last(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = registered(lent, "churn", ("champion", "first"), ("champion",), ())
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    for record in journal.records:
        backend.deliver([record])
    backend.close()
    lent.context.state.clear()  # killed before the forwarder kept anything
    again = lent.backend(server.url, monkeypatch)
    again.deliver(journal.records[:2])
    again.deliver(journal.records[1:])
    found, run = server.ask("versions", "churn"), run_of(server, journal)
    assert [one["version"] for one in found["versions"]] == [1, 2, 3]
    assert {one["run"] for one in found["versions"]} == {run["id"]}
    by_step = [model for model, _ in sorted(run["models"], key=lambda item: item[1])]
    assert all(model in one["source"] for one, model in zip(found["versions"], by_step, strict=True))
    assert found["aliases"] == {"champion": "2", "first": "1"}
    assert {one["tags"]["autotrack.run_id"] for one in found["versions"]} == {journal.run}

    server.ask("set_alias", "churn", "champion", "1")
    again.deliver(journal.records)
    assert server.ask("versions", "churn")["aliases"]["champion"] == "1"
    again.close()
    assert lent.notes == []


def test_another_run_adds_the_next_version(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = lent.backend(server.url, monkeypatch)
    for _ in range(2):
        backend.deliver(registered(lent, "shared name", ("champion",)).records)
    backend.close()
    found = server.ask("versions", "shared name")
    assert [one["version"] for one in found["versions"]] == [1, 2] and found["aliases"] == {"champion": "2"}


def test_lost_answers_make_no_second_version(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = registered(lent, "lost", ("champion",))
    with faulty_proxy(server) as proxy:
        for path in ("registered-models/create", "model-versions/create", "registered-models/alias", "set-tag"):
            backend = lent.backend(proxy.url, monkeypatch)
            proxy.fault = lambda method, asked, path=path: "lost" if asked.endswith(path) and method == "POST" else ""
            with pytest.raises(BackendUnavailable):
                backend.deliver(journal.records)
            proxy.fault = lambda method, asked: ""
            backend.close()
            lent.context.state.clear()
        backend = lent.backend(proxy.url, monkeypatch)
        backend.deliver(journal.records)
        backend.close()
    found = server.ask("versions", "lost")
    assert [one["version"] for one in found["versions"]] == [1] and found["aliases"] == {"champion": "1"}


def test_names_that_mlflow_does_not_take_are_told(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = registered(lent, "team/it's:clf", ("latest", "v1", "ok"))
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    backend.close()
    found = server.ask("versions", "team-it-s-clf")
    assert len(found["versions"]) == 1 and found["aliases"] == {"ok": "1"}
    told = [what for _, what, _ in lent.notes]
    assert told == [
        "registered model team/it's:clf",
        "alias latest of model team/it's:clf",
        "alias v1 of model team/it's:clf",
    ]


def test_what_has_no_files_there_is_not_registered_and_told(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start()
    journal.add(ModelLogged, "clf", "none", problem="cannot be saved", register="unkept")
    journal.add(ModelLogged, "clf-2", "safetensors", lent.keep(b"w"), 1, register="elsewhere")
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records[:2])
    backend.close()
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks-uc")
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records[2:])
    backend.close()
    assert [(what, "MLFLOW_REGISTRY_URI" in why) for _, what, why in lent.notes] == [
        ("registered model unkept", False),
        ("registered model elsewhere", True),
    ]


def test_without_logged_models_the_run_s_artifacts_are_registered(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained = tmp_path / "model"
    try:
        expected = server.ask("train", "xgboost.sklearn", str(trained))
    except AssertionError as failure:
        if "No module named" not in str(failure):
            raise
        pytest.skip("needs XGBoost beside MLflow")
    journal = Journal()
    journal.start()
    for step, name in ((1, "loads"), (2, "logged")):  # the second as a logged model
        content, made = lent.keep(trained.read_bytes()), {"class": "xgboost.sklearn.XGBClassifier"}
        journal.add(ModelLogged, "clf", "ubj", content, 9, step, signature=made, register=name, aliases=["now"])
    with faulty_proxy(server) as proxy:
        proxy.fault = lambda method, path: "absent" if "logged-models" in path else ""
        backend = lent.backend(proxy.url, monkeypatch)
        backend.deliver(journal.records[:2])
        backend.deliver(journal.records[:2])
        backend.close()
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records[2:])
    backend.close()
    sources = [one["source"] for name in ("loads", "logged") for one in server.ask("versions", name)["versions"]]
    assert ["/models/" in source for source in sources] == [False, True]
    assert server.ask("predict", "xgboost.sklearn", "models:/loads/1") == expected
    assert server.ask("predict", "xgboost.sklearn", "models:/logged@now") == expected


def test_the_same_file_registered_twice_is_one_version(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start()
    for step in (1, 2):
        journal.add(ModelLogged, "clf", "safetensors", lent.keep(b"the same"), 8, step, register="same")
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    backend.close()
    assert len(server.ask("versions", "same")["versions"]) == 1
