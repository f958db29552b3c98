"""A real dashboard and a real Chromium for tests: `serving(home)` gives an address, `chromium()` a browser, `axe(page)`
what is wrong for who cannot see the page. Everything is on loopback, and ends with its `with`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

DEADLINE: Final = 20.0
"""Seconds that anything may take here before a test says that it does not work."""

ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAPTOP: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 844}


def chromium_path() -> str | None:
    """Chromium on this machine."""
    named = os.environ.get("AUTOTRACK_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a process that records into, or shows, this home."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AUTOTRACK_")}
    return {**kept, "AUTOTRACK_HOME": str(home), "AUTOTRACK_QUIET": "1", **more}


def record(home: Path, program: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a program that records into this home, in `folder`, and wait until it has ended."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def serving(home: Path, **more: str) -> Iterator[str]:
    """`autotrack dashboard` over this home, as a user starts it: its address, without the last slash."""
    command = [sys.executable, "-m", "autotrack", "dashboard", "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        command,
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home.parent,
    )
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        timer.cancel()
        if found is None:
            process.kill()
            raise AssertionError(f"the dashboard did not start: {process.communicate()[1]}")
        yield found[0].rstrip("/")
    finally:
        timer.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; skips the test where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need: pip install playwright")
    path = chromium_path()
    if path is None:
        pytest.skip("the browser tests need Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Any, *, dark: bool = False, size: dict[str, int] | None = None, motion: bool = False
) -> Iterator[Any]:
    """A page in a window of its own. What it writes to the console as an error, or throws, fails the test."""
    context = browser.new_context(
        viewport=size or LAPTOP,
        color_scheme="dark" if dark else "light",
        reduced_motion="no-preference" if motion else "reduce",
    )
    context.set_default_timeout(DEADLINE * 1000)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda told: _noted(told, faults))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: _refused(dialog, faults))
    page.faults = faults
    try:
        yield page
    finally:
        context.close()
    assert not faults, faults


def _noted(told: Any, faults: list[str]) -> None:
    if told.type == "error" and "status of 400" not in told.text:  # which a query with a fault is answered with
        faults.append(told.text)


def _refused(dialog: Any, faults: list[str]) -> None:
    faults.append(f"a dialog: {dialog.message}")
    dialog.dismiss()


def axe(page: Any) -> list[str]:
    """What axe finds wrong with the page as it is now: a sentence each, with the elements."""
    playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    found = playwright.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {', '.join(node['html'][:160] for node in one['nodes'][:4])}" for one in found
    ]


def too_wide(page: Any) -> int:
    """By how many pixels the page scrolls sideways: 0 where it fits."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
