"""Evaluations that runs keep: the metrics are those of scikit-learn, and the files are safe and whole."""

import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("torch")

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load
from sklearn import metrics

import autotrack
from autotrack.errors import UsageError
from autotrack.provenance.evaluating import MOST_BYTES, evaluation
from autotrack.provenance.evaluations import Evaluation

sys.path.insert(0, str(Path(__file__).parent))
import promotions

rng = np.random.default_rng(0)
labels, answers = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
words, told = np.array(["ant", "bee", "cow"])[labels], np.array(["ant", "bee", "cow"])[answers]
sure = rng.dirichlet(np.ones(3), 50)
numbers, near = rng.normal(size=50), rng.normal(size=50)


@pytest.mark.parametrize(
    ("targets", "predictions", "metric", "expected"),
    [
        (labels, answers, "accuracy", metrics.accuracy_score(labels, answers)),
        (list(words), list(told), "accuracy", metrics.accuracy_score(words, told)),
        (pd.Series(words), pd.Series(told), "accuracy", metrics.accuracy_score(words, told)),
        (labels, sure, "log_loss", metrics.log_loss(labels, sure)),
        (words, sure, "log_loss", metrics.log_loss(words, sure)),
        (labels > 0, sure[:, 0], "log_loss", metrics.log_loss(labels > 0, sure[:, 0])),
        (numbers, near, "mse", metrics.mean_squared_error(numbers, near)),
        (
            torch.tensor(numbers),
            torch.tensor(near, requires_grad=True),
            "mse",
            metrics.mean_squared_error(numbers, near),
        ),
        (
            np.c_[numbers, near],
            np.c_[near, near],
            "mse",
            metrics.mean_squared_error(np.c_[numbers, near], np.c_[near, near]),
        ),
        (numbers[:, None], near, "mse", metrics.mean_squared_error(numbers, near)),
    ],
)
def test_the_usual_metric_is_that_of_scikit_learn(
    targets: object, predictions: object, metric: str, expected: float
) -> None:
    made = evaluation(targets, predictions)
    assert made.metric == metric
    assert made.value == pytest.approx(expected, rel=1e-12)
    assert Evaluation.decode(made.encode()).value == made.value


def test_a_metric_that_is_named_is_taken() -> None:
    assert evaluation(numbers, near, metric="mae").value == pytest.approx(metrics.mean_absolute_error(numbers, near))
    assert not evaluation(numbers, near, metric="mae").higher_is_better


def test_scores_of_ones_own_are_kept_as_they_are() -> None:
    made = evaluation(None, numbers, metric="dice", higher_is_better=True)
    assert Evaluation.decode(made.encode()).scores().tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("targets", "predictions", "options", "said"),
    [
        (labels, answers[:-1], {}, "50 targets and 49 predictions"),
        (labels, answers, {"metric": "f1"}, "f1"),
        (None, numbers, {}, "need the name"),
        (None, numbers, {"metric": "dice"}, "whether more of dice is better"),
        (None, sure, {"metric": "dice", "higher_is_better": True}, "one number"),
        (labels, answers, {"higher_is_better": False}, "leave higher_is_better out"),
        (labels, told, {}, "words"),
        (words, answers.astype(float), {"metric": "mse"}, "cannot compare"),
        (labels, sure[:, :2], {}, "2 classes"),
        (numbers, near, {"data": "customers"}, "no fingerprint of whole data"),
        ([[object()]], [1], {}, "numbers or words"),
        (3, 4, {}, "an entry for each row"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_words(
    targets: object, predictions: object, options: dict, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        evaluation(targets, predictions, **options)


def test_the_file_is_one_that_safetensors_reads_and_is_the_same_each_time() -> None:
    made = evaluation(words, told, data="x1:" + "0" * 32)
    assert made.encode() == made.encode()
    held = load(made.encode())
    assert np.array_equal(np.array(["ant", "bee", "cow"])[held["targets"]], words)


def test_very_many_answers_are_kept_as_their_scores() -> None:
    rows = MOST_BYTES // 16 + 1000
    made = evaluation(np.zeros(rows), np.ones(rows))
    assert made.targets is None and made.scores().sum() == rows
    with pytest.raises(UsageError, match="kept only scores"):
        made.scores("mae")


@pytest.mark.parametrize("cut", [0, 7, 9, 200, -1])
def test_a_damaged_file_is_no_evaluation(cut: int) -> None:
    data = evaluation(labels, answers).encode()
    with pytest.raises(ValueError, match=r"evaluation|array"):
        Evaluation.decode(data[:cut])


def test_a_run_has_the_metric_the_data_and_the_file(tmp_path: Path) -> None:
    with promotions.home(tmp_path):
        run = autotrack.get_run(promotions.train(3, register=None))
        told = run["evaluations"]["test"]
        assert told["data"] == autotrack.fingerprint(promotions.X_test).value
        assert told["rows"] == 600 and told["metric"] == "accuracy"
        assert run["metrics"]["test/accuracy"]["last"] == told["value"]
        assert {"test", "train"} <= {one["role"] for one in run["datasets"]}
        assert [one["digest"] for one in run["artifacts"] if one["name"] == "evaluations/test.safetensors"] == [
            told["digest"]
        ]


def test_a_mistake_in_it_does_not_end_a_training(tmp_path: Path) -> None:
    from autotrack.testing import recording

    with recording(tmp_path, "sklearn", strict=False) as recorded, autotrack.start_run("kept") as run:
        run.log_evaluation([1, 2], [1])
        run.log_metric("after", 1.0)
    (told,) = recorded.runs()
    assert told.status == "finished" and "after" in told.metrics and not told.artifacts


def test_importing_autotrack_loads_no_registry(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys, autotrack; autotrack.enable(); print([m for m in sys.modules if m[:18] == 'autotrack.registry'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60,
        env={"PATH": "", "AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off"},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
