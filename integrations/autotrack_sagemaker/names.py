"""Names and texts as SageMaker takes them (the service models `sagemaker` and `sagemaker-metrics` of botocore 1.44).

Entities are named `[a-z0-9](-*[a-z0-9])*`, keys and values of tags hold letters, digits, spaces and `_ . : / = + - @`,
and most other texts match `.*`, which in the service's regular expressions ends at any end of a line.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from functools import lru_cache
from typing import Final

KEY_LENGTH: Final = 255
"""Of a metric's name. A param's key may have 320 characters, which leaves room for `TAG_PARAM`."""
KEY_CHARACTERS: Final = r"[\t -~\u00a0-\u2027\u202a-\U0010ffff]"
TEXT_LENGTH: Final = 2500
"""Of a param's text."""
ENTITY_LENGTH: Final = 120
GROUP_LENGTH: Final = 63
TAG_KEY_LENGTH, TAG_LENGTH = 128, 256
MESSAGE_LENGTH: Final = 1024

PREFIX: Final = "autotrack-"
TAG_PARAM: Final = "autotrack.tag."
"""Before the key of a tag that AWS does not take: it is a param."""

LINE_ENDS: Final = re.compile("[\n\r\x85\u2028\u2029]+")
_UNSAFE: Final = re.compile("[^a-zA-Z0-9]+")


def entity_of(run: str) -> str:
    """The name of the trial component, and of the trial, of a run: always the same."""
    return PREFIX + safe_name(run, ENTITY_LENGTH - len(PREFIX), lower=True)


@lru_cache(maxsize=4096)
def safe_name(text: str, length: int, *, lower: bool = False) -> str:
    """`text` as the name of an entity: two texts that differ give two names."""
    name = shown_name(text.lower() if lower else text, length)
    if name == text:
        return name
    mark = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:8]
    return f"{name[: length - 9]}-{mark}".strip("-").replace("--", "-")


def shown_name(text: str, length: int = ENTITY_LENGTH) -> str:
    """`text` as SageMaker can show it: others than ASCII letters and digits are `-`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _UNSAFE.sub("-", plain).strip("-")[:length].strip("-") or "unnamed"


def one_line(text: str) -> str:
    """A text without ends of lines: one that has some is written as JSON."""
    return json.dumps(text) if LINE_ENDS.search(text) else text


def is_tag(key: str, value: str) -> bool:
    """Whether AWS takes this tag as it is."""
    return (
        0 < len(key) <= TAG_KEY_LENGTH
        and len(value) <= TAG_LENGTH
        and not key.lower().startswith("aws:")
        and all(text == text.strip() and all(map(_in_tags, text)) for text in (key, value))
    )


def _in_tags(character: str) -> bool:
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LNZ"
