"""A project is tracked, its folder deleted, and its runs are made again elsewhere, from the record alone."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")

TRAIN = """
import sys
import autotrack
from parts.data import table

autotrack.enable(torch_loop=True)
X, y = table(sys.argv[2])
seed = int(open(sys.argv[3]).read())


def with_sklearn():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import log_loss

    from tinylib import depth

    model = RandomForestClassifier(n_estimators=5, max_depth=depth(), random_state=seed).fit(X, y)
    log_loss(y, model.predict_proba(X))
    model.score(X, y)


def with_chance():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import log_loss

    model = RandomForestClassifier(n_estimators=5, max_depth=2).fit(X, y)
    log_loss(y, model.predict_proba(X))


def with_xgboost():
    import xgboost

    matrix = xgboost.DMatrix(X, y)
    params = {"objective": "binary:logistic", "subsample": 0.5, "seed": seed}
    xgboost.train(params, matrix, 5, evals=[(matrix, "train")], verbose_eval=False)


def with_torch():
    import torch

    torch.manual_seed(seed)
    data = torch.utils.data.TensorDataset(torch.tensor(X).float(), torch.tensor(y).float())
    model = torch.nn.Sequential(torch.nn.Linear(X.shape[1], 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(2):
        for features, target in torch.utils.data.DataLoader(data, batch_size=16, shuffle=True):
            loss = torch.nn.functional.mse_loss(model(features)[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def with_loop():
    import numpy as np

    from tinylib import depth

    generator = np.random.default_rng(seed)
    weight = generator.normal(size=X.shape[1])
    with autotrack.start_run("descent", params={"seed": seed}) as run:
        run.log_dataset({"X": X, "y": y}, role="train", name="table")
        print("training", flush=True)
        for step in range(20):
            gap = X @ weight - y
            weight -= 0.005 * depth() * X.T @ gap / len(X)
            run.log_metrics({"loss": float(gap @ gap)}, step=step)


globals()[f"with_{sys.argv[1]}"]()
"""
DATA = """
from pathlib import Path

import numpy as np

BINARY = Path(__file__).with_name("scale.bin")


def table(path):
    values = np.loadtxt(path, delimiter=",")
    scale = np.frombuffer(BINARY.read_bytes(), dtype=np.float64)[0] if BINARY.exists() else 1.0
    return values[:, :-1] * scale, values[:, -1]
"""


@dataclass
class Place:
    """Where everything is: the project, which goes, and what is outside of it, which stays."""

    project: Path
    home: Path
    data: Path
    seed: Path
    library: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
        return {
            **kept,
            "AUTOTRACK_HOME": str(self.home),
            "AUTOTRACK_FORWARDER": "off",
            "PYTHONPATH": str(self.library),
            "OMP_NUM_THREADS": "1",
            **more,
        }

    def track(self, kind: str, *command: str, data: str | None = None) -> None:
        words = [*(command or ("train.py",)), kind, data or str(self.data), str(self.seed)]
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.project,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def reproduce(self, run: str = "latest", *options: str, **more: str) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "autotrack", "reproduce", run, "--json", *options]
        done = subprocess.run(
            command, cwd=self.home, env=self.environment(**more), capture_output=True, text=True, check=False
        )
        assert done.stdout, done.stderr
        verdict = json.loads(done.stdout)
        if "autotrack-reproduce-" in (verdict["folder"] or ""):
            shutil.rmtree(verdict["folder"], ignore_errors=True)
        return done.returncode, verdict

    def record(self, run: str = "latest") -> dict[str, Any]:
        command = [sys.executable, "-m", "autotrack", "show", run, "--json"]
        done = subprocess.run(command, cwd=self.home, env=self.environment(), capture_output=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def library(folder: Path, version: str, depth: int) -> None:
    """A tiny distribution that says how deep trees are to be."""
    shutil.rmtree(folder, ignore_errors=True)
    information = folder / f"tinylib-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tinylib\nVersion: {version}\n")
    (folder / "tinylib.py").write_text(f"def depth():\n    return {depth}\n")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    import numpy as np

    made = Place(*(tmp_path / name for name in ("project", "home", "outside/data.csv", "outside/seed.txt", "library")))
    (made.project / "parts").mkdir(parents=True)
    made.data.parent.mkdir()
    made.home.mkdir()
    values = np.random.default_rng(3).normal(size=(64, 4))
    values[:, -1] = values[:, 0] + values[:, 1] ** 2 > 0.5
    np.savetxt(made.data, values, delimiter=",")
    made.seed.write_text("7")
    library(made.library, "1.0", 2)
    (made.project / "train.py").write_text(TRAIN)
    (made.project / "parts" / "__init__.py").write_text("")
    (made.project / "parts" / "data.py").write_text(DATA)
    return made


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True, capture_output=True
    )


@pytest.fixture
def repository(place: Place) -> Place:
    """The project in git, with a change that is not committed and files, one of them binary, that are not tracked."""
    project = place.project
    whole = (project / "train.py").read_text()
    (project / "train.py").write_text("raise SystemExit('an old version')\n")
    git(project, "init", "-q")
    git(project, "add", "train.py")
    git(project, "commit", "-qm", "first")
    (project / "train.py").write_text(whole)
    import numpy as np

    (project / "parts" / "scale.bin").write_bytes(np.array([2.0]).tobytes())
    return place


@pytest.mark.parametrize(
    ("kind", "product", "verdicts"),
    [
        ("sklearn", "sklearn", {"exact", "bitwise"}),
        ("xgboost", "xgboost", {"bitwise"}),
        ("torch", "torch", {"exact", "bitwise"}),
        ("loop", "numpy", {"exact"}),
    ],
)
def test_a_deleted_project_in_git_is_made_again_elsewhere(
    repository: Place, kind: str, product: str, verdicts: set[str]
) -> None:
    pytest.importorskip(product)
    repository.track(kind)
    shutil.rmtree(repository.project)
    code, verdict = repository.reproduce()
    assert verdict["verdict"] in verdicts, verdict
    assert code == 0 and verdict["suspect"] is None
    assert [verdict["checks"][name]["same"] for name in ("code", "environment", "data")] == [True, True, True]
    assert verdict["compared"] or verdict["models"]
    assert repository.record(verdict["run"])["reproduces"] == {"run": verdict["reproduces"]}


def test_a_deleted_project_without_git_is_made_again_elsewhere(place: Place) -> None:
    place.track("loop")
    shutil.rmtree(place.project)
    code, verdict = place.reproduce()
    assert (code, verdict["verdict"]) == (0, "exact"), verdict


def test_a_forest_that_nobody_seeded_is_grown_again(place: Place) -> None:
    pytest.importorskip("sklearn")
    place.track("chance")
    told = place.record()["randomness"]
    assert (told["seeded"], told["not_seeded"]) == (False, ["numpy"])
    code, verdict = place.reproduce()
    assert code == 0 and verdict["verdict"] in ("exact", "bitwise"), verdict
    assert place.record(verdict["run"])["randomness"]["restored"] == ["numpy"]


def test_what_autotrack_run_has_recorded_is_run_so_again(place: Place) -> None:
    place.track("loop", "-m", "autotrack", "run", "--project", "other", "train.py")
    shutil.rmtree(place.project)
    code, verdict = place.reproduce()
    assert (code, verdict["verdict"]) == (0, "exact"), verdict
    assert place.record(verdict["run"])["project"] == "other"


def test_changed_data_stop_the_run_before_it_trains_and_are_told(place: Place) -> None:
    place.track("loop")
    lines = place.data.read_text().splitlines()
    place.data.write_text("\n".join(["9.5" + lines[0][lines[0].index(",") :], *lines[1:]]))
    code, verdict = place.reproduce("descent")
    assert (code, verdict["verdict"]) == (1, "diverged")
    assert verdict["suspect"].startswith("data: train data 'table'"), verdict
    assert verdict["checks"]["data"]["same"] is False
    stopped = place.record(verdict["run"])
    assert stopped["status"] == "killed" and not stopped["metrics"]


def test_a_framework_does_not_begin_to_train_with_changed_data(place: Place) -> None:
    pytest.importorskip("xgboost")
    place.track("xgboost")
    place.data.write_text("\n".join(place.data.read_text().splitlines()[1:]))
    code, verdict = place.reproduce()
    assert (code, verdict["verdict"]) == (1, "diverged")
    assert verdict["suspect"].startswith("data: train data 'train': "), verdict
    assert not place.record(verdict["run"])["models"]


def test_a_changed_library_is_named_with_both_versions(place: Place) -> None:
    place.track("loop")
    library(place.library, "1.1", 1)
    code, verdict = place.reproduce()
    assert (code, verdict["verdict"], verdict["suspect"]) == (1, "diverged", "library: tinylib 1.0 → 1.1")
    assert verdict["checks"]["environment"]["differences"] == [{"name": "tinylib", "was": "1.0", "now": "1.1"}]


def test_a_changed_seed_is_the_first_suspect(place: Place) -> None:
    pytest.importorskip("torch")
    place.track("torch")
    place.seed.write_text("8")
    code, verdict = place.reproduce()
    assert (code, verdict["verdict"]) == (1, "diverged")
    assert verdict["suspect"].startswith("seed: ") and "7" in verdict["suspect"] and "8" in verdict["suspect"], verdict


def test_a_check_trains_nothing_and_finds_what_is_missing(place: Place) -> None:
    place.track("loop")
    shutil.rmtree(place.project)
    code, verdict = place.reproduce("latest", "--check")
    assert (code, verdict["verdict"], verdict["run"]) == (0, None, None)
    assert verdict["checks"]["code"]["same"] and verdict["checks"]["environment"]["same"]
    library(place.library, "1.1", 1)
    code, verdict = place.reproduce("latest", "--check")
    assert code == 1 and verdict["checks"]["environment"]["differences"][0]["name"] == "tinylib"


def test_repeats_are_run_and_the_folder_is_kept_where_it_was_asked_for(place: Place, tmp_path: Path) -> None:
    place.track("loop")
    shutil.rmtree(place.project)
    code, verdict = place.reproduce("descent", "--repeat", "2", "--into", str(tmp_path / "again"))
    assert (code, verdict["verdict"], len(verdict["repeats"])) == (0, "exact", 1)
    assert (tmp_path / "again" / "rerun-2" / "project" / "parts" / "data.py").is_file()
    assert place.reproduce("descent", "--tolerance", "0")[1]["verdict"] == "exact"


def test_data_that_were_not_kept_can_be_put_in_their_place(place: Place) -> None:
    moved = place.data.with_name("moved.csv")
    shutil.copy(place.data, place.project / "local.csv")
    place.track("loop", data="local.csv")
    shutil.rmtree(place.project)
    place.data.rename(moved)
    code, verdict = place.reproduce("descent")
    assert (code, verdict["verdict"]) == (3, "refused")
    assert "local.csv" in verdict["why"]
    code, verdict = place.reproduce("descent", "--data", f"local.csv={moved}")
    assert (code, verdict["verdict"]) == (0, "exact")


def test_a_folder_that_is_in_use_is_a_wrong_use(place: Place, tmp_path: Path) -> None:
    place.track("loop")
    command = [sys.executable, "-m", "autotrack", "reproduce", "latest", "--into", str(place.project)]
    done = subprocess.run(command, env=place.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "new or empty" in done.stderr
