"""Real trainings with autotrack off and on, in turn in one process; MLflow's autologging beside it on demand.

Each figure is the median over rounds of `on / off` within a round; the first training of each kind is not counted,
since it pays for imports. The forwarder runs as it does for users. With `--peers`, MLflow logs beside it, to SQLite.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 9


def loops() -> dict[str, Callable[[], Any]]:
    """The trainings, by name."""
    import xgboost
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV

    features, labels = make_classification(20_000, 20, random_state=0)
    small, few = features[:200], labels[:200]
    train = xgboost.DMatrix(features, labels)
    evals = [(train, "train")]
    boosting = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1}
    return {
        "Ridge, 200 x 20": lambda: Ridge().fit(small, few),
        "LogisticRegression, 20,000 x 20": lambda: LogisticRegression().fit(features, labels),
        "RandomForest of 100 trees, 20,000 x 20": lambda: RandomForestClassifier(100, max_depth=8).fit(
            features, labels
        ),
        "GridSearchCV of 30 fits": lambda: GridSearchCV(
            LogisticRegression(), {"C": [0.01, 0.1, 1, 10, 100, 1000]}, cv=5
        ).fit(features, labels),
        "xgboost.train, 500 rounds, one eval set": lambda: xgboost.train(
            boosting, train, 500, evals=evals, verbose_eval=False
        ),
    }


def seconds(train: Callable[[], Any]) -> float:
    """How long one training takes."""
    begun = time.perf_counter()
    train()
    return time.perf_counter() - begun


def compare(train: Callable[[], Any], switch: Callable[[bool], None]) -> tuple[float, float, float]:
    """Median seconds off, median added seconds, median ratio on / off."""
    off, added, ratios = [], [], []
    for number in range(ROUNDS + 1):
        switch(False)
        without = seconds(train)
        switch(True)
        with_it = seconds(train)
        if number:
            off.append(without)
            added.append(with_it - without)
            ratios.append(with_it / without)
    switch(False)
    return statistics.median(off), statistics.median(added), statistics.median(ratios)


def switch_autotrack(on: bool) -> None:
    """Turn autotrack on or off."""
    import autotrack

    if on:
        autotrack.enable()
    else:
        autotrack.disable()


def switch_mlflow(on: bool) -> None:
    """Turn MLflow's autologging on or off."""
    import mlflow

    mlflow.sklearn.autolog(disable=not on, silent=True)
    mlflow.xgboost.autolog(disable=not on, silent=True)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ.update(AUTOTRACK_HOME=str(Path(folder) / "home"), AUTOTRACK_QUIET="1")
        switches = {"autotrack": switch_autotrack}
        if "--peers" in arguments:
            import mlflow

            mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
            kept = mlflow.create_experiment("peers", artifact_location=str(Path(folder) / "artifacts"))
            mlflow.set_experiment(experiment_id=kept)
            switches["MLflow autolog"] = switch_mlflow
        print(f"{'':42} {'off':>9}   {'added':>9}   on / off")
        for name, train in loops().items():
            for tool, switch in switches.items():
                off, added, ratio = compare(train, switch)
                print(f"{name:42} {off * 1e3:7.1f} ms {added * 1e3:9.2f} ms {ratio:9.3f}  {tool}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
