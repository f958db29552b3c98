"""Folders and lists of files as tables, with digests that are remembered."""

import os
import time
from pathlib import Path

import pytest

from autotrack.provenance.fingerprint import files, fingerprint, manifest
from autotrack.provenance.fingerprint.manifest import cached_in, of_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for name in ("cats/1.png", "cats/2.png", "dogs/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    _age(root)
    return root


def _age(root: Path) -> None:
    long_ago = time.time() - 3600
    for path in root.rglob("*"):
        os.utime(path, (long_ago, long_ago))


def test_a_folder_is_identified_by_names_and_contents_alone(folder: Path, tmp_path: Path) -> None:
    before = fingerprint(folder)
    assert before.n_rows == 3
    os.utime(folder / "cats" / "1.png")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert fingerprint(folder).value == before.value
    assert fingerprint(str(folder)).value == before.value
    moved = folder.rename(tmp_path / "elsewhere")
    assert fingerprint(moved).strict == before.strict
    (moved / "cats" / "2.png").write_bytes(b"cats/3.png")  # of the same size
    changed = fingerprint(moved)
    assert changed.value != before.value
    (moved / "cats" / "2.png").write_bytes(b"cats/2.png")
    (moved / "cats" / "2.png").rename(moved / "cats" / "4.png")
    assert len({before.value, changed.value, fingerprint(moved).value}) == 3


def test_a_text_that_is_no_path_is_not_read_as_one() -> None:
    assert fingerprint("no such folder").value is None
    assert fingerprint("").value is None
    assert fingerprint(["cats/1.png", "dogs"]).n_rows == 2  # a list of texts is texts


def test_a_list_of_paths_is_its_files_in_that_order(folder: Path) -> None:
    paths = sorted(folder.rglob("*.png"))
    whole = fingerprint(paths)
    assert whole.n_rows == 3
    assert whole.rows == fingerprint(paths[::-1]).rows
    assert whole.value != fingerprint(paths[::-1]).value
    assert whole.value == fingerprint(folder).value


def test_links_are_followed_and_may_lead_in_circles(folder: Path) -> None:
    before = of_path(folder).files
    (folder / "cats" / "up").symlink_to(folder)
    assert [file.name for file in of_path(folder).files][: len(before)] != []
    linked = {file.name for file in of_path(folder).files}
    assert {file.name for file in before} <= linked
    assert len(linked) < 10


def test_what_cannot_be_read_is_never_taken_for_the_same(folder: Path) -> None:
    (folder / "cats" / "lost.png").symlink_to(folder / "nowhere")
    found = fingerprint(folder)
    assert found.coverage < 1
    assert found.value.startswith("x1p:")


def test_digests_are_remembered_until_a_file_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "FRESH", 0)
    home = tmp_path / "home"
    with cached_in(home):
        first = fingerprint(folder)
        # A digest of our own in the cache shows that it is the cache that answers.
        (cache,) = (home / "cache" / "manifests").iterdir()
        told = cache.read_text()
        real = of_path(folder).digest(of_path(folder).files[0])
        cache.write_text(told.replace(real, "0" * 64))
        assert fingerprint(folder).value != first.value
        (folder / "cats" / "1.png").write_bytes(b"cats/1.png")  # the same again, at another time
        assert fingerprint(folder).value == first.value
        cache.write_text("{damaged")
        assert fingerprint(folder).value == first.value


def test_a_file_that_has_just_changed_is_read_again(folder: Path, tmp_path: Path) -> None:
    with cached_in(tmp_path / "home"):
        (folder / "cats" / "1.png").write_bytes(b"a")
        first = fingerprint(folder)
        status = (folder / "cats" / "1.png").stat()
        (folder / "cats" / "1.png").write_bytes(b"b")
        os.utime(folder / "cats" / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns))
        assert fingerprint(folder).value != first.value


def test_a_name_that_is_no_utf8_is_a_name(tmp_path: Path) -> None:
    try:
        (tmp_path / "x").mkdir()
        with open(os.fsencode(tmp_path / "x") + b"/\xff.png", "wb") as file:
            file.write(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert fingerprint(tmp_path / "x").coverage == 1


def test_an_empty_folder_is_known(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert fingerprint(tmp_path / "empty").n_rows == 0


def test_a_folder_with_too_many_files_is_told_by_its_path_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 2)
    assert fingerprint(folder).value is None
    assert len(of_path(folder).files) == 3
    monkeypatch.setattr(files, "MOST_FILES", 3)
    assert fingerprint(folder).coverage == 1


def test_the_home_in_a_folder_is_no_data(folder: Path) -> None:
    before = fingerprint(folder).value
    (folder / ".autotrack").mkdir()
    (folder / ".autotrack" / "store.db").write_bytes(b"x")
    assert fingerprint(folder).value == before
