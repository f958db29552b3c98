"""The notebook: the cells that a session of IPython or Jupyter has executed, in their order, with each run.

The shell's own history enters, which holds cells as they were typed, magics and shell escapes included, and, in IPython
9, what they gave. A notebook file leaves (nbformat 4.5, https://nbformat.readthedocs.io), as a blob with secrets masked
and text alone for output: one as it is when a run begins, and another at its end where more cells have been executed
since. Beside it, where the file that the user works in can be found, its cells as they were saved last.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.masking import masked

if TYPE_CHECKING:
    from autotrack.settings import Settings

LONGEST_OUTPUT: Final = 16 << 10
"""Characters of one output of a cell that are kept, half of them from its end."""

MOST_OUTPUTS: Final = 50
"""Outputs of one cell that are kept."""

LONGEST_CELL: Final = 1 << 20

LARGEST_FILE: Final = 32 << 20
"""Bytes of a notebook's file beyond which it is not read."""

_encode = msgspec.json.encode


def witness(settings: Settings) -> Notebook | None:
    """The witness of notebooks; None where code is not to be kept."""
    return Notebook() if settings.code else None


def shell() -> Any:
    """The running shell of IPython, or None."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if get_ipython is None else get_ipython()


class Notebook:
    """Keeps the notebook with each run of the session."""

    def __init__(self) -> None:
        self._done: dict[int, bytes] = {}
        """Cells that have been executed, as they stand in the file."""
        self._kept: tuple[tuple[Path, int, int, bool], dict[str, Any]] | None = None
        self._file: tuple[str, int, int, Path, dict[str, Any]] | None = None
        self._begun: dict[str, int] = {}

    def begun(self, run: Any) -> None:
        """Keep the notebook as it is."""
        running = shell()
        if running is not None and run.home is not None:
            self._begun[run.id] = running.execution_count
            self._record(run, running)

    def ending(self, run: Any) -> None:
        """Keep it again, if cells have been executed since."""
        count = self._begun.pop(run.id, None)
        running = shell() if count is not None else None
        if running is not None and running.execution_count != count:
            self._record(run, running, ended=True)

    def close(self) -> None:
        """Nothing is to be done."""

    def forked(self) -> None:
        """No cell is executed here."""
        self._begun.clear()

    def _record(self, run: Any, running: Any, *, ended: bool = False) -> None:
        sources = list(running.history_manager.input_hist_raw)
        state = (run.home, running.execution_count, len(sources), ended)
        if self._kept is None or self._kept[0] != state:
            document, cells = self._document(running, sources, ended)
            blob = Blobs(run.home).put_bytes(document)
            self._kept = state, {"notebook": {"digest": blob.digest, "bytes": blob.bytes}, "cells": cells}
        run.log_provenance("notebook", {**self._kept[1], **self._source(running, run.home)})

    def _document(self, running: Any, sources: list[str], ended: bool) -> tuple[bytes, int]:
        """The file's bytes, and how many cells it has. When a run begins, that which is executed has no outputs yet."""
        if self._done and len(sources) <= max(self._done):  # the history was reset: counts begin anew
            self._done.clear()
        history, cells = running.history_manager, []
        last = len(sources) - 1
        for count, source in enumerate(sources):
            if not count or not source:  # the first entry stands for none; one that is empty was not executed
                continue
            cell = self._done.get(count)
            if cell is None:
                cell = _encode(
                    {
                        "cell_type": "code",
                        "execution_count": count,
                        "id": f"cell-{count}",
                        "metadata": {},
                        "outputs": list(outputs(history, count)) if count != last or ended else [],
                        "source": masked(_cut(source, LONGEST_CELL)),
                    }
                )
                if count != last:
                    self._done[count] = cell
            cells.append(cell)
        told = _encode(_metadata())
        head, tail = b'{"cells": [\n', b'\n], "metadata": ' + told + b', "nbformat": 4, "nbformat_minor": 5}\n'
        return head + b",\n".join(cells) + tail, len(cells)

    def _source(self, running: Any, home: Path) -> dict[str, Any]:
        """Which file it is, and its cells as they are there; empty where it is not found."""
        path = source_file(running)
        if path is None:
            return {}
        told: dict[str, Any] = {"source": str(path)}
        try:
            status = path.stat()
            state = (str(path), status.st_mtime_ns, status.st_size, home)
            if self._file is None or self._file[:4] != state:
                blob = (
                    Blobs(home).put_bytes(without_outputs(path.read_bytes()))
                    if status.st_size <= LARGEST_FILE
                    else None
                )
                self._file = (*state, {"file": {"digest": blob.digest, "bytes": blob.bytes}} if blob else {})
            return told | self._file[4]
        except (OSError, ValueError, TypeError, AttributeError, msgspec.MsgspecError):  # half written, or no notebook
            return told


