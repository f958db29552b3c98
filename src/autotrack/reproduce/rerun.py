"""The process that runs again: the recorded command, in the new folder, with a file that says what it is held to.

A `Launch` and what was recorded enter; a `Remade` leaves. The new runs go to the same home as the old one, to the
local store alone: no tracker of a team gets a run that is only a check.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autotrack.patching.job import RANKS
from autotrack.provenance.expecting import MISMATCH
from autotrack.reproduce.command import Launch, moved
from autotrack.reproduce.recorded import Recorded, Remade
from autotrack.settings import variable

EXPECTED: Final = "expected.json"
OUTPUT: Final = "output.txt"
_HERE: Final = (
    "PATH", "HOME", "USER", "HOSTNAME", "PWD", "SHELL", "TMPDIR", "VIRTUAL_ENV", "CONDA_", "PYTHONPATH", "PYTHONHOME",
    "PYTHONSTARTUP", "LD_", "CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "HF_HOME", "RANK", "LOCAL_RANK", "WORLD_SIZE",
    "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_", "SLURM", "PBS_", "LSB_", "SGE_", "OMPI_", "PMI", "JSM_",
    "SM_", "AWS_", "AZUREML_", "KUBERNETES_", "CI", "GITHUB_",
)  # fmt: skip
"""How the names of variables begin that tell of the machine or of a job, not of the training: they stay as here."""
_DECISIVE: Final = (
    "PYTHONHASHSEED", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "TF_DETERMINISTIC_OPS",
)  # fmt: skip
"""Variables that change what comes out: where the run had none, it is to have none again."""
_OURS: Final = ("home", "project", "backends", "forwarder", "keep", "store_url", "run_id", "parent_id", "reproduce",
                "strict", "quiet")  # fmt: skip
"""Settings that are decided here, whatever the run had."""


def rerun(
    recorded: Recorded,
    launch: Launch,
    code: Path,
    folder: Path,
    home: Path,
    *,
    own_environment: bool,
    imports: Sequence[str] = (),
) -> Remade:
    """Run `launch` and wait for its end. `folder` gets the expectations, the answers and the output.

    `own_environment` says that the interpreter is that of an environment made for the run: then the paths of imports
    that hold here are not handed on. `imports` are such paths of the project itself, which go first.
    """
    expected = folder / EXPECTED
    expected.write_text(json.dumps(recorded.expectations()))
    environment = _variables(recorded, code, imports, own_environment=own_environment)
    environment |= {
        variable("reproduce"): str(expected),
        variable("home"): str(home),
        variable("project"): str(recorded.run["project"]),
        variable("backends"): "local",
        variable("forwarder"): "off",
        variable("keep"): "all",
        variable("quiet"): "1",
    }
    with open(folder / OUTPUT, "wb") as output:
        done = subprocess.run(
            launch.words,
            cwd=launch.working_folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    remade = Remade(done.returncode, folder, said=_last_words(folder / OUTPUT))
    for claim in sorted(folder.glob("claim-*.json")):
        told = json.loads(claim.read_text())
        remade.runs[told["repeats"]] = told["run"]
    if (folder / MISMATCH).is_file():
        remade.mismatch = json.loads((folder / MISMATCH).read_text())
    return remade


def _variables(recorded: Recorded, code: Path, imports: Sequence[str], *, own_environment: bool) -> dict[str, str]:
    """The environment: that of here, with what the run's record says of variables that training may depend on."""
    root = recorded.root
    was: Mapping[str, Any] = recorded.environment.get("variables") or {}
    environment = {name: value for name, value in os.environ.items() if name not in RANKS}
    for name in list(environment) if was else ():
        if name in _DECISIVE or name.startswith("AUTOTRACK_"):
            del environment[name]
    ours = {variable(name) for name in _OURS}
    for name, value in was.items():
        if not name.startswith(_HERE) and name not in ours and not str(value).endswith("…") and "***" not in str(value):
            environment[name] = moved(str(value), root, code)
    for name in ours:
        environment.pop(name, None)
    if url := os.environ.get(variable("store_url")):
        environment[variable("store_url")] = url
    old = (path or os.curdir for path in str(was["PYTHONPATH"]).split(os.pathsep)) if was.get("PYTHONPATH") else ()
    # Those below the project and, as they are, those below the working folder. Others are of that machine.
    paths = [*imports, *(one for path in old if (one := moved(path, root, code)) != path or not os.path.isabs(path))]
    here = [] if own_environment else environment.get("PYTHONPATH", "").split(os.pathsep)
    paths += [moved(path, root, code) for path in here]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    if not environment["PYTHONPATH"]:
        del environment["PYTHONPATH"]
    return environment


def _last_words(output: Path, lines: int = 20) -> str:
    text = output.read_bytes()[-20_000:].decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


__all__ = ["OUTPUT", "rerun"]
