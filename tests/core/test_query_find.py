"""Finding runs: what fits, in which order, page by page, with which values; and the same from Python and in frames."""

import pytest

pytest.importorskip("pandas")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time_ns
from typing import Any

import pandas
import polars
import pyarrow

import autotrack
from autotrack.errors import QueryError, RunNotFound, StoreError
from autotrack.events import (
    DatasetLogged,
    Event,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.session import session
from autotrack.settings import Settings
from autotrack.store import ingest
from autotrack.store.asking.directions import higher_is_better
from autotrack.store.asking.fields import condition
from autotrack.store.engine import open_engine
from autotrack.store.query import Store

HOUR = 3600 * 10**9
DIGEST = "x1:" + "ab12" * 8
COMMIT = "c0ffee" + "0" * 34


def events(now: int) -> list[Event]:
    """Four runs: `a` started 10 days ago, then `b`, `c` and `d`, which has nothing and still runs."""
    day = 24 * HOUR
    found: list[Event] = []
    for number, run in enumerate("abcd"):
        found.append(RunStarted(run, now - (10 - 3 * number) * day, f"run {run}", "churn", "a" if run == "b" else None))
    found += [
        ParamsLogged("a", now, {"lr": 0.1, "opt": "adam", "seed": 2**63, "deep.er": 1}),
        ParamsLogged("b", now, {"lr": 0.01, "opt": "sgd", "seed": 7}),
        ParamsLogged("c", now, {"lr": "auto", "opt": None, "seed": math.nan}),
        TagsSet("a", now, {"team": "Risk"}),
        DatasetLogged("a", now, "train", "customers", {"value": DIGEST, "n_rows": 10}),
        DatasetLogged("a", now, "test", "others", {"value": "x1:" + "f" * 32}),
        DatasetLogged("b", now, "test", "customers", {"value": DIGEST}),
        ModelLogged("a", now, "clf", "skops", "d" * 64, 100),
        ModelLogged("a", now, "clf", "ubj", "e" * 64, 200, 3),
        ProvenanceLogged("a", now, "code", {"commit": COMMIT}),
        RunEnded("a", now - 10 * day + 90 * 10**9, "finished"),
        RunEnded(
            "b", now - 7 * day + 2 * HOUR, "failed", {"type": "ValueError", "message": "CUDA gone", "traceback": ""}
        ),
        RunEnded("c", now - 4 * day + HOUR, "killed"),
    ]
    for run, values in {"a": [0.5, 0.2, 0.3], "b": [math.nan, math.inf], "c": [math.nan]}.items():
        found += [MetricsLogged(run, now + step, step, {"val/loss": value}) for step, value in enumerate(values)]
    found.append(MetricsLogged("a", now, "0.5", {"acc": 1.0}))
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("home")
    engine = open_engine(place, Settings())
    ingest.ingest(engine, [Record("w", n, n + 1, event) for n, event in enumerate(events(time_ns()))])
    engine.dispose()
    return place


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home, Settings()) as opened:
        yield opened


