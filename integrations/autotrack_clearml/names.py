"""Names of metrics and texts as ClearML takes them."""

from __future__ import annotations

import re


def title_and_series(key: str) -> tuple[str, str]:
    """A metric's plot and its series in it; no two keys have the same.

    `val/loss` is `loss` in `val`. Where there are no two different names around the last slash, the key is both.
    """
    title, slash, series = key.rpartition("/")
    return (title, series) if slash and title and series and title != series else (key, key)


def key_of(title: str, series: str) -> str:
    """The key that has this plot and series."""
    return title if title == series else f"{title}/{series}"


def long_enough(name: str) -> str:
    """The name of a project or task as a server takes it: without blanks around it, of three characters at least."""
    return name.strip().ljust(3, "_")


def param_name(key: str) -> str:
    """A hyperparameter's name as a server takes it: without blanks around it, and not empty."""
    return key.strip() or "name"


def clean(text: str) -> str:
    """Text without halves of characters, which no JSON in UTF-8 holds."""
    return text.encode(errors="backslashreplace").decode()


def safe(name: str) -> str:
    """A file's name of letters, digits and `_ . -` alone."""
    found = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
    return "_" * len(found) if found.strip(".") == "" else found
