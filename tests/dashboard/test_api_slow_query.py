"""A query that would take minutes is ended by the dashboard, which says what to do and goes on answering."""

import sys
import time
from pathlib import Path

import pytest

import autotrack
from autotrack.dashboard.serving import QUERY_SECONDS, Dashboard
from autotrack.settings import load
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))

from served import served

CLUMSY = " or ".join(f'params.prompt ~ "nowhere{number} \u0416"' for number in range(50))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("slow") / "home"
    with recording(home):
        for number in range(20):
            with autotrack.start_run(f"run {number}", params={"prompt": "lorem IPSUM dolor \u0436 " * 10_000}):
                pass
    return home


@pytest.mark.parametrize("path", ["/api/runs?limit=10", "/api/runs?group=status", "/api/columns?"])
def test_a_query_that_takes_long_is_ended_with_what_to_do(home: Path, path: str) -> None:
    with served(home, query_seconds=0.3) as client:
        begun = time.monotonic()
        answer = client.get(f"{path}&where={CLUMSY}")
        assert time.monotonic() - begun < 5
        assert answer.status_code == 503
        assert "AUTOTRACK_QUERY_SECONDS" in answer.json()["error"] and "narrow it" in answer.json()["error"]
        assert str(home) not in answer.text
        assert client.get("/api/runs?where=name = 'run 7'").json()["total"] == 1


def test_it_has_a_limit_where_no_setting_says_one(home: Path) -> None:
    for seconds, expected in ((None, QUERY_SECONDS), (3, 3), (0, 0)):
        dashboard = Dashboard(load({}, home=home, query_seconds=seconds), port=0)
        with dashboard.served():
            assert dashboard.store.patience == expected
