"""CatBoost with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import tempfile

import catboost
import numpy as np

import autotrack

autotrack.enable("catboost")

generator = np.random.default_rng(0)
X = generator.normal(size=(1000, 6))
y = (X[:, 0] + X[:, 1] * X[:, 2] + generator.normal(scale=0.5, size=1000) > 0).astype(int)

with tempfile.TemporaryDirectory() as folder:
    params = {"iterations": 60, "depth": 4, "verbose": False, "train_dir": folder}

    # One run, with a series for each data set and metric.
    model = catboost.CatBoostClassifier(custom_metric=["AUC"], **params)
    model.fit(X[:750], y[:750], eval_set=(X[750:], y[750:]), early_stopping_rounds=10)

    # Cross-validation: one run for all folds.
    catboost.cv(catboost.Pool(X, y), {"loss_function": "Logloss", **params}, fold_count=3)

    # In a run of your own.
    with autotrack.start_run("tuned", tags={"stage": "example"}) as run:
        tuned = catboost.CatBoostClassifier(learning_rate=0.1, **params).fit(X[:750], y[:750])
        run.log_metrics({"accuracy": float(tuned.score(X[750:], y[750:]))})
