"""Blobs are whole or absent, kept once, private, and can be checked; keeping one imports nothing but the library."""

import hashlib
import io
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autotrack.backend import BackendContext
from autotrack.provenance.blobs import Blobs
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
