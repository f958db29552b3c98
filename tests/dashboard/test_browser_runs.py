"""The dashboard as somebody uses it: Chromium, the real server, a real store. Runs, their table, and comparing them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import browser as real

SWEEP = """
import math
import numpy as np
import autotrack

rows = np.arange(400.0).reshape(100, 4)
more = rows.copy()
more[7:9, 2] += 1
for number in range(60):
    rate = 10.0 ** -(1 + number % 4)
    try:
        with autotrack.start_run(name=f"trial-{number:02d}", tags={"team": "risk" if number % 2 else "ads"}) as run:
            run.log_params({"lr": rate, "optimizer": ["adam", "sgd"][number % 2], "depth": 3})
            run.log_dataset(more if number == 38 else rows, role="train", name="customers")
            for step in range(30):
                loss = 0.2 + abs(math.log10(rate) + 3) * 0.1 + math.exp(-step / 9) + number / 1000
                run.log_metrics({"val/loss": 0.05 if number == 38 and step == 29 else loss, "lr now": rate}, step=step)
            if number == 5:
                raise ValueError("it exploded")
    except ValueError:
        pass
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with real.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard over sixty runs, of which trial-38 is the best and was trained on other data."""
    folder = tmp_path_factory.mktemp("sweep")
    done = real.record(folder / "home", SWEEP, folder)
    assert done.returncode == 0, done.stderr
    with real.serving(folder / "home") as address:
        yield address


def _named(page: Any) -> list[str]:
    """The names in the rows that are drawn, from the top."""
    return [text.strip() for text in page.locator(".grid-body .run-link").all_inner_texts()]


def _loaded(page: Any, first: str | None = None) -> None:
    """Wait until the table has rows, the first of this name."""
    page.get_by_role("gridcell", name=re.compile(first or "")).first.wait_for()
    if first is not None:
        page.wait_for_function(
            "name => document.querySelector('.grid-body .run-link')?.textContent === name", arg=first
        )


def _view(page: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_runs_are_compared_with_the_data_that_they_had(chromium: Any, sweep: str) -> None:
    with real.opened(chromium) as page:
        page.goto(sweep)
        _loaded(page, "trial-59")
        page.get_by_role("button", name="val/loss").click()
        _loaded(page, "trial-38")
        page.get_by_role("checkbox", name="Select trial-38").check()
        page.locator(".grid-body .grid-row").nth(1).get_by_role("checkbox").check()
        page.get_by_role("complementary").get_by_role("link", name="Compare").click()

        page.get_by_role("heading", name="2 runs compared").wait_for()
        assert page.get_by_label("Best by").input_value() == "val/loss"
        answer = page.locator(".answer").inner_text()
        assert "trial-38" in answer and "0.05" in answer
        table = page.get_by_role("region", name="Runs side by side")
        assert "version B" in table.get_by_role("row", name="train/customers").inner_text()
        assert "depth" not in table.inner_text()  # what is the same is left out
        page.get_by_role("button", name="Only what differs").click()
        table.get_by_role("row", name=re.compile("^depth")).wait_for()
        page.get_by_role("button", name="What changed").click()
        page.locator(".data-changes").get_by_text("2", exact=True).wait_for()  # the column that two rows differ in


def test_the_view_lives_in_the_address(chromium: Any, sweep: str) -> None:
    with real.opened(chromium) as page:
        page.goto(sweep)
        _loaded(page, "trial-59")
        page.get_by_role("combobox", name="Filter").fill('status = "finished" and params.lr >= 0.01')
        page.get_by_role("combobox", name="Filter").press("Enter")
        _loaded(page, "trial-57")
        page.get_by_text("29 runs of 60").wait_for()
        page.get_by_role("button", name="Name").click()
        _loaded(page, "trial-00")
        page.get_by_role("button", name="optimizer").click(modifiers=["Shift"])
        page.get_by_role("checkbox", name="Select trial-01").check()
        page.get_by_role("figure", name="Chart of val/loss").wait_for()
        told = _view(page)
        assert told["where"] == 'status = "finished" and params.lr >= 0.01'
        assert told["sort"] == "name,params.optimizer"
        assert len(told["runs"]) == 16
        shared = page.url

    with real.opened(chromium) as page:
        page.goto(shared)
        _loaded(page, "trial-00")
        page.get_by_text("29 runs of 60").wait_for()
        assert page.get_by_role("checkbox", name="Select trial-01").is_checked()
        assert page.get_by_role("columnheader", name="Name").get_attribute("aria-sort") == "ascending"
        assert page.get_by_role("combobox", name="Filter").input_value() == told["where"]


def test_a_query_with_a_fault_is_shown_with_the_word_and_fields_are_completed(chromium: Any, sweep: str) -> None:
    with real.opened(chromium) as page:
        page.goto(sweep)
        _loaded(page, "trial-59")
        box = page.get_by_role("combobox", name="Filter")
        box.fill('statsu = "failed"')
        page.locator(".filter-error mark").wait_for()
        assert page.locator(".filter-error mark").inner_text() == "statsu"
        assert "status" in page.locator(".filter-error").inner_text()
        assert _named(page)[0] == "trial-59"  # what was there stays

        box.fill("")
        box.press_sequentially("opti")
        page.get_by_role("option", name="params.optimizer").wait_for()
        box.press("ArrowDown")
        box.press("Enter")
        assert box.input_value() == "params.optimizer "
        box.press_sequentially('= "sgd"')
        page.get_by_text("30 runs of 60").wait_for()

        box.fill("trial-3")  # somebody who just types a name is helped on
        page.get_by_role("button", name="Search names").click()
        page.get_by_text("10 runs of 60").wait_for()
        box.fill('name = "nobody"')
        page.get_by_role("heading", name="No run fits").wait_for()
        page.get_by_role("button", name="Show all 60 runs").click()
        _loaded(page, "trial-59")


def test_the_keyboard_alone_goes_through_the_runs(chromium: Any, sweep: str) -> None:
    with real.opened(chromium) as page:
        page.goto(sweep)
        _loaded(page, "trial-59")
        for key in ("j", "x", "j", "j", "X"):
            page.keyboard.press(key)
        page.get_by_role("heading", name="3 runs selected").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("heading", name="3 runs selected").wait_for(state="hidden")
        page.get_by_role("grid").focus()
        page.keyboard.press("End")
        page.get_by_role("link", name="trial-00").wait_for()
        assert len(_named(page)) < 60  # only what is seen is in the document
        assert page.get_by_role("grid").get_attribute("aria-rowcount") == "61"
        page.keyboard.press("?")
        page.get_by_role("dialog").get_by_text("open the run").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Filter"
        page.keyboard.press("Escape")
        page.get_by_role("grid").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="trial-00").wait_for()


def test_columns_are_chosen_and_moved_and_runs_grouped(chromium: Any, sweep: str) -> None:
    with real.opened(chromium) as page:
        page.goto(sweep)
        _loaded(page, "trial-59")
        page.get_by_role("button", name="Columns").click()
        page.get_by_role("searchbox", name="Find a field").fill("team")
        page.get_by_role("dialog").get_by_role("checkbox").click()
        page.locator('.columns-mine [data-id="tags.team"]').focus()
        for _ in range(3):
            page.keyboard.press("Alt+ArrowUp")
        page.get_by_role("button", name="Done").click()
        names = _view(page)["columns"].split(",")
        assert names.index("tags.team") == len(names) - 4
        page.get_by_role("gridcell", name="risk").first.wait_for()
        page.get_by_role("button", name="Status").press("Alt+ArrowRight")
        assert _view(page)["columns"].split(",").index("status") == 2

        page.get_by_label("Group by").select_option(label="optimizer")
        page.get_by_role("button", name="adam 30 runs").click()  # the first group is open at first
        page.get_by_role("button", name="sgd 30 runs").click()
        _loaded(page, "trial-59")
        assert _view(page)["group"] == "params.optimizer"


@pytest.mark.parametrize("dark", [False, True], ids=["light, laptop", "dark, phone"])
def test_pages_are_accessible_and_fit(chromium: Any, sweep: str, dark: bool) -> None:
    with real.opened(chromium, dark=dark) as page:
        page.goto(f"{sweep}/?sort=name")
        _loaded(page, "trial-00")
        page.get_by_role("checkbox", name="Select trial-01").check()
        page.get_by_role("checkbox", name="Select trial-02").check()
        page.locator(".chart[data-drawn]").first.wait_for()
        ids = _view(page)["runs"]
        places = {
            f"/?runs={ids}": ".chart[data-drawn]",
            "/?where=nonsense": ".filter-error mark",
            f"/compare?runs={ids}": ".compare-table",
            f"/charts?runs={ids}": ".chart[data-drawn]",
        }
        page.set_viewport_size(real.PHONE if dark else real.LAPTOP)
        for place, sign in places.items():
            page.goto(sweep + place)
            page.locator(sign).first.wait_for()
            assert real.axe(page) == [], place
            assert real.too_wide(page) == 0, place


def test_the_theme_is_kept(chromium: Any, sweep: str) -> None:
    with real.opened(chromium) as page:
        page.goto(sweep)
        page.get_by_role("button", name="Change to the dark theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        page.get_by_role("button", name="Change to the light theme").wait_for()
