"""A training that is watched in a real browser while it runs, and seen to die."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser import DEADLINE, chromium, environment, opened, serving

TRAINING = """
import sys, time
import autotrack

autotrack.enable(project="live", backends=["local"])
with autotrack.start_run("watched", params={"lr": 0.1}) as run:
    print(run.id, flush=True)
    step = 0
    while True:
        if step == 60 or step % 300 == 299:
            run.log_artifact(f"step {step}".encode(), f"kept-{step}.txt")
        run.log_metrics({"loss": 1 / (step + 1), "<b>odd</b>": step}, step=step)
        print(f"step {step} <i>of many</i>", flush=True)
        step += 1
        time.sleep(0.1)
"""

POINTS = """least => [...document.querySelectorAll(".chart-card")].filter(card => {
  const told = [...card.querySelectorAll("dt")].find(dt => dt.textContent === "points").nextSibling.textContent;
  return Number(told.replace(/\\D/g, "")) >= least && card.querySelector("canvas");
}).length === 2"""


@contextmanager
def training(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that trains until it is killed, and the id of its run."""
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING], env=environment(home), cwd=home.parent, stdout=subprocess.PIPE, text=True
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    drain = None
    try:
        assert process.stdout is not None
        run = process.stdout.readline().strip()
        drain = threading.Thread(target=process.stdout.read, daemon=True)  # so that the pipe never fills
        drain.start()
        yield process, run
    finally:
        timer.cancel()
        process.kill()
        process.wait(DEADLINE)
        if drain is not None:
            drain.join(DEADLINE)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this platform has no SIGKILL")
def test_a_run_is_watched_while_it_trains_and_seen_to_be_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with chromium() as browser, training(home) as (process, run), serving(home) as address, opened(browser) as page:
        page.goto(f"{address}/run/{run}?tab=metrics")
        page.locator("h1", has_text="watched").wait_for()
        assert page.locator(".head .status").first.inner_text() == "running"
        page.evaluate("window.unchanged = true")
        page.wait_for_function(POINTS, arg=3)
        seen = page.evaluate("[...document.querySelectorAll('.chart-card canvas')].length")
        page.wait_for_function(POINTS, arg=20)
        assert page.evaluate("[...document.querySelectorAll('.chart-card canvas')].length") == seen == 2
        assert page.locator(".chart-card h2").all_inner_texts() == ["<b>odd</b>", "loss"]

        page.get_by_role("link", name="Console").click()
        page.locator(".console span").first.wait_for()
        lines = page.locator(".console span").count()
        page.wait_for_function("least => document.querySelectorAll('.console span').length > least", arg=lines + 5)
        assert "step 0 <i>of many</i>" in page.locator(".console").inner_text()

        page.get_by_role("link", name="Artifacts").click()
        page.locator(".news, .files li").first.wait_for()
        if page.locator(".news").count():
            page.get_by_role("button", name="Show them").click()
        page.get_by_role("link", name="kept-60.txt").wait_for()

        os.kill(process.pid, signal.SIGKILL)
        page.locator(".head .status-killed").wait_for()
        assert page.locator(".under").inner_text().count("took") == 1
        page.get_by_role("link", name="Overview").click()
        page.get_by_text("What it logged until then is all here.").wait_for()
        assert page.evaluate("window.unchanged"), "the page was loaded anew"
