"""Models that the MLflow backend uploaded, loaded with MLflow itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotrack.events import ModelLogged

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Journal, Lent, Server, faulty_proxy, lent, no_mlflow_settings, run_of

__all__ = ["lent", "no_mlflow_settings"]


@pytest.mark.parametrize(
    ("flavor", "format", "trained_class"),
    [
        ("xgboost", "ubj", "xgboost.core.Booster"),
        ("xgboost.sklearn", "ubj", "xgboost.sklearn.XGBClassifier"),
        ("sklearn", "skops", "sklearn.pipeline.Pipeline"),
        ("lightgbm", "text", "lightgbm.basic.Booster"),
        ("catboost", "cbm", "catboost.core.CatBoostRegressor"),
        ("keras", "keras", "keras.src.models.sequential.Sequential"),
    ],
)
def test_a_model_loads_with_its_own_flavor_and_as_a_function(
    flavor: str,
    format: str,
    trained_class: str,
    server: Server,
    lent: Lent,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    trained = tmp_path / "model"
    try:
        expected = server.ask("train", flavor, str(trained))
    except AssertionError as failure:
        if "No module named" not in str(failure):
            raise
        pytest.skip(f"needs {flavor} and {format} beside MLflow")
    content = trained.read_bytes()
    journal = Journal()
    journal.start()
    journal.add(ModelLogged, "clf", format, lent.keep(content), len(content), 3, signature={"class": trained_class})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    backend.deliver(journal.records)
    run = run_of(server, journal)
    assert len(run["models"]) == 1
    model_uri = f"models:/{run['models'][0][0]}"
    run_uri = f"runs:/{run['id']}/clf"
    assert server.ask("predict", flavor, model_uri) == expected
    assert server.ask("predict", flavor, run_uri) == expected
    if flavor != "xgboost":  # a bare booster wants the names of its columns in a frame
        assert server.ask("predict", "function", model_uri) == expected
    backend.close()


def test_a_model_among_run_artifacts_loads_too(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained = tmp_path / "model"
    try:
        expected = server.ask("train", "sklearn", str(trained))
    except AssertionError as failure:
        if "No module named" not in str(failure):
            raise
        pytest.skip("needs scikit-learn and skops beside MLflow")
    journal = Journal()
    journal.start()
    journal.add(ModelLogged, "clf", "skops", lent.keep(trained.read_bytes()))
    with faulty_proxy(server) as proxy:
        proxy.fault = lambda method, path: "absent" if "logged-models" in path else ""
        backend = lent.backend(proxy.url, monkeypatch)
        backend.deliver(journal.records)
        backend.close()
    run = run_of(server, journal)
    assert server.ask("predict", "sklearn", f"runs:/{run['id']}/clf") == expected
