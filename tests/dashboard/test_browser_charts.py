"""The charts as somebody uses them: Chromium, the real server and store, and a run that is killed as it is watched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import browser as real

CURVES = """
import math
import autotrack

for number in range(3):
    with autotrack.start_run(name=f"curve-{number}") as run:
        for step in range(20_000):
            loss = math.exp(-step / 4000) + number / 10
            if number == 1 and step == 10_000:
                loss = math.nan
            if number == 2 and step == 15_000:
                loss = math.inf
            run.log_metrics({"loss": loss, "epoch": step // 1000}, step=step)
        run.log_metrics({"final/score": number}, step=20_000)
"""

LIVE = """
import sys
import autotrack

with autotrack.start_run(name="watched") as run:
    for step in range(1000):
        run.log_metrics({"loss": 1 / (step + 1)}, step=step)
        print(step, flush=True)
        sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with real.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("curves")
    done = real.record(folder / "home", CURVES, folder)
    assert done.returncode == 0, done.stderr
    with real.serving(folder / "home") as address:
        yield address


def _chart(page: Any, key: str) -> Any:
    chart = page.get_by_role("figure", name=f"Chart of {key}")
    page.locator(f'.chart[data-key="{key}"][data-drawn] canvas').wait_for()
    return chart


def _series(page: Any, act: Any) -> dict[str, Any]:
    """The answer with the series of loss that `act` makes the page ask for."""
    with page.expect_response(lambda told: "/api/series" in told.url and "key=loss" in told.url) as waiting:
        act()
    told: dict[str, Any] = waiting.value.json()
    return told


def _view(page: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def _drag(page: Any, area: Any, start: float, end: float, key: str | None = None) -> None:
    box = area.bounding_box()
    middle = box["y"] + box["height"] / 2
    if key:
        page.keyboard.down(key)
    page.mouse.move(box["x"] + box["width"] * start, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (start + end) / 2, middle)
    page.mouse.move(box["x"] + box["width"] * end, middle)
    page.mouse.up()
    if key:
        page.keyboard.up(key)


def test_a_zoom_asks_for_finer_points_and_a_double_click_takes_it_back(chromium: Any, curves: str) -> None:
    with real.opened(chromium) as page:
        whole = _series(page, lambda: page.goto(f"{curves}/charts"))
        assert {one["count"] for one in whole["series"]} == {20_000}
        assert all(len(one["x"]) < 5000 for one in whole["series"])  # bands, not points
        area = _chart(page, "loss").locator(".u-over")
        close = _series(page, lambda: _drag(page, area, 0.4, 0.42))
        low, high = (float(_view(page)[edge]) for edge in ("from", "to"))
        assert 7000 < low < high < 9500
        steps = [x for x in close["series"][0]["x"] if low <= x <= high]
        assert len(steps) >= (high - low) * 0.9  # every step of what is seen

        _series(page, lambda: _drag(page, area, 0.5, 0.3, "Shift"))  # pan
        assert float(_view(page)["from"]) > low
        _series(page, lambda: area.dblclick())
        assert "from" not in _view(page)


def test_what_is_drawn_and_how_is_in_the_address(chromium: Any, curves: str) -> None:
    with real.opened(chromium) as page:
        page.goto(f"{curves}/charts")
        _chart(page, "loss")
        page.get_by_role("button", name="Log y").click()
        page.get_by_label("Smoothing").press("ArrowRight")
        page.get_by_role("button", name="curve-1").click()
        page.get_by_label("Find metrics").fill("loss")
        page.get_by_role("figure", name="Chart of final/score").wait_for(state="detached")
        told = _series(page, lambda: page.get_by_label("X axis").select_option("epoch"))
        assert max(told["series"][0]["x"]) <= 20
        assert _view(page) == {
            "logy": "1", "smooth": "0.01", "search": "loss", "x": "epoch", "hide": _view(page)["hide"],
        }  # fmt: skip
        page.reload()
        _chart(page, "loss")
        assert page.get_by_role("button", name="Log y").get_attribute("aria-pressed") == "true"
        assert page.get_by_role("button", name="curve-1").get_attribute("aria-pressed") == "false"

        since = _series(page, lambda: page.get_by_label("X axis").select_option("relative"))
        assert len(since["series"]) == 3
        page.get_by_role("figure", name="Chart of loss").hover()
        page.get_by_text("after the start").wait_for()


def test_numbers_that_are_none_are_marked_and_every_value_is_in_a_table(chromium: Any, curves: str) -> None:
    with real.opened(chromium) as page:
        page.goto(f"{curves}/charts?search=loss")
        chart = _chart(page, "loss")
        box = chart.locator(".u-over").bounding_box()
        tip = chart.locator(".chart-tip")
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
        tip.get_by_text("NaN").wait_for()
        page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20)
        tip.get_by_text("+∞").wait_for()
        assert tip.locator(".tip-row").count() == 3

        chart.get_by_text("Values").click()
        row = chart.get_by_role("row", name="curve-0")
        row.get_by_text("20 000".replace(" ", "\u2009")).wait_for()
        row.get_by_role("cell", name="1", exact=True).wait_for()  # the most
        described = chart.locator(".chart-plot").get_attribute("aria-label")
        assert described is not None and "curve-2: last" in described


def test_a_run_is_watched_while_it_trains_and_seen_killed(chromium: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    training = subprocess.Popen(
        [sys.executable, "-c", LIVE],
        cwd=tmp_path,
        env=real.environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert training.stdin is not None and training.stdout is not None
    try:

        def steps(count: int) -> None:
            for _ in range(count):  # of which the next one is logged already
                training.stdout.readline()  # type: ignore[union-attr]
                training.stdin.write("\n")  # type: ignore[union-attr]
                training.stdin.flush()  # type: ignore[union-attr]

        steps(5)
        with real.serving(home) as address, real.opened(chromium) as page:
            page.goto(address)
            page.get_by_role("gridcell", name="running").wait_for()
            page.get_by_role("checkbox", name="Select watched").check()
            chart = _chart(page, "loss")
            chart.get_by_text("Values").click()
            chart.get_by_role("row", name="watched").get_by_text("6", exact=True).wait_for()
            steps(20)
            chart.get_by_role("row", name="watched").get_by_text("26", exact=True).wait_for()
            assert page.get_by_role("checkbox", name="Select watched").is_checked()
            training.kill()
            page.get_by_role("gridcell", name="killed").wait_for()
            assert page.get_by_role("gridcell", name="running").count() == 0
    finally:
        training.kill()
        training.communicate()
