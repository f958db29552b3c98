"""pandas: where a frame came from, as a part of the record of the dataset that it becomes.

    import autotrack
    autotrack.enable()                       # before or after `import pandas`

    customers = pandas.read_parquet("customers.parquet")
    model.fit(customers[["age", "income"]], customers["churned"])

The dataset of the run then has `source`: `{kind: "file", path, bytes, mtime}`, with the pointer of DVC where one
covers the file, or `{kind: "sql", statement, database}` with secrets masked. It is marked as claimed: nothing compares
the file with what was trained on; that is what the fingerprint is for. A frame that was taken out of another one is
told by its columns, where only one reading had them all (`by: "columns"`).

Observed are `read_csv`, `read_table`, `read_parquet`, `read_feather`, `read_orc`, `read_json`, `read_excel`,
`read_hdf`, `read_pickle`, `read_sql`, `read_sql_query` and `read_sql_table`. They open no run, no frame is changed, and
none is kept alive.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import Integration, hookimpl

PANDAS = Integration(
    name="pandas",
    module="pandas",
    install="autotrack_pandas.hooks:install",
    requires=("pandas>=1.5",),
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(PANDAS)
