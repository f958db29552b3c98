"""LightGBM with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import lightgbm
import numpy as np

import autotrack

autotrack.enable("lightgbm")

generator = np.random.default_rng(0)
X = generator.normal(size=(2000, 10))
y = (X[:, 0] + X[:, 1] * X[:, 2] + generator.normal(scale=0.5, size=2000) > 0).astype(int)
params = {"objective": "binary", "num_leaves": 15, "metric": ["binary_logloss", "auc"], "verbosity": -1}

# The native API: one run, with a series for each evaluation set.
train = lightgbm.Dataset(X[:1500], y[:1500])
test = train.create_valid(X[1500:], y[1500:])
lightgbm.train(
    params,
    train,
    num_boost_round=200,
    valid_sets=[train, test],
    valid_names=["train", "test"],
    callbacks=[lightgbm.early_stopping(10, verbose=False)],
)

# Cross-validation: one run for all folds.
lightgbm.cv(params, lightgbm.Dataset(X, y), num_boost_round=30, nfold=5)

# The scikit-learn API, in a run of your own.
with autotrack.start_run("tuned", tags={"stage": "example"}) as run:
    model = lightgbm.LGBMClassifier(n_estimators=50, num_leaves=7, verbosity=-1)
    model.fit(X[:1500], y[:1500])
    run.log_metrics({"accuracy": float(model.score(X[1500:], y[1500:]))})
