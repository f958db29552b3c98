"""scikit-learn: every `fit` of a model is a run, without a line of yours.

    import autotrack
    autotrack.enable("sklearn")

    model = LogisticRegression().fit(X_train, y_train)      # one run: params, data, results, weights
    model.score(X_test, y_test)                             # `test/score` of that run
    f1_score(y_test, model.predict(X_test))                 # `test/f1_score` of that run

What becomes a run: the outermost `fit`, `fit_predict` or `partial_fit` of a classifier, regressor, clusterer, outlier
detector or density estimator, of a search, and of a pipeline that ends in one; `cross_validate`, `cross_val_score`,
`cross_val_predict`, `learning_curve`, `validation_curve` and `permutation_test_score`. A scaler, an encoder or another
transformer alone becomes none, nor does anything that is fitted inside another fit. All calls of `partial_fit` on one
estimator are one run, as are all fits of one estimator with `warm_start=True`; it ends when the estimator is dropped,
fitted anew, or the process ends.

What is recorded: the params of the estimator and of all inside it, and which of them are not the defaults; the data as
passed in; `n_iter_`, `classes_`, `best_params_`, `best_score_` and their like; loss curves; `feature_importances.csv`;
a search's `cv_results.csv`; the fitted model, in the format of skops (`pip install 'autotrack-ml[sklearn]'`), for a
search its `best_estimator_`; `run.load_model()` gives it back.

What is measured after the fit goes to the run of the model that it measures: `score`, every function of
`sklearn.metrics` that answers a number, and scorers. The prediction is recognised as the very array that `predict` and
its like returned, or a view of it such as `proba[:, 1]`; a copy is not recognised. The name starts with `train/`,
`validation/` or `test/` where the data is in a variable of the caller that says so (`X_test`, `y_train`, `X_val`).

A search can have one child run for each candidate, best first:

    autotrack_sklearn.options(max_children=10)

Estimators of other packages that do not derive their `fit` from scikit-learn's are seen inside pipelines, searches and
cross-validations, not alone. Worker processes record nothing of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autotrack.plugin import Demo, Integration, ModelFormat, hookimpl


@dataclass
class Options:
    """What can be chosen for this integration."""

    max_children: int = 0
    """How many candidates of a search become child runs, best first."""


chosen = Options()


def options(*, max_children: int) -> None:
    """Choose, for the searches that are fitted from now on, how many candidates become child runs, best first."""
    if max_children < 0:
        raise ValueError(f"max_children={max_children} is negative; use 0 for none")
    chosen.max_children = max_children


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register scikit-learn."""
    register(
        Integration(
            name="sklearn",
            module="sklearn.base",
            install="autotrack_sklearn.hooks:install",
            requires=("scikit-learn>=1.3",),
        )
    )


@hookimpl
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    """Register how estimators are saved and read."""
    register(
        ModelFormat(
            package="sklearn",
            save="autotrack_sklearn.weights:save",
            load="autotrack_sklearn.weights:load",
            formats=("skops",),
            needs=("scikit-learn", "'autotrack-ml[sklearn]'"),
        )
    )


@hookimpl
def autotrack_register_demos(register: Callable[[Demo], None]) -> None:
    """Offer trainings to `autotrack demo`."""
    register(Demo("autotrack_sklearn.demo:trainings", needs=("scikit-learn",)))
