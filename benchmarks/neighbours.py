"""LightGBM, CatBoost and Optuna with autotrack off and on, and with what the product itself offers beside it.

Each training has one thread; see `turns.py` for what is printed. Beside autotrack stands LightGBM's own
`record_evaluation`, and for Optuna a callback that does nothing. CatBoost writes its own logs in every line, off too.
Peers have no integration for CatBoost (MLflow) or one in a distribution of its own (Optuna).
With `--longer=4` the data have four times the rows, so that a round takes about as much longer, and is logged as often.

    python benchmarks/neighbours.py [--peers | --alone] [--rounds=5] [--longer=1] [lightgbm] [catboost] [optuna]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from turns import Train, measure, option

LONGER = option(sys.argv, "longer", 1)
"""How many times the rows that are told with each training."""


def lightgbm(folder: Path) -> tuple[Train, list[str]]:
    """300 rounds on 50,000 rows with one evaluation set."""
    import lightgbm as product

    features, labels = _rows(50_000)
    held_out = len(labels) // 5
    params = {"objective": "binary", "num_leaves": 31, "num_threads": 1, "verbosity": -1}

    def train(tool: str) -> None:
        callbacks, end = [], None
        if tool == "record_evaluation":
            callbacks = [product.record_evaluation({})]
        elif tool == "W&B":
            import wandb
            from wandb.integration.lightgbm import wandb_callback

            end = wandb.init(project="loops", dir=str(folder), mode="offline").finish
            callbacks = [wandb_callback()]
        elif tool == "MLflow":
            import mlflow

            mlflow.lightgbm.autolog(silent=True)
        data = product.Dataset(features[held_out:], labels[held_out:])
        held = data.create_valid(features[:held_out], labels[:held_out])
        product.train(params, data, 300, valid_sets=[held], callbacks=callbacks)
        if end is not None:
            end()
        elif tool == "MLflow":
            mlflow.lightgbm.autolog(disable=True, silent=True)

    return train, ["record_evaluation", "MLflow", "W&B"]


def catboost(folder: Path) -> tuple[Train, list[str]]:
    """300 iterations on 50,000 rows with one evaluation set."""
    import catboost as product

    features, labels = _rows(50_000)
    held_out = len(labels) // 5

    def train(tool: str) -> None:
        callbacks, end = None, None
        if tool == "W&B":
            import wandb
            from wandb.integration.catboost import WandbCallback

            end = wandb.init(project="loops", dir=str(folder), mode="offline").finish
            callbacks = [WandbCallback()]
        model = product.CatBoostClassifier(
            iterations=300, depth=6, thread_count=1, verbose=False, train_dir=str(folder / "catboost")
        )
        held = (features[:held_out], labels[:held_out])
        model.fit(features[held_out:], labels[held_out:], eval_set=held, callbacks=callbacks)
        if end is not None:
            end()

    return train, ["W&B"]


def optuna(folder: Path) -> tuple[Train, list[str]]:
    """20 trials that each train a forest in scikit-learn and score it: a run of the study, and one for each trial."""
    import optuna as product
    from sklearn.ensemble import RandomForestClassifier

    features, labels = _rows(10_000)
    held_out = len(labels) // 5
    product.logging.set_verbosity(product.logging.WARNING)

    def objective(trial: Any) -> float:
        forest = RandomForestClassifier(30, max_depth=trial.suggest_int("max_depth", 4, 8), random_state=0)
        return float(forest.fit(features[held_out:], labels[held_out:]).score(features[:held_out], labels[:held_out]))

    def train(tool: str) -> None:
        callbacks = [lambda study, trial: None] if tool == "no-op" else None
        study = product.create_study(direction="maximize", sampler=product.samplers.RandomSampler(seed=0))
        study.optimize(objective, n_trials=20, callbacks=callbacks)

    return train, ["no-op"]


def _rows(count: int) -> tuple[Any, Any]:
    from sklearn.datasets import make_classification

    made: tuple[Any, Any] = make_classification(count * LONGER, 20, random_state=0)
    return made


def main(arguments: list[str]) -> None:
    """Measure and print."""
    measure({"lightgbm": lightgbm, "catboost": catboost, "optuna": optuna}, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
