"""A run's record says what it ran on, by an allow-list, and finds that out without touching a device or a secret."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from autotrack.forward.catching_up import take_in
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.environment.variables import variables
from autotrack.settings import load
from autotrack.store.query import Store

LONE = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
RUN = "import autotrack\nwith autotrack.start_run(): pass\n"


def environments(home: Path, code: str, **environment: str) -> list[dict[str, Any]]:
    """The environment in the record of each run that `code` makes, and of those before."""
    settings = {"AUTOTRACK_HOME": str(home), "AUTOTRACK_STRICT": "1", "AUTOTRACK_FORWARDER": "off"}
    given = {**LONE, **settings, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=given, cwd=home.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    take_in(home, load({}, home=home))
    with Store.open(home, load({}, home=home)) as store:
        return [store.run(run["id"])["environment"] for run in reversed(store.runs())]


def test_a_run_has_its_machine_its_packages_and_its_command(tmp_path: Path) -> None:
    (found,) = environments(tmp_path / "home", RUN, OMP_NUM_THREADS="3", KERAS_BACKEND="torch", MY_VARIABLE="x")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cpu"]["count"] == os.cpu_count() and found["memory"]["bytes"] > 1 << 28
    assert found["working_folder"] == str(tmp_path) and found["entry_point"] == "-c"
    assert found["command"][:2] == [sys.executable, "-c"]
    assert found["blas"]["threads"]["OMP_NUM_THREADS"] == "3"
    assert found["variables"]["KERAS_BACKEND"] == "torch" and "MY_VARIABLE" not in found["variables"]
    assert isinstance(found["gpu"], list) and isinstance(found["container"], dict)
    with Blobs(tmp_path / "home").open(found["lock"]["digest"]) as opened:
        lock = tomllib.loads(opened.read().decode())
    others = lock["tool"]["autotrack"]["others"]
    assert len(lock["packages"]) + len(others) == found["distributions"] > 5


def test_every_run_of_a_process_and_of_the_next_one_has_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = environments(home, RUN + "with autotrack.start_run(): pass\n")
    assert first == second and first["lock"]
    third = environments(home, RUN)[-1]
    assert third["lock"] == first["lock"] and third["editable"] == first["editable"]


def test_a_package_that_is_installed_later_is_in_the_next_lock(tmp_path: Path) -> None:
    home, packages = tmp_path / "home", tmp_path / "packages"
    packages.mkdir()
    (before,) = environments(home, RUN, PYTHONPATH=str(packages))
    (packages / "later-1.0.dist-info").mkdir()
    after = environments(home, RUN, PYTHONPATH=str(packages))[-1]
    assert after["distributions"] == before["distributions"] + 1 and after["lock"] != before["lock"]


def test_a_run_that_a_framework_of_linear_algebra_is_loaded_in_names_it(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    if not Path("/proc/self/maps").exists():
        pytest.skip("what is mapped is not told here")
    (found,) = environments(tmp_path / "home", "import numpy.linalg\n" + RUN)
    assert any(one["kind"] in ("openblas", "mkl", "blis", "accelerate") for one in found["blas"]["libraries"])


def test_only_usual_variables_and_those_asked_for_are_recorded_masked() -> None:
    environ = {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "SLURM_JOB_ID": "7",
        "SLURM_JWT": "anything",
        "NVIDIA_API_KEY": "anything",
        "HOME": "/home/me",
        "WANDB_API_KEY": "anything",
        "DATA_ROOT": "s3://bucket/x",
        "DATA_URL": "https://me:planted@host",
        "DATA_TOKEN": "planted",
        "AUTOTRACK_STORE_URL": "postgresql://me:planted@host/db",
        "AUTOTRACK_RUN_ID": "abc/part",
    }
    assert variables(environ, ["DATA_*"]) == {
        "AUTOTRACK_STORE_URL": "postgresql://***@host/db",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "DATA_ROOT": "s3://bucket/x",
        "DATA_TOKEN": "***",
        "DATA_URL": "https://***@host",
        "NVIDIA_API_KEY": "***",
        "PYTHONHASHSEED": "0",
        "SLURM_JOB_ID": "7",
        "SLURM_JWT": "***",
    }
    assert variables({"A": "x" * 5_000}, ["A"])["A"] == "x" * 2_000 + "…"
