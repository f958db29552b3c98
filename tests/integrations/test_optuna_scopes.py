"""Which run a study, a trial and what trains in them belong to; and that Optuna is as without us."""

import copy
import inspect
import os
import pickle
import signal
import subprocess
import sys

import pytest

optuna = pytest.importorskip("optuna")
pytest.importorskip("sklearn")

from sklearn.datasets import load_iris  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

import autotrack  # noqa: E402
import autotrack_optuna  # noqa: E402
from autotrack.patching import job  # noqa: E402
from autotrack.patching.scope import begin_leaf  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402
from autotrack_optuna import AutotrackCallback  # noqa: E402

X, Y = load_iris(return_X_y=True)

plugins.load()
if "optuna" not in plugins.integrations:
    plugins.register(autotrack_optuna, "optuna")


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "optuna", "sklearn", models="off") as recorded:
        yield recorded


def study_of(seed=1, **more):
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), **more)


def simple(trial):
    return trial.suggest_float("x", -1, 1) ** 2


def trains(trial):
    model = DecisionTreeClassifier(max_depth=trial.suggest_int("depth", 1, 3)).fit(X, Y)
    return model.score(X, Y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_trains_in_a_trial_is_in_the_run_of_the_trial(recorded, n_jobs) -> None:
    study_of().optimize(trains, n_trials=4, n_jobs=n_jobs)
    assert autotrack.current_run() is None and not job._scopes
    parent, *children = recorded.runs()
    assert sorted(run.name for run in children) == [f"trial {number}" for number in range(4)]
    for run in children:
        assert run.parent == parent.id and run.status == "finished" and run.ends == 1
        assert run.params["max_depth"] == run.params["depth"]
        assert run.params["criterion"] == "gini" and len(run.datasets) == 1
    assert "criterion" not in parent.params


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_second_training_of_a_trial_is_in_its_run_too_and_a_search_is_one(recorded, n_jobs) -> None:
    def trains_twice(trial):
        LogisticRegression(max_iter=200).fit(X, Y)
        search = GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, trial.suggest_int("deep", 2, 3)]}, cv=2)
        return search.fit(X, Y).best_score_

    study_of().optimize(trains_twice, n_trials=2, n_jobs=n_jobs)
    parent, *children = recorded.runs()
    assert len(children) == 2 and {run.parent for run in children} == {parent.id}
    for run in children:
        assert run.params["max_iter"] == 200 and run.params["cv"] == 2 and len(run.datasets) == 2
        assert "cv_results.csv" in run.artifacts


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_trains_between_the_trials_is_in_the_run_of_the_study(recorded, n_jobs) -> None:
    def refit(study, trial):
        if trial.number == 1:
            LogisticRegression(max_iter=300).fit(X, Y)

    study_of().optimize(simple, n_trials=2, n_jobs=n_jobs, callbacks=[refit])
    parent, *children = recorded.runs()
    assert len(children) == 2 and parent.params["max_iter"] == 300
    LogisticRegression(max_iter=400).fit(X, Y)
    assert len(recorded.runs()) == 4


def test_a_run_of_the_users_is_the_run_of_the_study(recorded) -> None:
    with autotrack.start_run("mine") as mine:
        study = study_of()
        study.optimize(simple, n_trials=2)
        study.optimize(simple, n_trials=1)
        assert recorded.runs()[0].status == "running"
        assert autotrack.current_run() is mine
    parent, *children = recorded.runs()
    assert (parent.name, parent.status, parent.ends) == ("mine", "finished", 1)
    assert parent.metrics["value"] == [(trial.number, trial.value) for trial in study.trials]
    assert [(run.name, run.parent) for run in children] == [(f"trial {number}", mine.id) for number in range(3)]


