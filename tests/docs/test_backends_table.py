"""The table of backends says what the tests of each backend claim, no more and no less."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))
sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from subject import EVERYTHING

from autotrack.plugins import plugins

ROOT = Path(__file__).parents[2]
SUBJECTS = sorted((ROOT / "tests" / "contract" / "subjects").glob("[!_]*.py"))


def table() -> dict[str, set[str]]:
    """For each backend the words of its row; `as NAME` stands for another's, `all but` for the rest."""
    rows: dict[str, set[str]] = {}
    for line in (ROOT / "docs" / "backends.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and (name := re.match(r"\[`([\w-]+)`\]", cells[0])):
            other = re.fullmatch(r"as `([\w-]+)`", cells[2])
            words = set(re.findall(r"`(\w+)`", cells[2]))
            but = cells[2].startswith("all but ")
            rows[name[1]] = rows[other[1]] if other else set(EVERYTHING) - words if but else words
    return rows


@pytest.mark.parametrize("path", SUBJECTS, ids=lambda path: path.stem)
def test_each_row_is_what_the_battery_proves(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"table_{path.stem.replace('-', '_')}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as problem:
        pytest.skip(f"its tests need {problem.name}")
    subject = module.Subject
    assert table()[subject.name] == EVERYTHING - subject.carries


def test_every_backend_has_a_row_and_a_subject() -> None:
    names = set(plugins.load().backends)
    assert set(table()) == names
    assert {path.stem.replace("_", "-") for path in SUBJECTS} == names
