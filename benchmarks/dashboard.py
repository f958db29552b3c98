"""The dashboard with many runs and long series: how long its answers take, and its pages in a real browser.

A store is made through the real ingest: 10,000 runs (100,000 with `--large`) of 12 params and 5 metrics, and 20 runs
with a series of 1,000,000 points each. Then `autotrack dashboard` is started as a user starts it. Answers are timed
over HTTP; first paint and a chart of the 20 series in Chromium by Playwright, where both are there. `--keep FOLDER`
uses the same store again.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SERIES = 20
POINTS = 1_000_000
SAMPLES = 9
CHROMIUM = "/usr/bin/chromium"
ROWS = "[role=row] a[href^='/run/'], tr a[href^='/run/']"
CHART = ".uplot canvas"
UNTIL = """async ([address, wanted]) => {
  // Milliseconds from asking for an address (or from the beginning of the document) until something is on the screen.
  const begun = address ? performance.now() : 0;
  if (address) {
    const { navigate } = await import("/static/lib/router.js");
    for (const old of document.querySelectorAll(wanted)) old.remove();
    navigate(address);
  }
  const end = performance.now() + 20000;
  while (!document.querySelector(wanted)) {
    if (performance.now() > end) throw new Error(`nothing like ${wanted} came up`);
    await new Promise((resume) => setTimeout(resume, 1));
  }
  await new Promise((resume) => requestAnimationFrame(() => setTimeout(resume, 0)));
  return performance.now() - begun;
}"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def records(writer: str, events: Iterator[Any]) -> Iterator[list[Any]]:
    """Events as batches of a journal's records."""
    from autotrack.events import Record

    batch: list[Any] = []
    for number, event in enumerate(events, 1):
        batch.append(Record(writer, number, number, event))
        if len(batch) == 50_000:
            yield batch
            batch = []
    if batch:
        yield batch


def many_runs(count: int, start: int) -> Iterator[Any]:
    """The events of `count` small runs."""
    from autotrack.events import MetricsLogged, ParamsLogged, RunEnded, RunStarted, TagsSet

    rng = np.random.default_rng(0)
    for number in range(count):
        run, time_ns = f"{number:016x}", start + number * 10**9
        yield RunStarted(run, time_ns, f"trial-{number}", f"project-{number % 4}", integration="sklearn")
        params: dict[str, Any] = {f"param_{index}": float(value) for index, value in enumerate(rng.random(9))}
        params |= {"lr": float(10 ** rng.uniform(-5, -1)), "depth": int(rng.integers(2, 12)), "optimizer": "adam"}
        yield ParamsLogged(run, time_ns, params)
        yield TagsSet(run, time_ns, {"team": ("risk", "ads", "search")[number % 3]})
        level = float(rng.random())
        for step in range(12):
            values = {"loss": level + 1 / (step + 1), "val_loss": level + 1.1 / (step + 1), "acc": 1 - level / 2}
            yield MetricsLogged(run, time_ns + step * 10**6, step, values | {"f1": level, "epoch": float(step)})
        yield RunEnded(run, time_ns + 10**8, "failed" if number % 50 == 0 else "finished")


def long_series(start: int) -> Iterator[Any]:
    """The events of runs with one long series each."""
    from autotrack.events import MetricsLogged, RunEnded, RunStarted

    rng = np.random.default_rng(1)
    for number in range(SERIES):
        run, time_ns = f"long{number:012x}", start + number * 10**9
        yield RunStarted(run, time_ns, f"long-{number}", "long")
        noise = rng.normal(0, 0.05, POINTS) + 2.0 / np.sqrt(1 + np.arange(POINTS) / 5000) + number * 0.02
        for step, value in enumerate(noise.tolist()):
            yield MetricsLogged(run, time_ns + step * 10**6, step, {"loss": value})
        yield RunEnded(run, time_ns + POINTS * 10**6, "finished")


def make(home: Path, runs: int) -> None:
    """Fill the store."""
    from autotrack.settings import load
    from autotrack.store.engine import open_engine
    from autotrack.store.ingest import ingest

    home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(home, load(home=home))
    start = 1_750_000_000 * 10**9
    for writer, events in (("runs", many_runs(runs, start)), ("long", long_series(start + runs * 10**9))):
        begun, count = time.perf_counter(), 0
        for batch in records(writer, events):
            count += ingest(engine, batch)
        print(f"{count:>12,} events of {writer} taken in, {time.perf_counter() - begun:.0f} s", flush=True)
    engine.dispose()


class Served:
    """`autotrack dashboard` as a process of its own."""

    def __init__(self, home: Path) -> None:
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autotrack", "dashboard", "--port", "0", "--no-browser"],
            env={**os.environ, "AUTOTRACK_HOME": str(home)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        if found is None:
            sys.exit("the dashboard did not start")
        self.address = found[0].rstrip("/")
        self.seconds = time.perf_counter() - begun

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)


