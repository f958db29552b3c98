"""Artifacts as a trial component lists them: a name of one line, an address, and a media type of the plainest kind."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from autotrack.events import DatasetLogged
from autotrack_sagemaker.names import one_line

KEY_LENGTH, VALUE_LENGTH, MEDIA_TYPE_LENGTH = 128, 2048, 64

_MEDIA_TYPE: Final = re.compile(r"[-\w]+/[-\w+]+", re.ASCII)


def entry_key(name: str) -> str:
    """`name` as the key of an artifact: one that is cut carries a mark, so that two stay two."""
    key = one_line(name)
    if len(key) <= KEY_LENGTH:
        return key or "artifact"
    mark = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]
    return f"{key[: KEY_LENGTH - 9]}~{mark}"


def artifact_entry(uri: str, media_type: str = "") -> dict[str, str]:
    """A file in S3. Media types with others than letters, digits, `-` and `+`, such as dots, are left out."""
    entry = {"Value": uri}
    if len(media_type) <= MEDIA_TYPE_LENGTH and _MEDIA_TYPE.fullmatch(media_type):
        entry["MediaType"] = media_type
    return entry


def dataset_entry(event: DatasetLogged) -> dict[str, str]:
    """A dataset: where it came from, where that is known, and the fingerprint of its values."""
    record = event.record
    inner = record.get("fingerprint")
    told = inner if isinstance(inner, dict) else record
    value = next((told[key] for key in ("value", "digest", "strict", "rows") if isinstance(told.get(key), str)), "")
    source = record.get("source")
    place = source if isinstance(source, str) else ""
    text = "#".join(filter(None, (place, value))) or event.name or event.role
    return {"Value": one_line(text)[:VALUE_LENGTH]}
