"""XGBoost with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import numpy as np
import xgboost

import autotrack

autotrack.enable("xgboost")

generator = np.random.default_rng(0)
X = generator.normal(size=(2000, 10))
y = (X[:, 0] + X[:, 1] * X[:, 2] + generator.normal(scale=0.5, size=2000) > 0).astype(int)

# The native API: one run, with a series for each evaluation set.
train, test = xgboost.DMatrix(X[:1500], y[:1500]), xgboost.DMatrix(X[1500:], y[1500:])
xgboost.train(
    {"objective": "binary:logistic", "max_depth": 4, "eval_metric": ["logloss", "auc"]},
    train,
    num_boost_round=200,
    evals=[(train, "train"), (test, "test")],
    early_stopping_rounds=10,
    verbose_eval=False,
)

# Cross-validation: one run for all folds.
xgboost.cv({"objective": "binary:logistic", "max_depth": 4}, train, num_boost_round=30, nfold=5)

# The scikit-learn API, in a run of your own.
with autotrack.start_run("tuned", tags={"stage": "example"}) as run:
    model = xgboost.XGBClassifier(n_estimators=50, max_depth=3)
    model.fit(X[:1500], y[:1500], eval_set=[(X[1500:], y[1500:])], verbose=False)
    run.log_metrics({"accuracy": float(model.score(X[1500:], y[1500:]))})
