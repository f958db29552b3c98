"""scikit-learn with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autotrack
import autotrack_sklearn

autotrack.enable("sklearn")

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# One run each, with what is measured on it afterwards.
forest = RandomForestClassifier(100, random_state=0).fit(X_train, y_train)
linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
for model in (forest, linear):
    print(type(model).__name__, model.score(X_test, y_test))
    f1_score(y_test, model.predict(X_test))
    roc_auc_score(y_test, model.predict_proba(X_test)[:, 1])

# A search: one run, and a child for each of its three best candidates.
autotrack_sklearn.options(max_children=3)
grid = {"logisticregression__C": np.logspace(-3, 2, 6)}
search = GridSearchCV(linear, grid, scoring="roc_auc").fit(X_train, y_train)
print("best", search.best_params_, search.score(X_test, y_test))

# A cross-validation: one run, a step for each fold.
cross_validate(linear, X, y, cv=10)

# A training in batches: one run, which ends with the process.
scaler, online = StandardScaler().fit(X_train), SGDClassifier(random_state=0)
for rows in np.array_split(np.arange(len(X_train)), 10):
    online.partial_fit(scaler.transform(X_train[rows]), y_train[rows], classes=[0, 1])
    online.score(scaler.transform(X_test), y_test)