@pytest.fixture
def here(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTRACK_HOME", str(home))
        session.configure()
        yield
    session.configure()


def ids(found: Any) -> str:
    return "".join(run["id"] for run in found.runs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "dcba"),
        ("  ", "dcba"),
        ("status = finished", "a"),
        ("STATUS = finished", None),
        ("status in (failed, 'killed')", "cb"),
        ("status not in (failed, killed)", "da"),
        ("params.lr = 0.1", "a"),
        ("params.lr = '0.1'", ""),
        ("params.lr < 1", "ba"),
        ("params.lr != 0.1", "dcb"),
        ("params.lr != 0.1 and params.lr is not null", "cb"),
        ("params.opt is null", "dc"),
        ("params.opt = Adam", ""),
        ("params.opt ~ AD", "a"),
        ("params.opt !~ AD", "dcb"),
        ("params.seed = 9223372036854775808", "a"),
        ("params.seed = 9223372036854775807", ""),
        ("params.seed = nan", "c"),
        ("params.seed > 1", "ba"),
        ("params.deep.er = 1 or params.'deep.er' = 2", "a"),
        ("metrics.val/loss < 0.4", "a"),
        ("metrics.val/loss.last = 0.3", "a"),
        ("metrics.val/loss.min = 0.2", "a"),
        ("metrics.val/loss.best <= 0.2", "a"),
        ("metrics.acc.best >= 1", "a"),
        ("metrics.val/loss.max = inf", "b"),
        ("metrics.val/loss = nan", "c"),
        ("metrics.val/loss = 'NaN'", "c"),
        ("metrics.val/loss > -inf", "ba"),
        ("metrics.val/loss is null", "d"),
        ("metrics.val/loss.count = 3", "a"),
        ("metrics.acc.last_step = 0.5", "a"),
        ("tags.team = Risk and not tags.team = risk", "a"),
        ("tags.team ~ risk", "a"),
        ("started_at > 5d ago", "dc"),
        ("started_at > 5 days ago and started_at < now", "dc"),
        ("started_at >= 2020 and started_at < 2300-01", "dcba"),
        ("duration > 1h", "b"),
        ("duration >= 1h", "cb"),
        ("duration = 90", "a"),
        ("duration = 1m30s", "a"),
        ("duration is null", "d"),
        ("ended_at is null", "d"),
        ("parent_id = a", "b"),
        (f"datasets.train = {DIGEST}", "a"),
        (f"datasets = {DIGEST}", "ba"),
        ("datasets.train = x1:ab12", "a"),
        ("datasets.train = x1:", ""),
        ("datasets.train != x1:ab12", "dcb"),
        ("datasets.train.name = customers", "a"),
        ("datasets.name = customers", "ba"),
        ("datasets.role = test", "ba"),
        ("datasets.train.n_rows >= 10", "a"),
        ("datasets.train is null", "dcb"),
        ("code.commit = c0ffee", "a"),
        ("code.commit = c0f", ""),
        (f"code.commit = {COMMIT}", "a"),
        ("models.format = skops and models.bytes > 150", "a"),
        ("models.digest = eeee", "a"),
        ("models.step = 3", "a"),
        ("error.type = ValueError", "b"),
        ("error ~ cuda", "b"),
        ("error is not null", "b"),
        ("id in (a, c) or name = 'run b'", "cba"),
        ("status = finished or status = failed and params.lr = 0.1", "a"),
        ("(status = finished or status = failed) and params.lr = 0.01", "b"),
        ("not not status == finished", "a"),
    ],
)  # fmt: skip
def test_a_query_finds_what_it_says(store: Store, text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(QueryError, match="did you mean status"):
            store.find(text)
        return
    found = store.find(text)
    assert ids(found) == expected and found.total == len(expected)


def test_a_moment_as_json_shows_it_finds_its_run(store: Store) -> None:
    for run in store.runs():
        assert ids(store.find(f"started_at = {run['started_at']}")) == run["id"]
        assert ids(store.find(f"started_at = {run['started_at'][:10]}")) == run["id"]
        later = store.find(f"started_at > {run['started_at']}")
        assert later.total == "dcba".index(run["id"])


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("started_at", "abcd"),
        ("-name", "dcba"),
        ("params.lr", "bacd"),
        ("-params.lr", "abcd"),
        ("params.seed", "bacd"),
        ("-params.opt", "badc"),
        ("metrics.val/loss.max", "abdc"),
        ("-metrics.val/loss.max", "badc"),
        ("-duration", "bcad"),
        ("parent_id, name", "bacd"),
        ("datasets.train.n_rows, id", "abcd"),
        ("error.type, -id", "bdca"),
        ("status", "bacd"),
    ],
)
def test_runs_are_sorted_with_what_is_missing_last(store: Store, sort: str, expected: str) -> None:
    assert ids(store.find(sort=sort)) == expected
    assert ids(store.find(sort=sort.split(", "))) == expected


def test_pages_cover_all_runs_and_each_tells_the_total(store: Store) -> None:
    for where in ("", "params.lr is not null"):
        total = store.find(where).total
        seen = [store.find(where, limit=2, offset=offset) for offset in (0, 2, 4)]
        assert "".join(map(ids, seen)) == ids(store.find(where)) and {page.total for page in seen} == {total}
        assert ids(store.find(where, offset=1)) == ids(store.find(where))[1:]
        assert store.find(where, offset=1).total == total
        assert (store.find(where, limit=0).runs, store.find(where, limit=0).total) == ([], total)


def test_values_are_those_of_the_record(store: Store) -> None:
    names = [
        "params.lr", "params.seed", "metrics.val/loss", "metrics.val/loss.min", "metrics.acc.first_step", "tags.team",
        "duration", "started_at", "datasets.train", "datasets.test.name", "models.bytes", "code.commit", "error.type",
    ]  # fmt: skip
    found = {run["id"]: run["values"] for run in store.find(columns=names).runs}
    records = {record["id"]: record for record in store.records(list("abcd"))}
    assert list(found["a"]) == names
    assert found["a"] == {
        "params.lr": 0.1, "params.seed": 2**63, "metrics.val/loss": 0.3, "metrics.val/loss.min": 0.2,
        "metrics.acc.first_step": 0.5, "tags.team": "Risk", "duration": 90.0, "started_at": records["a"]["started_at"],
        "datasets.train": DIGEST, "datasets.test.name": "others", "models.bytes": 200, "code.commit": COMMIT,
        "error.type": None,
    }  # fmt: skip
    assert math.isnan(found["c"]["metrics.val/loss"]) and math.isnan(found["c"]["params.seed"])
    assert found["b"]["metrics.val/loss"] == math.inf and found["b"]["error.type"] == "ValueError"
    assert set(found["d"].values()) == {None, records["d"]["started_at"]}
    headers = [{key: value for key, value in run.items() if key != "values"} for run in store.find(columns=names).runs]
    assert headers == store.runs()


