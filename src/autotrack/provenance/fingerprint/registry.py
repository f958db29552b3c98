"""Who can read which type: readers turn an object into a `Table`, or into named `Parts`.

Types are told by name, so that no package is imported to recognise them. A product's plugin adds its own types:

    from autotrack.plugin import register_reader

    register_reader("acme.frames.Frame", read_frame)      # and what derives from it

A reader must not change, keep or consume what it is given. It gives a `Table` or `Parts`, or another object that can be
read in its place (a numpy array, an Arrow table, a mapping of parts), or None where this very object cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.tables import Identified, Parts, Table

Reader: TypeAlias = Callable[[Any], Any]
"""`read(data)` gives a `Table`, `Parts`, `Identified`, an object to read instead, or None."""

BUILT_IN: Final[dict[str, str]] = {
    "builtins.list": "plain:read_list",
    "builtins.tuple": "plain:read_list",
    "builtins.range": "plain:read_buffer",
    "array.array": "plain:read_buffer",
    "numpy.ndarray": "arrays:read_array",
    "numpy.ma.MaskedArray": "arrays:read_masked",
    "numpy.ma.core.MaskedArray": "arrays:read_masked",
    "pandas.DataFrame": "frames:read_frame",
    "pandas.core.frame.DataFrame": "frames:read_frame",
    "pandas.Series": "frames:read_series",
    "pandas.core.series.Series": "frames:read_series",
    "pandas.Index": "frames:read_index",
    "pandas.core.indexes.base.Index": "frames:read_index",
    "pandas.core.arrays.base.ExtensionArray": "frames:read_extension",
    "pandas.api.extensions.ExtensionArray": "frames:read_extension",
    "polars.dataframe.frame.DataFrame": "polar:read_frame",
    "polars.series.series.Series": "polar:read_series",
    "pyarrow.lib.Table": "arrow:read_table",
    "pyarrow.lib.RecordBatch": "arrow:read_table",
    "pyarrow.lib.ChunkedArray": "arrow:read_array",
    "pyarrow.lib.Array": "arrow:read_array",
    "datasets.arrow_dataset.Dataset": "arrow:read_dataset",
    "duckdb._relation.DuckDBPyRelation": "arrow:read_relation",
    "_duckdb.DuckDBPyRelation": "arrow:read_relation",
    "duckdb.duckdb.DuckDBPyRelation": "arrow:read_relation",
    "torch.Tensor": "tensors:read_torch",
    "jaxlib._jax.ArrayImpl": "tensors:read_jax",
    "jaxlib.xla_extension.ArrayImpl": "tensors:read_jax",
    "tensorflow.python.framework.ops.EagerTensor": "tensors:read_tensorflow",
    "pathlib.Path": "manifest:read_path",
    "pathlib._local.Path": "manifest:read_path",
    "builtins.str": "manifest:read_path",
    "scipy.sparse._base._spbase": "sparse:read_sparse",
    "scipy.sparse._base.spmatrix": "sparse:read_sparse",
}
"""Type name -> `module:function` of this package; the module is imported when the type is first met."""

MOST_STEPS: Final = 8
"""Objects that are read in the place of others, one after the other."""

_registered: dict[str, Reader] = {}


def register_reader(type_name: str, read: Reader) -> None:
    """Read objects of the type `package.module.Name`, or of one derived from it, with `read`."""
    _registered[type_name] = read


def read(data: Any) -> Table | Parts | Identified | None:
    """The table or the parts of `data`, or what is known of it already; None where nobody can read it."""
    from autotrack.provenance.fingerprint.tables import Identified, Parts, Table

    for _ in range(MOST_STEPS):
        if isinstance(data, Table):
            return _narrow(data)
        if data is None or isinstance(data, Parts | Identified):
            return data
        data = _step(data)
    return None


def _narrow(table: Table) -> Table:
    """The table, with its columns in one where there are too many to hash each."""
    from autotrack.provenance.fingerprint.tables import MOST_COLUMNS

    if len(table.columns) <= MOST_COLUMNS:  # a block is made of an array that has no more
        return table
    from autotrack.provenance.fingerprint.wide import widened

    return widened(table)


def is_readable(data: Any) -> bool:
    """Whether all of `data` can be read, of named parts each. Nothing is read for it."""
    from autotrack.provenance.fingerprint.tables import Parts

    found = read(data)
    if isinstance(found, Parts):
        return all(map(is_readable, found.parts.values()))
    return found is not None


def _step(data: Any) -> Any:
    from autotrack.provenance import dataset

    found = _reader_for(data)
    if found is not None:
        return found(data)
    if is_parts(data):
        from autotrack.provenance.fingerprint.tables import Parts

        return Parts({name: part for name, part in data.items() if part is not None})
    if dataset.load_describers is not None:  # the plugins register their types when they are loaded
        dataset.load_describers()
        found = _registered_for(data)
        if found is not None:
            return found(data)
    return _by_protocol(data)


def is_parts(data: Any) -> bool:
    """Whether `data` is a mapping of named parts, such as `{"X": …, "y": …}`."""
    return isinstance(data, Mapping) and bool(data) and all(isinstance(name, str) for name in data)


def _registered_for(data: Any) -> Reader | None:
    for kind in type(data).__mro__:
        found = _registered.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    return None


def _reader_for(data: Any) -> Reader | None:
    for kind in type(data).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        found = _registered.get(name)
        if found is not None:
            return found
        if name in BUILT_IN:
            return _built_in(BUILT_IN[name])
    return None


@cache
def _built_in(place: str) -> Reader:
    module, _, function = place.partition(":")
    reader: Reader = getattr(import_module(f"{__package__}.{module}"), function)
    return reader


def _by_protocol(data: Any) -> Any:
    """What says of itself, by a protocol, that it lies in memory: an array interface, or an Arrow table at hand."""
    kind = type(data)
    if hasattr(kind, "__array_interface__"):
        import numpy as np

        return np.asarray(data)
    to_arrow = getattr(data, "to_arrow", None)
    if hasattr(kind, "__arrow_c_stream__") and hasattr(kind, "__len__") and callable(to_arrow):
        table = to_arrow()
        return table if type(table).__module__.partition(".")[0] == "pyarrow" else None
    return None
