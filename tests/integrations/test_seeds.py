"""Seeds of PyTorch, JAX and of what seeds everything at once are in the record of a run."""

import sys
from pathlib import Path
from typing import Any

import pytest

from autotrack import start_run
from autotrack.events import ProvenanceLogged
from autotrack.journal.reader import Journal, journals
from autotrack.plugins import plugins
from autotrack.provenance import randomness, seeds
from autotrack.provenance.blobs import Blobs
from autotrack.testing import recording


@pytest.fixture(autouse=True)
def _seeds_are_observed() -> None:
    if "seeds" not in plugins.load().integrations:
        import autotrack_seeds

        plugins.register(autotrack_seeds, "seeds")
    seeds.forget()


@pytest.fixture
def _without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file may have loaded it, and where it is loaded without a seed nobody knows whether all is seeded."""
    monkeypatch.delitem(sys.modules, "tensorflow.python.eager.context", raising=False)


def record(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in journals(home):
        for it in Journal(folder).records(final=True):
            if isinstance(it.event, ProvenanceLogged) and it.event.kind == "randomness":
                found |= it.event.record
    return found


@pytest.mark.usefixtures("_without_tensorflow")
def test_the_seed_of_torch_is_known_without_a_hook(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(11)  # before anything is enabled
    manual_seed = torch.manual_seed
    with recording(tmp_path, "seeds"), start_run():
        assert torch.manual_seed is manual_seed
        torch.rand(1)
    told = record(tmp_path)
    assert (told["seeded"], told["seeds"]["torch"]) == (True, 11)
    assert told["flags"]["torch.deterministic_algorithms"] is False


def test_torch_without_a_seed_is_told(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.seed()
    with recording(tmp_path, "seeds"), start_run():
        torch.rand(1)
    told = record(tmp_path)
    assert told["seeded"] is False
    assert told["not_seeded"] == ["torch"]


def test_determinism_of_torch_is_told(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    try:
        with recording(tmp_path), start_run():
            pass
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = False
    told = record(tmp_path)["flags"]
    assert (told["torch.deterministic_algorithms"], told["torch.cudnn.benchmark"]) == (True, True)


def test_the_state_of_torch_can_be_restored(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    with recording(tmp_path), start_run() as run:
        randomness.Randomness().begun(run)
        drawn = torch.rand(3)
    with Blobs(tmp_path).open(record(tmp_path)["state"]["digest"]) as opened:
        assert "torch" in randomness.restore(opened.read())
    assert torch.equal(torch.rand(3), drawn)


def test_keys_of_jax_are_seen_and_traced_ones_are_left_alone(tmp_path: Path) -> None:
    jax = pytest.importorskip("jax")
    with recording(tmp_path, "seeds"), start_run():
        jax.random.uniform(jax.random.key(21))
        drawn = jax.jit(lambda seed: jax.random.uniform(jax.random.PRNGKey(seed)))(22)
        assert drawn == jax.random.uniform(jax.random.PRNGKey(22))
    assert record(tmp_path)["seeds"]["jax"] == [21, 22]


def test_what_seeds_everything_is_seen(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    with recording(tmp_path, "seeds"), start_run():
        lightning.seed_everything(33, verbose=False)
    told = record(tmp_path)["seeds"]
    assert (told["python"], told["numpy"], told["torch"]) == (33, 33, 33)


@pytest.mark.usefixtures("_without_tensorflow")
def test_the_seed_of_a_scikit_learn_script_makes_its_run_seeded(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    ensemble = pytest.importorskip("sklearn.ensemble")
    X = np.arange(40.0).reshape(20, 2)
    with recording(tmp_path, "seeds", "sklearn", models="off"):
        np.random.seed(5)
        ensemble.RandomForestClassifier(3).fit(X, X[:, 0] > 20)
    told = record(tmp_path)
    assert (told["seeded"], told["used"], told["seeds"]["numpy"]) == (True, ["numpy"], 5)


def test_tensorflow_without_a_seed_leaves_it_open_and_with_one_is_seeded(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    tf.random.set_seed(None)
    with recording(tmp_path / "open", "seeds"), start_run():
        tf.random.uniform([2])
    tf.random.set_seed(8)
    with recording(tmp_path / "seeded", "seeds"), start_run():
        tf.random.uniform([2])
    assert (record(tmp_path / "open")["seeded"], record(tmp_path / "open")["unknown"]) == (None, ["tensorflow"])
    told = record(tmp_path / "seeded")
    assert (told["seeded"], told["seeds"]["tensorflow"], told["used"]) == (True, 8, ["tensorflow"])
    tf.random.set_seed(None)
