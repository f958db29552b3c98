"""The pages of registered models in a real Chromium: aliases, versions, history, looking back, and what differs."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser import LAPTOP, PHONE, axe, chromium, opened, serving, too_wide
from shown_homes import BAIT, SCRIPT, recorded


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, dict[str, str]]]:
    home, ids = recorded(tmp_path_factory.getbasetemp() / "recorded")
    with chromium() as browser, serving(home) as address:
        yield browser, address, ids


@pytest.fixture
def page(site: Any) -> Iterator[Any]:
    with opened(site[0]) as page:
        yield page
        assert page.title() != "owned", "markup of the registry was taken for markup"


def cells(page: Any, label: str) -> list[list[str]]:
    rows = page.get_by_role("group", name=label, exact=True).locator("tbody tr")
    return [[text.strip() for text in row.locator("th, td").all_inner_texts()] for row in rows.all()]


def test_the_list_tells_aliases_and_the_latest_version(site: Any, page: Any) -> None:
    page.goto(f"{site[1]}/models")
    page.get_by_role("group", name="Models").wait_for()
    (row,) = cells(page, "Models")
    assert row[:4] == ["churn", "production → 3", "version 3", "skops"] and row[5] == "3"
    page.get_by_label("Search models").fill("nothing of the kind")
    page.get_by_text("No model fits.").wait_for()
    page.get_by_label("Search models").fill("prod")
    page.get_by_role("link", name="churn").click()
    page.locator("h1", has_text="churn").wait_for()


def test_a_model_tells_who_moved_an_alias_when_and_why(site: Any, page: Any) -> None:
    page.goto(f"{site[1]}/models/churn")
    page.get_by_role("group", name="Aliases").wait_for()
    (production,) = cells(page, "Aliases")
    assert production[:3] == ["production", "version 3", "ada"]
    assert re.sub(r"\s+", " ", production[4]) == "forced incident 17" and production[5] == "better"
    versions = cells(page, "Versions")
    assert [row[0] for row in versions] == ["3", "2", "1"]
    assert [row[1] for row in versions] == ["candidate 3", "candidate 2", "candidate 1"]
    assert "1" in versions[0] and "0.8" in versions[2], "the metrics of their runs"
    text = page.get_by_role("group", name="Versions").inner_text()
    assert "approved by ada" in text and "retired" in text and f"{BAIT}: {SCRIPT}" in text


def test_the_history_tells_refusals_with_their_evidence(site: Any, page: Any) -> None:
    page.goto(f"{site[1]}/models/churn")
    steps = page.locator(".history > li")
    steps.first.wait_for()
    told = steps.all_inner_texts()
    assert [line.splitlines()[0] for line in told][:4] == [
        "version 1 retired",
        f"version 3 annotated: {BAIT} = {SCRIPT}",
        "staging was to be moved to version 1",
        "production moved to version 3",
    ]
    assert "conflict" in told[2] and "Without effect: staging had been moved" in told[2]
    assert "forced" in told[3] and "incident 17" in told[3] and "by ada" in told[3]
    refusal = steps.nth(4)
    assert (
        "production was refused to version 3" in refusal.inner_text() and "1 gate of 1 said no" in refusal.inner_text()
    )
    assert "better: the candidate has no evaluation" in refusal.inner_text()
    assert f"better {BAIT}" in page.locator(".history").inner_text()
    assert len(told) == 12


def test_a_moment_in_the_address_shows_what_held_then(site: Any, page: Any) -> None:
    log = httpx.get(f"{site[1]}/api/models/churn", timeout=20).json()["log"]
    first = next(step["time"] for step in log if step["action"] == "alias")
    page.goto(f"{site[1]}/models/churn?at={first}")
    page.get_by_role("group", name="Aliases").wait_for()
    assert cells(page, "Aliases")[0][:2] == ["production", "version 1"]
    assert page.locator(".history > li").count() == 4
    page.get_by_label("As of").fill("2020-01-01")
    page.locator(".empty", has_text="There is no such model").wait_for()
    assert "at=2020-01-01" in page.url
    page.get_by_role("link", name="As it is now").click()
    page.get_by_role("group", name="Aliases").wait_for()
    assert cells(page, "Aliases")[0][1] == "version 3"
    page.goto(f"{site[1]}/models?at=whenever")
    page.get_by_text("This moment is not understood.").wait_for()
    page.faults[:] = [fault for fault in page.faults if "status of 40" not in fault]


def test_two_versions_are_compared(site: Any, page: Any) -> None:
    page.goto(f"{site[1]}/models/churn")
    page.get_by_label("Compare version 3").check()
    page.wait_for_function("() => location.search.includes('a=3')")
    page.get_by_label("Compare version 1").check()
    page.get_by_role("heading", name="Version 1 against version 3").wait_for()
    page.get_by_role("group", name="Params").wait_for()
    assert ["lr", "0.001", "10"] in cells(page, "Params")
    assert cells(page, "Metrics")[0][0] == "accuracy"
    assert ["Aliases", "none", "production"] in cells(page, "What the registry says")
    assert "a=3&b=1" in page.url


def test_a_runs_models_tell_which_versions_they_are(site: Any, page: Any) -> None:
    page.goto(f"{site[1]}/run/{site[2]['candidate 3']}?tab=models")
    page.get_by_role("link", name="churn/3").wait_for()
    assert "(production)" in page.locator(".card", has_text="churn/3").inner_text()
    page.get_by_role("link", name="churn/3").click()
    page.locator("h1", has_text="churn").wait_for()
    page.get_by_role("link", name="candidate 2").click()
    page.locator("h1", has_text="candidate 2").wait_for()


def test_without_a_model_the_page_says_how_to_register_one(site: Any, page: Any, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as address:
        page.goto(f"{address}/models")
        page.get_by_text('run.log_model(model, register="clf")').wait_for()
        assert axe(page) == []


@pytest.mark.parametrize(("dark", "size"), [(True, LAPTOP), (False, PHONE)], ids=["dark laptop", "light phone"])
def test_the_pages_are_accessible_and_fit(site: Any, dark: bool, size: dict[str, int]) -> None:
    found = {}
    with opened(site[0], dark=dark, size=size) as page:
        for path, label in (("/models", "Models"), ("/models/churn?a=1&b=3", "Params")):
            page.goto(site[1] + path)
            page.get_by_role("group", name=label, exact=True).wait_for()
            found[path] = axe(page), too_wide(page)
    assert set(map(str, found.values())) == {"([], 0)"}, found
