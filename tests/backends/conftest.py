"""What several tests of backends share: one MLflow server for all of a process, since each takes long to start."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mlflow_server import Server, executable


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running MLflow server. Runs there are told apart by their id: other tests have theirs on it too."""
    program = executable()
    if program is None:
        pytest.skip("needs a real MLflow: set AUTOTRACK_TEST_MLFLOW to the path of an `mlflow` executable")
    running = Server(program, tmp_path_factory.mktemp("mlflow"))
    running.start()
    try:
        yield running
    finally:
        running.stop()
