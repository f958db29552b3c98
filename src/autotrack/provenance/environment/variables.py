"""Environment variables that decide how a training runs, by name; all others are nobody's business.

The environment and the names that the user added (`AUTOTRACK_ENVIRONMENT`) enter; values leave, with secrets masked: by
the variable's own name, and by what the value looks like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from autotrack.provenance.masking import MASK, is_secret_variable, masked

USUAL: Final = (
    "CUDA_*", "CUBLAS_WORKSPACE_CONFIG", "CUDNN_*", "NVIDIA_*", "HIP_*", "ROCR_*", "HSA_*", "ZE_*", "NCCL_*", "GLOO_*",
    "OMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "BLIS_*", "VECLIB_*", "NUMEXPR_*", "GOTO_*", "MALLOC_*", "LD_PRELOAD",
    "PYTHON*", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "CONDA_PREFIX", "LANG", "LC_ALL", "TZ",
    "KERAS_*", "TF_CPP_*", "TF_CUDNN_*", "TF_DETERMINISTIC_OPS", "TF_DISABLE_*", "TF_ENABLE_*", "TF_FORCE_*",
    "TF_GPU_*", "TF_NUM_*", "TF_USE_*", "TF_XLA_FLAGS", "XLA_*", "JAX_*", "TORCH*", "PYTORCH_*", "ATEN_*",
    "ACCELERATE_*", "PL_*", "TRANSFORMERS_*", "HF_HOME", "HF_HUB_OFFLINE", "HF_DATASETS_*", "TOKENIZERS_PARALLELISM",
    "RAY_*", "DASK_*",
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT",
    "SLURM_*", "SLURMD_*", "PBS_*", "LSB_*", "SGE_*", "OMPI_COMM_WORLD_*", "PMI_*", "PMIX_RANK", "JSM_*",
    "SM_*", "AWS_BATCH_*", "AZUREML_RUN_ID", "KUBERNETES_SERVICE_HOST", "CI", "GITHUB_SHA", "GITHUB_REF",
    "GITHUB_RUN_ID", "CI_COMMIT_SHA", "CI_JOB_ID", "AUTOTRACK_*",
)  # fmt: skip
"""What is recorded in any case; a `*` stands for the rest of a name."""

_OF_ONE_RUN: Final = frozenset({"AUTOTRACK_RUN_ID", "AUTOTRACK_PARENT_ID"})
"""The record is that of all runs of a process."""

MOST_CHARACTERS: Final = 2_000
"""Of one value; the rest is cut off."""


def variables(environ: Mapping[str, str], more: Iterable[str] = ()) -> dict[str, str]:
    """The variables that are recorded, by name, in the order of the names."""
    patterns = (*USUAL, *more)
    exact = {pattern for pattern in patterns if "*" not in pattern}
    starts = tuple(
        pattern[:-1] for pattern in patterns if pattern.endswith("*") and "*" not in pattern[:-1] and len(pattern) > 1
    )
    inner = [pattern for pattern in patterns if "*" in pattern[:-1]]
    found = {}
    for name, value in sorted(environ.items()):
        if name in _OF_ONE_RUN:
            continue
        if name in exact or name.startswith(starts) or any(fnmatchcase(name, pattern) for pattern in inner):
            found[name] = shown(name, value)
    return found


def shown(name: str, value: str) -> str:
    """The value as it may be recorded."""
    if value and is_secret_variable(name):
        return MASK
    text = masked(value)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"
