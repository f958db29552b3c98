"""`AutotrackTracker`: accelerate's own way to ask for a run, by `log_with`, with or without `autotrack.enable()`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from accelerate.tracking import GeneralTracker

from autotrack.plugin import guarded, observe_for_callback
from autotrack_accelerate import ACCELERATE, media, naming
from autotrack_accelerate.recording import Recording

if TYPE_CHECKING:
    from autotrack.run import Run


class AutotrackTracker(GeneralTracker):  # type: ignore[misc]  # accelerate has no types
    """Record what the accelerator logs that this tracker is passed to, by name or as an object.

    With `run`, into that run, which is not ended; else into the run that is open (`autotrack.start_run`), or into a new
    one called `name` with `tags`. To one that is asked for by name,
    `init_trackers(project, init_kwargs={"autotrack": {"name": …}})` gives the same. A pickled or copied tracker forgets
    its `run`, which belongs to this process.
    """

    name = naming.NAME
    requires_logging_directory = False
    main_process_only = True

    def __init__(
        self,
        project_name: str | None = None,
        *,
        run: Run | None = None,
        name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Options of `init_kwargs` that are not known are left alone, as accelerate's own trackers do with theirs."""
        super().__init__()
        self.recording: Recording | None = None
        self._asked = {"project": project_name, "given": run, "name": name, "tags": dict(tags or {})}
        observe_for_callback(ACCELERATE)

    def start(self) -> None:
        """Wait for the training to begin; after one that has ended, for another."""
        with guarded("accelerate"):
            if self.recording is not None and self.recording.run is not None and not self.recording.is_open:
                self.recording = None
            self._ready().wait()

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Take the config as params."""
        with guarded("accelerate"):
            self._ready().configure(values)

    def log(self, values: Mapping[str, Any], step: int | None = None, **more: Any) -> None:
        """Record metrics."""
        with guarded("accelerate"):
            self._ready().log(values, step)

    def log_images(self, values: Mapping[str, Sequence[Any]], step: int | None = None, **more: Any) -> None:
        """Keep each list of images as `images/NAME/STEP-0.png` and on, of the last step logged where none is given."""
        with guarded("accelerate"):
            for name, images in values.items():
                for index, image in enumerate(images):
                    self._keep(f"images/{name}", step, f"-{index}.png", partial(media.png, image))

    def log_table(
        self,
        table_name: str,
        columns: Sequence[str] | None = None,
        data: Sequence[Sequence[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
        **more: Any,
    ) -> None:
        """Keep a table as `tables/NAME/STEP.csv`: a frame of pandas or polars, or `data`, row by row."""
        with guarded("accelerate"):
            self._keep(f"tables/{table_name}", step, ".csv", partial(media.table, columns, data, dataframe))

    def finish(self) -> None:
        """End the run, unless it is the user's."""
        with guarded("accelerate"):
            if self.recording is not None:
                self.recording.finish(sys.exc_info()[1])

    @property
    def tracker(self) -> Run | None:
        """The run, which begins if it has not yet."""
        with guarded("accelerate"):
            return self._ready().open()
        return None

    def adopt(self, recording: Recording) -> Recording:
        """Record into what `init_trackers` has been seen to begin; gives what is recorded into."""
        own = self.recording
        if own is not None and own is not recording and own.run is not None:
            return own
        self.recording = self._asking(recording)
        recording.wait()
        return recording

    def _keep(self, folder: str, step: int | None, ending: str, made: Callable[[], bytes]) -> None:
        recording = self._ready()
        run = recording.open()
        if run is None:
            return
        at = step if step is not None else recording.step
        name = f"{folder}/{0 if at is None else at}{ending}"
        try:
            content = made()
        except (ImportError, ValueError) as problem:
            run.note(name, str(problem))
        else:
            run.log_artifact(content, name)

    def _ready(self) -> Recording:
        if self.recording is None:
            self.recording = self._asking(Recording())
        return self.recording

    def _asking(self, recording: Recording) -> Recording:
        recording.explicit = True
        for key, value in self._asked.items():
            if value:
                setattr(recording, key, value)
        return recording

    def __getstate__(self) -> dict[str, Any]:
        return {"asked": {**self._asked, "given": None}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.recording, self._asked = None, state["asked"]
        observe_for_callback(ACCELERATE)
