"""Our dashboard and MLflow's, over the same 10,000 runs: the list as JSON, and the page in a real browser.

Both stores are SQLite files and hold the same runs (`many_runs` of `dashboard.py`: 12 params, 5 metrics of 12 points
each, a tag), MLflow's written by MLflow's own store. Each server is started as its users start it, one at a time. Asked
is for 100 runs with all of their params and newest metrics, as MLflow's page does: the newest with a condition that all
meet, those sorted by a metric, and those that a condition on two metrics leaves. In Chromium the clock runs from the
beginning of the document until the first row of the list links to a run. `--keep FOLDER` uses the same stores again.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashboard import CHROMIUM, FLAGS, ROWS, UNTIL, Served, many_runs, records

RUNS = 10_000
ROUNDS = 5
START = 1_750_000_000 * 10**9
PARAMS = ["lr", "depth", "optimizer", *(f"param_{index}" for index in range(9))]
METRICS = ["loss", "val_loss", "acc", "f1", "epoch"]


def fill_ours(home: Path) -> None:
    """The runs in our store, through the real ingest."""
    from autotrack.settings import load
    from autotrack.store.engine import open_engine
    from autotrack.store.ingest import ingest

    home.mkdir(parents=True)
    engine = open_engine(home, load(home=home))
    for batch in records("runs", many_runs(RUNS, START)):
        ingest(engine, batch)
    engine.dispose()


def fill_mlflow(folder: Path) -> None:
    """The runs in MLflow's store, through its own calls."""
    from mlflow.entities import Metric, Param, RunStatus, RunTag
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from autotrack.events import MetricsLogged, ParamsLogged, RunEnded, RunStarted, TagsSet

    folder.mkdir(parents=True)
    store = SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))
    experiment = store.create_experiment("runs")
    theirs, params, metrics, tags = "", [], [], []
    for event in many_runs(RUNS, START):
        at = event.time // 10**6
        if isinstance(event, RunStarted):
            theirs = store.create_run(experiment, "somebody", at, [], event.name).info.run_id
            params, metrics, tags = [], [], []
        elif isinstance(event, ParamsLogged):
            params = [Param(key, str(value)) for key, value in event.params.items()]
        elif isinstance(event, TagsSet):
            tags = [RunTag(key, value) for key, value in event.tags.items()]
        elif isinstance(event, MetricsLogged):
            metrics += [Metric(key, value, at, event.step) for key, value in event.values.items()]
        elif isinstance(event, RunEnded):
            store.log_batch(theirs, metrics, params, tags)
            store.update_run_info(theirs, RunStatus.from_string(event.status.upper()), at, None)


class Mlflow:
    """`mlflow server` on a free loopback port, at its defaults."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        program = [str(Path(sys.executable).with_name("mlflow")), "server", "--port", str(port)]
        self.process = subprocess.Popen(
            [*program, "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
        )

    def __enter__(self) -> Mlflow:
        import httpx

        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.address}/health").is_success:
                    return self
            except httpx.HTTPError:
                time.sleep(0.2)
        sys.exit("MLflow's server did not start")

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, 15)
        self.process.wait(20)


def ask_ours(client: Any, order: str, where: str) -> int:
    """Ask our dashboard; returns how many runs came."""
    columns = [f"params.{key}" for key in PARAMS] + [f"metrics.{key}.last" for key in METRICS]
    query = {"sort": order or "-started_at", "where": where, "columns": ",".join(columns), "limit": 100}
    return len(client.get("/api/runs", params=query).raise_for_status().json()["runs"])


def ask_mlflow(client: Any, order: str, where: str) -> int:
    """Ask MLflow's server; returns how many runs came."""
    ordered = f"metrics.{order.lstrip('-').split('.')[1]} {'DESC' if order[0] == '-' else 'ASC'}" if order else ""
    query = {
        "experiment_ids": ["1"],
        "max_results": 100,
        "order_by": [ordered or "attributes.start_time DESC"],
        "filter": where.replace(".last", ""),
    }
    return len(client.post("/api/2.0/mlflow/runs/search", json=query).raise_for_status().json()["runs"])


def answers(name: str, address: str, ask: Callable[[Any, str, str], int]) -> None:
    """Time the list of runs; conditions differ a little each time, so that no answer is one that was kept."""
    import httpx

    with httpx.Client(base_url=address, timeout=120) as client:
        for what, order, where in (
            ("newest", "", "metrics.loss.last < 1{}"),
            ("sorted by a metric", "metrics.val_loss.last", "metrics.loss.last < 1{}"),
            ("filtered and sorted", "-metrics.acc.last", "metrics.f1.last < 0.9{} and metrics.loss.last > 0.2"),
        ):
            times = []
            for number in range(ROUNDS + 1):
                begun = time.perf_counter()
                assert ask(client, order, where.format(number)) == 100
                times.append((time.perf_counter() - begun) * 1e3)
            print(f"{name:<10} 100 runs, {what:<22} median {statistics.median(times[1:]):7.0f} ms", flush=True)


def page(name: str, address: str, rows: str) -> None:
    """Time the list in Chromium."""
    from playwright.sync_api import sync_playwright

    paints, listed = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(ROUNDS):
            shown = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
            shown.goto(address)
            listed.append(shown.evaluate(UNTIL, [None, rows]))
            told = dict(shown.evaluate("performance.getEntriesByType('paint').map(p => [p.name, p.startTime])"))
            paints.append(told.get("first-contentful-paint", float("nan")))
            shown.context.close()
        browser.close()
    for what, times in (("first paint", paints), ("rows are there", listed)):
        print(f"{name:<10} {what:<32} median {statistics.median(times):7.0f} ms   of {sorted(map(round, times))}")


def main(arguments: list[str]) -> None:
    """Fill both stores, or take those that are kept, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder of stores to make, or to use again")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = asked.keep or Path(temporary)
        for name, fill in (("ours", fill_ours), ("mlflow", fill_mlflow)):
            if not (folder / name).exists():
                begun = time.perf_counter()
                fill(folder / name)
                print(f"{name:<10} filled in {time.perf_counter() - begun:.0f} s", flush=True)
        with Served(folder / "ours") as served:
            answers("autotrack", served.address, ask_ours)
            page("autotrack", served.address, ROWS)
        with Mlflow(folder / "mlflow") as mlflow:
            answers("MLflow", mlflow.address, ask_mlflow)
            page("MLflow", f"{mlflow.address}/#/experiments/1/runs", "[role=row] a[href*='/runs/']")


if __name__ == "__main__":
    main(sys.argv[1:])
