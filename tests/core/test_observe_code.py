"""A function that is observed in place is observed by whatever name it is held, and is itself again afterwards."""

import functools
import inspect
import pickle
import threading

import pytest

from autotrack import guard
from autotrack.patching.observe import CodePatch

calls = []


def train(params, rounds=3, *more, quiet=True, **options):
    """Train it."""
    calls.append((params, rounds, more, quiet, options))
    if params is None:
        raise ValueError("no params")
    return params


held_before = [train]
partly = functools.partial(train, rounds=7)


@pytest.fixture
def seen():
    guard.reset()
    calls.clear()
    outcomes = []

    def watch(call):
        outcomes.append(((yield), call))

    patch = CodePatch(train, watch, "test")
    yield outcomes
    patch.remove()


def test_every_way_to_the_function_is_observed(seen) -> None:
    for way in (train, held_before[0], partly):
        assert way({"a": 1}) == {"a": 1}
    assert [outcome.result for outcome, _ in seen] == [{"a": 1}] * 3
    assert [rounds for _, rounds, *_ in calls] == [3, 3, 7]


def test_one_that_is_called_while_its_arguments_place_the_observer() -> None:
    outcomes, patches = [], []

    def watch(call):
        outcomes.append((yield))

    def place():
        patches.append(CodePatch(train, watch, "test"))
        return {"a": 1}

    train(place())
    patches[0].remove()
    train({})
    assert [outcome.result for outcome in outcomes] == [{"a": 1}]


def test_arguments_results_and_exceptions_pass(seen) -> None:
    params = {"a": 1}
    assert train(params, 5, 6, quiet=False, other=8) is params
    assert calls == [(params, 5, (6,), False, {"other": 8})]
    with pytest.raises(ValueError, match="no params") as caught:
        train(None)
    assert seen[-1][0].error is caught.value
    with pytest.raises(TypeError, match=r"train\(\) missing 1 required positional argument: 'params'"):
        train()
    assert len(calls) == 2


def test_its_looks_and_its_pickle_are_its_own(seen) -> None:
    assert str(inspect.signature(train)) == "(params, rounds=3, *more, quiet=True, **options)"
    assert (train.__name__, train.__doc__, train.__module__) == ("train", "Train it.", __name__)
    assert "calls.append" in inspect.getsource(train)
    assert pickle.loads(pickle.dumps(train)) is train is held_before[0]


def test_it_is_itself_again() -> None:
    before = (train.__code__, train.__defaults__, train.__kwdefaults__, dict(vars(train)))
    CodePatch(train, lambda call: iter(()), "test").remove()
    assert (train.__code__, train.__defaults__, train.__kwdefaults__, dict(vars(train))) == before


def test_code_that_another_tool_has_put_there_since_stays(seen) -> None:
    def theirs(*args, **kwargs):
        return "theirs"

    original = train.__code__
    patch = CodePatch(train, lambda call: iter(()), "test")
    ours, train.__code__ = train.__code__, theirs.__code__
    patch.remove()
    assert train.__code__ is theirs.__code__
    train.__code__ = ours
    patch._inner.on = False
    patch.remove()
    assert train.__code__ is original


def test_a_fault_of_the_observer_costs_nothing() -> None:
    guard.reset()
    calls.clear()

    def raises(call):
        raise RuntimeError("before")
        yield

    patch = CodePatch(train, raises, "test")
    assert train({}) == {}
    patch.remove()
    assert len(calls) == 1 and guard.faults["test"] == 1
    guard.reset()


def test_placing_and_removing_while_another_thread_calls() -> None:
    stop, problems = threading.Event(), []

    def work():
        while not stop.is_set():
            try:
                assert train({"a": 1}, quiet=False) == {"a": 1}
            except BaseException as problem:
                problems.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(300):
        CodePatch(train, lambda call: iter(()), "test").remove()
    stop.set()
    thread.join()
    assert problems == []


def test_a_function_that_closes_over_something_is_refused() -> None:
    inside = 1

    def closes():
        return inside

    for function in (closes, len, object()):
        with pytest.raises(LookupError):
            CodePatch(function, lambda call: iter(()), "test")
