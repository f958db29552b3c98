"""`ls --where`, `sql` and `export --parquet`: what they print and write, and what their SQL cannot do."""

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

import csv
import io
import json
import math
import sqlite3
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet

from autotrack.cli.main import main
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    Record,
    RegistryLogged,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.session import session
from autotrack.settings import Settings
from autotrack.store import ingest
from autotrack.store.engine import open_engine

START = 1_760_000_000_123_456_789


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "home"
    place.mkdir()
    engine = open_engine(place, Settings())
    found: list[Any] = []
    for number, run in enumerate(("one", "two")):
        at = START + number
        found += [
            RunStarted(run, at, f"run {run}", "churn", environment={"python": "3.12"}),
            ParamsLogged(run, at, {"lr": 0.1 + number, "opt": "ad\0am", "big": 2**64 - 1, "flag": True, "none": None}),
            TagsSet(run, at, {"team": "risk"}),
            DatasetLogged(run, at, "train", "customers", {"value": "x1:ab", "n_rows": 10, "bad": math.nan}),
            ModelLogged(run, at, "clf", "skops", "d" * 64, 100),
            ArtifactLogged(run, at, "a.txt", "e" * 64, 5),
        ]
        found += [
            MetricsLogged(run, at + step, step, {"loss": value}) for step, value in enumerate([0.5, math.nan, math.inf])
        ]
        found.append(MetricsLogged(run, at, "0.1", {"frac": 1.5}))
        found.append(MetricsLogged(run, at, str(10**25), {"frac": 2.5}))
    found.append(RunEnded("two", START + 10**9, "failed", {"type": "ValueError", "message": "no", "traceback": "…"}))
    found.append(RegistryLogged("one", START, "clf", "register", "s1", "d" * 64, "ann", "good"))
    ingest.ingest(engine, [Record("w", place, place + 1, event) for place, event in enumerate(found)])
    engine.dispose()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTRACK_HOME", str(place))
        session.configure()
        yield place
    session.configure()


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    return code, *capsys.readouterr()


def rows(capsys: pytest.CaptureFixture[str], statement: str, *more: str) -> list[dict[str, Any]]:
    code, out, err = called(capsys, "sql", statement, "--json", *more)
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def test_ls_finds_sorts_and_shows_what_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(
        capsys, "ls", "--where", "params.lr > 1", "--columns", "params.lr,metrics.loss.min,metrics.loss"
    )
    lines = [line.split() for line in out.splitlines()]
    assert code == 0 and lines[0] == ["run", "name", "status", "params.lr", "metrics.loss.min", "metrics.loss"]
    assert lines[1] == ["two", "run", "two", "failed", "1.1", "0.5", "Infinity"] and len(lines) == 2
    code, out, _ = called(capsys, "ls", "--sort", "params.lr", "--columns", "metrics.loss", "--json")
    assert [(run["id"], run["values"]) for run in json.loads(out)] == [
        ("one", {"metrics.loss": "Infinity"}),
        ("two", {"metrics.loss": "Infinity"}),
    ]
    code, out, _ = called(capsys, "ls", "--sort", "-params.lr", "--json")
    assert [run["id"] for run in json.loads(out)] == ["two", "one"] and "values" not in json.loads(out)[0]
    code, out, _ = called(
        capsys, "ls", "--where", "params.lr > 0 or params.lr < 0", "--status", "failed", "--limit", "1"
    )
    assert "two" in out and "one" not in out and "more" not in out
    code, out, _ = called(capsys, "ls", "--where", "params.lr > 0", "--limit", "1")
    assert "and 1 more" in out
    assert "no run fits" in called(capsys, "ls", "--where", "name = nobody")[1]


def test_an_error_in_a_query_is_pointed_at(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["ls"], ["export"], ["export", "--parquet", "x"], ["sql", "select 1 from runs"]):
        code, out, err = called(capsys, *arguments, "--where", "status = finshed and name = x")
        assert code == 2 and out == ""
        text, carets, told = err.splitlines()
        assert text == "status = finshed and name = x" and carets == " " * 9 + "^" * 7
        assert told.startswith("autotrack: there is no status 'finshed'")
    assert called(capsys, "ls", "--sort", "nome")[2].splitlines()[1] == "^^^^"


