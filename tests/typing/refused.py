"""What a user's type checker must refuse. Checked by mypy, never run; `E:` marks each line where an error must be."""

import autotrack
from autotrack.backend import Backend
from autotrack.plugin import Integration

run = autotrack.start_run("a")
run.log_metrics({"loss": 0.1}, step=[1])  # E: arg-type
run.log_metrics("loss", 0.1)  # E: arg-type
run.end("done")  # E: arg-type
run.log_metrik("loss", 0.1)  # E: attr-defined
autotrack.enable(backends=3)  # E: arg-type
autotrack.runs(limit="ten")  # E: arg-type
Integration(name="acme")  # E: call-arg


class NotWhole:
    """A backend without `deliver`."""


backend: Backend = NotWhole()  # E: assignment
