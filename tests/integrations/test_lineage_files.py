"""Files that frameworks save and load link the runs on both ends; so does a model that is trained further."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.lineage import Graph, lineage
from autotrack.reading import open_store
from autotrack.testing import Recorded, recording

ROWS = np.random.default_rng(0).normal(size=(60, 3))
TARGET = (ROWS[:, 0] > 0).astype(int)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "home") as found:
        yield found


def around(run: str) -> Graph:
    with open_store() as store:
        return lineage(store, run)


def newest() -> dict[str, Any]:
    return autotrack.get_run(autotrack.runs(limit=1)[0]["id"])


def moved(path: Path) -> Path:
    """The file under another name and with another time: only its bytes are left to know it by."""
    copy = path.with_name("copy-" + path.name)
    shutil.copyfile(path, copy)
    path.unlink()
    return copy


def check_linked(first: str, second: str, by: str) -> None:
    """`second` has one input, which `first` has made, and each finds the other."""
    graph = around(second)
    found = [edge for edge in graph.into(f"run:{second}", "input") if edge.source.startswith("model:")]
    assert [edge.told["by"] for edge in found] == [by]
    makers = {edge.source for edge in graph.into(found[0].source, "output")}
    assert makers == {f"run:{first}"}
    assert f"run:{second}" in around(first).nodes


@pytest.mark.parametrize("library", ["joblib", "skops"])
def test_an_estimator_in_a_file(recorded: Recorded, tmp_path: Path, library: str) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(ROWS, TARGET)
    first = newest()["id"]
    if library == "joblib":
        import joblib

        joblib.dump(model, tmp_path / "model.pkl")
        with autotrack.start_run("second") as second:
            joblib.load(moved(tmp_path / "model.pkl"))
    else:
        import skops.io

        skops.io.dump(model, tmp_path / "model.pkl")
        with autotrack.start_run("second") as second:
            skops.io.load(moved(tmp_path / "model.pkl"))
    check_linked(first, second.id, f"{library}.load")


def test_arrays_in_files_are_no_models(recorded: Recorded, tmp_path: Path) -> None:
    import joblib
    import torch

    with autotrack.start_run("first"):
        joblib.dump(ROWS, tmp_path / "rows.pkl")
        joblib.load(tmp_path / "rows.pkl")
        torch.save({"image": torch.zeros(3), "label": 1}, tmp_path / "sample.pt")
        torch.load(tmp_path / "sample.pt")
    record = autotrack.get_run("first")
    assert "inputs" not in record and "outputs" not in record


def test_a_frozen_estimator_leads_to_the_run_that_fitted_it(recorded: Recorded) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(ROWS, TARGET)
    first = newest()["id"]
    CalibratedClassifierCV(FrozenEstimator(model)).fit(ROWS, TARGET)
    assert newest()["inputs"] == {f"run:{first}": {"by": "FrozenEstimator", "run": first}}


@pytest.mark.parametrize("given", ["booster", "path", "loaded before"])
def test_xgboost_that_trains_further(recorded: Recorded, tmp_path: Path, given: str) -> None:
    import xgboost

    data = xgboost.DMatrix(ROWS, TARGET)
    booster = xgboost.train({"max_depth": 2}, data, 2)
    first = newest()["id"]
    path = tmp_path / "model.ubj"
    booster.save_model(path)
    path = moved(path)
    if given == "booster":
        xgboost.train({"max_depth": 2}, data, 2, xgb_model=booster)
        assert newest()["inputs"] == {f"run:{first}": {"by": "xgb_model", "run": first}}
        return
    base: Any = str(path)
    if given == "loaded before":
        base = xgboost.Booster(model_file=path)
    xgboost.train({"max_depth": 2}, data, 2, xgb_model=base)
    check_linked(first, newest()["id"], "xgb_model" if given == "path" else "xgboost.Booster.load_model")


@pytest.mark.parametrize("given", ["booster", "path", "loaded before"])
def test_lightgbm_that_trains_further(recorded: Recorded, tmp_path: Path, given: str) -> None:
    import lightgbm

    params = {"min_data_in_leaf": 1, "verbose": -1}
    booster = lightgbm.train(params, lightgbm.Dataset(ROWS, TARGET), 2)
    first = newest()["id"]
    booster.save_model(tmp_path / "model.txt")
    path = moved(tmp_path / "model.txt")
    data = lightgbm.Dataset(ROWS, TARGET, free_raw_data=False)
    if given == "booster":
        lightgbm.train(params, data, 2, init_model=booster)
        assert newest()["inputs"] == {f"run:{first}": {"by": "init_model", "run": first}}
        return
    base: Any = str(path) if given == "path" else lightgbm.Booster(model_file=path)
    lightgbm.train(params, data, 2, init_model=base)
    check_linked(first, newest()["id"], "init_model" if given == "path" else "lightgbm.Booster")


def test_catboost_that_trains_further(recorded: Recorded, tmp_path: Path) -> None:
    import catboost

    def model() -> Any:
        return catboost.CatBoostClassifier(iterations=2, silent=True, allow_writing_files=False)

    fitted = model().fit(ROWS, TARGET)
    first = newest()["id"]
    fitted.save_model(str(tmp_path / "model.cbm"))
    again = model().load_model(str(moved(tmp_path / "model.cbm")))
    model().fit(ROWS, TARGET, init_model=again)
    check_linked(first, newest()["id"], "catboost.load_model")
    before = newest()["id"]
    model().fit(ROWS, TARGET, init_model=fitted)
    assert f"run:{first}" in newest()["inputs"] and newest()["id"] != before


@pytest.mark.parametrize("library", ["torch", "safetensors"])
@pytest.mark.parametrize("when", ["before", "inside"])
def test_weights_of_torch_in_a_file(recorded: Recorded, tmp_path: Path, library: str, when: str) -> None:
    import safetensors.torch
    import torch

    module = torch.nn.Linear(2, 1)
    path = tmp_path / "model.pt"
    with autotrack.start_run("first") as first:
        if library == "torch":
            torch.save({"model": module.state_dict(), "epoch": 3}, path)
        else:
            safetensors.torch.save_file(module.state_dict(), path)
    path = moved(path)
    load = torch.load if library == "torch" else safetensors.torch.load_file
    if when == "before":
        load(path)
        with autotrack.start_run("second") as second:
            pass
    else:
        with autotrack.start_run("second") as second:
            load(path)
    check_linked(first.id, second.id, "torch.load" if library == "torch" else "safetensors.torch.load_file")


def test_a_file_of_safetensors_is_known_as_the_model_that_was_kept(recorded: Recorded, tmp_path: Path) -> None:
    import safetensors.torch
    import torch

    module = torch.nn.Linear(2, 1)
    safetensors.torch.save_file(module.state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    with autotrack.start_run("first") as first:
        first.log_model(module)
    with autotrack.start_run("second") as second:
        safetensors.torch.load_file(tmp_path / "model.safetensors")
    check_linked(first.id, second.id, "safetensors.torch.load_file")


def test_autotrack_load_model(recorded: Recorded) -> None:
    from sklearn.linear_model import LogisticRegression

    LogisticRegression().fit(ROWS, TARGET)
    first = newest()["id"]
    with autotrack.start_run("second") as second:
        autotrack.load_model(first)
    check_linked(first, second.id, "autotrack.load_model")


def test_keras_models_and_weights(recorded: Recorded, tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(ROWS, TARGET, verbose=0)
    first = newest()["id"]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(moved(tmp_path / "model.keras"))
    again.fit(ROWS, TARGET, verbose=0)
    second = newest()["id"]
    check_linked(first, second, "keras.load_model")
    model.fit(ROWS, TARGET, verbose=0)
    assert f"run:{first}" in newest()["inputs"]


def test_a_checkpoint_of_lightning(recorded: Recorded, tmp_path: Path) -> None:
    import lightning
    import torch

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return self.layer(batch[0]).pow(2).mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(ROWS, dtype=torch.float32)), 30)

    def trainer() -> Any:
        return lightning.Trainer(
            max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, accelerator="cpu",
        )  # fmt: skip

    module, training = Module(), trainer()
    training.fit(module, data)
    first = newest()["id"]
    training.save_checkpoint(tmp_path / "model.ckpt")
    path = moved(tmp_path / "model.ckpt")
    trainer().fit(Module.load_from_checkpoint(path), data)
    check_linked(first, newest()["id"], "torch.load")
    trainer().fit(module, data)
    assert f"run:{first}" in newest()["inputs"]


def test_a_folder_of_transformers(recorded: Recorded, tmp_path: Path) -> None:
    import transformers

    transformers.Trainer  # noqa: B018  its module is what the integration waits for
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    with autotrack.start_run("first") as first:
        transformers.BertModel(config).save_pretrained(tmp_path / "model")
    shutil.copytree(tmp_path / "model", tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(tmp_path / "model")
    with autotrack.start_run("second") as second:
        transformers.AutoModel.from_pretrained(tmp_path / "copy")
    check_linked(first.id, second.id, "transformers.from_pretrained")
