"""From the exception that left a training call, if any, to the status and the error of its run."""

from __future__ import annotations

import traceback

from autotrack.events import Status


def status_of(error: BaseException | None) -> Status:
    """`finished` without an exception; `killed` for Ctrl-C and `SystemExit`; `failed` for any other."""
    if error is None:
        return "finished"
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return "killed"
    return "failed"


def error_record(error: BaseException | None) -> dict[str, str] | None:
    """The error as the record keeps it: `{type, message, traceback}`."""
    if error is None:
        return None
    try:
        message = str(error)
    except Exception:  # a user's exception whose __str__ raises
        message = "<no message: its __str__ raised>"
    return {
        "type": type(error).__qualname__,
        "message": message,
        "traceback": "".join(traceback.format_exception(error)),
    }