def test_export_takes_a_query(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "export", "--where", "status = failed")
    assert code == 0 and [run["id"] for run in json.loads(out)] == ["two"]
    assert called(capsys, "export", "one", "--where", "name = x")[0] == 2
    assert called(capsys, "export", "--to", "local", "--where", "name = x")[0] == 2


def test_sql_sees_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    joined = (
        "select r.name, p.number, m.min, m.max, m.last from runs r join params p on p.run = r.id and p.key = 'lr' "
        "join metrics m on m.run = r.id and m.key = 'loss' order by 1"
    )
    assert rows(capsys, joined) == [
        {"name": "run one", "number": 0.1, "min": 0.5, "max": "Infinity", "last": "Infinity"},
        {"name": "run two", "number": 1.1, "min": 0.5, "max": "Infinity", "last": "Infinity"},
    ]
    points = rows(
        capsys, "select step, step_text, time, value from points where run = 'one' and key = 'loss' order by step"
    )
    assert [(point["step"], point["step_text"], point["value"]) for point in points] == [
        (0, "0", 0.5),
        (1, "1", "NaN"),
        (2, "2", "Infinity"),
    ]
    assert points[0]["time"] == "2025-10-09T08:53:20.123456Z"
    exact = rows(capsys, "select step_text from points where run = 'one' and key = 'frac' order by step")
    assert [row["step_text"] for row in exact] == ["0.1", str(10**25)]
    assert rows(capsys, "select value, text, number from params where run = 'one' order by key") == [
        {"value": "18446744073709551615", "text": None, "number": float(2**64 - 1)},
        {"value": "true", "text": None, "number": None},
        {"value": "0.1", "text": None, "number": 0.1},
        {"value": "null", "text": None, "number": None},
        {"value": '"ad\\u0000am"', "text": "ad␀am", "number": None},
    ]
    assert rows(capsys, "select count(*) n, min(ended_at) e, max(error_type) t from runs") == [
        {"n": 2, "e": "2025-10-09T08:53:21.123456Z", "t": "ValueError"}
    ]
    for table in ("tags", "datasets", "models", "artifacts"):
        assert rows(capsys, f"select count(*) as n from {table}") == [{"n": 2}], table
    assert rows(capsys, "select model, action, who, why, run from registry") == [
        {"model": "clf", "action": "register", "who": "ann", "why": "good", "run": "one"}
    ]
    assert rows(capsys, "select n_rows, value from datasets", "--where", "status = failed") == [
        {"n_rows": 10, "value": "x1:ab"}
    ]


