"""A capsule is given back byte by byte, or not at all, and never outside the folder that was named."""

import hashlib
import io
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code.restore import CannotRestore, restore


def packed(*files: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def bundled(*files: tuple[str, str, bytes]) -> tuple[bytes, str]:
    """A bundle by hand, of (mode, name, content), with names that git itself would not take; and its tree."""
    objects: dict[str, tuple[int, bytes]] = {}

    def add(kind: int, word: bytes, content: bytes) -> bytes:
        name = hashlib.sha1(b"%s %d\0" % (word, len(content)) + content)
        objects[name.hexdigest()] = kind, content
        return name.digest()

    entries = [f"{mode} {name}".encode() + b"\0" + add(3, b"blob", content) for mode, name, content in files]
    tree = add(2, b"tree", b"".join(entries)).hex()
    pack = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")
    for kind, content in objects.values():
        size, first = len(content) >> 4, (kind << 4) | (len(content) & 15)
        head = [first]
        while size:
            head[-1] |= 0x80
            head.append(size & 127)
            size >>= 7
        pack += bytes(head) + zlib.compress(content)
    return b"# v2 git bundle\n" + b"0" * 40 + b" HEAD\n\n" + pack + hashlib.sha1(pack).digest(), tree


def of_archive(blobs: Blobs, data: bytes) -> dict[str, Any]:
    blob = blobs.put_bytes(data)
    return {"kind": "files", "archive": {"digest": blob.digest, "bytes": blob.bytes}}


def of_bundle(blobs: Blobs, data: bytes, tree: str) -> dict[str, Any]:
    blob = blobs.put_bytes(data)
    return {"kind": "git", "tree": tree, "bundle": {"digest": blob.digest, "bytes": blob.bytes}}


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "home")


@pytest.mark.parametrize(
    "name", ["../out.py", "/out.py", "a/../../out.py", ".git/hooks/post-checkout", "a//b", "./a", ".GIT/config"]
)
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(
    name: str, blobs: Blobs, tmp_path: Path
) -> None:
    for record in (
        of_archive(blobs, packed(("fine.py", b""), (name, b"x"))),
        of_bundle(blobs, *bundled(("100644", "fine.py", b""), ("100644", name, b"x"))),
    ):
        with pytest.raises(CannotRestore, match="may not be written"):
            restore(record, blobs, tmp_path / "again")
        assert not (tmp_path / "again").exists() and not (tmp_path / "out.py").exists()


def test_links_are_made_inside_and_only_told_where_they_lead_out(blobs: Blobs, tmp_path: Path) -> None:
    outward = ["/etc/passwd", "../out", "a/../../out", "d/../..", "..", "//host/x"]
    files = [("100644", "a.py", b"a = 1\n"), ("120000", "inside", b"a.py")]
    files += [("120000", f"link{number}", leads.encode()) for number, leads in enumerate(outward)]
    found = restore(of_bundle(blobs, *bundled(*files)), blobs, tmp_path / "again")
    assert found.files == ("a.py", "inside") and len(found.missing) == len(outward)
    assert (tmp_path / "again" / "inside").read_bytes() == b"a = 1\n"
    assert sorted(os.listdir(tmp_path / "again")) == ["a.py", "inside"]


def test_nothing_is_written_through_a_link(blobs: Blobs, tmp_path: Path) -> None:
    record = of_bundle(blobs, *bundled(("120000", "d", b"."), ("100644", "d/x.py", b"x")))
    with pytest.raises(CannotRestore):
        restore(record, blobs, tmp_path / "again")


def test_links_and_devices_of_an_archive_are_not_made(blobs: Blobs, tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo(f"member{kind.decode()}")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert restore(of_archive(blobs, target.getvalue()), blobs, tmp_path / "again").files == ()


def test_modes_and_bytes_are_kept(blobs: Blobs, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    record = of_bundle(blobs, *bundled(("100755", "run.sh", b"#!/bin/sh\r\n"), ("100644", "data.bin", content)))
    restore(record, blobs, tmp_path / "again")
    assert os.access(tmp_path / "again" / "run.sh", os.X_OK) and not os.access(tmp_path / "again" / "data.bin", os.X_OK)
    assert (tmp_path / "again" / "run.sh").read_bytes() == b"#!/bin/sh\r\n"
    assert (tmp_path / "again" / "data.bin").read_bytes() == content


def test_another_tree_than_the_recorded_one_is_refused(blobs: Blobs, tmp_path: Path) -> None:
    data, _ = bundled(("100644", "a.py", b"a = 1\n"))
    with pytest.raises(CannotRestore, match="no tree"):
        restore(of_bundle(blobs, data, "0" * 40), blobs, tmp_path / "again")


@pytest.mark.parametrize("cut", [1, 25, 60])
def test_a_bundle_that_is_not_whole_is_refused(cut: int, blobs: Blobs, tmp_path: Path) -> None:
    data, tree = bundled(("100644", "a.py", b"a = 1\n"))
    with pytest.raises(CannotRestore):
        restore(of_bundle(blobs, data[:-cut], tree), blobs, tmp_path / "again")


def test_a_folder_with_something_in_it_and_a_run_without_a_capsule_are_refused(blobs: Blobs, tmp_path: Path) -> None:
    record = of_archive(blobs, packed(("a.py", b"")))
    (tmp_path / "mine").write_text("")
    with pytest.raises(CannotRestore, match="empty"):
        restore(record, blobs, tmp_path)
    with pytest.raises(CannotRestore, match="no code capsule"):
        restore({"script": "/x.py"}, blobs, tmp_path / "again")
    with pytest.raises(CannotRestore, match="not kept"):
        restore({"kind": "files", "archive": {"digest": "0" * 64, "bytes": 1}}, blobs, tmp_path / "again")
