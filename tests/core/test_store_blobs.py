"""Blobs are whole or absent, kept once, private, and can be checked; keeping one imports nothing but the library."""

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from autotrack.backend import BackendContext, BackendRejected
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.lending import Lender
from autotrack.provenance.packing import keep
from autotrack.provenance.parts import PartDamaged
from autotrack.settings import Settings


def test_a_file_bytes_and_a_stream_of_the_same_content_are_one_blob(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    source = tmp_path / "weights.bin"
    source.write_bytes(data)
    blobs = Blobs(tmp_path / "home")
    first, second, third = blobs.put_file(source), blobs.put_bytes(data), blobs.put_stream(io.BytesIO(data))
    assert first.digest == second.digest == third.digest == hashlib.sha256(data).hexdigest()
    assert (first.bytes, first.known, second.known, third.known) == (len(data), False, True, True)
    path = blobs.path(first.digest)
    assert path == tmp_path / "home" / "blobs" / first.digest[:2] / first.digest
    assert path == BackendContext(tmp_path / "home", Settings()).blob(first.digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with blobs.open(first.digest) as opened:
        assert opened.read() == data
    assert list(blobs.digests()) == [first.digest]
    assert [item.name for item in blobs.folder.iterdir()] == [first.digest[:2]], "no draft is left"


def test_verify_tells_whole_from_altered_and_absent(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    kept = blobs.put_bytes(b"true")
    assert blobs.has(kept.digest) and blobs.verify(kept.digest)
    blobs.path(kept.digest).write_bytes(b"fals")
    assert not blobs.verify(kept.digest)
    blobs.path(kept.digest).unlink()
    assert not blobs.verify(kept.digest) and not blobs.has(kept.digest)
    with pytest.raises(FileNotFoundError):
        blobs.open(kept.digest)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_what_is_no_digest_names_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        Blobs(tmp_path).path(name)


def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    class Failing(io.RawIOBase):
        def __init__(self) -> None:
            self.calls = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            self.calls += 1
            if self.calls > 2:
                raise OSError("gone")
            return len(buffer)

    blobs = Blobs(tmp_path)
    with pytest.raises(OSError, match="gone"):
        blobs.put_stream(Failing())
    assert list(blobs.folder.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        blobs.put_file(tmp_path / "absent")


def test_many_threads_keep_the_same_bytes_at_once(tmp_path: Path) -> None:
    blobs, found = Blobs(tmp_path), []
    gate = threading.Barrier(8)

    def keep() -> None:
        gate.wait()
        found.append(blobs.put_stream(io.BytesIO(b"same" * 100_000)).digest)

    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and blobs.verify(found[0])


def test_keeping_a_blob_imports_neither_numpy_nor_the_database() -> None:
    program = "import sys; import autotrack.provenance.blobs; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "autotrack.provenance.blobs" in loaded
    assert loaded.isdisjoint({"numpy", "sqlalchemy", "sqlite3"})


def in_parts(home: Path) -> tuple[Blobs, str, bytes]:
    blobs = Blobs(home)
    pieces = [bytes([letter]) * 50_000 for letter in range(5)]
    kept = blobs.put_recipe(keep(home, pieces))
    return blobs, kept.digest, b"".join(pieces)


def test_a_blob_in_parts_is_read_as_one_that_lies_whole(tmp_path: Path) -> None:
    blobs, digest, data = in_parts(tmp_path)
    assert digest == hashlib.sha256(data).hexdigest()
    assert not blobs.path(digest).exists()
    assert blobs.has(digest) and blobs.verify(digest) and blobs.size(digest) == len(data)
    assert list(blobs.digests()) == [digest]
    with blobs.open(digest) as opened:
        assert opened.read(7) == data[:7]
        assert opened.read() == data[7:]
    assert blobs.put_bytes(data).known and blobs.put_stream(io.BytesIO(data)).known
    assert not blobs.path(digest).exists(), "the same bytes are not kept whole as well"
    whole = blobs.put_bytes(b"whole")
    assert blobs.put_recipe(keep(tmp_path, [b"whole"])).known
    assert sorted(blobs.digests()) == sorted([digest, whole.digest])


def test_a_blob_whose_parts_are_gone_or_altered_is_not_read_as_another(tmp_path: Path) -> None:
    blobs, digest, _ = in_parts(tmp_path)
    (pack,) = blobs.parts.packs()
    path = blobs.parts.folder / pack
    before = path.read_bytes()
    path.write_bytes(b"x" + before[1:])
    assert blobs.has(digest) and not blobs.verify(digest)
    with blobs.open(digest) as opened, pytest.raises(PartDamaged, match=f"in {path} no longer has the bytes"):
        opened.read()
    path.unlink()
    assert not blobs.verify(digest)
    with blobs.open(digest) as opened, pytest.raises(PartDamaged, match=f"{path}, .* is not there any more"):
        opened.read()
    path.write_bytes(before)
    assert blobs.verify(digest)
    recipe = blobs.path(digest).with_name(digest + ".parts")
    odd = [b"", b"{}", b'{"bytes": 7, "packs": [], "parts": []}', b'{"bytes": 0, "packs": [], "parts": [[0, 0, "a"]]}']
    name = "0" * 32 + "-7"
    odd.append(json.dumps({"bytes": 7, "packs": ["../../etc/passwd"], "parts": [[0, 0, name]]}).encode())
    for content in odd:
        recipe.write_bytes(content)
        assert not blobs.verify(digest)
        with pytest.raises(PartDamaged, match="the list of its parts cannot be read"):
            blobs.open(digest)


def test_a_backend_gets_a_file_that_is_gone_after_it_was_delivered(tmp_path: Path) -> None:
    blobs, digest, data = in_parts(tmp_path)
    context = BackendContext(tmp_path, Settings())
    path = context.blob(digest)
    assert path.read_bytes() == data and path == context.blob(digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.name == digest
    context.take_back()
    assert not path.exists() and list((tmp_path / "cache").iterdir()) == []
    assert context.blob(digest).read_bytes() == data
    context.take_back()
    assert not context.blob("0" * 64).exists()
    (blobs.parts.folder / blobs.parts.packs()[0]).write_bytes(data[:-60_000])
    for _ in range(2):
        with pytest.raises(BackendRejected, match="no longer has the bytes"):
            context.blob(digest)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_whole_blob_is_lent_under_a_name_without_a_copy(tmp_path: Path) -> None:
    kept = Blobs(tmp_path).put_bytes(b"model")
    left = tmp_path / "cache" / "1-left-by-a-process-that-was-killed"
    left.mkdir(parents=True)
    os.utime(left, (1, 1))
    with Lender(tmp_path) as lender:
        path = lender.lend(kept.digest, "model.keras")
        assert path.name == "model.keras" and path.read_bytes() == b"model"
        assert path.stat().st_ino == Blobs(tmp_path).path(kept.digest).stat().st_ino
        assert not left.exists()
        with pytest.raises(FileNotFoundError):
            lender.lend("0" * 64, "model.keras")
    assert list((tmp_path / "cache").iterdir()) == []
    assert Blobs(tmp_path).verify(kept.digest)


def test_verify_tells_an_altered_and_a_missing_part(tmp_path: Path) -> None:
    def ask(code: int) -> Any:
        command = [sys.executable, "-m", "autotrack", "verify", "--json"]
        environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    blobs, digest, data = in_parts(tmp_path)
    told = ask(0)
    assert (told["blobs"]["checked"], told["blobs"]["bytes"]) == (1, len(data))
    assert told["parts"] == {"checked": 5, "bytes": len(data), "blobs": 1, "damaged": []}
    (pack,) = blobs.parts.packs()
    path = blobs.parts.folder / pack
    before = path.read_bytes()
    path.write_bytes(b"x" + before[1:])
    told = ask(1)
    assert told["blobs"]["damaged"] == [digest]
    assert told["parts"]["damaged"] == [f"{pack}/{blobs.parts.content(pack)[0].name}"]
    path.write_bytes(before[:-1])
    assert ask(1)["parts"]["damaged"] == [pack]
    path.unlink()
    told = ask(1)
    assert (told["parts"]["damaged"], told["blobs"]["damaged"]) == ([], [digest])
