"""A dataset of a run in Croissant, the JSON-LD that dataset catalogues read.

Written after the specification 1.0 (http://mlcommons.org/croissant/1.0). The record of the dataset enters, as the store
keeps it. A file is named with its SHA-256 where the record has one; what only claims to be the source is told in words.
Licence, address and authors are not in any record: whoever publishes the dataset must add them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath
from typing import Any, Final

from autotrack.lineage.columns import columns_of
from autotrack.provenance.fingerprint.sources import of_path

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.0"

CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
            "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}  # fmt: skip
"""The context that the specification gives, with the terms that it defines."""

_TYPES: Final = (
    (r"u?int\d*|integer|long", "sc:Integer"),
    (r"b?float\d*|double|decimal.*|half", "sc:Float"),
    (r"bool(ean)?", "sc:Boolean"),
    (r"datetime.*|timestamp.*|date", "sc:Date"),
    (r"str(ing)?|large_string|utf8|object|category|categorical|enum", "sc:Text"),
)
_FORMATS: Final = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".parquet": "application/x-parquet",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".zip": "application/zip",
}


def croissant(
    run: dict[str, Any], dataset: dict[str, Any], *, license: str | None = None, url: str | None = None,
    creator: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The description of one dataset of the record `run`; `dataset` is one of its `datasets`.

    `license`, `url` and `creator` are what its publisher says of it.
    """
    told = dataset["fingerprint"]
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": dataset["name"],
        "description": _description(run, dataset),
    }
    if told.get("value"):
        described["identifier"] = told["value"]
    described |= {key: value for key, value in (("license", license), ("url", url)) if value is not None}
    if creator is not None:
        described["creator"] = {"@type": "sc:Person", "name": creator}
    source = told.get("source")
    if isinstance(source, dict) and source.get("kind") == "huggingface" and source.get("repo"):
        at = f"/tree/{source['commit']}" if source.get("commit") else ""
        described["sameAs"] = f"https://huggingface.co/datasets/{source['repo']}{at}"
    file, columns = _file(told), columns_of(told)
    if file is not None:
        described["distribution"] = [file]
        if columns:
            described["recordSet"] = [_record_set(dataset["name"], columns, file["@id"])]
    elif columns:
        # A field of Croissant must say from which file it comes; these columns were seen in memory alone.
        described["variableMeasured"] = [_variable(column) for column in columns]
    return described


def _description(run: dict[str, Any], dataset: dict[str, Any]) -> str:
    told = dataset["fingerprint"]
    sizes = [f"{told[key]:,} {what}" for key, what in (("n_rows", "rows"), ("n_columns", "columns")) if told.get(key)]
    said = [f"The {dataset['role']} data of run {run['id']} ({run['name']}), as it was passed to the training"]
    said[0] += f": {', '.join(sizes)}." if sizes else "."
    if told.get("value"):
        said.append(f"Fingerprint of its values: {told['value']}.")
        if told.get("coverage", 1) != 1:
            said.append(f"It covers {told['coverage']:.0%} of the data.")
    source = told.get("source")
    if isinstance(source, dict):
        named = [
            str(source[key]) for key in ("path", "uri", "repo", "commit", "version", "statement") if source.get(key)
        ]
        said.append(f"It is said to have been read from {source.get('kind', 'a place')} {', '.join(named)}.")
    return " ".join(said)


def _file(told: dict[str, Any]) -> dict[str, Any] | None:
    """The file that the data were read from, where a digest of it can be told: without one nobody knows it again.

    That is one that the record holds, also that of DVC; or that of the file itself, if it still is what it was then.
    """
    source = told.get("source")
    if not isinstance(source, dict) or source.get("kind") != "file" or not isinstance(source.get("path"), str):
        return None
    digest = _digest(source)
    if digest is None:
        return None
    name = PurePath(source["path"]).name
    form = _FORMATS.get(PurePath(name).suffix.lower(), "application/octet-stream")
    file = {"@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name, "encodingFormat": form}
    size = source.get("bytes")
    return {**file, **({"contentSize": f"{size} B"} if isinstance(size, int) else {}), **digest}


def _digest(source: dict[str, Any]) -> dict[str, str] | None:
    held = source.get("sha256")
    if isinstance(held, str) and re.fullmatch("[0-9a-f]{64}", held):
        return {"sha256": held}
    kept = (source.get("dvc") or {}).get("md5")
    if isinstance(kept, str) and re.fullmatch("[0-9a-f]{32}", kept):
        return {"md5": kept}
    now = of_path(source["path"])
    if now is None or any(now.get(key) != source.get(key) for key in ("kind", "path", "bytes", "mtime")):
        return None
    try:
        with open(source["path"], "rb") as opened:
            return {"sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
    except OSError:
        return None


def _record_set(name: str, columns: list[dict[str, Any]], file: str) -> dict[str, Any]:
    fields = []
    for column in columns:
        field = {"@type": "cr:Field", "@id": f"{name}/{column['name']}", "name": column["name"]}
        kind = data_type(str(column.get("dtype") or ""))
        if kind is not None:
            field["dataType"] = kind
        source = {"fileObject": {"@id": file}, "extract": {"column": column["name"]}}
        fields.append({**field, "source": source, **({"repeated": True} if (column.get("width") or 1) > 1 else {})})
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _variable(column: dict[str, Any]) -> dict[str, Any]:
    told = {"@type": "sc:PropertyValue", "name": column["name"]}
    words = [str(column["dtype"])] if column.get("dtype") else []
    if (column.get("width") or 1) > 1:
        words.append(f"{column['width']} columns")
    return {**told, **({"description": ", ".join(words)} if words else {})}


def data_type(dtype: str) -> str | None:
    """Croissant's type for what a library calls `dtype`; None where it has none."""
    return next((kind for pattern, kind in _TYPES if re.fullmatch(pattern, dtype.lower().split("[")[0])), None)


__all__ = ["croissant", "data_type"]
