"""One training of catboost as it is written into its run.

The evaluations enter, at the end or, from an explicit callback, one iteration after another; the trained model enters
at the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Ongoing, declared, guarded, log_defaults, plain, settings, trained
from autotrack_catboost import model as models
from autotrack_catboost import series

if TYPE_CHECKING:
    from autotrack.run import Run

FIT_OPTIONS = (
    "iterations", "num_boost_round", "early_stopping_rounds", "use_best_model", "metric_period", "cat_features",
    "text_features", "embedding_features", "save_snapshot", "snapshot_file",
)  # fmt: skip
CV_OPTIONS = (
    *FIT_OPTIONS,
    "fold_count",
    "nfold",
    "inverted",
    "partition_random_seed",
    "seed",
    "shuffle",
    "stratified",
    "type",
)
SEARCH_OPTIONS = (
    "param_grid", "param_distributions", "cv", "n_iter", "partition_random_seed", "search_by_train_test_split", "refit",
    "shuffle", "stratified", "train_size", "features_for_select", "num_features_to_select", "features_tags_for_select",
    "num_features_tags_to_select", "algorithm", "steps", "shap_calc_type", "train_final_model", "grouping",
)  # fmt: skip
"""Arguments that are recorded where they were given."""

_PLAIN = (bool, int, float, str, list, tuple, dict)


class Recording:
    """A training that is recorded, from its call to its end."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.taken = False
        """Whether the `fit` call that trains has begun, where the run was begun around it by `catboost.train`."""
        self._given: dict[str, Any] = {}
        self._seen: dict[str, int] = {}
        self._highest = -1
        self._folder = ""
        self._before: dict[str, Any] = {}
        self._continues = False

    def params(self, params: Mapping[str, Any]) -> None:
        """Record params as they were given."""
        self._given.update((key, value) for key, value in params.items() if value is not None)
        self.run.log_params(params)

    def model(self, model: Any) -> None:
        """Record the params that a model was given, and which of them its class would have had anyway."""
        held = model.get_params()
        self.params(held)
        log_defaults(self.run, held, declared(type(model)))

    def options(self, given: Mapping[str, Any], names: tuple[str, ...]) -> None:
        """Record those arguments of a call that are no data."""
        self.params({name: given[name] for name in names if isinstance(given.get(name), _PLAIN)})

    def begin(self, model: Any, given: Mapping[str, Any]) -> None:
        """A `fit` begins."""
        self._continues = given.get("init_model") is not None
        if given.get("metric_period") is not None:
            self._given["metric_period"] = given["metric_period"]
        self._folder = os.path.abspath(model.get_param("train_dir") or "catboost_info")
        self._before = series.looks(self._folder)

    def iteration(self, info: Any) -> None:
        """Record what catboost tells its callbacks after an iteration, which it counts from 1."""
        points: dict[str, float] = {}
        for data, metrics in info.metrics.items():
            for metric, values in metrics.items():
                key = f"{data}/{metric}"
                if len(values) > self._seen.get(key, 0):
                    self._seen[key] = len(values)
                    points[key] = values[-1]
        if points:
            self._highest = info.iteration - 1
            self.run.log_metrics(points, self._highest)

    def finish(self, model: Any) -> None:
        """Record what the trained model tells."""
        told: dict[str, Any] = {}
        with guarded("catboost"):
            told = model.get_all_params()
        with guarded("catboost"):
            self._log_series(model, told)
        with guarded("catboost"):
            trained(model, self.run)
        with guarded("catboost"):
            chosen = models.resolved(model, self._given)
            self.run.log_params(chosen)
            log_defaults(self.run, chosen, chosen)  # they were left to catboost
        with guarded("catboost"):
            try:
                content = models.importance(model)
            except LookupError as problem:
                self.run.note("feature importance", str(problem))
            else:
                self.run.log_artifact(content, "feature_importance.json")
        with guarded("catboost"):
            self._keep(model)

    def salvage(self) -> None:
        """Record what a training that did not end well has left in its files, beyond what a callback was told."""
        for at, points in sorted(series.of_files(self._folder, self._before).items() if self._folder else ()):
            if at > self._highest:
                self.run.log_metrics(points, at)

    def table(self, table: Any) -> None:
        """Record the table of a cross-validation."""
        for at, points in sorted(series.of_cv(table).items()):
            self.run.log_metrics(points, at)

    def found(self, name: str, result: Any) -> None:
        """Record what a search has found: the best params, or the selected features."""
        if not isinstance(result, Mapping):
            return
        if isinstance(result.get("params"), Mapping):
            self.run.log_params({"best_params": result["params"]})
        if result.get("cv_results"):
            self.table(result["cv_results"])
        if "selected_features" in result:
            names = [name for name in result.get("selected_features_names") or () if name]
            self.run.log_params({"selected_features": names or result["selected_features"]})
            self.run.log_artifact(json.dumps(plain(result), indent=1).encode(), f"{name}.json")

    def _log_series(self, model: Any, told: Mapping[str, Any]) -> None:
        period = int(self._given.get("metric_period") or model.get_param("metric_period") or 1)
        evals = model.get_evals_result()
        points: series.Points = {}
        met: dict[str, dict[int, float]] = {}
        for key, at, value in series.of_training(evals, told, period):
            met.setdefault(key, {})[at] = value
            if len(met[key]) > self._seen.get(key, 0):
                points.setdefault(at, {})[key] = value
        for at in sorted(points):
            self.run.log_metrics(points[at], at)
        best = model.get_best_iteration()
        if best is None:
            return
        last = [data for data in evals if data != "learn"][-1:]  # of several evaluation sets the last one decides
        score = met.get(f"{last[0]}/{told.get('eval_metric')}", {}).get(best) if last else None
        self.run.log_metrics({"best_iteration": best, **({} if score is None else {"best_score": score})}, best)

    def _keep(self, model: Any) -> None:
        wanted = settings().models
        best = model.get_best_iteration()
        trees = int(model.tree_count_ or 0)
        # The best iteration does not count the trees of a model that was trained further.
        needed = trees if best is None or self._continues else int(best) + 1
        if wanted in ("final", "all") or wanted == "best" and needed >= trees:
            self.run.log_model(model, "model")
        if wanted in ("best", "all") and needed < trees:
            self.run.log_model(models.up_to(model, needed), "best", step=needed - 1)


_ongoing: Ongoing[Recording] = Ongoing("catboost")
now, recorded_in = _ongoing.now, _ongoing.recorded_in
