"""Randomness: a run says which seeds it had and which of the generators that it used were not seeded."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrack import start_run
from autotrack.events import ProvenanceLogged
from autotrack.journal.reader import Journal, journals
from autotrack.plugins import plugins
from autotrack.provenance import generators, randomness, seeds
from autotrack.provenance.blobs import Blobs
from autotrack.testing import recording

np = pytest.importorskip("numpy")


def records(home: Path) -> list[dict[str, Any]]:
    """The record of each run, in the order of their beginning."""
    found: dict[str, dict[str, Any]] = {}
    for folder in journals(home):
        for it in Journal(folder).records(final=True):
            if isinstance(it.event, ProvenanceLogged) and it.event.kind == "randomness":
                found.setdefault(it.event.run, {}).update(it.event.record)
    return list(found.values())


@pytest.fixture(autouse=True)
def _seeds_are_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    if "seeds" not in plugins.load().integrations:
        import autotrack_seeds

        plugins.register(autotrack_seeds, "seeds")
    seeds.forget()
    if "tensorflow" in sys.modules:  # another test has imported it
        sys.modules["tensorflow"].random.set_seed(0)


def test_seeds_are_in_the_record_of_a_run_that_draws(tmp_path: Path) -> None:
    with recording(tmp_path, "seeds"):
        random.seed(3)
        np.random.seed(4)
        with start_run():
            random.random()
            np.random.rand()
    (record,) = records(tmp_path)
    assert record["seeded"] is True
    assert (record["seeds"]["python"], record["seeds"]["numpy"]) == (3, 4)
    assert {"python", "numpy"} <= set(record["used"])


def test_an_unseeded_run_says_so_and_what_it_was(tmp_path: Path) -> None:
    with recording(tmp_path, "seeds"):
        random.seed(3)
        np.random.seed()
        with start_run():
            random.random()
            np.random.rand()
    (record,) = records(tmp_path)
    assert record["seeded"] is False
    assert record["not_seeded"] == ["numpy"]


def test_what_is_not_used_need_not_be_seeded(tmp_path: Path) -> None:
    with recording(tmp_path, "seeds"), start_run():
        np.random.RandomState(0).rand()
        random.Random(1).random()
    (record,) = records(tmp_path)
    assert (record["seeded"], record["used"]) == (True, [])


def test_without_observers_a_generator_without_a_seed_is_unknown(tmp_path: Path) -> None:
    with recording(tmp_path, "seeds", disabled_integrations=["seeds"]), start_run():
        random.random()
    (record,) = records(tmp_path)
    assert (record["seeded"], record["unknown"]) == (None, ["python"])


def test_a_seed_of_numpy_that_was_set_before_is_told_by_the_state(tmp_path: Path) -> None:
    np.random.seed(12345)
    with recording(tmp_path), start_run():
        np.random.rand()
    (record,) = records(tmp_path)
    assert record["seeds"]["numpy"] == 12345
    np.random.seed(None)
    with recording(tmp_path / "later"), start_run():
        np.random.rand()
    (record,) = records(tmp_path / "later")
    assert "numpy" not in record["seeds"] and record["seeded"] is not True


def test_generators_that_are_made_are_listed_with_their_seeds(tmp_path: Path) -> None:
    with recording(tmp_path, "seeds"), start_run():
        generator = np.random.default_rng(7)
        assert np.random.default_rng(generator) is generator
        np.random.default_rng(seed=8)
        for number in range(100):
            np.random.default_rng(number)
    (record,) = records(tmp_path)
    assert record["seeds"]["numpy.default_rng"][:2] == [7, 8]
    assert len(record["seeds"]["numpy.default_rng"]) == seeds.MOST
    assert record["seeded"] is True


def test_a_generator_without_a_seed_leaves_it_open(tmp_path: Path) -> None:
    with recording(tmp_path, "seeds"), start_run():
        np.random.default_rng()
    (record,) = records(tmp_path)
    assert (record["seeded"], record["unknown"]) == (None, ["numpy.default_rng"])


def test_the_same_state_has_the_same_digest_and_another_another(tmp_path: Path) -> None:
    with recording(tmp_path):
        for seed in (1, 1, 2):
            np.random.seed(seed)
            with start_run():
                pass
    first, second, third = (record["states"]["numpy"] for record in records(tmp_path))
    assert first == second != third


def test_the_states_of_the_first_run_can_be_restored(tmp_path: Path) -> None:
    with recording(tmp_path):
        witness = randomness.Randomness()
        with start_run() as run:
            witness.begun(run)
            drawn = random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()
    kept = records(tmp_path)[0]["state"]
    assert kept["bytes"] < 16 << 10
    with Blobs(tmp_path).open(kept["digest"]) as opened:
        assert {"python", "numpy"} <= set(randomness.restore(opened.read()))
    assert (random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()) == drawn


def test_flags_tell_the_hash_seed_and_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    with recording(tmp_path), start_run():
        pass
    (record,) = records(tmp_path)
    assert record["flags"]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert record["flags"]["PYTHONHASHSEED"] == "0"


def test_seeding_does_what_it_always_does(tmp_path: Path) -> None:
    seed, numpy_seed, default_rng = random.seed, np.random.seed, np.random.default_rng
    random.seed(5)
    np.random.seed(6)
    expected = random.random(), np.random.rand(), default_rng(7).random()
    with recording(tmp_path, "seeds"):
        assert random.seed(5) is None and np.random.seed(seed=6) is None
        assert (random.random(), np.random.rand(), np.random.default_rng(seed=7).random()) == expected
        with pytest.raises(ValueError):
            np.random.seed(-1)
    assert (random.seed, np.random.seed, np.random.default_rng) == (seed, numpy_seed, default_rng)


def test_looking_draws_nothing(tmp_path: Path) -> None:
    random.seed(5)
    np.random.seed(6)
    before = generators.states()
    with recording(tmp_path, "seeds"), start_run():
        pass
    assert generators.states() == before


def test_the_functions_are_put_back_before_numba_takes_them(tmp_path: Path) -> None:
    (tmp_path / "numba" / "core").mkdir(parents=True)
    (tmp_path / "numba" / "core" / "__init__.py").write_text("")
    (tmp_path / "numba" / "core" / "config.py").write_text("")
    (tmp_path / "numba" / "__init__.py").write_text(
        "from numba.core import config\nimport random, numpy\ntaken = random.seed, numpy.random.seed\n"
    )
    code = (
        "import random, numpy, sys, autotrack\n"
        "before = random.seed, numpy.random.seed\n"
        "from autotrack.plugins import plugins\n"
        "import autotrack_seeds\n"
        "'seeds' in plugins.load().integrations or plugins.register(autotrack_seeds, 'seeds')\n"
        "autotrack.enable('seeds')\n"
        "assert random.seed is not before[0]\n"
        "import numba\n"
        "assert numba.taken == before\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "AUTOTRACK_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_costs_well_below_a_millisecond(tmp_path: Path) -> None:
    import time

    with recording(tmp_path):
        with start_run():
            pass
        witness = randomness.Randomness()
        took = []
        for _ in range(50):
            with start_run() as run:
                witness._known.clear()
                began = time.perf_counter()
                witness.begun(run)
                witness.ending(run)
                took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 4] < 1e-3  # measured: 0.2e-3 on an idle machine


def test_the_first_seed_is_seen_where_seeding_is_what_imports_the_generators(tmp_path: Path) -> None:
    script = """
import numpy as np, autotrack
autotrack.enable()
np.random.seed(3)  # numpy.random, and with it random, may be imported here
np.random.rand(2)
with autotrack.start_run("one"):
    np.random.rand(2)
told = autotrack.get_run("one")["randomness"]
assert (told["seeded"], told["seeds"], told["used"]) == (True, {"numpy": 3}, ["numpy"]), told
"""
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path), "AUTOTRACK_FORWARDER": "off"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
