"""Making an evaluation of what a user passes, and keeping it with a run.

Lists, arrays, series and tensors of targets and predictions enter; an `Evaluation` leaves, or in words what is wrong
with them. Nothing of the user's is changed or kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from autotrack.errors import UsageError
from autotrack.provenance.evaluations import HIGHER, KIND, Evaluation

if TYPE_CHECKING:
    from autotrack.run import Run

MOST_BYTES: Final = 64 << 20
"""Of targets and predictions; of larger ones the scores alone are kept."""


def keep(run: Run, targets: Any, predictions: Any, *, data: Any, name: str, model: str | None, **metric: Any) -> None:
    """What `Run.log_evaluation` does. Raises what `evaluation` raises."""
    made = evaluation(targets, predictions, data=data, name=name, model=model, **metric)
    key = f"{model}/{name}" if model else name
    run.log_metrics({f"{key}/{made.metric}": made.value})
    if is_data(data):  # so that its leakage is looked at too
        run.log_dataset(data, role=name if name == "validation" else "test", name=name)
    if run.home is None:
        return
    from autotrack.provenance.blobs import Blobs

    file = made.encode()
    run.log_artifact(file, f"evaluations/{key}.safetensors")
    kept = Blobs(run.home).put_bytes(file)
    run.log_provenance(KIND, {key: {**made.summary(), "digest": kept.digest, "bytes": kept.bytes}})


def evaluation(
    targets: Any,
    predictions: Any,
    *,
    data: Any = None,
    name: str = "test",
    metric: str | None = None,
    higher_is_better: bool | None = None,
    model: str | None = None,
) -> Evaluation:
    """The evaluation of these answers; without `targets`, `predictions` are the scores of the rows, of any metric.

    `data` is the data that was predicted on, or its fingerprint, as a string or an `autotrack.Fingerprint`. Raises
    `UsageError` for what does not fit together.
    """
    answers = _array(predictions, "predictions")
    identity = _identity(data)
    if targets is None:
        scores = _as_scores(answers)
        if not metric:
            raise UsageError("scores need the name of what they measure: log_evaluation(None, scores, metric='dice')")
        return Evaluation(
            name, identity, len(scores), metric, _direction(metric, higher_is_better), kept_scores=scores, model=model
        )
    right = _array(targets, "targets")
    if right.ndim == 2 and right.shape[1] == 1:
        right = right[:, 0]
    if answers.ndim == 2 and answers.shape[1] == 1:
        answers = answers[:, 0]
    if len(right) != len(answers):
        raise UsageError(f"there are {len(right)} targets and {len(answers)} predictions; give one of each for a row")
    right, answers, classes = _coded(right, answers)
    wanted = metric or _usual(right, answers, classes)
    if classes and wanted != "log_loss" and answers.dtype.kind == "f":
        raise UsageError(f"the targets are words and the predictions numbers: {wanted} cannot compare those")
    if wanted not in HIGHER:
        known = ", ".join(HIGHER)
        raise UsageError(
            f"the metric {wanted!r} is not known by name ({known} are): give the score of each row instead, "
            f"log_evaluation(None, scores, metric={wanted!r}, higher_is_better=…)"
        )
    if higher_is_better is not None and higher_is_better != HIGHER[wanted]:
        raise UsageError(f"of {wanted}, {'more' if HIGHER[wanted] else 'less'} is better; leave higher_is_better out")
    made = Evaluation(name, identity, len(right), wanted, HIGHER[wanted], right, answers, None, classes, model)
    scores = made.scores()  # raises here, where the user can see it, what would be in the way of every comparison
    if right.nbytes + answers.nbytes > MOST_BYTES:
        return replace(made, targets=None, predictions=None, kept_scores=scores, classes=())
    return made


def _usual(targets: NDArray[Any], predictions: NDArray[Any], classes: tuple[str, ...]) -> str:
    """The metric that such answers are usually judged by."""
    whole = targets.dtype.kind in "iub"
    if whole and predictions.dtype.kind == "f" and (predictions.ndim == 2 or _are_probabilities(targets, predictions)):
        return "log_loss"
    return "accuracy" if classes or (whole and predictions.dtype.kind in "iub") else "mse"


def _are_probabilities(targets: NDArray[Any], predictions: NDArray[Any]) -> bool:
    within = len(targets) > 0 and set(np.unique(targets).tolist()) <= {0, 1}
    return within and bool(((predictions >= 0) & (predictions <= 1)).all())


def _coded(targets: NDArray[Any], predictions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    """Words as numbers into the sorted list of all of them; other arrays as they are."""
    if targets.dtype.kind != "U":
        if predictions.dtype.kind == "U":
            raise UsageError("the predictions are words and the targets are not; give both in the same form")
        return targets, predictions, ()
    right = targets.astype(str)
    if predictions.dtype.kind != "U":  # probabilities, in the sorted order of the classes
        classes = np.unique(right)
        return np.searchsorted(classes, right), predictions, tuple(classes.tolist())
    answers = predictions.astype(str)
    classes = np.unique(np.concatenate([right.ravel(), answers.ravel()]))
    return np.searchsorted(classes, right), np.searchsorted(classes, answers), tuple(classes.tolist())


def _as_scores(scores: NDArray[Any]) -> NDArray[np.float64]:
    if scores.ndim != 1 or scores.dtype.kind not in "iubf":
        raise UsageError("the score of a row is one number: give an array with one dimension")
    return scores.astype(np.float64)


def _direction(metric: str, higher_is_better: bool | None) -> bool:
    if higher_is_better is None:
        if metric not in HIGHER:
            raise UsageError(f"say whether more of {metric} is better: higher_is_better=True or False")
        return HIGHER[metric]
    return higher_is_better


def _array(values: Any, what: str) -> NDArray[Any]:
    for method in ("detach", "cpu"):  # tensors; a frame's and an array's to_numpy and itself need neither
        values = getattr(values, method)() if hasattr(values, method) else values
    found = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    if found.dtype.kind == "O":
        found = _plain(found)
    if found.ndim == 0 or found.dtype.kind not in "iubfU":
        raise UsageError(f"{what} are a list or an array with an entry for each row, of numbers or words")
    if found.dtype.kind == "b":
        return found.astype(np.uint8)
    return found.astype(np.float64) if found.dtype.kind == "f" and found.itemsize > 8 else found


def _plain(found: NDArray[Any]) -> NDArray[Any]:
    """An array of objects that are all words, or all numbers, as such; else as it is."""
    if all(isinstance(one, str) for one in found.ravel().tolist()):
        return found.astype(str)
    try:
        return found.astype(np.float64)
    except (TypeError, ValueError):
        return found


def is_data(data: Any) -> bool:
    """Whether it is data themselves, and not what identifies them."""
    from autotrack.provenance.fingerprint.identity import Fingerprint

    return data is not None and not isinstance(data, str | Fingerprint)


def _identity(data: Any) -> str | None:
    if data is None:
        return None
    if isinstance(data, str):
        value: str | None = data
    else:
        from autotrack.provenance.fingerprint.identity import Fingerprint, fingerprint

        value = (data if isinstance(data, Fingerprint) else fingerprint(data, rows=False)).value
    if value is None or not value.startswith("x1:"):
        raise UsageError(
            f"{value or 'this'} is no fingerprint of whole data: give data=, the rows that were predicted on, or "
            "autotrack.fingerprint(rows) of them"
        )
    return value


__all__ = ["evaluation", "is_data", "keep"]
