"""What is observed behaves as if it were not: called once, same arguments, same result, same exception, same looks."""

import inspect
import pickle

import pytest

from autotrack import guard
from autotrack.patching.observe import Switch, elements, observe


class Estimator:
    calls = 0

    def fit(self, x, *, sample_weight=None):
        """Fit it."""
        Estimator.calls += 1
        if x is None:
            raise ValueError("no data")
        return self

    @staticmethod
    def make(x):
        return x

    @classmethod
    def build(cls, x):
        return cls, x


class Child(Estimator):
    pass


@pytest.fixture(autouse=True)
def fresh():
    guard.reset()
    Estimator.calls = 0


def silent(call):
    yield


def raises_before(call):
    raise RuntimeError("before")
    yield


def raises_after(call):
    yield
    raise RuntimeError("after")


@pytest.mark.parametrize("observer", [silent, raises_before, raises_after])
def test_the_original_runs_once_and_its_result_passes(observer) -> None:
    patch = observe(Estimator, "fit", observer, part="test")
    model = Estimator()
    assert model.fit([1], sample_weight=2) is model
    assert Estimator.calls == 1
    patch.remove()


@pytest.mark.parametrize("observer", [silent, raises_before, raises_after])
def test_the_very_same_exception_passes(observer) -> None:
    patch = observe(Estimator, "fit", observer, part="test")
    with pytest.raises(ValueError, match="no data") as caught:
        Estimator().fit(None)
    assert caught.value.__context__ is None
    assert caught.traceback[-1].name == "fit"
    assert Estimator.calls == 1
    patch.remove()


def test_the_observer_sees_the_call_and_its_outcome() -> None:
    seen = []

    def watch(call):
        outcome = yield
        seen.append((call.args[1:], call.kwargs, outcome.result, outcome.error))

    patch = observe(Estimator, "fit", watch, part="test")
    model = Estimator()
    model.fit([1], sample_weight=2)
    with pytest.raises(ValueError) as caught:
        model.fit(None)
    assert seen == [(([1],), {"sample_weight": 2}, model, None), ((None,), {}, None, caught.value)]
    patch.remove()


def test_looks_and_pickling_stay_and_removal_is_total() -> None:
    before = vars(Estimator)["fit"]
    looks = (inspect.signature(before), before.__doc__, before.__name__, before.__qualname__)
    patch = observe(Estimator, "fit", silent, part="test")
    after = Estimator.fit
    assert (inspect.signature(after), after.__doc__, after.__name__, after.__qualname__) == looks
    assert pickle.loads(pickle.dumps(Estimator.fit)) is Estimator.fit
    assert vars(Estimator()) == {}
    patch.remove()
    assert vars(Estimator)["fit"] is before


def test_an_inherited_method_leaves_no_trace() -> None:
    patch = observe(Child, "fit", silent, part="test")
    assert "fit" in vars(Child)
    patch.remove()
    assert "fit" not in vars(Child)


def test_static_and_class_methods_stay_what_they_are() -> None:
    patches = [observe(Estimator, name, silent, part="test") for name in ("make", "build")]
    assert Estimator.make(3) == 3 and Estimator().make(3) == 3
    assert Child.build(4) == (Child, 4)
    for patch in patches:
        patch.remove()
    assert isinstance(vars(Estimator)["make"], staticmethod)
    assert isinstance(vars(Estimator)["build"], classmethod)


def test_another_tool_on_top_is_left_working() -> None:
    original = vars(Estimator)["fit"]
    seen = []

    def watch(call):
        seen.append("ours")
        yield

    patch = observe(Estimator, "fit", watch, part="test")
    below = Estimator.fit

    def theirs(self, *args, **kwargs):
        seen.append("theirs")
        return below(self, *args, **kwargs)

    Estimator.fit = theirs
    patch.remove()
    Estimator().fit([1])
    assert seen == ["theirs"]
    Estimator.fit = original


def test_an_observer_that_keeps_failing_is_switched_off(capsys) -> None:
    tries = []

    def watch(call):
        tries.append(1)
        raise RuntimeError("again")
        yield

    patch = observe(Estimator, "fit", watch, part="test")
    for _ in range(10):
        Estimator().fit([1])
    assert len(tries) == guard.FAULTS_BEFORE_OFF
    assert Estimator.calls == 10
    assert capsys.readouterr().err.count("\n") == 2
    patch.remove()


def test_ctrl_c_in_an_observer_is_the_users() -> None:
    def watch(call):
        raise KeyboardInterrupt
        yield

    patch = observe(Estimator, "fit", watch, part="test")
    with pytest.raises(KeyboardInterrupt):
        Estimator().fit([1])
    patch.remove()


def test_the_elements_of_an_argument_are_read_only_where_that_takes_nothing_from_it() -> None:
    once = iter([1, 2])
    assert elements([1, 2]) == elements((1, 2)) == elements({1, 2}) == elements(frozenset({1, 2})) == [1, 2]
    assert elements(once) == elements(None) == elements("ab") == []
    assert list(once) == [1, 2]


def test_a_switch_puts_the_original_back_in_between_and_goes_on_below_another_wrapper() -> None:
    class Product:
        def step(self) -> str:
            return "stepped"

    seen: list[str] = []
    original = vars(Product)["step"]
    switch = Switch(Product, "step", lambda call: seen.append("seen"), "acme")
    assert Product().step() == "stepped" and seen == []
    switch.on()
    assert Product().step() == "stepped" and seen == ["seen"]
    switch.off()
    assert vars(Product)["step"] is original
    switch.on()
    observed = vars(Product)["step"]
    Product.step = lambda self: observed(self)  # another tool's
    switch.off()
    assert Product().step() == "stepped" and len(seen) == 1
    switch.on()
    assert Product().step() == "stepped" and len(seen) == 2  # once, not once for each time it was switched on
    switch.remove()
    switch.on()
    assert Product().step() == "stepped" and len(seen) == 2
