"""What tests of gates, signatures and bundles share: a home with two registered models of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.tree import DecisionTreeClassifier

import autotrack
from autotrack.session import session
from autotrack.testing import recording

X, y = make_classification(1200, 8, n_informative=5, random_state=0)
X_train, y_train, X_test, y_test = X[:600], y[:600], X[600:], y[600:]


@contextmanager
def home(folder: Path, user: str = "ann") -> Iterator[Path]:
    """Record into a home of the test's own, as `user`; the registry is that home's."""
    with recording(folder, "sklearn", user=user):
        yield folder


def train(
    depth: int,
    *,
    register: str | None = "clf",
    evaluated_on: Any = None,
    targets: Any = None,
    trained_on: Any = None,
    evaluate: bool = True,
    **options: Any,
) -> str:
    """Train a tree of this depth in a run of its own, evaluate it, register it; gives the run's id."""
    rows = X_test if evaluated_on is None else evaluated_on
    right = y_test if targets is None else targets
    features, labels = (X_train, y_train) if trained_on is None else trained_on
    with autotrack.start_run(f"depth {depth}") as run:
        model = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(features, labels)
        if evaluate:
            run.log_evaluation(right, model.predict(rows), data=rows, **options)
        run.log_model(model, "tree", register=register)
    return run.id


def as_user(user: str) -> None:
    """Go on as somebody else."""
    session.configure(home=session.settings.home, forwarder="off", strict=True, code=False, user=user)


def results(told: list[dict[str, Any]]) -> dict[str, str]:
    """The verdicts by gate."""
    return {one["gate"]: one["verdict"] for one in told}


__all__ = ["X_test", "X_train", "as_user", "home", "np", "results", "train", "y_test", "y_train"]
