"""Each run has one folder, whichever of its journals comes first, and whoever asks."""

from pathlib import Path

import pytest

from autotrack.appended import Appended, RunFolders
from autotrack.errors import BackendUnavailable


def folder_of(root: Path, run: str, *name: str) -> Path:
    folders = RunFolders(root)
    with folders.locked():
        return folders.of(run, name)


def test_a_run_is_found_again_whatever_it_is_called_then(tmp_path: Path):
    first = folder_of(tmp_path, "0123456789abcdef", "churn", "base/line: 1")
    assert first == tmp_path / "churn" / "base_line_1-01234567"
    assert folder_of(tmp_path, "0123456789abcdef") == first
    assert folder_of(tmp_path, "0123456789abcdef", "other", "name") == first


def test_a_stand_in_is_renamed_with_what_is_in_it_and_open_files_move_along(tmp_path: Path):
    stand_in = folder_of(tmp_path, "0123456789abcdef")
    with Appended(stand_in, "rows", {}) as file:
        file.append(b"one")
        named = folder_of(tmp_path, "0123456789abcdef", "churn", "baseline")
        file.append(b"two")
    assert not stand_in.exists()
    assert (named / "rows").read_bytes() == b"onetwo"
    assert folder_of(tmp_path, "0123456789abcdef") == named


def test_ids_that_begin_alike_and_names_that_climb_have_folders_of_their_own_below_the_root(tmp_path: Path):
    names = [("churn", "a"), ("churn", "a"), ("..", ".."), ("", "x" * 300), ("churn", "a\\b")]
    made = []
    for number, name in enumerate(names):
        folder = folder_of(tmp_path, f"01234567{number:08x}", *name)
        folder.mkdir(parents=True)
        made.append(folder)
    assert len(set(made)) == len(names)
    assert all(folder.resolve().is_relative_to(tmp_path) and folder.resolve() != tmp_path for folder in made)


def test_a_root_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendUnavailable, match="cannot be written"):
        folder_of(tmp_path / "file", "0123456789abcdef")
