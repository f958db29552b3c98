"""Logging in with a real browser, which sends what no HTTP client thinks of."""

import sys
from pathlib import Path

import pytest

import autotrack
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))

from served import served

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
TOKEN = "correct-horse-battery-staple"

playwright = pytest.importorskip("playwright.sync_api", reason="the browser is driven by playwright, which is not here")
if not CHROMIUM.exists():
    pytest.skip(f"{CHROMIUM} is not here: apt install chromium", allow_module_level=True)


def test_a_person_logs_in_and_comes_to_the_page_that_was_asked_for(tmp_path: Path) -> None:
    with recording(tmp_path / "home"), autotrack.start_run("baseline") as run:
        run.log_metrics({"loss": 0.5})
    with served(tmp_path / "home", token=TOKEN) as client, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            page = browser.new_page()
            faults: list[str] = []
            page.on("pageerror", lambda fault: faults.append(str(fault)))
            page.on("console", lambda told: faults.append(told.text) if "Content Security" in told.text else None)
            page.goto(f"{client.base_url}/?sort=name")
            assert "/login" in page.url
            page.get_by_label("Token").fill("a token that opens nothing")
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("alert").wait_for()
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("link", name="baseline").first.wait_for()
            assert page.url == f"{client.base_url}/?sort=name"
            assert page.evaluate("document.cookie") == ""
            assert not faults
        finally:
            browser.close()
