"""What a model is made of, and which of its weights are kept. Models are read only."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from autotrack_transformers.arguments import compared, whole

MAIN = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
"""The measures of a model that are params; configurations answer to these names whatever they call them."""


def facts(model: Any) -> dict[str, Any]:
    """Class, type, source, measures and numbers of parameters."""
    base = adapted(model) or model
    config = getattr(base, "config", None)
    found: dict[str, Any] = {"class": type(base).__name__}
    for name, attribute in (("type", "model_type"), ("name_or_path", "_name_or_path"), *((it, it) for it in MAIN)):
        value = getattr(config, attribute, None)
        if isinstance(value, str | int) and value != "":
            found[name] = value
    found["parameters"], found["trainable_parameters"] = counted(model)
    return found


def counted(model: Any) -> tuple[int, int]:
    """How many parameters there are, and how many of them are trained."""
    every = trained = 0
    for parameter in model.parameters():
        size = int(getattr(parameter, "ds_numel", None) or parameter.numel())  # DeepSpeed shows an empty shard
        every += size
        if parameter.requires_grad:
            trained += size
    return every, trained


def config_of(model: Any) -> dict[str, Any]:
    """The configuration of the model in full, if it has one."""
    return whole(getattr(adapted(model) or model, "config", None))


def adapters(model: Any) -> dict[str, Any]:
    """The configuration of each PEFT adapter by the adapter's name."""
    found = getattr(model, "peft_config", None)
    return dict(found) if isinstance(found, dict) else {}


def adapter_params(config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of an adapter's configuration differs from its defaults, and those defaults."""
    found, defaults = compared(config, ("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules"))
    return {name: value for name, value in found.items() if name not in ("auto_mapping", "inference_mode")}, defaults


def adapted(model: Any) -> Any:
    """The model inside a PEFT model; None where it is none."""
    peft = sys.modules.get("peft")
    if peft is not None and isinstance(model, peft.PeftModel):
        return model.get_base_model()
    return None


def weights(model: Any) -> Any:
    """What of a model is kept: the model itself, or of one with PEFT adapters their tensors by name."""
    peft, names = sys.modules.get("peft"), list(adapters(model))
    if peft is None or not names:
        return model
    # Left to itself, PEFT asks the hub whether the vocabulary has grown, and warns where it cannot.
    embeddings = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    grown = embeddings is not None and any(it.requires_grad for it in embeddings.parameters())
    found = {
        name: peft.get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=grown) for name in names
    }
    if len(names) == 1:
        return dict(found[names[0]])
    return {f"{name}.{key}": tensor for name, tensors in found.items() for key, tensor in tensors.items()}


def is_spread(model: Any) -> bool:
    """Whether each process holds a part of the weights alone: to gather them, all would have to take part."""
    if type(model).__module__.startswith("torch.distributed.fsdp"):
        return True
    return any(hasattr(it, "ds_numel") or hasattr(it, "full_tensor") for it in model.parameters())


def weights_in(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The tensors of a checkpoint by name; None where they are in no safe format."""
    from safetensors.torch import load_file

    # One file, or the numbered parts of a large model.
    part = re.compile(r"(adapter_)?model(-\d+-of-\d+)?\.safetensors")
    files = sorted(item for item in Path(folder).iterdir() if part.fullmatch(item.name))
    tensors: dict[str, Any] = {}
    for file in files:
        tensors.update(load_file(file))
    return tensors or None
