"""`python -m autotrack_wandb MODEL…`: makes W&B's registry equal to the store's for these registered models, now.

For steps that were taken while W&B was offline: once the runs are there (`wandb sync`), this links their versions.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial

from autotrack.backend import BackendContext
from autotrack.errors import AutotrackError, UsageError
from autotrack.settings import load
from autotrack_wandb.online import Uploader
from autotrack_wandb.place import place_from
from autotrack_wandb.registered import Registered
from autotrack_wandb.waiting import Waiting


def main(models: list[str]) -> int:
    """The exit code is 1 where something is left out, 2 for wrong use; what and why is said."""
    from autotrack.registry.reading import as_it_stands

    settings = load()
    home = settings.resolved_home
    left_out: list[str] = []
    try:
        place = place_from(os.environ, home)
        if not models or not place.online:
            raise UsageError("usage: python -m autotrack_wandb MODEL…, with WANDB_API_KEY and not WANDB_MODE=offline")
        Uploader(place)  # which says how the SDK is installed
        context = BackendContext(home, settings, registered=partial(as_it_stands, home, settings))
        registered = Registered(place, context, lambda run, what, why: left_out.append(f"{what}: {why}"))
        for model in models:
            registered.follow(model, Waiting("", time.time_ns()))
    except AutotrackError as problem:
        print(f"autotrack: {problem}", file=sys.stderr)
        return 2 if isinstance(problem, UsageError) else 1
    for line in left_out:
        print(f"autotrack: {line}", file=sys.stderr)
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
