"""The graph around a run: upwards to what it came from, downwards to what came of it.

Nodes are runs, models (by the digest of a file), and datasets (by the fingerprint of their values). Edges run the way
of the data. Upwards only ancestors are followed and downwards only descendants, each to a depth: the thousand other
trials of a study are no lineage of one. A run that is reached twice is one node, so circles do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from autotrack.store.links import Neighbourhood
    from autotrack.store.query import Store

Kind: TypeAlias = Literal["run", "model", "dataset"]
Relation: TypeAlias = Literal["input", "output", "child", "reproduces"]

DEPTH: Final = 5
MOST: Final = 100
"""Children of one run, and users of one model, that are followed."""
MOST_RUNS: Final = 1000

_RUN: Final = "run:"


@dataclass(frozen=True)
class Node:
    """A run, a model or a dataset. `id` begins with its kind and a colon; `told` is what else is known of it."""

    id: str
    kind: Kind
    name: str | None
    told: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Edge:
    """`source` went into `target`, or made it: a dataset or model into a run (`input`), a run to its model (`output`).

    Between runs: `input` where a model went from one to the other without a file, `child`, and `reproduces`.
    """

    source: str
    target: str
    relation: Relation
    told: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass
class Graph:
    """What was found around `root`, the node of the run that was asked for."""

    root: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    left_out: int = 0
    """Runs that were found and not followed, beyond the depth or one of the bounds; some of them are named."""

    def into(self, node: str, *relations: Relation) -> list[Edge]:
        """The edges that end at `node`, of these relations, in the order in which they were found."""
        return [edge for edge in self.edges if edge.target == node and edge.relation in relations]

    def out_of(self, node: str, *relations: Relation) -> list[Edge]:
        """The edges that begin at `node`."""
        return [edge for edge in self.edges if edge.source == node and edge.relation in relations]

    def as_dict(self) -> dict[str, Any]:
        """`{root, nodes[{id, kind, name, …}], edges[{source, target, relation, …}], left_out}`."""
        return {
            "root": self.root,
            "nodes": [{"id": it.id, "kind": it.kind, "name": it.name, **it.told} for it in self.nodes.values()],
            "edges": [
                {"source": it.source, "target": it.target, "relation": it.relation, **it.told} for it in self.edges
            ],
            "left_out": self.left_out,
        }


def lineage(store: Store, run: str, depth: int = DEPTH) -> Graph:
    """The graph around a run, at most `depth` runs away from it. Raises `RunNotFound`."""
    start = store.resolve(run)
    building = _Building(Graph(_RUN + start))
    up, down = {start}, {start}
    seen_up, seen_down = {start}, {start}
    for distance in range(depth + 1):
        fresh = [one for one in sorted(up | down) if one not in building.expanded]
        around = store.neighbourhood(fresh, MOST) if fresh else None
        if around is not None:
            building.add(around, fresh)
            building.graph.left_out += around.left_out
        next_up = {one for run in up for one in building.before.get(run, ())} - seen_up
        next_down = {one for run in down for one in building.after.get(run, ())} - seen_down
        if distance == depth or len(building.expanded | next_up | next_down) > MOST_RUNS:
            building.graph.left_out += len((next_up | next_down) - building.expanded)
            break
        seen_up |= next_up
        seen_down |= next_down
        up, down = next_up, next_down
        if not up and not down:
            break
    graph = building.finished()
    unknown = {node.id.removeprefix(_RUN): node for node in graph.nodes.values() if node.told.get("known") is False}
    for gone in store.removed(unknown):
        unknown[gone].told["removed"] = True
    return graph


class _Building:
    """A graph that grows by one step around some runs at a time."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.expanded: set[str] = set()
        self.before: dict[str, list[str]] = {}
        self.after: dict[str, list[str]] = {}
        self._edges: dict[tuple[str, str, str, str], Edge] = {}
        self._headers: dict[str, dict[str, Any]] = {}

    def add(self, around: Neighbourhood, runs: Iterable[str]) -> None:
        """Add what is one step around `runs`."""
        self._headers.update(around.runs)
        for run in runs:
            self.expanded.add(run)
            self._run(run)
            parent = around.runs.get(run, {}).get("parent_id")
            if parent:
                self._lead(parent, run)
                self._edge(_RUN + parent, _RUN + run, "child")
            for child in around.children.get(run, ()):
                self._lead(run, child)
        for one in around.datasets:
            self._dataset(one)
        for one in around.inputs:
            self._input(one, around)
        for one in around.made:
            users = around.users.get(one["identity"], [])
            if one["kind"] == "model" or users:
                self._made(one)
            for user in users:
                self._lead(one["run"], user["run"])
        for run in runs:
            for user in around.users.get(_RUN + run, ()):
                self._lead(run, user["run"])
        for rerun, original in around.reproduces:
            if rerun in self.expanded:
                self._edge(_RUN + original, _RUN + rerun, "reproduces")
            self._lead(original, rerun)

    def finished(self) -> Graph:
        """The graph. A run that an edge leads to is a node of it, followed or not, known to this store or not."""
        graph = self.graph
        for edge in self._edges.values():
            for end in (edge.source, edge.target):
                if end not in graph.nodes and end.startswith(_RUN):
                    self._run(end.removeprefix(_RUN))
            graph.edges.append(edge)
        return graph

    def _run(self, run: str) -> None:
        told = self._headers.get(run)
        more = {key: value for key, value in (told or {}).items() if key not in ("id", "name")}
        if told is None:
            more = {"known": False}
        self.graph.nodes[_RUN + run] = Node(_RUN + run, "run", None if told is None else told["name"], more)

    def _dataset(self, one: dict[str, Any]) -> None:
        told = one["fingerprint"]
        value = told.get("value")
        # Data whose values nobody looked at are the same as none other.
        node = f"dataset:{value or '/'.join((one['run'], one['role'], one['name']))}"
        sizes = {key: told[key] for key in ("n_rows", "n_columns", "source") if told.get(key) is not None}
        self.graph.nodes.setdefault(
            node, Node(node, "dataset", one["name"], {"value": value, "type": told.get("kind"), **sizes})
        )
        self._edge(node, _RUN + one["run"], "input", role=one["role"], name=one["name"])

    def _input(self, one: dict[str, Any], around: Neighbourhood) -> None:
        identity, target = one["identity"], _RUN + one["run"]
        how = {key: one[key] for key in ("by", "before", "file") if key in one}
        source = one.get("run_of")
        if source is not None:
            self._lead(source, one["run"])
        if identity.startswith(_RUN):
            self._edge(identity, target, "input", **how)
            return
        makers = [maker for maker in around.makers.get(identity, ()) if maker["run"] != one["run"]]
        name = next((maker["name"] for maker in makers if maker["name"]), None) or one.get("name") or one.get("file")
        node = self._model(identity, name, one.get("bytes"))
        self._edge(node, target, "input", **how)
        for maker in makers:
            self._lead(maker["run"], one["run"])
            self._edge(_RUN + maker["run"], node, "output", **({"name": maker["name"]} if maker["name"] else {}))

    def _made(self, one: dict[str, Any]) -> None:
        node = self._model(one["identity"], one["name"], one.get("bytes"), one.get("format"))
        more = {"step": one["step"]} if one.get("step") is not None else {}
        self._edge(_RUN + one["run"], node, "output", name=one["name"], **more)

    def _model(self, identity: str, name: str | None, size: int | None, form: str | None = None) -> str:
        node = f"model:{identity}"
        told = {"digest": None if ":" in identity else identity, "bytes": size, "format": form}
        held = self.graph.nodes.get(node)
        if held is not None:
            told = {key: held.told.get(key) if value is None else value for key, value in told.items()}
        self.graph.nodes[node] = Node(node, "model", (held.name if held else None) or name, told)
        return node

    def _lead(self, earlier: str, later: str) -> None:
        if earlier != later:
            _once(self.after.setdefault(earlier, []), later)
            _once(self.before.setdefault(later, []), earlier)

    def _edge(self, source: str, target: str, relation: Relation, **told: Any) -> None:
        key = (source, target, relation, str(told.get("role", "")))
        self._edges.setdefault(key, Edge(source, target, relation, told))


def _once(held: list[str], one: str) -> None:
    if one not in held:
        held.append(one)


__all__ = ["DEPTH", "Edge", "Graph", "Node", "lineage"]
