"""Notebooks: a run in IPython or Jupyter keeps the cells that were executed, as a notebook that opens."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrack.events import ConsoleLogged, NoteLogged, ProvenanceLogged, RunStarted
from autotrack.journal.reader import Journal, journals
from autotrack.provenance import notebook
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.folding import folded

pytest.importorskip("IPython")

START = "import autotrack; autotrack.start_run('first')"
SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.loads(sys.argv[1]):
    shell.run_cell(cell, store_history=True)
"""


def execute(home: Path, *cells: str, **environ: str) -> None:
    """Execute cells in a shell of their own."""
    done = subprocess.run(
        [sys.executable, "-c", SHELL, json.dumps(cells)],
        env={**surroundings(home), **environ},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "could not record" not in done.stderr, done.stderr


def surroundings(home: Path) -> dict[str, str]:
    ours = {"AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", "IPYTHONDIR": str(home / "ipython")}
    return {**{name: it for name, it in os.environ.items() if name != "JPY_SESSION_NAME"}, **ours}


def events(home: Path) -> list[Any]:
    return [record.event for folder in journals(home) for record in Journal(folder).records(final=True)]


def records(home: Path) -> list[list[dict[str, Any]]]:
    """For each run, in the order of their beginning, what was recorded of the notebook, one after another."""
    found: dict[str, list[dict[str, Any]]] = {it.run: [] for it in events(home) if isinstance(it, RunStarted)}
    for event in events(home):
        if isinstance(event, ProvenanceLogged) and event.kind == "notebook":
            found[event.run].append(event.record)
    return list(found.values())


def opened(home: Path, blob: dict[str, Any]) -> Any:
    """The kept notebook, validated against the schema of its format."""
    nbformat = pytest.importorskip("nbformat")
    with Blobs(home).open(blob["digest"]) as file:
        data = file.read()
    assert len(data) == blob["bytes"]
    document = nbformat.reads(data.decode(), as_version=nbformat.NO_CONVERT)
    nbformat.validate(document)
    assert (document.nbformat, document.nbformat_minor) == (4, 5)
    return document


def test_the_cells_are_there_in_order_as_they_were_typed(tmp_path: Path) -> None:
    cells = ["x = 20", "%time x + 1", "!echo shell", START, "x"]
    execute(tmp_path, *cells)
    ((begin, end),) = records(tmp_path)
    assert [(it.execution_count, it.source) for it in opened(tmp_path, begin["notebook"]).cells] == list(
        enumerate(cells[:4], 1)
    )
    assert [it.source for it in opened(tmp_path, end["notebook"]).cells] == cells
    assert (begin["cells"], end["cells"]) == (4, 5)


def test_results_prints_and_errors_are_there_as_text(tmp_path: Path) -> None:
    cells = [
        "print('printed')",
        "40 + 2",
        "1 / 0",
        "from IPython.display import HTML, display; display(HTML('<b>x</b>'))",
    ]
    execute(tmp_path, *cells, START)
    printed, result, error, shown, _ = opened(tmp_path, records(tmp_path)[0][0]["notebook"]).cells
    assert result.outputs[0].data == {"text/plain": "42"}
    assert (error.outputs[0].ename, error.outputs[0].output_type) == ("ZeroDivisionError", "error")
    assert "HTML" in shown.outputs[0].data["text/plain"] and "text/html" not in shown.outputs[0].data
    assert "".join(output.text for output in printed.outputs) == "printed\n"


def test_outputs_are_bounded(tmp_path: Path) -> None:
    execute(tmp_path, "'begin' + 'x' * 10**6 + 'end'", START)
    (text,) = (it.data["text/plain"] for it in opened(tmp_path, records(tmp_path)[0][0]["notebook"]).cells[0].outputs)
    assert len(text) < 2 * notebook.LONGEST_OUTPUT
    assert text.startswith("'begin") and text.endswith("end'") and "left out" in text


def test_each_training_call_has_the_notebook_as_it_was_then(tmp_path: Path) -> None:
    run = "with autotrack.start_run(): pass"
    execute(tmp_path, "import autotrack", run, "y = 1", f"for _ in range(3):\n    {run}")
    first, *looped = records(tmp_path)
    assert [one["cells"] for one in first] == [2]
    assert [[one["cells"] for one in it] for it in looped] == [[4]] * 3
    assert len({it[0]["notebook"]["digest"] for it in looped}) == 1  # one file for all of a cell
    assert opened(tmp_path, looped[0][0]["notebook"]).cells[-1].outputs == []


def test_secrets_are_masked(tmp_path: Path) -> None:
    token = "hf_" + "A1b2C3d4" * 4
    execute(tmp_path, f"token = '{token}'", "print('password=swordfish')", "token", START, "raise ValueError(token)")
    data = b"".join(it.read_bytes() for it in tmp_path.rglob("*") if it.is_file() and "ipython" not in it.parts)
    assert token.encode() not in data and b"swordfish" not in data
    assert opened(tmp_path, records(tmp_path)[0][0]["notebook"]).cells[0].source == "token = '***'"


def test_the_file_of_the_notebook_is_found_and_kept_without_outputs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    v4 = nbformat.v4
    output = v4.new_output("stream", text="an old result")
    cells = [v4.new_markdown_cell("# Title"), v4.new_code_cell("api_key = 'abcdef123456'", outputs=[output])]
    path = tmp_path / "study.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), path)
    execute(tmp_path, START, JPY_SESSION_NAME=str(path))
    execute(tmp_path, f"__vsc_ipynb_file__ = {str(path)!r}", START)
    for ((record,),) in ([records(tmp_path)[0]], [records(tmp_path)[1]]):
        assert record["source"] == str(path)
        title, code = opened(tmp_path, record["file"]).cells
        assert title.source == "# Title"
        assert (code.source, code.outputs) == ("api_key = '***'", [])


def test_a_file_that_is_no_notebook_is_named_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / "half.ipynb").write_text('{"cells": [')
    execute(tmp_path, START, JPY_SESSION_NAME=str(tmp_path / "half.ipynb"))
    ((record,),) = records(tmp_path)
    assert record["source"] == str(tmp_path / "half.ipynb") and "file" not in record