def test_a_second_study_in_a_run_and_one_in_a_trial_are_children(recorded) -> None:
    def nests(trial):
        inner = study_of(study_name="inner")
        inner.optimize(simple, n_trials=1)
        return inner.best_value

    with autotrack.start_run("mine"):
        study_of(study_name="first").optimize(nests, n_trials=1)
        study_of(study_name="second").optimize(simple, n_trials=1)
    runs = {run.id: run for run in recorded.runs()}
    tree = [(run.name, runs[run.parent].name if run.parent else None) for run in runs.values()]
    assert tree == [
        ("mine", None),
        ("trial 0", "mine"),
        ("inner", "trial 0"),
        ("trial 0", "inner"),
        ("second", "mine"),
        ("trial 0", "second"),
    ]
    assert {run.status for run in runs.values()} == {"finished"}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_inside_another_training_all_of_it_is_silent(recorded, n_jobs) -> None:
    with begin_leaf("search", name="search"):
        study_of().optimize(trains, n_trials=3, n_jobs=n_jobs, callbacks=[AutotrackCallback()])
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.artifacts) == ("search", {}, {})


def test_a_further_optimize_goes_on_with_the_run_of_its_study(recorded) -> None:
    study, other = study_of(study_name="search"), study_of(study_name="other")
    study.optimize(simple, n_trials=2)
    other.optimize(simple, n_trials=1)
    with pytest.raises(ZeroDivisionError):
        study.optimize(lambda trial: 1 / 0, n_trials=1)
    assert [run.status for run in recorded.runs() if run.name == "search"] == ["failed"]
    copy.copy(study).optimize(simple, n_trials=2)
    parents = [run for run in recorded.runs() if run.parent is None]
    assert [(run.name, run.status, run.ends) for run in parents] == [
        ("search", "finished", 3),
        ("other", "finished", 1),
    ]
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert parents[0].metrics["value"] == [(trial.number, trial.value) for trial in complete]
    assert parents[0].metrics["best_value"][-1][1] == study.best_value
    assert len([run for run in recorded.runs() if run.parent == parents[0].id]) == 5


