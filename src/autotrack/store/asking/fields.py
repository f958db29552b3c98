"""The fields that can be asked for, under the names that the JSON of a run has.

A word enters, such as `metrics.val/loss.min` or `params."a b"`; a `Field` leaves that says what it is compared as.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from autotrack.store.asking.directions import higher_is_better
from autotrack.store.asking.words import Word, fault, quote

Kind = Literal["text", "time", "duration", "float", "count", "step", "scalar"]
"""What a field is compared as; a `scalar` is whatever was logged: text, a number, or true or false."""

TEXTS: Final = ("id", "name", "project", "status", "integration", "parent_id")
TIMES: Final = ("started_at", "ended_at")
STATUSES: Final = ("running", "finished", "failed", "killed", "pruned")
PARTS: Final[dict[str, Kind]] = {
    "last": "float",
    "min": "float",
    "max": "float",
    "best": "float",
    "first_step": "step",
    "last_step": "step",
    "count": "count",
}
DOCUMENTS: Final = ("code", "environment", "notebook", "randomness")
ERROR: Final = ("type", "message", "traceback")
MODELS: Final[dict[str, Kind]] = {
    "name": "text",
    "format": "text",
    "digest": "text",
    "bytes": "count",
    "step": "step",
    "problem": "text",
}
ARTIFACTS: Final[dict[str, Kind]] = {"name": "text", "digest": "text", "bytes": "count", "media_type": "text"}
ROOTS: Final = (*TEXTS, *TIMES, "duration", "params", "metrics", "tags", "datasets", *DOCUMENTS)
ROOTS_TOO: Final = ("models", "artifacts", "error")


@dataclass(frozen=True)
class Field:
    """One field. `key` is the param's, metric's or tag's, the dataset's role; `path` leads into a document."""

    root: str
    kind: Kind
    word: Word
    key: str = ""
    part: str = ""
    path: tuple[str, ...] = ()
    shortened: bool = False
    """Whether it is a hash, which may be given by its beginning."""


def field(word: Word, text: str) -> Field:
    """The field that a word names. Raises `QueryError`, which points at it."""
    segments = _segments(word, text)
    root, rest = segments[0][0], segments[1:]
    if segments[0][1] or root not in (*ROOTS, *ROOTS_TOO):
        fault(_unknown(root), text, word)
    if root in TEXTS or root in TIMES or root == "duration":
        if rest:
            fault(f"{root} has no parts", text, word)
        return Field(root, "text" if root in TEXTS else "time" if root in TIMES else "duration", word)
    if root == "error":
        return _error(rest, text, word)
    if root == "datasets":
        return _dataset(rest, text, word)
    if root in ("models", "artifacts"):
        return _file(root, rest, text, word)
    if not rest:
        example = {"params": "params.lr", "metrics": "metrics.loss.min", "tags": "tags.team"}.get(root, "code.commit")
        fault(f"{root} of what? Write a key behind it, as in {example}", text, word)
    if root in DOCUMENTS:
        path = tuple(name for name, _ in rest)
        return Field(root, "scalar", word, path=path, shortened=path == ("commit",))
    if root == "metrics":
        return _metric(rest, text, word)
    return Field(root, "text" if root == "tags" else "scalar", word, key=_key(rest))


def condition(name: str, value: object) -> str:
    """The text of a condition that holds for runs whose field `name` is this value, as `Found.runs` gives it."""
    if value is None:
        return f"{name} is null"
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    if isinstance(value, int | float):
        return f"{name} = {value!r}"
    return f"{name} = {quote(str(value))}"


def _segments(word: Word, text: str) -> list[tuple[str, bool]]:
    """The parts between dots, each with whether it was quoted; within quotes a dot is a letter like any other."""
    found: list[tuple[str, bool]] = []
    wanted = True  # whether a segment has to come now
    for piece, quoted in word.pieces:
        if quoted:
            if not wanted:
                fault("a dot is missing before the quote", text, word)
            found.append((piece, True))
            wanted = False
            continue
        names = piece.split(".")
        if not wanted and names[0]:
            fault("a dot is missing behind the quote", text, word)
        inner = names if wanted else names[1:]
        wanted = inner[-1] == ""
        for name in inner[:-1] if wanted else inner:
            if not name:
                fault("nothing stands between two dots; a key with dots may be quoted", text, word)
            found.append((name, False))
    if wanted:
        fault("a name has to follow the dot" if found else "a field has to stand here, such as status", text, word)
    return found


def _key(segments: list[tuple[str, bool]]) -> str:
    return ".".join(name for name, _ in segments)


def _metric(rest: list[tuple[str, bool]], text: str, word: Word) -> Field:
    name, quoted = rest[-1]
    part = name if not quoted and name in PARTS and len(rest) > 1 else "last"
    key = _key(rest[:-1] if part == name and len(rest) > 1 and not quoted else rest)
    if part == "best":
        higher = higher_is_better(key)
        if higher is None:
            fault(
                f"the name {key!r} does not tell whether more is better: write .max or .min instead of .best",
                text,
                word,
            )
        part = "max" if higher else "min"
    return Field("metrics", PARTS[part], word, key=key, part=part)


def _dataset(rest: list[tuple[str, bool]], text: str, word: Word) -> Field:
    names = [name for name, _ in rest]
    if not rest or (len(rest) == 1 and rest[0] in (("name", False), ("role", False), ("value", False))):
        role, path = "", names or ["value"]
    else:
        role, path = names[0], names[1:] or ["value"]
    if path in (["name"], ["role"]):
        return Field("datasets", "text", word, key=role, part=path[0])
    hashed = path in (["value"], ["schema"], ["rows"], ["strict"])
    return Field("datasets", "scalar", word, key=role, path=tuple(path), shortened=hashed)


def _file(root: str, rest: list[tuple[str, bool]], text: str, word: Word) -> Field:
    known = MODELS if root == "models" else ARTIFACTS
    name = _key(rest)
    if name not in known:
        fault(f"{root} are asked for by {', '.join(f'{root}.{one}' for one in known)}", text, word)
    return Field(root, known[name], word, part=name, shortened=name == "digest")


def _error(rest: list[tuple[str, bool]], text: str, word: Word) -> Field:
    name = _key(rest) if rest else "message"
    if name not in ERROR:
        fault(f"error has the parts {', '.join(ERROR)}", text, word)
    return Field("error", "text", word, path=(name,))


def _unknown(root: str) -> str:
    close = get_close_matches(root.lower(), (*ROOTS, *ROOTS_TOO), 1)
    if close:
        return f"there is no field {root!r}; did you mean {close[0]}?"
    return f"there is no field {root!r}; there are {', '.join((*ROOTS, *ROOTS_TOO))} (a param is params.{root})"
