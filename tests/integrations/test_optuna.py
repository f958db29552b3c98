"""What `Study.optimize` leaves in runs, compared with what the study itself tells."""

import csv
import io

import pytest

optuna = pytest.importorskip("optuna")

import autotrack  # noqa: E402
import autotrack_optuna  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import recording  # noqa: E402

plugins.load()
if "optuna" not in plugins.integrations:
    plugins.register(autotrack_optuna, "optuna")


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "optuna") as recorded:
        yield recorded


def objective(trial):
    x = trial.suggest_float("x", -2.0, 2.0)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    for step in range(3):
        trial.report(x * step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("kept", [trial.number])
    return x**2 + (kind == "b")


def study_of(direction="minimize", **more):
    return optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=1), **more)


def rows(recorded, run, name="trials.csv"):
    return list(csv.DictReader(io.StringIO(recorded.content(run.artifacts[name]).decode())))


def trial_runs(runs):
    return {int(run.tags["trial"]): run for run in runs if "trial" in run.tags}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_study_is_a_run_and_each_trial_a_child(recorded, n_jobs) -> None:
    study = study_of(study_name="search", pruner=optuna.pruners.NopPruner())
    study.optimize(objective, n_trials=8, n_jobs=n_jobs)
    parent, *children = recorded.runs()
    assert (parent.name, parent.integration, parent.status, parent.ends) == ("search", "optuna", "finished", 1)
    assert parent.parent is None
    by_number = trial_runs(children)
    assert sorted(by_number) == list(range(8))
    for trial in study.trials:
        run = by_number[trial.number]
        assert (run.name, run.parent) == (f"trial {trial.number}", parent.id)
        assert (run.integration, run.status, run.ends) == ("optuna", "finished", 1)
        assert {name: run.params[name] for name in trial.params} == trial.params
        assert run.params["distributions.x"] == repr(trial.distributions["x"])
        assert dict(run.metrics["intermediate_value"]) == trial.intermediate_values
        assert run.metrics["value"] == [(trial.last_step, trial.value)]
        assert run.tags["user_attrs.kept"] == f"[{trial.number}]"
    assert sorted(parent.metrics["value"]) == [(trial.number, trial.value) for trial in study.trials]
    assert parent.metrics["best_value"][-1][1] == study.best_value
    if n_jobs == 1:
        best = [min(trial.value for trial in study.trials[: number + 1]) for number in range(8)]
        assert parent.metrics["best_value"] == list(enumerate(best))


def test_what_the_run_of_a_study_tells(recorded) -> None:
    study = study_of("maximize", study_name="search", pruner=optuna.pruners.MedianPruner(n_warmup_steps=1))
    study.set_user_attr("team", "risk")
    study.optimize(objective, n_trials=6, timeout=600, catch=(ValueError,))
    parent, *children = recorded.runs()
    assert parent.params["study_name"] == "search" and parent.params["direction"] == "maximize"
    assert (parent.params["sampler"], parent.params["pruner"]) == ("RandomSampler", "MedianPruner")
    assert parent.params["pruner.n_warmup_steps"] == 1 and parent.params["storage"] == "InMemoryStorage"
    assert (parent.params["n_trials"], parent.params["timeout"], parent.params["n_jobs"]) == (6, 600, 1)
    assert "ValueError" in parent.params["catch"]
    assert parent.params["distributions.kind"] == repr(study.trials[0].distributions["kind"])
    assert parent.params["best_trial"] == study.best_trial.number
    assert {name: parent.params[f"best_params.{name}"] for name in study.best_params} == study.best_params
    assert parent.metrics["best_value"][-1][1] == study.best_value
    assert parent.tags == {"user_attrs.team": "risk"}
    table = rows(recorded, parent)
    assert [int(row["number"]) for row in table] == [trial.number for trial in study.trials]
    assert [row["state"] for row in table] == [trial.state.name for trial in study.trials]
    assert [float(row["value"]) for row in table] == [trial.value for trial in study.trials]
    assert [float(row["params.x"]) for row in table] == [trial.params["x"] for trial in study.trials]
    assert len(children) == 6


