"""One training of lightgbm as it is written into its run.

What lightgbm tells its callbacks enters, round by round, and leaves as series; the trained booster enters at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Ongoing, declared, elements, guarded, log_defaults, remember, settings, trained
from autotrack_lightgbm import model as models

if TYPE_CHECKING:
    from autotrack.run import Run

OPTIONS = ("num_boost_round", "nfold", "stratified", "shuffle", "seed")
"""Arguments of `train` and `cv` that are always recorded; `OPTIONAL` only where they were given."""
OPTIONAL = ("feval", "metrics", "keep_training_booster", "eval_metric", "eval_train_metric")


class Recording:
    """A training that is recorded, from its call to its end."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.taken = False
        """Whether the `train` call that makes the rounds has begun, where the run was begun around it by `fit`."""
        self.begun = False
        """Whether the rounds are being seen."""
        self.training_name = "training"
        """What lightgbm calls the training data where it evaluates them, too."""
        self.rebuilt: tuple[Any, str] | None = None
        """The booster that `train` has rebuilt at its end, and the text that it was rebuilt from."""
        self._given: dict[str, Any] = {}
        self._callbacks: Sequence[Any] = ()
        self._scheduled: tuple[str, ...] = ()
        self._first_round = 0
        self._folds: Any = None

    def params(self, params: Mapping[str, Any]) -> None:
        """Record params as they were given."""
        self._given.update((key, value) for key, value in params.items() if value is not None)
        self.run.log_params(params)

    def estimator(self, estimator: Any) -> None:
        """Record the params of an estimator, and which of them are the defaults of its class."""
        held = estimator.get_params()
        self.params(held)
        log_defaults(self.run, held, declared(type(estimator)))

    def call(self, given: Mapping[str, Any], function: Any = None) -> None:
        """Record the arguments of `train`, `cv` or `fit` that are no data.

        `function` is `train` or `cv`, whose signature tells some defaults; of native params lightgbm tells none.
        """
        params = dict(given["params"]) if isinstance(given.get("params"), Mapping) else {}
        params |= {name: given[name] for name in OPTIONS if name in given}
        if len(models.aliases("num_iterations") & params.keys()) > 1:  # the argument does not count then
            params.pop("num_boost_round", None)
        params |= {name: given[name] for name in OPTIONAL if given.get(name) not in (None, False, (), [])}
        for callback in elements(given.get("callbacks")):
            if hasattr(callback, "stopping_rounds"):  # lightgbm's own `early_stopping`
                params["early_stopping_round"] = callback.stopping_rounds
            if getattr(callback, "before_iteration", False) and isinstance(getattr(callback, "kwargs", None), Mapping):
                self._scheduled += tuple(callback.kwargs)  # lightgbm's own `reset_parameter`
        self.params(params)
        if function is not None:
            usual = declared(function)
            log_defaults(self.run, params, {name: usual[name] for name in OPTIONS if name in usual})

    def begin(self, callbacks: Sequence[Any]) -> None:
        """The rounds are about to begin; `callbacks` are those that are called after each."""
        self.begun = True
        self._callbacks = callbacks

    def round(self, env: Any) -> None:
        """Record what a round was evaluated to."""
        at = env.iteration - env.begin_iteration
        if at == 0:
            self._first_round = env.begin_iteration
            if self._first_round:
                self.run.log_params({"starting_round": self._first_round})
            if hasattr(env.model, "boosters"):
                self._folds = env.model
        results = env.evaluation_result_list or ()
        # By place: an `EvalResult` since lightgbm 4.7, a tuple before. Its numbers are numpy's.
        if self._folds is None:
            points = {f"{result[0]}/{result[1]}": _plain(result[2]) for result in results}
        else:
            points = {}
            for result in results:
                key = _fold_key(result)
                points[key], points[f"{key}-std"] = _plain(result[2]), _plain(result[4])
        for name in self._scheduled:
            if isinstance(env.params.get(name), int | float):
                points[name] = _plain(env.params[name])
        if points:
            self.run.log_metrics(points, at)

    def finish(self, booster: Any, model: Any = None) -> None:
        """Record what the trained booster tells (None after `cv`); `model` is the estimator that holds it."""
        with guarded("lightgbm"):
            self._log_best(booster if booster is not None else self._folds)
        self._folds, self._callbacks = None, ()
        if not self.begun:
            self.run.note(
                "metrics", "this lightgbm keeps the callbacks of a training where autotrack does not find them"
            )
        if booster is None:
            return
        with guarded("lightgbm"):
            remember(booster, self.run)
            trained(model if model is not None else booster, self.run)
        with guarded("lightgbm"):
            chosen = models.resolved(booster, {*self._given, *self._scheduled})
            self.run.log_params(chosen)
            log_defaults(self.run, chosen, chosen)  # they were left to lightgbm
        with guarded("lightgbm"):
            self.run.log_artifact(models.importance(booster), "feature_importance.json")
        rebuilt, self.rebuilt = self.rebuilt, None
        text = rebuilt[1] if rebuilt is not None and rebuilt[0] is booster else None
        with guarded("lightgbm"), models.written(booster, text):
            self._keep(booster, model if model is not None else booster)

    def _log_best(self, source: Any) -> None:
        best = int(getattr(source, "best_iteration", 0))
        if best <= 0:  # nothing has stopped early, or watched whether it should
            return
        points: dict[str, float] = {"best_iteration": best}
        score = self._score_at(best)
        if score is not None:
            points["best_score"] = score
        # `best_iteration` counts from 1, and also the rounds of a model that was trained further.
        self.run.log_metrics(points, best - 1 - self._first_round)

    def _score_at(self, best: int) -> float | None:
        """The score that `early_stopping` chose the best round by."""
        for callback in self._callbacks:
            rounds, results = getattr(callback, "best_iter", None), getattr(callback, "best_score_list", None)
            if not rounds or not results:
                continue
            for index, (at, scores) in enumerate(zip(rounds, results, strict=False)):
                if at == best - 1 and not self._is_of_training(scores[index]):
                    return _plain(scores[index][2])
        return None

    def _is_of_training(self, result: Any) -> bool:
        return bool(_split(result) == (self.training_name if self._folds is None else "train"))

    def _keep(self, booster: Any, model: Any) -> None:
        wanted = settings().models
        shorter = 0 < booster.best_iteration < booster.current_iteration()
        if wanted in ("final", "all") or wanted == "best" and not shorter:
            self.run.log_model(model, "model")
        if wanted in ("best", "all") and shorter:
            step = int(booster.best_iteration) - 1 - self._first_round
            self.run.log_model(models.up_to_best(booster), "best", step=step)


def _plain(value: Any) -> float:
    # A function of the user's may give anything; the run tells what is no number.
    return float(value) if isinstance(value, float) else value


def _split(result: Any) -> Any:
    return result[1].partition(" ")[0] if result[0] == "cv_agg" else result[0]


def _fold_key(result: Any) -> str:
    # Before lightgbm 4.7 a result of `cv` is ("cv_agg", "valid l2", …).
    return str(result[1]).replace(" ", "/", 1) if result[0] == "cv_agg" else f"{result[0]}/{result[1]}"


_ongoing: Ongoing[Recording] = Ongoing("lightgbm")
now, recorded_in = _ongoing.now, _ongoing.recorded_in
