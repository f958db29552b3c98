"""Models go to the plugin of their package and come back; what stays the same between two of them is stored once."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any, ClassVar

import pytest

import autotrack
from autotrack import settings
from autotrack.backend import BackendContext, Limits
from autotrack.contracts import BackendPlugin, ModelFormat
from autotrack.errors import BackendUnavailable, ModelNotFound, PluginError, RunNotFound
from autotrack.events import ModelLogged, encode
from autotrack.forward.catching_up import sync
from autotrack.forward.prepare import prepared
from autotrack.plugin import Saved, hookimpl
from autotrack.plugins import plugins
from autotrack.provenance import hashing, packing, weights
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.packing import SMALL, keep
from autotrack.provenance.parts import Part, Parts, length_of
from autotrack.testing import recording

MEGABYTE = 1 << 20


class Net:
    """A model whose weights are lists of bytes."""

    def __init__(self, *tensors: bytes) -> None:
        self.tensors = list(tensors)


class Derived(Net):
    pass


def save(model: Any) -> Saved:
    if isinstance(model, dict):
        return Saved("whole", b"".join(net.tensors[0] for net in model.values()))
    if any(tensor is None for tensor in model.tensors):
        raise LookupError("the tensor 'head' cannot be held")
    return Saved("acme", parts=iter(model.tensors), size=sum(map(len, model.tensors)), signature={"in": 1})


def load(path: Path, signature: dict[str, Any]) -> Any:
    assert path.suffix in (".acme", ".whole")
    return path.read_bytes(), signature


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("acme")
    module.save, module.load = save, load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme", module)
    for kind in (Net, Derived):
        monkeypatch.setattr(kind, "__module__", "acme.nets")
    monkeypatch.setattr(Derived, "__module__", "mine")
    known = [ModelFormat("acme", "acme:save", "acme:load", ("acme", "whole"))]
    monkeypatch.setattr(weights, "registered", lambda: known)


def tensor(letter: int, size: int = MEGABYTE) -> bytes:
    return bytes([letter]) * size


def stored(home: Path) -> int:
    """Bytes of all parts, without the lists of them."""
    return sum(length_of(part.name) for part in held(home))


def held(home: Path) -> list[Part]:
    return [part for pack in Parts(home).packs() for part in Parts(home).content(pack)]


def alter(home: Path, content: bytes, by: bytes) -> Path:
    """Write over the part that has this content; the path of its pack."""
    (part,) = keep(home, [content]).parts
    path = Parts(home).folder / part.pack
    with path.open("r+b") as file:
        file.seek(part.offset)
        file.write(by)
    return path


def test_a_model_comes_back_by_name_and_without_one_the_last(tmp_path: Path) -> None:
    with recording(tmp_path), autotrack.start_run("mine") as run:
        run.log_model(Net(b"first"), "clf")
        run.log_model(Derived(b"second"), "clf", step=7)
        run.log_model({"a": Net(b"thi"), "b": Net(b"rd")}, "both")
        assert run.load_model() == run.load_model("both") == (b"third", {})
        assert run.load_model("clf") == (b"first", {"in": 1})
        assert autotrack.load_model("mine", "clf-2") == autotrack.load_model(run.id[:12], "clf-2")
        assert autotrack.load_model(run.id, "clf-2") == (b"second", {"in": 1})
        first, second, third = autotrack.get_run(run.id)["models"]
    assert (second["step"], second["bytes"], second["signature"]) == (7, 6, {"in": 1, "package": "acme"})
    assert first["digest"] != second["digest"] != third["digest"]
    assert not list((tmp_path / "cache").iterdir()), "what was lent for loading is gone"


def test_what_is_not_there_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(tmp_path), autotrack.start_run("mine") as run:
        with pytest.raises(ModelNotFound, match=r"has no model$"):
            run.load_model()
        run.log_model(Net(None), "headless")  # type: ignore[arg-type]
        run.log_model(object(), "odd")
        with pytest.raises(ModelNotFound, match=r"'headless' of run .* was not kept: the tensor 'head' cannot be held"):
            run.load_model("headless")
        with pytest.raises(ModelNotFound, match=r"no plugin knows how to save a builtins\.object"):
            run.load_model()
        with pytest.raises(ModelNotFound, match="has no model 'clf'; it has 'headless', 'odd'"):
            run.load_model("clf")
        with pytest.raises(RunNotFound):
            autotrack.load_model("nobody")
        run.log_model(Net(b"there"), "clf")
        monkeypatch.setattr(weights, "registered", lambda: ())
        with pytest.raises(PluginError, match="no plugin reads models in the format 'acme'"):
            run.load_model()
        away = [ModelFormat("acme", "acme:save", "autotrack_away:load", ("acme",), needs=("acme>=2",))]
        monkeypatch.setattr(weights, "registered", lambda: away)
        with pytest.raises(PluginError, match=r"No module named 'autotrack_away'.*pip install acme>=2"):
            run.load_model()


def test_of_two_formats_of_one_name_the_one_that_saved_a_model_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats = [ModelFormat("other", "no:save", "no:load", ("acme",)), *weights.registered()]
    monkeypatch.setattr(weights, "registered", lambda: formats)
    with recording(tmp_path), autotrack.start_run() as run:
        run.log_model(Net(b"mine"))
        assert run.load_model() == (b"mine", {"in": 1})


def test_unchanged_parts_of_successive_models_are_stored_once(tmp_path: Path) -> None:
    with recording(tmp_path) as recorded, autotrack.start_run() as run:
        tensors = [tensor(letter) for letter in range(10)]
        run.log_model(Net(*tensors), "first")
        once = stored(tmp_path)
        run.log_model(Net(*tensors), "again")
        assert stored(tmp_path) == once
        tensors[3] = tensor(77)
        run.log_model(Net(*tensors), "changed")
        assert once + MEGABYTE == stored(tmp_path)
    (found,) = recorded.runs()
    contents = [recorded.content(model) for model in found.models]
    assert contents[0] == contents[1] == b"".join(tensor(letter) for letter in range(10))
    assert contents[2] == b"".join(tensors)
    assert [model.bytes for model in found.models] == [10 * MEGABYTE] * 3
    files = sum(path.stat().st_size for folder in ("parts", "blobs") for path in (tmp_path / folder).rglob("*"))
    assert files < once + MEGABYTE + 200_000, "the file itself is a list of its parts"


def test_small_pieces_share_a_part_among_themselves_alone(tmp_path: Path) -> None:
    small = [tensor(letter, 100) for letter in range(20)]
    recipe = keep(tmp_path, [b"header", *small, tensor(1), small[0], small[1], tensor(2)])
    assert [length_of(part.name) for part in recipe.parts] == [2006, MEGABYTE, 200, MEGABYTE]
    assert b"".join(Parts(tmp_path).blocks(recipe)) == b"header" + b"".join(small) + tensor(1) + small[0] + small[
        1
    ] + tensor(2)
    many = [tensor(letter, SMALL // 2) for letter in range(200)]
    assert len(keep(tmp_path, many).parts) == 100, "a part is full at some size"
    assert keep(tmp_path, []).parts == ()


def test_the_larger_a_file_the_more_of_it_counts_as_small(tmp_path: Path) -> None:
    pieces = [bytes([number % 251]) * 9_000 for number in range(5_000)]
    recipe = keep(tmp_path, pieces, 45_000_000)
    assert recipe.size == 45_000_000
    assert len(recipe.parts) == 2500
    assert b"".join(Parts(tmp_path).blocks(recipe)) == b"".join(pieces)


def test_a_piece_of_any_size_comes_back(tmp_path: Path) -> None:
    large = memoryview(bytearray(range(256)) * 150_000)
    recipe = keep(tmp_path, [large, b"", bytearray(b"end")], len(large) + 3)
    assert len(recipe.parts) == 38
    assert b"".join(Parts(tmp_path).blocks(recipe)) == bytes(large) + b"end"


def test_parts_are_private_and_no_draft_stays(tmp_path: Path) -> None:
    recipe = keep(tmp_path, [tensor(1), tensor(2), tensor(1)])
    (path,) = (tmp_path / "parts").iterdir()
    assert {part.pack for part in recipe.parts} == {path.name}
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert held(tmp_path) == list(recipe.parts[:2]), "what comes twice in one file is there once"
    assert keep(tmp_path, [tensor(2)]).parts == recipe.parts[1:2]
    assert list((tmp_path / "parts").iterdir()) == [path], "where nothing is new there is no pack"


def test_a_piece_that_cannot_be_made_leaves_nothing_but_what_was_there(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    before = keep(tmp_path, [tensor(1)])

    def failing() -> Any:
        for letter in range(1, 20):
            yield tensor(letter)
        raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="the device is lost"):
        keep(tmp_path, failing(), 20 * MEGABYTE)
    assert held(tmp_path) == list(before.parts)
    assert len(list((tmp_path / "parts").iterdir())) == 1
    assert set(threading.enumerate()) <= threads


def test_an_interrupt_passes_and_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Any:
        for letter in range(8):
            yield tensor(letter)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, interrupted())
    assert list((tmp_path / "parts").iterdir()) == []


def test_threads_that_keep_the_same_model_at_once_agree(tmp_path: Path) -> None:
    tensors = [tensor(letter) for letter in range(20)]
    found = []

    def work() -> None:
        found.append(keep(tmp_path, tensors, 20 * MEGABYTE))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1
    assert b"".join(Parts(tmp_path).blocks(found[0])) == b"".join(tensors)
    assert stored(tmp_path) == 20 * MEGABYTE


@pytest.mark.parametrize("idle", [True, False])
def test_a_second_thread_changes_nothing_but_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle: bool
) -> None:
    monkeypatch.setattr(hashing, "a_processor_is_idle", lambda: idle)
    others = set(threading.enumerate())
    threads = set()

    def pieces() -> Any:
        for letter in range(12):
            threads.add(threading.current_thread() is threading.main_thread())
            yield tensor(letter)

    recipe = keep(tmp_path, pieces(), 12 * MEGABYTE)
    assert threads == {not idle}
    assert b"".join(Parts(tmp_path).blocks(recipe)) == b"".join(tensor(letter) for letter in range(12))

    def failing() -> Any:
        yield from pieces()
        raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="the device is lost"):
        keep(tmp_path, failing(), 12 * MEGABYTE)

    def full(self: Any, data: memoryview) -> None:
        raise OSError("full")

    monkeypatch.setattr(packing._Pack, "_write", full)
    with pytest.raises(OSError, match="full"):
        keep(tmp_path, (tensor(letter) for letter in range(50, 70)), 20 * MEGABYTE)
    assert set(threading.enumerate()) <= others


def test_what_a_killed_process_was_writing_goes_after_a_day(tmp_path: Path) -> None:
    folder = Parts(tmp_path).folder
    folder.mkdir()
    for name, written in ((".old", 1), (".now", None)):
        (folder / name).write_bytes(b"half")
        if written is not None:
            os.utime(folder / name, (written, written))
    recipe = keep(tmp_path, [tensor(1)])
    assert {path.name for path in folder.iterdir()} == {".now", recipe.parts[0].pack}


def test_another_process_knows_what_is_kept_and_what_is_not_remembered_is_kept_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keep(tmp_path, [tensor(1), tensor(2)])
    packing._forget()  # as in another process
    assert keep(tmp_path, [tensor(1), tensor(2)]) == first
    packing._forget()
    monkeypatch.setattr(packing, "REMEMBERED", 3)
    for letter in range(10, 22):
        keep(tmp_path, [tensor(letter), tensor(1)])
    assert stored(tmp_path) == 14 * MEGABYTE, "what every file has is never forgotten"
    keep(tmp_path, [tensor(10)])
    assert stored(tmp_path) == 15 * MEGABYTE


def test_an_altered_or_missing_part_is_told_and_a_model_that_has_it_again_mends_it(tmp_path: Path) -> None:
    with recording(tmp_path), autotrack.start_run() as run:
        run.log_model(Net(tensor(1), tensor(2)), "before")
        path = alter(tmp_path, tensor(2), tensor(3))
        (model,) = autotrack.get_run(run.id)["models"]
        assert model["digest"] is None
        assert "the part " in model["problem"]
        assert f" in {path} no longer has the bytes that were kept" in model["problem"]
        run.log_model(Net(tensor(1), tensor(2)), "after")
        assert run.load_model() == (tensor(1) + tensor(2), {"in": 1})
        path = Parts(tmp_path).folder / Parts(tmp_path).packs()[-1]
        path.unlink()
        with pytest.raises(ModelNotFound, match=f"{path}, which holds parts of it, is not there any more"):
            run.load_model()
        run.log_model(Net(tensor(1), tensor(4)), "again")
        assert run.load_model() == (tensor(1) + tensor(4), {"in": 1})


@pytest.mark.parametrize("left", [b"", b"x" * 100, tensor(1) + b"[]" + b"\2\0\0\0\0\0\0\0" + b"atparts1"])
def test_what_a_dying_machine_left_half_is_written_again(tmp_path: Path, left: bytes) -> None:
    (part,) = keep(tmp_path, [tensor(1)]).parts
    (Parts(tmp_path).folder / part.pack).write_bytes(left)
    packing._forget()
    assert b"".join(Parts(tmp_path).blocks(keep(tmp_path, [tensor(1)]))) == tensor(1)


FULL = """
import sys
import autotrack
from pathlib import Path
sys.path.insert(0, sys.argv[2])
autotrack.enable(home=Path(sys.argv[1]) / "home", forwarder="off", integrations=[])
import fitted
with autotrack.start_run("full") as run:
    run.log_model(fitted.Net(4), "small")
    run.log_model(fitted.Net(100), "large")
    run.log_metric("after", 1.0, step=1)
    free = __import__("os").statvfs(sys.argv[1])
    print(free.f_bavail * free.f_frsize)
