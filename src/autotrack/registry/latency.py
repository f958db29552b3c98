"""The gate `latency`: how long one prediction takes, measured here and now, and what it was measured on."""

from __future__ import annotations

import io
import os
import platform
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from autotrack.contracts import Finding
from autotrack.errors import UsageError

if TYPE_CHECKING:
    from autotrack.registry.promotion import Promotion, Side

SAMPLE: Final = ("sample_input.npy", "sample_input.csv", "sample_input.parquet")
"""Names of the artifact in which a run may have kept rows to predict on."""

_MOST_CALLS: Final = 10_000


def latency(
    promotion: Promotion, *, p95_ms: float, n: int = 200, warm_up: int = 20, method: str | None = None
) -> Finding:
    """Passes where 95 of 100 predictions of one row take at most `p95_ms` milliseconds.

    `n` predictions are timed after `warm_up` others, on the rows that the user gave or that the run has kept as the
    artifact `sample_input.npy`, `.csv` or `.parquet`, in turn. `method` is the model's, by default `predict`, else the
    call of the model itself.
    """
    if not 20 <= n <= _MOST_CALLS or not 0 <= warm_up <= _MOST_CALLS:
        raise UsageError(f"n={n} is not from 20 to {_MOST_CALLS}, or warm_up={warm_up} not from 0 to that")
    side = promotion.candidate
    rows = promotion.sample if promotion.sample is not None else _kept_sample(side)
    if rows is None:
        why = "there are no rows to predict on: give --sample FILE, or run.log_artifact('sample_input.csv')"
        return Finding("refuse", why)
    model = side.load()
    predict = _predict(model, method)
    if predict is None:
        what = f"{type(model).__module__}.{type(model).__qualname__}"
        return Finding("refuse", f"what is kept is loaded as a {what}, which predicts nothing by itself")
    single = [_row(rows, at) for at in range(min(len(rows), n))]
    if not single:
        return Finding("refuse", "the sample has no rows")
    for at in range(warm_up):
        predict(single[at % len(single)])
    took = np.empty(n)
    clock = time.perf_counter_ns
    for at in range(n):
        row = single[at % len(single)]
        begin = clock()
        predict(row)
        took[at] = clock() - begin
    median, p95 = (float(value) / 1e6 for value in np.quantile(took, [0.5, 0.95]))
    told = {
        "p95_ms": round(p95, 6),
        "median_ms": round(median, 6),
        "budget_ms": p95_ms,
        "predictions": n,
        "warm_up": warm_up,
        "rows": len(single),
        "method": getattr(predict, "__name__", "call"),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }
    told_in_words = f"p95 is {p95:.3g} ms of one row, the median {median:.3g} ms; the budget is {p95_ms:g} ms"
    return Finding("pass" if p95 <= p95_ms else "refuse", told_in_words, told)


def read_sample(path: Path) -> Any:
    """Rows in a file: `.npy` as an array, `.csv` and `.parquet` as a pandas frame. Raises `UsageError`."""
    try:
        return _read(path.read_bytes(), path.suffix)
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path} cannot be read as rows ({problem}): give .npy, .csv or .parquet") from problem


def _kept_sample(side: Side) -> Any:
    for artifact in reversed(side.run["artifacts"] if side.run is not None else []):
        if artifact["name"] in SAMPLE:
            with side.blobs.open(artifact["digest"]) as opened:
                return _read(opened.read(), Path(artifact["name"]).suffix)
    return None


def _read(data: bytes, suffix: str) -> Any:
    if suffix == ".npy":
        return np.load(io.BytesIO(data), allow_pickle=False)
    if suffix not in (".csv", ".parquet"):
        raise ValueError(f"{suffix or 'a file without an ending'} is none of .npy, .csv, .parquet")
    try:
        pd: Any = import_module("pandas")  # the user's own, where there is one
    except ImportError:
        raise ValueError("it needs pandas: pip install pandas, or give .npy") from None
    return pd.read_csv(io.BytesIO(data)) if suffix == ".csv" else pd.read_parquet(io.BytesIO(data))


def _row(rows: Any, at: int) -> Any:
    return rows.iloc[at : at + 1] if hasattr(rows, "iloc") else rows[at : at + 1]


def _predict(model: Any, method: str | None) -> Callable[[Any], Any] | None:
    found: Any = getattr(model, method or "predict", None)
    if found is None and method is None and callable(model):
        found = model
    return found if callable(found) else None


__all__ = ["latency", "read_sample"]
