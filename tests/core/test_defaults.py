"""Which params are their defaults: what can be told for certain is told, and nothing else."""

import enum
import math
import time

import numpy as np
import pytest

import autotrack
from autotrack.plugin import declared, log_defaults
from autotrack.provenance.defaults import is_default
from autotrack.testing import recording


class Kind(enum.Enum):
    LINEAR = "linear"


def rule(x):
    return x


@pytest.mark.parametrize(
    ("value", "default", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (None, None, True),
        (0.5, None, False),
        (math.nan, math.nan, True),
        (float(np.float32(0.1)), 0.1, True),  # frameworks that keep it in 32 bits
        (0.1000001, 0.1, False),
        (1e300, math.nextafter(1e300, 0), False),
        (np.float64(0.1), 0.1, True),
        (np.int64(3), 2, False),
        (Kind.LINEAR, "linear", True),
        ("linear", Kind.LINEAR, True),
        ((0.9, 0.99), [0.9, 0.99], True),
        ((0.9, 0.999), (0.9, 0.99), False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {}, False),
        (rule, rule, True),
        (len, rule, False),
        (object(), None, False),
        (object(), 3, False),
        (np.arange(3), (0, 1, 2), None),
        (object(), object(), None),
        (np.arange(1), 0, None),
    ],
)
def test_a_value_is_compared_with_its_default(value, default, same) -> None:
    assert is_default(value, default) is same


def test_a_class_that_hands_on_what_it_does_not_know_has_the_defaults_of_the_one_above() -> None:
    class Base:
        def __init__(self, depth=3, rate=0.1, needed=None):
            pass

    class Derived(Base):
        def __init__(self, needed, rate=0.5, **more):
            pass

    class Closed(Base):
        def __init__(self, rate=0.7):
            pass

    assert declared(Derived) == {"rate": 0.5, "depth": 3}
    assert declared(Closed) == {"rate": 0.7}
    assert declared(Closed) is declared(Closed)
    assert declared(dict) == {}  # it does not tell its signature


def test_what_is_told_later_adds_to_what_was_told_before(tmp_path) -> None:
    with recording(tmp_path):
        with autotrack.start_run() as run:
            log_defaults(run, {"a": 1, "b": 2, "unknown": 3}, {"a": 1, "b": 1, "absent": 0})
            log_defaults(run, {"b": 1, "c": 5}, {"b": 1, "c": 4})
        with autotrack.start_run() as other:
            log_defaults(other, {"a": 1}, {})
        assert autotrack.get_run(run.id)["defaults"] == {"changed": {"c": 4}, "unchanged": ["a", "b"]}
        assert "defaults" not in autotrack.get_run(other.id)


def test_what_is_in_a_mapping_is_named_as_the_params_are(tmp_path) -> None:
    held = {"sharding": {"least": 0, "xla": True}, "kernel": {"width": 2}, "none": {}, "more": {"a": {"b": 1}}}
    defaults = {"sharding": None, "kernel": {"width": 3, "depth": 1}, "none": {}, "more": {"a": {"b": 1}}}
    with recording(tmp_path):
        with autotrack.start_run("run") as run:
            run.log_params(held)
            log_defaults(run, held, defaults)
        record = autotrack.get_run(run.id)
    told = record["defaults"]
    changed = {"sharding.least": None, "sharding.xla": None, "kernel.width": 3}
    assert told == {"changed": changed, "unchanged": ["none", "more.a.b"]}
    assert {*told["changed"], *told["unchanged"]} <= record["params"].keys()


def test_a_default_is_shown_as_a_param_is(tmp_path) -> None:
    held = {"api_token": None, "kind": "cosine", "function": 1, "rate": 0.0, "long": 0, "object": 1}
    defaults = {"api_token": "hf_0123456789abcdef", "kind": Kind.LINEAR, "function": rule, "rate": math.inf}
    defaults |= {"long": "x" * 5000, "object": object()}
    with recording(tmp_path):
        with autotrack.start_run() as run:
            log_defaults(run, held, defaults)
        changed = autotrack.get_run(run.id)["defaults"]["changed"]
    assert changed["api_token"] == "***"
    assert (changed["kind"], changed["rate"], len(changed["long"])) == ("linear", "Infinity", 200)
    assert changed["function"].endswith("rule")
    assert "object" not in changed  # nothing can be told


def test_it_costs_little(tmp_path) -> None:
    defaults = {f"p{number}": number for number in range(40)}
    held = {**defaults, "p3": 4, "p7": "other"}
    took = []
    with recording(tmp_path):
        for _ in range(20):
            with autotrack.start_run() as run:
                begun = time.perf_counter()
                log_defaults(run, held, defaults)
                took.append(time.perf_counter() - begun)
    assert min(took) < 0.0002