def test_columns_count_the_runs_that_have_a_key(store: Store) -> None:
    everything = store.columns()
    assert everything["params"] == {"deep.er": 1, "lr": 3, "opt": 3, "seed": 3}
    assert everything["metrics"] == {"acc": 1, "val/loss": 3} and everything["tags"] == {"team": 1}
    assert store.columns("status = failed")["metrics"] == {"val/loss": 1}


def test_a_group_is_asked_for_by_its_value(store: Store) -> None:
    for name in ("params.lr", "params.seed", "params.opt", "metrics.val/loss", "tags.team", "duration", "started_at"):
        for run in store.find(columns=name).runs:
            assert run["id"] in ids(store.find(condition(name, run["values"][name])))


@pytest.mark.parametrize(
    ("key", "higher"),
    [
        ("val_loss", False), ("accuracy", True), ("validation/rmse", False), ("neg_mean_squared_error", None),
        ("neg_log_loss", True), ("valAccuracy", True), ("f1", True), ("r2_score", True), ("map50", True),
        ("train-error", False), ("epoch", None), ("things", None), ("loss/accuracy", True),
        ("explained_variance", True),
    ],
)  # fmt: skip
def test_a_metric_s_name_tells_which_way_is_better(key: str, higher: bool | None) -> None:
    assert higher_is_better(key) is (True if key == "neg_mean_squared_error" else higher)


def test_runs_in_python_are_a_list_that_becomes_a_frame(here: None) -> None:
    assert [run["id"] for run in autotrack.runs()] == list("dcba") and "values" not in autotrack.runs()[0]
    found = autotrack.runs(where="params.lr < 1", sort="params.lr", columns="params.lr, params.opt, params.seed")
    assert isinstance(found, list) and [run["values"]["params.lr"] for run in found] == [0.01, 0.1]
    assert [
        run["id"] for run in autotrack.runs("churn", status="failed", where="params.lr > 0 or params.lr = auto")
    ] == ["b"]
    assert "values" not in autotrack.runs(where="status = failed")[0]
    frame = found.to_pandas()
    assert frame["params.lr"].tolist() == [0.01, 0.1] and isinstance(frame["started_at"].dtype, pandas.DatetimeTZDtype)
    assert found.to_polars()["params.opt"].to_list() == ["sgd", "adam"]
    assert found.to_polars().schema["started_at"] == polars.Datetime("us", "UTC")
    assert found.to_arrow().schema.field("params.lr").type == pyarrow.float64()
    mixed = autotrack.runs(columns="params.lr,params.seed", sort="id")
    assert mixed.to_arrow()["params.lr"].to_pylist() == ["0.1", "0.01", "auto", None]
    assert len(autotrack.runs(where="name = nobody").to_pandas()) == 0
    with pytest.raises(QueryError):
        autotrack.runs(where="nome = x")


def test_series_in_python_are_points_that_become_a_frame(here: None) -> None:
    points = autotrack.series("a", "val/loss")
    assert len(points) == 3 and [point.value for point in points] == [0.5, 0.2, 0.3]
    assert (points[0].run, points[0].key, points[-1].step, points[1:][0].value) == ("a", "val/loss", 2, 0.2)
    with pytest.raises(IndexError):
        points[3]
    several = autotrack.series(autotrack.runs(), "val/loss")
    frame = several.to_pandas()
    assert frame["run"].unique().tolist() == ["c", "b", "a"] and len(frame) == 6
    assert list(frame.columns) == ["run", "key", "step", "time", "value"] and frame["value"].isna().sum() == 2
    assert several.to_polars()["step"].to_list() == [0, 0, 1, 0, 1, 2]
    assert several.to_arrow().num_rows == 6
    assert str(autotrack.series("a", "acc")[0].step) == "0.5"
    with pytest.raises(StoreError, match="has no metric"):
        autotrack.series("a", "nothing")
    with pytest.raises(StoreError, match="none of these 4 runs"):
        autotrack.series(autotrack.runs(), "nothing")
    with pytest.raises(RunNotFound):
        autotrack.series("nobody", "acc")


def test_frames_are_imported_only_when_asked_for_and_what_to_install_is_said(home: Path) -> None:
    program = """
import sys
sys.modules.update(dict.fromkeys(["pandas", "polars", "pyarrow"]))
import autotrack
from autotrack.errors import PluginError
found = autotrack.runs(where="params.lr > 0", columns="params.lr")
for method in (found.to_pandas, found.to_polars, found.to_arrow, autotrack.series("a", "acc").to_arrow):
    try:
        method()
    except PluginError as problem:
        print(problem)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={"AUTOTRACK_HOME": str(home)}, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [
        f"pip install {name}" for name in ("pandas", "polars", "pyarrow", "pyarrow")
    ]
    assert lines[0].startswith("to_pandas() needs pandas")
