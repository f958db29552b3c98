"""`AutotrackCallback` and `report_to="autotrack"`: what they are given to is recorded, once, enabled or not."""

import contextvars
import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import cloudpickle
from transformers import TrainerCallback
from transformers.integrations import INTEGRATION_TO_CALLBACK
from transformers.trainer import DEFAULT_CALLBACKS, Trainer
from transformers_trainings import Sentences, described, history, trainer

import autotrack
from autotrack.plugin import observe_for_callback
from autotrack.testing import Recorded, recording
from autotrack_transformers import REPORT_TO, AutotrackCallback


@pytest.fixture(params=["alone", "enabled"])
def recorded(tmp_path, request):
    with recording(tmp_path / "home", "transformers") as recorded:
        if request.param == "alone":
            autotrack.disable()
        yield recorded


def test_it_records_what_it_is_passed_to(recorded, tmp_path, caplog) -> None:
    own = trainer(tmp_path, callbacks=[AutotrackCallback(name="baseline")], eval_strategy="steps", eval_steps=4)
    assert "already one" not in caplog.text
    own.train()
    own.evaluate()
    told = own.predict(Sentences(4)).metrics
    (run,) = recorded.runs()
    assert (run.name, run.status, run.integration) == ("baseline", "finished", "transformers")
    assert {name: points for name, points in run.metrics.items() if name not in told} == history(own)
    assert run.metrics["test_loss"] == [(8, told["test_loss"])]
    assert (run.params["max_steps"], run.params["model.type"]) == (8, "bert")
    assert [it.role for it in described(run)] == ["train", "validation", "test"]
    assert set(run.artifacts) == {"training_args.json", "model_config.json"}
    assert autotrack.current_run() is None


def test_the_class_may_be_passed_too(recorded, tmp_path) -> None:
    own = trainer(tmp_path, callbacks=[AutotrackCallback])
    own.train()
    (run,) = recorded.runs()
    assert (run.name, run.metrics) == ("Trainer", history(own))


def test_alone_it_records_no_other_trainer(recorded, tmp_path, request) -> None:
    AutotrackCallback()
    trainer(tmp_path).train()
    assert len(recorded.runs()) == (1 if "enabled" in request.node.name else 0)


def test_report_to_asks_for_it_by_name(recorded, tmp_path) -> None:
    observe_for_callback(REPORT_TO)  # what importing autotrack_transformers does
    own = trainer(tmp_path, report_to="autotrack")
    own.train()
    own.evaluate()
    (run,) = recorded.runs()
    assert (run.name, run.status, run.metrics) == ("Trainer", "finished", history(own))


def test_all_ways_together_record_once(recorded, tmp_path, caplog) -> None:
    observe_for_callback(REPORT_TO)
    callbacks = [AutotrackCallback(), AutotrackCallback(name="second")]
    own = trainer(tmp_path, callbacks=callbacks[:1], report_to=["autotrack"], eval_strategy="epoch")
    own.add_callback(callbacks[1])
    own.train()
    own.predict(Sentences(4))
    (run,) = recorded.runs()
    assert {name: points for name, points in run.metrics.items() if not name.startswith("test_")} == history(own)
    assert (run.name, len(run.metrics["test_loss"]), len(run.models)) == ("second", 1, 1)


def test_a_run_that_is_given_stays_open(recorded, tmp_path) -> None:
    # Started in another context, so that nothing but the callback leads to it.
    run = contextvars.copy_context().run(autotrack.start_run, "given")
    own = trainer(tmp_path, callbacks=[AutotrackCallback(run)])
    own.train()
    own.evaluate()
    (found,) = recorded.runs()
    assert (found.name, found.status, found.metrics) == ("given", "running", history(own))
    run.end()


def test_inside_a_run_of_the_users(recorded, tmp_path) -> None:
    with autotrack.start_run("mine"):
        trainer(tmp_path, callbacks=[AutotrackCallback()]).train()
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.ends, run.params["max_steps"]) == ("mine", 1, 8)


@pytest.mark.parametrize(("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed")])
def test_an_exception_passes_and_ends_the_run(recorded, tmp_path, error, status) -> None:
    class Raises(TrainerCallback):
        def on_log(self, args, state, control, **kwargs):
            raise error

    own = trainer(tmp_path, callbacks=[Raises(), AutotrackCallback()])
    with pytest.raises(type(error)) as caught:
        own.train()
    assert caught.value is error
    assert autotrack.current_run() is None
    (run,) = recorded.runs()
    assert (run.status, run.ends, run.error["type"]) == (status, 1, type(error).__name__)


