"""The random generators that libraries share: their states as bytes, and back.

Only libraries that this process has imported are looked at, by their names in `sys.modules`. A state leaves as bytes
that are the same for the same state, on any platform:

    python       625 u32 of the Mersenne Twister with its position, f64 of the second Gaussian number (NaN: none)
    numpy        624 u32 of the Mersenne Twister, i32 position, i32 whether there is a second Gaussian number, f64
    torch        as `torch.get_rng_state()` gives it; `torch:cuda:0` likewise for each device
    tensorflow   as text, its global seed and a digest of the state of what gives operations their seeds: not restored
"""

from __future__ import annotations

import hashlib
import math
import struct
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

import msgspec

States: TypeAlias = dict[str, bytes]

_PYTHON: Final = struct.Struct("<625Id")
_NUMPY: Final = struct.Struct("<iid")
_NUMPY_KEY: Final = 624 * 4
FRESH: Final = 624
"""The position of a Mersenne Twister that nothing has been drawn from since it was seeded."""

LARGEST_SEED: Final = 1 << 32
"""Seeds that people choose are smaller; what PyTorch draws for itself has 53 bits."""


def states() -> States:
    """The state of each generator whose library is loaded."""
    found: States = {}
    for name, look in (("python", _python), ("numpy", _numpy)):
        state = look()
        if state is not None:
            found[name] = state
    found |= _torch()
    if "tensorflow.python.eager.context" in sys.modules:
        found |= _tensorflow()
    return found


def unseen(told: Mapping[str, Any]) -> list[str]:
    """Generators without a seed of which nobody can see whether something was drawn: TensorFlow's is in its kernels."""
    return ["tensorflow"] if told.get("tensorflow", "") is None else []


def was_used(name: str, before: bytes | None, after: bytes) -> bool:
    """Whether something was drawn between two looks; `before` is None where the library was not loaded yet."""
    if before is not None:
        return before != after
    if name == "python":
        return bool(_PYTHON.unpack(after)[624] != FRESH)
    return name != "numpy" or len(after) != _NUMPY_KEY + _NUMPY.size or _NUMPY.unpack(after[_NUMPY_KEY:])[0] != FRESH


def told_by(states: Mapping[str, bytes]) -> dict[str, Any]:
    """The seeds that generators know themselves, or that their states tell; None for one that was not seeded."""
    seeds: dict[str, Any] = {}
    if "numpy" in states and (fresh := _fresh_seed(states["numpy"])) is not None:
        seeds["numpy"] = fresh
    if "torch" in states:
        seed = int(sys.modules["torch"].initial_seed())
        seeds["torch"] = seed if seed < LARGEST_SEED else None
    if "tensorflow" in states:
        seeds["tensorflow"] = sys.modules["tensorflow.python.eager.context"].global_seed()
    return seeds


def switches() -> dict[str, Any]:
    """What libraries that are loaded have been told about determinism."""
    found: dict[str, Any] = {}
    for module, name, attribute in (
        ("torch", "torch.deterministic_algorithms", "are_deterministic_algorithms_enabled"),
        ("torch", "torch.float32_matmul_precision", "get_float32_matmul_precision"),
        ("torch.backends.cudnn", "torch.cudnn.deterministic", "deterministic"),
        ("torch.backends.cudnn", "torch.cudnn.benchmark", "benchmark"),
        ("tensorflow.python.framework.config", "tensorflow.op_determinism", "is_op_determinism_enabled"),
    ):
        value = getattr(sys.modules.get(module), attribute, None)
        if value is not None:
            found[name] = value() if callable(value) else value
    return found


def packed(states: States) -> bytes:
    """All states in one: MessagePack, a mapping from names to bytes."""
    return msgspec.msgpack.encode(states)


