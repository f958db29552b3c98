"""Code that imports the product's own names: `autotrack.compat.install`, and a script that is run whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from autotrack.compat import install
from autotrack.errors import UsageError

SCRIPT = """
import sys
import neptune
from neptune.types import File
from neptune.utils import stringify_unsupported
from neptune.exceptions import NeptuneException
from neptune_scale import Run

run = neptune.init_run(project="team/churn", tags="script")
run["argument"] = sys.argv[1]
run["params"] = stringify_unsupported({"shape": (1, 2)})
run["text"].upload(File.from_content("hi"))
for step in range(5):
    run["loss"].append(1 / (step + 1))
with Run(experiment_name="second", project="team/churn") as other:
    other.log_metrics({"loss": 0.5}, step=0.5)
if len(sys.argv) > 2:
    raise ValueError(sys.argv[2])
"""


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AUTOTRACK_HOME": str(folder / "home"), "AUTOTRACK_CODE": "0", "AUTOTRACK_QUIET": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def listed(folder: Path) -> list[dict[str, object]]:
    asked = run_python(folder, "-m", "autotrack", "ls", "--json")
    assert asked.returncode == 0, asked.stderr
    found: list[dict[str, object]] = json.loads(asked.stdout)
    return found


def test_a_script_runs_unchanged(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    done = run_python(tmp_path, "-m", "autotrack.compat", "neptune,neptune_scale", "train.py", "given")
    assert done.returncode == 0, done.stderr
    assert {(run["name"], run["project"], run["status"]) for run in listed(tmp_path)} == {
        ("train", "team/churn", "finished"),
        ("second", "team/churn", "finished"),
    }
    shown = run_python(tmp_path, "-m", "autotrack", "show", "train", "--json")
    record = json.loads(shown.stdout)
    assert record["params"] == {"argument": "given", "params/shape": "(1, 2)"}
    assert record["metrics"]["loss"]["count"] == 5
    assert [one["name"] for one in record["artifacts"]] == ["text.txt"]


def test_a_script_that_raises_fails_as_it_would(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    done = run_python(tmp_path, "-m", "autotrack.compat", "neptune,neptune_scale", "train.py", "given", "it broke")
    assert done.returncode == 1 and "ValueError: it broke" in done.stderr
    assert {run["name"]: run["status"] for run in listed(tmp_path)} == {"train": "failed", "second": "finished"}


def test_switched_off_it_leaves_nothing_and_the_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.setenv("AUTOTRACK_ENABLED", "0")
    done = run_python(tmp_path, "-m", "autotrack.compat", "neptune,neptune_scale", "train.py", "given")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()


def test_every_name_of_a_module_is_one_object(tmp_path: Path) -> None:
    (tmp_path / "names.py").write_text(
        textwrap.dedent(
            """
            import importlib.metadata, importlib.util
            import autotrack.compat
            autotrack.compat.install("neptune", "neptune_scale")
            autotrack.compat.install("neptune")
            import neptune
            import neptune.new as old
            from neptune.types import File
            from neptune.types.atoms.file import File as inner
            from neptune.new.types import File as older
            from neptune.metadata_containers.run import Run
            from neptune_scale.api.run import Run as scale
            import neptune_scale
            import autotrack.compat.neptune as ours
            assert File is inner is older is ours.types.File
            assert neptune is old is ours and Run is neptune.Run and scale is neptune_scale.Run
            assert ours.types.__name__ == ours.types.__spec__.name == "autotrack.compat.neptune.types"
            assert importlib.util.find_spec("neptune") is not None
            assert importlib.metadata.version("neptune") == "1.14.0"
            assert importlib.metadata.version("neptune-scale") == "0.30.0"
            try:
                import neptune.integrations.sacred
            except ImportError as problem:
                assert "neptune-sacred" in str(problem), problem
            else:
                raise AssertionError
            try:
                import neptune.nowhere
            except ImportError as problem:
                assert problem.name == "neptune.nowhere"
            """
        )
    )
    done = run_python(tmp_path, "names.py")
    assert done.returncode == 0, done.stderr


def test_an_extension_of_the_products_runs_on_the_drop_in(tmp_path: Path) -> None:
    extension = tmp_path / "neptune_sacred"
    extension.mkdir()
    (extension / "__init__.py").write_text("from neptune import Run\nfrom neptune.types import File\nHERE = 1\n")
    (tmp_path / "train.py").write_text("import neptune.integrations.sacred as s\nassert s.HERE == 1\n")
    done = run_python(tmp_path, "-m", "autotrack.compat", "neptune", "train.py")
    assert done.returncode == 0, done.stderr


def test_without_install_nothing_is_in_anybodys_place(tmp_path: Path) -> None:
    done = run_python(
        tmp_path,
        "-c",
        "import sys, autotrack.compat.neptune, autotrack.compat.neptune_scale\n"
        "assert 'neptune' not in sys.modules and 'neptune_scale' not in sys.modules\n"
        "heavy = {'pandas', 'PIL', 'matplotlib', 'sqlalchemy', 'requests', 'torch', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy",
    )
    assert done.returncode == 0, done.stderr


def test_wrong_uses_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neptune, neptune_scale"):
        install("wandb")
    (tmp_path / "neptune.py").write_text("")
    done = run_python(tmp_path, "-c", "import neptune, autotrack.compat\nautotrack.compat.install('neptune')")
    assert "has been imported already" in done.stderr
    done = run_python(tmp_path, "-m", "autotrack.compat", "neptune")
    assert done.returncode == 1 and "usage:" in done.stderr
