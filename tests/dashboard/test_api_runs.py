"""The list of runs and what goes with it, asked over HTTP of a dashboard that is served."""

import sys
from pathlib import Path

import httpx
import pytest

import autotrack
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))

from served import served

BAIT = "<script>alert(1)</script>"


ODD = [float("nan"), float("inf"), float("-inf"), True, "NaN", None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("runs") / "home"
    with recording(home):
        with autotrack.start_run("parent", project="churn") as parent:
            parent.set_tags({"team": "risk"})
        for number in range(6):
            name, project = f"trial-{number}", "churn" if number < 4 else BAIT
            with autotrack.start_run(
                name, project=project, params={"lr": 10.0**-number, "a, b": number, "odd": ODD[number]}
            ) as run:
                run.log_metrics({"val/loss": 1.0 - number / 10, "bad": float("nan")}, step=3)
                if number % 2:
                    run.set_tags({"team": BAIT})
        with pytest.raises(ValueError), autotrack.start_run("broken", project="churn"):
            raise ValueError(BAIT)
    return home


@pytest.fixture(scope="module")
def client(home: Path):
    with served(home) as client:
        yield client


def ids(client: httpx.Client, **asked: object) -> list[str]:
    answer = client.get("/api/runs", params=asked)
    assert answer.status_code == 200, answer.text
    return [run["name"] for run in answer.json()["runs"]]


def test_the_store_is_described(client: httpx.Client, home: Path) -> None:
    told = client.get("/api/info").json()
    assert told["version"] == autotrack.__version__
    assert told["home"] == str(home)
    assert told["store"] == "sqlite"
    assert told["statuses"] == {"finished": 7, "failed": 1}
    assert told["projects"] == {"churn": 6, BAIT: 2}


def test_runs_come_newest_first_a_page_at_a_time(client: httpx.Client) -> None:
    first = client.get("/api/runs", params={"limit": 2}).json()
    second = client.get("/api/runs", params={"limit": 2, "offset": 2}).json()
    assert first["total"] == second["total"] == 8
    assert [run["name"] for run in first["runs"] + second["runs"]] == ["broken", "trial-5", "trial-4", "trial-3"]
    assert second["offset"] == 2


def test_runs_are_sorted_and_filtered_by_what_was_logged(client: httpx.Client) -> None:
    assert ids(client, sort='metrics."val/loss".last', limit=2) == ["trial-5", "trial-4"]
    assert ids(client, where="params.lr >= 0.01 and project = churn", sort="-params.lr") == [
        "trial-0",
        "trial-1",
        "trial-2",
    ]


def test_columns_bring_their_values_and_what_is_no_number_says_so(client: httpx.Client) -> None:
    asked = {"columns": 'params.lr, params."a, b", metrics.bad.last, tags.team, duration', "where": "name = trial-1"}
    (run,) = client.get("/api/runs", params=asked).json()["runs"]
    values = run["values"]
    assert values["params.lr"] == 0.1
    assert values['params."a, b"'] == 1
    assert values["metrics.bad.last"] == "NaN"
    assert values["tags.team"] == BAIT
    assert values["duration"] > 0


def test_what_can_be_shown_is_counted(client: httpx.Client) -> None:
    told = client.get("/api/columns").json()
    assert told["params"] == {"a, b": 6, "lr": 6, "odd": 6}
    assert told["metrics"] == {"bad": 6, "val/loss": 6}
    assert told["tags"] == {"team": 4}
    assert client.get("/api/columns", params={"where": "name = parent"}).json() == {
        "params": {},
        "metrics": {},
        "tags": {"team": 1},
    }


@pytest.mark.parametrize(
    "field", ["tags.team", "params.lr", "params.odd", "status", "project", 'params."a, b"', "metrics.bad.last"]
)
def test_the_condition_of_a_group_chooses_the_runs_of_the_group(client: httpx.Client, field: str) -> None:
    where = "name != parent or name = parent"
    told = client.get("/api/runs", params={"group": field, "where": where}).json()
    assert sum(group["count"] for group in told["groups"]) == told["total"] == 8
    for group in told["groups"]:
        answer = client.get("/api/runs", params={"where": group["where"]}).json()
        assert answer["total"] == group["count"], group


def test_a_query_that_cannot_be_understood_is_pointed_at(client: httpx.Client) -> None:
    answer = client.get("/api/runs", params={"where": "status = finished and nmae = 3"})
    assert answer.status_code == 400
    assert answer.json()["position"] == len("status = finished and ")
    assert "name" in answer.json()["error"]


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "1001"},
        {"limit": "-1"},
        {"limit": "1e3"},
        {"limit": "٣"},
        {"offset": "9" * 30},
        {"where": "(" * 3000},
        {"where": "name = x or " * 400 + "name = y"},
        {"sort": "name; drop table runs"},
        {"columns": "params"},
        {"columns": ",".join(f"params.p{number}" for number in range(500))},
        {"group": "params.a, params.b"},
        {"where": "name = '\x00"},
    ],
)
def test_what_is_asked_wrongly_or_too_largely_is_refused(client: httpx.Client, asked: dict[str, str]) -> None:
    answer = client.get("/api/runs", params=asked)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) <= {"error", "position", "length"}


def test_runs_are_compared_side_by_side(client: httpx.Client) -> None:
    found = {run["name"]: run["id"] for run in client.get("/api/runs").json()["runs"]}
    asked = ",".join([found["trial-1"], found["trial-2"]])
    told = client.get("/api/compare", params={"runs": asked}).json()
    assert told["params"]["lr"] == [0.1, 0.01]
    assert "lr" in told["different"]["params"]
    assert told["metrics"]["bad"][0]["last"] == "NaN"
    assert client.get("/api/compare").status_code == 400
    assert client.get("/api/compare", params={"runs": "nobody"}).status_code == 404


def test_an_answer_that_the_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("/api/runs")
    again = client.get("/api/runs", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert not again.content


def test_a_home_without_runs_says_so_with_empty_answers(tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        assert client.get("/api/runs").json() == {"total": 0, "offset": 0, "runs": []}
        assert client.get("/api/info").json()["runs"] == 0
        assert client.get("/").status_code == 200