def test_a_script_has_no_notebook(tmp_path: Path) -> None:
    code = "import autotrack\nwith autotrack.start_run(): pass"
    subprocess.run([sys.executable, "-c", code], env=surroundings(tmp_path), timeout=60, check=True)
    assert records(tmp_path) == [[]]


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    execute(tmp_path, START, AUTOTRACK_CODE="0")
    assert records(tmp_path) == [[]]


def test_the_console_of_a_run_goes_on_in_the_next_cells(tmp_path: Path) -> None:
    execute(tmp_path, START, "print('second')", "print('third')", "autotrack.current_run().end()", "print('after')")
    pieces = [(it.stream, it.text) for it in events(tmp_path) if isinstance(it, ConsoleLogged)]
    assert [line for _, line, _ in folded(pieces)][-2:] == ["second", "third"]
    assert [it for it in events(tmp_path) if isinstance(it, NoteLogged)] == []


@pytest.fixture
def kernel(tmp_path: Path):
    """A client of a real kernel on the loopback interface."""
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    own = manager.KernelManager(kernel_name="python3")
    own.kernel_spec.argv[0] = sys.executable
    own.start_kernel(env=surroundings(tmp_path), cwd=str(tmp_path))
    client = own.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        own.shutdown_kernel(now=False)


def test_a_jupyter_kernel_keeps_its_cells_and_its_console(tmp_path: Path, kernel: Any) -> None:
    printed: list[str] = []

    def hook(message: Any) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    cells = [START, "print('from a cell')", "%time 6 * 7", "autotrack.current_run().end()", "print('after')"]
    for cell in cells:
        reply = kernel.execute_interactive(cell, timeout=60, output_hook=hook)
        assert reply["content"]["status"] == "ok"
    ((begin, end),) = records(tmp_path)
    assert [it.source for it in opened(tmp_path, begin["notebook"]).cells] == cells[:1]
    kept = opened(tmp_path, end["notebook"]).cells
    assert [it.source for it in kept] == cells[:4]
    assert "42" in [output.data["text/plain"] for output in kept[2].outputs if output.output_type == "execute_result"]
    assert "from a cell\n" in "".join(printed) and "after\n" in "".join(printed)
    pieces = [(it.stream, it.text) for it in events(tmp_path) if isinstance(it, ConsoleLogged)]
    found = [line for _, line, _ in folded(pieces)]
    assert "from a cell" in found and "after" not in found
