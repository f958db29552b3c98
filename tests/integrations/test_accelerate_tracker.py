"""`AutotrackTracker`: asked for by name or as an object, alone and beside `enable()`, it records once."""

import contextvars
import copy
import csv
import io
import pickle
import warnings

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import cloudpickle
import numpy as np
import torch
from accelerate import Accelerator, tracking
from accelerate.tracking import GeneralTracker

import autotrack
import autotrack_accelerate
from autotrack.events import MetricsLogged, RunStarted
from autotrack.journal.reader import Journal, journals
from autotrack.plugin import observe_for_callback
from autotrack.testing import recording
from autotrack_accelerate import AutotrackTracker


@pytest.fixture(params=["alone", "enabled"])
def recorded(tmp_path, request):
    with recording(tmp_path / "home", "accelerate") as recorded:
        if request.param == "alone":
            autotrack.disable()
            observe_for_callback(autotrack_accelerate.LOG_WITH)  # as importing autotrack_accelerate does
        yield recorded


def train(accelerator, steps=3, **init):
    accelerator.init_trackers("theirs", config={"lr": 0.1}, **init)
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module, optimizer = accelerator.prepare(module, optimizer)
    for step in range(steps):
        accelerator.backward(module(torch.ones(2, 4)).sum())
        optimizer.step()
        accelerator.log({"loss": float(step)}, step=step)


def check(run, name, steps=3):
    assert (run.name, run.status, run.ends) == (name, "finished", 1)
    assert run.metrics == {"loss": [(step, float(step)) for step in range(steps)]}
    assert (run.params["lr"], run.params["optimizer"], run.params["model.parameters"]) == (0.1, "SGD", 5)
    assert len(run.models) == 1


@pytest.mark.skipif(not hasattr(tracking, "register_tracker_class"), reason="accelerate takes no names of others yet")
def test_by_name(recorded) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accelerator = Accelerator(cpu=True, log_with="autotrack")
    train(accelerator, init_kwargs={"autotrack": {"name": "baseline", "tags": {"team": "risk"}, "unknown": 1}})
    accelerator.end_training()
    (run,) = recorded.runs()
    check(run, "baseline")
    assert run.tags == {"team": "risk"}


def test_as_an_object_that_is_used_again(recorded) -> None:
    tracker = AutotrackTracker(name="mine")
    for _ in range(2):
        accelerator = Accelerator(cpu=True, log_with=tracker)
        train(accelerator)
        accelerator.end_training()
    for run in recorded.runs():
        check(run, "mine")
    assert len(recorded.runs()) == 2


def test_a_run_that_is_given_stays_open(recorded) -> None:
    # Started in another context, so that nothing but the tracker leads to it.
    run = contextvars.copy_context().run(autotrack.start_run, "given")
    accelerator = Accelerator(cpu=True, log_with=AutotrackTracker(run=run))
    train(accelerator)
    accelerator.end_training()
    (found,) = recorded.runs()
    assert (found.name, found.status, len(found.metrics["loss"])) == ("given", "running", 3)
    run.end()


def test_the_run_is_at_hand(recorded) -> None:
    accelerator = Accelerator(cpu=True, log_with=AutotrackTracker())
    accelerator.init_trackers("p", config={"lr": 0.1})
    run = accelerator.get_tracker("autotrack", unwrap=True)
    assert run is autotrack.current_run()
    accelerator.get_tracker("autotrack").log({"own": 1.0}, step=5)
    accelerator.log({"loss": 0.5}, step=5)
    accelerator.end_training()
    (found,) = recorded.runs()
    assert (found.id, found.metrics) == (run.id, {"own": [(5, 1.0)], "loss": [(5, 0.5)]})
    assert found.params["lr"] == 0.1


def test_images_are_files_of_the_run(recorded) -> None:
    from PIL import Image

    shades = np.linspace(0, 1, 12, dtype="float32").reshape(3, 4)
    bytes_of = np.arange(45, dtype="uint8").reshape(3, 5, 3)
    images = [
        shades,
        torch.tensor(shades, requires_grad=True)[None],
        bytes_of,
        np.moveaxis(bytes_of, 2, 0),
        Image.fromarray(bytes_of),
        shades > 0.5,
        np.zeros(3),
    ]
    accelerator = Accelerator(cpu=True, log_with=AutotrackTracker())
    accelerator.init_trackers("p")
    accelerator.log({"loss": 0.5}, step=4)
    tracker = accelerator.get_tracker("autotrack")
    tracker.log_images({"samples": images})
    tracker.log_images({"samples": bytes_of[None]}, step=7)
    accelerator.end_training()
    (run,) = recorded.runs()
    read = {name: np.asarray(Image.open(io.BytesIO(recorded.content(kept)))) for name, kept in run.artifacts.items()}
    assert list(read) == [f"images/samples/4-{index}.png" for index in range(6)] + ["images/samples/7-0.png"]
    grey = np.round(shades * 255).astype("uint8")
    for found, wanted in zip(read.values(), [grey, grey, *[bytes_of] * 3, shades > 0.5, bytes_of], strict=True):
        assert np.array_equal(found, wanted)
    (note,) = run.notes
    assert (note.what, "(3,)" in note.why) == ("images/samples/4-6.png", True)