def answers(address: str) -> None:
    """Time each kind of answer: the first, the median of more worked out anew, and of those that come again."""
    import httpx

    ids = [f"long{number:012x}" for number in range(SERIES)]
    small = ",".join(f"{number:016x}" for number in range(200))
    asked = {
        "info": ("/api/info", {}),
        "columns": ("/api/columns", {}),
        "200 runs, newest": ("/api/runs", {"columns": "params.lr,metrics.loss.last"}),
        "200 runs by a metric": (
            "/api/runs",
            {"sort": "metrics.val_loss.min", "columns": "params.lr,metrics.loss.last"},
        ),
        "200 runs, filtered, by a metric": (
            "/api/runs",
            {
                "where": "params.lr > 1e-3 and metrics.loss.min < 0.9",
                "sort": "-metrics.acc.max",
                "columns": "params.lr",
            },
        ),
        "200 runs, last page": ("/api/runs", {"offset": "9800"}),
        "groups by a tag": ("/api/runs", {"group": "tags.team"}),
        "200 sparklines": ("/api/sparklines", {"runs": small, "key": "loss"}),
        "20 sparklines of long series": ("/api/sparklines", {"runs": ",".join(ids), "key": "loss"}),
        "20 long series": ("/api/series", {"runs": ",".join(ids), "key": "loss"}),
        "20 long series, a tenth": (
            "/api/series",
            {"runs": ",".join(ids), "key": "loss", "from": "400000", "to": "500000"},
        ),
        "20 long series, 5000 steps": (
            "/api/series",
            {"runs": ",".join(ids), "key": "loss", "from": "400000", "to": "405000"},
        ),
        "20 long series by time": ("/api/series", {"runs": ",".join(ids), "key": "loss", "x": "time"}),
        "one run": (f"/api/run/{ids[0]}", {}),
    }
    with httpx.Client(base_url=address, timeout=60) as client:
        for name, (path, query) in asked.items():
            fresh, again, size = [], [], 0
            for number in range(SAMPLES):
                for times in (fresh, again):  # the second time the store has not changed, and the answer is remembered
                    begun = time.perf_counter()
                    answer = client.get(path, params={**query, "sample": number})
                    times.append((time.perf_counter() - begun) * 1e3)
                    answer.raise_for_status()
                    size = len(answer.content)
            print(
                f"{name:<34} first {fresh[0]:7.1f} ms   median {statistics.median(fresh[1:]):7.1f} ms   "
                f"again {statistics.median(again):6.1f} ms   {size / 1000:8.1f} kB",
                flush=True,
            )


def pages(address: str) -> None:
    """First paint of the list, and a chart of the long series, in Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("pages are not measured: playwright is not installed")
        return
    if not Path(CHROMIUM).exists():
        print(f"pages are not measured: {CHROMIUM} is not here")
        return
    ids = ",".join(f"long{number:012x}" for number in range(SERIES))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        paints, listed, charts, zooms = [], [], [], []
        for _ in range(5):
            page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
            page.goto(address)
            listed.append(page.evaluate(UNTIL, [None, ROWS]))
            told = dict(page.evaluate("performance.getEntriesByType('paint').map(p => [p.name, p.startTime])"))
            paints.append(told.get("first-contentful-paint", float("nan")))
            page.evaluate(
                UNTIL, ["/compare", "#main h1, #main h2, #main p"]
            )  # another page, so that the way back counts
            charts.append(page.evaluate(UNTIL, [f"/charts?runs={ids}", CHART]))
            zooms.append(page.evaluate(UNTIL, [f"/charts?runs={ids}&from=400000&to=450000", CHART]))
            page.context.close()
        browser.close()
    for name, times in (
        ("list of runs, first paint", paints),
        ("list of runs, rows are there", listed),
        ("chart of 20 series, from the click", charts),
        ("the same, zoomed", zooms),
    ):
        print(f"{name:<38} median {statistics.median(times):6.0f} ms   of {sorted(map(round, times))}", flush=True)


def main(arguments: list[str]) -> None:
    """Make a store, or take the one that is kept, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="100,000 runs rather than 10,000")
    parser.add_argument("--keep", type=Path, help="folder of a store to make, or to use again")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = asked.keep or Path(folder)
        if not (home / "store.db").exists():
            make(home, 100_000 if asked.large else 10_000)
        with Served(home) as served:
            print(f"started in {served.seconds:.2f} s")
            answers(served.address)
            pages(served.address)


if __name__ == "__main__":
    main(sys.argv[1:])