def restore(kept: bytes, only: Collection[str] | None = None) -> list[str]:
    """Set the generators, or `only` those, to the states that `packed` gave; gives the names of those loaded here."""
    done = []
    for name, state in msgspec.msgpack.decode(kept, type=States).items():
        generator, _, device = name.partition(":")
        if only is not None and name not in only:
            continue
        set_state = _SETTERS.get(generator)
        if set_state is not None and generator in ("python", *_loaded()):
            set_state(state, device)
            done.append(name)
    return done


def _loaded() -> list[str]:
    return [name for name in ("numpy", "torch") if f"{name}.random" in sys.modules]


def _python() -> bytes | None:
    module = sys.modules.get("random")
    if not hasattr(module, "getstate"):
        return None
    _, words, gauss = module.getstate()  # type: ignore[union-attr]
    return _PYTHON.pack(*words, math.nan if gauss is None else gauss)


def _set_python(state: bytes, _: str) -> None:
    import random

    *words, gauss = _PYTHON.unpack(state)
    random.setstate((3, tuple(words), None if math.isnan(gauss) else gauss))


def _numpy() -> bytes | None:
    get_state = getattr(sys.modules.get("numpy.random"), "get_state", None)
    if get_state is None:
        return None
    told = get_state(legacy=False)
    if told["bit_generator"] != "MT19937":  # the user has put another in its place
        return repr(told).encode()
    numbers = _NUMPY.pack(told["state"]["pos"], told["has_gauss"], told["gauss"])
    key: bytes = told["state"]["key"].astype("<u4").tobytes()
    return key + numbers


def _set_numpy(state: bytes, _: str) -> None:
    import numpy as np

    if len(state) == _NUMPY_KEY + _NUMPY.size:
        key = np.frombuffer(state[:_NUMPY_KEY], "<u4")
        np.random.set_state(("MT19937", key, *_NUMPY.unpack(state[_NUMPY_KEY:])))


def _fresh_seed(state: bytes) -> int | None:
    """The seed of a Mersenne Twister that nothing has been drawn from since `numpy.random.seed(n)`.

    The seed is the first word then, and each word follows from the one before (Matsumoto and Nishimura, 2002).
    """
    if len(state) != _NUMPY_KEY + _NUMPY.size or _NUMPY.unpack(state[_NUMPY_KEY:])[0] != FRESH:
        return None
    first, second, third = struct.unpack_from("<3I", state)

    def following(word: int, place: int) -> int:
        return (1812433253 * (word ^ (word >> 30)) + place) & 0xFFFFFFFF

    return int(first) if second == following(first, 1) and third == following(second, 2) else None


def _torch() -> States:
    torch = sys.modules.get("torch")
    if not hasattr(torch, "get_rng_state") or not hasattr(torch, "initial_seed"):  # not loaded, or not whole yet
        return {}
    found = {"torch": torch.get_rng_state().numpy().tobytes()}  # type: ignore[union-attr]
    cuda = sys.modules.get("torch.cuda")
    if cuda is not None and getattr(cuda, "is_initialized", bool)():
        for device in range(cuda.device_count()):
            found[f"torch:cuda:{device}"] = cuda.get_rng_state(device).numpy().tobytes()
    return found


def _set_torch(state: bytes, device: str) -> None:
    torch = sys.modules["torch"]
    tensor = torch.frombuffer(bytearray(state), dtype=torch.uint8)
    if device:
        torch.cuda.set_rng_state(tensor, device)
    else:
        torch.set_rng_state(tensor)


def _tensorflow() -> States:
    context = sys.modules["tensorflow.python.eager.context"]
    if not hasattr(context, "global_seed") or not hasattr(context, "context_safe"):  # not whole yet
        return {}
    state = getattr(getattr(context.context_safe(), "_rng", None), "getstate", lambda: None)()
    digest = hashlib.sha256(repr(state).encode()).hexdigest()
    return {"tensorflow": f"{context.global_seed()} {digest}".encode()}


_SETTERS: Final[dict[str, Callable[[bytes, str], None]]] = {
    "python": _set_python,
    "numpy": _set_numpy,
    "torch": _set_torch,
}
