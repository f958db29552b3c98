"""Identifying data: the fingerprint beside raw hashes of the same bytes and beside what other tools take for a digest.

Each is labelled by what it covers, which is tried rather than believed: the last value, boolean and timestamp are
changed, and the digest is looked at again. Times are processor time of one thread, the best of some rounds;
GB are the bytes that lie in memory (of texts, those of their UTF-8 and an offset each).

    python benchmarks/fingerprint.py            # arrays of 800 MB, a frame of 2 million rows
    python benchmarks/fingerprint.py 0.1        # a tenth of that
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from xxhash import xxh3_128_digest

from autotrack.provenance.fingerprint import fingerprint

GB = 1e9
ROUNDS = 5


def best(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of processor time, of the fastest round."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return min(taken)


def value(data: Any) -> object:
    return fingerprint(data, rows=False).value


def value_and_rows(data: Any) -> object:
    found = fingerprint(data)
    return found.value, found.rows


def sha256(data: Any) -> object:
    return hashlib.sha256(data).digest()


def joblib_hash(data: Any) -> object:
    import joblib

    return joblib.hash(data)


def datasets_hasher(data: Any) -> object:
    from datasets.fingerprint import Hasher

    return Hasher.hash(data)


def mlflow_digest(data: Any) -> object:
    from mlflow.data.digest_utils import compute_numpy_digest, compute_pandas_digest

    return compute_pandas_digest(data) if isinstance(data, pd.DataFrame) else compute_numpy_digest(data)


def frame(rows: int) -> pd.DataFrame:
    """Twenty columns: floats, integers, booleans, timestamps, a categorical and texts."""
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(rows, 10)), columns=[f"f{place}" for place in range(10)])
    for place in range(5):
        made[f"i{place}"] = rng.integers(0, 10 ** (place + 1), rows)
    made["flag"] = rng.random(rows) < 0.5
    made["other"] = rng.random(rows) < 0.1
    made["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**8, rows), unit="s")
    made["where"] = pd.Categorical(rng.choice(["north", "south", "east", "west"], rows))
    made["name"] = pd.Series([f"customer {number}" for number in rng.integers(0, 100_000, rows)], dtype="str")
    return made


def changed(data: Any, column: str | None = None) -> Any:
    """A copy with its last value changed, of a frame in the given column."""
    other = data.copy()
    if column is None:
        other.flat[-1] += 1
    else:
        last = other[column].iloc[-1]
        other.loc[len(other) - 1, column] = (
            not last if column == "flag" else last + (pd.Timedelta(days=365) if column == "when" else 1)
        )
    return other


def covers(digest: Callable[[Any], object], data: Any) -> str:
    """What a digest sees of the changes that are tried."""
    if not isinstance(data, pd.DataFrame):
        return "all values" if digest(data) != digest(changed(data)) else "NOT the last value"
    before = digest(data)
    tried = {"f0": "late rows", "flag": "booleans", "when": "timestamps"}
    missed = [word for column, word in tried.items() if digest(changed(data, column)) == before]
    return "NOT " + ", ".join(missed) if missed else "all values"


def report(name: str, seconds: float, size: float, covered: str) -> None:
    print(f"    {name:28} {seconds * 1e3:10.1f} ms {size / GB / seconds:8.2f} GB/s   {covered}", flush=True)


def compare(data: Any, size: float, *, raw: bool) -> None:
    slow = 1 if size > 0.1 * GB else ROUNDS
    if raw:
        report(
            "xxh3_128 of the bytes", best(lambda: xxh3_128_digest(data)), size, "bytes: another dtype is another digest"
        )
        report("sha256 of the bytes", best(lambda: sha256(data), slow), size, "bytes")
    for name, digest, rounds in (
        ("autotrack value", value, ROUNDS),
        ("autotrack value and rows", value_and_rows, slow),
        ("joblib.hash", joblib_hash, slow),
        ("datasets Hasher", datasets_hasher, slow),
        ("mlflow digest", mlflow_digest, slow),
    ):
        digest(data)  # imports
        report(name, best(lambda digest=digest: digest(data), rounds), size, covers(digest, data))


def main() -> None:
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rng = np.random.default_rng(0)
    floats = rng.standard_normal(int(2e8 * scale), dtype=np.float32)
    print(f"float32, {floats.nbytes / 1e6:.0f} MB")
    compare(floats, floats.nbytes, raw=True)

    print("contiguous columns, value alone")
    n = int(2e7 * scale)
    for name, column in (
        ("float64", rng.normal(size=n)),
        ("float64 of whole numbers", rng.integers(0, 1000, n).astype("f8")),
        ("float64, one in ten NaN", np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))),
        ("int64", rng.integers(0, 1000, n)),
        ("int8", rng.integers(-100, 100, n, dtype=np.int8)),
        ("bool", rng.random(n) < 0.5),
        ("datetime64[ns]", rng.integers(0, 10**18, n).astype("M8[ns]")),
        ("float64, 20 columns, by rows", rng.normal(size=(n // 20, 20))),
        ("float64, 20 columns, by columns", np.asfortranarray(rng.normal(size=(n // 20, 20)))),
        ("float32, 784 columns, by rows", rng.random((n // 400, 784), dtype=np.float32)),
        ("float32, images 3 x 32 x 32", rng.random((n // 2000, 3, 32, 32), dtype=np.float32)),
    ):
        in_memory = column.ravel(order="K").view(np.uint8)
        line = best(lambda in_memory=in_memory: xxh3_128_digest(in_memory))
        taken = best(lambda column=column: value(column))
        raw = column.nbytes / GB / line
        print(f"    {name:32} {column.nbytes / GB / taken:6.2f} GB/s   (xxh3 of the bytes: {raw:.1f})", flush=True)

    table = frame(int(2e6 * scale))
    size = sum(table[name].array.nbytes for name in table)
    print(f"frame of {len(table):,} rows and {table.shape[1]} columns, {size / 1e6:.0f} MB")
    compare(table, size, raw=False)

    print("small data, value and rows")
    for rows, columns in ((150, 4), (200, 20), (20_000, 20)):
        small = rng.normal(size=(rows, columns))
        for name, data in (("array", small), ("frame", pd.DataFrame(small))):
            times = 200 if rows < 1000 else 10
            both = best(lambda data=data, times=times: [fingerprint(data) for _ in range(times)]) / times
            alone = best(lambda data=data, times=times: [value(data) for _ in range(times)]) / times
            print(f"    {name} {rows:,} x {columns}: value {alone * 1e6:,.0f} us, with rows {both * 1e6:,.0f} us")


if __name__ == "__main__":
    main()
