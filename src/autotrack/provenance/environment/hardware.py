"""The machine: processor, memory, graphics processors and their drivers, from files of the system.

Nothing enters; plain records leave, without what this system does not tell. CUDA is asked only where torch has
initialised it already: doing so ourselves would take memory on the device and break processes that fork later.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD"}


def cpu() -> dict[str, Any]:
    """Model, number of processors, how many this process may use, and the share that a container allows."""
    found: dict[str, Any] = {
        "count": os.cpu_count(),
        "architecture": os.uname().machine if hasattr(os, "uname") else "",
    }
    for line in _text("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            found["model"] = value.strip()
            break
    if hasattr(os, "sched_getaffinity"):
        found["usable"] = len(os.sched_getaffinity(0))
    quota, _, period = _text("/sys/fs/cgroup/cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        found["quota"] = round(int(quota) / int(period), 3)
    return found


def memory() -> dict[str, Any]:
    """Bytes of the machine, and the limit of its container."""
    found: dict[str, Any] = {}
    try:
        found["bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        pass
    limit = _text("/sys/fs/cgroup/memory.max").strip() or _text("/sys/fs/cgroup/memory/memory.limit_in_bytes").strip()
    if limit.isdigit() and int(limit) < found.get("bytes", 1 << 62):
        found["limit"] = int(limit)
    return found


def gpu() -> list[dict[str, Any]]:
    """Each graphics processor: its name, and identity or memory where they are told."""
    torch = _initialised_torch()
    if torch is not None:
        found = []
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            found.append(
                {"name": about.name, "memory": about.total_memory, "capability": f"{about.major}.{about.minor}"}
            )
        return found
    nvidia = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        told = dict(re.findall(r"^([^:\n]+):[ \t]*(.*)$", _text(path), re.MULTILINE))
        nvidia.append({"name": told.get("Model", ""), "uuid": told.get("GPU UUID", "")})
    if nvidia:
        return nvidia
    cards = []
    for path in sorted(Path("/sys/class/drm").glob("card[0-9]*/device/vendor")):
        vendor = _VENDORS.get(_text(path).strip())
        if vendor and not re.search(r"card\d+-", str(path)):
            name = _text(path.with_name("product_name")).strip() or vendor
            size = _text(path.with_name("mem_info_vram_total")).strip()
            cards.append({"name": name} | ({"memory": int(size)} if size.isdigit() else {}))
    return cards


def cuda() -> dict[str, Any]:
    """Versions of the driver and of what frameworks that are loaded were built for, by name."""
    found: dict[str, Any] = {}
    driver = re.search(r"Kernel Module.*?\s(\d+\.\d[\d.]*)", _text("/proc/driver/nvidia/version"))
    if driver:
        found["driver"] = driver[1]
    version = sys.modules.get("torch.version")
    for name in ("cuda", "hip"):
        if told := getattr(version, name, None):
            found[name] = str(told)
    torch = _initialised_torch()
    if torch is not None:
        found["cudnn"] = torch.backends.cudnn.version()
    toolkit = os.environ.get("CUDA_VERSION")
    return found | ({"toolkit": toolkit} if toolkit else {})


def _initialised_torch() -> Any:
    cuda_module = sys.modules.get("torch.cuda")
    ready = getattr(cuda_module, "is_initialized", None)
    return sys.modules.get("torch") if ready is not None and ready() else None


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