def test_a_study_without_a_name_is_called_after_what_it_is(recorded) -> None:
    study_of().optimize(objective, n_trials=1)
    assert recorded.runs()[0].name == "optuna.study"


def test_pruned_trials(recorded) -> None:
    study = study_of(pruner=optuna.pruners.ThresholdPruner(upper=0.0))
    study.optimize(objective, n_trials=8)
    states = {trial.number: trial.state.name for trial in study.trials}
    assert set(states.values()) == {"COMPLETE", "PRUNED"}
    parent, *children = recorded.runs()
    statuses = {"COMPLETE": "finished", "PRUNED": "pruned"}
    assert {number: run.status for number, run in trial_runs(children).items()} == {
        number: statuses[state] for number, state in states.items()
    }
    for trial in study.trials:
        run = trial_runs(children)[trial.number]
        assert run.error is None
        assert dict(run.metrics["intermediate_value"]) == trial.intermediate_values
        assert run.metrics["value"][0][1] == trial.value
    complete = [trial for trial in study.trials if states[trial.number] == "COMPLETE"]
    assert parent.metrics["value"] == [(trial.number, trial.value) for trial in complete]


def test_several_objectives(recorded) -> None:
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=0), study_name="two"
    )
    study.optimize(lambda trial: ((x := trial.suggest_float("x", 0, 1)) ** 2, x), n_trials=5)
    parent, *children = recorded.runs()
    assert parent.params["directions"] == "['minimize', 'maximize']" and "best_trial" not in parent.params
    for index in range(2):
        assert parent.metrics[f"value/{index}"] == [(trial.number, trial.values[index]) for trial in study.trials]
    assert "best_value" not in parent.metrics
    front = sorted(trial.number for trial in study.best_trials)
    assert parent.params["best_trials"] == str(front)
    assert [int(row["number"]) for row in rows(recorded, parent, "best_trials.csv")] == front
    assert [float(row["value/1"]) for row in rows(recorded, parent)] == [trial.values[1] for trial in study.trials]
    assert children[0].metrics["value/0"] == [(0, study.trials[0].values[0])]


def test_names_of_objectives(recorded) -> None:
    study = study_of()
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["loss"])
    study.optimize(objective, n_trials=1)
    parent, child = recorded.runs()
    assert parent.metrics["value/loss"] == [(0, study.trials[0].value)] == [(0, child.metrics["value/loss"][0][1])]


def test_the_best_value_keeps_the_constraints(recorded) -> None:
    sampler = optuna.samplers.TPESampler(seed=0, constraints_func=lambda trial: (trial.params["x"],))
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: -trial.suggest_float("x", -1, 1), n_trials=6)
    parent = recorded.runs()[0]
    assert parent.params["best_trial"] == study.best_trial.number
    assert parent.metrics["best_value"][-1][1] == study.best_trial.value != min(t.value for t in study.trials)


@pytest.mark.parametrize("caught", [True, False])
def test_a_trial_that_raises_has_its_error(recorded, caught) -> None:
    error = ValueError("mine")

    def raises(trial):
        trial.suggest_float("x", 0, 1)
        trial.report(0.5, 0)
        if trial.number == 1:
            raise error
        return 0.0

    study = study_of()
    if caught:
        study.optimize(raises, n_trials=3, catch=ValueError)
    else:
        with pytest.raises(ValueError) as seen:
            study.optimize(raises, n_trials=3)
        assert seen.value is error
    parent, *children = recorded.runs()
    assert [run.status for run in children] == ["finished", "failed"] + ["finished"] * caught
    assert (children[1].error["type"], children[1].error["message"]) == ("ValueError", "mine")
    assert "raises" in children[1].error["traceback"]
    assert children[1].params["x"] == study.trials[1].params["x"]
    assert children[1].metrics == {"intermediate_value": [(0, 0.5)]}
    assert parent.status == ("finished" if caught else "failed") and parent.ends == 1
    assert parent.error == (None if caught else children[1].error) or parent.error["message"] == "mine"
    assert [row["state"] for row in rows(recorded, parent)] == [trial.state.name for trial in study.trials]
    assert autotrack.current_run() is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_kills_trial_and_study(recorded, error) -> None:
    def raises(trial):
        raise error

    with pytest.raises(type(error)) as seen:
        study_of().optimize(raises, n_trials=3)
    assert seen.value is error
    parent, child = recorded.runs()
    assert (parent.status, child.status) == ("killed", "killed")
    assert autotrack.current_run() is None