"""

FITTED = """
import sys, types
from autotrack.plugin import ModelFormat, Saved, hookimpl

class Net:
    def __init__(self, count):
        self.count = count

def save(model):
    parts = (bytes([number]) * 100_000 for number in range(model.count))
    return Saved("fitted", parts=parts, size=model.count * 100_000)

@hookimpl
def autotrack_register_formats(register):
    register(ModelFormat("fitted", "fitted:save", "fitted:load", ("fitted",)))
"""


def test_a_full_disk_costs_the_model_that_did_not_fit_and_gives_its_room_back(tmp_path: Path) -> None:
    disk, code = tmp_path / "disk", tmp_path / "code"
    (code / "fitted-1.dist-info").mkdir(parents=True)
    (code / "fitted-1.dist-info" / "entry_points.txt").write_text("[autotrack]\nfitted = fitted\n")
    (code / "fitted.py").write_text(FITTED)
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system of 4 MiB cannot be mounted here: {mounted.stderr.strip()}")
    try:
        done = subprocess.run(
            [sys.executable, "-c", FULL, str(disk), str(code)], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr.count("No space left on device") == 1
        assert int(done.stdout) > 3_000_000, "what was written of the large one is gone"
        with recording(disk / "home"):
            run = autotrack.get_run("full")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    small, large = run["models"]
    assert (small["bytes"], small.get("problem")) == (400_000, None)
    assert large["digest"] is None and "No space left on device" in large["problem"]
    assert (run["status"], run["metrics"]["after"]["last"]) == ("finished", 1.0)


def test_formats_are_found_without_enable(tmp_path: Path) -> None:
    (tmp_path / "fitted-1.dist-info").mkdir()
    (tmp_path / "fitted-1.dist-info" / "entry_points.txt").write_text("[autotrack]\nfitted = fitted\n")
    (tmp_path / "fitted.py").write_text(FITTED + "def load(path, signature): return path.read_bytes()\n")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import autotrack, fitted\n"
        "with autotrack.start_run('mine') as run: run.log_model(fitted.Net(2))\n"
        "assert not {name.split('.')[0] for name in sys.modules} & {'numpy', 'sqlalchemy', 'torch', 'sklearn'}\n"
        "print(len(run.load_model()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "200000\n", done.stderr


def test_the_plugins_of_this_distribution_register_what_they_can_save() -> None:
    found = {one.package: one for one in plugins.load().formats}
    assert {"sklearn", "torch", "xgboost"} <= set(found)
    for one in found.values():
        assert one.formats and ":" in one.save and ":" in one.load


def test_a_plugin_registers_a_format_by_its_hook() -> None:
    class Module:
        __name__ = "a_plugin_with_a_format"

        @hookimpl
        def autotrack_register_formats(self, register: Any) -> None:
            register(ModelFormat("nothing", "nothing:save", "nothing:load", ("nothing",)))

    plugins.register(Module(), "a-plugin-with-a-format")
    try:
        assert plugins.formats[-1].package == "nothing"
    finally:
        plugins.formats.pop()


def test_an_event_that_names_a_whole_file_stays_as_it_is(tmp_path: Path) -> None:
    with recording(tmp_path) as recorded, autotrack.start_run() as run:
        run.log_model({"a": Net(b"whole")}, "clf")
    (model,) = recorded.runs()[0].models
    assert isinstance(model, ModelLogged) and model.digest is not None
    assert Blobs(tmp_path).path(model.digest).read_bytes() == b"whole" == recorded.content(model)


class Reading:
    """A backend that reads the file of each model."""

    limits = Limits()
    read: ClassVar[list[bytes]] = []
    paths: ClassVar[list[Path]] = []

    def open(self, context: BackendContext) -> None:
        self.context = context

    def resume(self, writer: str) -> None:
        return None

    def deliver(self, batch: Any) -> int:
        for record in batch:
            if isinstance(record.event, ModelLogged) and record.event.digest:
                self.paths.append(self.context.blob(record.event.digest))
                self.read.append(self.paths[-1].read_bytes())
        return int(batch[-1].sequence)

    def close(self) -> None:
        pass


def test_a_backend_reads_a_model_in_parts_as_a_file_and_a_damaged_one_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plugins.load().backends, "reading", BackendPlugin("reading", f"{__name__}:Reading"))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Reading.__module__])
    Reading.read, Reading.paths = [], []
    with recording(tmp_path), autotrack.start_run() as run:
        run.log_model(Net(tensor(1), tensor(2)), "damaged")
        run.log_model(Net(tensor(3), tensor(4)), "whole")
        autotrack.get_run(run.id)  # both have their names now
        path = alter(tmp_path, tensor(2), tensor(5))
    (outcome,) = sync(tmp_path, settings.load(home=tmp_path, backends="reading"), ("reading",))
    assert outcome.complete and outcome.problem is None
    assert [(len(one), one[0], one[-1]) for one in Reading.read] == [(2 * MEGABYTE, 3, 4)]
    assert not any(path.exists() for path in Reading.paths)
    (dead,) = [json.loads(line) for line in next(tmp_path.glob("delivery/*/reading.dead.jsonl")).open()]
    assert dead["kind"] == "ModelLogged" and f" in {path} no longer has the bytes" in dead["reason"]


def test_a_disk_that_is_full_while_a_model_gets_its_name_costs_a_while_and_not_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording(tmp_path) as recorded, autotrack.start_run() as run:
        run.log_model(Net(tensor(1)))
        (model,) = recorded.runs()[0].models

        def full(self: Blobs, recipe: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Blobs, "put_recipe", full)
            with pytest.raises(BackendUnavailable, match="No space left"):
                prepared(tmp_path, model)
        assert run.load_model() == (tensor(1), {"in": 1})


def test_a_reader_and_the_forwarder_that_name_a_model_at_once_agree(tmp_path: Path) -> None:
    with recording(tmp_path) as recorded, autotrack.start_run() as run:
        run.log_model(Net(*[tensor(letter) for letter in range(30)]))
        (model,) = recorded.runs()[0].models
    script = (
        "import sys, msgspec; from pathlib import Path; from autotrack.events import decode;"
        "from autotrack.forward.prepare import prepared; sys.stdin.readline();"
        "print(prepared(Path(sys.argv[1]), decode(bytes.fromhex(sys.argv[2]))).digest)"
    )
    command = [sys.executable, "-c", script, str(tmp_path), encode(model).hex()]
    found = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in found:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    digests = {one.communicate(timeout=60)[0].strip() for one in found}
    assert digests == {hashlib.sha256(b"".join(tensor(letter) for letter in range(30))).hexdigest()}