def test_sql_prints_a_table_csv_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    statement = "select 'a,b' x, 1.50::decimal(4,2) y, [1, 2] z, date '2026-05-01' d, null n, 1 x"
    code, out, _ = called(capsys, "sql", statement)
    assert code == 0 and out.splitlines()[0].split() == ["x", "y", "z", "d", "n", "x_2"]
    _, out, _ = called(capsys, "sql", statement, "--csv")
    assert list(csv.reader(io.StringIO(out)))[1] == ["a,b", "1.50", "[1, 2]", "2026-05-01", "", "1"]
    assert rows(capsys, statement)[0]["z"] == [1, 2]
    code, out, _ = called(capsys, "sql", "--csv")
    assert ["runs", "started_at", "time"] in list(csv.reader(io.StringIO(out)))
    _, out, _ = called(capsys, "sql", "select * from range(1500)")
    assert len(out.splitlines()) == 1002 and "more than these 1,000 rows" in out.splitlines()[-1]
    assert called(capsys, "sql", "select 1", "--csv", "--json")[0] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('{secret}')",
        "select * from '{secret}'",
        "select * from read_text('{secret}')",
        "select * from glob('/*')",
        "copy runs to '{folder}/out.csv'",
        "copy (select 1) to '{folder}/out.parquet'",
        "export database '{folder}/out'",
        "attach '{folder}/out.db'",
        "attach '{store}' (type sqlite)",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "reset lock_configuration",
        "select * from read_csv('http://127.0.0.1:1/x')",
        "select getenv('HOME')",
        "select * from json_execute_serialized_sql('x')",
        "select",
        "drop table nothing",
    ],
)
def test_sql_reaches_neither_files_nor_the_network(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, statement: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nhidden\n")
    before = sorted(tmp_path.iterdir())
    for reading in ("", " -- points"):  # with points the tables lie in a file
        code, out, err = called(
            capsys, "sql", statement.format(secret=secret, folder=tmp_path, store=home / "store.db") + reading
        )
        assert (code, out) == (2, "") and "autotrack: DuckDB says:" in err and "hidden" not in err
    assert sorted(tmp_path.iterdir()) == before


def test_sql_changes_nothing_in_the_store(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    with sqlite3.connect(home / "store.db") as connection:
        before = list(connection.iterdump())
    called(capsys, "sql", "delete from runs; drop table params; update tags set value = 'x'")
    with sqlite3.connect(home / "store.db") as connection:
        assert list(connection.iterdump()) == before
    assert rows(capsys, "select count(*) n from runs") == [{"n": 2}]


def test_what_to_install_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install duckdb" in called(capsys, "sql", "select 1")[2]
    assert "pip install pyarrow" in called(capsys, "export", "--parquet", "x")[2]


def test_parquet_holds_the_same_tables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "tables"
    code, out, _ = called(capsys, "export", "--parquet", str(folder), "--json")
    told = json.loads(out)
    assert code == 0 and told["rows"] == {
        "runs": 2, "params": 10, "metrics": 4, "points": 10, "tags": 2, "datasets": 2, "models": 2, "artifacts": 2,
        "registry": 1,
    }  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.parquet" for name in told["rows"])
    points = pyarrow.parquet.read_table(folder / "points.parquet").to_pylist()
    loss = [point for point in points if (point["run"], point["key"]) == ("one", "loss")]
    assert [point["step_text"] for point in loss] == ["0", "1", "2"] and math.isnan(loss[1]["value"])
    assert {Decimal(point["step_text"]) for point in points if point["key"] == "frac"} == {
        Decimal("0.1"),
        Decimal(10**25),
    }
    times = pyarrow.parquet.read_table(folder / "points.parquet")["time"]
    assert times.type == pyarrow.timestamp("ns", "UTC") and times.cast(pyarrow.int64()).to_pylist()[0] == START
    runs = {run["id"]: run for run in pyarrow.parquet.read_table(folder / "runs.parquet").to_pylist()}
    assert runs["one"]["ended_at"] is None and runs["two"]["error_message"] == "no"
    code, out, _ = called(capsys, "export", "--parquet", str(folder), "--where", "status = failed")
    assert code == 0 and "runs.parquet  1 rows" in out
    assert {row["run"] for row in pyarrow.parquet.read_table(folder / "params.parquet").to_pylist()} == {"two"}
    assert called(capsys, "export", "two", "--parquet", str(folder))[0] == 0
    occupied = tmp_path / "file"
    occupied.write_text("x")
    code, _, err = called(capsys, "export", "--parquet", str(occupied))
    assert code == 2 and "choose a folder" in err and occupied.read_text() == "x"


def test_many_points_stream_into_parquet_and_sql(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    engine = open_engine(home, Settings())
    many = [MetricsLogged("one", START + step, step, {"long": float(step)}) for step in range(50_000)]
    ingest.ingest(engine, [Record("v", place, place + 1, event) for place, event in enumerate(many)])
    engine.dispose()
    assert rows(capsys, "select count(*) n, sum(value) s, max(step) m from points where key = 'long'") == [
        {"n": 50_000, "s": 50_000 * 49_999 / 2, "m": 49_999.0}
    ]
    called(capsys, "export", "--parquet", str(tmp_path / "t"))
    file = pyarrow.parquet.ParquetFile(tmp_path / "t" / "points.parquet")
    assert file.metadata.num_rows == 50_010 and file.metadata.num_row_groups > 1
