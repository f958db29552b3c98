"""The container that this process runs in, as far as one can tell from inside.

Files of the system and variables enter; what kind it is, its id, and its image with the digest leave, each where it is
told. A container is not told its image by Docker: who builds or starts it can say it in one of the variables below.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

_ID: Final = re.compile(r"(?:docker|containers|crio|cri-containerd|libpod|kubepods)[^\n]*?([0-9a-f]{64})")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_IMAGES: Final = (
    "AUTOTRACK_IMAGE", "CONTAINER_IMAGE", "DOCKER_IMAGE", "IMAGE_DIGEST", "IMAGE_NAME", "IMAGE", "JOB_IMAGE",
    "SINGULARITY_CONTAINER", "APPTAINER_CONTAINER", "SM_IMAGE_URI", "AZUREML_IMAGE", "NVIDIA_BUILD_ID",
)  # fmt: skip


def container() -> dict[str, Any]:
    """`kind`, `id`, `image`, `digest`; empty outside any container."""
    found: dict[str, Any] = {}
    named = _named("/run/.containerenv")
    if "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ:
        found["kind"] = "apptainer"
    elif "KUBERNETES_SERVICE_HOST" in os.environ:
        found["kind"] = "kubernetes"
    elif os.path.exists("/run/.containerenv"):
        found["kind"] = "podman"
    elif os.path.exists("/.dockerenv"):
        found["kind"] = "docker"
    told = _ID.search(_text("/proc/self/cgroup")) or _ID.search(_text("/proc/self/mountinfo"))
    if told:
        found |= {"kind": found.get("kind", "container"), "id": told[1]}
    if not found:
        return {}
    image = named.get("image") or next((os.environ[name] for name in _IMAGES if os.environ.get(name)), None)
    if image:
        from autotrack.provenance.masking import masked

        found["image"] = masked(image)
    digest = _DIGEST.search(image or "") or _DIGEST.search(os.environ.get("IMAGE_DIGEST", ""))
    if digest:
        found["digest"] = digest[0]
    elif re.fullmatch(r"[0-9a-f]{64}", named.get("imageid", "")):
        found["digest"] = "sha256:" + named["imageid"]
    return found


def _named(path: str) -> dict[str, str]:
    return dict(re.findall(r'^(\w+)="(.*)"$', _text(path), re.MULTILINE))


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
