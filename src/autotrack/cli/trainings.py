"""What `autotrack demo` trains: plain scikit-learn and XGBoost, without a word about autotrack."""
# mypy: disable-error-code="import-untyped, import-not-found"

from __future__ import annotations

from collections.abc import Callable

import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def trainings() -> list[tuple[str, Callable[[], object]]]:
    """Each training with what it is called."""
    x, x_test, y, y_test = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
    u, u_test, v, v_test = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
    scaled = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
    forest = RandomForestClassifier(n_estimators=50, max_depth=6, random_state=0)
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1.0, 10.0]}, cv=3)
    boosted = xgboost.XGBClassifier(n_estimators=30, max_depth=3, n_jobs=1)
    train, test = xgboost.DMatrix(u, label=v), xgboost.DMatrix(u_test, label=v_test)
    params = {"objective": "reg:squarederror", "max_depth": 3, "eta": 0.2, "nthread": 1}
    evals = [(train, "train"), (test, "validation")]
    return [
        ("logistic regression", lambda: scaled.fit(x, y)),
        ("random forest", lambda: forest.fit(x, y)),
        ("search over a support vector machine", lambda: search.fit(x, y)),
        ("ridge regression", lambda: Ridge(alpha=0.3).fit(u, v)),
        ("gradient boosting", lambda: GradientBoostingRegressor(n_estimators=50, random_state=0).fit(u, v)),
        ("XGBoost classifier", lambda: boosted.fit(x, y, eval_set=[(x_test, y_test)], verbose=False)),
        (
            "XGBoost regression",
            lambda: xgboost.train(params, train, num_boost_round=40, evals=evals, verbose_eval=False),
        ),
    ]
