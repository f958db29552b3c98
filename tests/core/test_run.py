"""A run records what it was given: exact values and steps, params flat and masked, the outcome as it was."""

import math
from decimal import Decimal
from pathlib import Path

import pytest

from autotrack import guard
from autotrack.events import DatasetLogged, MetricsLogged, NoteLogged, ParamsLogged, RunEnded, RunStarted, TagsSet
from autotrack.journal.reader import Journal
from autotrack.journal.writer import Writer
from autotrack.provenance.params import flatten, is_secret
from autotrack.run import Run


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    guard.reset()
    return Writer(tmp_path, version="test", backends=("local",))


def start(writer: Writer, name: str = "name") -> Run:
    return Run(lambda: writer, name=name, project="project")


def logged(writer: Writer, kind: type) -> list:
    return [record.event for record in Journal(writer.folder).records() if isinstance(record.event, kind)]


def points(writer: Writer) -> list:
    return [(event.step, event.values) for event in logged(writer, MetricsLogged)]


def test_values_and_steps_are_kept_exactly(writer: Writer) -> None:
    run = start(writer)
    run.log_metrics({"loss": 0.1, "n": 3}, step=0)
    run.log_metrics({"loss": math.inf, "n": -math.inf}, step=1)
    run.log_metrics({"loss": math.nan}, step=0.25)
    run.log_metrics({"loss": 1e-308}, step=Decimal("0.1"))
    run.log_metrics({"loss": 2.0}, step=7.0)
    found = points(writer)
    assert found[:2] == [(0, {"loss": 0.1, "n": 3.0}), (1, {"loss": math.inf, "n": -math.inf})]
    assert found[2][0] == "0.25" and math.isnan(found[2][1]["loss"])
    assert found[3:] == [("0.1", {"loss": 1e-308}), (7, {"loss": 2.0})]


def test_without_a_step_each_series_counts_on(writer: Writer) -> None:
    run = start(writer)
    run.log_metrics({"loss": 1.0})
    run.log_metrics({"acc": 0.5})
    run.log_metrics({"loss": 0.9})
    run.log_metrics({"loss": 0.8}, step=10)
    run.log_metrics({"loss": 0.7})
    assert points(writer) == [
        (0, {"loss": 1.0}), (0, {"acc": 0.5}), (1, {"loss": 0.9}), (10, {"loss": 0.8}), (11, {"loss": 0.7}),
    ]  # fmt: skip


def test_what_is_no_number_is_left_out_once_told_and_noted(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    run = start(writer)
    metrics = {"loss": 0.5, "text": "high", "list": [1, 2], "none": None, "flag": True}
    for step in range(3):
        run.log_metrics(metrics, step=step)
    assert points(writer) == [(step, {"loss": 0.5, "flag": 1.0}) for step in range(3)]
    assert capsys.readouterr().err.count("is not a number") == 3
    assert sorted(note.what for note in logged(writer, NoteLogged)) == ["metric list", "metric none", "metric text"]
    assert metrics == {"loss": 0.5, "text": "high", "list": [1, 2], "none": None, "flag": True}


@pytest.mark.parametrize("step", ["3", math.nan, 2**70, object()])
def test_a_step_that_is_none_never_reaches_training(writer: Writer, step: object, capsys) -> None:
    run = start(writer)
    run.log_metrics({"loss": 0.5}, step=step)  # type: ignore[arg-type]
    assert points(writer) == []
    assert "training is not affected" in capsys.readouterr().err


def test_the_outcome_is_the_true_one(writer: Writer) -> None:
    for error in (None, ValueError("boom"), KeyboardInterrupt(), SystemExit(3)):
        if error is None:
            with start(writer):
                pass
            continue
        with pytest.raises(type(error)) as passed, start(writer):
            raise error
        assert passed.value is error
    ends = logged(writer, RunEnded)
    assert [end.status for end in ends] == ["finished", "failed", "killed", "killed"]
    assert ends[1].error["type"] == "ValueError" and ends[1].error["message"] == "boom"
    assert "test_run.py" in ends[1].error["traceback"]


def test_params_are_flat_plain_and_masked(writer: Writer) -> None:
    loop: dict = {"x": 1}
    loop["self"] = loop
    start(writer).log_params(
        {
            "model": {"depth": 3, "act": math.sqrt, "api_key": "sk-1"},
            "text": "x" * 10_000,
            "url": "https://me:hunter2@host/db",
            "num_cls_token": 5,
            "fn": lambda: 0,
            "o": object(),
        }
    )
    (event,) = logged(writer, ParamsLogged)
    assert event.params["model.depth"] == 3
    assert event.params["model.act"] == "math.sqrt"
    assert event.params["model.api_key"] == "***"
    assert len(event.params["text"]) == 10_000
    assert event.params["url"] == "https://***@host/db"
    assert event.params["num_cls_token"] == 5
    assert "0x" not in event.params["fn"] + event.params["o"]
    assert flatten({"loop": loop})["loop.x"] == 1


def test_no_secret_of_an_error_a_tag_a_note_or_a_name_is_recorded(writer: Writer) -> None:
    secret = "hunter2" + "-zq9"  # the lines of this test are in the traceback
    run = start(writer, name=f"from https://me:{secret}@host/db")
    run.set_tags({"database": f"postgres://me:{secret}@host/db", "api_key": secret, "team": "risk", 1: None})
    run.note("data", f"cannot be read: password={secret}")
    run.log_dataset([[1, 2]], name=f"https://me:{secret}@host/x.csv")
    cause = ValueError(f"login(password={secret!r})")
    cause.add_note(f"--token {secret}")
    with pytest.raises(RuntimeError), run:
        raise RuntimeError(f"401 for https://host/x?token={secret}") from cause
    for kind in (RunStarted, TagsSet, NoteLogged, DatasetLogged, RunEnded):
        assert logged(writer, kind) and secret not in repr(logged(writer, kind)), kind
    assert logged(writer, TagsSet)[0].tags == {
        "database": "postgres://***@host/db", "api_key": "***", "team": "risk", "1": "None",
    }  # fmt: skip
    error = logged(writer, RunEnded)[0].error
    assert error["message"] == "401 for https://host/x?token=***" and "password='***'" in error["traceback"]


@pytest.mark.parametrize(
    "key", ["api_key", "apiKey", "OPENAI_API_KEY", "hub_token", "token", "db_password", "client_secret"]
)
def test_secrets_are_known_by_their_words(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["num_cls_token", "max_new_tokens", "pad_token_id", "eos_token", "key", "tokenizer"])
def test_look_alikes_are_not(key: str) -> None:
    assert not is_secret(key)
