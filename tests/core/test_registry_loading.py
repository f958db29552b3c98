"""`autotrack.load_model` for registered models: the right version, each byte checked, and no code of a file run."""

import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.errors import ModelNotFound, PluginError, RunNotFound, UsageError
from autotrack.plugin import ModelFormat, Saved, hookimpl
from autotrack.plugins import plugins
from autotrack.provenance.blobs import Blobs
from autotrack.registry import changing, reading, writing
from autotrack.registry.loading import runs_code
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))
from registered_models import keep_models

ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.9, 0.3]])
LABELS = np.array([0, 1, 0, 1])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_scikit_learn_model_comes_back_by_alias_version_and_name(home: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    fitted = []
    with recording(home):
        for name, strength in (("weak", 0.01), ("strong", 100.0)):
            with autotrack.start_run(name) as run:
                fitted.append(linear.LogisticRegression(C=strength).fit(ROWS, LABELS))
                run.log_model(fitted[-1], register="clf", aliases=["champion"] if name == "weak" else [])
        for reference, model in (("clf@champion", 0), ("clf/1", 0), ("clf/2", 1), ("clf", 1)):
            loaded = autotrack.load_model(reference)
            assert np.array_equal(loaded.predict_proba(ROWS), fitted[model].predict_proba(ROWS))
        changing.retire("clf/2")
        assert autotrack.load_model("clf").C == 0.01, "the latest that is not retired"
        with pytest.raises(UsageError, match="needs no name"):
            autotrack.load_model("clf/1", "model")


def test_an_xgboost_and_a_torch_model_come_back(home: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(2, 1)
    with recording(home), autotrack.start_run("both") as run:
        booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(ROWS, LABELS), 2)
        run.log_model(booster, "trees")
        run.log_model(net, "net")
    with recording(home):
        assert autotrack.register_model("trees", run, "trees", aliases=["production"])["format"] == "ubj"
        assert autotrack.register_model("net", run.id, "net")["format"] == "safetensors"
        trees = autotrack.load_model("trees@production")
        assert np.array_equal(trees.predict(xgboost.DMatrix(ROWS)), booster.predict(xgboost.DMatrix(ROWS)))
        assert torch.equal(autotrack.load_model("net/1")["weight"], net.weight.detach())


def test_a_run_that_loads_a_registered_model_has_it_as_an_input(home: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    with recording(home, models="off"):
        with autotrack.start_run("first") as first:
            first.log_model(linear.LogisticRegression().fit(ROWS, LABELS), register="clf", aliases=["production"])
        with autotrack.start_run("second") as second:
            autotrack.load_model("clf@production")
        with writing.opened() as store:
            version = reading.resolve(store, "clf@production")
        told = autotrack.get_run(second.id)["inputs"][version["digest"]]
    assert (told["run"], told["registered"], told["by"]) == (first.id, "clf/1", "autotrack.load_model")


def test_a_run_with_the_name_of_a_model_is_not_guessed_and_ids_and_versions_say_which(home: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    with recording(home):
        with autotrack.start_run("clf") as run:
            run.log_model(linear.LogisticRegression(C=2.0).fit(ROWS, LABELS), register="clf")
        with pytest.raises(UsageError, match="say clf/1, or the run's id"):
            autotrack.load_model("clf")
        assert autotrack.load_model(run.id).C == autotrack.load_model("clf/1").C == run.load_model().C == 2.0
        with autotrack.start_run("sweep/3") as other:
            other.log_model(linear.LogisticRegression(C=3.0).fit(ROWS, LABELS))
        assert autotrack.load_model("sweep/3").C == 3.0, "no model is registered as sweep"
        with pytest.raises(ModelNotFound, match="'churn'; there are clf"):
            autotrack.load_model("churn@production")
        with pytest.raises(ModelNotFound, match="no version 9"):
            autotrack.load_model("clf/9")
        with pytest.raises(RunNotFound, match="no run has the id or name 'nothing'"):
            autotrack.load_model("nothing")


def test_a_pinned_digest_must_be_the_versions(home: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    with recording(home, models="off"), autotrack.start_run("one") as run:
        run.log_model(linear.LogisticRegression().fit(ROWS, LABELS), register="clf")
    with recording(home), writing.opened() as store:
        digest = reading.resolve(store, "clf")["digest"]
        for spelled in (digest, f"sha256:{digest.upper()}", f"sha256-{digest}"):
            assert autotrack.load_model("clf/1", digest=spelled).C == 1.0
        with pytest.raises(ModelNotFound, match="not what was pinned"):
            autotrack.load_model("clf/1", digest="0" * 64)
        with pytest.raises(ModelNotFound, match="not what was pinned"):
            autotrack.load_model(run.id, digest="0" * 64)


def test_a_file_that_was_changed_is_not_loaded(home: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    with recording(home, models="off"), autotrack.start_run("one") as run:
        run.log_model(linear.LogisticRegression().fit(ROWS, LABELS), register="clf")
    with recording(home), writing.opened() as store:
        blob = Blobs(home).path(reading.resolve(store, "clf")["digest"])
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        blob.unlink()
        blob.write_bytes(content)
        for reference in ("clf/1", run.id):
            with pytest.raises(ModelNotFound, match="its file is damaged"):
                autotrack.load_model(reference)
        blob.unlink()
        with pytest.raises(ModelNotFound, match="any more"):
            autotrack.load_model("clf/1")


class Bomb:
    """Reading its pickle makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("format", ["pickle", "skops"])
def test_a_pickle_is_refused_whatever_it_is_called_and_read_only_for_who_pins_it(
    home: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plugin:
        @hookimpl
        def autotrack_register_formats(self, register: Any) -> None:
            register(ModelFormat("bombs", "bombs:save", "bombs:load", ()))

    bombs = types.ModuleType("bombs")
    bombs.save = lambda model: Saved(format, data=pickle.dumps(model))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bombs", bombs)
    monkeypatch.setattr(Bomb, "__module__", "bombs")
    target = home.parent / "touched"
    plugins.register(Plugin(), f"bombs-{format}")
    try:
        with recording(home):
            with autotrack.start_run("bad") as run:
                run.log_model(Bomb(target), register="bad", aliases=["production"])
            for reference in ("bad@production", "bad/1", run.id):
                with pytest.raises(PluginError, match="would run whatever code it holds; if you know") as told:
                    autotrack.load_model(reference)
            assert not target.exists()
            if format == "pickle":
                digest = str(told.value).rpartition("digest='")[2].rstrip("')")
                autotrack.load_model("bad@production", digest=digest)
                assert target.exists()
    finally:
        plugins.formats[:] = [one for one in plugins.formats if one.package != "bombs"]


def test_what_runs_code_is_told_by_its_content_too(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "new")
    (tmp_path / "old").write_bytes(pickle.dumps([1], protocol=2))
    (tmp_path / "json").write_text(json.dumps({"a": 1}))
    assert runs_code(tmp_path / "new", "safetensors")
    assert runs_code(tmp_path / "old", "ubj")
    assert runs_code(tmp_path / "json", "joblib")
    assert not runs_code(tmp_path / "json", "json")


def test_a_version_whose_format_nobody_knows_says_what_is_missing(home: Path) -> None:
    keep_models(home, "one")
    with recording(home):
        autotrack.register_model("clf", "one")
        with pytest.raises(PluginError, match="no plugin reads models in the format 'bytes'"):
            autotrack.load_model("clf")
