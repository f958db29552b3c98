"""What a run came from and what came of it, as a tree or as JSON, and the descriptions for other tools.

`autotrack show RUN --lineage` prints through here; `autotrack card` and `autotrack data croissant` are commands of
their own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.opening import identify, open_runs
from autotrack.cli.printing import COLOURS, clean, console, print_json
from autotrack.errors import UsageError

if TYPE_CHECKING:
    from rich.tree import Tree

    from autotrack.lineage import Edge, Graph, Node
    from autotrack.store.query import Store

SHORT = 12
"""Characters of a digest that are shown; `--json` has all of them."""


def print_lineage(store: Store, run: str, depth: int, *, as_json: bool, as_events: bool) -> None:
    """Print the graph around a run: as a tree, as `{root, nodes, edges}`, or as a list of OpenLineage events."""
    from autotrack.lineage import lineage

    graph = lineage(store, run, depth)
    if as_events:
        from autotrack.lineage.openlineage import events

        print_json(events(store, graph))
    elif as_json:
        print_json(graph.as_dict())
    else:
        console().print(_Drawing(graph).tree())
        if graph.left_out:
            click.echo(f"{graph.left_out} runs were not followed; --depth N goes further")


class _Drawing:
    """A graph as a tree whose root is the run that was asked for. What was drawn already is only named again."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._drawn: set[str] = set()

    def tree(self) -> Tree:
        """The whole of it."""
        from rich.tree import Tree

        tree = Tree(self._label(self._graph.root), guide_style="dim")
        self._up(tree, self._graph.root)
        self._drawn.discard(self._graph.root)
        self._down(tree, self._graph.root)
        return tree

    def _up(self, tree: Tree, run: str) -> None:
        if not self._first(run):
            return
        for edge in self._graph.into(run, "child", "reproduces", "input"):
            node = self._graph.nodes[edge.source]
            branch = tree.add(self._told(_before(edge, node), node, edge))
            if node.kind == "run":
                self._up(branch, node.id)
            elif node.kind == "model":
                for made in self._graph.into(node.id, "output"):
                    self._up(branch.add(self._told("made by", self._graph.nodes[made.source])), made.source)

    def _down(self, tree: Tree, run: str) -> None:
        if not self._first(run):
            return
        for edge in self._graph.out_of(run, "output", "child", "input", "reproduces"):
            node = self._graph.nodes[edge.target]
            branch = tree.add(self._told(_after(edge), node, edge))
            if node.kind == "run":
                self._down(branch, node.id)
            elif self._first(node.id):
                for used in self._graph.out_of(node.id, "input"):
                    self._down(branch.add(self._told("used by", self._graph.nodes[used.target], used)), used.target)

    def _first(self, node: str) -> bool:
        new = node not in self._drawn
        self._drawn.add(node)
        return new

    def _told(self, relation: str, node: Node, edge: Edge | None = None) -> Any:
        from rich.text import Text

        label = Text(f"{relation} ", "dim").append_text(self._label(node.id, edge))
        if node.kind == "run" and node.id in self._drawn:
            label.append(" (see above)", "dim")
        return label

    def _label(self, identity: str, edge: Edge | None = None) -> Any:
        from rich.text import Text

        node = self._graph.nodes[identity]
        ending = node.id.partition(":")[2]
        label = Text()
        if node.kind == "run":
            nameless = "was removed for good" if node.told.get("removed") else "this store does not know"
            label.append(clean(node.name or f"a run that {nameless}"), "bold").append(f" {clean(ending)}")
            status = str(node.told.get("status", ""))
            label.append(f" {status}", COLOURS.get(status, ""))
            for time in node.told.get("resumed", ()):
                label.append(f", went on at {clean(time)}", "dim")
        else:
            name = edge.told.get("name") if edge is not None and node.kind == "dataset" else None
            label.append(clean(name or node.name or ""), "bold").append(f" {_short(node, ending)}", "cyan")
            if node.told.get("n_rows") is not None:
                label.append(f" {node.told['n_rows']:,} rows", "dim")
        if edge is not None and edge.told.get("by"):
            label.append(f" by {clean(edge.told['by'])}", "dim")
            if edge.told.get("before"):
                label.append(", before the run began", "dim")
        return label


