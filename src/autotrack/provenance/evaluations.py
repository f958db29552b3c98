"""Evaluations: what a model answered for each row of some data, kept so that two models can be compared row by row.

Targets and predictions enter; a file in the format of safetensors and a summary leave. The file holds the arrays
`targets` and `predictions`, or `scores` where those alone are known, and one entry of metadata, `autotrack`: JSON with
`{version, name, model, data, rows, metric, higher_is_better, classes}`. Nothing in it runs code when it is read.

Format of the file: https://github.com/huggingface/safetensors. One score a row, so that a mean of them is the metric:

| metric | score of a row | better |
|---|---|---|
| `accuracy` | 1 where the prediction is the target, else 0 | higher |
| `log_loss` | -ln p, p the probability given to the target, at least 2.2e-16 | lower |
| `mse` | (target - prediction)², the mean of it over several outputs | lower |
| `mae` | the absolute of (target - prediction), likewise | lower |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autotrack.errors import UsageError

KIND: Final = "evaluations"
"""The kind under which a run's record has the summaries, by name."""

HIGHER: Final = {"accuracy": True, "log_loss": False, "mse": False, "mae": False}
"""The metrics that are known by name, and whether more of them is better."""

_VERSION: Final = 1
_NAMES: Final = {
    "<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "<i2": "I16", "|i1": "I8", "|u1": "U8",
    "<u2": "U16", "<u4": "U32", "<u8": "U64",
}  # fmt: skip
"""What the format calls the types that numbers may have."""
_SMALLEST: Final = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Evaluation:
    """What one model answered for the rows of some data."""

    name: str
    data: str | None
    """The fingerprint (`value`) of the data; None where the caller did not say which they are."""
    rows: int
    metric: str
    higher_is_better: bool
    targets: NDArray[Any] | None = None
    """The target of each row; codes into `classes` where those are given."""
    predictions: NDArray[Any] | None = None
    """One a row, or (rows, outputs); likewise codes."""
    kept_scores: NDArray[np.float64] | None = None
    classes: tuple[str, ...] = ()
    model: str | None = None
    """The name of the run's model that answered, where the run has several."""

    def scores(self, metric: str | None = None) -> NDArray[np.float64]:
        """The score of each row, by default of its own metric. Raises `UsageError` where that cannot be told."""
        wanted = metric or self.metric
        if self.kept_scores is not None and wanted == self.metric:
            return self.kept_scores
        if self.targets is None or self.predictions is None:
            raise UsageError(f"the evaluation {self.name!r} kept only scores of {self.metric!r}, none of {wanted!r}")
        return _scores(wanted, self.targets, self.predictions)

    @property
    def value(self) -> float:
        """The metric: the mean of the scores."""
        scores = self.scores()
        return float(scores.mean()) if len(scores) else float("nan")

    def encode(self) -> bytes:
        """The bytes of the file, the same for the same evaluation."""
        told = {"version": _VERSION, "name": self.name, "model": self.model, "data": self.data, "rows": self.rows}
        told |= {"metric": self.metric, "higher_is_better": self.higher_is_better, "classes": list(self.classes)}
        arrays = {"targets": self.targets, "predictions": self.predictions, "scores": self.kept_scores}
        header: dict[str, Any] = {"__metadata__": {"autotrack": json.dumps(told, sort_keys=True)}}
        parts, end = [], 0
        for name, array in sorted(arrays.items()):
            if array is not None:
                little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                parts.append(little.tobytes())
                place = [end, end := end + little.nbytes]
                header[name] = {"dtype": _NAMES[little.dtype.str], "shape": list(little.shape), "data_offsets": place}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return b"".join([len(text).to_bytes(8, "little"), text, *parts])

    @classmethod
    def decode(cls, data: bytes) -> Evaluation:
        """The evaluation in a file. Raises `ValueError` for what is none."""
        try:
            begin = 8 + int.from_bytes(data[:8], "little")
            header = json.loads(data[8:begin])
            told = json.loads(header.pop("__metadata__")["autotrack"])
            arrays = {name: _array_in(memoryview(data)[begin:], entry) for name, entry in header.items()}
            rows = int(told["rows"])
            if told["version"] != _VERSION or any(len(array) != rows for array in arrays.values()) or not arrays:
                raise ValueError("its arrays are not those that it names")
            return cls(
                str(told["name"]),
                told["data"],
                rows,
                str(told["metric"]),
                bool(told["higher_is_better"]),
                arrays.get("targets"),
                arrays.get("predictions"),
                arrays.get("scores"),
                tuple(map(str, told["classes"])),
                told.get("model"),
            )
        except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as problem:
            raise ValueError(f"this is no evaluation ({type(problem).__name__}: {problem})") from problem

    def summary(self) -> dict[str, Any]:
        """What the run's record has of it, beside where its file is."""
        told = {"data": self.data, "rows": self.rows, "metric": self.metric, "value": self.value}
        return {**told, "higher_is_better": self.higher_is_better, "model": self.model}


def _scores(metric: str, targets: NDArray[Any], predictions: NDArray[Any]) -> NDArray[np.float64]:
    if metric == "accuracy":
        if targets.shape != predictions.shape:
            raise UsageError("accuracy compares labels: give as many in a row of predictions as of targets")
        same: NDArray[np.bool_] = np.equal(targets, predictions)
        return np.asarray(same if same.ndim == 1 else same.all(axis=1), np.float64)
    if metric == "log_loss":
        return _log_loss(targets, predictions)
    if metric not in HIGHER:
        raise UsageError(f"the metric {metric!r} is not known by name; {', '.join(HIGHER)} are")
    if targets.shape != predictions.shape or "U" in (targets.dtype.kind, predictions.dtype.kind):
        raise UsageError(f"{metric} compares numbers: give as many in a row of predictions as of targets")
    gaps: NDArray[np.float64] = targets.astype(np.float64) - predictions.astype(np.float64)
    lost: NDArray[np.float64] = gaps**2 if metric == "mse" else np.abs(gaps)
    rows: NDArray[np.float64] = lost.reshape(len(lost), -1).mean(axis=1)
    return rows


def _log_loss(targets: NDArray[Any], predictions: NDArray[Any]) -> NDArray[np.float64]:
    codes = targets.astype(np.int64)
    given = predictions.astype(np.float64)
    if given.ndim == 1:  # the probability of the class 1
        given = np.column_stack([1 - given, given])
    if codes.ndim != 1 or not np.array_equal(codes, targets) or codes.min(initial=0) < 0:
        raise UsageError(
            "log_loss needs classes as whole numbers from 0, or as words in the order of the probabilities"
        )
    if codes.max(initial=0) >= given.shape[1]:
        raise UsageError(f"log_loss has probabilities of {given.shape[1]} classes, and a target {codes.max()}")
    likely = given[np.arange(len(codes)), codes]
    return -np.log(np.clip(likely, _SMALLEST, None))


def _array_in(data: memoryview, entry: dict[str, Any]) -> NDArray[Any]:
    """One array of a file. Raises `ValueError` where it does not lie there whole."""
    begin, end = entry["data_offsets"]
    types = {name: kind for kind, name in _NAMES.items()}
    if not 0 <= begin <= end <= len(data):
        raise ValueError("an array lies beyond the end of the file")
    return np.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"])


__all__ = ["HIGHER", "KIND", "Evaluation"]
