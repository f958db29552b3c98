"""The drop-ins beside the real clients: each public name is there with its signature, or the page says it is not."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "backends" / "neptune.md"
PRINTER = Path(__file__).parent / "neptune_signatures.py"

INNER = {"accept", "copy", "create_assignment_operation", "getter", "process_assignment"}
"""Methods by which the client's own classes speak to each other: the page says that they are left out."""
OTHER_WAYS = {
    "neptune.integrations.utils.RunType": "a type for hints",
    "neptune.metadata_containers.MetadataContainer": "is never made by users",
    "neptune.table.Table": "is never made by users",
    "neptune.types.GitRef": "its default is the path of the client's caller",
    "neptune.typing.NeptuneObject": "a type for hints",
    "neptune.typing.NeptuneObjectCallback": "a type for hints",
    "neptune.typing.ProgressBarType": "a type for hints",
    "neptune.typing.SupportsNamespaces": "a type for hints",
    "neptune_scale.legacy.Run": "names its arguments, where the client takes *args and **kwargs",
}


@cache
def offered(product: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the real package offers, and what the drop-in does."""
    real = os.environ.get("AUTOTRACK_TEST_NEPTUNE")
    if real is None and importlib.util.find_spec(product) is not None:
        real = sys.executable
    if real is None:
        pytest.skip(
            "neptune and neptune-scale are not installed; AUTOTRACK_TEST_NEPTUNE may name a Python that has them"
        )
    return _printed(real, product), _printed(sys.executable, product, "drop-in")


def _printed(python: str, *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "AUTOTRACK_QUIET": "1"}
    if python != sys.executable:
        environment.pop("PYTHONPATH", None)
    done = subprocess.run([python, str(PRINTER), *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("product", ["neptune", "neptune_scale"])
def test_every_public_name_is_there_or_the_page_says_it_is_not(product: str) -> None:
    real, ours = offered(product)
    page = PAGE.read_text()
    missing = {f"{module}.{name}" for module, names in real.items() for name in names if name not in ours[module]}
    assert {name for name in missing if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("product", ["neptune", "neptune_scale"])
def test_signatures_are_the_clients(product: str) -> None:
    real, ours = offered(product)
    differing: dict[str, Any] = {}
    compared = 0
    for module, names in real.items():
        for name, theirs in names.items():
            mine = ours[module].get(name)
            if mine is None or f"{module}.{name}" in OTHER_WAYS:
                continue
            compared += 1
            for part in ("kind", "bases", "signature"):
                wanted, found = theirs.get(part), mine.get(part)
                if wanted != found and not (
                    part == "signature" and (_takes_anything(wanted) or _takes_anything(found))
                ):
                    differing[f"{module}.{name} {part}"] = (wanted, found)
    assert differing == {}
    assert compared > 30


@pytest.mark.parametrize("product", ["neptune", "neptune_scale"])
def test_methods_are_the_clients(product: str) -> None:
    real, ours = offered(product)
    page, differing = PAGE.read_text(), {}
    for module, names in real.items():
        for name, theirs in names.items():
            mine = ours[module].get(name)
            if mine is None or f"{module}.{name}" in OTHER_WAYS:
                continue
            for method, wanted in theirs.get("methods", {}).items():
                if method in INNER or f"`{name}.{method}`" in page:
                    continue
                found = mine["methods"].get(method, "missing")
                if found != wanted and not _is_kinder(wanted, found):
                    differing[f"{module}.{name}.{method}"] = (wanted, found)
    assert differing == {}


def _takes_anything(signature: Any) -> bool:
    return isinstance(signature, list) and [kind for _, kind, _ in signature] == ["VAR_POSITIONAL", "VAR_KEYWORD"]


def _is_kinder(wanted: Any, found: Any) -> bool:
    """Whether only defaults were added: all that could be called still can."""
    if not isinstance(wanted, list) or not isinstance(found, list) or len(wanted) != len(found):
        return False
    return all(
        mine[:2] == theirs[:2] and (mine[2] == theirs[2] or theirs[2] is None)
        for theirs, mine in zip(wanted, found, strict=True)
    )