def outputs(history: Any, count: int) -> Iterable[dict[str, Any]]:
    """What the cell gave, as far as IPython remembers: text alone, masked and within bounds."""
    told = getattr(history, "outputs", None)
    if isinstance(told, Mapping):
        for one in told.get(count, ())[:MOST_OUTPUTS]:
            made = _output(one.output_type, one.bundle, count)
            if made is not None:
                yield made
    else:  # IPython 8 keeps the text of results
        text = history.output_hist_reprs.get(count)
        if text is not None:
            yield _output("execute_result", {"text/plain": text}, count) or {}
    error = getattr(history, "exceptions", {}).get(count)
    if error is not None:
        yield {
            "ename": str(error["ename"]),
            "evalue": _text(str(error["evalue"])),
            "output_type": "error",
            "traceback": [_text(str(line)) for line in error["traceback"][:MOST_OUTPUTS]],
        }


def source_file(running: Any) -> Path | None:
    """The file that the user works in, as VS Code or the Jupyter server told the kernel; None where nobody did."""
    names = running.user_ns
    for name in (names.get("__vsc_ipynb_file__"), names.get("__session__"), os.environ.get("JPY_SESSION_NAME")):
        if isinstance(name, str) and name.endswith(".ipynb"):
            path = Path(name).expanduser().absolute()
            if path.is_file():
                return path
    return None


def without_outputs(file: bytes) -> bytes:
    """A notebook's file without what its cells gave, secrets masked. Raises `ValueError` for what is no such file."""
    document = msgspec.json.decode(file)
    for cell in document["cells"]:
        source = cell.get("source", "")
        cell["source"] = masked(_cut(source if isinstance(source, str) else "".join(source), LONGEST_CELL))
        cell.pop("attachments", None)
        cell["metadata"] = {}
        if cell.get("cell_type") == "code":
            cell["outputs"] = []
    document["metadata"] = _metadata()
    return msgspec.json.format(_encode(document), indent=1)


def _output(kind: str, bundle: Mapping[str, Any], count: int) -> dict[str, Any] | None:
    if kind in ("out_stream", "err_stream"):
        text = bundle.get("stream", "")
        name = "stdout" if kind == "out_stream" else "stderr"
        return {"name": name, "output_type": "stream", "text": _text(text if isinstance(text, str) else "".join(text))}
    plain = bundle.get("text/plain")
    if plain is None:
        return None
    made: dict[str, Any] = {
        "data": {"text/plain": _text(plain if isinstance(plain, str) else "".join(plain))},
        "metadata": {},
        "output_type": kind if kind == "execute_result" else "display_data",
    }
    if kind == "execute_result":
        made["execution_count"] = count
    return made


def _text(text: str) -> str:
    return masked(_cut(text, LONGEST_OUTPUT)).encode(errors="backslashreplace").decode()


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    left_out = len(text) - most
    return f"{text[: most // 2]}\n[{left_out} characters are left out here]\n{text[-most // 2 :]}"


def _metadata() -> dict[str, Any]:
    version = ".".join(map(str, sys.version_info[:3]))
    return {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "name": "python", "version": version},
    }
