"""Delivery to a real MLflow server on this machine, beside loops of MLflow's own client in the same run.

Ours is the whole way of a script that only logs: from the first call until `autotrack sync` says that the server has
every point. The client's lines are per point as well: `log_metric`, one point a call, and `log_metrics`, ten a call.
Needs `mlflow` in the environment; the server's and the client's time to start count for neither.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STEPS, KEYS = 2_000, 10
SINGLE, GROUPED = 300, 200


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """An `mlflow server` with its data in `folder`; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "kept")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while not answers(address):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"the MLflow server did not start:\n{(folder / 'server.log').read_text()}")
            time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def answers(address: str) -> bool:
    """Whether the server is there."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=1):
            return True
    except OSError:
        return False


def ours(address: str, folder: Path) -> float:
    """Seconds per point from the first call until all are on the server."""
    os.environ.update(
        AUTOTRACK_HOME=str(folder / "home"),
        AUTOTRACK_QUIET="1",
        AUTOTRACK_BACKENDS="mlflow",
        MLFLOW_TRACKING_URI=address,
    )
    import autotrack

    metrics = {f"m{index}": 0.5 for index in range(KEYS)}
    begun = time.perf_counter()
    with autotrack.start_run("ours") as run:
        for step in range(STEPS):
            run.log_metrics(metrics, step=step)
    subprocess.run([sys.executable, "-m", "autotrack", "sync"], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) / (STEPS * KEYS)


def check(address: str) -> None:
    """End where the server does not hold every point of ours."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    experiments = [it.experiment_id for it in client.search_experiments()]
    (run,) = client.search_runs(experiments, "attributes.run_name = 'ours'")
    held = sum(len(client.get_metric_history(run.info.run_id, f"m{index}")) for index in range(KEYS))
    if held != STEPS * KEYS:
        sys.exit(f"the server holds {held:,} of {STEPS * KEYS:,} points")


def theirs() -> tuple[float, float]:
    """Seconds per point of MLflow's client: one a call, ten a call."""
    import mlflow

    metrics = {f"m{index}": 0.5 for index in range(KEYS)}
    with mlflow.start_run(run_name="theirs"):
        mlflow.log_metric("warm", 0.5)
        begun = time.perf_counter()
        for step in range(SINGLE):
            mlflow.log_metric("loss", 0.5, step=step)
        single = (time.perf_counter() - begun) / SINGLE
        begun = time.perf_counter()
        for step in range(GROUPED):
            mlflow.log_metrics(metrics, step=step)
        return single, (time.perf_counter() - begun) / (GROUPED * KEYS)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, served(Path(name)) as address:
        whole = ours(address, Path(name))
        check(address)
        single, grouped = theirs()
        print(f"{STEPS * KEYS:,} points through autotrack, whole way     {whole * 1e6:9.0f} µs a point")
        for what, seconds in (
            ("mlflow.log_metric, one point a call", single),
            ("mlflow.log_metrics, ten a call", grouped),
        ):
            print(f"{what:45} {seconds * 1e6:9.0f} µs a point: {seconds / whole:.1f} × ours")


if __name__ == "__main__":
    main()