def test_several_threads_on_one_study_are_one_run(recorded) -> None:
    from threading import Barrier, Thread

    study, together = study_of(), Barrier(2, timeout=60)

    def meets(trial):
        together.wait()
        return simple(trial)

    threads = [Thread(target=study.optimize, args=(meets,), kwargs={"n_trials": 2}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parent, *children = recorded.runs()
    assert (parent.status, parent.ends, len(children)) == ("finished", 1, 4)
    assert {run.parent for run in children} == {parent.id}


SHARED = """
import sys, optuna, autotrack
optuna.logging.set_verbosity(optuna.logging.ERROR)
autotrack.enable("optuna")
study = optuna.create_study(study_name="shared", storage=sys.argv[1], load_if_exists=True)
study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=3)
"""


def test_processes_on_a_shared_storage_are_one_run(tmp_path) -> None:
    pytest.importorskip("sqlalchemy")
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    optuna.create_study(study_name="shared", storage=storage)
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off"}
    started = [subprocess.Popen([sys.executable, "-c", SHARED, storage], env=environment) for _ in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    # A study of the same name that is made anew is another.
    optuna.delete_study(study_name="shared", storage=storage)
    subprocess.run([sys.executable, "-c", SHARED, storage], env=environment, check=True)
    with recording(tmp_path / "home"):
        runs = autotrack.runs()
        again, first = (autotrack.get_run(run["id"]) for run in runs if run["parent_id"] is None)
    assert {run["status"] for run in runs} == {"finished"} and first["name"] == again["name"] == "shared"
    names = [sorted(run["name"] for run in runs if run["parent_id"] == parent["id"]) for parent in (first, again)]
    assert names == [[f"trial {number}" for number in range(6)], [f"trial {number}" for number in range(3)]]
    assert (first["metrics"]["value"]["count"], first["metrics"]["value"]["last_step"]) == (6, 5)
    assert first["params"]["storage"] == f"sqlite:{os.path.realpath(tmp_path / 'studies.db')}"


def test_a_study_in_a_journal_file_is_one_run_under_every_object(recorded, tmp_path) -> None:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    for _ in range(2):
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
        optuna.create_study(study_name="kept", storage=storage, load_if_exists=True).optimize(simple, n_trials=1)
    parents = [run for run in recorded.runs() if run.parent is None]
    assert [(run.name, run.ends) for run in parents] == [("kept", 2)]
    assert parents[0].params["storage"] == f"journal:{os.path.realpath(tmp_path / 'journal.log')}"


KILLED = """
import os, signal, optuna, autotrack
optuna.logging.set_verbosity(optuna.logging.ERROR)
autotrack.enable("optuna")
def objective(trial):
    trial.suggest_float("x", 0.5, 0.5)
    trial.report(0.25, 3)
    os.kill(os.getpid(), signal.SIGKILL)
optuna.create_study().optimize(objective, n_trials=1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_what_a_killed_trial_suggested_and_reported_is_kept(tmp_path) -> None:
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path), "AUTOTRACK_FORWARDER": "off"}
    subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    _, trial = Recorded(tmp_path).runs()
    assert (trial.params["x"], trial.metrics) == (0.5, {"intermediate_value": [(3, 0.25)]})


def test_the_importance_of_params_trains_nothing_of_the_users(recorded) -> None:
    study = study_of()
    study.optimize(simple, n_trials=5)
    before = len(recorded.runs())
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=2)
    assert set(optuna.importance.get_param_importances(study, evaluator=evaluator)) == {"x"}
    assert len(recorded.runs()) == before


PLACES = [
    (optuna.study.study, "_optimize"),
    (optuna.study.Study, "ask"),
    (optuna.study._optimize, "_optimize_sequential"),
    (optuna.study._optimize, "_run_trial"),
    (optuna.study._optimize, "_log_failed_trial"),
    (optuna.trial.Trial, "_suggest"),
    (optuna.trial.Trial, "report"),
    (optuna.importance.FanovaImportanceEvaluator, "evaluate"),
]


def test_every_place_is_the_original_again_and_looked_the_same(tmp_path) -> None:
    originals = [vars(owner)[name] for owner, name in PLACES]
    with recording(tmp_path, "optuna") as recorded:
        autotrack.enable("optuna", forwarder="off", home=tmp_path, strict=True)
        for (owner, name), original in zip(PLACES, originals, strict=True):
            now = vars(owner)[name]
            assert now is not original
            assert (now.__name__, now.__doc__) == (original.__name__, original.__doc__)
            assert inspect.signature(now) == inspect.signature(original)
        autotrack.disable()
        assert all(vars(owner)[name] is it for (owner, name), it in zip(PLACES, originals, strict=True))
        study_of().optimize(simple, n_trials=1)
        assert recorded.runs() == []


def test_trials_are_those_without_us_and_the_objective_sees_them(recorded) -> None:
    seen, calls = [], []

    def looks(trial):
        seen.append((type(trial), vars(trial).keys(), trial.study is study))
        return simple(trial)

    callbacks = [lambda study, trial: calls.append(type(trial))]
    given = list(callbacks)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3, n_startup_trials=2))
    study.optimize(looks, n_trials=6, callbacks=callbacks)
    with_us = dict(vars(study))
    autotrack.disable()
    alone = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3, n_startup_trials=2))
    study, attributes = alone, vars(alone).keys()
    alone.optimize(looks, n_trials=6)
    facts = [
        [(trial.params, trial.values, trial.user_attrs, trial.system_attrs) for trial in storage.get_all_trials(0)]
        for storage in (alone._storage, with_us["_storage"])
    ]
    assert facts[0] == facts[1]
    assert with_us.keys() == attributes and seen[:6] == seen[6:]
    assert callbacks == given and calls == [optuna.trial.FrozenTrial] * 6


def test_nested_optimize_of_one_study_is_refused_as_ever(recorded) -> None:
    study = study_of()

    def nests(trial):
        with pytest.raises(RuntimeError):
            study.optimize(simple, n_trials=1)
        return 1.0

    study.optimize(nests, n_trials=1)
    parent, child = recorded.runs()
    assert (parent.status, parent.ends, child.status) == ("finished", 1, "finished")


def test_a_study_pickles_and_goes_on(recorded) -> None:
    study = study_of()
    study.optimize(simple, n_trials=1)
    again = pickle.loads(pickle.dumps(study))
    again.optimize(simple, n_trials=1)
    assert len(again.trials) == 2 and len(copy.deepcopy(study).trials) == 1


def test_a_backend_that_optunas_own_callback_feeds_is_left_to_it(tmp_path) -> None:
    from autotrack.events import RunStarted
    from autotrack.journal.reader import Journal, journals

    class MLflowCallback:
        def __call__(self, study, trial):
            pass

    MLflowCallback.__module__ = "optuna_integration.mlflow.mlflow"
    with recording(tmp_path, "optuna", backends=["local", "mlflow"]):
        study_of().optimize(simple, n_trials=1, callbacks=[MLflowCallback()])
        study_of().optimize(simple, n_trials=1)
        with autotrack.start_run("mine"):  # which goes there, as does the study; not the trials a second time
            study_of().optimize(simple, n_trials=1, callbacks=[MLflowCallback()])
    (journal,) = journals(tmp_path)
    starts = [record.event for record in Journal(journal).records() if isinstance(record.event, RunStarted)]
    assert [(start.name, start.not_to) for start in starts] == [
        ("optuna.study", ["mlflow"]),
        ("trial 0", ["mlflow"]),
        ("optuna.study", []),
        ("trial 0", []),
        ("mine", []),
        ("trial 0", ["mlflow"]),
    ]


# The explicit callback.


@pytest.fixture(params=["alone", "enabled"])
def either(tmp_path, request):
    with recording(tmp_path, "optuna", models="off") as recorded:
        if request.param == "alone":
            autotrack.disable()
        yield recorded


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_callback_records_once_what_it_is_passed_to(either, n_jobs) -> None:
    study = study_of()
    study.optimize(simple, n_trials=3, n_jobs=n_jobs, callbacks=[AutotrackCallback(name="baseline")])
    parent, *children = either.runs()
    assert (parent.name, parent.status, parent.ends, len(children)) == ("baseline", "finished", 1, 3)
    assert sorted(parent.metrics["value"]) == [(trial.number, trial.value) for trial in study.trials]
    assert autotrack.current_run() is None


def test_a_callback_records_nothing_else(tmp_path) -> None:
    with recording(tmp_path) as recorded:
        autotrack.disable()
        callback = AutotrackCallback()
        study_of().optimize(simple, n_trials=1)
        assert recorded.runs() == []
        study_of().optimize(simple, n_trials=1, callbacks=(callback,))
        assert len(recorded.runs()) == 2


def test_a_run_that_is_given_stays_open(either) -> None:
    import contextvars

    run = contextvars.copy_context().run(autotrack.start_run, "given")
    study_of().optimize(simple, n_trials=2, callbacks=[AutotrackCallback(run)])
    parent, *children = either.runs()
    assert (parent.name, parent.status) == ("given", "running")
    assert [child.parent for child in children] == [run.id, run.id]
    run.end()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_callback_pickles_and_copies_before_and_after(either, copied) -> None:
    callback = AutotrackCallback(name="mine")
    for _ in range(2):
        callback = copied(callback)
        study_of().optimize(simple, n_trials=1, callbacks=[callback])
    parents = [run for run in either.runs() if run.parent is None]
    assert [(run.name, run.ends) for run in parents] == [("mine", 1)] * 2
    with autotrack.start_run("given") as run:
        assert copy.deepcopy(AutotrackCallback(run)).run is run
        assert pickle.loads(pickle.dumps(AutotrackCallback(run))).run is None


SCRIPT = """
import sys
from autotrack_optuna import AutotrackCallback  # noqa: E402
assert "optuna" not in sys.modules
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
for callbacks in ([AutotrackCallback()], None):
    optuna.create_study().optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1, callbacks=callbacks)
"""


@pytest.mark.parametrize("enabled", [None, "0"])
def test_a_script_that_never_enables(tmp_path, enabled) -> None:
    variables = {"AUTOTRACK_HOME": str(tmp_path), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
    if enabled is not None:
        variables["AUTOTRACK_ENABLED"] = enabled
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    names = [(run.name, run.status) for run in Recorded(tmp_path).runs()]
    assert names == ([] if enabled == "0" else [("optuna.study", "finished"), ("trial 0", "finished")])
