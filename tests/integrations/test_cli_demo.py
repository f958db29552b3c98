"""`autotrack demo` trains for real, and what it recommends to look at next works."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("xgboost")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    # The plugins are named here too, for a checkout whose installation is older than they are.
    info = tmp_path / "plugins" / "demo_plugins-1.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text("[autotrack]\nsklearn = autotrack_sklearn\nxgboost = autotrack_xgboost\n")
    return {**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "plugins")}


def autotrack(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "autotrack", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_demo_records_its_trainings_and_says_how_to_look_at_them(environment: dict[str, str]) -> None:
    done = autotrack(environment, "demo")
    assert done.returncode == 0, done.stderr
    runs = json.loads(autotrack(environment, "ls", "--project", "demo", "--json").stdout)
    assert len(runs) == 7
    assert {run["status"] for run in runs} == {"finished"}
    assert {run["integration"] for run in runs} == {"sklearn", "xgboost"}
    assert all(run["id"] in done.stdout for run in runs)
    for run in runs:
        record = json.loads(autotrack(environment, "show", run["id"], "--json").stdout)
        assert record["params"]
        assert record["metrics"]
        assert record["datasets"]
    lines = [line.split("  ")[1] for line in done.stdout.splitlines() if line.startswith("  autotrack ")]
    assert {shlex.split(line)[1] for line in lines} == {"ls", "show", "metrics", "compare", "dashboard"}
    for line in lines:
        words = shlex.split(line)[1:]
        if words != ["dashboard"]:  # it goes on until it is stopped; tests/dashboard/test_demo.py does that
            assert autotrack(environment, *words).returncode == 0, line


def test_a_second_demo_shows_its_own_runs_only(environment: dict[str, str]) -> None:
    first, second = autotrack(environment, "demo"), autotrack(environment, "demo")
    ids = [{line.split()[0] for line in done.stdout.splitlines() if " finished " in line} for done in (first, second)]
    assert [len(one) for one in ids] == [7, 7]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("module", ["xgboost", "sklearn"])
def test_without_a_product_the_way_to_get_it_is_told(environment: dict[str, str], module: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None\nfrom autotrack.cli.main import main; sys.exit(main(['demo']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    name = {"sklearn": "scikit-learn"}.get(module, module)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("autotrack: the demo trains with ")
    assert name in done.stderr.partition("pip install ")[2].split()
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_switched_off_the_demo_says_so(environment: dict[str, str]) -> None:
    done = autotrack({**environment, "AUTOTRACK_ENABLED": "0"}, "demo")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "AUTOTRACK_ENABLED=0" in done.stderr
