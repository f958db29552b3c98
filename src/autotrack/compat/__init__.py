"""Drop-ins: what another tracker's client offers, recorded into autotrack, so that code written for it runs unchanged.

    import autotrack.compat.neptune as neptune          # for: import neptune
    from autotrack.compat.neptune_scale import Run      # for: from neptune_scale import Run

or, before anything imports them, with no line of the old code changed:

    import autotrack.compat
    autotrack.compat.install("neptune")                 # from now on `import neptune` and all below it is the drop-in

or, with no line changed at all, `python -m autotrack.compat neptune train.py`. A drop-in makes no request, needs no
token and no package of the product's. What it lacks it names in one warning, and training goes on.
"""

from __future__ import annotations

from autotrack.compat.aliasing import PRODUCTS, install

__all__ = ["PRODUCTS", "install"]
