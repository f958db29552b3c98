"""`python -m autotrack.compat neptune train.py …`: run a script with the drop-in in place of the product's client."""

from __future__ import annotations

import os
import runpy
import sys

from autotrack.compat import PRODUCTS, install
from autotrack.errors import UsageError


def main(arguments: list[str]) -> None:
    """Install the named drop-ins, then run the script (or `-m module`) as Python itself would."""
    products = arguments[0].split(",") if arguments else []
    rest = arguments[1:]
    if not products or not rest or (rest[0] == "-m" and len(rest) < 2):
        sys.exit(f"usage: python -m autotrack.compat {'|'.join(PRODUCTS)} script.py …  (or: -m module …)")
    try:
        install(*products)
    except UsageError as problem:
        sys.exit(f"autotrack: {problem}")
    if rest[0] == "-m":
        sys.argv = rest[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
        return
    sys.argv = rest
    sys.path.insert(0, os.path.dirname(os.path.abspath(rest[0])))
    runpy.run_path(rest[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
