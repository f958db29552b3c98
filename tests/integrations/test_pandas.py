"""pandas: frames are remembered by where they came from, and nothing else of them changes."""

import gc
import pickle
import sqlite3
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

import autotrack  # noqa: E402
import autotrack_pandas  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.provenance.fingerprint import sources  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    plugins.load()
    if "pandas" not in plugins.integrations:
        plugins.register(autotrack_pandas, "pandas")
    sources.forget()
    with recording(tmp_path / "home", "pandas") as found:
        yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pd.DataFrame({"age": [1, 2, 3], "income": [0.5, 1.5, 2.5], "churned": [0, 1, 0]}).to_csv(
        tmp_path / "a.csv", index=False
    )
    return tmp_path / "a.csv"


def source(recorded: Recorded, data: object) -> dict | None:
    with autotrack.start_run("training") as run:
        run.log_dataset(data, role="train")
    return recorded.runs()[-1].datasets[0].record.get("source")


def test_a_frame_is_told_by_the_file_that_it_was_read_from(recorded: Recorded, path: Path) -> None:
    found = source(recorded, pd.read_csv(path))
    assert (found["kind"], found["path"], found["bytes"]) == ("file", str(path), path.stat().st_size)
    assert found["claimed"] is True
    assert "by" not in found


def test_what_was_taken_out_of_a_frame_is_told_by_its_columns(recorded: Recorded, path: Path) -> None:
    frame = pd.read_csv(path)
    found = source(recorded, {"X": frame[["age", "income"]].iloc[:2], "y": frame["churned"].iloc[:2]})
    assert (found["path"], found["by"]) == (str(path), "columns")
    assert source(recorded, frame.assign(new=1)) is None


def test_of_two_files_with_the_same_columns_none_is_guessed(recorded: Recorded, path: Path) -> None:
    frame = pd.read_csv(path)
    path.with_name("b.csv").write_bytes(path.read_bytes())
    other = pd.read_csv(path.with_name("b.csv"))
    assert source(recorded, frame)["path"] == str(path)
    assert source(recorded, other)["path"] == str(path.with_name("b.csv"))
    assert source(recorded, frame.copy()) is None


def test_open_files_and_keywords_are_seen(recorded: Recorded, path: Path) -> None:
    with path.open() as file:
        assert source(recorded, pd.read_csv(file))["path"] == str(path)
    assert source(recorded, pd.read_csv(filepath_or_buffer=str(path)))["path"] == str(path)


def test_a_query_is_told_without_its_secrets(recorded: Recorded, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        pd.DataFrame({"age": [1], "password": ["x"]}).to_sql("people", connection, index=False)
        frame = pd.read_sql("select age from people where password != 'hunter22hunter'", connection)
    found = source(recorded, frame)
    assert found["kind"] == "sql"
    assert found["statement"].startswith("select age from people")
    assert "hunter22" not in str(found)


def test_results_and_errors_are_pandas_own(recorded: Recorded, path: Path) -> None:
    frame = pd.read_csv(path, usecols=["age"])
    assert list(frame.columns) == ["age"]
    assert frame.attrs == {}
    with pytest.raises(FileNotFoundError):
        pd.read_csv(path.with_name("missing.csv"))
    assert [len(chunk) for chunk in pd.read_csv(path, chunksize=2)] == [2, 1]
    assert pickle.loads(pickle.dumps(pd.read_csv)) is pd.read_csv
    assert recorded.runs() == []


def test_frames_are_not_kept_alive(recorded: Recorded, path: Path) -> None:
    frame = pd.read_csv(path)
    seen = weakref.ref(frame)
    del frame
    gc.collect()
    assert seen() is None


def test_disable_gives_pandas_back(tmp_path: Path, path: Path) -> None:
    plain = pd.read_csv
    plugins.load()
    if "pandas" not in plugins.integrations:
        plugins.register(autotrack_pandas, "pandas")
    with recording(tmp_path / "home", "pandas"):
        assert pd.read_csv is not plain
    assert pd.read_csv is plain


def test_an_array_has_no_source(recorded: Recorded) -> None:
    assert source(recorded, np.ones((3, 2))) is None
