"""The first look at a dashboard: the demo, an empty home, names that do no harm, and modules that are well formed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import browser as real

NASTY = """
import autotrack
bad = '<img src=x onerror=alert(1)><script>alert(2)</script>"\\'&{}'
for number in range(3):
    with autotrack.start_run(name=bad + str(number), tags={bad: bad}) as run:
        run.log_params({bad: bad + str(number), "javascript:alert(3)": "javascript:alert(4)"})
        run.log_metrics({bad: float(number)}, step=0)
        run.log_metrics({bad: float(number) + 1}, step=1)
"""

PARENTS = """
import autotrack
with autotrack.start_run(name="study") as parent:
    for number in range(3):
        with autotrack.start_run(name=f"inside-{number}") as run:
            run.log_metrics({"score": number}, step=0)
with autotrack.start_run(name="alone") as run:
    run.log_metrics({"score": 9}, step=0)
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with real.chromium() as browser:
        yield browser


def _first(page: Any, name: str) -> None:
    """Wait until the first row has this name."""
    top = "document.querySelector('.grid-body .run-link')?.textContent"
    page.wait_for_function(f"name => {top} === name", arg=name)


def test_somebody_new_finds_the_best_run_of_the_demo_what_differed_and_its_data(chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip("xgboost", reason="the demo trains with scikit-learn and xgboost")
    home = tmp_path / "home"
    demo = [sys.executable, "-m", "autotrack", "demo"]
    done = subprocess.run(demo, cwd=tmp_path, env=real.environment(home), capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    with real.serving(home) as address, real.opened(chromium) as page:
        page.goto(address)
        page.get_by_text("7 runs").first.wait_for()
        page.get_by_role("button", name="score", exact=True).click()  # a column, as in any table: the best comes first
        _first(page, "Pipeline")
        page.get_by_role("checkbox", name="Select Pipeline").check()
        page.get_by_role("checkbox", name="Select RandomForestClassifier").check()
        page.get_by_role("complementary").get_by_role("link", name="Compare").click()

        page.get_by_role("heading", name="2 runs compared").wait_for()
        page.get_by_label("Best by").select_option("score")
        answer = page.locator(".answer")
        answer.get_by_role("link", name="Pipeline").wait_for()
        assert page.get_by_label("Which is better").input_value() == "highest"
        table = page.get_by_role("region", name="Runs side by side")
        table.get_by_role("row", name=re.compile("^n_estimators")).wait_for()  # what differed
        page.get_by_role("button", name="Only what differs").click()
        table.get_by_text("the same data").first.wait_for()
        data = table.locator("tr", has_text="train/").inner_text()
        assert "rows" in data, data

        answer.get_by_role("link", name="Pipeline").click()
        page.get_by_role("heading", name="Pipeline").wait_for()
        page.get_by_role("navigation", name="Of this run").get_by_role("link", name="Data").click()
        page.get_by_role("main").get_by_text(re.compile("train")).first.wait_for()


def test_html_and_script_in_every_name_are_text(chromium: Any, tmp_path: Path) -> None:
    done = real.record(tmp_path / "home", NASTY, tmp_path)
    assert done.returncode == 0, done.stderr
    with real.serving(tmp_path / "home") as address, real.opened(chromium) as page:
        page.goto(address)
        page.get_by_role("link", name="<img src=x").first.wait_for()
        for box in page.locator(".grid-body input").all():
            box.check()
        page.get_by_role("heading", name="3 runs selected").wait_for()
        page.locator(".chart[data-drawn]").first.wait_for()
        page.get_by_label("Group by").select_option(index=5)
        page.get_by_role("button", name="Columns").click()
        page.get_by_role("button", name="Done").click()
        ids = parse_qs(urlsplit(page.url).query)["runs"][0]
        for place in ("charts", "compare"):
            page.goto(f"{address}/{place}?runs={ids}")
            page.get_by_role("link", name="<img src=x").first.wait_for()
        page.goto(f"{address}/?where={quote('<script>alert(9)</script>')}")
        page.locator(".filter-error mark").wait_for()
        assert page.locator("main img, main script, body > script").count() == 0
        assert page.locator('a[href^="javascript"]').count() == 0  # dialogs fail the test by themselves


def test_an_empty_home_says_what_to_do_and_runs_appear_inside_their_parents(chromium: Any, tmp_path: Path) -> None:
    with real.serving(tmp_path / "home") as address, real.opened(chromium) as page:
        page.goto(address)
        page.get_by_role("heading", name="No runs yet").wait_for()
        page.get_by_text("autotrack demo").wait_for()
        assert real.record(tmp_path / "home", PARENTS, tmp_path).returncode == 0
        page.get_by_role("link", name="alone").wait_for()
        page.get_by_role("button", name="Nest").click()
        page.get_by_text("2 runs of 5").wait_for()
        page.get_by_role("button", name="3 runs inside study").click()
        page.get_by_role("link", name="inside-0").wait_for()
        names = page.locator(".grid-body .run-link").all_inner_texts()
        assert names == ["alone", "study", "inside-2", "inside-1", "inside-0"]


def test_the_modules_are_well_formed() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, to check the syntax of the pages' modules")
    import autotrack.dashboard

    folder = Path(next(iter(autotrack.dashboard.__path__))) / "static"
    modules = [path for path in sorted(folder.rglob("*.js")) if "vendor" not in path.parts]
    assert len(modules) > 20
    program = """
const {readFileSync} = require("fs"); const vm = require("vm"); const bad = [];
for (const path of JSON.parse(process.argv[1])) {
  try { new vm.SourceTextModule(readFileSync(path, "utf8"), {identifier: path}); }
  catch (e) { bad.push(path + ": " + e.message); }
}
if (bad.length) { console.error(bad.join("\\n")); process.exit(1); }
"""
    command = [
        node,
        "--experimental-vm-modules",
        "--no-warnings",
        "-e",
        program,
        json.dumps([str(path) for path in modules]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    long = [path.name for path in modules if len(path.read_text().splitlines()) > 300]
    assert not long
