"""Libraries for linear algebra and threads that this process has loaded, and how many threads they may use.

What is mapped into the process tells it, without calling into a library: their numbers of threads are those of
variables and, where torch is loaded, what it says itself. Results of training depend on both.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Final

_KINDS: Final = (
    ("openblas", re.compile(r"lib(?:scipy_)?openblas", re.IGNORECASE)),
    ("mkl", re.compile(r"(?:lib)?mkl_(?:rt|core)", re.IGNORECASE)),
    ("blis", re.compile(r"libblis", re.IGNORECASE)),
    ("armpl", re.compile(r"libarmpl", re.IGNORECASE)),
    ("atlas", re.compile(r"lib(?:atlas|tatlas|satlas)", re.IGNORECASE)),
    ("accelerate", re.compile(r"libvecLib|Accelerate", re.IGNORECASE)),
    ("gomp", re.compile(r"libgomp", re.IGNORECASE)),
    ("omp", re.compile(r"libomp(?![a-z])", re.IGNORECASE)),
    ("iomp", re.compile(r"libiomp5", re.IGNORECASE)),
)
THREADS: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_DYNAMIC", "MKL_DYNAMIC",
)  # fmt: skip


def blas() -> dict[str, Any]:
    """`libraries`, each with its kind and file name, and `threads` by the variable or framework that tells them."""
    threads: dict[str, Any] = {name: os.environ[name] for name in THREADS if name in os.environ}
    told = getattr(sys.modules.get("torch"), "get_num_threads", None)  # missing while torch is being imported
    if told is not None:
        threads["torch"] = told()
    return {"libraries": _loaded(), "threads": threads}


def _loaded() -> list[dict[str, str]]:
    try:
        maps = Path("/proc/self/maps").read_text(errors="replace")
    except OSError:  # no Linux
        return []
    files = {line.rpartition("/")[2] for line in maps.splitlines() if ".so" in line}
    return [{"kind": kind, "file": file} for kind, form in _KINDS for file in sorted(files) if form.match(file)]
