"""What is installed is told as a valid `pylock.toml`, from the folders of an installation alone."""

import importlib.metadata
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from autotrack.provenance.environment.installed import distributions
from autotrack.provenance.environment.lock import pylock

WHEEL = "Wheel-Version: 1.0\nTag: py3-none-any\n"


def install(folder: Path, name: str, version: str, wheel: str = WHEEL, **files: Any) -> None:
    """What an installer leaves of a distribution."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{name}.py,sha256=abc,1\n")
    if wheel:
        (info / "WHEEL").write_text(wheel)
    for key, value in files.items():
        (info / f"{key}.json").write_text(json.dumps(value))


def lock(folder: Path) -> dict[str, dict[str, Any]]:
    """The packages of the lock, validated, by name."""
    document = tomllib.loads(pylock(distributions([str(folder)])))
    assert document["lock-version"] == "1.0" and document["created-by"] == "autotrack-ml"
    form = pytest.importorskip("packaging.pylock")
    form.Pylock.from_dict(document)
    return {one["name"]: one for one in document["packages"]}


def test_what_is_installed_here_is_told_whole_and_valid() -> None:
    found = distributions(sys.path)
    document = tomllib.loads(pylock(found))
    pytest.importorskip("packaging.pylock").Pylock.from_dict(document)
    expected: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        expected.setdefault(re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(), one.version)
    assert {one.name: one.version for one in found} == expected
    locked = {one["name"] for one in document["packages"]}
    others = {one.partition("==")[0] for one in document["tool"]["autotrack"]["others"]}
    assert locked | others == expected.keys()
    assert document["requires-python"] == "==" + ".".join(map(str, sys.version_info[:3]))


def test_a_wheel_is_named_as_it_was_installed(tmp_path: Path) -> None:
    tags = "Tag: cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\nBuild: 2\n"
    install(tmp_path, "My_Package", "1.0+cpu", f"Wheel-Version: 1.0\n{tags}")
    (wheel,) = lock(tmp_path)["my-package"]["wheels"]
    assert wheel["name"] == "my_package-1.0+cpu-2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
    assert re.fullmatch(r"[0-9a-f]{64}", wheel["hashes"]["record-sha256"])


def test_direct_urls_are_kept_without_their_logins(tmp_path: Path) -> None:
    git = {"vcs": "git", "commit_id": "ab" * 20, "requested_revision": "main"}
    install(tmp_path, "fromgit", "1.0", direct_url={"url": "https://me:planted@host/x.git", "vcs_info": git})
    digest = "cd" * 32
    archive = {"url": "https://host/x-2.0.zip?token=planted", "archive_info": {"hash": f"sha256={digest}"}}
    install(tmp_path, "fromfile", "2.0", direct_url=archive)
    install(tmp_path, "editable", "3.0", direct_url={"url": "file:///home/me/my%20x", "dir_info": {"editable": True}})
    install(tmp_path, "folder", "4.0", direct_url={"url": "file:///home/me/y", "dir_info": {}, "subdirectory": "sub"})
    found = lock(tmp_path)
    assert found["fromgit"]["vcs"] == {
        "type": "git", "url": "https://***@host/x.git", "requested-revision": "main", "commit-id": "ab" * 20,
    }  # fmt: skip
    assert found["fromfile"]["archive"] == {"url": "https://host/x-2.0.zip?token=***", "hashes": {"sha256": digest}}
    assert found["editable"]["directory"] == {"path": "/home/me/my x", "editable": True}
    assert found["folder"]["directory"] == {"path": "/home/me/y", "editable": False, "subdirectory": "sub"}
    assert "version" not in found["editable"] and found["editable"]["tool"]["autotrack"]["version"] == "3.0"
    assert "planted" not in pylock(distributions([str(tmp_path)]))


def test_a_hash_that_the_installer_noted_is_the_wheels_own(tmp_path: Path) -> None:
    noted = {"url": "https://host/x.whl", "archive_info": {"hashes": {"sha256": "ef" * 32}}}
    install(tmp_path, "x", "1.0", provenance_url=noted)
    assert lock(tmp_path)["x"]["wheels"][0]["hashes"] == {"sha256": "ef" * 32}


def test_what_no_wheel_brought_is_listed_beside(tmp_path: Path) -> None:
    (tmp_path / "old-1.2-py3.11.egg-info").mkdir()
    install(tmp_path, "odd", "1.0", wheel="")
    document = tomllib.loads(pylock(distributions([str(tmp_path)])))
    assert document["packages"] == [] and document["tool"]["autotrack"]["others"] == ["odd==1.0", "old==1.2"]


def test_the_first_on_the_path_counts_and_odd_files_stop_nothing(tmp_path: Path) -> None:
    install(tmp_path / "first", "x", "1.0")
    install(tmp_path / "second", "X", "2.0")
    install(tmp_path / "second", "broken", "1.0")
    (tmp_path / "second" / "broken-1.0.dist-info" / "direct_url.json").write_text("{")
    (tmp_path / "second" / "broken-1.0.dist-info" / "WHEEL").write_bytes(b"\xff\xfe")
    path = [str(tmp_path / "nowhere"), str(tmp_path / "first"), str(tmp_path / "second"), str(tmp_path / "first")]
    assert [(one.name, one.version) for one in distributions(path)] == [("broken", "1.0"), ("x", "1.0")]


def test_the_same_installation_is_the_same_text() -> None:
    assert pylock(distributions(sys.path)) == pylock(distributions(sys.path))
