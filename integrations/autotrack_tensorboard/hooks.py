"""Where `SummaryWriter` is observed, torch's and tensorboardX's alike. Its own work goes on untouched.

Inside a training that autotrack records already, the framework's own logger says what the integration says: its calls
are left alone. What the script itself writes there is added to the training's run.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Generator, Mapping
from types import ModuleType
from typing import Any, Final

from autotrack.plugin import Call, Installation, Ongoing, Outcome, current, is_enabled, is_silent, silence
from autotrack_tensorboard.recording import NAME, Recording, begin

LOGGERS: Final = {
    **{name: name for name in ("accelerate", "catboost", "keras", "lightgbm", "optuna", "transformers", "xgboost")},
    **dict.fromkeys(("lightning", "lightning_fabric", "pytorch_lightning"), "lightning"),
    "trl": "transformers",
}
"""Packages whose own loggers feed TensorBoard, each with the integration that records the same."""

_WRITERS: Final = ("torch.utils.tensorboard", "tensorboardX")

_recordings: weakref.WeakKeyDictionary[Any, Recording | None] = weakref.WeakKeyDictionary()
_drawing: Ongoing[Recording] = Ongoing("tensorboard")


def install(installation: Installation) -> None:
    """Wait for either of the two modules that have a `SummaryWriter`."""
    installation.on_remove(_recordings.clear)
    for name in ("torch.utils.tensorboard.writer", "tensorboardX.writer"):
        installation.when_imported(name, lambda module: _place(installation, module))


def _place(installation: Installation, module: ModuleType) -> None:
    for name, observer in (
        ("__init__", watch_init),
        ("add_scalar", watch_add_scalar),
        ("add_scalars", watch_add_scalars),
        ("add_hparams", watch_add_hparams),
        ("add_text", watch_add_text),
        ("add_image", watch_pictures),
        ("add_images", watch_pictures),
        ("add_image_with_boxes", watch_pictures),
        ("__exit__", watch_exit),
        ("close", watch_close),
    ):
        installation.observe(module.SummaryWriter, name, observer)
    installation.observe(module.FileWriter, "add_summary", watch_add_summary)


def watch_init(call: Call) -> Generator[None, Outcome, None]:
    """A writer is made: a run begins, unless it belongs to a training that is recorded, or soon will be."""
    framework = _framework()
    passed = is_silent() or bool(framework) and is_enabled(LOGGERS[framework])
    outcome = yield
    if outcome.error is None and not passed:
        writer = call.args[0]
        open_ones = [one for one in list(_recordings.values()) if one is not None and one.is_open and one.owns]
        recording = begin(writer, open_ones)
        _recordings[writer] = recording
        if recording is not None:
            # A writer that nobody closes is let go of at some time, or the process ends.
            weakref.finalize(writer, recording.end).atexit = False


def watch_add_scalar(call: Call) -> Generator[None, Outcome, None]:
    """One point."""
    by_framework = is_silent() and bool(_framework())
    outcome = yield
    if outcome.error is None and not by_framework:
        given = _named(call, "tag", "scalar_value", "global_step")
        _log(call.args[0], {str(given.get("tag")): given.get("scalar_value")}, given.get("global_step"))


def watch_add_scalars(call: Call) -> Generator[None, Outcome, None]:
    """Several points of one step."""
    by_framework = is_silent() and bool(_framework())
    outcome = yield
    given = _named(call, "main_tag", "tag_scalar_dict", "global_step")
    values = given.get("tag_scalar_dict")
    if outcome.error is None and not by_framework and isinstance(values, Mapping):
        points = {f"{given.get('main_tag')}/{key}": value for key, value in values.items()}
        _log(call.args[0], points, given.get("global_step"))


def watch_add_hparams(call: Call) -> Generator[None, Outcome, None]:
    """Params and final metrics; the writer makes another one for them, which is no run of its own."""
    by_framework = is_silent() and bool(_framework())
    with silence():
        outcome = yield
    given = _named(call, "hparam_dict", "metric_dict")
    if outcome.error is not None or by_framework:
        return
    recording = _recordings.get(call.args[0])
    params, metrics = given.get("hparam_dict"), given.get("metric_dict")
    if recording is not None and isinstance(params, Mapping):
        recording.params(params)
    if isinstance(metrics, Mapping) and metrics:
        _log(call.args[0], {str(key): value for key, value in metrics.items()}, call.kwargs.get("global_step"))


def watch_add_text(call: Call) -> Generator[None, Outcome, None]:
    """A text."""
    outcome = yield
    recording = _recordings.get(call.args[0])
    if outcome.error is None and recording is not None and not (is_silent() and bool(_framework())):
        given = _named(call, "tag", "text_string", "global_step")
        content = str(given.get("text_string")).encode("utf-8", "replace")
        recording.file(f"text/{given.get('tag')}/{_step(given.get('global_step')) or 0}.md", content)


def watch_pictures(call: Call) -> Generator[None, Outcome, None]:
    """Pictures: what the writer makes of them is taken when it is written."""
    recording = _recordings.get(call.args[0])
    with _drawing.recorded_in(None if is_silent() and bool(_framework()) else recording):
        yield


def watch_add_summary(call: Call) -> None:
    """A summary is written: its pictures are encoded now."""
    recording = _drawing.now()
    if recording is None:
        return
    given = _named(call, "summary", "global_step")
    for value in getattr(given.get("summary"), "value", ()):
        if value.HasField("image"):
            name = f"images/{value.tag}/{_step(given.get('global_step')) or 0}.png"
            recording.file(name, value.image.encoded_image_string)


def watch_exit(call: Call) -> None:
    """A `with` block ends; an exception on its way out is what ended the run."""
    recording = _recordings.get(call.args[0])
    if recording is not None and len(call.args) > 2:
        recording.error = call.args[2]


def watch_close(call: Call) -> None:
    """The writer is closed."""
    recording = _recordings.get(call.args[0])
    if recording is not None:
        recording.end()


def _log(writer: Any, values: dict[str, Any], step: Any) -> None:
    recording = _recordings.get(writer)
    if recording is not None:
        recording.log(values, _step(step))
    elif is_silent() and (around := current()) is not None and around.run is not None:
        # The script's own points inside a training, through a writer that the framework made.
        around.run.log_metrics(values, _step(step), not_to=[NAME])


def _named(call: Call, *names: str) -> dict[str, Any]:
    return {**dict(zip(names, call.args[1:], strict=False)), **call.kwargs}


def _step(step: Any) -> Any:
    return step if step is None or isinstance(step, int) else int(step)


def _framework() -> str:
    """The package of the framework whose own logger the call comes from; empty where it is the script's."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        package = module.partition(".")[0]
        if package in LOGGERS:
            return str(package)
        if not module.startswith(_WRITERS) and package not in ("autotrack", "autotrack_tensorboard", "contextlib"):
            return ""
        frame = frame.f_back
    return ""