def test_one_callback_in_two_trainers(recorded, tmp_path) -> None:
    callback = AutotrackCallback()
    first, second = (trainer(tmp_path, callbacks=[callback], max_steps=steps) for steps in (4, 6))
    first.train()
    second.train()
    first.evaluate()
    runs = recorded.runs()
    assert [run.metrics for run in runs] == [history(first), history(second)]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("trained", [False, True])
def test_it_pickles_and_copies_before_and_after_training(recorded, tmp_path, copied, trained) -> None:
    callback = AutotrackCallback(name="mine")
    if trained:
        trainer(tmp_path, callbacks=[callback], max_steps=2).train()
    assert pickle.loads(cloudpickle.dumps(callback)).name == "mine"
    again = copied(callback)
    assert (type(again), again.name, vars(again)) == (AutotrackCallback, "mine", {"run": None, "name": "mine"})
    own = trainer(tmp_path, callbacks=[again], max_steps=4)
    own.train()
    assert (recorded.runs()[-1].name, recorded.runs()[-1].metrics) == ("mine", history(own))


def test_a_copy_leads_to_the_same_run_and_a_pickle_forgets_it(recorded) -> None:
    with autotrack.start_run("given") as run:
        callback = AutotrackCallback(run)
        assert copy.deepcopy(callback).run is run
        assert pickle.loads(pickle.dumps(callback)).run is None


def test_every_callback_of_a_trainer_pickles_and_copies(recorded, tmp_path) -> None:
    observe_for_callback(REPORT_TO)
    own = trainer(tmp_path, callbacks=[AutotrackCallback()], report_to="autotrack")
    own.train()
    ours = [it for it in own.callback_handler.callbacks if type(it).__module__.startswith("autotrack")]
    assert len(ours) >= 2
    for callback in ours:
        assert type(pickle.loads(pickle.dumps(callback))) is type(copy.deepcopy(callback)) is type(callback)


def test_disable_takes_everything_out(recorded, tmp_path) -> None:
    AutotrackCallback()
    autotrack.disable()
    assert [it.__name__ for it in DEFAULT_CALLBACKS] == ["DefaultFlowCallback"]
    assert "autotrack" not in INTEGRATION_TO_CALLBACK
    for name in ("train", "evaluate", "predict", "hyperparameter_search"):
        assert not hasattr(vars(Trainer)[name], "__wrapped__"), name


def test_after_disable_a_new_trainer_with_the_callback_records_again(recorded, tmp_path) -> None:
    callback = AutotrackCallback()
    autotrack.disable()
    own = trainer(tmp_path, callbacks=[callback])
    own.train()
    (run,) = recorded.runs()
    assert run.metrics == history(own)


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
{first}
from pathlib import Path
from transformers_trainings import trainer
own = trainer(Path(sys.argv[1]), {given})
own.train()
own.evaluate()
trainer(Path(sys.argv[1])).train()
"""


@pytest.mark.parametrize(
    ("first", "given", "enabled"),
    [
        ("from autotrack_transformers import AutotrackCallback", "callbacks=[AutotrackCallback()]", None),
        ("import autotrack_transformers", "report_to='autotrack'", None),
        ("import transformers, autotrack_transformers", "report_to=['autotrack']", None),
        ("import autotrack_transformers", "report_to=['autotrack']", "0"),
        ("import autotrack; autotrack.enable()", "report_to=['autotrack']", "0"),
    ],
)
def test_a_script_that_never_enables(tmp_path, enabled, first, given) -> None:
    variables = {"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
    if enabled is not None:
        variables["AUTOTRACK_ENABLED"] = enabled
    script = SCRIPT.format(folder=str(Path(__file__).parent), first=first, given=given)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autotrack" not in done.stderr + done.stdout
    statuses = [(run.name, run.status) for run in Recorded(tmp_path / "home").runs()]
    assert statuses == ([] if enabled == "0" else [("Trainer", "finished")])


def test_importing_the_package_imports_no_framework() -> None:
    script = "import sys, autotrack_transformers; print(sorted({'torch', 'transformers'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
