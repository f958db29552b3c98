"""What XGBoost brings to `autotrack demo`: plain trainings, without a word about autotrack."""

from __future__ import annotations

from collections.abc import Callable

import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split


def trainings() -> list[tuple[str, Callable[[], object]]]:
    """Each training with what it is called."""
    x, x_test, y, y_test = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
    u, u_test, v, v_test = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
    boosted = xgboost.XGBClassifier(n_estimators=30, max_depth=3, n_jobs=1)
    train, test = xgboost.DMatrix(u, label=v), xgboost.DMatrix(u_test, label=v_test)
    params = {"objective": "reg:squarederror", "max_depth": 3, "eta": 0.2, "nthread": 1}
    evals = [(train, "train"), (test, "validation")]
    return [
        ("XGBoost classifier", lambda: boosted.fit(x, y, eval_set=[(x_test, y_test)], verbose=False)),
        (
            "XGBoost regression",
            lambda: xgboost.train(params, train, num_boost_round=40, evals=evals, verbose_eval=False),
        ),
    ]
