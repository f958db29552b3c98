"""Where pandas is observed: at the functions of its own namespace that read a table."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from autotrack.plugin import Call, Installation, Outcome, data_queried, data_read, guarded

OF_FILES: Final = (
    "read_csv", "read_table", "read_parquet", "read_feather", "read_orc", "read_json", "read_excel", "read_hdf",
    "read_pickle",
)  # fmt: skip
OF_QUERIES: Final = ("read_sql", "read_sql_query", "read_sql_table")


def install(installation: Installation) -> None:
    """Place the observers; pandas has been imported."""
    import pandas

    for name in OF_FILES:
        if hasattr(pandas, name):
            installation.observe(pandas, name, watch_file)
    for name in OF_QUERIES:
        if hasattr(pandas, name):
            installation.observe(pandas, name, watch_query)


def watch_file(call: Call) -> Generator[None, Outcome, None]:
    """A file is read: the first argument says which, as a path, an address or an open file."""
    given = call.args[0] if call.args else next(iter(call.kwargs.values()), None)
    for name in ("filepath_or_buffer", "path", "path_or_buf", "io"):
        given = call.kwargs.get(name, given)
    place: Any = given if isinstance(given, str) or hasattr(given, "__fspath__") else getattr(given, "name", None)
    outcome = yield
    if outcome.error is None and (isinstance(place, str) or hasattr(place, "__fspath__")):
        with guarded("pandas"):
            data_read(outcome.result, place)


def watch_query(call: Call) -> Generator[None, Outcome, None]:
    """A query is put to a database, or a table of it read."""
    named = call.named()
    statement, connection = named.get("sql", named.get("table_name")), named.get("con")
    outcome = yield
    if outcome.error is None:
        with guarded("pandas"):
            data_queried(outcome.result, statement, connection)
