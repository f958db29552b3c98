"""A team's files in Azure Blob Storage: Azurite, Microsoft's own emulator, keeps them."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore", reason="obstore is not installed: pip install obstore")

from autotrack.backend import BackendContext
from autotrack.errors import BackendUnavailable
from autotrack.events import ModelLogged, Record, RunStarted
from autotrack.provenance.blobs import Blobs
from autotrack.settings import Settings
from autotrack.store import objects
from autotrack.store.backend import LocalBackend
from autotrack.store.objects import PART, ObjectStore
from autotrack.store.query import Store
from autotrack.store.remote_blobs import readable

sys.path.insert(0, str(Path(__file__).parent))
from azurite_server import Azurite, running_azurite


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with running_azurite() as server:
        yield server


@pytest.fixture
def container(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> str:
    objects._silent.clear()
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name, value in azurite.environment().items():
        monkeypatch.setenv(name, value)
    return azurite.container()


def test_what_a_record_names_is_in_the_container_and_readable_from_an_empty_home(
    container: str, tmp_path: Path
) -> None:
    settings = Settings(store_url=f"sqlite:///{tmp_path / 'team.db'}", blobs_url=f"az://{container}/runs")
    content = os.urandom(2 * PART + 7)  # in blocks
    kept = Blobs(tmp_path / "ada").put_bytes(content)
    events = (
        RunStarted("r", 1, "r", "churn"),
        ModelLogged("r", 2, "weights", "pickle", kept.digest, len(content)),
    )
    backend = LocalBackend()
    backend.open(BackendContext(tmp_path / "ada", settings))
    backend.deliver([Record("w", at, at * 10, event) for at, event in enumerate(events, 1)])
    backend.close()

    with Store.open(tmp_path / "bob", settings) as store:
        (model,) = store.run("r")["models"]
    assert model["digest"] == hashlib.sha256(content).hexdigest()
    with readable(tmp_path / "bob", settings).open(model["digest"]) as opened:
        assert opened.read() == content
    there = ObjectStore(settings.blobs_url or "")
    assert list(there.digests()) == [(kept.digest, len(content))]
    assert not there.put(kept.digest, Blobs(tmp_path / "ada")), "it is sent once"


def test_what_is_not_there_is_told_apart(container: str, tmp_path: Path) -> None:
    there, absent = ObjectStore(f"az://{container}/runs"), "0" * 64
    assert there.size(absent) is None
    with pytest.raises(FileNotFoundError):
        there.fetch(absent, 5, tmp_path / "got")
    assert list(tmp_path.iterdir()) == []
    kept = Blobs(tmp_path / "home").put_bytes(b"weights")
    with pytest.raises(BackendUnavailable, match="nowhere, of az://nowhere/runs, is not there: make it"):
        ObjectStore("az://nowhere/runs").put(kept.digest, Blobs(tmp_path / "home"))


@pytest.mark.parametrize("key", ["QUFB" * 22, "planted, no base64"])
def test_a_wrong_key_is_told_with_the_variables_and_without_the_key(
    container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", key)
    kept = Blobs(tmp_path).put_bytes(b"weights")
    with pytest.raises(BackendUnavailable, match=r"refuses these credentials.*AZURE_STORAGE_ACCOUNT_KEY") as problem:
        ObjectStore(f"az://{container}/runs").put(kept.digest, Blobs(tmp_path))
    assert key not in str(problem.value)


def test_the_names_of_azures_own_command_line_are_read_too(
    container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, other in (("ACCOUNT_NAME", "ACCOUNT"), ("ACCOUNT_KEY", "KEY")):
        monkeypatch.setenv(f"AZURE_STORAGE_{other}", os.environ[f"AZURE_STORAGE_{name}"])
        monkeypatch.delenv(f"AZURE_STORAGE_{name}")
    kept: Any = Blobs(tmp_path).put_bytes(b"weights")
    assert ObjectStore(f"az://{container}/runs").put(kept.digest, Blobs(tmp_path))
