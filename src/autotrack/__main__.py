"""`python -m autotrack`: the same program as the command `autotrack`."""

from __future__ import annotations

import sys

from autotrack.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
