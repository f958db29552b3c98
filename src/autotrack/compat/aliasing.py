"""Letting `import neptune` give the drop-in: one finder, placed by `install` and never otherwise.

Names of the product's modules enter, modules of ours leave, each the very same object as under its own name, so that
an exception or a type is one class whichever name it was imported by.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from autotrack.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

PRODUCTS: Final = ("neptune", "neptune_scale")
"""Products that there is a drop-in for."""


def install(*products: str) -> None:
    """Let imports of these products give the drop-ins, in this process, from now on. A second call changes nothing.

    Raises `UsageError` where there is no such drop-in, or where the real package has been imported already: call it
    before everything that imports that.
    """
    for product in products:
        if product not in PRODUCTS:
            raise UsageError(f"there is no drop-in for {product!r}; there is one for {', '.join(PRODUCTS)}")
        if any(isinstance(finder, Aliases) and finder.product == product for finder in sys.meta_path):
            continue
        ours = f"autotrack.compat.{product}"
        there = sys.modules.get(product)
        if there is not None and there.__name__ != ours:
            raise UsageError(
                f"{product} has been imported already: call autotrack.compat.install({product!r}) before that"
            )
        sys.meta_path.insert(0, Aliases(product))


class Aliases:
    """Finds `product` and every module below it among ours."""

    def __init__(self, product: str) -> None:
        self.product = product
        self._ours = f"autotrack.compat.{product}"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of ours that stands for `fullname`; None for what is none of the product's, or has no stand-in."""
        if fullname != self.product and not fullname.startswith(self.product + "."):
            return None
        ours = self.counterpart(fullname)
        if ours is None:
            return None
        loader: Any = self  # a loader by its methods: importing the base class would cost more than all of this
        return importlib.machinery.ModuleSpec(fullname, loader, origin=ours, is_package=True)

    def counterpart(self, fullname: str) -> str | None:
        """The name of the module that stands for `fullname`; None where there is none.

        `MODULES` of the drop-in is the table. The longest beginning counts: `neptune.types.atoms.file` is what
        `neptune.types` is. `OUTSIDE` has the product's extensions, packages of their own that import it in turn.
        """
        drop_in = importlib.import_module(self._ours)
        table: Mapping[str, str] = drop_in.MODULES
        outside: Mapping[str, str] = drop_in.OUTSIDE
        below = fullname[len(self.product) + 1 :]
        below = below.removeprefix("new").removeprefix(".")  # what everything was below before neptune 1.0
        if below in outside:
            if importlib.util.find_spec(outside[below]) is None:
                raise ImportError(
                    f"{fullname} is the package {outside[below].replace('_', '-')}, which is not installed. It runs on "
                    f"the drop-in; or let autotrack.enable() record what it would have logged",
                    name=fullname,
                )
            return outside[below]
        parts = below.split(".") if below else []
        for length in range(len(parts), 0, -1):
            found = table.get(".".join(parts[:length]))
            if found is not None:
                return f"{self._ours}.{found}"
        return None if parts else self._ours

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The module under its own name."""
        module = importlib.import_module(spec.origin or "")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run already: give it back its own spec, which the import system has replaced by the alias's."""
        alias: Any = module.__spec__
        if alias is not None and alias.loader is self:
            module.__spec__ = alias.loader_state

    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:
        """The distribution that the product would be."""
        from autotrack.compat.standing_in import StandIn

        wanted = getattr(context, "name", None)
        if wanted is None or wanted.lower().replace("-", "_") == self.product:
            yield StandIn(self.product)
