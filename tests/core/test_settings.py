"""Each setting: argument beats environment beats default; a bad value is told and passed over."""

from pathlib import Path

import pytest

from autotrack import guard, settings
from autotrack.errors import UsageError


@pytest.fixture(autouse=True)
def fresh() -> None:
    guard.reset()


def test_argument_beats_environment_beats_default() -> None:
    environ = {"AUTOTRACK_BACKENDS": "local, mlflow,local", "AUTOTRACK_MODELS": "OFF"}
    found = settings.load(environ, backends=["mlflow"])
    assert (found.backends, found.origins["backends"]) == (("mlflow",), "argument")
    assert (found.models, found.origins["models"]) == ("off", "environment")
    assert (found.keep, found.origins["keep"]) == ("auto", "default")
    assert settings.load(environ).backends == ("local", "mlflow")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("off", False), ("0", False), ("", None)])
def test_booleans_are_strict(text: str, value: bool | None) -> None:
    assert settings.load({"AUTOTRACK_ENABLED": text}).enabled is value


@pytest.mark.parametrize(
    ("variable", "text", "default"),
    [
        ("AUTOTRACK_ENABLED", "False!", None),
        ("AUTOTRACK_EXIT_TIMEOUT", "soon", 30.0),
        ("AUTOTRACK_EXIT_TIMEOUT", "-1", 30.0),
        ("AUTOTRACK_EXIT_TIMEOUT", "inf", 30.0),
        ("AUTOTRACK_MODELS", "some", "final"),
        ("AUTOTRACK_FORWARDER", "thread", "process"),
    ],
)
def test_a_bad_value_is_told_with_its_variable_and_the_default_holds(variable, text, default, capsys) -> None:
    found = settings.load({variable: text})
    assert getattr(found, variable.removeprefix("AUTOTRACK_").lower()) == default
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert variable in told and repr(text) in told


def test_a_bad_or_unknown_argument_raises_and_says_what_would_do() -> None:
    with pytest.raises(UsageError, match="off, final, best, all"):
        settings.load({}, models="some")
    with pytest.raises(UsageError, match=r"no setting modles; it has .*models"):
        settings.load({}, modles="off")


def test_the_home_is_the_nearest_above_else_the_git_root_else_here(tmp_path: Path) -> None:
    here = tmp_path / "repo" / "package" / "inner"
    here.mkdir(parents=True)
    assert settings.find_home(here) == here / ".autotrack"
    (tmp_path / "repo" / ".git").mkdir()
    assert settings.find_home(here) == tmp_path / "repo" / ".autotrack"
    (tmp_path / "repo" / "package" / ".autotrack").mkdir()
    assert settings.find_home(here) == tmp_path / "repo" / "package" / ".autotrack"


def test_a_child_process_reads_the_very_same_settings(tmp_path: Path) -> None:
    mine = settings.load({}, home=tmp_path, backends=["a", "b"], project="p", store_url="sqlite://", exit_timeout=3)
    theirs = settings.load(settings.as_environment(mine))
    for name in ("home", "backends", "project", "store_url", "exit_timeout", "keep"):
        assert getattr(theirs, name) == getattr(mine, name)


def test_a_misspelt_variable_is_told_and_one_of_another_plugin_is_not(capsys) -> None:
    settings.load({"AUTOTRACK_BACKEND": "mlflow", "AUTOTRACK_STOREURL": "x", "AUTOTRACK_ACME_TOKEN": "secret"})
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "autotrack: AUTOTRACK_BACKEND is not a setting; did you mean AUTOTRACK_BACKENDS?",
        "autotrack: AUTOTRACK_STOREURL is not a setting; did you mean AUTOTRACK_STORE_URL?",
    ]
