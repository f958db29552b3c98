"""The page of a run in a real Chromium: every tab, with markup in names and texts, by keyboard, and on a phone."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser import LAPTOP, PHONE, axe, chromium, opened, serving, too_wide
from shown_homes import BAIT, SCRIPT, recorded

TABS = ["overview", "params", "metrics", "system", "datasets", "models"]
TABS += ["artifacts", "lineage", "console", "code", "environment", "delivery"]


class Site:
    """A browser and a dashboard over the home that was recorded."""

    def __init__(self, browser: Any, address: str, ids: dict[str, str]) -> None:
        self.browser, self.address, self.ids = browser, address, ids

    def go(self, page: Any, run: str, tab: str = "", **asked: str) -> Any:
        """Open a tab of a run, and wait until it is there."""
        query = "&".join(f"{key}={value}" for key, value in {"tab": tab, **asked}.items() if value)
        page.goto(f"{self.address}/run/{self.ids.get(run, run)}?{query}")
        page.locator("h1").wait_for()
        page.wait_for_function("() => !document.querySelector('.waiting')")
        return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home, ids = recorded(tmp_path_factory.getbasetemp() / "recorded")
    with chromium() as browser, serving(home) as address:
        yield Site(browser, address, ids)


@pytest.fixture
def page(site: Site) -> Iterator[Any]:
    with opened(site.browser) as page:
        yield page
        assert page.title() != "owned", "markup of a run was taken for markup"


def cells(page: Any, label: str) -> list[list[str]]:
    rows = page.get_by_role("group", name=label, exact=True).locator("tbody tr")
    return [[text.strip() for text in row.locator("th, td").all_inner_texts()] for row in rows.all()]


def test_the_overview_tells_how_it_went_and_what_belongs_to_it(site: Site, page: Any) -> None:
    site.go(page, "main")
    assert page.locator("h1").inner_text() == BAIT
    assert page.locator(".head .status-finished").inner_text() == "finished"
    assert [row[0] for row in cells(page, "Metrics")] == [BAIT, "grad", "train/loss"]
    assert cells(page, "Metrics")[1][1:4] == ["1.1", "0", "+∞"]
    assert page.locator(".tags").inner_text().count(SCRIPT) == 1
    assert ["images dropped", "2", f"too large: {SCRIPT}"] in cells(page, "Notes")
    site.go(page, "broken")
    assert page.get_by_label("Error").locator("h2").inner_text() == f"ValueError: bad {SCRIPT}"
    assert "Traceback (most recent call last)" in page.get_by_label("Traceback").inner_text()
    site.go(page, "study")
    page.get_by_role("link", name="trial 0.1").click()
    page.locator("h1", has_text="trial 0.1").wait_for()
    page.locator(".trail").get_by_role("link", name="study").click()
    page.locator("h1", has_text="study").wait_for()


def test_params_are_searched_and_compared(site: Site, page: Any) -> None:
    site.go(page, "main", "params")
    assert [BAIT, SCRIPT] in cells(page, "Params")
    assert ["lr", "0.1 (before: 0.2)"] in cells(page, "Params")
    site.go(page, "linear", "params")
    page.get_by_label("only what is not the default").wait_for()
    shown = cells(page, "Params")
    assert ["C", "0.5", "1"] in shown and ["lr", "0.3", ""] in shown and "solver" not in [row[0] for row in shown]
    page.get_by_label("only what is not the default").uncheck()
    assert ["solver", "lbfgs", ""] in cells(page, "Params")
    site.go(page, "main", "params")
    page.get_by_label("Search params").fill("epo")
    assert cells(page, "Params") == [["epochs", "12"]]
    other = page.get_by_label("Compare with run")
    other.focus()
    page.wait_for_function(
        "id => [...document.querySelectorAll('datalist option')].some(o => o.value === id)", arg=site.ids["linear"]
    )
    page.get_by_label("Search params").fill("")
    other.fill(site.ids["linear"])
    other.press("Enter")
    page.get_by_label("only what differs").wait_for()
    assert f"with={site.ids['linear']}" in page.url
    differing = {row[0]: row[1:] for row in cells(page, "Params")}
    assert differing["lr"] == ["0.1 (before: 0.2)", "0.3"] and differing["dropout"] == ["None", "not set"]
    assert differing[BAIT] == [SCRIPT, "not set"] and "epochs" not in differing
    page.get_by_label("only what differs").uncheck()
    assert "epochs" in [row[0] for row in cells(page, "Params")]


def test_metrics_are_charts_that_tell_what_cannot_be_drawn(site: Site, page: Any) -> None:
    site.go(page, "main", "metrics")
    page.wait_for_function("() => document.querySelectorAll('.chart-card canvas').length === 3")
    assert page.locator(".chart-card h2").all_inner_texts() == [BAIT, "grad", "train/loss"]
    grad = page.get_by_role("article", name="grad")
    assert re.search(r"1 × NaN, 1 × \+∞, first at 3", grad.inner_text())
    assert "from 1 to 0.0833333, steps 0 to 11" in page.get_by_role("article", name="train/loss").get_by_role(
        "img"
    ).get_attribute("aria-label")
    page.get_by_label("Horizontal axis").select_option("time")
    page.wait_for_function("() => document.querySelectorAll('.chart-card canvas').length === 3")
    page.get_by_label("Search metrics").fill("grad")
    page.wait_for_function("() => document.querySelectorAll('.chart-card').length === 1")
    page.get_by_role("link", name="System").click()
    page.get_by_role("heading", name="system/cpu").wait_for()
    assert page.locator(".chart-card").count() == 1


def test_datasets_tell_leakage_and_differ_from_another_runs(site: Site, page: Any) -> None:
    site.go(page, "main", "datasets", **{"with": site.ids["linear"]})
    holdout = page.get_by_role("article", name="test holdout")
    assert "15 of its 20 rows (75 %) are also in train/customers" in holdout.inner_text()
    assert "20 rows × 4 columns" in holdout.inner_text()
    customers = page.get_by_role("article", name="train customers")
    customers.get_by_role("heading", name="Against linear").wait_for()
    assert "different" in customers.inner_text()
    assert cells(page, "Columns that differ")[0][0] == "income"
    assert "has no dataset in the role test" in holdout.inner_text()


def test_a_model_shows_its_tensors_and_can_be_downloaded(site: Site, page: Any) -> None:
    site.go(page, "main", "models")
    page.get_by_role("group", name="Tensors").wait_for()
    assert ["0.weight", "F32", "8 × 3", "96 B"] in cells(page, "Tensors")
    assert "4 tensors, 50 numbers" in page.locator(".card").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "net.safetensors"


def test_artifacts_are_looked_at_without_trusting_them(site: Site, page: Any) -> None:
    site.go(page, "main", "artifacts")
    page.get_by_role("link", name="roc.png").click()
    page.wait_for_function("() => document.querySelector('.picture')?.naturalWidth === 40")
    page.get_by_role("link", name="curve.svg").click()
    page.wait_for_function("() => document.querySelector('.picture')?.naturalWidth === 50")
    page.get_by_role("link", name="table.csv").click()
    page.get_by_role("group", name="table.csv").wait_for()
    assert cells(page, "table.csv") == [["1", SCRIPT, "0.5"], ["2", "plain", "1.25"]]
    page.get_by_role("link", name="table.parquet").click()
    page.get_by_role("group", name="table.parquet").wait_for()
    assert len(cells(page, "table.parquet")) == 20
    page.get_by_role("link", name="notes.md").click()
    assert "plain <b>text</b>" in page.locator("pre.text").inner_text()
    page.get_by_role("link", name="long.txt").click()
    page.get_by_text("The beginning of the file").wait_for()
    page.get_by_role("link", name="blob.bin").click()
    page.get_by_text("It cannot be shown").wait_for()
    page.locator(".files a", has_text="onerror").click()
    page.get_by_text("its name is markup").wait_for()


def test_html_is_framed_without_scripts(site: Site, page: Any) -> None:
    site.go(page, "main", "artifacts", file="report.html")
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Report").wait_for()
    assert page.locator("iframe").get_attribute("sandbox") == ""
    assert frame.locator("h1").evaluate("e => getComputedStyle(e).color") == "rgb(170, 0, 0)"
    assert page.title() != "owned"
    blocked = [fault for fault in page.faults if "Blocked script execution" in fault]
    assert blocked, "the browser says that it ran no script"
    page.faults[:] = [fault for fault in page.faults if fault not in blocked]


def test_the_lineage_is_a_graph_for_the_keyboard_and_a_list(site: Site, page: Any) -> None:
    site.go(page, "linear", "lineage")
    boxes = page.locator(".node")
    assert boxes.count() >= 3
    assert page.locator(".node.own .name").text_content() == "linear"
    places = {kind: page.locator(f".node-{kind}").first.bounding_box()["x"] for kind in ("dataset", "run", "model")}
    assert places["dataset"] < places["run"] < places["model"]
    assert "dataset customers went into run linear (train)" in page.locator(".relations").inner_text()
    page.locator(".graph a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => !location.search.includes('lineage')")
    site.go(page, "study", "lineage")
    page.locator(".graph a", has_text="trial 0.1").click()
    page.locator("h1", has_text="trial 0.1").wait_for()


def test_the_console_is_what_the_terminal_showed(site: Site, page: Any) -> None:
    site.go(page, "main", "console")
    lines = [line.rstrip("\n") for line in page.locator(".console span").all_text_contents()]
    assert "epoch 12/12" in lines and "epoch 1/12" not in lines
    assert f"green {SCRIPT}" in lines
    assert page.locator(".console .stderr").all_text_contents()[-1] == "careful\n"
    page.get_by_label("Stream").select_option("stderr")
    assert not page.get_by_text("epoch 12/12").is_visible()


def test_the_code_shows_what_was_uncommitted(site: Site, page: Any) -> None:
    site.go(page, "main", "code")
    helpers = page.locator(".diff-file", has=page.locator("summary", has_text="helpers.py"))
    assert [line.strip() for line in helpers.locator("tr.removed .line").all_text_contents()] == [
        "def points(n):",
        "return list(range(n))",
    ]
    assert "def points(n, step=1):" in helpers.locator("tr.added .line").all_text_contents()
    assert page.locator(".diff-file", has_text="old.txt").locator("summary").inner_text().count("deleted") == 1
    assert (
        f"lr: 0.2  # {SCRIPT}"
        in page.locator(".diff-file", has_text="config.yaml").locator(".line").all_text_contents()
    )
    assert ["long.csv", "untracked"] in cells(page, "Other changed files")
    page.get_by_role("button", name="helpers.py").click()
    assert page.get_by_label("helpers.py", exact=True).inner_text().startswith("def points(n, step=1)")


def test_the_environment_has_packages_to_search_and_compare(site: Site, page: Any) -> None:
    site.go(page, "main", "environment")
    assert ["Python", sys.version.split()[0]] in cells(page, "Machine and Python")
    page.get_by_label("Search packages").fill("httpx")
    assert "httpx" in [row[0] for row in cells(page, "Packages")]
    site.go(page, "main", "environment", **{"with": site.ids["linear"]})
    page.get_by_text("Both runs had the same packages.").wait_for()


def test_delivery_says_what_waits_and_what_to_do(site: Site, page: Any) -> None:
    site.go(page, "main", "delivery")
    mlflow = page.get_by_role("article", name="mlflow")
    assert "on the way" in mlflow.inner_text() and "1 event refused" in mlflow.inner_text()
    assert f"does not answer {SCRIPT}" in mlflow.inner_text()
    assert cells(page, "Not carried by mlflow") == [["infinite values", "3", "MLflow has no infinity"]]
    assert "everything has arrived" in page.get_by_role("article", name="local").inner_text()
    page.get_by_text("autotrack sync").wait_for()


def test_tabs_are_in_the_address_and_at_the_keyboard(site: Site, page: Any) -> None:
    site.go(page, "main")
    page.keyboard.press("]")
    page.locator(".tabs [aria-current]", has_text="Params").wait_for()
    assert page.url.endswith(f"/run/{site.ids['main']}?tab=params")
    page.get_by_label("Search params").wait_for()
    page.keyboard.press("[")
    page.locator(".tabs [aria-current]", has_text="Overview").wait_for()
    assert page.url.endswith(f"/run/{site.ids['main']}")
    link = page.get_by_label("Of this run").get_by_role("link", name="Models")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"tab=models"))
    page.wait_for_function("() => document.activeElement.textContent.startsWith('Models')")
    page.go_back()
    page.locator(".tabs [aria-current]", has_text="Overview").wait_for()


def test_what_is_not_there_says_what_to_do(site: Site, page: Any) -> None:
    told = {"metrics": "run.log_metrics", "datasets": "run.log_dataset", "models": "run.log_model"}
    told |= {"artifacts": "run.log_artifact", "params": "run.log_params"}
    told |= {"system": "AUTOTRACK_SYSTEM_METRICS", "console": "AUTOTRACK_CONSOLE"}
    for tab, words in told.items():
        site.go(page, "bare", tab)
        assert words in page.locator(".empty").inner_text(), tab
    site.go(page, "0123456789abcdef")
    assert "no run has the id" in page.get_by_role("alert").inner_text()
    assert axe(page) == []
    page.faults[:] = [fault for fault in page.faults if "404" not in fault]


@pytest.mark.parametrize(("dark", "size"), [(False, LAPTOP), (True, PHONE)], ids=["light laptop", "dark phone"])
def test_every_tab_is_accessible_and_fits(site: Site, dark: bool, size: dict[str, int]) -> None:
    found: dict[str, Any] = {}
    with opened(site.browser, dark=dark, size=size) as page:
        for tab in TABS:
            site.go(page, "main", tab, q="httpx" if tab == "environment" else "")  # not 250 rows that are alike
            if tab == "delivery":  # journals are named by their process, whose id may have seven digits
                page.evaluate("for (const one of document.querySelectorAll('main code')) one.textContent += '0000'")
            found[tab] = axe(page), too_wide(page)
        site.go(page, "broken")
        found["broken"] = axe(page), too_wide(page)
    assert found == dict.fromkeys([*TABS, "broken"], ([], 0))
