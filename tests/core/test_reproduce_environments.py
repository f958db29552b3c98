"""The recorded environment: what differs from that at hand is named, and it can be made anew without a network."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from autotrack.reproduce.environments import Pin, differences, installed, make, own_imports, pins
from autotrack.reproduce.refused import Refused

LOCK = """
lock-version = "1.0"
created-by = "autotrack"

[[packages]]
name = "Some_Thing"
version = "1.0"

[[packages]]
name = "from-git"
version = "2.0"
vcs = { type = "git", url = "https://host/repo", commit-id = "abc" }

[[packages]]
name = "here"
version = "3.0"
directory = { path = "/src/here", editable = true }

[[packages]]
name = "packed"
version = "4.0"
archive = { url = "https://host/packed.zip", hashes = { sha256 = "00" } }
"""
OF_AUTOTRACK = (
    "click",
    "msgspec",
    "numpy",
    "pluggy",
    "psutil",
    "requests",
    "rich",
    "safetensors",
    "sqlalchemy",
    "xxhash",
)


def test_a_lock_file_says_what_was_installed_and_from_where() -> None:
    found = pins(LOCK.encode())
    assert {name: pin.requirement for name, pin in found.items()} == {
        "some-thing": "some-thing==1.0",
        "from-git": "from-git @ git+https://host/repo@abc",
        "here": "-e /src/here",
        "packed": "packed @ https://host/packed.zip",
    }


def test_what_is_no_lock_file_is_refused() -> None:
    with pytest.raises(Refused, match="lock file"):
        pins(b"[[packages")


def test_differences_name_what_concerns_the_training_first_and_what_is_new_last() -> None:
    was = {"a": "1", "m": "1", "gone": "1", "same": "1"}
    now = {"a": "2", "m": "2", "same": "1", "new": "1"}
    found = differences(was, now, first=["m"])
    assert [(one["name"], one["was"], one["now"]) for one in found] == [
        ("m", "1", "2"), ("a", "1", "2"), ("gone", "1", None), ("new", None, "1"),
    ]  # fmt: skip


def test_a_project_that_was_installed_in_place_is_imported_from_its_new_place(tmp_path: Path) -> None:
    found = pins(LOCK.encode())
    (tmp_path / "flat").mkdir()
    (tmp_path / "layout" / "src").mkdir(parents=True)
    for code, imported in (("flat", "flat"), ("layout", "layout/src")):
        assert own_imports(found, Path("/src/here"), tmp_path / code) == [str(tmp_path / imported)]
    assert own_imports(found, Path("/elsewhere"), tmp_path) == []


def test_what_is_installed_here_is_seen() -> None:
    assert installed()["numpy"] == version("numpy")


def wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with one module that holds its version."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as packed:
        info = f"{name}-{version}.dist-info"
        packed.writestr(f"{name}.py", f"factor = {version}\n")
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def test_a_new_environment_has_the_recorded_versions_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "tinylib", "1.5")
    for installer in ("PIP", "UV"):  # nothing is downloaded
        monkeypatch.setenv(f"{installer}_NO_INDEX", "1")
        monkeypatch.setenv(f"{installer}_FIND_LINKS", str(tmp_path / "wheels"))
    wanted = {name: Pin(name, version(name)) for name in ("numpy", "click")} | {"tinylib": Pin("tinylib", "1.5")}
    python = make(tmp_path / "venv", wanted, None)
    tell = (
        "import json, numpy, tinylib\n"
        "from importlib.metadata import distributions\n"
        "found = sorted(one.metadata['Name'] for one in distributions())\n"
        "print(json.dumps([found, numpy.__version__, tinylib.factor, numpy.__file__]))"
    )
    done = subprocess.run([python, "-I", "-c", tell], capture_output=True, text=True, check=True)
    found, of_numpy, factor, place = json.loads(done.stdout)
    assert found == ["autotrack-ml", "click", "numpy", "tinylib"]
    assert (of_numpy, factor) == (version("numpy"), 1.5)
    assert place.startswith(str(tmp_path))


def test_a_version_that_cannot_be_had_is_refused_with_what_the_installer_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    for installer in ("PIP", "UV"):
        monkeypatch.setenv(f"{installer}_NO_INDEX", "1")
        monkeypatch.setenv(f"{installer}_FIND_LINKS", str(tmp_path / "wheels"))
    with pytest.raises(Refused, match="tinylib"):
        make(tmp_path / "venv", {"tinylib": Pin("tinylib", "9")}, None)


def test_a_python_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match=r"python2\.1"):
        make(tmp_path / "venv", {}, "2.1.0")


def of_autotrack() -> dict[str, Pin]:
    """What autotrack needs, as it is installed here."""
    names = [name for name in installed() if name in (*OF_AUTOTRACK, "markdown-it-py", "mdurl", "pygments")]
    names += [name for name in ("typing-extensions", "greenlet") if name in installed()]
    return {name: Pin(name, version(name)) for name in names}


def test_autotrack_itself_works_in_a_new_environment(tmp_path: Path) -> None:
    python = make(tmp_path / "venv", of_autotrack(), None)
    script = "import autotrack; autotrack.enable(); run = autotrack.start_run(); run.log_metrics({'a': 1.0}); run.end()"
    environment = {"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off"}
    subprocess.run([python, "-c", script], check=True, env=environment)
    done = subprocess.run(
        [python.parent / "autotrack", "ls"], capture_output=True, text=True, check=True, env=environment
    )
    assert "finished" in done.stdout
    assert Path((python.parent / "autotrack").read_text().splitlines()[0][2:]) == python != Path(sys.executable)


TRAIN = """
import autotrack, tinylib
with autotrack.start_run("descent") as run:
    for step in range(3):
        run.log_metrics({"loss": tinylib.factor / (step + 1)}, step=step)
"""


def test_a_run_is_made_again_in_the_environment_that_it_was_made_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, here, project = tmp_path / "wheels", tmp_path / "here", tmp_path / "project"
    wheel(wheels, "tinylib", "1.5")
    wheel(tmp_path / "newer", "tinylib", "1.75")
    for installer in ("PIP", "UV"):
        monkeypatch.setenv(f"{installer}_NO_INDEX", "1")
        monkeypatch.setenv(f"{installer}_FIND_LINKS", str(wheels))
    monkeypatch.setenv("AUTOTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AUTOTRACK_FORWARDER", "off")
    with zipfile.ZipFile(next((tmp_path / "newer").iterdir())) as packed:
        packed.extractall(here)
    then = make(tmp_path / "then", {**of_autotrack(), "tinylib": Pin("tinylib", "1.5")}, None)
    project.mkdir()
    (project / "train.py").write_text(TRAIN)
    subprocess.run([then, "train.py"], cwd=project, check=True)
    shutil.rmtree(project)
    monkeypatch.setenv("PYTHONPATH", str(here))

    def reproduce(*options: str) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "autotrack", "reproduce", "descent", "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, json.loads(done.stdout)

    code, verdict = reproduce("--env", "venv")
    assert (code, verdict["verdict"]) == (0, "exact"), verdict
    assert verdict["checks"]["environment"]["same"]
    code, verdict = reproduce("--into", str(tmp_path / "again"))
    assert (code, verdict["verdict"], verdict["suspect"]) == (1, "diverged", "library: tinylib 1.5 → 1.75")
