"""One training of xgboost as it is written into its run; the hooks and the callback both write through it.

The evaluation history of xgboost enters, round by round, and leaves as series; the trained booster enters at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from autotrack.plugin import Ongoing, declared, elements, guarded, log_defaults, settings, trained
from autotrack_xgboost import model as models
from autotrack_xgboost import usual
from autotrack_xgboost.arguments import booster_params

if TYPE_CHECKING:
    from autotrack.run import Run

History: TypeAlias = Mapping[str, Mapping[str, list[Any]]]
"""xgboost's evaluation history: by data, by metric, one value a round; of `cv` a pair of mean and deviation."""

OPTIONS = ("num_boost_round", "nfold", "stratified", "shuffle", "seed")
"""Arguments of `train` and `cv` that are always recorded; `OPTIONAL` only where they were given."""
OPTIONAL = ("early_stopping_rounds", "maximize", "obj", "custom_metric", "metrics")


class Recording:
    """A training that is recorded, from its call to its end."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.taken = False
        """Whether the `train` call that makes the rounds has begun, where the run was begun around it by `fit`."""
        self.rounds = 0
        self._given: dict[str, Any] = {}
        self._series: list[tuple[str, list[Any]]] = []
        self._width = 0
        self._first_round = 0
        self.stops_early = False
        self._packed: Any = None

    def params(self, params: Mapping[str, Any]) -> None:
        """Record params as they were given."""
        self._given.update(params)
        self.run.log_params(params)

    def estimator(self, estimator: Any) -> None:
        """Record the params of an estimator, and which of them are the defaults of its class."""
        held = estimator.get_params()
        self.params(held)
        # What the class has as None, it leaves to xgboost.
        own = usual.defaults(held.get("booster"))
        of_class = declared(type(estimator)).items()
        defaults = {
            name: own.get(name) if default is None and held.get(name) is not None else default
            for name, default in of_class
        }
        self._tell(held, defaults)

    def call(self, given: Mapping[str, Any], function: Any = None) -> None:
        """Record the arguments of `train` or `cv`, which is `function`.

        Of a `train` inside `fit`, where no function is given, only what the estimator does not tell.
        """
        params = booster_params(given.get("params")) if function is not None else {}
        params |= {name: given[name] for name in OPTIONS if name in given}
        if function is not None:
            params |= {name: given[name] for name in OPTIONAL if given.get(name) not in (None, ())}
        self.params(params)
        if function is not None:
            of_call = {name: value for name, value in declared(function).items() if name in OPTIONS}
            self._tell(params, {**usual.defaults(params.get("booster")), **of_call})

    def _tell(self, held: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        given = {name: usual.plain(held[name], default) for name, default in defaults.items() if name in held}
        log_defaults(self.run, given, defaults)

    def matrices(self, given: Mapping[str, Any]) -> None:
        """Record the data of `train` or `cv`."""
        if not settings().datasets:
            return
        dtrain = given.get("dtrain")
        self.run.log_dataset(dtrain, role="train", name="train")
        for pair in elements(given.get("evals")):
            matrix, name = pair
            if matrix is not dtrain:  # evaluating on the training data makes no second dataset of it
                self.run.log_dataset(matrix, role="validation", name=str(name))

    def begin(self, model: Any, callbacks: list[Any]) -> None:
        """The booster exists (of `cv`, the pack of them) and the rounds are about to begin."""
        from xgboost.callback import EarlyStopping

        self.stops_early = any(isinstance(it, EarlyStopping) for it in callbacks)
        self._packed = model if hasattr(model, "cvfolds") else None

    def round(self, model: Any, history: History, at: int) -> None:
        """Record the last element of each series of the history, at this round."""
        if at == 0 and model is not None:
            # Not before: asking an unconfigured booster configures it, and gives its warnings in the wrong place.
            self._first_round = int(model.num_boosted_rounds()) - 1
            if self._first_round > 0:
                self.run.log_params({"starting_round": self._first_round})
        if not history:
            return
        if not self._series or self._width != sum(map(len, history.values())):
            self._series = [
                (f"{data}/{metric}", values) for data, series in history.items() for metric, values in series.items()
            ]
            self._width = len(self._series)
        points: dict[str, float] = {}
        for key, values in self._series:
            value = values[-1]
            if type(value) is tuple:  # of `cv`: mean and standard deviation
                points[key], points[f"{key}-std"] = float(value[0]), float(value[1])
            else:
                points[key] = value
        self.rounds = at + 1
        self.run.log_metrics(points, at)

    def finish(self, booster: Any, model: Any = None) -> None:
        """Record what the trained booster tells (None after `cv`); `model` is the estimator that holds it."""
        with guarded("xgboost"):
            self._log_best(booster if booster is not None else self._packed)
        self._packed = None
        if booster is None:
            return
        with guarded("xgboost"):
            trained(model if model is not None else booster, self.run)
        with guarded("xgboost"):
            known = {name for name, value in self._given.items() if value is not None}
            if known & {"obj"} or callable(self._given.get("objective")):
                known.add("objective")  # a function of the user's; the booster tells the default in its place
            if not self._given:  # nobody saw the call
                self.run.log_params(models.effective(booster))
            chosen = {key: value for key, value in models.resolved(booster).items() if key not in known}
            self.run.log_params(chosen)
            log_defaults(self.run, chosen, chosen)  # they were left to xgboost
        with guarded("xgboost"):
            try:
                content = models.importance(booster)
            except ValueError as problem:  # XGBoostError: this kind of booster has none
                self.run.note("feature importance", str(problem).partition("\n")[0])
            else:
                self.run.log_artifact(content, "feature_importance.json")
        with guarded("xgboost"):
            self._keep(booster, model if model is not None else booster)

    def _log_best(self, source: Any) -> None:
        if not self.stops_early or source is None or source.attr("best_iteration") is None:
            return
        best = int(source.attr("best_iteration"))
        # `best_iteration` counts the rounds of a model that was trained further, the series do not.
        at = best - self._first_round
        self.run.log_metrics({"best_iteration": best, "best_score": _score(source.attr("best_score"))}, at)

    def _keep(self, booster: Any, model: Any) -> None:
        wanted = settings().models
        best = booster.attr("best_iteration") if self.stops_early else None
        sliceable = best is not None and int(best) + 1 < booster.num_boosted_rounds()
        if wanted in ("final", "all") or wanted == "best" and not sliceable:
            self.run.log_model(model, "model")
        if wanted in ("best", "all") and sliceable and best is not None:
            self.run.log_model(booster[: int(best) + 1], "best", step=int(best) - self._first_round)


def length(history: History) -> int:
    """How many rounds a history tells: the length of its first series."""
    for series in history.values():
        for values in series.values():
            return len(values)
    return 0


def _score(text: str) -> float:
    # After `cv`, xgboost 2 keeps the mean and the deviation as the text of a tuple, "(np.float64(0.5), 0.1)".
    return float(text.lstrip("(").removeprefix("np.float64(").partition(",")[0].rstrip(")"))


_ongoing: Ongoing[Recording] = Ongoing("xgboost")
now, recorded_in = _ongoing.now, _ongoing.recorded_in
