"""What scikit-learn brings to `autotrack demo`: plain trainings and their scores, without a word about autotrack."""

from __future__ import annotations

from collections.abc import Callable

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
    boosted = GradientBoostingRegressor(n_estimators=50, random_state=0)
    return [
        ("logistic regression", lambda: scaled.fit(x, y).score(x_test, y_test)),
        ("random forest", lambda: forest.fit(x, y).score(x_test, y_test)),
        ("search over a support vector machine", lambda: search.fit(x, y).score(x_test, y_test)),
        ("ridge regression", lambda: Ridge(alpha=0.3).fit(u, v).score(u_test, v_test)),
        ("gradient boosting", lambda: boosted.fit(u, v).score(u_test, v_test)),
    ]