@pytest.mark.parametrize("made", ["rows", "pandas", "polars"])
def test_tables_are_files_of_the_run(recorded, made) -> None:
    given = {"columns": ["text", "score"], "data": [["a, b", 0.5], ["损失", 1.0]]}
    if made != "rows":
        frames = pytest.importorskip(made)
        text, score = zip(*given["data"], strict=True)
        given = {"dataframe": frames.DataFrame({"text": text, "score": score})}
    accelerator = Accelerator(cpu=True, log_with=AutotrackTracker())
    accelerator.init_trackers("p")
    tracker = accelerator.get_tracker("autotrack")
    tracker.log_table("answers", **given, step=3)
    tracker.log_table("wrong", dataframe=object())
    accelerator.end_training()
    (run,) = recorded.runs()
    content = recorded.content(run.artifacts["tables/answers/3.csv"]).decode()
    assert list(csv.reader(io.StringIO(content))) == [["text", "score"], ["a, b", "0.5"], ["损失", "1.0"]]
    assert [note.what for note in run.notes] == ["tables/wrong/0.csv"]


def test_a_state_that_is_loaded_goes_on_with_its_run(recorded, tmp_path) -> None:
    for path in (None, str(tmp_path / "state")):
        accelerator = Accelerator(cpu=True, log_with=AutotrackTracker())
        accelerator.init_trackers("p")
        module = accelerator.prepare(torch.nn.Linear(2, 1))
        if path:
            accelerator.load_state(path)
        accelerator.log({"loss": module(torch.ones(1, 2)).item()}, step=0)
        accelerator.save_state(str(tmp_path / "state"))
        accelerator.end_training()
    assert [run.ends for run in recorded.runs()] == [2]


def test_an_accelerator_without_it_is_recorded_only_when_enabled(recorded, request) -> None:
    with_it = Accelerator(cpu=True, log_with=AutotrackTracker(name="with"))
    train(with_it)
    with_it.end_training()
    without = Accelerator(cpu=True)
    train(without)
    without.end_training()
    names = ["with"] if "alone" in request.node.name else ["with", recorded.runs()[-1].name]
    assert [run.name for run in recorded.runs()] == names
    assert len(recorded.runs()) == (1 if "alone" in request.node.name else 2)


def test_it_pickles_and_copies(recorded) -> None:
    tracker = AutotrackTracker(name="mine")
    for turn in range(2):
        for again in (
            pickle.loads(pickle.dumps(tracker)),
            cloudpickle.loads(cloudpickle.dumps(tracker)),
            copy.copy(tracker),
            copy.deepcopy(tracker),
        ):
            assert type(again) is AutotrackTracker and again.recording is None
        if not turn:
            train(Accelerator(cpu=True, log_with=tracker))
    accelerator = Accelerator(cpu=True, log_with=again)
    train(accelerator, steps=2)
    accelerator.end_training()
    assert [run.name for run in recorded.runs()] == ["mine", "mine"]


class Feeds(GeneralTracker):
    name = "mlflow"
    requires_logging_directory = False
    tracker = None


def test_a_backend_that_another_tracker_feeds_gets_nothing_twice(tmp_path) -> None:
    with recording(tmp_path, "accelerate", backends=("local", "mlflow")):
        for log_with in ([Feeds()], [Feeds(), AutotrackTracker()], None):
            accelerator = Accelerator(cpu=True, log_with=log_with)
            train(accelerator)
            accelerator.end_training()
        with autotrack.start_run() as run:  # which goes there: but what the tracker sends does not go twice
            accelerator = Accelerator(cpu=True, log_with=[Feeds()])
            train(accelerator)
            accelerator.end_training()
            run.log_metrics({"mine": 1.5}, 0)
    events = [record.event for folder in journals(tmp_path) for record in Journal(folder).records()]
    assert [event.not_to for event in events if isinstance(event, RunStarted)] == [["mlflow"], ["mlflow"], [], []]
    points = [event for event in events if isinstance(event, MetricsLogged) and event.run == run.id]
    assert [event.values for event in points if not event.not_to] == [{"mine": 1.5}]
    assert len(points) > 1 and all(event.not_to == ("mlflow",) for event in points[:-1])


def test_the_accelerator_of_a_trainer_is_part_of_its_run(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = torch.nn.Linear(2, 1)

        def forward(self, x, labels=None):
            return {"loss": (self.inside(x) - labels).pow(2).mean()}

    rows = [{"x": torch.ones(2), "labels": torch.ones(1)} for _ in range(8)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=3, logging_steps=1, save_steps=2, use_cpu=True, disable_tqdm=True
    )
    with recording(tmp_path / "home", "accelerate", "torch", "transformers", torch_loop=True) as recorded:
        transformers.Trainer(Module(), arguments, train_dataset=rows).train()
    (run,) = recorded.runs()
    assert run.integration == "transformers"
    assert not [key for key in (*run.metrics, *run.params) if key.startswith("accelerate") or key == "lr"]
