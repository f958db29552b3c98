"""The documentation is true: its Python runs, its links lead somewhere, and nothing that users can set, hook into or
call is missing from it.
"""

import ast
import inspect
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from autotrack import hookspecs
from autotrack.cli.main import COMMANDS
from autotrack.settings import described

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
INTEGRATIONS = sorted(path.parent.name for path in (ROOT / "integrations").glob("autotrack_*/__init__.py"))

NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*$")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[\w-]+)?\)")


@dataclass(frozen=True)
class Block:
    """One block of Python on a page."""

    page: Path
    line: int
    code: str
    reason: str | None
    """Why it is not run, if it is not."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for fence in FENCE.finditer(text):
            if fence["language"] == "python":
                marker = NOT_RUN.search(text[: fence.start()])
                line = text.count("\n", 0, fence.start()) + 1
                code = inspect.cleandoc(fence["code"])
                found.append(Block(page, line, code, marker[1] if marker else None))
    return found


def missing_products(code: str) -> list[str]:
    """What the block imports at its top that is not installed here."""
    names = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return sorted(name for name in names if find_spec(name) is None)


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_the_python_of_the_documentation_runs(block: Block, tmp_path: Path) -> None:
    ast.parse(block.code)
    if block.reason:
        pytest.skip(block.reason)
    missing = missing_products(block.code)
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACK_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", block.code],
        env={**inherited, "AUTOTRACK_HOME": str(tmp_path / "home"), "MPLBACKEND": "agg"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A fault of ours costs the training nothing, and would cost this test nothing either.
    assert "could not record" not in done.stderr, done.stderr
    assert "cannot be loaded" not in done.stderr, done.stderr


def test_there_is_python_to_run() -> None:
    run = [block for block in blocks() if not block.reason]
    assert len(run) >= 5
    assert ROOT / "README.md" in {block.page for block in run}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    local = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def shown(default: Any) -> str:
    """A default as the tables write it."""
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return "`1`" if default else "`0`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`" if default else "unset"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def table(page: Path) -> dict[str, str]:
    """Variable and default of each row about a setting."""
    row = re.compile(r"^\| `(AUTOTRACK_\w+)` \| ([^|]+?) \|", re.MULTILINE)
    return dict(row.findall(page.read_text()))


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "settings.md"], ids=lambda page: page.name)
def test_every_setting_is_told_with_its_default(page: Path) -> None:
    assert table(page) == {variable: shown(default) for _, variable, default, _ in described()}


def test_every_hook_is_documented() -> None:
    text = (DOCS / "plugins.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("autotrack_")]
    assert hooks
    assert [name for name in hooks if name not in text] == []


def test_every_name_for_authors_of_plugins_is_documented() -> None:
    from autotrack import backend, plugin

    text = (DOCS / "plugins.md").read_text()
    assert [name for name in (*plugin.__all__, *backend.__all__) if not re.search(rf"\b{name}\b", text)] == []


def test_every_command_is_documented() -> None:
    page = DOCS / "cli.md"
    if not page.exists():
        pytest.skip("docs/cli.md is not written yet")
    text = page.read_text()
    assert [name for name in COMMANDS if f"autotrack {name}" not in text] == []


def test_the_readme_names_every_command_and_no_other() -> None:
    named = set(re.findall(r"^autotrack ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named == set(COMMANDS)


@pytest.mark.parametrize("name", INTEGRATIONS)
def test_every_integration_is_documented(name: str) -> None:
    product = name.removeprefix("autotrack_")
    pages = [DOCS / folder / f"{product}.md" for folder in ("integrations", "backends")]
    assert [page for page in pages if page.exists()], f"none of {', '.join(map(str, pages))}"
    docstring = ast.get_docstring(ast.parse((ROOT / "integrations" / name / "__init__.py").read_text()))
    assert docstring and len(docstring.splitlines()) > 3, "the package's docstring is its user documentation"


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "index.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text()) if "://" not in link}
    assert [page for page in DOCS.rglob("*.md") if page != index and page.resolve() not in linked] == []


def test_the_journal_page_has_every_event_with_its_fields_in_order() -> None:
    from autotrack import events

    text = (DOCS / "journal.md").read_text().partition("## Events")[2]
    rows = {name: (int(tag), fields) for tag, name, fields in re.findall(r"^\| (\d+) \| (\w+) \| (.*?) \|", text, re.M)}
    kinds = get_args(events.AnyEvent)
    for kind in kinds:
        tag, fields = rows[kind.__name__]
        assert tag == kind.__struct_config__.tag
        assert re.findall(r"`(\w+)`", fields) == [
            name for name in kind.__struct_fields__ if name not in ("run", "time")
        ]
    assert set(rows) == {kind.__name__ for kind in kinds}


def test_the_changelog_has_what_comes_next() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"


def tree() -> list[Path]:
    """The files of the project: what git knows or would take, or, in an unpacked sdist, all there is."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = list(ROOT.rglob("*"))
    return [path for path in paths if path.is_file() and path.suffix != ".pyc"]


def test_no_package_registry_is_named() -> None:
    """Where packages come from is for whoever installs them to say: a mirror, a folder, an index of their own."""
    hosts = ["py" + "pi.", "python" + "hosted", "ana" + "conda.", "npm" + "js.", "conda-" + "forge"]
    found = []
    for path in tree():
        text = path.read_bytes().decode(errors="replace").lower()
        found += [f"{path.relative_to(ROOT)}: {host}" for host in hosts if host in text]
    assert found == []
