"""Tensors of torch, JAX and TensorFlow in the memory of the processor, as numpy arrays over the same memory."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from autotrack.provenance.fingerprint.arrays import array_table
from autotrack.provenance.fingerprint.chunks import Array
from autotrack.provenance.fingerprint.tables import Identified, Table


def read_torch(tensor: Any) -> Table | Identified | None:
    """A dense tensor. One that is not on the processor would have to be copied whole: it is added up where it is."""
    torch = sys.modules["torch"]
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return None
    if tensor.device.type != "cpu":
        from autotrack.provenance.fingerprint import on_device

        return on_device.identified(tensor)
    tensor = tensor.detach().resolve_conj().resolve_neg()
    word = str(tensor.dtype).removeprefix("torch.")
    if word == "bfloat16":
        return array_table(tensor.view(torch.int16).numpy().view(np.uint16), from_bfloat16, word)
    if word.startswith("float8"):
        return array_table(tensor.to(torch.float32).numpy(), None, word)
    if word == "complex32":
        return array_table(tensor.to(torch.complex64).numpy(), None, word)
    try:
        return array_table(tensor.numpy(), None, word)
    except (TypeError, RuntimeError):  # a subclass without memory of its own
        return None


def from_bfloat16(values: Array) -> Array:
    """The float32 that each bfloat16 is the upper half of."""
    return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)


def read_jax(array: Any) -> Table | None:
    """An array on the processor."""
    if any(device.platform != "cpu" for device in array.devices()) or not array.is_fully_addressable:
        return None
    try:
        values = np.asarray(array)
    except (TypeError, RuntimeError):  # a key of random numbers, or an array that was given away
        return None
    return _numpy(values)


def read_tensorflow(tensor: Any) -> Table | None:
    """An eager tensor on the processor."""
    if "CPU:" not in str(getattr(tensor, "device", "CPU:")):
        return None
    return _numpy(np.asarray(tensor))


def _numpy(values: Array) -> Table:
    name = str(values.dtype.name)
    if values.dtype.kind == "V" and name == "bfloat16":
        return array_table(values.view(np.uint16), from_bfloat16, name)
    if values.dtype.kind == "V":
        return array_table(values.astype(np.float32), None, name)
    return array_table(values)
