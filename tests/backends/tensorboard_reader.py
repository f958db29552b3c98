"""What TensorBoard's own classes read from a folder of event files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorboard", reason="needs the package tensorboard, whose readers are asked")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata as hparams

ALL = {"scalars": 0, "tensors": 0, "images": 0, "histograms": 0, "compressedHistograms": 0, "audio": 0}


@dataclass
class Shown:
    """One folder, as TensorBoard has it."""

    folder: Path
    scalars: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
    """step, value, wall time in seconds"""
    texts: dict[str, list[str]] = field(default_factory=dict)
    """in the order of their times"""
    images: dict[str, list[bytes]] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)
    end: int | None = None

    def told(self, tag: str) -> list[dict[str, Any]]:
        """The texts of a tag that are JSON."""
        return [json.loads(text) for text in self.texts.get(tag, [])]

    def merged(self, tag: str) -> dict[str, Any]:
        """The same as one mapping: what came later counts."""
        return {key: value for part in self.told(tag) for key, value in part.items()}


def folders(root: Path) -> list[Path]:
    """Every folder with event files."""
    return sorted(Path(at) for at, _, names in os.walk(root) if any("tfevents" in name for name in names))


def shown(folder: Path) -> Shown:
    """All of one folder, by the EventAccumulator."""
    loaded = EventAccumulator(str(folder), size_guidance=ALL).Reload()
    found = Shown(folder)
    tags = loaded.Tags()
    for tag in tags["scalars"]:
        found.scalars[tag] = [(one.step, one.value, one.wall_time) for one in loaded.Scalars(tag)]
    for tag in tags["images"]:
        found.images[tag] = [one.encoded_image_string for one in loaded.Images(tag)]
    for tag in tags["tensors"]:
        plugin = loaded.SummaryMetadata(tag).plugin_data
        if plugin.plugin_name == "text":
            events = sorted(loaded.Tensors(tag), key=lambda one: one.wall_time)
            found.texts[tag] = [one.tensor_proto.string_val[0].decode() for one in events]
        elif tag == hparams.SESSION_START_INFO_TAG:
            start = hparams.parse_session_start_info_plugin_data(plugin.content)
            for key, value in start.hparams.items():
                found.hparams[key] = getattr(value, value.WhichOneof("kind"))
        elif tag == hparams.SESSION_END_INFO_TAG:
            found.end = hparams.parse_session_end_info_plugin_data(plugin.content).status
    return found


def events(file: Path) -> list[Any]:
    """All events of a file, by the EventFileLoader, which checks every checksum."""
    return list(EventFileLoader(str(file)).Load())
