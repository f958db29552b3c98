"""The SQLite file: its log mode per file system, its privacy, what is no store, and what a listing imports."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from autotrack.backend import BackendContext
from autotrack.errors import BackendUnavailable, StoreError
from autotrack.settings import Settings
from autotrack.store import engine as opening
from autotrack.store import filesystem
from autotrack.store.backend import LocalBackend
from autotrack.store.engine import open_engine, writing
from autotrack.store.query import Store, iso

MOUNTS = r"""
proc /proc proc rw 0 0
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/fast xfs rw 0 0
//server/share /mnt/my\040share cifs rw 0 0
me@host:/ /mnt/ssh fuse.sshfs rw 0 0
overlay /mnt/container fuse.overlayfs rw 0 0
/dev/sdc1 /mnt/twice ext4 rw 0 0
fs /mnt/twice lustre rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/data/x", "ext4", False),
        ("/home/me/project/.autotrack", "nfs4", True),
        ("/home", "nfs4", True),
        ("/homestead", "ext4", False),
        ("/home/fast/x", "xfs", False),
        ("/mnt/my share/x", "cifs", True),
        ("/mnt/ssh/x", "fuse.sshfs", True),
        ("/mnt/container/x", "fuse.overlayfs", False),
        ("/mnt/twice/x", "lustre", True),
    ],
)
def test_network_file_systems_are_recognised(path: str, kind: str, network: bool) -> None:
    assert filesystem.type_of(Path(path), MOUNTS) == kind
    assert filesystem.is_network(Path(path), MOUNTS) is network


def test_without_a_table_of_mounts_a_path_counts_as_local(tmp_path: Path) -> None:
    assert filesystem.type_of(tmp_path, "") == "" and not filesystem.is_network(tmp_path, "")


@pytest.mark.parametrize("network", [False, True])
def test_the_write_ahead_log_is_used_on_local_disks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    open_engine(tmp_path, Settings()).dispose()
    monkeypatch.setattr(opening, "is_network", lambda path: network)
    engine = open_engine(tmp_path, Settings())  # a store that was moved changes its mode
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == ("delete" if network else "wal")
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    engine.dispose()
    assert stat.S_IMODE((tmp_path / "store.db").stat().st_mode) == 0o600


def test_a_writer_takes_the_lock_at_its_beginning_and_readers_go_on(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, Settings())
    with writing(engine):
        other = sqlite3.connect(tmp_path / "store.db", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (0,)
        other.close()
    engine.dispose()


def test_a_file_that_is_no_store_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreError, match="not a store of autotrack"):
        Store.open(tmp_path, Settings())
    assert (tmp_path / "store.db").read_bytes() == b"something else entirely" * 100


def test_a_folder_that_cannot_hold_a_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreError, match="AUTOTRACK_HOME"):
        Store.open(tmp_path, Settings())


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="AUTOTRACK_HOME"):
        Store.open(tmp_path / "file" / "home", Settings())
    with pytest.raises(BackendUnavailable):
        LocalBackend().open(BackendContext(tmp_path / "file" / "home", Settings()))


def test_a_home_without_a_store_has_no_runs(tmp_path: Path) -> None:
    with Store.open(tmp_path / "new", Settings()) as store:
        assert store.runs() == []


def test_listing_runs_imports_neither_numpy_nor_a_server_driver(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from autotrack.settings import Settings\n"
        "from autotrack.store.query import Store\n"
        "Store.open(Path(sys.argv[1]), Settings()).runs(); print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "autotrack.store.query" in loaded and loaded.isdisjoint({"numpy", "psycopg"})


def test_times_are_iso_8601_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000000Z"
    assert iso(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999Z"
