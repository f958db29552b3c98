"""Every run of a script has its code, however short the script is, and gives it back where the folder is gone."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autotrack.forward.catching_up import take_in
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code.restore import CannotRestore, Restored, restore
from autotrack.settings import load
from autotrack.store.query import Store

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

RUN = "import autotrack\nwith autotrack.start_run() as run:\n    run.log_metric('loss', 0.5, step=0)\n"
LONE = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACK_", "GIT_"))}


def execute(home: Path, folder: Path, *command: str, **environment: str) -> None:
    """Run `python command` in `folder` to its end."""
    settings = {"AUTOTRACK_HOME": str(home), "AUTOTRACK_STRICT": "1", "AUTOTRACK_FORWARDER": "off"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**LONE, **settings, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def records(home: Path) -> list[dict[str, Any]]:
    """Every run's record, oldest first."""
    settings = load({}, home=home)
    take_in(home, settings)
    with Store.open(home, settings) as store:
        return [store.run(run["id"]) for run in reversed(store.runs())]


def code(home: Path) -> dict[str, Any]:
    (record,) = records(home)
    return record["code"]


def given_back(home: Path, record: dict[str, Any], target: Path) -> Restored:
    return restore(record, Blobs(home), target)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder without git: a script, a package that it imports, and files that it does not."""
    folder = tmp_path / "project"
    (folder / "model").mkdir(parents=True)
    (folder / "train.py").write_text("import model.net\n" + RUN)
    (folder / "model" / "__init__.py").write_text("")
    (folder / "model" / "net.py").write_text("net = 1\n")
    (folder / "unused.py").write_text("unused = 1\n")
    return folder


@pytest.fixture
def repository(project: Path) -> Path:
    """The same with git: all committed but `model/net.py`, which is changed, and `new.py`."""
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run(
            ["git", "-C", project, "-c", "user.name=x", "-c", "user.email=x@y", *command], env=LONE, check=True
        )
    (project / "model" / "net.py").write_text("net = 2\n")
    (project / "new.py").write_text("new = 1\n")
    return project


@needs_git
def test_a_script_of_a_moment_has_its_capsule_and_the_folder_may_go_at_once(
    repository: Path, home: Path, tmp_path: Path
) -> None:
    execute(home, repository, "train.py")
    shutil.rmtree(repository)
    record = code(home)
    assert record["kind"] == "git" and record["dirty"] and record["changed_during_run"] == []
    assert record["entry"] == "train.py" and record["folder"] == "."
    found = given_back(home, record, tmp_path / "again")
    assert (tmp_path / "again" / "model" / "net.py").read_text() == "net = 2\n"
    assert set(found.files) == {"train.py", "model/__init__.py", "model/net.py", "unused.py", "new.py"}
    assert found.entry == tmp_path / "again" / "train.py" and found.working_folder == tmp_path / "again"
    execute(tmp_path / "home2", found.working_folder, str(found.entry))
    assert code(tmp_path / "home2")["kind"] == "files"


def test_without_git_the_files_that_were_imported_are_kept(project: Path, home: Path, tmp_path: Path) -> None:
    execute(home, project, "train.py")
    shutil.rmtree(project)
    record = code(home)
    assert record["kind"] == "files" and record["entry"] == "train.py"
    found = given_back(home, record, tmp_path / "again")
    assert set(found.files) == {"train.py", "model/__init__.py", "model/net.py"}
    assert (tmp_path / "again" / "model" / "net.py").read_text() == "net = 1\n"
    assert found.entry is not None
    execute(tmp_path / "home2", found.working_folder, str(found.entry))
    assert code(tmp_path / "home2")["archive"] == record["archive"]  # the same files are the same blob


def test_what_is_imported_while_the_run_goes_on_is_added(project: Path, home: Path, tmp_path: Path) -> None:
    (project / "late.py").write_text("late = 1\n")
    waiting = "import time\nwhile not list(run.home.glob('blobs/*/*')): time.sleep(0.01)\n"
    (project / "train.py").write_text(
        "import model.net\nimport autotrack\nrun = autotrack.start_run()\n" + waiting + "import late\nrun.end()\n"
    )
    execute(home, project, "train.py")
    found = given_back(home, code(home), tmp_path / "again")
    assert "late.py" in found.files and "model/net.py" in found.files


def test_what_is_imported_in_a_run_that_ends_before_its_capsule_is_taken_is_added(
    project: Path, home: Path, tmp_path: Path
) -> None:
    (project / "late.py").write_text("late = 1\n")
    (project / "train.py").write_text(
        "import threading\nimport model.net\nimport autotrack\n"
        "from autotrack.provenance.code.capsule import Capsule\n"
        "looked, ended, take = threading.Event(), threading.Event(), Capsule.take\n"
        "def slowly(capsule):\n"
        "    taken = take(capsule)\n"
        "    looked.set()\n"
        "    ended.wait(10)\n"
        "    return taken\n"
        "Capsule.take = slowly\n"
        "run = autotrack.start_run()\n"
        "looked.wait(10)\n"
        "import late\n"
        "run.end()\n"
        "ended.set()\n"
    )
    execute(home, project, "train.py")
    assert "late.py" in given_back(home, code(home), tmp_path / "again").files


def test_a_module_that_is_run_with_m_is_kept_with_its_package(project: Path, home: Path, tmp_path: Path) -> None:
    (project / "model" / "fit.py").write_text("from model import net\n" + RUN)
    execute(home, project, "-m", "model.fit")
    (record,) = records(home)
    assert record["code"]["entry"] == "model/fit.py"
    assert record["environment"]["entry_point"] == "-m model.fit"
    assert "model/net.py" in given_back(home, record["code"], tmp_path / "again").files


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell when a process began")
@pytest.mark.parametrize(("kind", "itself"), [("repository", False), ("project", True)])
def test_a_source_that_changed_between_its_import_and_the_first_run_is_named(
    kind: str, itself: bool, request: pytest.FixtureRequest, home: Path
) -> None:
    if kind == "repository" and shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder: Path = request.getfixturevalue(kind)
    (folder / "train.py").write_text(
        "import time; time.sleep(0.2)\nimport model.net, pathlib, sys, autotrack\n"
        "pathlib.Path('made.py').write_text('made = 1\\n')\n"
        "import made\n"  # written since the process began, and read after that
        "pathlib.Path('model/net.py').write_text('net = 333\\n')\n"
        "if sys.argv[1:]: pathlib.Path('train.py').write_text('another\\n')\n" + RUN
    )
    execute(home, folder, "train.py", *(["itself"] if itself else []), PYTHONDONTWRITEBYTECODE="")
    assert code(home)["changed_during_run"] == ["model/net.py", *(["train.py"] if itself else [])]


@pytest.mark.parametrize("kind", ["git", "files"])
def test_a_source_that_changes_during_the_run_is_named(
    kind: str, request: pytest.FixtureRequest, home: Path, tmp_path: Path
) -> None:
    if kind == "git" and shutil.which("git") is None:
        pytest.skip("git is not installed")
    project: Path = request.getfixturevalue("repository" if kind == "git" else "project")
    (project / "train.py").write_text(
        "import model.net, os, time, autotrack\nrun = autotrack.start_run()\n"
        "while [t for t in __import__('threading').enumerate() if t.name == 'autotrack-code']: time.sleep(0.01)\n"
        "open('model/net.py', 'w').write('net = 3\\n')\n"
        "os.utime('model/__init__.py')\n"  # written again, with what it had
        "run.end()\n"
    )
    execute(home, project, "train.py")
    record = code(home)
    assert record["changed_during_run"] == ["model/net.py"]
    given_back(home, record, tmp_path / "again")
    assert (tmp_path / "again" / "model" / "net.py").read_text() == ("net = 2\n" if kind == "git" else "net = 1\n")


def test_every_run_of_a_process_has_the_same_record(project: Path, home: Path) -> None:
    (project / "train.py").write_text(
        "import autotrack\n" + "\n".join("with autotrack.start_run(): pass" for _ in "abc")
    )
    execute(home, project, "train.py")
    first, second, third = (record["code"] for record in records(home))
    assert first == second == third and first["kind"] == "files"


def test_it_can_be_turned_off(project: Path, home: Path) -> None:
    execute(home, project, "train.py", AUTOTRACK_CODE="0")
    assert "kind" not in code(home) and not (home / "blobs").is_dir() or "archive" not in code(home)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_and_a_rank_above_zero_take_nothing(project: Path, home: Path) -> None:
    (project / "train.py").write_text(
        "import autotrack, os, sys\n"
        "run = autotrack.start_run()\n"
        "pid = os.fork()\n"
        "if not pid:\n    run.log_metric('x', 1.0); run.end(); sys.exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0\nrun.end()\n"
    )
    execute(home, project, "train.py")
    assert code(home)["kind"] == "files"
    execute(home / "rank", project, "train.py", RANK="1")
    assert not (home / "rank" / "blobs").exists()


@needs_git
def test_without_a_git_to_call_the_imported_files_are_kept_and_the_reason_is_told(
    repository: Path, home: Path, tmp_path: Path
) -> None:
    execute(home, repository, "train.py", PATH=str(tmp_path))
    (record,) = records(home)
    assert record["code"]["kind"] == "files" and "git cannot be started" in record["code"]["problem"]
    assert [note["what"] for note in record["notes"]] == ["code"]
    assert "model/net.py" in given_back(home, record["code"], tmp_path / "again").files


@needs_git
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a folder away")
def test_git_that_refuses_somebody_elses_repository_is_told(repository: Path, home: Path) -> None:
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    execute(home, repository, "train.py", GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
    assert code(home)["kind"] == "files" and "dubious ownership" in code(home)["problem"]


@needs_git
def test_what_is_imported_though_git_ignores_it_is_told(repository: Path, home: Path, tmp_path: Path) -> None:
    (repository / ".gitignore").write_text("generated.py\n")
    (repository / "generated.py").write_text("x = 1\n")
    (repository / "train.py").write_text("import generated\n" + RUN)
    execute(home, repository, "train.py")
    assert [one["path"] for one in code(home)["not_in_capsule"]] == ["generated.py"]
    missing = given_back(home, code(home), tmp_path / "again").missing
    assert any(line.startswith("generated.py: ") for line in missing)


@needs_git
def test_a_planted_secret_is_nowhere_in_the_home(repository: Path, home: Path, tmp_path: Path) -> None:
    """Neither in the journal, nor the store, nor a blob, nor in what a bundle unpacks to."""
    planted = "Qz7Planted"
    token = "hf_" + planted + "x" * 30
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{planted * 8}\n-----END RSA PRIVATE KEY-----\n"
    (repository / ".env").write_text(f"API_KEY={planted}-env\n")
    (repository / "deploy.key").write_text(key)
    (repository / "certificate.txt").write_text(key)
    (repository / "settings.yaml").write_text(f"token: {token}\n")
    subprocess.run(["git", "-C", repository, "remote", "add", "o", f"https://u:{planted}@h/x.git"], check=True)
    arguments = (
        f"--api-key={planted}-1", "--password", f"{planted}-2", token, f"db.password={planted}-3",
        f"postgresql://user:{planted}-4@host/db", f"https://host/?token={planted}-5&n=1",
        f'{{"secret": "{planted}-6"}}', f"Authorization: Bearer {planted}123456789",
    )  # fmt: skip
    environment = {
        "SLURM_COMMENT": f"run with {token}",
        "MY_OWN": f"{token}",
        "MY_SERVICE_TOKEN": f"{planted}-7",
        "AUTOTRACK_ENVIRONMENT": "MY_*",
        "UNLISTED": f"{planted}-8",
        "MASTER_ADDR": f"tcp://root:{planted}-9@host",
    }
    execute(home, repository, "train.py", *arguments, **environment)
    (record,) = records(home)  # the store has taken it in
    assert record["environment"]["variables"]["MY_OWN"] == "***"
    assert record["code"]["bundle"]["bytes"] > 0 and record["environment"]["lock"]["bytes"] > 0
    given_back(home, record["code"], home / "unpacked")
    shutil.copytree(repository / ".git", tmp_path / "git")
    bundle = Blobs(home).path(record["code"]["bundle"]["digest"])
    subprocess.run(["git", "clone", "-q", bundle, home / "clone"], check=True)
    objects = ["git", "-C", home / "clone", "cat-file", "--batch", "--batch-all-objects"]
    (home / "objects").write_bytes(subprocess.run(objects, capture_output=True, check=True).stdout)
    searched = [path for path in home.rglob("*") if path.is_file()]
    assert len(searched) > 5
    assert [path for path in searched if planted.encode() in path.read_bytes()] == []
    assert planted not in json.dumps(record)
    assert {one["path"] for one in record["code"]["left_out"]} == {
        ".env", "deploy.key", "certificate.txt", "settings.yaml",
    }  # fmt: skip


@needs_git
def test_files_that_come_and_go_do_not_cost_the_capsule(repository: Path, home: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text(
        "import model.net, autotrack, os, threading\n"
        "run = autotrack.start_run()\n"
        "while any(one.name == 'autotrack-code' for one in threading.enumerate()):\n"
        "    for number in range(50):\n"
        "        open(f'scratch{number}', 'w').write('x')\n"
        "    for number in range(50):\n"
        "        os.unlink(f'scratch{number}')\n"
        "run.end()\n"
    )
    execute(home, repository, "train.py")
    assert "model/net.py" in given_back(home, code(home), tmp_path / "again").files


@pytest.mark.skipif(os.name == "nt", reason="a program is a shell script")
def test_a_git_that_hangs_delays_the_exit_no_longer_than_the_bound(
    repository: Path, home: Path, tmp_path: Path
) -> None:
    hanging = tmp_path / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    (repository / "train.py").write_text(
        "from autotrack.provenance.code import witness\nwitness.MOST_SECONDS_AT_EXIT = 0.5\n" + RUN
    )
    begun = time.monotonic()
    execute(home, repository, "train.py", PATH=f"{hanging.parent}{os.pathsep}{os.environ['PATH']}")
    assert time.monotonic() - begun < 20
    (record,) = records(home)
    assert "no time left" in record["code"]["problem"]
    assert record["status"] == "finished" and [note["what"] for note in record["notes"]] == ["code"]


def test_a_capsule_that_was_tampered_with_is_refused(project: Path, home: Path, tmp_path: Path) -> None:
    execute(home, project, "train.py")
    record = code(home)
    path = Blobs(home).path(record["archive"]["digest"])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"net = 1", b"net = 9"))
    with pytest.raises(CannotRestore, match="damaged"):
        given_back(home, record, tmp_path / "again")
    assert not (tmp_path / "again").exists()