def test_in_threads_optuna_passes_over_the_last_errors_and_so_does_the_study(recorded) -> None:
    def raises(trial):
        raise ValueError("mine")

    study_of().optimize(raises, n_trials=2, n_jobs=2)
    parent, *children = recorded.runs()
    assert parent.status == "finished"
    assert [(run.status, run.error["message"]) for run in children] == [("failed", "mine")] * 2


def test_a_value_that_is_no_number_fails_the_trial_with_the_reason(recorded) -> None:
    study = study_of()
    study.optimize(lambda trial: float("nan"), n_trials=1)
    parent, child = recorded.runs()
    assert (parent.status, child.status, child.error) == ("finished", "failed", None)
    assert "nan" in child.notes[0].why
    assert "best_trial" not in parent.params


def test_an_error_of_a_callback_of_the_users_fails_the_study_alone(recorded) -> None:
    error = RuntimeError("mine")

    def callback(study, trial):
        raise error

    with pytest.raises(RuntimeError) as seen:
        study_of().optimize(objective, n_trials=2, callbacks=[callback])
    assert seen.value is error
    assert [run.status for run in recorded.runs()] == ["failed", "finished"]


def test_an_error_of_the_sampler_fails_the_study(recorded) -> None:
    class Broken(optuna.samplers.RandomSampler):
        def before_trial(self, study, trial):
            raise RuntimeError("no sample")

    with pytest.raises(RuntimeError):
        optuna.create_study(sampler=Broken()).optimize(objective, n_trials=1)
    (run,) = recorded.runs()
    assert (run.status, run.error["message"]) == ("failed", "no sample")


def test_stopping_a_study_is_no_failure(recorded) -> None:
    def stops(trial):
        if trial.number == 1:
            trial.study.stop()
        return 1.0

    study_of().optimize(stops, n_trials=10)
    parent, *children = recorded.runs()
    assert parent.status == "finished" and len(children) == 2


def test_where_no_trial_is_run_there_is_no_run(recorded) -> None:
    study_of().optimize(objective, timeout=0)
    with pytest.raises(TypeError):
        study_of().optimize(objective, n_trials="many")
    assert recorded.runs() == []


def test_a_trial_that_was_enqueued(recorded) -> None:
    study = study_of()
    study.enqueue_trial({"x": 0.5, "kind": "a"})
    study.optimize(objective, n_trials=1)
    _, child = recorded.runs()
    assert (child.params["x"], child.params["kind"]) == (0.5, "a")


def test_ask_and_tell_is_not_recorded(recorded) -> None:
    study = study_of()
    trial = study.ask()
    trial.report(1.0, 0)
    study.tell(trial, trial.suggest_float("x", 0, 1))
    assert recorded.runs() == []


def test_what_a_thread_of_the_objective_reports(recorded) -> None:
    from threading import Thread

    def threaded(trial):
        thread = Thread(target=trial.report, args=(0.25,), kwargs={"step": 7})
        thread.start()
        thread.join()
        return 1.0

    study_of().optimize(threaded, n_trials=1)
    assert recorded.runs()[1].metrics["intermediate_value"] == [(7, 0.25)]
