"""The command of a recorded run, as it is run again: another interpreter, another folder, nothing that is not known."""

import sys
from pathlib import Path

import pytest

from autotrack.reproduce.command import launch
from autotrack.reproduce.refused import Refused

PYTHON = Path(sys.executable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    code = tmp_path / "new" / "proj"
    (code / "jobs").mkdir(parents=True)
    for name in ("train.py", "jobs/train.py"):
        (code / name).write_text("")
    return code


def launched(folder: Path, *command: str, working_folder: str = "/old/proj", **more: object) -> list[str]:
    environment = {"command": ["/old/venv/bin/python", *command], "working_folder": working_folder, **more}
    made = launch(environment, Path("/old/proj"), folder, PYTHON)
    assert made.words[0] == str(PYTHON)
    return made.words[1:]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (["train.py", "--epochs", "3"], ["train.py", "--epochs", "3"]),
        (["-X", "dev", "-W", "error", "-u", "train.py"], ["-X", "dev", "-W", "error", "-u", "train.py"]),
        (["/old/proj/train.py"], ["{code}/train.py"]),
        (["train.py", "--data=/old/proj/data", "/old/project"], ["train.py", "--data={code}/data", "/old/project"]),
        (["-m", "jobs.train", "-x"], ["-m", "jobs.train", "-x"]),
        (["-um", "jobs.train"], ["-um", "jobs.train"]),
        (["-c", "import autotrack"], ["-c", "import autotrack"]),
        (["/old/venv/bin/autotrack", "run", "train.py"], ["-m", "autotrack", "run", "train.py"]),
        (["-m", "autotrack", "run", "train.py"], ["-m", "autotrack", "run", "train.py"]),
    ],
)
def test_the_command_is_the_same_with_paths_of_the_project_moved(folder: Path, was: list[str], now: list[str]) -> None:
    assert launched(folder, *was) == [word.format(code=folder) for word in now]


def test_a_program_of_the_environment_is_that_of_the_new_one(folder: Path) -> None:
    assert launched(folder, "/old/venv/bin/pytest") == [str(PYTHON.parent / "pytest")]


def test_the_working_folder_is_at_the_same_place_in_the_project(folder: Path) -> None:
    environment = {"command": ["python", "train.py"], "working_folder": "/old/proj/jobs"}
    assert launch(environment, Path("/old/proj"), folder, PYTHON).working_folder == folder / "jobs"


def test_a_working_folder_outside_of_the_project_is_a_new_one(folder: Path) -> None:
    environment = {"command": ["python", "/old/proj/train.py"], "working_folder": "/elsewhere"}
    made = launch(environment, Path("/old/proj"), folder, PYTHON)
    assert made.working_folder == folder.parent / "working-folder"
    assert not list(made.working_folder.iterdir())


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["train.py", "--api-key", "***"], "--api-key"),
        (["train.py", "--token=***"], "--token=***"),
        (["train.py", "postgresql://***@host/db"], "postgresql://***@host/db"),
        (["train.py", "https://host/data?sig=***&v=2"], "sig=***"),
    ],
)
def test_a_command_that_held_a_secret_is_refused_and_names_it(folder: Path, command: list[str], named: str) -> None:
    with pytest.raises(Refused, match="secret") as told:
        launched(folder, *command)
    assert named in str(told.value)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ([], "interactive"),
        (["-i"], "typed in"),
        (["-"], "standard input"),
        (["missing.py"], "missing.py"),
        (["-m", "ipykernel_launcher", "-f", "kernel.json"], "notebook"),
    ],
)
def test_what_cannot_be_run_again_is_refused_with_the_reason(folder: Path, command: list[str], why: str) -> None:
    with pytest.raises(Refused, match=why):
        launched(folder, *command)


def test_one_of_several_processes_of_a_launcher_is_refused(folder: Path) -> None:
    with pytest.raises(Refused, match="4 processes"):
        launched(folder, "train.py", variables={"WORLD_SIZE": "4"})
