"""Frames of pandas in runs, compared with the files that they came from."""

import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

pd = pytest.importorskip("pandas")

import autotrack  # noqa: E402
from autotrack.cli.main import main  # noqa: E402
from autotrack.session import session  # noqa: E402
from autotrack.testing import recording  # noqa: E402

FRAME = pd.DataFrame(
    {
        "age": [31, 45, 28, 31],
        "income": pd.Series([0.1, 0.2, None, 0.4], dtype="float32"),
        "city": ["Rome", "Oslo", None, "Bonn"],
        "plan": pd.Categorical(["a", "b", "a", "b"]),
        "since": pd.to_datetime(["2024-01-01 00:00:00", "2024-02-01 12:30:00", None, "2024-03-01 00:00:00"]),
        "active": [True, False, True, True],
        "churned": [0, 1, 0, 1],
    }
)
FEATURES = ["age", "income", "city", "plan", "since", "active"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    monkeypatch.chdir(tmp_path)
    with recording(tmp_path / "home"), autotrack.start_run("training") as run:
        run.log_dataset({"X": FRAME[FEATURES], "y": FRAME["churned"]}, role="train")
    monkeypatch.setenv("AUTOTRACK_HOME", str(tmp_path / "home"))
    session.configure()

    def call(*words: str) -> tuple[int, dict]:
        with redirect_stdout(StringIO()) as out:
            code = main(["data", *words, "--json"])
        return code, json.loads(out.getvalue())

    yield call
    monkeypatch.undo()
    session.configure()


def test_rows_are_found_again_in_a_csv_of_other_types_and_order(data: Callable) -> None:
    changed = FRAME.iloc[::-1][["churned", *reversed(FEATURES)]].copy()
    changed.loc[1, "city"] = "Bari"
    changed.to_csv("today.csv", index=False)
    code, found = data("contains", "training", "today.csv", "--rows")
    assert (code, found["why"]) == (0, None)
    assert found["answers"] == ["yes", "yes", "no", "yes"]


def test_rows_of_parquet_are_found_again(data: Callable) -> None:
    pytest.importorskip("pyarrow")
    FRAME.to_parquet("today.parquet")
    assert data("contains", "training", "today.parquet")[1]["yes"] == 4


def test_times_that_are_none_are_not_compared(data: Callable) -> None:
    FRAME.assign(since="long ago").to_csv("odd.csv", index=False)
    found = data("contains", "training", "odd.csv")[1]
    assert (found["no"], found["unknown"]) == (0, 4)
    assert "'since' holds texts" in found["why"]


def test_a_table_is_compared_with_the_parts_that_were_trained_on(data: Callable) -> None:
    pytest.importorskip("pyarrow")
    changed = FRAME.copy()
    changed.loc[2, "age"] = 29
    changed.to_parquet("changed.parquet")
    code, found = data("diff", "training:train", "changed.parquet")
    assert code == 1
    assert [(one["name"], one["change"]) for one in found["columns"] if one["change"] == "values"] == [
        ("age", "values")
    ]
    assert found["added_rows"] == [[2, 3]]
    assert found["parts"] == [["X", "y"], [""]]


def test_a_rounded_column_is_told_from_one_that_changed(data: Callable) -> None:
    FRAME.assign(income=[0.1, 0.2, None, 0.4]).to_csv("doubles.csv", index=False)
    found = data("diff", "training:train", "doubles.csv")[1]
    (income,) = (one for one in found["columns"] if one["name"] == "income")
    assert (income["change"], income["type"], income["rounded"]) == ("type", ["float32", "float64"], True)


@pytest.mark.filterwarnings("ignore:The 'float_precision' argument")
def test_a_decimal_that_pandas_used_to_read_a_little_wrong_is_no_reason_for_a_no(
    data: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    FRAME.to_csv("today.csv", index=False)
    read = pd.read_csv

    def as_before(path: str, **options: object) -> object:
        frame = read(path, **options)
        if "float_precision" not in options:
            frame["age"] = frame["age"] + 1e-9
        return frame

    monkeypatch.setattr(pd, "read_csv", as_before)
    assert data("contains", "training", "today.csv")[1]["no"] == 4
    monkeypatch.setattr(pd, "__version__", "2.2.3")
    assert data("contains", "training", "today.csv")[1]["yes"] == 4
