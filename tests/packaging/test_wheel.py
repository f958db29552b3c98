"""What a user gets: the wheel and the sdist, built from this tree and opened.

A wheel without its integrations builds and installs without a word, so that only a look inside tells.
"""

import json
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTEGRATIONS = sorted(path.parent.name for path in (ROOT / "integrations").glob("autotrack_*/__init__.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_there_are_integrations_to_pack() -> None:
    assert {"autotrack_mlflow", "autotrack_sklearn", "autotrack_xgboost"} <= set(INTEGRATIONS)


def test_the_wheel_holds_the_core_and_every_integration_whole(wheel: zipfile.ZipFile) -> None:
    sources = {
        path.relative_to(ROOT / place).as_posix()
        for place in ("src", "integrations")
        for path in (ROOT / place).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    packed = {path for path in wheel.namelist() if ".dist-info/" not in path}
    assert sources <= packed, sorted(sources - packed)
    assert {path.partition("/")[0] for path in packed} == {"autotrack", *INTEGRATIONS}
    assert "autotrack/py.typed" in packed


def test_the_wheel_holds_no_tests_and_no_leftovers(wheel: zipfile.ZipFile) -> None:
    odd = [path for path in wheel.namelist() if "tests" in path or "__pycache__" in path or path.endswith(".pyc")]
    assert odd == []


def test_every_entry_point_names_a_module_of_the_wheel(wheel: zipfile.ZipFile) -> None:
    points = ConfigParser()
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {"autotrack": "autotrack.cli.main:main"}
    assert {f"{name}.callbacks_factory" for name in ("lightning.pytorch", "pytorch_lightning")} < set(points.sections())
    for group in points.sections():
        for target in points[group].values():
            place = target.partition(":")[0].replace(".", "/")
            assert {f"{place}.py", f"{place}/__init__.py"} & set(wheel.namelist()), target
    assert set(INTEGRATIONS) <= set(points["autotrack"].values())


def test_the_metadata_say_what_is_needed(wheel: zipfile.ZipFile) -> None:
    told: Message = Parser().parsestr(metadata(wheel, "METADATA"))
    assert told["Name"] == "autotrack-ml"
    assert told["Requires-Python"] == ">=3.11"
    assert told["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in told.get_all("Classifier", [])
    needed = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(needed) == sorted(PROJECT["dependencies"])
    assert set(told.get_all("Provides-Extra", [])) >= {"sklearn", "xgboost", "mlflow", "postgresql", "test"}
    assert told.get_payload().startswith("# autotrack")


def test_the_sdist_builds_and_tests_itself(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    for needed in ("pyproject.toml", "README.md", "LICENSE", "tox.ini", "constraints.txt", "CHANGELOG.md"):
        assert needed in names
    assert "tests/packaging/test_wheel.py" in names
    assert {f"integrations/{name}/__init__.py" for name in INTEGRATIONS} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", ".tox", ".autotrack"))]


def test_the_installed_wheel_finds_its_plugins(built: Path, tmp_path: Path) -> None:
    """In a fresh environment, with the dependencies of this one lent: only the plugins' way is looked at."""
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv").rglob("site-packages")
    (path,) = built.glob("*.whl")
    zipfile.ZipFile(path).extractall(site)
    code = (
        "import json; from autotrack.plugins import entry_points; import autotrack\n"
        "print(autotrack.__version__, autotrack.__file__); print(json.dumps(list(entry_points().values())))"
    )
    python = next(path for path in (tmp_path / "venv").glob("*/python*") if path.stem == "python")
    lent = [path for path in sys.path if path.endswith("site-packages")]
    done = subprocess.run(
        # The fresh environment's own folder comes first, so that its wheel is what is imported.
        [str(python), "-c", f"import sys; sys.path += {lent!r}\n{code}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"{PROJECT['version']} {site / 'autotrack' / '__init__.py'}"
    assert set(INTEGRATIONS) | {"autotrack.store.plugin"} <= set(json.loads(second))
