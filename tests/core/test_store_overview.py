"""What a chart of a long series is drawn from: exact about its points, and there for every full chunk."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from autotrack.errors import StoreError
from autotrack.events import MetricsLogged, Record
from autotrack.settings import load
from autotrack.store import overview, schema
from autotrack.store.curves import Curves, rows
from autotrack.store.engine import open_engine
from autotrack.store.ingest import ingest
from autotrack.store.series import FULL, Points, decode, from_steps

VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([1e308, -1e308, 0.0, -0.0, math.nan])
)


def points(values: list[float], steps: list[Any] | None = None) -> Points:
    numerators, scale = from_steps(list(range(len(values))) if steps is None else steps)
    times = np.arange(len(values), dtype=np.int64) * 1000
    return Points(numerators, scale, times, np.array(values, np.float64))


@given(values=st.lists(VALUES, min_size=1, max_size=400), size=st.integers(1, 150), most=st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_bounds_and_counts_are_those_of_the_points_however_often_they_are_joined(
    values: list[float], size: int, most: int
) -> None:
    made = overview.buckets(points(values), size)
    for found in (made, overview.merged(made, made["last_step"].astype(float), most)[1]):
        assert found["finite"].sum() == sum(map(math.isfinite, values))
        assert found["nan"].sum() == sum(map(math.isnan, values))
        assert found["above"].sum() == values.count(math.inf)
        assert found["below"].sum() == values.count(-math.inf)
        first = 0
        for bucket in found:
            part = [value for value in values[first : int(bucket["last_step"]) + 1] if math.isfinite(value)]
            first = int(bucket["last_step"]) + 1
            assert bucket["finite"] == len(part)
            if part:
                assert bucket["min"] == min(part)
                assert bucket["max"] == max(part)
            else:
                assert math.isnan(bucket["min"])
                assert math.isnan(bucket["max"])
        assert first == len(values)


def test_steps_that_no_float_holds_are_no_reason_to_lose_points() -> None:
    made = overview.buckets(points([1.0, 2.0, 3.0], [10**400, "0.5", -(10**400)]))
    assert (made["first_step"][0], made["last_step"][0]) == (-math.inf, math.inf)
    assert made["max"][0] == 3.0


@pytest.mark.parametrize("batch", [100, 3000, FULL, 50_000])
def test_every_full_chunk_has_its_overview_however_its_points_came(tmp_path: Path, batch: int) -> None:
    count = 3 * FULL + 777
    values = np.random.default_rng(3).normal(size=count)
    values[5::1000] = np.nan
    engine = open_engine(tmp_path, load({}, home=tmp_path))
    records = [
        Record("w", n, n, MetricsLogged("run", n, n, {"loss": float(value)})) for n, value in enumerate(values, 1)
    ]
    for first in range(0, count, batch):
        ingest(engine, records[first : first + batch])
    with engine.connect() as connection:
        row = rows(connection, ["run"], "loss")["run"]
        told = dict(
            tuple(one) for one in connection.execute(select(schema.overviews.c.number, schema.overviews.c.data))
        )
        kept = connection.execute(select(schema.chunks.c.number, schema.chunks.c.data)).all()
        full = {number: data for number, data in kept if number < row.full}
        assert told == {number: overview.encode(decode(data)) for number, data in full.items()}
        assert sum(overview.decode(told.values())["finite"]) == np.isfinite(values[: row.full * FULL]).sum()
        curve = Curves().curve(connection, row, "step", 100)
    assert np.nanmin(curve.low) == np.nanmin(values)
    assert np.nanmax(curve.high) == np.nanmax(values)
    engine.dispose()


def test_an_overview_of_another_version_is_refused() -> None:
    data = bytearray(overview.encode(points([0.5] * FULL)))
    data[0] = 9
    with pytest.raises(StoreError, match="upgrade"):
        overview.decode([bytes(data)])
    with pytest.raises(StoreError, match="damaged"):
        overview.decode([overview.encode(points([0.5] * FULL))[:-3]])
