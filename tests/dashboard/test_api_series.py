"""Curves over HTTP: exact where they are short, exact bands where they are long, and quick where nothing changed."""

import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import delete, func, select

from autotrack.events import MetricsLogged, Record, RunEnded, RunStarted
from autotrack.settings import load
from autotrack.store import schema
from autotrack.store.engine import open_engine, writing
from autotrack.store.ingest import ingest
from autotrack.store.series import FULL

sys.path.insert(0, str(Path(__file__).parent))

from served import served

LONG = 20 * FULL + 1234
START = 1_750_000_000 * 10**9


def long_values() -> np.ndarray[Any, Any]:
    values = np.random.default_rng(7).normal(size=LONG)
    values[50_000], values[90_001], values[120_002], values[LONG - 1] = np.nan, np.inf, -np.inf, 77.0
    return values


def fill(home: Path, run: str, points: list[tuple[Any, dict[str, float]]], *, batch: int = 40_000) -> None:
    """Take a run in, in journal batches of some size."""
    home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(home, load({}, home=home))
    events: list[Any] = [RunStarted(run, START, run, "curves")]
    events += [MetricsLogged(run, START + at * 10**6, step, values) for at, (step, values) in enumerate(points)]
    events.append(RunEnded(run, START + len(points) * 10**6, "finished"))
    records = [Record(f"journal-{run}", number, number, event) for number, event in enumerate(events, 1)]
    for first in range(0, len(records), batch):
        ingest(engine, records[first : first + batch])
    engine.dispose()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("curves") / "home"
    fill(home, "long", [(step, {"loss": value}) for step, value in enumerate(long_values().tolist())])
    fill(
        home,
        "mixed",
        [((step * 7919) % LONG, {"loss": float((step * 7919) % LONG)}) for step in range(LONG)],
        batch=9_000,
    )
    nothing, above = float("nan"), float("inf")
    fill(home, "short", [("0.5", {"loss": 1.0}), (1, {"loss": nothing}), ("1.5", {"loss": above}), (2, {"loss": -2.0})])
    fill(home, "epochs", [(step, {"loss": float(step), "epoch": float(step // 10)}) for step in range(100)])
    return home


@pytest.fixture(scope="module")
def client(home: Path):
    with served(home) as client:
        yield client


def curve(client: httpx.Client, run: str, **asked: Any) -> dict[str, Any]:
    answer = client.get("/api/series", params={"runs": run, "key": "loss", **asked})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["series"]
    return found


def test_a_short_series_comes_point_by_point_with_what_is_no_number_named(client: httpx.Client) -> None:
    found = curve(client, "short")
    assert found["exact"]
    assert found["x"] == [0.5, 1.0, 1.5, 2.0]
    assert found["y"] == found["min"] == found["max"] == [1.0, None, None, -2.0]
    assert found["special"] == [[1.0, "NaN"], [1.5, "Infinity"]]
    assert found["special_counts"] == {"NaN": 1, "Infinity": 1}


def test_a_long_series_comes_as_a_band_that_holds_every_point(client: httpx.Client) -> None:
    values, points = long_values(), 500
    found = curve(client, "long", points=points)
    assert found["count"] == LONG
    assert 450 < len(found["x"]) <= points
    assert not found["exact"]
    finite = np.where(np.isfinite(values), values, np.nan)
    assert max(found["max"]) == 77.0
    assert min(found["min"]) == np.nanmin(finite)
    edges = np.array(found["x"])
    assert edges[-1] == LONG - 1
    first = 0
    for index, edge in enumerate(edges):  # x is the last step of a stretch: what it spans is known to the point
        part = finite[first : int(edge) + 1]
        assert found["min"][index] == np.nanmin(part)
        assert found["max"][index] == np.nanmax(part)
        assert found["y"][index] == pytest.approx(np.nanmean(part))
        first = int(edge) + 1
    assert {kind for _, kind in found["special"]} == {"NaN", "Infinity", "-Infinity"}
    assert found["special_counts"] == {"NaN": 1, "Infinity": 1, "-Infinity": 1}


def test_zooming_in_far_enough_shows_the_points_themselves(client: httpx.Client) -> None:
    values = long_values()
    found = curve(client, "long", **{"from": 89_990, "to": 90_010}, points=100)
    assert found["exact"]
    assert found["x"] == list(range(89_989, 90_012))  # and a neighbour on each side
    assert found["y"] == [value if np.isfinite(value) else None for value in values[89_989:90_012].tolist()]
    assert found["special"] == [[90_001, "Infinity"]]


def test_zooming_in_a_little_keeps_the_band_exact(client: httpx.Client) -> None:
    found = curve(client, "long", **{"from": 10_000, "to": 150_000}, points=300)
    values = long_values()[10_000:150_001]
    assert max(found["max"]) == values[np.isfinite(values)].max()
    assert len(found["x"]) <= 302


def test_steps_that_came_in_no_order_are_drawn_in_theirs(client: httpx.Client) -> None:
    found = curve(client, "mixed", points=400)
    assert found["x"] == sorted(found["x"])
    assert len(found["x"]) > 380
    assert min(found["min"]) == 0
    assert max(found["max"]) == LONG - 1
    wide = [high - low for low, high in zip(found["min"], found["max"], strict=True)]
    assert max(wide) < 3 * LONG / 400  # value = step: a stretch holds what belongs to it alone


def test_time_is_the_moment_in_seconds_since_the_epoch(client: httpx.Client) -> None:
    found = curve(client, "epochs", x="time")
    assert found["started"] == START / 1e9
    assert found["x"][:2] == pytest.approx([START / 1e9, START / 1e9 + 0.001], abs=1e-5)
    zoomed = curve(client, "long", x="time", points=50, **{"from": START / 1e9 + 10, "to": START / 1e9 + 20})
    assert zoomed["x"][1] >= START / 1e9 + 10
    assert zoomed["x"][-2] <= START / 1e9 + 20
    assert len(zoomed["x"]) > 40


def test_relative_time_is_counted_from_each_runs_start_and_so_are_its_bounds(client: httpx.Client) -> None:
    found = curve(client, "epochs", x="relative", **{"from": 0.0105, "to": 0.0205})
    assert found["x"] == pytest.approx([step / 1000 for step in range(10, 22)], abs=1e-5)
    assert found["y"] == [float(step) for step in range(10, 22)]


def test_epochs_are_read_from_the_series_that_the_framework_logged(client: httpx.Client) -> None:
    found = curve(client, "epochs", x="epoch")
    assert found["x"][0] == 0
    assert found["x"][-1] == 9
    assert found["y"] == [float(step) for step in range(100)]
    answer = client.get("/api/series", params={"runs": "long,epochs", "key": "loss", "x": "epoch"}).json()
    assert answer["missing"] == ["long"]


def test_runs_without_the_series_are_named(client: httpx.Client) -> None:
    answer = client.get("/api/series", params={"runs": "short,nobody", "key": "loss"}).json()
    assert [one["run"] for one in answer["series"]] == ["short"]
    assert answer["missing"] == ["nobody"]


def test_a_chart_that_has_not_changed_is_not_drawn_again(home: Path, client: httpx.Client) -> None:
    asked = {"runs": "long,growing", "key": "loss"}
    first = client.get("/api/series", params=asked)
    same = client.get("/api/series", params=asked, headers={"If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304
    other = client.get("/api/series", params={**asked, "points": 5}, headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200
    fill(home, "growing", [(0, {"loss": 1.0})])
    grown = client.get("/api/series", params=asked, headers={"If-None-Match": first.headers["ETag"]})
    assert grown.status_code == 200
    assert len(grown.json()["series"]) == 2


def test_sparklines_are_a_few_values_of_many_runs(client: httpx.Client) -> None:
    told = client.get("/api/sparklines", params={"runs": "long,short,mixed,nobody", "key": "loss"}).json()
    assert set(told) == {"long", "short", "mixed"}
    assert told["short"] == [1.0, None, None, -2.0]
    assert 30 <= len(told["mixed"]) <= 40
    assert told["mixed"] == sorted(told["mixed"])


@pytest.mark.parametrize(
    "asked",
    [
        {"runs": "long"},
        {"key": "loss"},
        {"runs": ",".join(map(str, range(101))), "key": "loss"},
        {"runs": "long", "key": "loss", "points": "1"},
        {"runs": "long", "key": "loss", "points": "1000000"},
        {"runs": "long", "key": "loss", "from": "nan"},
        {"runs": "long", "key": "loss", "from": "5", "to": "4"},
        {"runs": "long", "key": "loss", "x": "colour"},
        {"runs": "long", "key": "k" * 700},
    ],
)
def test_what_is_asked_wrongly_or_too_largely_is_refused(client: httpx.Client, asked: dict[str, str]) -> None:
    assert client.get("/api/series", params=asked).status_code == 400


def test_a_store_without_overviews_gives_the_same_curves_and_stays_as_it_is(home: Path, tmp_path: Path) -> None:
    older = tmp_path / "home"
    fill(older, "long", [(step, {"loss": value}) for step, value in enumerate(long_values().tolist())], batch=200_000)
    engine = open_engine(older, load({}, home=older))
    count = select(func.count()).select_from(schema.overviews)
    with writing(engine) as connection:
        assert connection.execute(count).scalar_one() == 20
        connection.execute(delete(schema.overviews))
    with served(older) as without, served(home) as client:
        assert curve(without, "long", points=500) == curve(client, "long", points=500)
    with engine.connect() as connection:
        assert connection.execute(count).scalar_one() == 0
    engine.dispose()
