"""From a script that trains to a real MLflow server: through the journal and the forwarder."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Server, no_mlflow_settings, the_run

__all__ = ["no_mlflow_settings"]

SCRIPT = """
import os, signal, sys
import autotrack

with autotrack.start_run(name="script", project="scripts", tags={"team": "risk"}) as run:
    print(run.id, flush=True)
    run.log_params({"lr": 0.1, "odd[name]@": 1, "long": "x" * 7000})
    for step in range(3000):
        run.log_metrics({"loss": 1.0 / (step + 1), "accuracy": step / 3000}, step=step)
    run.log_metrics({"odd": float("inf")}, step=0.5)
    run.log_dataset([[1.0, 2.0], [3.0, 4.0]], role="train", name="rows")
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("outcome", "status"), [("finished", "FINISHED"), ("killed", "KILLED")])
def test_a_script_reaches_the_server(
    outcome: str, status: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("AUTOTRACK_BACKENDS", "local,mlflow")
    monkeypatch.setenv("AUTOTRACK_HOME", str(tmp_path / "home"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, outcome], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode == 0) == (outcome == "finished"), done.stderr
    ours = done.stdout.splitlines()[0]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = server.ask("runs", ours)
        if found and found[0]["status"] == status:
            break
        time.sleep(0.2)
    run = the_run(server, ours)
    assert run["status"] == status
    assert (run["name"], run["experiment"], run["tags"]["team"]) == ("script", "scripts", "risk")
    assert len(run["metrics"]["loss"]) == 3000 and len(run["metrics"]["accuracy"]) == 3000
    assert [step for step, _, _ in run["metrics"]["odd"]] == [0]
    assert run["params"]["lr"] == "0.1" and run["params"]["odd_name__"] == "1" and len(run["params"]["long"]) == 6000
    assert run["datasets"][0]["tags"]["mlflow.data.context"] == "train"
    assert "autotrack/run.json" in run["artifacts"]
    if outcome == "finished":  # a kill may come before they are taken
        assert {"autotrack/code.json", "autotrack/environment.json", "autotrack/pylock.toml"} <= set(run["artifacts"])


def test_a_planted_secret_reaches_the_server_in_no_form(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searched for in every byte that the server keeps: database, files and log."""
    planted = "Qz7Planted"
    project = tmp_path / "project"
    project.mkdir()
    (project / ".env").write_text(f"API_KEY={planted}-env\n")
    (project / "deploy.pem").write_text(f"-----BEGIN PRIVATE KEY-----\n{planted * 8}\n-----END PRIVATE KEY-----\n")
    (project / "train.py").write_text(
        "import autotrack, sys\n"
        "with autotrack.start_run('secretive') as run:\n"
        "    print(run.id)\n"
        "    print('arguments:', *sys.argv[1:])\n"
        "    run.log_params({'api_key': sys.argv[2], 'url': sys.argv[4], 'header': sys.argv[5], 'lr': 0.5})\n"
    )
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    token = "hf_" + planted + "x" * 30
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("AUTOTRACK_BACKENDS", "local,mlflow")
    monkeypatch.setenv("AUTOTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AUTOTRACK_CODE", "1")
    monkeypatch.setenv("SLURM_COMMENT", f"run with {token}")
    url = f"postgresql://user:{planted}@host/db"
    arguments = ["--token", token, f"--password={planted}", url, f"Authorization: Bearer {planted}123456789"]
    done = subprocess.run(
        [sys.executable, "train.py", *arguments], cwd=project, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    run = the_run(server, done.stdout.splitlines()[0])
    assert run["status"] == "FINISHED" and run["params"]["lr"] == "0.5"
    assert {"autotrack/code.json", "autotrack/console.log", "autotrack/environment.json"} <= set(run["artifacts"])
    for folder in (server.folder, tmp_path / "home"):
        kept = [path for path in folder.rglob("*") if path.is_file()]
        assert len(kept) > 3 and [path for path in kept if planted.encode() in path.read_bytes()] == []
