"""`hyperparameter_search` with Optuna: a run for the search and one for each trial."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optuna")
sys.path.insert(0, str(Path(__file__).parent))

import optuna
from transformers_trainings import model, trainer

import autotrack
from autotrack.testing import recording
from autotrack_transformers import AutotrackCallback

optuna.logging.set_verbosity(optuna.logging.WARNING)


def searched(folder, *, n_trials=3, pruner=None, space=None, **given):
    given = {"eval_strategy": "steps", "eval_steps": 2, "max_steps": 4, **given}
    own = trainer(folder, model_init=model, **given)
    best = own.hyperparameter_search(
        backend="optuna",
        n_trials=n_trials,
        direction="minimize",
        hp_space=space or (lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)}),
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=pruner or optuna.pruners.NopPruner(),
    )
    return own, best


@pytest.fixture(params=["enabled", "callback"])
def recorded(tmp_path, request):
    with recording(tmp_path / "home", "transformers") as recorded:
        if request.param == "callback":
            autotrack.disable()
        yield recorded


def callbacks(request):
    return [AutotrackCallback(name="mine")] if "callback" in request.node.name else None


def test_a_search_is_a_run_with_a_child_for_each_trial(recorded, tmp_path, request) -> None:
    _, best = searched(tmp_path, callbacks=callbacks(request), save_strategy="steps", save_steps=4)
    parent, *trials = recorded.runs()
    assert parent.name == ("mine" if callbacks(request) else "Trainer") + ".hyperparameter_search"
    assert (parent.status, parent.ends, parent.parent, parent.params["n_trials"]) == ("finished", 1, None, 3)
    assert [(run.name, run.status, run.parent, run.ends) for run in trials] == [
        (f"trial {number}", "finished", parent.id, 1) for number in range(3)
    ]
    rates = [run.params["learning_rate"] for run in trials]
    assert len(set(rates)) == 3
    losses = [run.metrics["eval_loss"][-1][1] for run in trials]
    assert [run.metrics["objective"] for run in trials] == [[(4, loss)] for loss in losses]
    assert parent.metrics["objective"] == list(enumerate(losses))
    assert losses[int(best.run_id)] == min(losses) == best.objective
    assert parent.metrics["best_objective"] == [(int(best.run_id), best.objective)]
    assert parent.tags["best_trial"] == best.run_id
    assert parent.params["best.learning_rate"] == best.hyperparameters["learning_rate"] == rates[int(best.run_id)]
    assert [len(run.models) for run in trials] == [1, 1, 1]
    assert all(run.params["model.class"] == "BertForSequenceClassification" for run in trials)
    assert all(set(run.artifacts) == {"training_args.json", "model_config.json"} for run in trials)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["run-0", "run-1", "run-2"]
    assert len(list((recorded.home / "checkpoints").iterdir())) >= 6


class PruneSecond(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return trial.number == 1


def test_a_pruned_trial_is_pruned(recorded, tmp_path, request) -> None:
    searched(tmp_path, callbacks=callbacks(request), pruner=PruneSecond())
    parent, *trials = recorded.runs()
    assert [run.status for run in trials] == ["finished", "pruned", "finished"]
    assert trials[1].models == [] and trials[1].error is None and len(trials[1].metrics["eval_loss"]) == 1
    assert parent.status == "finished"


def test_a_trial_that_is_evaluated_at_its_end(recorded, tmp_path, request) -> None:
    searched(tmp_path, n_trials=2, callbacks=callbacks(request), eval_strategy="no")
    parent, *trials = recorded.runs()
    assert [(run.status, run.parent, len(run.metrics["eval_loss"])) for run in trials] == [
        ("finished", parent.id, 1),
        ("finished", parent.id, 1),
    ]
    assert parent.status == "finished"


def test_an_exception_fails_the_trial_and_the_search(recorded, tmp_path, request) -> None:
    def space(trial):
        if trial.number == 1:
            raise error
        return {"learning_rate": 1e-3}

    error = ValueError("mine")
    with pytest.raises(ValueError) as caught:
        searched(tmp_path, callbacks=callbacks(request), space=space)
    assert caught.value is error
    parent, *trials = recorded.runs()
    assert [run.status for run in (parent, *trials)] == ["failed", "finished", "failed"]
    assert autotrack.current_run() is None


def test_inside_a_run_of_the_users_the_trials_are_its_children(tmp_path) -> None:
    with recording(tmp_path / "home", "transformers") as recorded, autotrack.start_run("mine"):
        searched(tmp_path, n_trials=2)
    mine, *trials = recorded.runs()
    assert [(run.name, run.parent) for run in trials] == [("trial 0", mine.id), ("trial 1", mine.id)]
    assert (mine.name, mine.status, mine.ends) == ("mine", "finished", 1)


def test_where_a_trial_has_a_run_already_the_training_is_recorded_in_it(tmp_path) -> None:
    # What the integration of Optuna does, without it: a container around each objective.
    with recording(tmp_path / "home", "transformers") as recorded:
        optimize = optuna.Study.optimize

        def with_runs(study, func, **kwargs):
            with autotrack.start_run("study"):

                def objective(trial):
                    with autotrack.start_run(f"theirs {trial.number}"):
                        return func(trial)

                return optimize(study, objective, **kwargs)

        optuna.Study.optimize = with_runs
        try:
            searched(tmp_path, n_trials=2)
        finally:
            optuna.Study.optimize = optimize
    study, *trials = recorded.runs()
    assert [run.name for run in (study, *trials)] == ["study", "theirs 0", "theirs 1"]
    for run in trials:
        assert (run.status, run.parent, len(run.metrics["eval_loss"])) == ("finished", study.id, 2)
        assert "learning_rate" in run.params and len(run.models) == 1


def test_with_the_integration_of_optuna_there_is_one_tree(tmp_path) -> None:
    from autotrack.plugins import plugins

    if "optuna" not in plugins.integrations:
        pytest.skip("the integration of Optuna is not there")
    with recording(tmp_path / "home", "transformers", "optuna") as recorded:
        searched(tmp_path, pruner=PruneSecond())
    study, *trials = recorded.runs()
    assert len(trials) == 3
    assert [run.status for run in trials] == ["finished", "pruned", "finished"]
    assert {run.parent for run in trials} == {study.id}
    assert all("eval_loss" in run.metrics and run.params["model.type"] == "bert" for run in trials)
