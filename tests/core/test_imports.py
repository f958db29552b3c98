"""A hook runs once, on a whole module, in any order of awaiting and importing, and never makes an import fail."""

import importlib
import importlib.machinery
import sys
from pathlib import Path

import pytest

from autotrack import guard
from autotrack.patching import imports


@pytest.fixture
def product(tmp_path: Path, monkeypatch):
    (tmp_path / "made_product.py").write_text("first = 1\nlast = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    guard.reset()
    yield "made_product"
    imports.forget()
    sys.modules.pop("made_product", None)


@pytest.mark.parametrize("imported_first", [True, False])
def test_any_order_gives_one_call_on_the_whole_module(product: str, imported_first: bool) -> None:
    seen = []
    if imported_first:
        importlib.import_module(product)
    imports.when_imported(product, lambda module: seen.append(module.last))
    module = importlib.import_module(product)
    importlib.import_module(product)
    assert seen == [2]
    assert "exec_module" not in vars(module.__loader__)


def test_awaiting_imports_nothing(product: str) -> None:
    imports.when_imported(product, lambda module: None)
    assert product not in sys.modules


def test_a_hook_that_raises_is_told_and_the_import_succeeds(product: str, capsys) -> None:
    def hook(module):
        raise RuntimeError("ours")

    imports.when_imported(product, hook)
    assert importlib.import_module(product).first == 1
    assert "training is not affected" in capsys.readouterr().err


def test_a_module_that_fails_to_import_fails_as_it_would_and_may_be_tried_again(product: str, tmp_path: Path) -> None:
    seen = []
    (tmp_path / "broken_product.py").write_text("raise ImportError('theirs')\n")
    imports.when_imported("broken_product", lambda module: seen.append(module))
    with pytest.raises(ImportError, match="theirs"):
        importlib.import_module("broken_product")
    assert seen == []


def test_forget_leaves_the_import_system_as_it_was(product: str) -> None:
    before = list(sys.meta_path)
    imports.when_imported(product, lambda module: None)
    imports.forget()
    assert sys.meta_path == before


def test_a_module_that_is_half_imported_when_it_is_awaited_is_met_as_soon_as_it_is_whole(
    product: str, tmp_path: Path
) -> None:
    (tmp_path / "made_outer.py").write_text("first = 1\nimport made_product\nlast = 3\n")
    seen: list[int] = []
    # As `numpy.random` is when it imports `random`, at which autotrack begins to await it.
    imports.when_imported(product, lambda _: imports.when_imported("made_outer", lambda it: seen.append(it.last)))
    try:
        outer = importlib.import_module("made_outer")
        assert seen == [3]
        assert type(outer.__spec__) is importlib.machinery.ModuleSpec and not outer.__spec__._initializing
    finally:
        sys.modules.pop("made_outer", None)


def test_a_half_imported_module_that_fails_is_not_met(product: str, tmp_path: Path) -> None:
    (tmp_path / "broken_outer.py").write_text("import made_product\nraise ImportError('theirs')\n")
    seen: list[object] = []
    imports.when_imported(product, lambda _: imports.when_imported("broken_outer", seen.append))
    with pytest.raises(ImportError, match="theirs"):
        importlib.import_module("broken_outer")
    assert seen == []
