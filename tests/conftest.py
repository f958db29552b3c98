"""What holds for all tests: how the process that runs them stands towards its checkout and towards Ctrl-C.

It does not take the checkout that the tests are in for a user's code; scripts that tests start do, each for the folder
that it is in. And it heeds SIGINT, as a user's shell does, also where it was started in the background with that signal
ignored: a process that a test starts would inherit that, and could not be interrupted.
"""

import signal

import pytest

from autotrack.provenance import witnesses

witnesses.PLACES = tuple(place for place in witnesses.PLACES if ".code." not in place)  # type: ignore[misc]


@pytest.fixture(autouse=True)
def heeded_interrupts() -> None:
    """Before each test, since products change how signals are met, some of them behind Python's back."""
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.default_int_handler)
