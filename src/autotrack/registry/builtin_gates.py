"""Gates that go by records alone: safe format, signature, approvals, and a signature by a key.

Each takes a `Promotion` and its own options, and gives a `Finding`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotrack.contracts import Finding
from autotrack.plugins import plugins
from autotrack.provenance.fingerprint.leakage import FEATURES
from autotrack.registry.loading import runs_code

if TYPE_CHECKING:
    from autotrack.registry.promotion import Promotion, Side

Record = dict[str, Any]

_MOST_CONFIG: Final = 64 << 20


def safe_format(promotion: Promotion) -> Finding:
    """Passes where the file is in a format that runs nothing when it is read, and is the file that was registered."""
    side = promotion.candidate
    form = side.version.get("format")
    safe = sorted({name for one in plugins.load().formats for name in one.formats})
    told: Record = {"format": form, "digest": side.digest, "safe": safe}
    if form not in safe:
        return Finding("refuse", f"no plugin reads the format {form!r} without running code", told)
    if not side.blobs.verify(side.digest):
        return Finding("refuse", "the file is not here, or is no longer what was registered", told)
    with side.file() as path:
        if runs_code(path, str(form)):
            return Finding("refuse", f"the file holds a pickle, whatever its format {form!r} says", told)
        found = _keras_code(path)
    if found:
        return Finding("refuse", f"what is in the file runs code: {found}", {**told, "met": found})
    return Finding("pass", f"{form} runs no code when it is read", {**told, "verified": True})


def signature(promotion: Promotion) -> Finding:
    """Passes where the candidate takes the champion's inputs, by name, order and type, and gives the same outputs."""
    champion = promotion.champion
    if champion is None:
        return Finding(
            "not-applicable", f"{promotion.alias} points to nothing yet: there is nothing to be compatible with"
        )
    ours, theirs = _interface(promotion.candidate), _interface(champion)
    told = {"candidate": ours, "champion": theirs}
    compared = [key for key in ours if ours[key] is not None and theirs[key] is not None]
    if "inputs" in compared and "n_inputs" in compared:
        compared.remove("n_inputs")
    if not compared:
        return Finding("not-applicable", "neither record says what the models take and give", told)
    wrong: list[str] = []
    if "inputs" in compared:
        mine, needed = list(ours["inputs"]), list(theirs["inputs"])
        more, less = [name for name in mine if name not in needed], [name for name in needed if name not in mine]
        wrong += [f"it needs the new input{'s' * (len(more) > 1)} {', '.join(more[:5])}"] if more else []
        wrong += [f"it does not know the input{'s' * (len(less) > 1)} {', '.join(less[:5])}"] if less else []
        if not more and not less and mine != needed:
            wrong.append("its inputs are in another order")
    elif "n_inputs" in compared and ours["n_inputs"] != theirs["n_inputs"]:
        wrong.append(f"it takes {ours['n_inputs']} inputs, and the champion {theirs['n_inputs']}")
    if "types" in compared:
        wrong += [
            f"its input {name} is {kind}, and was {theirs['types'][name]}"
            for name, kind in ours["types"].items()
            if theirs["types"].get(name, kind) != kind
        ][:5]
    for key, what in (
        ("input_shape", "shape of its input"),
        ("outputs", "outputs"),
        ("output_shape", "shape of its output"),
    ):
        if key in compared and ours[key] != theirs[key]:
            wrong.append(f"the {what} is {ours[key]}, and was {theirs[key]}")
    if wrong:
        return Finding("refuse", "; ".join(wrong), told)
    return Finding("pass", f"the same {', '.join(key.replace('_', ' ') for key in compared)} as the champion's", told)


def approvals(promotion: Promotion, *, needed: int = 1) -> Finding:
    """Passes where `needed` people, other than who registered the version, approved and nobody has objected since."""
    version = promotion.candidate.version
    author = version.get("registered_by") or _trainer(promotion.candidate)
    objections = list(version.get("objections") or ())
    given = list(version.get("approvals") or ())
    others = sorted({str(one["who"]) for one in given if one.get("who") and one["who"] != author})
    told = {"needed": needed, "by": others, "registered_by": author, "approvals": given, "objections": objections}
    if objections:
        return Finding("refuse", f"{objections[0]['who']} objects: {objections[0]['why'] or 'no reason given'}", told)
    if len(others) < needed:
        own = " (who registered it does not count)" if any(one.get("who") == author for one in given) else ""
        return Finding("refuse", f"{needed} approvals are needed and there are {len(others)}{own}", told)
    return Finding("pass", f"approved by {', '.join(others)}" if others else "no approval is needed", told)


def signed(
    promotion: Promotion,
    *,
    keys: Sequence[str] | str = (),
    certificates: Sequence[str] | str = (),
    identity: str | None = None,
    issuer: str | None = None,
) -> Finding:
    """Passes where the file was signed by one of `keys`, by a certificate that one of `certificates` vouches for, or by
    `identity` of `issuer` through Sigstore.

    Keys and certificates are PEM, as text or the path of a file.
    """
    from autotrack.registry import signing

    accepted = signing.Accepted(_texts(keys), _texts(certificates), identity, issuer)
    if not accepted:
        return Finding(
            "refuse", "nobody said whose signature is accepted: give the option keys, the PEM of public keys"
        )
    done = signing.verify(promotion.candidate, accepted)
    return Finding("pass" if done.valid else "refuse", done.why, done.evidence)


def _trainer(side: Side) -> str | None:
    """Who trained the model, where a training has registered it by itself: its record says as whom it ran."""
    told = (side.run or {}).get("environment", {}).get("variables") or {}
    return next((str(told[name]) for name in ("AUTOTRACK_USER", "USER", "LOGNAME") if told.get(name)), None)


def _texts(given: Sequence[str] | str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _keras_code(path: Path) -> str | None:
    """What runs code in a file of Keras, which keeps the code of a lambda as marshalled bytes in its configuration."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            return None
        if archive.getinfo("config.json").file_size > _MOST_CONFIG:
            return "a configuration that is too large to be looked at"
        return "a lambda" if b'"__lambda__"' in archive.read("config.json") else None


def _interface(side: Side) -> Record:
    """What a model takes and gives, as far as the record says: None where it does not."""
    told = side.signature
    names = told.get("feature_names_in") or told.get("feature_names") or told.get("inputs")
    count = told.get("n_features_in", told.get("n_features"))
    types = _types(side)
    return {
        "inputs": [str(name) for name in names] if names else None,
        "types": {name: types[name] for name in names if name in types} or None if names else None,
        "n_inputs": count,  # where their names are not known
        "input_shape": told.get("input_shape"),
        "outputs": told.get("classes") or told.get("outputs"),
        "output_shape": told.get("output_shape"),
    }


def _types(side: Side) -> dict[str, str]:
    """The types of the columns that it was trained with."""
    for one in side.run["datasets"] if side.run is not None else ():
        if one["role"] == "train":
            record = one["fingerprint"]
            parts = record.get("parts")
            if isinstance(parts, Mapping) and parts:
                record = next((parts[name] for name in FEATURES if name in parts), next(iter(parts.values())))
            return {str(column["name"]): str(column["dtype"]) for column in record.get("columns") or ()}
    return {}


__all__ = ["approvals", "safe_format", "signature", "signed"]
