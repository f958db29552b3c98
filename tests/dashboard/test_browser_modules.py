"""Modules of the page of a run that work things out by themselves, asked in a real Chromium."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser import chromium, opened, serving


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with (
        chromium() as browser,
        serving(tmp_path_factory.mktemp("modules") / "home") as address,
        opened(browser) as page,
    ):
        page.goto(f"{address}/models")
        page.locator("h1, h2").first.wait_for()
        yield page


def test_text_of_a_terminal_is_followed_and_stays_text(page: Any) -> None:
    pieces = [
        ["stdout", "10%\r50%"],
        ["stderr", "oh\n"],
        ["stdout", "\r\x1b[K100%\n\x1b[31mred\x1b[0m\n"],
        ["stdout", "one\ntwo\n\x1b[2AONE\x1b[1B\rTWO\n\n"],
        ["stdout", "abc\b\bX\n\x1b]0;title\x07end"],
    ]
    rows = page.evaluate(
        """async (pieces) => {
          const { Terminal } = await import("/static/run/terminal.js");
          const terminal = new Terminal();
          for (const [stream, text] of pieces) terminal.write(stream, text);
          return terminal.rows.map((row) => row.stream[3] + row.text);
        }""",
        pieces,
    )
    assert rows[:3] == ["o100%", "eoh", "ored"]
    assert "oONE" in rows and "oaXc" in rows and rows[-1] == "oend"


def test_a_circle_in_the_lineage_is_laid_out(page: Any) -> None:
    nodes = [{"id": name} for name in "abcde"]
    edges = [{"source": one, "target": other} for one, other in ("ab", "bc", "ca", "cd", "aa", "ax")]
    found = page.evaluate(
        """async ([nodes, edges]) => {
          const { layout } = await import("/static/run/graph.js");
          return layout(nodes, edges);
        }""",
        [nodes, edges],
    )
    places = {node["id"]: (node["x"], node["y"]) for node in found["nodes"]}
    assert places.keys() == set("abcde") and len(set(places.values())) == 5
    assert places["a"][0] < places["b"][0] < places["c"][0] < places["d"][0] and len(found["edges"]) == 4
