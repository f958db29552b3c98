"""The gate `no-leakage`: rows that the candidate was trained on and is judged by.

What the run itself has recorded of it counts. Evaluations that were made in other runs, later, are looked up here: the
hashes of the rows of both are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from autotrack.contracts import Finding
from autotrack.provenance.fingerprint.rowsets import RowSet, Share

if TYPE_CHECKING:
    from autotrack.registry.evaluation import Evaluated
    from autotrack.registry.promotion import Promotion, Side

Record = dict[str, Any]

_JUDGED_BY: Final = ("test", "validation")


def no_leakage(promotion: Promotion, *, max_rows: int = 0) -> Finding:
    """Passes where at most `max_rows` rows of each dataset for evaluation were trained on, as far as is recorded."""
    side = promotion.candidate
    run = side.run
    if run is None:
        return Finding("refuse", "the run that made this version is not known here, nor what it was trained on")
    if not any(one["role"] == "train" for one in run["datasets"]):
        return Finding("not-applicable", "the run has no record of its training data")
    found = list(_recorded(run)) + list(_of_evaluations(side, run))
    told = {"datasets": found, "max_rows": max_rows}
    if not found and not any(one["role"] in _JUDGED_BY for one in run["datasets"]):
        return Finding("not-applicable", "the run has no record of data for evaluation", told)
    if not found:
        return Finding("refuse", "whether rows were trained on and judged by was not looked at", told)
    for one in found:
        if (one["rows"] or 0) > max_rows and not _usual(one):
            same = ", which is the same data" if one.get("same_data") else ""
            why = f"{one['rows']} of the {one['of']} rows of {one['dataset']} are in {one['with']}{same}"
            return Finding("refuse", why, told)
    for one in found:
        if one["rows"] is None:
            why = f"how many rows of {one['dataset']} are in {one['with']} is not known: {one['why']}"
            return Finding("refuse", why, told)
    return Finding("pass", "no row that it was judged by was trained on", told)


def _recorded(run: Record) -> Iterator[Record]:
    """What the run has noted while it went on."""
    for one in run["datasets"]:
        told = one["fingerprint"].get("leakage")
        for leak in [told, *(told.get("others") or ())] if isinstance(told, dict) else ():
            rest = {key: value for key, value in leak.items() if key != "others"}
            yield {"dataset": f"{one['role']}/{one['name']}", **rest}


def _of_evaluations(side: Side, run: Record) -> Iterator[Record]:
    """The evaluations of which the run itself has not noted it."""
    known = {value for one in run["datasets"] if one["role"] in _JUDGED_BY for value in _values(one["fingerprint"])}
    for one in side.evaluations:
        if one.evaluation.data not in known:
            named = {"dataset": f"the evaluation {one.evaluation.name!r}", "with": "the training data"}
            judged = _judged(side, one)
            if judged is None:
                why = "its rows were not recorded; give log_evaluation the rows as data"
                yield {**named, "rows": None, "of": one.evaluation.rows, "why": why}
            for train in run["datasets"] if judged is not None else ():
                if train["role"] == "train":
                    yield {**named, "with": f"train/{train['name']}", **_compared(side, train["fingerprint"], judged)}


def _judged(side: Side, one: Evaluated) -> Record | None:
    """The record of the data of an evaluation, in the run that made it."""
    for dataset in side.store.run(one.run)["datasets"]:
        if one.evaluation.data is not None and one.evaluation.data in list(_values(dataset["fingerprint"])):
            record: Record = dataset["fingerprint"]
            return record
    return None


def _compared(side: Side, train: Record, judged: Record | None) -> Record:
    one, other = _rows(side, train), _rows(side, judged or {})
    if one is None or other is None:
        return {"rows": None, "of": None, "why": "the hashes of rows were not taken, or are gone"}
    told: Record = {"of": other.n_rows, "repeated_in_train": round(one.repeated, 6)}
    if [name for name, _ in one.columns] != [name for name, _ in other.columns]:
        return {**told, "rows": None, "why": "they have other columns, or in another order"}
    share = Share.count(one.look_up(other.hashes))
    if share.yes:
        return {**told, "rows": share.yes, "at_least": True}
    unknown = share.known < share.of or not other.whole or not other.covered
    return {**told, "rows": None, "why": "not all rows were looked at"} if unknown else {**told, "rows": 0}


def _rows(side: Side, record: Record) -> RowSet | None:
    kept = record.get("row_set")
    if not isinstance(kept, dict):
        return None
    try:
        with side.blobs.open(str(kept["digest"])) as opened:
            return RowSet.decode(opened.read())
    except (OSError, ValueError):
        return None


def _values(record: Mapping[str, Any]) -> Iterator[str]:
    """The fingerprints of a dataset and of its parts."""
    if isinstance(record.get("value"), str):
        yield record["value"]
    for part in (record.get("parts") or {}).values():
        if isinstance(part, Mapping):
            yield from _values(part)


def _usual(told: Record) -> bool:
    """Whether rows are alike only as often as those of the training data are among themselves."""
    return not told.get("same_data") and told["rows"] / max(1, told["of"] or 1) <= told.get("repeated_in_train", 0.0)


__all__ = ["no_leakage"]