def _before(edge: Edge, node: Node) -> str:
    if edge.relation == "input":
        if node.kind == "dataset":
            return f"{clean(edge.told.get('role', ''))} data"
        return "used" if node.kind == "model" else "goes on from"
    return {"child": "part of", "reproduces": "repeats"}[edge.relation]


def _after(edge: Edge) -> str:
    return {"output": "made", "child": "has part", "input": "went on in", "reproduces": "repeated by"}[edge.relation]


def _short(node: Node, ending: str) -> str:
    if node.kind == "dataset" and not node.told.get("value"):
        return "without a fingerprint"
    prefix, colon, digest = ending.rpartition(":")
    return clean(f"{prefix}{colon}{digest[:SHORT]}" if len(digest) > SHORT and "@" not in digest else ending)


@click.command(epilog="\b\nExamples:\n  autotrack card latest\n  autotrack card baseline:model -o README.md")
@click.argument("model", metavar="RUN[:MODEL]")
@click.option("-o", "--output", metavar="FILE", help="Where to; by default to the standard output.")
def card(model: str, output: str | None) -> None:
    """Write the card of a model, in the syntax of the Hugging Face Hub.

    It says what the record of the run holds: data, params, metrics, code, where the model came from and how it is
    loaded. RUN is an id, the beginning of one, a name, or: latest. MODEL is the name of one of its models; by default
    the last.
    """
    from autotrack.lineage import lineage
    from autotrack.lineage.card import model_card

    with open_runs() as store:
        run, name = _divided(store, model)
        text = model_card(store.run(run), lineage(store, run, 1), name)
    _write(text, output)


@click.command(
    epilog="\b\nExamples:\n  autotrack data croissant latest:train\n  autotrack data croissant 4f2a:test -o data.json"
)
@click.argument("dataset", metavar="RUN:ROLE[/NAME]")
@click.option("--name", help="Which one, where the run has several in this role.")
@click.option("--license", "license_", metavar="URL", help="The licence, which no record of a run knows.")
@click.option("--url", help="Where the dataset is published.")
@click.option("--creator", metavar="NAME", help="Who made it.")
@click.option("-o", "--output", metavar="FILE", help="Where to; by default to the standard output.")
def croissant(
    dataset: str, name: str | None, license_: str | None, url: str | None, creator: str | None, output: str | None
) -> None:
    """Describe a dataset of a run in Croissant, the JSON-LD of dataset catalogues.

    RUN is an id, the beginning of one, a name, or: latest. ROLE is train, validation, test or predict.
    """
    from autotrack.lineage.croissant import croissant as described
    from autotrack.store.query import jsonable

    with open_runs() as store:
        run, role = _divided(store, dataset)
        record = store.run(run)
    if role is None:
        raise UsageError(f"{dataset!r} names no role; say RUN:train, or another of {_roles(record)}")
    role, _, inside = role.partition("/")  # `RUN:test/holdout`, as the other commands take it
    name = name or inside or None
    found = [one for one in record["datasets"] if one["role"] == role and name in (None, one["name"])]
    if not found:
        raise UsageError(
            f"run {run} has no data in the role {role!r}{f' called {name!r}' if name else ''}; it has {_roles(record)}"
        )
    told = described(record, found[-1], license=license_, url=url, creator=creator)
    _write(json.dumps(jsonable(told), indent=2, ensure_ascii=False) + "\n", output)


def _divided(store: Store, reference: str) -> tuple[str, str | None]:
    """`RUN:REST` as an id and the rest. The name of a run may hold colons, that of a model as well."""
    from autotrack.errors import RunNotFound

    for cut in range(len(reference), -1, -1):
        if cut < len(reference) and reference[cut] != ":":
            continue
        try:
            return identify(store, reference[:cut]), reference[cut + 1 :] or None
        except RunNotFound:
            continue
    return identify(store, reference.partition(":")[0]), None  # says what is wrong


def _roles(record: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys(one["role"] for one in record["datasets"])) or "none"


def _write(text: str, output: str | None) -> None:
    if output is None or output == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise click.ClickException(f"{output} cannot be written: {problem.strerror}") from problem


__all__ = ["card", "croissant", "print_lineage"]
