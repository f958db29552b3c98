"""A model card in the syntax of the Hugging Face Hub: YAML front matter, then Markdown.

Written after https://huggingface.co/docs/hub/model-cards. The record of a run enters, and which of its models; the text
leaves. It says what the record holds and no more: no licence, no intended use, no benchmark is made up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from autotrack.errors import ModelNotFound

if TYPE_CHECKING:
    from autotrack.lineage.graph import Graph

MOST_ROWS: Final = 60

LIBRARIES: Final = {
    "sklearn": "sklearn",
    "keras": "keras",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "transformers": "transformers",
    "lightning": "pytorch-lightning",
    "torch": "pytorch",
}
"""Integrations, and what the hub calls their libraries."""


def model_card(run: dict[str, Any], graph: Graph, name: str | None = None) -> str:
    """The card of the last model of the run, or the last of this name. Raises `ModelNotFound`."""
    model = _chosen(run, name)
    parts = [
        _front_matter(run, graph, model),
        f"# {_text(run['name'])}: {_text(model['name'])}",
        _opening(run, model),
        _section("Training data", _datasets(run)),
        _section("Hyperparameters", _params(run)),
        _section("Metrics", _metrics(run)),
        _section("Where it came from", _origin(run, graph)),
        _section("How to load it", _loading(run, model)),
        _section("Limits", _limits(run, model)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _chosen(run: dict[str, Any], name: str | None) -> dict[str, Any]:
    found = [model for model in run["models"] if name in (None, model["name"])]
    kept = [model for model in found if model["digest"] is not None]
    if not found:
        names = ", ".join(repr(model["name"]) for model in run["models"]) or "none"
        raise ModelNotFound(f"run {run['id']} has no model{f' {name!r}' if name else ''}; it has {names}")
    chosen: dict[str, Any] = (kept or found)[-1]
    return chosen


def _front_matter(run: dict[str, Any], graph: Graph, model: dict[str, Any]) -> str:
    library = LIBRARIES.get((model.get("signature") or {}).get("package") or run["integration"] or "")
    lines = []
    if library:
        lines.append(f"library_name: {library}")
    bases = [
        edge.source.removeprefix("model:hf:")
        for edge in graph.into(graph.root, "input")
        if edge.source.startswith("model:hf:")
    ]
    lines += _listed("base_model", [base.partition("@")[0] for base in bases])
    lines += _listed("datasets", _hub_datasets(run))
    lines += _listed("tags", ["autotrack", *([run["integration"]] if run["integration"] else [])])
    if run["metrics"]:
        lines += _listed("metrics", list(run["metrics"])[:MOST_ROWS])
    return "\n".join(["---", *lines, "---"])


def _hub_datasets(run: dict[str, Any]) -> list[str]:
    """Datasets that the hub knows by this name: those whose source says so."""
    found = []
    for one in run["datasets"]:
        source = one["fingerprint"].get("source")
        if isinstance(source, dict) and source.get("kind") == "huggingface":
            name = source.get("repo")
            if isinstance(name, str) and name not in found:
                found.append(name)
    return found


def _listed(key: str, items: list[str]) -> list[str]:
    # A JSON string is a YAML string too, whatever is in it.
    return [f"{key}:", *(f"- {json.dumps(item, ensure_ascii=False)}" for item in dict.fromkeys(items))] if items else []


def _opening(run: dict[str, Any], model: dict[str, Any]) -> str:
    kind = (model.get("signature") or {}).get("class")
    told = f"A `{_code(kind)}`" if kind else "A model"
    step = f", as it was at step {model['step']}" if model["step"] is not None else ""
    words = f"{told}{step}, trained in the project {_text(run['project'])} by run `{run['id']}`, "
    words += f"which began on {run['started_at'][:10]} and is {run['status']}. "
    words += "This card was written from the record of that run."
    return words


def _datasets(run: dict[str, Any]) -> str:
    rows = []
    for one in run["datasets"]:
        told = one["fingerprint"]
        value = told.get("value")
        covered = told.get("coverage", 1)
        note = "" if covered == 1 or value is None else f" ({covered:.0%} of the data)"
        shown = f"`{value}`{note}" if value else "not taken"
        rows.append([one["role"], one["name"], told.get("n_rows"), told.get("n_columns"), shown])
    return _table(["role", "name", "rows", "columns", "fingerprint of the values"], rows)


def _params(run: dict[str, Any]) -> str:
    return _table(["param", "value"], [[key, f"`{_code(value)}`"] for key, value in run["params"].items()])


def _metrics(run: dict[str, Any]) -> str:
    rows = [[key, _number(told["last"]), told["last_step"]] for key, told in run["metrics"].items()]
    return _table(["metric", "last value", "at step"], rows)


def _origin(run: dict[str, Any], graph: Graph) -> str:
    code = run["code"]
    lines = []
    if code.get("commit"):
        place = f" of {_text(code['remote'])}" if code.get("remote") else ""
        dirty = ", with changes that were not committed" if code.get("dirty") else ""
        lines.append(f"* code: commit `{_code(code['commit'])}`{place}{dirty}")
    entry = code.get("entry") or code.get("script")
    if entry:
        lines.append(f"* script: `{_code(entry)}`")
    python, system = run["environment"].get("python"), run["environment"].get("system")
    if python:
        lines.append(f"* Python {_text(python)}" + (f" on {_text(system)}" if system else ""))
    for edge in graph.into(graph.root, "input", "child", "reproduces"):
        node = graph.nodes[edge.source]
        if node.kind == "model":
            lines.append(f"* it loaded the model `{node.id.removeprefix('model:')}`{_maker(graph, node.id)}")
        elif node.kind == "run":
            words = {"input": "it goes on from the model of", "child": "it is a part of", "reproduces": "it repeats"}
            lines.append(f"* {words[edge.relation]} run `{node.id.removeprefix('run:')}`")
    lines += [f"* it went on at {time}" for time in graph.nodes[graph.root].told.get("resumed", ())]
    return "\n".join(lines)


def _maker(graph: Graph, model: str) -> str:
    makers = [edge.source.removeprefix("run:") for edge in graph.into(model, "output")]
    return f" of run `{makers[0]}`" if makers else ", of which no run here is known to have made it"


def _loading(run: dict[str, Any], model: dict[str, Any]) -> str:
    if model["digest"] is None:
        return f"It was not kept: {_text(model.get('problem') or 'it is being converted')}."
    code = f"import autotrack\n\nmodel = autotrack.load_model({run['id']!r}, {model['name']!r})"
    told = f"The file has the format `{_code(model['format'])}`, {model['bytes']:,} bytes and the SHA-256"
    return f"```python\n{code}\n```\n\n{told} `{model['digest']}`."


def _limits(run: dict[str, Any], model: dict[str, Any]) -> str:
    lines = ["* Licence, intended use, and how the model does on other data are not in the record of a run."]
    tested = {one["role"] for one in run["datasets"]} & {"validation", "test"}
    if not tested:
        lines.append("* No validation or test data were recorded: the metrics may be of the training data alone.")
    if any(not one["fingerprint"].get("value") for one in run["datasets"]):
        lines.append(
            "* The values of some data were not fingerprinted, so that it cannot be told whether others are the same."
        )
    seeded = run.get("randomness", {}).get("seeded")
    if seeded is False:
        lines.append("* No seed was set: a second training would give another model.")
    lines += [f"* {_text(note['what'])}: {_text(note['why'])}" for note in run["notes"]]
    if run["status"] != "finished":
        lines.append(f"* The run did not finish: it is {run['status']}.")
    return "\n".join(lines)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _table(columns: list[str], rows: list[list[Any]]) -> str:
    if not rows:
        return ""
    shown = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    shown += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        shown.append(f"\nand {len(rows) - MOST_ROWS} more, in the record.")
    return "\n".join(shown)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if text.startswith("`") else _text(text)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    """One line of text that Markdown takes for nothing else."""
    line = " ".join(str(value).split())
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|" else sign for sign in line)


def _code(value: Any) -> str:
    return " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")


__all__ = ["model_card"]
