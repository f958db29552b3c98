"""Which tensors of a state dict share memory, so that it is written once.

Named tensors enter; for each name that need not be written, the name whose memory it has leaves. The choice is one that
`safetensors.torch.load_model` agrees with: of tensors that overlap, one that covers their whole storage is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Shared:
    """A name that has the memory of `kept`: the same tensor, or with `view` (shape, strides, offset) another look."""

    kept: str
    view: tuple[list[int], list[int], int] | None = None


def shared(tensors: Mapping[str, torch.Tensor]) -> dict[str, Shared]:
    """For each tensor whose memory another one has too, which is kept in its place."""
    found: dict[str, Shared] = {}
    for names in _overlapping(tensors):
        whole = sorted(name for name in names if _covers_its_storage(tensors[name]))
        if whole:
            kept = whole[0]
            for name in names:
                if name != kept and tensors[name].dtype == tensors[kept].dtype:
                    found[name] = _as_seen_from(kept, tensors[kept], tensors[name])
            continue
        first: dict[object, str] = {}
        for name in sorted(names):
            tensor = tensors[name]
            same = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            if same in first:
                found[name] = Shared(first[same])
            else:
                first[same] = name
    return found


def _overlapping(tensors: Mapping[str, torch.Tensor]) -> Iterator[list[str]]:
    """Groups of two and more names whose tensors have memory in common."""
    places = [(tensor.get_device(), tensor.data_ptr(), _end(tensor), name) for name, tensor in tensors.items()]
    group: list[str] = []
    device, until = None, 0
    for there, start, end, name in sorted(places):
        if start == end:  # it is empty
            continue
        if there != device or start >= until:
            if len(group) > 1:
                yield group
            group, device, until = [], there, end
        group.append(name)
        until = max(until, end)
    if len(group) > 1:
        yield group


def _as_seen_from(kept: str, whole: torch.Tensor, tensor: torch.Tensor) -> Shared:
    if (tensor.data_ptr(), tensor.shape, tensor.stride()) == (whole.data_ptr(), whole.shape, whole.stride()):
        return Shared(kept)
    offset = (tensor.data_ptr() - whole.data_ptr()) // whole.element_size()
    return Shared(kept, (list(tensor.shape), list(tensor.stride()), offset))


def _covers_its_storage(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous() and tensor.nbytes == tensor.untyped_storage().nbytes()


def _end(tensor: torch.Tensor) -> int:
    if tensor.is_contiguous():
        return tensor.data_ptr() + tensor.nbytes
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr() + (last + 1) * tensor.element_size()
