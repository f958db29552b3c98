"""W&B's own side: every operation that its SDK has generated for its API, and the inputs that it sends, as JSON.

Run as a program by the python that has the SDK; `operations` runs it so.
"""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from wandb_files import SECONDS, environment_for_wandb, wandb_python


@functools.cache
def operations() -> dict[str, Any]:
    """`{operations: {name: query}, inputs: {type: JSON Schema}}` of the SDK that is installed. Skips without one."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [wandb_python(), __file__],
            env=environment_for_wandb(Path(folder)),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _told() -> dict[str, Any]:
    import re

    from wandb._pydantic import GQLInput
    from wandb.apis import _generated as api
    from wandb.sdk.artifacts import _generated as artifacts
    from wandb.sdk.artifacts._generated import input_types
    from wandb.sdk.internal import _generated as internal

    texts = [
        getattr(module, name) for module in (artifacts, api, internal) for name in dir(module) if name.endswith("_GQL")
    ]
    named = {re.search(r"(?:query|mutation) (\w+)", text)[1]: text for text in texts}  # type: ignore[index]
    inputs = {
        name: found.model_json_schema(by_alias=True)
        for name, found in vars(input_types).items()
        if isinstance(found, type) and issubclass(found, GQLInput) and found is not GQLInput
    }
    return {"operations": named, "inputs": inputs}


if __name__ == "__main__":
    print(json.dumps(_told()))
