"""Modules and state dicts as safetensors, written by hand so that nothing is copied and tensors are parts of the file.

The format (https://huggingface.co/docs/safetensors): the length of the header as 8 bytes, little-endian; the header,
JSON that is padded with spaces to a multiple of 8, with `{dtype, shape, data_offsets}` for each name; the bytes of the
tensors, those of wide types first, then by name. Where no memory is shared the file is the one that
`safetensors.torch.save_file` writes, byte for byte. A name whose memory another name has too is left out, and the
header's metadata says whose it is, as `safetensors.torch.save_model` does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from autotrack.plugin import Saved
from autotrack_torch.sharing import Shared, shared
from autotrack_torch.unwrapping import state_of, unwrapped

ENTRIES: Final = "autotrack.entries"
"""Entry of the metadata for what is no tensor, as JSON."""
VIEWS: Final = "autotrack.views"
"""Entry of the metadata for names that see another's memory in another shape: `{name: [shape, strides, offset]}`."""
RESERVED: Final = frozenset({"format", ENTRIES, VIEWS})

_WIDEST_FIRST: Final = (
    "uint64 U64, int64 I64, float64 F64, complex64 C64, float32 F32, uint32 U32, int32 I32, "
    "bfloat16 BF16, float16 F16, uint16 U16, int16 I16, "
    "float8_e5m2fnuz F8_E5M2FNUZ, float8_e4m3fnuz F8_E4M3FNUZ, float8_e8m0fnu F8_E8M0, float8_e4m3fn F8_E4M3, "
    "float8_e5m2 F8_E5M2, int8 I8, uint8 U8, bool BOOL"
)
"""Types of tensors with the format's names for them, in the order in which the format's own library writes them."""

NAMES: Final[dict[torch.dtype, str]] = {
    getattr(torch, ours): theirs
    for ours, _, theirs in (pair.partition(" ") for pair in _WIDEST_FIRST.split(", "))
    if hasattr(torch, ours)
}
_ORDER: Final = {name: index for index, name in enumerate(NAMES.values())}


def save(model: Any) -> Saved:
    """A module or a state dict. Raises `LookupError` with the name of an entry that safetensors cannot hold."""
    if isinstance(model, torch.nn.Module):
        state: Mapping[str, Any] = state_of(model)
        kind = type(unwrapped(model))
        signature = {"class": f"{kind.__module__}.{kind.__qualname__}"}
        count = sum(parameter.numel() for parameter in model.parameters())
    elif isinstance(model, Mapping):
        state, signature, count = model, {"class": "state_dict"}, None
    else:
        raise LookupError(
            f"a {type(model).__module__}.{type(model).__qualname__} is neither a torch.nn.Module nor a mapping of "
            "names to tensors; save it to a file and use log_artifact"
        )
    tensors, entries = _sorted_out(state)
    found = {name: one for name, one in shared(tensors).items() if name not in RESERVED}
    stored = {name: tensor for name, tensor in tensors.items() if name not in found}
    if count is None:
        count = sum(tensor.numel() for tensor in stored.values())
    types = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())
    ordered = sorted(stored, key=lambda name: (_ORDER[NAMES[stored[name].dtype]], name.encode()))
    header = _header(ordered, stored, found, entries)
    _wait_for(stored)
    return Saved(
        "safetensors",
        signature={**signature, "parameters": count, "dtypes": dict(sorted(types.items()))},
        parts=_pieces(header, [stored[name] for name in ordered]),
        size=len(header) + sum(tensor.nbytes for tensor in stored.values()),
    )


def load(path: Path, signature: Mapping[str, Any]) -> dict[str, Any]:
    """What `save` was given, as a dict of names to tensors on the CPU; names that shared memory share it again."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    tensors: dict[str, Any] = load_file(path)
    with safe_open(path, framework="pt") as opened:
        metadata: dict[str, str] = opened.metadata() or {}
    views = json.loads(metadata.get(VIEWS, "{}"))
    for name, kept in metadata.items():
        if name in RESERVED or name in tensors or kept not in tensors:
            continue
        tensors[name] = tensors[kept].as_strided(*views[name]) if name in views else tensors[kept]
    tensors.update(json.loads(metadata.get(ENTRIES, "{}")))
    return tensors


def _sorted_out(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors: dict[str, torch.Tensor] = {}
    entries: dict[str, Any] = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise LookupError(f"the key {name!r} of a state dict is no text; safetensors has names alone")
        if isinstance(value, torch.Tensor):
            tensors[name] = _plain(name, value)
        elif _is_json(value):
            entries[name] = value
        else:
            raise LookupError(
                f"{name!r} is a {type(value).__module__}.{type(value).__qualname__}, which safetensors cannot hold, "
                "and JSON cannot give back as it is; leave it out, or save it to a file and use log_artifact"
            )
    if not tensors:
        raise LookupError("there is no tensor in it")
    return tensors, entries


def _plain(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without its gradient. Raises `LookupError` for one that is more, or less, than its values."""
    reason = None
    if torch.nn.parameter.is_lazy(tensor):
        reason = "has no values yet: its module has not been called"
    elif tensor.is_meta:
        reason = "is on the device meta and has no values"
    elif is_traceable_wrapper_subclass(tensor):
        reason = f"is a {type(tensor).__name__}, whose values are elsewhere; log a full state dict of ordinary tensors"
    elif tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
        reason = "is sparse, quantised or nested; log a dense one"
    elif tensor.dtype not in NAMES:
        reason = f"is of the type {tensor.dtype}"
    elif name == "__metadata__":
        reason = "has the name of the metadata"
    if reason is not None:
        raise LookupError(f"{name!r} {reason}, which safetensors cannot hold")
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    return tensor.detach() if tensor.requires_grad else tensor


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


def _header(
    ordered: list[str], stored: Mapping[str, torch.Tensor], found: Mapping[str, Shared], entries: Mapping[str, Any]
) -> bytes:
    metadata = {name: one.kept for name, one in sorted(found.items())}
    views = {name: one.view for name, one in sorted(found.items()) if one.view is not None}
    if views:
        metadata[VIEWS] = json.dumps(views)
    if entries:
        metadata[ENTRIES] = json.dumps(entries)
    content: dict[str, Any] = {"__metadata__": {"format": "pt", **metadata}}
    start = 0
    for name in ordered:
        tensor = stored[name]
        end = start + tensor.nbytes
        content[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _pieces(header: bytes, tensors: list[torch.Tensor]) -> Iterator[bytes | memoryview]:
    yield header
    for tensor in tensors:
        if tensor.numel():
            # A CPU tensor whose memory is in order is looked at where it lies; any other is copied, one at a time.
            near = tensor if tensor.is_cpu else tensor.to("cpu")
            yield near.contiguous().view(-1).view(torch.uint8).numpy().data


def _wait_for(stored: Mapping[str, torch.Tensor]) -> None:
    """Let devices finish what they compute, whichever stream it is in: the values are read from another thread."""
    for device in {tensor.device for tensor in stored.values() if tensor.device.type != "cpu"}:
        synchronize = getattr(getattr(torch, device.type, None), "synchronize", None)
        if synchronize is not None:
            synchronize() if device.type == "mps" else synchronize(device)
