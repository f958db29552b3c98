"""`autotrack data` over files and over recorded runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import autotrack
from autotrack.cli.main import main
from autotrack.session import session

Program = Callable[..., "Done"]


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


TRAINING = """
import autotrack, numpy as np
rng = np.random.default_rng(0)
rows = np.zeros(70_000, [("age", "i8"), ("income", "f8")])
rows["age"] = rng.integers(0, 90, len(rows))
rows["income"] = rng.normal(size=len(rows))
changed = rows.copy()
changed["income"][66_000] = 7
with autotrack.start_run("first") as run:
    run.log_dataset({"X": rows, "y": rows["age"] > 40}, role="train", name="customers")
with autotrack.start_run("second") as run:
    run.log_dataset({"X": changed, "y": rows["age"] > 40}, role="train", name="customers")
    run.log_dataset({"X": rows[:5], "y": rows["age"][:5] > 40}, role="test", name="a")
    run.log_dataset({"X": rows[5:9], "y": rows["age"][5:9] > 40}, role="test", name="b")
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("data") / "home"
    environment = {**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off"}
    subprocess.run([sys.executable, "-c", TRAINING], env=environment, check=True, capture_output=True, timeout=60)
    return home


@pytest.fixture
def data(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOTRACK_HOME", str(recorded))
    session.configure()

    def call(*words: str) -> Done:
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = main(["data", *words])
        return Done(code, out.getvalue(), err.getvalue())

    yield call
    monkeypatch.undo()
    session.configure()


def told(done: Done, code: int = 0) -> dict:
    assert (done.returncode, done.stderr) == (code, ""), done.stderr
    return json.loads(done.stdout)


def write(path: Path, *rows: str) -> None:
    path.write_text("\n".join(rows) + "\n")


def test_a_changed_cell_of_a_csv_is_named(data: Program, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "age,city", "1,Rome", "2,Oslo", "3,Rome")
    write(tmp_path / "b.csv", "age,city", "1,Rome", "2,Bonn", "3,Rome")
    found = told(data("diff", "a.csv", "b.csv", "--json"), 1)
    assert set(found) >= {"same", "value", "schema", "rows", "columns"}
    assert (found["same"], found["value"], found["schema"], found["rows"]) == (False, False, True, False)
    assert found["columns"] == [{"name": "city", "change": "values", "row_ranges": [[1, 2]]}]
    text = data("diff", "a.csv", "b.csv")
    assert (text.returncode, text.stderr) == (1, "")
    assert "city changed in row 1" in text.stdout


def test_the_same_data_ends_with_zero(data: Program, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "age,city", "1,Rome", "2,")
    write(tmp_path / "b.csv", "age,city", "01,Rome", "2,NA")
    for other in ("a.csv", "b.csv"):
        found = told(data("diff", "a.csv", other, "--json"))
        assert (found["same"], found["value"], found["schema"], found["rows"], found["columns"]) == (
            True,
            True,
            True,
            True,
            [],
        )


def test_types_that_changed_are_told_though_the_values_are_the_same(data: Program, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5))
    np.save(tmp_path / "b.npy", np.arange(5.0))
    found = told(data("diff", "a.npy", "b.npy", "--json"), 1)
    assert (found["value"], found["schema"]) == (True, False)
    assert found["columns"][0]["type"] == ["int64", "float64"]


def test_arrays_of_an_archive_are_parts(data: Program, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.arange(6).reshape(3, 2), y=np.zeros(3))
    np.savez(tmp_path / "b.npz", X=np.array([[0, 1], [2, 3], [4, 6]]), y=np.zeros(3))
    found = told(data("diff", "a.npz", "b.npz", "--json"), 1)
    assert found["columns"] == [{"name": "1", "part": "X", "change": "values", "row_ranges": [[2, 3]]}]


def test_lines_of_json_are_a_table(data: Program, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", '{"a": 1, "b": "x"}', '{"a": 2, "b": "y"}')
    write(tmp_path / "b.jsonl", '{"a": 2, "b": "y"}', '{"a": 1, "b": "x"}')
    found = told(data("diff", "a.jsonl", "b.jsonl", "--json"), 1)
    assert (found["value"], found["rows"], found["order"]) == (False, True, "rows")


def test_folders_are_told_apart_by_their_files(data: Program, tmp_path: Path) -> None:
    for folder, texts in {"a": "123", "b": "193"}.items():
        (tmp_path / folder / "cats").mkdir(parents=True)
        for index, text in enumerate(texts):
            (tmp_path / folder / "cats" / f"{index}.png").write_text(text)
    (tmp_path / "b" / "new.png").write_text("new")
    (tmp_path / "b" / "cats" / "2.png").rename(tmp_path / "b" / "moved.png")
    found = told(data("diff", "a", "b", "--json"), 1)
    assert found["files"] == {
        "added": ["new.png"], "removed": [], "changed": ["cats/1.png"], "unknown": [],
        "renamed": [["cats/2.png", "moved.png"]],
    }  # fmt: skip
    assert told(data("diff", "a", "a", "--json"))["same"] is True


def test_two_runs_are_compared_by_their_records(data: Program) -> None:
    found = told(data("diff", "first:train", "second:train/customers", "--json"), 1)
    assert (found["same"], found["schema"], found["rows"]) == (False, True, False)
    assert found["columns"] == [{"name": "income", "part": "X", "change": "values", "row_ranges": [[65_536, 70_000]]}]
    assert (found["added"], found["removed"]) == (1, 1)
    assert told(data("diff", "first:train", "first:train", "--json"))["same"] is True


def test_a_file_is_compared_with_a_run_and_its_row_is_named(data: Program, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    age, income = rng.integers(0, 90, 70_000), rng.normal(size=70_000)
    np.savez(tmp_path / "same.npz", X=rows(age, income), y=age > 40)
    assert told(data("diff", "first:train", "same.npz", "--json"))["same"] is True
    income[66_000] = 7
    np.savez(tmp_path / "other.npz", X=rows(age, income), y=age > 40)
    found = told(data("diff", "first:train", "other.npz", "--json"), 1)
    assert found["columns"][0]["name"] == "income"
    assert found["added_rows"] == [[66_000, 66_001]]


def rows(age: np.ndarray, income: np.ndarray) -> np.ndarray:
    made = np.zeros(len(age), [("age", "i8"), ("income", "f8")])
    made["age"], made["income"] = age, income
    return made


def test_rows_of_the_training_set_are_found_in_a_file(data: Program, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    age, income = rng.integers(0, 90, 70_000), rng.normal(size=70_000)
    lines = [f"{float(income[at])!r},{age[at]},x" for at in (5, 69_999)]
    write(tmp_path / "today.csv", "income,age,note", lines[0], "0.5,7,y", lines[1])
    found = told(data("contains", "first", "today.csv", "--rows", "--json"))
    assert (found["rows"], found["yes"], found["no"], found["unknown"]) == (3, 2, 1, 0)
    assert found["answers"] == ["yes", "no", "yes"]
    assert data("contains", "first:train", "today.csv").stdout == "of 3 rows 2 were in first:train, 1 were not\n"
    assert data("contains", "first", "today.csv", "--fail-if-any").returncode == 1
    write(tmp_path / "lacking.csv", "age", "7")
    found = told(data("contains", "first", "lacking.csv", "--json"))
    assert (found["no"], found["unknown"], found["share"]) == (0, 1, None)
    assert "income" in found["why"]


def test_python_has_the_same_answer(data: Program) -> None:
    rng = np.random.default_rng(0)
    asked = rows(rng.integers(0, 90, 70_000), rng.normal(size=70_000))[:3]
    asked["age"][1] = 99
    assert autotrack.contains("first", asked).answers.tolist() == [1, 0, 1]
    assert autotrack.contains("second", asked, "test/a").answers.tolist() == [1, 0, 1]


def test_a_fingerprint_of_a_file_is_that_of_the_run(data: Program, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "age", "1")
    found = told(data("fingerprint", "a.csv", "--json"))
    assert found["value"].startswith("x1:")
    assert found["columns"] == [{"name": "age", "dtype": "int64", "value": found["columns"][0]["value"]}]
    assert found["source"]["bytes"] == 6
    recorded = told(data("fingerprint", "first:train", "--json"))
    assert recorded["n_rows"] == 70_000
    assert recorded["value"] in data("fingerprint", "first:train").stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("diff", "nowhere.csv", "a.csv"), 2, "neither a file nor a folder"),
        (("diff", "a.csv", "first:test"), 1, "it has train/customers"),
        (("diff", "a.csv", "second:test"), 2, "test/a, test/b"),
        (("diff", "a.csv", "no-such-run:train"), 1, "no run has the id or name"),
        (("diff", "a.csv"), 2, "Missing argument"),
        (("diff", "a.csv", "broken.npy"), 2, "broken.npy cannot be read as npy"),
        (("contains", "first:train", "nowhere.csv"), 2, "neither a file nor a folder"),
    ],
)
def test_wrong_use_says_what_would_be_right(
    data: Program, tmp_path: Path, words: tuple, code: int, message: str
) -> None:
    write(tmp_path / "a.csv", "age", "1")
    write(tmp_path / "broken.npy", "no array")
    done = data(*words)
    assert done.returncode == code
    assert message in done.stderr


def test_a_csv_is_read_alike_with_and_without_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    from autotrack.cli import datafiles
    from autotrack.provenance.fingerprint import fingerprint

    write(tmp_path / "a.csv", "i,f,b,s,m", "1,1.5,True,x,", "2,nan,False,,7", "3,-0.25,True,é,8")
    real = datafiles.find_spec
    with_pandas = fingerprint(datafiles.read(tmp_path / "a.csv"))
    monkeypatch.setattr(datafiles, "find_spec", lambda name: None if name == "pandas" else real(name))
    without = fingerprint(datafiles.read(tmp_path / "a.csv"))
    assert without.value == with_pandas.value
    assert without.rows == with_pandas.rows


def test_what_has_to_be_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autotrack.cli import datafiles
    from autotrack.errors import UsageError

    monkeypatch.setattr(datafiles, "find_spec", lambda name: None)
    for name in ("a.parquet", "a.feather", "a.csv.gz"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UsageError, match="pip install"):
            datafiles.read(tmp_path / name)


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow"])
def test_formats_of_arrow_hold_the_same_data(data: Program, tmp_path: Path, ending: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import feather, ipc, parquet

    table = arrow.table({"age": [1, 2, 3], "city": ["Rome", None, "Oslo"]})
    if ending == "parquet":
        parquet.write_table(table, tmp_path / "a.parquet")
    elif ending == "feather":
        feather.write_feather(table, tmp_path / "a.feather")
    else:
        with ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as stream:
            stream.write_table(table)
    write(tmp_path / "a.csv", "age,city", "1,Rome", "2,", "3,Oslo")
    assert told(data("diff", f"a.{ending}", "a.csv", "--json"), 1)["value"] is True
