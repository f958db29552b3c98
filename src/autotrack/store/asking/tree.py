"""A query as a tree. Each node is true or false of a run, never unknown: what a run lacks makes a comparison false."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf
from typing import TypeAlias

from autotrack.store.asking.fields import Field
from autotrack.store.asking.literals import Literal

Operator: TypeAlias = OneOf["=", "<", "<=", ">", ">=", "~", "null"]
"""`~` is contains; `null` is absent. The others are made of these with `Not`."""


@dataclass(frozen=True)
class Comparison:
    """`field operator value`; of several values, which only `=` has, one must fit."""

    field: Field
    operator: Operator
    values: tuple[Literal, ...] = ()


@dataclass(frozen=True)
class Not:
    """The opposite."""

    node: Node


@dataclass(frozen=True)
class All:
    """All of them."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class AtLeastOne:
    """One of them or more."""

    nodes: tuple[Node, ...]


Node: TypeAlias = Comparison | Not | All | AtLeastOne
